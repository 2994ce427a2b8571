//! A seeded network under virtual time, and a codec whose sound says which tick it is.

// Each test binary uses its part of this.
#![allow(dead_code)]

pub(crate) mod sound;

use bytes::Bytes;
use spaces_core::playout::{DecodeError, Decoder, FRAME, Frame, Packet, Playout, PlayoutConfig, PlayoutStats};
use spaces_core::time::Time;
use spaces_core::uplink::{Level, Spurt};

/// SplitMix64.
#[derive(Clone)]
pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    /// 0 to `n` − 1.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.next() % n.max(1)
    }
    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64 <= probability && probability > 0.0
    }
}

/// What the network does.
#[derive(Clone)]
pub(crate) struct Network {
    pub(crate) seed: u64,
    /// Share of packets lost …
    pub(crate) loss: f64,
    /// … in runs of this many.
    pub(crate) burst: u64,
    /// Uniform from 0, in microseconds.
    pub(crate) jitter_us: u64,
    pub(crate) duplicates: f64,
    /// From this tick on, this much more delay (one way, microseconds).
    pub(crate) steps: Vec<(u64, i64)>,
    /// Nothing passes from this tick for so many ticks; what was sent comes at the end of it, or never.
    pub(crate) stall: Option<(u64, u64, bool)>,
    /// Sender's clock over the receiver's, parts per million.
    pub(crate) drift_ppm: i64,
}

impl Default for Network {
    fn default() -> Self {
        let steps = Vec::new();
        Self { seed: 1, loss: 0.0, burst: 1, jitter_us: 0, duplicates: 0.0, steps, stall: None, drift_ppm: 0 }
    }
}

/// One-way delay without jitter.
pub(crate) const PATH_US: u64 = 30_000;
/// When tick 0 is sent.
pub(crate) const ORIGIN_US: u64 = 10_000_000;

impl Network {
    pub(crate) fn sent_us(&self, tick: u64) -> u64 {
        let media = tick as i64 * 20_000;
        ORIGIN_US + (media - media * self.drift_ppm / 1_000_000) as u64
    }

    /// When each packet comes, in order of coming.
    pub(crate) fn carry<T: Clone>(&self, packets: &[(u64, T)]) -> Vec<(Time, T)> {
        let mut rng = Rng(self.seed);
        let mut arrivals = Vec::new();
        let mut losing = 0;
        for (tick, packet) in packets {
            if losing == 0 && rng.chance(self.loss / self.burst as f64) {
                losing = self.burst;
            }
            let lost = losing > 0;
            losing = losing.saturating_sub(1);
            let step: i64 = self
                .steps
                .iter()
                .filter(|(from, _)| tick >= from)
                .map(|(_, step)| step)
                .next_back()
                .copied()
                .unwrap_or(0);
            let mut at = (self.sent_us(*tick) as i64 + step) as u64 + PATH_US + rng.below(self.jitter_us + 1);
            let twice = rng.chance(self.duplicates);
            if let Some((from, ticks, comes)) = self.stall
                && (from..from + ticks).contains(tick)
            {
                if !comes {
                    continue;
                }
                at = self.sent_us(from + ticks) + PATH_US + (tick - from);
            }
            if lost {
                continue;
            }
            arrivals.push((Time(at), packet.clone()));
            if twice {
                arrivals.push((Time(at + rng.below(60_000)), packet.clone()));
            }
        }
        arrivals.sort_by_key(|(at, _)| *at);
        arrivals
    }
}

/// Sample value of a tick: constant within the tick, so that stretching keeps it; never quiet, never that of a neighbour.
pub(crate) fn ruler(tick: u64) -> i16 {
    (2_000 + tick % 20_000) as i16
}

/// The packet of a tick of the ruler. `fec`: it also carries the tick before.
pub(crate) fn ruler_packet(tick: u64, fec: bool) -> Packet {
    let mut opus = vec![0x48, if fec { 0xc0 } else { 0x80 }];
    opus.extend(tick.to_be_bytes());
    Packet { tick, level: Level(0x80 | 20), spurt: Spurt::default(), redundant: false, opus: opus.into() }
}

