//! The bounded queue between the shards and the recorder's thread.
//!
//! Ticks and packets of the mix are refused once `queue_items` wait; the rest of the queue is kept for what must not be lost. Refused groups, and
//! in the worst case refused starts, seats and ends, are noted beside the queue for the recorder to collect.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use spaces_core::ids::SpaceId;
use spaces_core::record::RecordItem;

/// Room in the queue for starts, seats and ends when it is full of ticks.
const RESERVE: usize = 512;
/// Separate holes remembered a Space between two collections; more run together into the last.
const MOST_HOLES: usize = 256;
/// Starts, seats and ends remembered beside a queue that is full to the brim.
const MOST_CONTROL: usize = 4096;

/// What travels to the recorder's thread.
pub(super) enum Message {
    Item(RecordItem),
    Stop,
}

/// What did not fit.
pub(super) enum Refused {
    /// These groups, both included.
    Groups { space: SpaceId, from: u64, to: u64 },
    /// Packets of the mix of these groups, both included.
    Mix { space: SpaceId, from: u64, to: u64 },
    /// A start, seat or end.
    Control(RecordItem),
}

#[derive(Default)]
struct Beside {
    groups: HashMap<SpaceId, Vec<(u64, u64)>>,
    mix: HashMap<SpaceId, Vec<(u64, u64)>>,
    control: Vec<RecordItem>,
}

struct Shared {
    ticks: usize,
    refused: AtomicU64,
    /// Locked for a few instructions only, and never while a file is written.
    beside: Mutex<Beside>,
}

/// Where shards push what is to be recorded.
#[derive(Clone)]
pub struct RecorderHandle {
    items: Sender<Message>,
    shared: Arc<Shared>,
}

/// The recorder's end.
pub(super) struct Queue {
    pub(super) items: Receiver<Message>,
    shared: Arc<Shared>,
}

pub(super) fn queue(ticks: usize) -> (RecorderHandle, Queue) {
    let (sender, items) = bounded(ticks.saturating_add(RESERVE));
    let shared = Arc::new(Shared { ticks, refused: AtomicU64::new(0), beside: Mutex::default() });
    (RecorderHandle { items: sender, shared: Arc::clone(&shared) }, Queue { items, shared })
}

impl RecorderHandle {
    /// Hands `item` to the recorder. Never waits for the disk. `false` if it did not fit: then its group is marked as a
    /// gap. Starts, seats and ends are kept even so.
    pub fn push(&self, item: RecordItem) -> bool {
        let media = matches!(item, RecordItem::Tick { .. } | RecordItem::Mix { .. });
        let full = media && self.items.len() >= self.shared.ticks;
        let refused = if full {
            item
        } else {
            match self.items.try_send(Message::Item(item)) {
                Ok(()) => return true,
                Err(TrySendError::Full(Message::Item(item)) | TrySendError::Disconnected(Message::Item(item))) => item,
                Err(_) => return false,
            }
        };
        self.shared.refused.fetch_add(1, Ordering::Relaxed);
        let mut beside = self.shared.beside.lock().unwrap_or_else(PoisonError::into_inner);
        match refused {
            RecordItem::Tick { space, group, .. } => add_hole(beside.groups.entry(space).or_default(), group, group),
            RecordItem::Mix { space, packet } => {
                add_hole(beside.mix.entry(space).or_default(), packet.group, packet.last_group());
            }
            control if beside.control.len() < MOST_CONTROL => beside.control.push(control),
            _ => {}
        }
        false
    }

    /// Items that did not fit so far.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.shared.refused.load(Ordering::Relaxed)
    }

    pub(super) fn stop(&self) {
        // Fails if the thread is gone already.
        let _ = self.items.send(Message::Stop);
    }
}

fn add_hole(holes: &mut Vec<(u64, u64)>, from: u64, last: u64) {
    let room = holes.len() < MOST_HOLES;
    match holes.last_mut() {
        Some((_, to)) if from == to.saturating_add(1) || !room => *to = last.max(*to),
        _ => holes.push((from, last)),
    }
}

impl Queue {
    /// Calls `collect` with everything that was refused since the last call. A start or a seat may come ahead of what is
    /// still queued, which does no harm; an end waits until the queue is empty.
    pub(super) fn collect_refused(&self, mut collect: impl FnMut(Refused)) {
        let Beside { groups, mix, control } = {
            let mut beside = self.shared.beside.lock().unwrap_or_else(PoisonError::into_inner);
            let mut taken = core::mem::take(&mut *beside);
            if !self.items.is_empty() {
                beside.control = taken.control.extract_if(.., |item| matches!(item, RecordItem::End { .. })).collect();
            }
            taken
        };
        let (ends, rest): (Vec<_>, Vec<_>) =
            control.into_iter().partition(|item| matches!(item, RecordItem::End { .. }));
        rest.into_iter().for_each(|item| collect(Refused::Control(item)));
        for (space, holes) in groups {
            holes.into_iter().for_each(|(from, to)| collect(Refused::Groups { space, from, to }));
        }
        for (space, holes) in mix {
            holes.into_iter().for_each(|(from, to)| collect(Refused::Mix { space, from, to }));
        }
        ends.into_iter().for_each(|item| collect(Refused::Control(item)));
    }
}
