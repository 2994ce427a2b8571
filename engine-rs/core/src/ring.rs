//! A Space's last ticks on this shard, shared by all its listeners.
//!
//! Each tick carries its objects ready to send: everybody's, and the variants without a seat (for who sits there) and with
//! the tick before repeated (for listeners with loss). A variant is encoded when the first listener needs it, then shared.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use crate::bundle::{self, Entry, MAX_PAYLOAD};
use crate::cursor::Line;
use crate::engine::{Object, TickBundle, Track};
use crate::ids::{SeatMask, SeatNo, SpaceId};
use crate::record::RecordedFrame;
use crate::selection::MAX_PARTS;
use crate::time::{TICK_SAMPLES, Time};
use crate::uplink::UplinkFrame;
use crate::varint;

/// Ticks kept.
pub(crate) const RING: usize = 16;

/// Objects a group of [`Track::StageGroups`].
pub(crate) const TICKS_PER_GROUP: u64 = 50;

/// One variant of a tick.
#[derive(Debug)]
pub(crate) struct Variant {
    without: SeatMask,
    pub(crate) redundant: bool,
    /// For `stage` and `stage.1`.
    pub(crate) parts: [Option<Object>; MAX_PARTS],
    /// For `stage.groups`: all parts in one.
    pub(crate) whole: Option<Object>,
}

/// One tick.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) bundle: Arc<TickBundle>,
    /// When it entered this ring.
    pub(crate) at: Time,
    /// Seats in `bundle.heard`.
    heard: SeatMask,
    /// Everybody's first.
    variants: Vec<Variant>,
    seats: Vec<(SeatNo, Object)>,
    /// Seats that service sessions may hear.
    captionable: SeatMask,
    /// Their objects.
    tapped: Vec<(SeatNo, Object)>,
}

/// See the module. Positions count ticks since the ring was made, without holes.
#[derive(Debug, Default)]
pub(crate) struct Ring {
    slots: VecDeque<Slot>,
    end: u64,
}

impl Line for Ring {
    fn end(&self) -> u64 {
        self.end
    }

    fn entered(&self, position: u64) -> Option<Time> {
        self.slots.get(self.index(position)?).map(|slot| slot.at)
    }
}

impl Ring {
    /// Position of the oldest tick.
    pub(crate) fn start(&self) -> u64 {
        self.end - self.slots.len() as u64
    }

    fn index(&self, position: u64) -> Option<usize> {
        usize::try_from(position.checked_sub(self.start())?).ok()
    }

    /// Of the tick's seats, service sessions may hear `captionable`.
    pub(crate) fn push(&mut self, bundle: Arc<TickBundle>, captionable: SeatMask, now: Time) {
        if self.slots.len() == RING {
            self.slots.pop_front();
        }
        let everybody = Variant::new(&bundle, 0, false, bundle.parts.iter().cloned());
        let heard = mask(&bundle.heard);
        let (variants, seats, tapped) = (vec![everybody], Vec::new(), Vec::new());
        self.slots.push_back(Slot { bundle, at: now, heard, variants, seats, captionable, tapped });
        self.end += 1;
    }

    /// The variant of the tick at `position` without some seats, with the tick before repeated or not.
    pub(crate) fn variant(&mut self, position: u64, without: SeatMask, redundant: bool) -> Option<&Variant> {
        let index = self.index(position)?;
        if !redundant && without & self.slots.get(index)?.heard == 0 {
            return self.slots.get(index)?.variants.first();
        }
        let slot = self.slots.get(index)?;
        let before = index.checked_sub(1).and_then(|before| self.slots.get(before)).map(|slot| &slot.bundle);
        let before = before.filter(|before| redundant && before.group + 1 == slot.bundle.group);
        let repeated = before.map_or(0, |before| mask(&before.heard));
        let without = without & (slot.heard | repeated);
        let redundant = repeated & !without != 0;
        let known = slot.variants.iter().position(|known| known.without == without && known.redundant == redundant);
        let known = match known {
            Some(known) => known,
            None => {
                let repeated = before.filter(|_| redundant).map(|before| &*before.heard).unwrap_or_default();
                let parts = encode(&slot.bundle.heard, repeated, without);
                let made = Variant::new(&slot.bundle, without, redundant, parts.into_iter());
                let slot = self.slots.get_mut(index)?;
                slot.variants.push(made);
                slot.variants.len() - 1
            }
        };
        self.slots.get(index)?.variants.get(known)
    }

