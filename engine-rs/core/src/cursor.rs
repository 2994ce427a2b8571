//! One listener's place in the Space's ring of ticks.
//!
//! A listener costs O(1) memory, whatever waits for it: positions in the shared ring, not queues. What can be sent is sent at
//! once; nothing is held back here. A connection that takes nothing keeps its place until the tick there is past its deadline,
//! then goes on with the newest one.

use crate::captions::Captions;
use crate::command::MixFor;
use crate::engine::{Advice, Feedback, Object, Sent, Sink, Track};
use crate::ids::{SeatMask, SeatNo, SessionKey};
use crate::mix::MAX_TICKS;
use crate::mix_ring::{MixLine, MixRing};
use crate::path::Path;
use crate::ring::Ring;
use crate::stats::EngineStats;
use crate::time::{TICK, Time};

/// Ticks that a joiner gets at once.
pub(crate) const PREFILL: u64 = 5;

const STAGE: u16 = 1;
const STAGE_1: u16 = 1 << 1;
const GROUPS: u16 = 1 << 2;
const STATE: u16 = 1 << 3;
const CATALOG: u16 = 1 << 4;
/// The catalog has not been sent since it was asked for.
const CATALOG_OWED: u16 = 1 << 5;
const MIX: u16 = 1 << 6;
const MIX_GROUPS: u16 = 1 << 7;
const CAPTIONS: u16 = 1 << 8;
/// No track: a service session, which gets of `seat/<n>` only what may be captioned.
const SERVICE: u16 = 1 << 9;
/// No track: two bits that number the phase in which it gets packets of the mix.
const PHASE: u32 = 10;

/// What there is something new of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// A tick of the stage.
    Tick,
    /// A packet of the mix, of this phase.
    Mix(u8),
    /// State, catalog, captions.
    Words,
}

impl News {
    /// How many there are.
    pub(crate) const NUMBER: usize = 2 + MAX_TICKS;

    /// All of them, the most urgent first: a tick, the phase of the mix that waits longest, words. `newest` is the phase
    /// that had its packet last; they have them in turn.
    pub(crate) fn all(newest: u8) -> [Self; Self::NUMBER] {
        let phase = |behind: u8| Self::Mix((newest + behind) % MAX_TICKS as u8);
        [Self::Tick, phase(1), phase(2), phase(3), Self::Words]
    }

    /// Below [`News::NUMBER`].
    pub(crate) const fn index(self) -> usize {
        match self {
            Self::Tick => 0,
            Self::Words => 1,
            Self::Mix(phase) => 2 + phase as usize,
        }
    }
}

/// What a Space says beside its ticks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Documents {
    /// The latest state, and its number among all that this shard was given (from 1).
    pub(crate) state: Option<(u32, Object)>,
    /// What was said last behind a snapshot: its number, and what it says with each advice.
    pub(crate) pulse: Option<(u32, ByAdvice)>,
    /// Who is told to hear the mix; `None`: there is none.
    pub(crate) mix_for: Option<MixFor>,
    /// The catalog.
    pub(crate) catalog: Option<Object>,
}

/// The same with each advice.
#[derive(Clone, Debug)]
pub(crate) struct ByAdvice {
    pub(crate) stage_only: Object,
    pub(crate) stage: Object,
    pub(crate) mix: Object,
}

impl ByAdvice {
    const fn get(&self, advice: Advice) -> &Object {
        match advice {
            Advice::StageOnly => &self.stage_only,
            Advice::Stage => &self.stage,
            Advice::Mix => &self.mix,
        }
    }
}

/// What there is to send in a Space.
#[derive(Debug)]
pub(crate) struct Offer<'a> {
    pub(crate) ring: &'a mut Ring,
    pub(crate) mix: &'a MixRing,
    pub(crate) captions: &'a Captions,
    pub(crate) documents: &'a Documents,
}

/// Where who subscribes begins.
#[derive(Debug)]
pub(crate) struct Beginnings<'a> {
    pub(crate) ring: &'a Ring,
    pub(crate) mix: &'a MixRing,
    pub(crate) captions: &'a Captions,
    pub(crate) documents: &'a Documents,
}

