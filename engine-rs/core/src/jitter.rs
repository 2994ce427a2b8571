//! A seat's jitter buffer: repairs one speaker's uplink once for everybody.
//!
//! Sequence numbers become ticks by an anchor that is set at every talkspurt start: tick = anchor + sequence difference. The
//! anchor is chosen so that 95 of 100 frames arrive by the time their tick is due. While the spread of arrivals is low the
//! depth is 0: frames go out as they come. Above, they are held until due. In continuous speech the anchor is moved one
//! frame at a time (a slip) when arrivals have drifted off their ticks: clocks that differ, or a network that changed.

use crate::cadence::{Cadence, Micros, TICK_MICROS, micros};
use crate::time::Time;
use crate::transit::Transit;
use crate::uplink::UplinkFrame;

/// How long a tick waits for what is missing, after it is due or after a later frame of the seat came.
pub(crate) const GRACE: Micros = 10_000;
/// A frame goes out at most this long before its tick is due.
const EARLY: Micros = 40_000;
/// Spread of arrivals above which frames are held, and below which they are not held any more.
const HOLD_ABOVE: Micros = 10_000;
const HOLD_BELOW: Micros = 7_000;
/// Largest playout depth: more delay than this is not added for any network.
const MAX_DEPTH: Micros = 160_000;
/// Frames whose tick was due so long ago, or will be due so far ahead, do not belong to this anchor.
const PLAUSIBLE_LATE: Micros = 500_000;
const PLAUSIBLE_EARLY: Micros = 400_000;
/// The slow frames may lie between these bounds relative to their due time before the anchor slips.
const SLIP_LATE: Micros = 8_000;
const SLIP_EARLY: Micros = 28_000;
/// Frames between two slips that add delay: enough to see what the last one did.
const SLIP_AFTER: u32 = 16;
/// The last four frames were late: no slow frame or two, the path has become slower.
const SLOWER: u32 = 0b1111;
/// Frames held at most.
const CAPACITY: usize = 48;
/// Sequences behind the newest of which it is known whether they came.
const SEEN: u64 = 128;

/// A frame with its tick.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) tick: u64,
    pub(crate) frame: UplinkFrame,
    arrived: Micros,
    /// Began a talkspurt without saying so: the frame that does may be right behind.
    onset: bool,
}

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Placed {
    /// It waits for its tick.
    Held,
    /// It came before.
    Duplicate,
    /// Its tick is gone.
    Late,
    /// Left out so that the seat keeps its place in media time.
    Slipped,
}

/// What the buffer must know about the stage.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Surroundings {
    /// The last tick sent out.
    pub(crate) emitted: Option<u64>,
    /// Nobody else talks, so the phase may be chosen afresh.
    pub(crate) alone: bool,
    /// The seat is in a talkspurt.
    pub(crate) talking: bool,
}

#[derive(Clone, Copy, Debug)]
struct Anchor {
    sequence: u64,
    tick: u64,
    /// The talkspurt's first frame, if that said so: what was sent before it belongs to nothing.
    first: Option<u64>,
}

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Jitter {
    anchor: Option<Anchor>,
    newest: u64,
    /// Bit n: sequence `newest − n` came.
    seen: u128,
    /// A frame out of all order; the stream has restarted if its neighbour follows.
    suspect: Option<u64>,
    transit: Transit,
    holding: bool,
    since_slip: u32,
    /// Of the last 32 frames, newest first: was it late?
    late: u32,
    /// Frames in a row that leave so much time that one may be left out.
    spare: u32,
    loudness: i32,
    held: Vec<Held>,
    /// The tick expected next.
    next: u64,
    /// Slips since the buffer was made: (frames left out, ticks left empty).
    pub(crate) slips: (u64, u64),
}

impl Jitter {
    pub(crate) const fn new() -> Self {
        Self {
            anchor: None,
            newest: 0,
            seen: 0,
            suspect: None,
            transit: Transit::new(),
            holding: false,
            since_slip: 0,
            late: 0,
            spare: 0,
            loudness: 0,
            held: Vec::new(),
            next: 0,
            slips: (0, 0),
        }
    }

    /// Forgets the stream; what is held is dropped.
    pub(crate) fn clear(&mut self) {
        *self = Self { slips: self.slips, holding: self.holding, transit: self.transit.clone(), ..Self::new() };
    }

    /// The earliest tick held.
    pub(crate) fn first(&self) -> Option<u64> {
        self.held.first().map(|held| held.tick)
    }

    /// Takes out the frame of `tick`.
    pub(crate) fn take(&mut self, tick: u64) -> Option<UplinkFrame> {
        let stale = self.held.iter().take_while(|held| held.tick < tick).count();
        self.held.drain(..stale);
        if self.first() != Some(tick) {
            return None;
        }
        self.next = tick.saturating_add(1);
        Some(self.held.remove(0).frame)
    }

