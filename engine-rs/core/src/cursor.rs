//! One listener's place in the Space's ring of ticks.
//!
//! A listener costs O(1) memory, whatever waits for it: positions in the shared ring, not queues. What can be sent is sent at
//! once; nothing is held back here. A connection that takes nothing keeps its place until the tick there is past its deadline,
//! then goes on with the newest one.

use crate::engine::{Object, Sent, Sink, Track};
use crate::ids::{SeatMask, SeatNo, SessionKey};
use crate::ring::Ring;
use crate::stats::EngineStats;
use crate::time::Time;

/// A tick that a listener could not be sent for so long is skipped, in microseconds.
pub(crate) const DEADLINE: u64 = 200_000;
/// More ticks than this are not sent behind one another.
const BACKLOG: u64 = 10;
/// Ticks that a joiner gets at once.
pub(crate) const PREFILL: u64 = 5;

const STAGE: u8 = 1;
const STAGE_1: u8 = 1 << 1;
const GROUPS: u8 = 1 << 2;
const STATE: u8 = 1 << 3;
const CATALOG: u8 = 1 << 4;
/// The catalog has not been sent since it was asked for.
const CATALOG_OWED: u8 = 1 << 5;

/// What a Space says beside its ticks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Documents {
    /// The latest state, and its number among all that this shard was given (from 1).
    pub(crate) state: Option<(u32, Object)>,
    /// What was said last behind a snapshot, and its number.
    pub(crate) pulse: Option<(u32, Object)>,
    /// The catalog.
    pub(crate) catalog: Option<Object>,
}

/// What there is to send in a Space.
#[derive(Debug)]
pub(crate) struct Offer<'a> {
    pub(crate) ring: &'a mut Ring,
    pub(crate) documents: &'a Documents,
}

/// Measures loss from what the connection's acknowledgements say.
#[derive(Clone, Copy, Debug, Default)]
struct Loss {
    sent: u16,
    lost: u16,
    /// Windows in a row with next to no loss.
    calm: u8,
    high: bool,
}

impl Loss {
    /// Packets that are judged together: a second of talk.
    const WINDOW: u16 = 50;
    /// Windows without loss until redundancy ends.
    const CALM: u8 = 5;

