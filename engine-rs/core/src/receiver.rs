//! A listener's ears: stage bundles in, the mixed sound of the stage out.
//!
//! All seats come in the same bundles, so they share one timeline: one delay measurement, one target (what any of them
//! needs, all wait for) and one time-stretch, behind the mix. Speakers therefore stay aligned to the sample.
//!
//! Each seat keeps its own decoder, concealment, fades and gain. The mix passes a soft limiter.

use bytes::Bytes;

use crate::bundle::{Entry, entries};
use crate::ids::{MAX_SEATS, SeatNo};
use crate::limiter::Limiter;
use crate::playout::delay::Arrival;
use crate::playout::timeline::{Rendered, Source, Timeline};
use crate::playout::voice::{Put, Voice, carries_fec};
use crate::playout::{Decoder, FRAME, Frame, Packet, PlayoutConfig, PlayoutStats};
use crate::time::Time;
use crate::uplink::Level;

/// A seat that is heard in what is being played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Speaking {
    /// Which seat.
    pub seat: SeatNo,
    /// How loud, as its client measured.
    pub level: Level,
}

/// See the module. Push bundles as they come; pull every 10 or 20 ms.
pub struct Receiver<D> {
    timeline: Timeline,
    stage: Stage<D>,
    refused: u64,
    /// Samples that [`Receiver::pull_f32`] converts.
    scratch: Vec<i16>,
}

impl<D> core::fmt::Debug for Receiver<D> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Receiver").field("timeline", &self.timeline).finish_non_exhaustive()
    }
}

impl<D: Decoder> Receiver<D> {
    /// An empty stage. `make` builds a seat's decoder when the seat is first heard; `None`: the seat stays silent.
    pub fn new(config: PlayoutConfig, make: impl FnMut() -> Option<D> + Send + 'static) -> Self {
        Self { timeline: Timeline::new(config), stage: Stage::new(make), refused: 0, scratch: Vec::new() }
    }

    /// A bundle of `group` came at `now`; either part, in any order. What of it is not a bundle is left out and counted.
    pub fn push(&mut self, now: Time, group: u64, payload: &Bytes) {
        let bundle = ReadBundle::new(group, payload);
        self.refused += bundle.refused;
        if bundle.packets.is_empty() {
            return;
        }
        match self.timeline.arrived(now, group, bundle.recovers()) {
            Arrival::Refused => return,
            Arrival::Restarted => self.stage.clear(),
            Arrival::Measured => {}
        }
        self.refused += self.stage.put(bundle, self.timeline.floor());
    }

    /// Fills `out` with 48 kHz mono, at `now`.
    pub fn pull(&mut self, now: Time, out: &mut [i16]) {
        self.timeline.pull(now, out, &mut self.stage);
    }

    /// Like [`Receiver::pull`], in −1 to 1.
    pub fn pull_f32(&mut self, now: Time, out: &mut [f32]) {
        let mut scratch = core::mem::take(&mut self.scratch);
        scratch.resize(out.len(), 0);
        self.pull(now, &mut scratch);
        to_f32(&scratch, out);
        self.scratch = scratch;
    }

    /// One seat's volume in the mix, from the next tick on: 0 is silence, 1 as it was sent; 2 at most. In sound, the
    /// change is a ramp of one tick, so that it does not click. What is no number is 1.
    pub fn set_gain(&mut self, seat: SeatNo, gain: f32) {
        self.stage.set_gain(seat, gain);
    }

    /// Who is heard in what was pulled last.
    pub fn speaking(&self) -> impl Iterator<Item = Speaking> {
        self.stage.speaking()
    }

    /// What happened so far, all seats together.
    #[must_use]
    pub fn stats(&self) -> PlayoutStats {
        let mut stats = self.timeline.stats();
        stats.refused_packets += self.refused;
        self.stage.count_into(&mut stats);
        stats
    }
}

/// Samples in −1 to 1.
pub(crate) fn to_f32(samples: &[i16], out: &mut [f32]) {
    for (out, &sample) in out.iter_mut().zip(samples) {
        *out = f32::from(sample) / 32_768.0;
    }
}

/// The packets of a bundle, and how many entries were none.
pub(crate) struct ReadBundle {
    pub(crate) packets: Vec<(SeatNo, Packet)>,
    pub(crate) refused: u64,
}

impl ReadBundle {
    /// They share the bundle's memory.
    pub(crate) fn new(group: u64, payload: &Bytes) -> Self {
        let mut read = Self { packets: Vec::new(), refused: 0 };
        for entry in entries(payload) {
            match entry {
                Ok(entry) => read.packets.extend(packet(group, payload, &entry).map(|packet| (entry.seat, packet))),
                Err(_) => read.refused += 1,
            }
        }
        read
    }

    /// Whether it makes the tick before playable, too.
    pub(crate) fn recovers(&self) -> bool {
        self.packets.iter().any(|(_, packet)| packet.redundant || carries_fec(packet))
    }
}

/// An entry as a packet of its own tick. It shares the bundle's memory.
fn packet(group: u64, payload: &Bytes, entry: &Entry<'_>) -> Option<Packet> {
    let tick = group.checked_sub(u64::from(entry.redundant))?;
    let opus = payload.slice_ref(entry.opus);
    Some(Packet { tick, level: entry.level, spurt: entry.spurt, redundant: entry.redundant, opus })
}