/// Decodes [`ruler_packet`]; conceals by holding the last value.
#[derive(Default, Debug)]
pub(crate) struct Ruler {
    last: i16,
}

impl Ruler {
    fn fill(&mut self, opus: &[u8], back: u64, pcm: &mut Frame) -> Result<(), DecodeError> {
        let bytes = opus.get(2..10).ok_or(DecodeError)?.try_into().map_err(|_| DecodeError)?;
        self.last = ruler(u64::from_be_bytes(bytes).wrapping_sub(back));
        pcm.fill(self.last);
        Ok(())
    }
}

impl Decoder for Ruler {
    fn decode(&mut self, opus: &[u8], pcm: &mut Frame) -> Result<(), DecodeError> {
        self.fill(opus, 0, pcm)
    }
    fn decode_fec(&mut self, next: &[u8], pcm: &mut Frame) -> Result<(), DecodeError> {
        self.fill(next, 1, pcm)
    }
    fn conceal(&mut self, pcm: &mut Frame) -> Result<(), DecodeError> {
        pcm.fill(self.last);
        Ok(())
    }
}

/// What a run gave.
pub(crate) struct Outcome {
    pub(crate) pcm: Vec<i16>,
    /// When sample 0 of `pcm` was played.
    pub(crate) from_us: u64,
    pub(crate) stats: PlayoutStats,
    /// Statistics at the end of every second.
    pub(crate) seconds: Vec<PlayoutStats>,
}

impl Outcome {
    /// Delay from sending to playing of each tick of the ruler, by its first sample at full level, in ms.
    /// Ticks that were not played, or only concealed, are not in the list.
    pub(crate) fn delays(&self, network: &Network, ticks: u64) -> Vec<(u64, f64)> {
        let mut delays = Vec::new();
        let mut from = 0;
        for tick in 0..ticks {
            // A run of samples: a fade passes many values.
            let near = self.pcm.get(from..).unwrap_or_default();
            let mut near = near.get(..FRAME * 120).unwrap_or(near).windows(200);
            let ahead = near.position(|run| run.iter().all(|&sample| sample == ruler(tick)));
            if let Some(ahead) = ahead {
                from += ahead;
                let played_us = self.from_us as f64 + from as f64 * 1_000.0 / 48.0;
                delays.push((tick, (played_us - network.sent_us(tick) as f64) / 1_000.0));
            }
        }
        delays
    }
}

/// Runs packets through a playout that is pulled every `pull` samples, until `until_tick` and a second more.
pub(crate) fn play<D: Decoder>(decoder: D, arrivals: &[(Time, Packet)], until_tick: u64, pull: usize) -> Outcome {
    let mut playout = Playout::new(decoder, PlayoutConfig::default());
    let mut arrivals = arrivals.iter().peekable();
    let (mut pcm, mut seconds) = (Vec::new(), Vec::new());
    // The listener's sound card runs before the first packet comes, and at a phase of its own.
    let from_us = ORIGIN_US - 500_000 + 3_300;
    let samples = (until_tick as usize + 75) * FRAME;
    let mut block = vec![0; pull];
    while pcm.len() < samples {
        let now = Time(from_us + pcm.len() as u64 * 1_000 / 48);
        while let Some((at, packet)) = arrivals.next_if(|(at, _)| *at <= now) {
            playout.push(*at, packet.clone());
        }
        playout.pull(now, &mut block);
        pcm.extend(&block);
        if pcm.len() % 48_000 < pull {
            seconds.push(playout.stats());
        }
    }
    Outcome { pcm, from_us, stats: playout.stats(), seconds }
}

/// Ticks 0 to `ticks` − 1 as one talkspurt.
pub(crate) fn talk(ticks: u64, fec: bool) -> Vec<(u64, Packet)> {
    (0..ticks)
        .map(|tick| {
            let mut packet = ruler_packet(tick, fec);
            packet.spurt = Spurt { start: tick == 0, end: tick + 1 == ticks };
            (tick, packet)
        })
        .collect()
}

/// Bytes of a packet, for tests that make their own.
pub(crate) fn opus(bytes: &[u8]) -> Bytes {
    Bytes::copy_from_slice(bytes)
}
