//! The stage of one Space: its seats' jitter buffers, and the tick that joins them.
//!
//! A tick goes out when the frames of all talking seats are in, at the latest 10 ms after it is due (or, where a seat's later
//! frame is in, 10 ms after that one came). Nothing goes out in silence. Groups strictly increase.

use std::sync::Arc;

use crate::cadence::{Cadence, Micros, micros, time};
use crate::ids::{MAX_SEATS, SeatMask, SeatNo};
use crate::jitter::{Jitter, Placed, Surroundings};
use crate::record::RecordedFrame;
use crate::seat::{self, Rejected};
use crate::time::Time;
use crate::uplink::UplinkFrame;

/// A talking seat without a frame for so long has ended its talkspurt, in microseconds.
const SILENCE: u64 = 100_000;

/// One seat.
#[derive(Clone, Debug)]
struct Seat {
    state: seat::State,
    generation: u32,
    jitter: Jitter,
    last_frame: Time,
    /// Nothing of it was sent since it was given or silenced: what comes next begins a talkspurt, whatever it says.
    fresh: bool,
}

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// The jitter buffer's answer.
    Placed(Placed),
    /// The seat's answer.
    Rejected(Rejected),
}

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Stage {
    cadence: Cadence,
    seats: [Seat; MAX_SEATS],
    emitted: Option<u64>,
}

impl Stage {
    pub(crate) fn new(cadence: Cadence) -> Self {
        let seats = core::array::from_fn(|_| Seat {
            state: seat::State::Empty,
            generation: 0,
            jitter: Jitter::new(),
            last_frame: Time(0),
            fresh: true,
        });
        Self { cadence, seats, emitted: None }
    }

    /// Counts groups from another start. What was sent stays sent: groups go on increasing.
    pub(crate) fn set_cadence(&mut self, cadence: Cadence) {
        self.cadence = cadence;
        for seat in &mut self.seats {
            seat.jitter.clear();
        }
    }

    /// The last group sent out.
    pub(crate) const fn emitted(&self) -> Option<u64> {
        self.emitted
    }

    /// The group that a tick beginning now would have.
    pub(crate) fn group(&self, now: Time) -> u64 {
        self.cadence.slot(micros(now)).max(self.emitted.map_or(0, |emitted| emitted.saturating_add(1)))
    }

    /// Frames left out and ticks left empty to keep seats in media time.
    pub(crate) fn slips(&self) -> (u64, u64) {
        self.seats.iter().fold((0, 0), |sum, seat| (sum.0 + seat.jitter.slips.0, sum.1 + seat.jitter.slips.1))
    }

    /// Steps a seat's state machine.
    pub(crate) fn step(&mut self, seat: SeatNo, event: seat::Event) -> Result<seat::State, Rejected> {
        let Some(seat) = self.seats.get_mut(seat.index()) else { return Err(Rejected::Impossible) };
        seat.state = seat.state.after(event)?;
        Ok(seat.state)
    }

    /// A new connection publishes the seat: its frame counter says nothing about the one before.
    pub(crate) fn restart(&mut self, seat: SeatNo) {
        if let Some(seat) = self.seats.get_mut(seat.index()) {
            seat.fresh = true;
            seat.jitter.clear();
        }
    }

    /// Says who sits there from now on.
    pub(crate) fn set_generation(&mut self, seat: SeatNo, generation: u32) {
        if let Some(seat) = self.seats.get_mut(seat.index()) {
            seat.fresh |= seat.generation != generation;
            seat.generation = generation;
        }
    }

    /// Drops everything that is held of `seats`.
    pub(crate) fn silence(&mut self, seats: SeatMask) {
        for (number, seat) in self.seats.iter_mut().enumerate() {
            if seats >> number & 1 == 1 {
                seat.fresh = true;
                seat.jitter.clear();
            }
        }
    }

    /// Takes a frame of `seat`. The state before it, for who wants to know whether a talkspurt began.
    pub(crate) fn push(&mut self, now: Time, number: SeatNo, frame: UplinkFrame) -> (Taken, seat::State) {
        let alone = self.seats.iter().enumerate().all(|(other, seat)| {
            other == number.index() || (seat.state != seat::State::Talking && seat.jitter.first().is_none())
        });
        let emitted = self.emitted;
        let Some(seat) = self.seats.get_mut(number.index()) else {
            return (Taken::Rejected(Rejected::NoSeat), seat::State::Empty);
        };
        let before = seat.state;
        let after = match before.after(seat::Event::Frame) {
            Ok(after) => after,
            Err(why) => return (Taken::Rejected(why), before),
        };
        let talking = before == seat::State::Talking;
        let placed = seat.jitter.push(now, frame, Surroundings { emitted, alone, talking }, &mut self.cadence);
        if placed == Placed::Held {
            seat.state = after;
            seat.last_frame = now;
        }
        (Taken::Placed(placed), before)
    }

    /// The next tick and when it goes out.
    fn next(&self) -> Option<(u64, Micros)> {
        let tick = self.seats.iter().filter_map(|seat| seat.jitter.first()).min()?;
        let waits = self
            .seats
            .iter()
            .filter_map(|seat| seat.jitter.wait(tick, &self.cadence, seat.state == seat::State::Talking));
        Some((tick, waits.max()?))
    }

    /// When [`Self::poll`] has something to do.
    pub(crate) fn next_timeout(&self) -> Option<Time> {
        let tick = self.next().map(|(_, at)| time(at));
        let silence = self.seats.iter().filter(|seat| seat.state == seat::State::Talking).map(Seat::silent_at).min();
        [tick, silence].into_iter().flatten().min()
    }

    /// The next finished tick: its group and all its frames, in order of seat.
    pub(crate) fn poll(&mut self, now: Time) -> Option<(u64, Arc<[RecordedFrame]>)> {
        for seat in &mut self.seats {
            if seat.state == seat::State::Talking && seat.silent_at() <= now {
                seat.leave_spurt(seat::Event::SilenceTimeout);
            }
        }
        let (tick, at) = self.next()?;
        if at > micros(now) {
            return None;
        }
        let mut frames = Vec::with_capacity(MAX_SEATS);
        for (number, seat) in (0u8..).zip(&mut self.seats) {
            let (Some(number), Some(mut frame)) = (SeatNo::new(number), seat.jitter.take(tick)) else { continue };
            frame.spurt.start |= core::mem::take(&mut seat.fresh);
            if frame.spurt.end && seat.jitter.first().is_none() {
                seat.leave_spurt(seat::Event::SpurtEnded);
            }
            let generation = seat.generation;
            frames.push(RecordedFrame {
                seat: number,
                generation,
                level: frame.level,
                spurt: frame.spurt,
                opus: frame.opus,
            });
        }
        self.emitted = Some(tick);
        Some((tick, frames.into()))
    }
}

impl Seat {
    fn silent_at(&self) -> Time {
        Time(self.last_frame.0.saturating_add(SILENCE))
    }

    fn leave_spurt(&mut self, event: seat::Event) {
        if let Ok(state) = self.state.after(event) {
            self.state = state;
        }
    }
}