/// The most that one seat is raised.
const MOST_GAIN: f32 = 2.0;
/// A gain of 1.
const UNITY: i32 = 1 << 14;

/// A seat's volume: that of the last tick, and the one to go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Gain {
    now: i32,
    wanted: i32,
}

impl Default for Gain {
    fn default() -> Self {
        Self { now: UNITY, wanted: UNITY }
    }
}

impl Gain {
    /// Adds a tick of the seat to the sum.
    fn add(self, sum: &mut [i32; FRAME], frame: &Frame) {
        for (at, (sum, &sample)) in (1..).zip(sum.iter_mut().zip(frame)) {
            let gain = self.now + (self.wanted - self.now) * at / FRAME as i32;
            *sum += i32::from(sample) * gain / UNITY;
        }
    }
}

/// All seats as one source.
pub(crate) struct Stage<D> {
    voices: [Option<Voice<D>>; MAX_SEATS],
    gains: [Gain; MAX_SEATS],
    limiter: Limiter,
    /// A decoder for a seat that is heard for the first time; `None`: the seat stays silent.
    make: Box<dyn FnMut() -> Option<D> + Send>,
}

impl<D: Decoder> Stage<D> {
    pub(crate) fn new(make: impl FnMut() -> Option<D> + Send + 'static) -> Self {
        let voices = core::array::from_fn(|_| None);
        Self { voices, gains: [Gain::default(); MAX_SEATS], limiter: Limiter::default(), make: Box::new(make) }
    }

    /// Keeps a bundle's packets for ticks that are not before `floor`. Answers how many it refused.
    pub(crate) fn put(&mut self, bundle: ReadBundle, floor: u64) -> u64 {
        let mut refused = 0;
        for (seat, packet) in bundle.packets {
            let Some(voice) = self.voices.get_mut(seat.index()) else { continue };
            if voice.is_none() {
                *voice = (self.make)().map(Voice::new);
            }
            refused += u64::from(voice.as_mut().is_none_or(|voice| voice.put(packet, floor) == Put::Refused));
        }
        refused
    }

    /// Drops every packet: the time has jumped.
    pub(crate) fn clear(&mut self) {
        self.voices.iter_mut().flatten().for_each(Voice::clear);
    }

    /// See [`Receiver::set_gain`].
    pub(crate) fn set_gain(&mut self, seat: SeatNo, gain: f32) {
        let gain = if gain.is_nan() { 1.0 } else { gain.clamp(0.0, MOST_GAIN) };
        let sounding = self.voices.get(seat.index()).and_then(Option::as_ref).is_some_and(Voice::sounding);
        if let Some(own) = self.gains.get_mut(seat.index()) {
            own.wanted = (gain * UNITY as f32) as i32;
            if !sounding {
                own.now = own.wanted;
            }
        }
    }

    /// Who is heard in what was rendered last.
    pub(crate) fn speaking(&self) -> impl Iterator<Item = Speaking> {
        self.voices.iter().zip(0..).filter_map(|(voice, number)| {
            let level = voice.as_ref()?.level()?;
            Some(Speaking { seat: SeatNo::new(number)?, level })
        })
    }

    /// Adds all seats' counters.
    pub(crate) fn count_into(&self, stats: &mut PlayoutStats) {
        for voice in self.voices.iter().flatten() {
            voice.count_into(stats);
        }
    }

    fn mix(&mut self, out: &mut Frame, mut render: impl FnMut(&mut Voice<D>, &mut Frame) -> Rendered) -> Rendered {
        let mut sum = [0i32; FRAME];
        let mut frame = [0; FRAME];
        let mut mixed = Rendered::Silence;
        for (voice, gain) in self.voices.iter_mut().zip(&mut self.gains) {
            let Some(voice) = voice else { continue };
            if render(voice, &mut frame) == Rendered::Sound {
                mixed = Rendered::Sound;
                gain.add(&mut sum, &frame);
            }
            gain.now = gain.wanted;
        }
        self.limiter.apply(&sum, out);
        mixed
    }
}

impl<D: Decoder> Source for Stage<D> {
    fn earliest(&self, from: u64) -> Option<u64> {
        self.voices.iter().flatten().filter_map(|voice| voice.earliest(from)).min()
    }
    fn newest(&self) -> Option<u64> {
        self.voices.iter().flatten().filter_map(Voice::newest).max()
    }
    fn talking(&self) -> bool {
        self.voices.iter().flatten().any(Voice::talking)
    }
    fn sounding(&self) -> bool {
        self.voices.iter().flatten().any(Voice::sounding)
    }
    fn render(&mut self, tick: u64, out: &mut Frame) -> Rendered {
        self.mix(out, |voice, frame| voice.render(tick, frame))
    }
    fn bridge(&mut self, out: &mut Frame) -> Rendered {
        self.mix(out, Voice::bridge)
    }
    fn cut(&mut self, to: u64, out: &mut Frame) -> Rendered {
        self.mix(out, |voice, frame| voice.cut(to, frame))
    }
}