    fn report(&mut self, sent: u32, lost: u32) {
        self.sent = self.sent.saturating_add(u16::try_from(sent).unwrap_or(u16::MAX));
        self.lost = self.lost.saturating_add(u16::try_from(lost).unwrap_or(u16::MAX));
        if self.sent < Self::WINDOW {
            return;
        }
        let per_mille = u32::from(self.lost) * 1_000 / u32::from(self.sent);
        (self.sent, self.lost) = (0, 0);
        match per_mille {
            20.. => (self.high, self.calm) = (true, 0),
            6.. => self.calm = 0,
            _ => {
                self.calm = (self.calm + 1).min(Self::CALM);
                self.high &= self.calm < Self::CALM;
            }
        }
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Listener {
    pub(crate) session: SessionKey,
    tracks: u8,
    /// Part 0 of the tick at `stage` has been sent.
    half: bool,
    /// The seats of this listener's own account: left out of the stage.
    pub(crate) own: SeatMask,
    /// `seat/<n>` tracks.
    seats: SeatMask,
    /// Of these, sent already of the tick at `each`.
    seats_done: SeatMask,
    stage: u64,
    groups: u64,
    each: u64,
    /// Number of the state sent last.
    state: u32,
    /// Number of what was sent last behind it.
    pulse: u32,
    loss: Loss,
    /// Waits for the next delivery outside the general one.
    pub(crate) touched: bool,
}

impl Listener {
    pub(crate) fn new(session: SessionKey) -> Self {
        Self {
            session,
            tracks: 0,
            half: false,
            own: 0,
            seats: 0,
            seats_done: 0,
            stage: 0,
            groups: 0,
            each: 0,
            state: 0,
            pulse: 0,
            loss: Loss::default(),
            touched: false,
        }
    }

    /// Takes a track from now on, beginning with the last few ticks (or the document as it stands).
    pub(crate) fn subscribe(&mut self, track: Track, ring: &Ring, documents: &Documents) {
        let first = ring.end().saturating_sub(PREFILL).max(ring.start());
        match track {
            Track::Stage { part } => {
                let flag = if part == 0 { STAGE } else { STAGE_1 };
                let other = self.tracks & (STAGE | STAGE_1) & !flag;
                if other == 0 {
                    self.stage = first;
                    self.half = false;
                }
                self.tracks |= flag;
            }
            Track::StageGroups => {
                self.tracks |= GROUPS;
                self.groups = first;
            }
            Track::Seat(seat) => {
                if self.seats == 0 {
                    self.each = first;
                    self.seats_done = 0;
                }
                self.seats |= seat.bit();
            }
            Track::State => {
                self.tracks |= STATE;
                self.state = 0;
                // What was said before is not repeated: reactions are of their moment, and counts come anew.
                self.pulse = documents.pulse.as_ref().map_or(0, |(number, _)| *number);
            }
            Track::Catalog => self.tracks |= CATALOG | CATALOG_OWED,
        }
    }

    pub(crate) fn unsubscribe(&mut self, track: Track) {
        match track {
            Track::Stage { part: 0 } => self.tracks &= !STAGE,
            Track::Stage { .. } => self.tracks &= !STAGE_1,
            Track::StageGroups => self.tracks &= !GROUPS,
            Track::Seat(seat) => self.seats &= !seat.bit(),
            Track::State => self.tracks &= !STATE,
            Track::Catalog => self.tracks &= !(CATALOG | CATALOG_OWED),
        }
    }

    pub(crate) fn feedback(&mut self, sent: u32, lost: u32) {
        self.loss.report(sent, lost);
    }

    /// Sends what there is. False if the connection took less.
    pub(crate) fn deliver<S: Sink + ?Sized>(
        &mut self,
        now: Time,
        offer: &mut Offer<'_>,
        sink: &mut S,
        stats: &mut EngineStats,
    ) -> bool {
        let mut out = Out { session: self.session, sink, stats };
        let mut all = true;
        if self.tracks & (STAGE | STAGE_1) != 0 {
            all &= self.deliver_stage(now, offer.ring, &mut out);
        }
        if self.tracks & GROUPS != 0 {
            all &= self.deliver_groups(now, offer.ring, &mut out);
        }
        if self.seats != 0 {
            all &= self.deliver_seats(now, offer.ring, &mut out);
        }
        if self.tracks & (STATE | CATALOG_OWED) != 0 {
            all &= self.deliver_documents(offer.documents, &mut out);
        }
        all
    }

    fn deliver_stage<S: Sink + ?Sized>(&mut self, now: Time, ring: &mut Ring, out: &mut Out<'_, S>) -> bool {
        while let Some(skipped) = catch_up(&mut self.stage, ring, now, out.stats) {
            self.half &= skipped == 0;
            let Some(variant) = ring.variant(self.stage, self.own, self.loss.high) else { return true };
            let [first, second] = &variant.parts;
            if let Some(object) = first.as_ref().filter(|_| self.tracks & STAGE != 0 && !self.half) {
                if !out.send(object) {
                    return false;
                }
                out.stats.redundant += u64::from(variant.redundant);
            }
            self.half = true;
            if let Some(object) = second.as_ref().filter(|_| self.tracks & STAGE_1 != 0)
                && !out.send(object)
            {
                return false;
            }
            self.half = false;
            self.stage += 1;
        }
        true
    }

    fn deliver_groups<S: Sink + ?Sized>(&mut self, now: Time, ring: &mut Ring, out: &mut Out<'_, S>) -> bool {
        while catch_up(&mut self.groups, ring, now, out.stats).is_some() {
            let Some(variant) = ring.variant(self.groups, self.own, false) else { return true };
            if let Some(object) = &variant.whole
                && !out.send(object)
            {
                return false;
            }
            self.groups += 1;
        }
        true
    }

    fn deliver_seats<S: Sink + ?Sized>(&mut self, now: Time, ring: &mut Ring, out: &mut Out<'_, S>) -> bool {
        while let Some(skipped) = catch_up(&mut self.each, ring, now, out.stats) {
            if skipped > 0 {
                self.seats_done = 0;
            }
            let mut left = self.seats & !self.seats_done;
            while let Some(seat) = SeatNo::new(left.trailing_zeros() as u8) {
                left &= !seat.bit();
                if let Some(object) = ring.seat(self.each, seat)
                    && !out.send(object)
                {
                    return false;
                }
                self.seats_done |= seat.bit();
            }
            self.seats_done = 0;
            self.each += 1;
        }
        true
    }

    fn deliver_documents<S: Sink + ?Sized>(&mut self, documents: &Documents, out: &mut Out<'_, S>) -> bool {
        if self.tracks & CATALOG_OWED != 0
            && let Some(catalog) = &documents.catalog
        {
            if !out.send(catalog) {
                return false;
            }
            self.tracks &= !CATALOG_OWED;
        }
        if self.tracks & STATE != 0
            && let Some((number, state)) = documents.state.as_ref().filter(|(number, _)| *number != self.state)
        {
            if !out.send(state) {
                return false;
            }
            self.state = *number;
        }
        if self.tracks & STATE != 0
            && let Some((number, pulse)) = documents.pulse.as_ref().filter(|(number, _)| *number != self.pulse)
        {
            if !out.send(pulse) {
                return false;
            }
            self.pulse = *number;
        }
        true
    }
}

/// Moves a position past what is too old: to the newest tick, or behind it if that is too old as well. Ticks skipped; `None`
/// if there is nothing to send.
fn catch_up(position: &mut u64, ring: &Ring, now: Time, stats: &mut EngineStats) -> Option<u64> {
    let (from, end) = (*position, ring.end());
    if from >= end {
        return None;
    }
    let stale = |position: u64| ring.entered(position).is_none_or(|at| now.0.saturating_sub(at.0) > DEADLINE);
    if end - from > BACKLOG || stale(from) {
        *position = if stale(end - 1) { end } else { end - 1 };
    }
    stats.skipped += *position - from;
    (*position < end).then_some(*position - from)
}

struct Out<'a, S: ?Sized> {
    session: SessionKey,
    sink: &'a mut S,
    stats: &'a mut EngineStats,
}

impl<S: Sink + ?Sized> Out<'_, S> {
    fn send(&mut self, object: &Object) -> bool {
        match self.sink.send(self.session, object) {
            Sent::Yes => {
                self.stats.objects += 1;
                true
            }
            Sent::Blocked => {
                self.stats.blocked += 1;
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_is_one_cache_line() {
        assert!(size_of::<Listener>() <= 64, "{}", size_of::<Listener>());
    }

    #[test]
    fn redundancy_begins_with_loss_and_ends_only_after_calm() {
        let mut loss = Loss::default();
        loss.report(49, 10);
        assert!(!loss.high, "one window is not full yet");
        loss.report(1, 0);
        assert!(loss.high);
        for window in 0..20 {
            loss.report(50, u32::from(window % 4 == 3));
            assert!(loss.high, "1 % once in a while is not calm");
        }
        for _ in 0..5 {
            assert!(loss.high);
            loss.report(100, 0);
        }
        assert!(!loss.high);
        loss.report(u32::MAX, u32::MAX);
        assert!(loss.high);
    }
}