    /// How long `tick` has to wait for this seat; `None`: not at all.
    pub(crate) fn wait(&self, tick: u64, cadence: &Cadence, talking: bool) -> Option<Micros> {
        let due = cadence.due(tick);
        let missing = |later: &Held| {
            let late = due.saturating_add(GRACE);
            if self.holding { late } else { late.min(later.arrived.saturating_add(GRACE)) }
        };
        match self.held.first() {
            Some(held) if held.tick <= tick => {
                let ready = if self.holding { due.max(held.arrived) } else { held.arrived.max(due - EARLY) };
                if held.onset {
                    return Some(ready.max(held.arrived.saturating_add(GRACE)));
                }
                let gap = !held.frame.spurt.start && self.next < tick && !self.holding;
                let before = cadence.due(tick.saturating_sub(1)).saturating_add(GRACE);
                Some(if gap { ready.max(before.min(held.arrived.saturating_add(GRACE))) } else { ready })
            }
            Some(held) => (!held.frame.spurt.start && self.next <= tick).then(|| missing(held)),
            None => (talking && self.next <= tick).then(|| due.saturating_add(GRACE)),
        }
    }

    /// Finds the frame's tick and keeps it until then.
    pub(crate) fn push(
        &mut self,
        now: Time,
        frame: UplinkFrame,
        around: Surroundings,
        cadence: &mut Cadence,
    ) -> Placed {
        let arrived = micros(now);
        let sequence = frame.sequence;
        let newest = match self.arrival(sequence, arrived, cadence) {
            Arrival::Duplicate => return Placed::Duplicate,
            Arrival::Newest => true,
            Arrival::Behind => false,
            Arrival::Elsewhere => {
                if !frame.spurt.start && !self.restarted(sequence) {
                    return Placed::Late;
                }
                self.anchor = None;
                true
            }
        };
        let mut onset = false;
        let mut tick = match self.anchor {
            Some(anchor) if !(newest && frame.spurt.start) => {
                let tick = self.tick(sequence).unwrap_or_default();
                let slack = cadence.due(tick).saturating_sub(arrived);
                if (-PLAUSIBLE_LATE..=PLAUSIBLE_EARLY).contains(&slack) {
                    if anchor.first.is_some_and(|first| (sequence.wrapping_sub(first) as i64) < 0) {
                        return Placed::Late;
                    }
                    onset = newest && !around.talking && self.held.is_empty() && !self.came(sequence.wrapping_sub(1));
                    tick
                } else if newest && self.restarted(sequence) {
                    self.begin(arrived, sequence, false, around, cadence)
                } else {
                    return Placed::Late;
                }
            }
            _ => {
                onset = !frame.spurt.start;
                self.begin(arrived, sequence, frame.spurt.start, around, cadence)
            }
        };
        self.mark(sequence, newest);
        self.transit.observe(sequence, arrived);
        self.holding = self.transit.spread() > if self.holding { HOLD_BELOW } else { HOLD_ABOVE };
        match self.slip(sequence, arrived, tick, &frame, newest, cadence) {
            Some(slipped) if newest => {
                tick = slipped;
                if around.emitted.is_some_and(|emitted| tick <= emitted)
                    || self.held.iter().any(|held| held.tick >= tick)
                {
                    return Placed::Slipped;
                }
            }
            _ => {}
        }
        if around.emitted.is_some_and(|emitted| tick <= emitted) {
            if around.talking || !newest {
                return Placed::Late;
            }
            // No tick waits for a seat that is silent. One that was given up while its path stalled would come after its
            // tick for ever: it begins anew.
            onset = true;
            tick = self.begin(arrived, sequence, false, around, cadence);
        }
        let place = self.held.partition_point(|held| held.tick < tick);
        if self.held.len() >= CAPACITY || self.held.get(place).is_some_and(|held| held.tick == tick) {
            return Placed::Late;
        }
        if let Some(behind) = self.held.get_mut(place).filter(|behind| behind.tick == tick + 1) {
            behind.onset = false;
        }
        self.held.insert(place, Held { tick, frame, arrived, onset });
        Placed::Held
    }

    /// Sets the anchor: the frame's tick is due when 95 of 100 would have come, and not before now.
    fn begin(&mut self, at: Micros, sequence: u64, exact: bool, around: Surroundings, cadence: &mut Cadence) -> u64 {
        let latest = at.saturating_add(MAX_DEPTH);
        let mut target = self.transit.expected(sequence, at).unwrap_or(at).clamp(at, latest);
        if !exact {
            target = target.max(at.saturating_add(GRACE));
        }
        let tick = if around.alone && self.held.is_empty() { cadence.align(target) } else { cadence.next_due(target) };
        let after = |tick: u64| tick.saturating_add(if exact { 1 } else { 2 });
        let tick = tick.max(around.emitted.map_or(0, after)).max(self.held.last().map_or(0, |held| after(held.tick)));
        self.anchor = Some(Anchor { sequence, tick, first: exact.then_some(sequence) });
        if self.held.is_empty() {
            self.next = if exact { tick } else { tick.saturating_sub(1) };
        }
        self.late = 0;
        self.spare = 0;
        self.since_slip = 0;
        tick
    }

