//! A listener's ears: stage bundles in, the mixed sound of the stage out.
//!
//! All seats come in the same bundles, so they share one timeline: one delay measurement, one target (what any of them
//! needs, all wait for) and one time-stretch, behind the mix. Speakers therefore stay aligned to the sample.
//!
//! Each seat keeps its own decoder, concealment and fades. The mix passes a soft limiter.

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
    /// A decoder for a seat that is heard for the first time; `None`: the seat stays silent.
    make: Box<dyn FnMut() -> Option<D> + Send>,
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
    /// An empty stage. `make` builds a seat's decoder when the seat is first heard.
    pub fn new(config: PlayoutConfig, make: impl FnMut() -> Option<D> + Send + 'static) -> Self {
        let voices = core::array::from_fn(|_| None);
        Self {
            timeline: Timeline::new(config),
            stage: Stage { voices, limiter: Limiter::default() },
            make: Box::new(make),
            refused: 0,
            scratch: Vec::new(),
        }
    }

    /// A bundle of `group` came at `now`; either part, in any order. What of it is not a bundle is left out and counted.
    pub fn push(&mut self, now: Time, group: u64, payload: &Bytes) {
        let mut packets = Vec::new();
        for entry in entries(payload) {
            match entry {
                Ok(entry) => packets.extend(packet(group, payload, &entry).map(|packet| (entry.seat, packet))),
                Err(_) => self.refused += 1,
            }
        }
        if packets.is_empty() {
            return;
        }
        let recovers = packets.iter().any(|(_, packet)| packet.redundant || carries_fec(packet));
        match self.timeline.arrived(now, group, recovers) {
            Arrival::Refused => return,
            Arrival::Restarted => self.stage.voices.iter_mut().flatten().for_each(Voice::clear),
            Arrival::Measured => {}
        }
        let floor = self.timeline.floor();
        for (seat, packet) in packets {
            let Some(voice) = self.stage.voices.get_mut(seat.index()) else { continue };
            if voice.is_none() {
                *voice = (self.make)().map(Voice::new);
            }
            if voice.as_mut().is_none_or(|voice| voice.put(packet, floor) == Put::Refused) {
                self.refused += 1;
            }
        }
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
        for (out, &sample) in out.iter_mut().zip(&scratch) {
            *out = f32::from(sample) / 32_768.0;
        }
        self.scratch = scratch;
    }

    /// Who is heard in what was pulled last.
    pub fn speaking(&self) -> impl Iterator<Item = Speaking> {
        self.stage.voices.iter().zip(0..).filter_map(|(voice, number)| {
            let level = voice.as_ref()?.level()?;
            Some(Speaking { seat: SeatNo::new(number)?, level })
        })
    }

    /// What happened so far, all seats together.
    #[must_use]
    pub fn stats(&self) -> PlayoutStats {
        let mut stats = self.timeline.stats();
        stats.refused_packets += self.refused;
        for voice in self.stage.voices.iter().flatten() {
            voice.count_into(&mut stats);
        }
        stats
    }
}

/// An entry as a packet of its own tick. It shares the bundle's memory.
fn packet(group: u64, payload: &Bytes, entry: &Entry<'_>) -> Option<Packet> {
    let tick = group.checked_sub(u64::from(entry.redundant))?;
    let opus = payload.slice_ref(entry.opus);
    Some(Packet { tick, level: entry.level, spurt: entry.spurt, redundant: entry.redundant, opus })
}

/// All seats as one source.
struct Stage<D> {
    voices: [Option<Voice<D>>; MAX_SEATS],
    limiter: Limiter,
}

impl<D: Decoder> Stage<D> {
    fn mix(&mut self, out: &mut Frame, mut render: impl FnMut(&mut Voice<D>, &mut Frame) -> Rendered) -> Rendered {
        let mut sum = [0i32; FRAME];
        let mut frame = [0; FRAME];
        let mut mixed = Rendered::Silence;
        for voice in self.voices.iter_mut().flatten() {
            if render(voice, &mut frame) == Rendered::Sound {
                mixed = Rendered::Sound;
                for (sum, &sample) in sum.iter_mut().zip(&frame) {
                    *sum += i32::from(sample);
                }
            }
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
