//! What is played next: one clock of playing for all that a [`Source`] renders.
//!
//! The *delay* of the next tick is the time at which it will be played, less the time at which the fastest packets of that
//! tick come. The delay is steered to the target: at once in silence, by time-stretch in sound.
//!
//! ```text
//! state    next tick there        later ticks there           nothing there
//! Idle     → Waiting              → Waiting                   silence
//! Waiting  silence; → Playing     silence; → Playing          silence; → Idle
//!          when it is due         when the first is due
//! Playing  render it              render it (lost): while     bridge without moving on, while
//!                                 sounding; else → Waiting    sounding; else → Idle
//! Starved  → Playing              → Playing, less the ticks   bridge, while sounding; else → Idle
//!                                 that were bridged
//! ```
//! In Waiting and Playing, a backlog far over the target is cut: a stall of the network, or the burst with which a joiner
//! begins.

use std::collections::VecDeque;

use crate::time::Time;

use super::delay::{Arrival, DelayEstimator};
use super::stretch::{Change, Need, stretch};
use super::{FRAME, Frame, PlayoutConfig, PlayoutStats};

/// Longest target that a configuration may ask for.
const LONGEST_US: i64 = 500_000;
/// Ticks over the target at which a backlog is cut instead of played faster: 200 ms.
const BACKLOG: u64 = 10;
/// Delay over the target at which playing faster begins, and under it for slower.
const HIGH_US: i64 = 12_000;
const LOW_US: i64 = 4_000;
/// Off by this much, the pitch periods follow one another and need not be perfect.
const URGENT_US: i64 = 60_000;
/// Ticks from one stretch to the next.
const REST: u32 = 3;
/// The delay is smoothed over so many ticks.
const SMOOTH: i64 = 8;
/// The clock of playing takes this share of what it is off, a pull; from this on it is set anew.
const FOLLOW: i64 = 32;
const RESYNC_US: i64 = 150_000;
/// Silence is made in pieces of 5 ms, so that a new packet soon counts.
const SILENCE: usize = 240;

/// What a source rendered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rendered {
    Sound,
    Silence,
}

/// A rendered tick that is not played as it is: see [`Source::seam`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seam {
    /// So many samples of the tick are played …
    pub(crate) played: usize,
    /// … and these behind them.
    pub(crate) then: Vec<i16>,
}

