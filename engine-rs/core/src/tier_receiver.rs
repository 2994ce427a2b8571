//! A listener's ears that change between the stage and the mix without a click: both tracks in, one sound out.
//!
//! Both tracks count media time in the same ticks, so both are sources of one timeline: each tick is played once, from
//! whichever is heard then. To change, subscribe to the other track beside the one that is heard, call
//! [`TierReceiver::want`], and give the old one up when [`TierReceiver::playing`] says so.
//!
//! ```text
//! heard = wanted: render it.
//! heard ≠ wanted, tick by tick:
//!   the heard one is silent, the other one's way is measured or it sounds  → the other one is heard
//!   both sound, WARM ticks of the other one decoded (and not played),
//!   the delay has grown to the target                                      → cross-fade in this tick, the other one is heard
//!   otherwise                                                              → the heard one goes on
//! ```
//! The mix comes later than the stage. Its packets are measured as soon as it is wanted, so that the timeline's target grows
//! and the sound is stretched, by pitch periods, until they are in time: only then do both have the same tick.
//!
//! The mix was coded twice: its samples are [`LAG`] behind those of the stage in the same tick. The tick of the cross-fade is
//! made so much shorter or longer, and equal sound is faded into equal sound.

use bytes::Bytes;

use crate::engine::Tier;
use crate::ids::SeatNo;
use crate::mix::MixPacket;
use crate::mix_receiver::{MixDecoder, Stream, playable, tells_the_way};
use crate::playout::delay::Arrival;
use crate::playout::timeline::{Rendered, Seam, Source, Timeline};
use crate::playout::voice::{FADE_IN, UNITY, fade};
use crate::playout::{Decoder, FRAME, Frame, PlayoutConfig, PlayoutStats};
use crate::receiver::{ReadBundle, Speaking, Stage, to_f32};
use crate::time::Time;

/// Samples by which the mix's sound lags in a tick: libopus looks 6.5 ms ahead (2.5 ms of overlap, 4 ms of delay
/// compensation), once more for the mix.
pub const LAG: usize = 312;
/// Ticks after which a decoder that began in the middle has converged: 80 ms say RFC 7845 §4.6 and speech, a steady tone takes
/// SILK's long-term prediction three times as long.
const WARM: u32 = 12;

/// See the module. Push what comes; pull every 10 or 20 ms.
pub struct TierReceiver<D, M> {
    timeline: Timeline,
    both: Both<D, M>,
    /// Whose packets tell the delay.
    measured: Tier,
    refused: u64,
    /// Samples that [`TierReceiver::pull_f32`] converts.
    scratch: Vec<i16>,
}

impl<D, M> core::fmt::Debug for TierReceiver<D, M> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Both { heard, wanted, warm, .. } = &self.both;
        let switch = (heard, wanted, warm);
        f.debug_struct("TierReceiver")
            .field("timeline", &self.timeline)
            .field("switch", &switch)
            .finish_non_exhaustive()
    }
}

impl<D: Decoder, M: MixDecoder> TierReceiver<D, M> {
    /// Hears `tier` at first. `make` builds a seat's decoder when the seat is first heard, `mix` is the mix's; without one
    /// (no memory), that stays silent.
    pub fn new(
        config: PlayoutConfig,
        tier: Tier,
        make: impl FnMut() -> Option<D> + Send + 'static,
        mix: Option<M>,
    ) -> Self {
        let (stage, mix) = (Stage::new(make), mix.map(Stream::new));
        Self {
            timeline: Timeline::new(config),
            both: Both { stage, mix, heard: tier, wanted: tier, way_known: false, warm: 0, steady: false, seam: None },
            measured: tier,
            refused: 0,
            scratch: Vec::new(),
        }
    }

    /// Hear this from now on, as soon as it can be done unheard.
    pub fn want(&mut self, tier: Tier) {
        if self.both.wanted != tier {
            (self.both.wanted, self.both.way_known, self.both.warm) = (tier, false, 0);
        }
    }

    /// What is heard: nothing of the other track is needed any more once this is what was wanted.
    pub fn playing(&self) -> Tier {
        self.both.heard
    }

    /// A bundle of `group` came at `now` on `stage` or `stage.1`, in any order.
    pub fn push_stage(&mut self, now: Time, group: u64, payload: &Bytes) {
        if !self.both.concerns(Tier::Stage) {
            return;
        }
        let bundle = ReadBundle::new(group, payload);
        self.refused += bundle.refused;
        if !bundle.packets.is_empty() && self.arrived(now, Tier::Stage, group, Some(bundle.recovers())) {
            self.refused += self.both.stage.put(bundle, self.timeline.floor());
        }
    }

