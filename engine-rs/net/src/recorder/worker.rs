//! All recordings, without thread, queue or clock: what the recorder's thread does, under any time and storage.

use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use spaces_core::event::Event;
use spaces_core::ids::SpaceId;
use spaces_core::record::RecordItem;
use spaces_core::time::{TICK, Time};

use super::queue::Refused;
use super::space::{Context, Recording};
use super::storage::Storage;
use super::track::Sitting;
use super::{FsyncPolicy, RecorderConfig};

/// How often what gathered is written.
pub const TURN: Duration = Duration::from_millis(50);
/// Files made durable a turn: at some milliseconds each, that leaves time to write. Many files take several turns.
const SYNCS: usize = 4;
/// Bytes after which it is written at once.
const FULL: usize = 1 << 20;

/// What a recorder has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Ticks handed in.
    pub ticks: u64,
    /// Frames written to tracks, or refused by them.
    pub frames: u64,
    /// Frames that no track takes: too late, or not Opus of 20 ms. The log has them if it can.
    pub odd_frames: u64,
    /// Bytes written.
    pub bytes: u64,
    /// Gaps marked.
    pub gaps: u64,
    /// Errors of the storage.
    pub errors: u64,
    /// Items of Spaces that are not recorded.
    pub unknown: u64,
    /// Items that the queue refused.
    pub refused: u64,
    /// Spaces being recorded, and those of them that are stalled.
    pub recording: u32,
    /// Of those, how many wait for the storage to take data again.
    pub stalled: u32,
}

/// Hand in items with [`Worker::item`], and call [`Worker::turn`] every [`TURN`], once all items so far are in; then [`Worker::poll_event`] until `None`.
/// At the end [`Worker::stop`]. Times handed in never go back.
pub struct Worker {
    root: PathBuf,
    storage: Arc<dyn Storage>,
    fsync: FsyncPolicy,
    segment: u64,
    tracks: bool,
    sync_at: Time,
    /// Whose files are still to be made durable in this round.
    to_sync: Vec<SpaceId>,
    recordings: HashMap<SpaceId, Recording>,
    events: VecDeque<Event>,
    stats: Stats,
    gathered: usize,
}

impl Worker {
    /// A worker for recordings as `config` wants them. Of queue and clock it knows nothing.
    #[must_use]
    pub fn new(config: &RecorderConfig) -> Self {
        let (recordings, events) = (HashMap::new(), VecDeque::new());
        let segment = u64::try_from(config.segment.as_nanos() / TICK.as_nanos()).unwrap_or(u64::MAX).max(1);
        Self {
            root: config.directory.clone(),
            storage: Arc::clone(&config.storage),
            fsync: config.fsync,
            segment,
            tracks: config.tracks,
            sync_at: Time::default(),
            to_sync: Vec::new(),
            recordings,
            events,
            stats: Stats::default(),
            gathered: 0,
        }
    }

    /// Takes one item. After its `Start` a Space's `Seat` items name who sits where; its ticks come in order of group.
    pub fn item(&mut self, now: Time, item: &RecordItem) {
        let (recordings, mut context, gathered) = self.split(now);
        match item {
            RecordItem::Start { space, started_at_ms, group } => {
                if let Some(mut open) = recordings.remove(space) {
                    open.stop(&mut context);
                }
                let recording = Recording::start(&mut context, *space, *started_at_ms, *group);
                recordings.insert(*space, recording);
            }
            RecordItem::Seat { space, group, seat, generation, account } => match recordings.get_mut(space) {
                Some(recording) => {
                    let sitting = Sitting { seat: *seat, generation: *generation, account: *account };
                    recording.seat(&context, *group, sitting);
                }
                None => context.stats.unknown += 1,
            },
            RecordItem::Tick { space, group, frames } => match recordings.get_mut(space) {
                Some(recording) => {
                    let before = recording.pending();
                    recording.tick(&mut context, *group, item, frames);
                    *gathered += recording.pending().saturating_sub(before);
                }
                None => context.stats.unknown += 1,
            },
            RecordItem::Mix { space, packet } => match recordings.get_mut(space) {
                Some(recording) => {
                    let before = recording.pending();
                    recording.mix(&mut context, packet, item);
                    *gathered += recording.pending().saturating_sub(before);
                }
                None => context.stats.unknown += 1,
            },
            RecordItem::End { space, group } => match recordings.get_mut(space) {
                Some(recording) => recording.end(*group),
                None => context.stats.unknown += 1,
            },
        }
    }