    /// The object of one seat in the tick at `position`, as the speaker sent it.
    pub(crate) fn seat(&mut self, position: u64, seat: SeatNo) -> Option<&Object> {
        let index = self.index(position)?;
        let slot = self.slots.get_mut(index)?;
        let known = match slot.seats.iter().position(|(known, _)| *known == seat) {
            Some(known) => known,
            None => {
                let frame = slot.bundle.all.iter().find(|frame| frame.seat == seat)?;
                let payload =
                    UplinkFrame { sequence: 0, level: frame.level, spurt: frame.spurt, opus: frame.opus.clone() }
                        .encode();
                slot.seats.push((seat, object(&slot.bundle, Track::Seat(seat), payload)));
                slot.seats.len() - 1
            }
        };
        slot.seats.get(known).map(|(_, object)| object)
    }

    /// The same for a service session: nothing, if the seat's captions are not allowed; else with the seat's generation before
    /// it.
    pub(crate) fn tapped(&mut self, position: u64, seat: SeatNo) -> Option<&Object> {
        let index = self.index(position)?;
        if self.slots.get(index)?.captionable & seat.bit() == 0 {
            return None;
        }
        let known = self.slots.get(index)?.tapped.iter().position(|(known, _)| *known == seat);
        let known = match known {
            Some(known) => known,
            None => {
                let plain = self.seat(position, seat)?.clone();
                let slot = self.slots.get_mut(index)?;
                let generation = slot.bundle.all.iter().find(|frame| frame.seat == seat)?.generation;
                let mut payload = BytesMut::with_capacity(plain.payload.len() + 4);
                varint::write(&mut payload, u64::from(generation));
                payload.extend_from_slice(&plain.payload);
                slot.tapped.push((seat, Object { payload: payload.freeze(), ..plain }));
                slot.tapped.len() - 1
            }
        };
        self.slots.get(index)?.tapped.get(known).map(|(_, object)| object)
    }

    /// Keeps `seats` from service sessions.
    pub(crate) fn withhold(&mut self, seats: SeatMask) {
        for slot in &mut self.slots {
            slot.captionable &= !seats;
            slot.tapped.retain(|(seat, _)| seat.bit() & seats == 0);
        }
    }

    /// Removes every trace of `seats`.
    pub(crate) fn silence(&mut self, seats: SeatMask) {
        for slot in &mut self.slots {
            if mask(&slot.bundle.all) & seats != 0 {
                slot.bundle = Arc::new(without(&slot.bundle, seats));
                slot.heard &= !seats;
            }
            let everybody = Variant::new(&slot.bundle, 0, false, slot.bundle.parts.iter().cloned());
            slot.variants = vec![everybody];
            slot.seats.clear();
            slot.tapped.clear();
        }
    }
}

impl Variant {
    fn new(
        bundle: &TickBundle,
        without: SeatMask,
        redundant: bool,
        parts: impl Iterator<Item = Bytes> + Clone,
    ) -> Self {
        let mut objects = [const { None }; MAX_PARTS];
        for ((slot, payload), part) in objects.iter_mut().zip(parts.clone()).zip(0u8..) {
            *slot = (!payload.is_empty()).then(|| object(bundle, Track::Stage { part }, payload));
        }
        let mut filled = parts.filter(|part| !part.is_empty());
        let whole = match (filled.next(), filled.next()) {
            (Some(first), Some(second)) => Some(Bytes::from([first, second].concat())),
            (first, _) => first,
        };
        let whole = whole.map(|payload| {
            let object = object(bundle, Track::StageGroups, payload);
            let (group, number) = (bundle.group / TICKS_PER_GROUP, bundle.group % TICKS_PER_GROUP);
            Object { group, object: number, end_of_group: number + 1 == TICKS_PER_GROUP, ..object }
        });
        Self { without, redundant, parts: objects, whole }
    }
}