    /// A packet came at `now` on `mix`.
    pub fn push_mix(&mut self, now: Time, packet: MixPacket) {
        if !self.both.concerns(Tier::Mix) {
            return;
        }
        if !playable(&packet) {
            self.refused += 1;
            return;
        }
        let measure = tells_the_way(&packet).then_some(false);
        if self.arrived(now, Tier::Mix, packet.group, measure)
            && let Some(mix) = &mut self.both.mix
        {
            mix.put(packet, self.timeline.floor());
        }
    }

    /// Whether something of `tick` that came on a track may be kept. `recovers`: see [`Timeline::arrived`]; `None`: it says
    /// nothing of the way.
    fn arrived(&mut self, now: Time, tier: Tier, tick: u64, recovers: Option<bool>) -> bool {
        let Some(recovers) = recovers.filter(|_| tier == self.measured || tier == self.both.wanted) else {
            return self.timeline.plausible(now, tick);
        };
        if tier != self.measured {
            // Its delay is what counts from now on, also that of ticks which the other one has brought.
            self.timeline.measure_anew();
            self.measured = tier;
        }
        match self.timeline.arrived(now, tick, recovers) {
            Arrival::Refused => {
                self.refused += 1;
                return false;
            }
            Arrival::Restarted => self.both.clear(),
            Arrival::Measured => {}
        }
        self.both.way_known |= tier == self.both.wanted;
        true
    }

    /// Fills `out` with 48 kHz mono, at `now`.
    pub fn pull(&mut self, now: Time, out: &mut [i16]) {
        self.timeline.pull(now, out, &mut self.both);
    }

    /// Like [`TierReceiver::pull`], in −1 to 1.
    pub fn pull_f32(&mut self, now: Time, out: &mut [f32]) {
        let mut scratch = core::mem::take(&mut self.scratch);
        scratch.resize(out.len(), 0);
        self.pull(now, &mut scratch);
        to_f32(&scratch, out);
        self.scratch = scratch;
    }

    /// One seat's volume while the stage is heard: see [`crate::receiver::Receiver::set_gain`]. Voices in the mix cannot be
    /// told apart.
    pub fn set_gain(&mut self, seat: SeatNo, gain: f32) {
        self.both.stage.set_gain(seat, gain);
    }

    /// Who is heard in what was pulled last.
    pub fn speaking(&self) -> impl Iterator<Item = Speaking> {
        let mix = self.both.heard == Tier::Mix;
        let stage = (!mix).then(|| self.both.stage.speaking()).into_iter().flatten();
        stage.chain(self.both.mix.iter().filter(move |_| mix).flat_map(Stream::speaking))
    }

    /// What happened so far, with both tracks.
    #[must_use]
    pub fn stats(&self) -> PlayoutStats {
        let mut stats = self.timeline.stats();
        stats.refused_packets += self.refused;
        self.both.stage.count_into(&mut stats);
        if let Some(mix) = &self.both.mix {
            mix.count_into(&mut stats);
        }
        stats
    }
}

/// Both tracks as one source.
struct Both<D, M> {
    stage: Stage<D>,
    mix: Option<Stream<M>>,
    heard: Tier,
    wanted: Tier,
    /// The wanted one's way was measured since it is wanted.
    way_known: bool,
    /// Ticks in a row that the wanted one was decoded for nothing.
    warm: u32,
    /// The delay is what the wanted one's packets need.
    steady: bool,
    seam: Option<Seam>,
}

impl<D: Decoder, M: MixDecoder> Both<D, M> {
    fn source(&mut self, tier: Tier) -> Option<&mut dyn Source> {
        match tier {
            Tier::Stage => Some(&mut self.stage),
            Tier::Mix => self.mix.as_mut().map(|mix| mix as &mut dyn Source),
        }
    }

    fn get(&self, tier: Tier) -> Option<&dyn Source> {
        match tier {
            Tier::Stage => Some(&self.stage),
            Tier::Mix => self.mix.as_ref().map(|mix| mix as &dyn Source),
        }
    }

    /// Whether packets of `tier` are played, or will be.
    fn concerns(&self, tier: Tier) -> bool {
        tier == self.heard || tier == self.wanted
    }

    fn changing(&self) -> bool {
        self.heard != self.wanted
    }

    fn clear(&mut self) {
        self.stage.clear();
        if let Some(mix) = &mut self.mix {
            mix.clear();
        }
    }

    /// The wanted one is heard from now on.
    fn change(&mut self) {
        let mut rest = [0; FRAME];
        match core::mem::replace(&mut self.heard, self.wanted) {
            Tier::Stage => {
                self.stage.clear();
                // What it ends with nobody hears: when it is wanted again it begins anew.
                self.stage.bridge(&mut rest);
            }
            Tier::Mix => self.mix.iter_mut().for_each(Stream::clear),
        }
        self.warm = 0;
    }