/// What listeners follow, one position after the other.
pub(crate) trait Line {
    /// The position behind the newest.
    fn end(&self) -> u64;
    /// When that at `position` came, if it is still there.
    fn entered(&self, position: u64) -> Option<Time>;
}

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Listener {
    pub(crate) session: SessionKey,
    tracks: u16,
    /// Part 0 of the tick at `stage` has been sent.
    half: bool,
    /// The seats of this listener's own account: left out of the stage.
    pub(crate) own: SeatMask,
    /// `seat/<n>` tracks.
    seats: SeatMask,
    /// Of these, sent already of the tick at `each`.
    seats_done: SeatMask,
    stage: u64,
    /// Positions that count as `stage` does, and in the mix: 32 bits are 900 days of ticks, or packets.
    groups: u32,
    each: u32,
    mix: u32,
    mix_groups: u32,
    /// Position in the captions.
    captions: u32,
    /// Number of the state sent last.
    state: u32,
    /// Number of what was sent last behind it.
    pulse: u32,
    path: Path,
    /// Waits for the next delivery outside the general one.
    pub(crate) touched: bool,
}

impl Listener {
    pub(crate) fn new(session: SessionKey, service: bool) -> Self {
        Self {
            session,
            tracks: if service { SERVICE } else { 0 },
            half: false,
            own: 0,
            seats: 0,
            seats_done: 0,
            stage: 0,
            groups: 0,
            each: 0,
            mix: 0,
            mix_groups: 0,
            captions: 0,
            state: 0,
            pulse: 0,
            path: Path::default(),
            touched: false,
        }
    }

    /// Takes a track from now on, beginning with the last few ticks (or the document as it stands); the mix in this phase.
    pub(crate) fn subscribe(&mut self, track: Track, from: &Beginnings<'_>, phase: u8) {
        let ring = from.ring;
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
                self.groups = first as u32;
            }
            Track::Seat(seat) => {
                if self.seats == 0 {
                    self.each = first as u32;
                    self.seats_done = 0;
                }
                self.seats |= seat.bit();
            }
            Track::State => {
                self.tracks |= STATE;
                self.state = 0;
                // What was said before is not repeated: reactions are of their moment, and counts come anew.
                self.pulse = from.documents.pulse.as_ref().map_or(0, |(number, _)| *number);
            }
            Track::Mix => {
                self.tracks = self.tracks & !(0b11 << PHASE) | MIX | u16::from(phase) << PHASE;
                self.mix = from.mix.line(phase).map_or(0, |line| line.prefill() as u32);
            }
            Track::MixGroups => {
                self.tracks |= MIX_GROUPS;
                self.mix_groups = from.mix.line(0).map_or(0, |line| line.prefill() as u32);
            }
            Track::Captions => {
                self.tracks |= CAPTIONS;
                self.captions = from.captions.start();
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
            Track::Mix => self.tracks &= !MIX,
            Track::MixGroups => self.tracks &= !MIX_GROUPS,
            Track::Captions => self.tracks &= !CAPTIONS,
            Track::Catalog => self.tracks &= !(CATALOG | CATALOG_OWED),
        }
    }

    /// May have to be sent something for these news.
    pub(crate) const fn wants(&self, news: News) -> bool {
        match news {
            News::Tick => self.tracks & (STAGE | STAGE_1 | GROUPS) != 0 || self.seats != 0,
            News::Mix(phase) => {
                self.tracks & MIX != 0 && self.phase() == phase || self.tracks & MIX_GROUPS != 0 && phase == 0
            }
            News::Words => self.tracks & (STATE | CATALOG | CAPTIONS) != 0,
        }
    }

    /// In which it gets packets of the mix.
    const fn phase(&self) -> u8 {
        (self.tracks >> PHASE) as u8 & 0b11
    }

    /// The phase in which it hears the mix; `None`: it does not.
    pub(crate) const fn hears_mix_in(&self) -> Option<u8> {
        if self.tracks & MIX != 0 { Some(self.phase()) } else { None }
    }

    /// A service session.
    pub(crate) const fn service(&self) -> bool {
        self.tracks & SERVICE != 0
    }

    /// Gets captions.
    pub(crate) const fn reads(&self) -> bool {
        self.tracks & CAPTIONS != 0
    }

    /// What the connection reported about itself. True if the listener is to be advised otherwise than before.
    pub(crate) fn feedback(&mut self, feedback: Feedback, mix_for: Option<MixFor>) -> bool {
        let before = self.advice(mix_for);
        let changed = self.path.report(feedback.sent, feedback.lost, feedback.rtt_us);
        changed && self.tracks & STATE != 0 && self.advice(mix_for) != before
    }

    const fn advice(&self, mix_for: Option<MixFor>) -> Advice {
        match mix_for {
            None => Advice::StageOnly,
            Some(_) if self.own != 0 => Advice::StageOnly,
            Some(MixFor::Everybody) => Advice::Mix,
            Some(MixFor::Weak) if self.path.weak() => Advice::Mix,
            Some(MixFor::Weak | MixFor::Nobody) => Advice::Stage,
        }
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
        if self.tracks & (MIX | MIX_GROUPS) != 0 {
            all &= self.deliver_mix(now, offer.mix, &mut out);
        }
        if self.tracks & CAPTIONS != 0 {
            all &= self.deliver_captions(offer.captions, &mut out);
        }
        if self.tracks & (STATE | CATALOG_OWED) != 0 {
            all &= self.deliver_documents(offer.documents, &mut out);
        }
        all
    }

    fn deliver_stage<S: Sink + ?Sized>(&mut self, now: Time, ring: &mut Ring, out: &mut Out<'_, S>) -> bool {
        while let Some(skipped) = catch_up(&mut self.stage, ring, now, self.path, out.stats) {
            self.half &= skipped == 0;
            self.path.skipped(skipped);
            let Some(variant) = ring.variant(self.stage, self.own, self.path.lossy()) else { return true };
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
        let mut at = u64::from(self.groups);
        let mut all = true;
        while all && catch_up(&mut at, ring, now, self.path, out.stats).is_some() {
            let Some(variant) = ring.variant(at, self.own, false) else { break };
            all = variant.whole.as_ref().is_none_or(|object| out.send(object));
            at += u64::from(all);
        }
        self.groups = at as u32;
        all
    }

    fn deliver_seats<S: Sink + ?Sized>(&mut self, now: Time, ring: &mut Ring, out: &mut Out<'_, S>) -> bool {
        let mut at = u64::from(self.each);
        while let Some(skipped) = catch_up(&mut at, ring, now, self.path, out.stats) {
            self.each = at as u32;
            if skipped > 0 {
                self.seats_done = 0;
            }
            let mut left = self.seats & !self.seats_done;
            while let Some(seat) = SeatNo::new(left.trailing_zeros() as u8) {
                left &= !seat.bit();
                let object = if self.service() { ring.tapped(at, seat) } else { ring.seat(at, seat) };
                if let Some(object) = object
                    && !out.send(object)
                {
                    return false;
                }
                self.seats_done |= seat.bit();
            }
            self.seats_done = 0;
            at += 1;
        }
        self.each = at as u32;
        true
    }

    fn deliver_mix<S: Sink + ?Sized>(&mut self, now: Time, ring: &MixRing, out: &mut Out<'_, S>) -> bool {
        let (Some(own), Some(first)) = (ring.line(self.phase()), ring.line(0)) else { return true };
        if self.own != 0 {
            (self.mix, self.mix_groups) = (own.end() as u32, first.end() as u32);
            return true;
        }
        let path = &mut self.path;
        let datagrams = self.tracks & MIX == 0 || deliver_line(now, &mut self.mix, own, path, MixLine::datagram, out);
        let groups =
            self.tracks & MIX_GROUPS == 0 || deliver_line(now, &mut self.mix_groups, first, path, MixLine::object, out);
        datagrams && groups
    }

    fn deliver_captions<S: Sink + ?Sized>(&mut self, captions: &Captions, out: &mut Out<'_, S>) -> bool {
        self.captions = self.captions.max(captions.start());
        while self.captions < captions.end() {
            if let Some(object) = captions.get(self.captions)
                && !out.send(object)
            {
                return false;
            }
            self.captions += 1;
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
            if !out.send(pulse.get(self.advice(documents.mix_for))) {
                return false;
            }
            self.pulse = *number;
        }
        true
    }
}