fn object(bundle: &TickBundle, track: Track, payload: Bytes) -> Object {
    Object {
        space: bundle.space,
        track,
        group: bundle.group,
        object: 0,
        end_of_group: true,
        timestamp: bundle.group.saturating_mul(TICK_SAMPLES),
        payload,
    }
}

/// Seats of `frames`.
pub(crate) fn mask(frames: &[RecordedFrame]) -> SeatMask {
    frames.iter().fold(0, |mask, frame| mask | frame.seat.bit())
}

/// A finished tick.
pub(crate) fn finish(
    space: SpaceId,
    version: u64,
    group: u64,
    all: Arc<[RecordedFrame]>,
    heard: Arc<[RecordedFrame]>,
) -> TickBundle {
    let parts = encode(&heard, &[], 0);
    TickBundle { space, version, group, heard, all, parts }
}

/// The same tick without some seats. What remains keeps its part, so that nothing is sent twice or left out where a part
/// has gone out already.
pub(crate) fn without(bundle: &TickBundle, seats: SeatMask) -> TickBundle {
    let keep = |frames: &Arc<[RecordedFrame]>| -> Arc<[RecordedFrame]> {
        frames.iter().filter(|frame| frame.seat.bit() & seats == 0).cloned().collect()
    };
    let parts = bundle.parts.iter().map(|part| {
        let kept = bundle::entries(part).flatten().filter(|entry| entry.seat.bit() & seats == 0);
        bundle::encode(kept).into_iter().next().unwrap_or_default()
    });
    TickBundle {
        space: bundle.space,
        version: bundle.version,
        group: bundle.group,
        heard: keep(&bundle.heard),
        all: keep(&bundle.all),
        parts: parts.collect(),
    }
}

/// Payloads of a tick: the frames `heard`, then as many of the tick before as there is room for.
fn encode(heard: &[RecordedFrame], repeated: &[RecordedFrame], without: SeatMask) -> Vec<Bytes> {
    let kept = |frame: &&RecordedFrame| frame.seat.bit() & without == 0;
    let mut parts: Vec<BytesMut> = vec![BytesMut::new()];
    for frame in heard.iter().filter(kept) {
        let entry = frame.entry(false);
        if parts.last().is_some_and(|part| part.len() + entry.size() > MAX_PAYLOAD) && parts.len() < MAX_PARTS {
            parts.push(BytesMut::new());
        }
        put(parts.last_mut(), entry);
    }
    for frame in repeated.iter().filter(kept) {
        let entry = frame.entry(true);
        let room = parts.iter().position(|part| part.len() + entry.size() <= MAX_PAYLOAD);
        if room.is_none() && parts.len() < MAX_PARTS {
            parts.push(BytesMut::new());
        }
        put(parts.get_mut(room.unwrap_or(MAX_PARTS - 1)), entry);
    }
    parts.into_iter().map(BytesMut::freeze).filter(|part| !part.is_empty()).collect()
}

/// Appends an entry if there is room.
fn put(part: Option<&mut BytesMut>, entry: Entry<'_>) {
    if let Some(part) = part.filter(|part| part.len() + entry.size() <= MAX_PAYLOAD) {
        entry.write(part);
    }
}

impl RecordedFrame {
    /// The frame as an entry of a bundle.
    pub(crate) fn entry(&self, redundant: bool) -> Entry<'_> {
        Entry { seat: self.seat, level: self.level, spurt: self.spurt, redundant, opus: &self.opus }
    }
}