    /// Takes what the queue refused.
    pub(super) fn refused(&mut self, now: Time, refused: Refused) {
        match refused {
            Refused::Control(item) => self.item(now, &item),
            Refused::Groups { space, from, to } => self.lost(space, from, to),
            Refused::Mix { space, from, to } => {
                let (recordings, mut context, _) = self.split(now);
                match recordings.get_mut(&space) {
                    Some(recording) => recording.lost_mix(&mut context, from, to),
                    None => context.stats.unknown += 1,
                }
            }
        }
    }

    /// Groups `from` to `to` of a Space were lost before they came here.
    pub fn lost(&mut self, space: SpaceId, from: u64, to: u64) {
        match self.recordings.get_mut(&space) {
            Some(recording) => recording.lost(from, to),
            None => self.stats.unknown += to.saturating_sub(from).saturating_add(1),
        }
    }

    /// So much has gathered that it should be written now.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.gathered >= FULL
    }

    /// Writes what gathered, tries again what failed, and makes durable what is due.
    pub fn turn(&mut self, now: Time) {
        let (recordings, mut context, gathered) = self.split(now);
        *gathered = 0;
        for recording in recordings.values_mut() {
            recording.turn(&mut context);
        }
        recordings.retain(|_, recording| !recording.is_closed());
        context.stats.recording = recordings.len() as u32;
        context.stats.stalled = recordings.values().filter(|recording| recording.is_stalled()).count() as u32;
        self.sync(now);
    }

    fn sync(&mut self, now: Time) {
        match self.fsync {
            FsyncPolicy::Never => return,
            FsyncPolicy::AtEnd if self.to_sync.is_empty() => {
                let due = self.recordings.iter().filter(|(_, recording)| recording.unsynced_closed() > 0);
                self.to_sync.extend(due.map(|(space, _)| *space));
            }
            FsyncPolicy::Every(interval) if self.to_sync.is_empty() && now >= self.sync_at => {
                self.sync_at = now + interval;
                self.to_sync.extend(self.recordings.keys());
            }
            FsyncPolicy::AtEnd | FsyncPolicy::Every(_) => {}
        }
        let complete_only = self.fsync == FsyncPolicy::AtEnd;
        let mut left = SYNCS;
        while left > 0
            && let Some(space) = self.to_sync.pop()
        {
            let (recordings, mut context, _) = self.split(now);
            if let Some(recording) = recordings.get_mut(&space) {
                if complete_only {
                    left = left.saturating_sub(recording.unsynced_closed());
                    recording.sync_closed(&mut context);
                } else {
                    left = left.saturating_sub(recording.unsynced());
                    recording.sync(&mut context);
                }
            }
        }
    }

    /// Finishes all files. What the storage does not take now is given up, and told as a gap.
    pub fn stop(&mut self, now: Time) {
        let (recordings, mut context, _) = self.split(now);
        for (_, mut recording) in recordings.drain() {
            recording.stop(&mut context);
        }
    }

    /// The next gap to be told.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// What was done so far.
    #[must_use]
    pub const fn stats(&self) -> Stats {
        self.stats
    }

    fn split(&mut self, now: Time) -> (&mut HashMap<SpaceId, Recording>, Context<'_>, &mut usize) {
        let context = Context {
            now,
            storage: &*self.storage,
            root: &self.root,
            segment: self.segment,
            tracks: self.tracks,
            durable: self.fsync != FsyncPolicy::Never,
            events: &mut self.events,
            stats: &mut self.stats,
        };
        (&mut self.recordings, context, &mut self.gathered)
    }
}