/// One or many voices.
pub(crate) trait Source {
    /// The first tick from `from` on that has a packet.
    fn earliest(&self, from: u64) -> Option<u64>;
    /// The last tick that has, or had, a packet.
    fn newest(&self) -> Option<u64>;
    /// Whether a talkspurt is open: more packets should come.
    fn talking(&self) -> bool;
    /// Whether the last sound has not ended: a talkspurt is open, or fades out.
    fn sounding(&self) -> bool;
    /// The sound of `tick`.
    fn render(&mut self, tick: u64, out: &mut Frame) -> Rendered;
    /// More of the last sound, in place of packets that do not come.
    fn bridge(&mut self, out: &mut Frame) -> Rendered;
    /// The last of the sound before a jump to tick `to`.
    fn cut(&mut self, to: u64, out: &mut Frame) -> Rendered;
    /// How the tick rendered last is played, if not whole: where the sound goes on with another stream, whose samples are
    /// not of the same moment.
    fn seam(&mut self) -> Option<Seam> {
        None
    }
    /// Before each tick: whether the delay is what the target asks for. Answers by how many samples the target is to be
    /// raised, for a seam that will lower the delay.
    fn steady(&mut self, _steady: bool) -> usize {
        0
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Idle,
    Waiting,
    Playing,
    Starved,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Timeline {
    delay: DelayEstimator,
    min_us: i64,
    max_us: i64,
    state: State,
    /// The tick played next; ticks before it are late.
    next: u64,
    /// Rendered, not pulled.
    ready: VecDeque<i16>,
    /// When the next pull's first sample is played, if pulls come evenly.
    playing_us: i64,
    /// How far pulls reach ahead of the time at which they are made, at most, of late.
    ahead_us: i64,
    smooth_us: i64,
    rest: u32,
    /// Ticks bridged in a row.
    bridged: u32,
    /// What the source wants on top of the target.
    margin_us: i64,
    stats: PlayoutStats,
}

impl Timeline {
    pub(crate) fn new(config: PlayoutConfig) -> Self {
        let max_us = (i64::from(config.max_ms) * 1_000).min(LONGEST_US);
        let min_us = (i64::from(config.min_ms) * 1_000).min(max_us);
        let start_us = (i64::from(config.start_ms) * 1_000).clamp(min_us, max_us);
        Self {
            delay: DelayEstimator::new(start_us),
            min_us,
            max_us,
            state: State::Idle,
            next: 0,
            ready: VecDeque::with_capacity(4 * FRAME),
            playing_us: 0,
            ahead_us: 0,
            smooth_us: 0,
            rest: 0,
            bridged: 0,
            margin_us: 0,
            stats: PlayoutStats::default(),
        }
    }

    /// Something of `tick` came at `now`; see [`DelayEstimator::arrived`].
    pub(crate) fn arrived(&mut self, now: Time, tick: u64, recovers: bool) -> Arrival {
        let before = self.delay.expected_us(0);
        let arrival = self.delay.arrived(now, tick, recovers);
        match arrival {
            // The delay counts from the base.
            Arrival::Measured => {
                self.smooth_us = self.smooth_us.saturating_add(before.saturating_sub(self.delay.expected_us(0)));
            }
            Arrival::Refused => self.stats.refused_packets += 1,
            Arrival::Restarted => {
                self.state = State::Idle;
                self.next = 0;
            }
        }
        arrival
    }

    /// What [`Self::arrived`] is told from now on comes by another way, with ticks that may have come before.
    pub(crate) fn measure_anew(&mut self) {
        self.delay.forget_ticks();
    }

    /// Whether something of `tick` may come at `now`, without its being measured.
    pub(crate) fn plausible(&self, now: Time, tick: u64) -> bool {
        self.delay.plausible(now, tick)
    }

    /// Packets before this tick are late.
    pub(crate) const fn floor(&self) -> u64 {
        self.next
    }

    pub(crate) fn stats(&self) -> PlayoutStats {
        let mut stats = self.stats;
        stats.restarts = self.delay.restarts();
        stats.target_ms = (self.target_us() / 1_000) as u32;
        stats.delay_ms = (self.smooth_us / 1_000).clamp(0, i64::from(u32::MAX)) as u32;
        stats
    }

    /// Fills `out`, at `now`.
    pub(crate) fn pull(&mut self, now: Time, out: &mut [i16], source: &mut impl Source) {
        let now_us = now.0.min(1 << 60) as i64;
        let from_us = self.keep_time(now_us, samples_us(out.len()));
        for (at, chunk) in (0..).zip(out.chunks_mut(FRAME)) {
            let chunk_us = from_us.saturating_add(samples_us(FRAME).saturating_mul(at));
            while self.ready.len() < chunk.len() {
                self.produce(chunk_us.saturating_add(samples_us(self.ready.len())), source);
            }
            let ready = self.ready.drain(..chunk.len());
            for (sample, ready) in chunk.iter_mut().zip(ready) {
                *sample = ready;
            }
        }
        self.stats.pulled_samples += out.len() as u64;
    }

    /// When the first sample of a pull made at `now_us` is played. Sound cards and timers ask unevenly, and several times
    /// at once; they play evenly. So a clock counts the samples and follows `now_us` slowly.
    fn keep_time(&mut self, now_us: i64, length_us: i64) -> i64 {
        let off_us = now_us.saturating_sub(self.playing_us);
        let from_us = if off_us.abs() < RESYNC_US { self.playing_us.saturating_add(off_us / FOLLOW) } else { now_us };
        self.playing_us = from_us.saturating_add(length_us);
        let ahead_us = self.playing_us.saturating_sub(now_us).clamp(0, LONGEST_US);
        self.ahead_us = ahead_us.max(self.ahead_us - self.ahead_us / 512);
        from_us
    }

    fn target_us(&self) -> i64 {
        (self.delay.target_us() + self.ahead_us + self.margin_us).clamp(self.min_us, self.max_us)
    }

    /// Appends at least one sample, to be played from `at_us` on.
    fn produce(&mut self, at_us: i64, source: &mut impl Source) {
        self.cut_backlog(source);
        let first = source.earliest(self.next);
        match (self.state, first) {
            (State::Idle | State::Waiting, Some(first)) => self.wait(at_us, first, source),
            (State::Idle | State::Waiting, None) => {
                self.state = State::Idle;
                self.silence(SILENCE);
            }
            (State::Playing | State::Starved, Some(first)) => {
                if self.state == State::Starved {
                    // What was bridged stands for ticks that are lost after all; without any, the delay has grown.
                    self.next = first.min(self.next.saturating_add(u64::from(self.bridged)));
                    self.state = State::Playing;
                }
                // A talkspurt that lacks its first tick may have that as FEC in the second: render finds out.
                if first <= self.next.saturating_add(1) || source.sounding() {
                    self.play(at_us, source);
                } else {
                    self.wait(at_us, first, source);
                }
            }
            (State::Playing | State::Starved, None) => self.starve(source),
        }
    }

    /// Silence until `first` is due.
    fn wait(&mut self, at_us: i64, first: u64, source: &mut impl Source) {
        let due_us = self.delay.expected_us(first).saturating_add(self.target_us());
        let samples = us_samples(due_us.saturating_sub(at_us));
        if samples > 0 {
            self.state = State::Waiting;
            self.silence(samples.min(SILENCE));
        } else {
            self.next = first;
            self.smooth_us = at_us.saturating_sub(self.delay.expected_us(first));
            self.play(at_us, source);
        }
    }

    /// The next tick, made shorter or longer if the delay is off.
    fn play(&mut self, at_us: i64, source: &mut impl Source) {
        self.state = State::Playing;
        let delay_us = at_us.saturating_sub(self.delay.expected_us(self.next));
        self.smooth_us = self.smooth_us.saturating_add((delay_us.saturating_sub(self.smooth_us)) / SMOOTH);
        let over_us = self.smooth_us.saturating_sub(self.target_us());
        self.margin_us = samples_us(source.steady(over_us > -2 * LOW_US));
        let mut frame = [0; FRAME];
        let rendered = source.render(self.next, &mut frame);
        self.next = self.next.saturating_add(1);
        self.rest = self.rest.saturating_sub(1);
        if let Some(Seam { played, then }) = source.seam() {
            let played = frame.get(..played).unwrap_or(&frame);
            let length = played.len() + then.len();
            self.smooth_us = self.smooth_us.saturating_add(samples_us(length)).saturating_sub(samples_us(FRAME));
            self.stats.removed_samples += FRAME.saturating_sub(length) as u64;
            self.stats.inserted_samples += length.saturating_sub(FRAME) as u64;
            self.ready.extend(played);
            self.ready.extend(then);
            return;
        }
        if rendered == Rendered::Sound && self.stretch(&frame, source) {
            return;
        }
        self.ready.extend(frame);
    }

    /// Appends `frame` stretched, if that is due and possible.
    fn stretch(&mut self, frame: &Frame, source: &impl Source) -> bool {
        let over_us = self.smooth_us.saturating_sub(self.target_us());
        let urgent = over_us.abs() > URGENT_US;
        if self.rest > 0 && !urgent {
            return false;
        }
        // Shorter only with the next tick in hand: a base that is off must not let the sound run dry.
        let change = if over_us >= HIGH_US && source.earliest(self.next).is_some() {
            Change::Shorter
        } else if over_us <= -LOW_US {
            Change::Longer
        } else {
            return false;
        };
        let need = if urgent { Need::Urgent } else { Need::Relaxed };
        let Some(period) = stretch(frame, change, need, &mut self.ready) else { return false };
        self.rest = REST;
        match change {
            Change::Shorter => {
                self.stats.removed_samples += period as u64;
                self.smooth_us = self.smooth_us.saturating_sub(samples_us(period));
            }
            Change::Longer => {
                self.stats.inserted_samples += period as u64;
                self.smooth_us = self.smooth_us.saturating_add(samples_us(period));
            }
        }
        true
    }

    /// Nothing is there to be played.
    fn starve(&mut self, source: &mut impl Source) {
        if !source.sounding() {
            self.state = State::Idle;
            self.silence(SILENCE);
            return;
        }
        // One tick without a packet is a loss like others; the second in a row is a stall.
        self.bridged = if self.state == State::Starved { self.bridged.saturating_add(1) } else { 1 };
        self.stats.stalls += u64::from(source.talking() && self.bridged == 2);
        self.state = State::Starved;
        let mut frame = [0; FRAME];
        source.bridge(&mut frame);
        self.ready.extend(frame);
    }

    /// Jumps over what could only be played far too late.
    fn cut_backlog(&mut self, source: &mut impl Source) {
        let Some(newest) = source.newest() else { return };
        let keep = (self.target_us() / samples_us(FRAME)) as u64;
        let from = match self.state {
            State::Playing | State::Starved => self.next,
            State::Idle | State::Waiting => source.earliest(self.next).unwrap_or(newest),
        };
        if newest.saturating_sub(from) <= keep + BACKLOG {
            return;
        }
        let to = newest - keep;
        let mut frame = [0; FRAME];
        if source.cut(to, &mut frame) == Rendered::Sound {
            self.ready.extend(frame);
        }
        self.stats.skipped_ticks += to - from;
        self.next = to;
        self.state = State::Waiting;
    }

    fn silence(&mut self, samples: usize) {
        self.ready.extend(core::iter::repeat_n(0, samples));
    }
}

fn samples_us(samples: usize) -> i64 {
    (samples as i64).saturating_mul(1_000) / 48
}

fn us_samples(us: i64) -> usize {
    (us.max(0).saturating_mul(48) / 1_000) as usize
}