    /// Moves the anchor if arrivals have drifted off their ticks: by one frame, or at once to where the path now delivers
    /// if that has become slower. The new tick of this frame.
    fn slip(
        &mut self,
        sequence: u64,
        arrived: Micros,
        tick: u64,
        frame: &UplinkFrame,
        newest: bool,
        cadence: &Cadence,
    ) -> Option<u64> {
        let due = cadence.due(tick);
        self.late = self.late << 1 | u32::from(arrived > due.saturating_add(SLIP_LATE));
        self.since_slip = self.since_slip.saturating_add(1);
        let level = i32::from(frame.level.minus_dbov()) * 16;
        let quiet = level > self.loudness;
        self.loudness += (level - self.loudness) / 16;
        let slack = due.saturating_sub(self.transit.expected(sequence, arrived)?);
        self.spare = if slack > SLIP_EARLY { self.spare.saturating_add(1) } else { 0 };
        let anchor = self.anchor.as_mut().filter(|_| newest)?;
        let slower = self.late & SLOWER == SLOWER;
        let drifted = self.since_slip >= SLIP_AFTER && self.late & 0xffff != 0;
        if slack < -SLIP_LATE && (slower || drifted) {
            let depth = slack + self.transit.spread();
            if depth < MAX_DEPTH {
                let behind = -slack - SLIP_LATE;
                let ticks = if slower { (behind + TICK_MICROS - 1) / TICK_MICROS } else { 1 }.max(1) as u64;
                let tick = tick.saturating_add(ticks);
                (anchor.sequence, anchor.tick) = (sequence, tick);
                self.since_slip = 0;
                self.late = 0;
                self.slips.1 = self.slips.1.saturating_add(ticks);
                return Some(tick);
            }
        }
        let patience = match slack {
            100_000.. => 10,
            48_000.. => 50,
            _ => 100,
        };
        // A quiet frame is missed least; there is not always one.
        if self.spare >= patience && (quiet || self.spare >= patience + 50) && !frame.spurt.end {
            (anchor.sequence, anchor.tick) = (sequence, tick.saturating_sub(1));
            self.spare = 0;
            self.slips.0 += 1;
            return Some(tick.saturating_sub(1));
        }
        None
    }

    fn tick(&self, sequence: u64) -> Option<u64> {
        let anchor = self.anchor?;
        Some(anchor.tick.saturating_add_signed(sequence.wrapping_sub(anchor.sequence) as i64))
    }

    fn came(&self, sequence: u64) -> bool {
        let behind = self.newest.wrapping_sub(sequence);
        self.seen != 0 && behind < SEEN && self.seen >> behind & 1 == 1
    }

    fn arrival(&self, sequence: u64, arrived: Micros, cadence: &Cadence) -> Arrival {
        if self.seen == 0 {
            return Arrival::Newest;
        }
        let ahead = sequence.wrapping_sub(self.newest) as i64;
        if ahead > 0 {
            return Arrival::Newest;
        }
        // No network repeats or delays a packet for so long, but a speaker may start again with a number used lately.
        let gone = self.tick(sequence).is_some_and(|tick| arrived.saturating_sub(cadence.due(tick)) > PLAUSIBLE_LATE);
        match self.newest.wrapping_sub(sequence) {
            SEEN.. => Arrival::Elsewhere,
            _ if gone => Arrival::Elsewhere,
            _ if self.came(sequence) => Arrival::Duplicate,
            _ => Arrival::Behind,
        }
    }

    fn mark(&mut self, sequence: u64, newest: bool) {
        if newest {
            let ahead = sequence.wrapping_sub(self.newest);
            self.seen = if ahead < SEEN && self.seen != 0 { self.seen << ahead } else { 0 } | 1;
            self.newest = sequence;
            self.suspect = None;
        } else {
            self.seen |= 1u128.checked_shl(self.newest.wrapping_sub(sequence) as u32).unwrap_or(0);
        }
    }

    /// A frame out of all order is believed when its neighbour follows.
    fn restarted(&mut self, sequence: u64) -> bool {
        let neighbour = self.suspect.is_some_and(|suspect| (1..4).contains(&sequence.wrapping_sub(suspect)));
        self.suspect = Some(sequence);
        neighbour
    }
}

enum Arrival {
    Newest,
    Behind,
    Duplicate,
    Elsewhere,
}
