//! What a Space's mix costs: CPU time of the mixing thread per second of audio, by packet length and seats talking.
//!
//! `cargo run --release -p spaces-net --example mixer_cpu`
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement: it may fail, and it prints")]

use std::sync::Arc;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use spaces_core::codec::{Encoder, EncoderConfig};
use spaces_core::ids::{SeatNo, SpaceId};
use spaces_core::record::RecordedFrame;
use spaces_core::time::{TICK, Time};
use spaces_net::mixer::{Line, MixConfig};

const SECONDS: usize = 60;

/// A voice of a kind: pulses through two resonances, swelling, with consonants of noise.
fn voice(seat: usize) -> Vec<i16> {
    let (mut state, mut phase) = (seat as u64 * 7_919 + 1, 0.0f64);
    let [mut low, mut band] = [[0.0f64; 2]; 2];
    let sample = |n: usize| {
        let t = n as f64 / 48_000.0;
        phase += (110.0 + 35.0 * seat as f64 + 20.0 * (4.0 * t).sin()) / 48_000.0;
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let noise = (state >> 33) as f64 / f64::from(u32::MAX >> 1) - 1.0;
        let voiced = (t * (3.0 + seat as f64 * 0.3)).fract() < 0.75;
        let source = if voiced { f64::from(u8::from(phase.fract() < 0.02)) * 2.0 } else { noise * 0.15 };
        for ([one, two], hz) in [(&mut low, 500.0), (&mut band, 1_500.0)] {
            let turn = hz / 48_000.0 * std::f64::consts::TAU;
            let next = source + 2.0 * 0.985 * turn.cos() * *one - 0.985 * 0.985 * *two;
            (*two, *one) = (*one, next);
        }
        ((low[0] + band[0]) * (0.6 + 0.4 * (9.0 * t).sin()) * 1_500.0).clamp(-30_000.0, 30_000.0) as i16
    };
    (0..SECONDS * 48_000).map(sample).collect()
}

fn frames(seat: usize) -> Vec<RecordedFrame> {
    let mut encoder = Encoder::new(EncoderConfig { dtx: false, ..EncoderConfig::default() }).unwrap();
    let number = SeatNo::new(u8::try_from(seat).unwrap()).unwrap();
    let pcm = voice(seat);
    let (chunks, _) = pcm.as_chunks::<960>();
    let frame = |pcm: &[i16; 960]| {
        let frame = encoder.encode(pcm).unwrap().unwrap();
        RecordedFrame { seat: number, generation: 1, level: frame.level, spurt: frame.spurt, opus: frame.opus }
    };
    chunks.iter().map(frame).collect()
}

fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap())
}

fn main() {
    let voices: Vec<Vec<RecordedFrame>> = (0..4).map(frames).collect();
    println!("{:>6} {:>10} {:>6} {:>14} {:>10}", "ms", "complexity", "seats", "CPU ms per s", "kbit/s");
    for complexity in [9, 5] {
        for ticks in [1, 2, 3] {
            for seats in [1, 2, 4] {
                let config = MixConfig { ticks, complexity, ..MixConfig::default() };
                let mut line = Line::new(SpaceId(1), &config).unwrap();
                let (mut bytes, mut now) = (0, Time::from_millis(1));
                let groups: Vec<Arc<[RecordedFrame]>> = (0..SECONDS * 50)
                    .map(|tick| voices.iter().take(seats).filter_map(|voice| voice.get(tick).cloned()).collect())
                    .collect();
                let before = cpu();
                for (group, frames) in (0..).zip(&groups) {
                    line.tick(now, 0, group, frames);
                    while let Some(mixed) = line.poll() {
                        bytes += mixed.packet.opus.len();
                    }
                    now = now + TICK;
                }
                let spent = (cpu() - before).as_secs_f64() * 1_000.0 / SECONDS as f64;
                let rate = bytes as f64 * 8.0 / SECONDS as f64 / 1_000.0;
                println!("{:>6} {complexity:>10} {seats:>6} {spent:>14.2} {rate:>10.1}", ticks * 20);
            }
        }
    }
}