    /// One tick of the change.
    fn step(&mut self, tick: u64, out: &mut Frame) -> Rendered {
        let (heard, wanted) = (self.heard, self.wanted);
        let mut other = [0; FRAME];
        let comes = match self.source(wanted) {
            Some(source) if source.earliest(tick) == Some(tick) => source.render(tick, &mut other),
            _ => Rendered::Silence,
        };
        let goes = self.source(heard).map_or(Rendered::Silence, |source| source.render(tick, out));
        match (goes, comes) {
            (Rendered::Silence, Rendered::Sound) => {
                // It may be in the middle of a word, if the heard one broke off.
                let (head, _) = other.split_at_mut(FADE_IN);
                fade(head, 0, UNITY);
                *out = other;
                self.change();
                return Rendered::Sound;
            }
            (Rendered::Silence, Rendered::Silence) if self.way_known => self.change(),
            (Rendered::Sound, Rendered::Sound) if self.warm >= WARM && self.steady => {
                self.seam = Some(match wanted {
                    Tier::Mix => to_mix(out, &mut other),
                    Tier::Stage => to_stage(out, &mut other),
                });
                self.change();
            }
            (Rendered::Sound, Rendered::Sound) => self.warm += 1,
            _ => self.warm = 0,
        }
        goes
    }
}

/// Samples that both have of a tick.
const SHARED: usize = FRAME - LAG;

/// The tick of the change from the stage, in `out`, to the mix: what both have of it. It ends where the mix does.
fn to_mix(out: &mut Frame, mix: &mut Frame) -> Seam {
    let (stage, _) = out.split_at_mut(SHARED);
    let (_, mix) = mix.split_at_mut(LAG);
    cross(stage, mix);
    Seam { played: SHARED, then: Vec::new() }
}

/// The tick of the change from the mix, in `out`, to the stage: first what only the mix has, then both, then the rest of the
/// stage behind it.
fn to_stage(out: &mut Frame, stage: &mut Frame) -> Seam {
    let (_, mix) = out.split_at_mut(LAG);
    let (shared, rest) = stage.split_at_mut(SHARED);
    cross(mix, shared);
    Seam { played: FRAME, then: rest.to_vec() }
}

/// Fades `out` into `other`, which is spent. It is the same sound, so the gains add up to one.
fn cross(out: &mut [i16], other: &mut [i16]) {
    fade(out, UNITY, 0);
    fade(other, 0, UNITY);
    for (out, &other) in out.iter_mut().zip(other.iter()) {
        *out = out.saturating_add(other);
    }
}

impl<D: Decoder, M: MixDecoder> Source for Both<D, M> {
    fn earliest(&self, from: u64) -> Option<u64> {
        let tiers = [Some(self.heard), self.changing().then_some(self.wanted)];
        tiers.into_iter().flatten().filter_map(|tier| self.get(tier)?.earliest(from)).min()
    }
    fn newest(&self) -> Option<u64> {
        let tiers = [Some(self.heard), self.changing().then_some(self.wanted)];
        tiers.into_iter().flatten().filter_map(|tier| self.get(tier)?.newest()).max()
    }
    fn talking(&self) -> bool {
        self.get(self.heard).is_some_and(Source::talking)
    }
    fn sounding(&self) -> bool {
        self.get(self.heard).is_some_and(Source::sounding)
    }
    fn render(&mut self, tick: u64, out: &mut Frame) -> Rendered {
        out.fill(0);
        if self.changing() {
            return self.step(tick, out);
        }
        self.source(self.heard).map_or(Rendered::Silence, |source| source.render(tick, out))
    }
    fn bridge(&mut self, out: &mut Frame) -> Rendered {
        out.fill(0);
        self.source(self.heard).map_or(Rendered::Silence, |source| source.bridge(out))
    }
    fn cut(&mut self, to: u64, out: &mut Frame) -> Rendered {
        if self.changing() {
            let mut rest = [0; FRAME];
            self.warm = 0;
            if let Some(source) = self.source(self.wanted) {
                source.cut(to, &mut rest);
            }
        }
        out.fill(0);
        self.source(self.heard).map_or(Rendered::Silence, |source| source.cut(to, out))
    }
    fn seam(&mut self) -> Option<Seam> {
        self.seam.take()
    }
    fn steady(&mut self, steady: bool) -> usize {
        self.steady = steady;
        let to_mix = self.heard == Tier::Stage && self.wanted == Tier::Mix;
        if to_mix && self.way_known { LAG } else { 0 }
    }
}