/// Sends what there is of the mix, by one of its two objects a packet. False if the connection took less.
fn deliver_line<S: Sink + ?Sized>(
    now: Time,
    position: &mut u32,
    ring: &MixLine,
    path: &mut Path,
    object: impl Fn(&MixLine, u64) -> Option<&Object>,
    out: &mut Out<'_, S>,
) -> bool {
    let mut at = u64::from(*position);
    let mut all = true;
    while all && let Some(skipped) = catch_up(&mut at, ring, now, *path, out.stats) {
        path.skipped(skipped);
        all = object(ring, at).is_none_or(|object| out.send(object));
        at += u64::from(all);
    }
    *position = at as u32;
    all
}

/// Moves a position past what is too old: to the newest, or behind it if that is too old as well. How many were skipped;
/// `None` if there is nothing to send.
fn catch_up(position: &mut u64, ring: &impl Line, now: Time, path: Path, stats: &mut EngineStats) -> Option<u64> {
    let (from, end) = (*position, ring.end());
    if from >= end {
        return None;
    }
    let deadline = path.deadline();
    let stale = |position: u64| ring.entered(position).is_none_or(|at| now.0.saturating_sub(at.0) > deadline);
    // No more is sent at once than comes within the deadline.
    if end - from > deadline / TICK.as_micros() as u64 || stale(from) {
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
}
