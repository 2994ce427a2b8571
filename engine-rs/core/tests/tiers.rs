//! A listener who changes from the stage to the mix and back, with libopus and in virtual time: no click, no gap, nothing
//! twice, and speech as clear as without.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

mod playout_support;

use bytes::Bytes;
use playout_support::sound::{SECOND, clicks, speech};
use playout_support::{Network, ORIGIN_US, Rng};
use spaces_core::bundle;
use spaces_core::codec::{Encoder, EncoderConfig, MixEncoder, OpusDecoder};
use spaces_core::engine::Tier;
use spaces_core::ids::SeatNo;
use spaces_core::mix::{Config, MixPacket, Mixer};
use spaces_core::mix_receiver::MixDecoder;
use spaces_core::playout::{Decoder, FRAME, PlayoutConfig, PlayoutStats};
use spaces_core::record::RecordedFrame;
use spaces_core::tier_receiver::{LAG, TierReceiver};
use spaces_core::time::Time;

#[derive(Clone)]
enum Track {
    Stage(u64, Bytes),
    Mix(MixPacket),
}

/// What a Space sends of some speakers on both tracks, by the tick at which it is sent.
fn tracks(seats: &[Vec<i16>], dtx: bool) -> Vec<(u64, Track)> {
    let mut encoders: Vec<Encoder> =
        seats.iter().map(|_| Encoder::new(EncoderConfig { dtx, ..EncoderConfig::default() }).unwrap()).collect();
    let mix = MixEncoder::new(48_000, 9).unwrap();
    let mut mixer = Mixer::new(Config { ticks: 3, ..Config::default() }, mix, || OpusDecoder::new().ok());
    let mut talking = vec![false; seats.len()];
    let mut sent = Vec::new();
    for tick in 0..(seats[0].len() / FRAME) as u64 {
        let mut frames = Vec::new();
        for (seat, (encoder, pcm)) in encoders.iter_mut().zip(seats).enumerate() {
            let pcm = pcm[tick as usize * FRAME..][..FRAME].try_into().unwrap();
            let Some(frame) = encoder.encode(pcm).unwrap() else { continue };
            talking[seat] = !frame.spurt.end;
            frames.push(RecordedFrame {
                seat: SeatNo::new(seat as u8).unwrap(),
                generation: 1,
                level: frame.level,
                spurt: frame.spurt,
                opus: frame.opus,
            });
        }
        if !frames.is_empty() {
            let entries = frames.iter().map(|f| bundle::Entry {
                seat: f.seat,
                level: f.level,
                spurt: f.spurt,
                redundant: false,
                opus: &f.opus,
            });
            sent.extend(bundle::encode(entries).into_iter().map(|payload| (tick, Track::Stage(tick, payload))));
            mixer.tick(tick, &frames);
        }
        if talking.contains(&true) {
            mixer.advance(tick)
        } else {
            mixer.flush(tick)
        }
        while let Some(packet) = mixer.poll() {
            sent.push((tick, Track::Mix(packet)));
        }
    }
    sent
}

struct Outcome {
    pcm: Vec<i16>,
    stats: PlayoutStats,
    /// Ticks from each wish to its fulfilment.
    took: Vec<u64>,
}

/// Ticks that the server needs to begin or end a subscription.
const ROUND_TRIP: u64 = 5;

/// Listens to the stage at first, and changes its mind at these ticks.
fn listen(sent: &[(u64, Track)], network: &Network, ticks: u64, changes: &[u64]) -> Outcome {
    let make = || OpusDecoder::new().ok();
    let mut ears = TierReceiver::new(PlayoutConfig::default(), Tier::Stage, make, make());
    let mut wanted = Tier::Stage;
    // From and until which tick each track is sent.
    let (mut stage, mut mix) = ((0, u64::MAX), (u64::MAX, u64::MAX));
    let mut arrivals = network.carry(sent).into_iter().peekable();
    let (mut took, mut since) = (Vec::new(), None);
    let mut pcm = Vec::new();
    for block in 0..ticks * 2 {
        let (tick, now) = (block / 2, Time(ORIGIN_US + block * 10_000));
        if block % 2 == 0 && changes.contains(&tick) {
            wanted = if wanted == Tier::Stage { Tier::Mix } else { Tier::Stage };
            ears.want(wanted);
            since = Some(tick);
            *(if wanted == Tier::Stage { &mut stage } else { &mut mix }) = (tick + ROUND_TRIP, u64::MAX);
        }
        if ears.playing() == wanted
            && let Some(since) = since.take()
        {
            took.push(tick - since);
            (if wanted == Tier::Stage { &mut mix } else { &mut stage }).1 = tick + ROUND_TRIP;
        }
        while let Some((at, track)) = arrivals.next_if(|(at, _)| *at <= now) {
            let sent = (at.0 - ORIGIN_US) / 20_000;
            match track {
                Track::Stage(group, payload) if (stage.0..stage.1).contains(&sent) => {
                    ears.push_stage(at, group, &payload)
                }
                Track::Mix(packet) if (mix.0..mix.1).contains(&sent) => ears.push_mix(at, packet),
                _ => {}
            }
        }
        let mut out = [0; 480];
        ears.pull(now, &mut out);
        pcm.extend(out);
    }
    Outcome { pcm, stats: ears.stats(), took }
}

fn rms(pcm: &[i16]) -> f64 {
    (pcm.iter().map(|&s| f64::from(s).powi(2)).sum::<f64>() / pcm.len() as f64).sqrt()
}

/// The two tracks decoded, each tick in its place.
fn decoded(sent: &[(u64, Track)]) -> [Vec<i16>; 2] {
    let length = sent.iter().map(|(tick, _)| *tick as usize + 4).max().unwrap() * FRAME;
    let mut out = [vec![0; length], vec![0; length]];
    let (mut stage, mut mix) = (OpusDecoder::new().unwrap(), OpusDecoder::new().unwrap());
    for (_, track) in sent {
        match track {
            Track::Stage(group, payload) => {
                let entry = bundle::entries(payload).next().unwrap().unwrap();
                let place = out[0][*group as usize * FRAME..][..FRAME].first_chunk_mut().unwrap();
                Decoder::decode(&mut stage, entry.opus, place).unwrap();
            }
            Track::Mix(packet) => {
                let place = &mut out[1][packet.group as usize * FRAME..][..usize::from(packet.ticks) * FRAME];
                MixDecoder::decode(&mut mix, &packet.opus, place).unwrap();
            }
        }
    }
    out
}

#[test]
fn the_mix_lags_behind_the_stage_as_much_as_is_made_up_for() {
    for seed in [41, 42, 43] {
        let [stage, mix] = decoded(&tracks(&[speech(20, seed)], true))
            .map(|pcm| pcm.iter().map(|&s| f64::from(s)).collect::<Vec<_>>());
        let part = stage.len() - 1_000;
        let best = (200..420).max_by(|a, b| {
            let like = |lag: usize| correlation(&stage[..part], &mix[lag..][..part]);
            like(*a).total_cmp(&like(*b))
        });
        assert!(best.unwrap().abs_diff(LAG) <= 2, "{best:?}");
    }
}

#[test]
fn a_tone_goes_on_through_changes_in_both_directions() {
    for hertz in [77.0, 231.0, 440.0, 1_000.0] {
        let step = std::f64::consts::TAU * hertz / 48_000.0;
        let tone: Vec<i16> = (0..40 * SECOND).map(|i| ((i as f64 * step).sin() * 8_000.0) as i16).collect();
        let sent = tracks(&[tone], false);
        let heard = listen(&sent, &Network::default(), 1_990, &[200, 700, 900, 1_500]);
        assert_eq!(heard.took.len(), 4, "{hertz} Hz");
        let sound = &heard.pcm[SECOND..];
        // As loud as before in every period, so there is neither a hole nor two waves against one another …
        let period = (48_000.0 / hertz).round() as usize * if hertz > 200.0 { 2 } else { 1 };
        let loud = rms(&sound[..SECOND]);
        for (at, part) in sound.chunks_exact(period).enumerate() {
            let share = rms(part) / loud;
            assert!((0.9..1.1).contains(&share), "{hertz} Hz: {share} at {} s", 1.0 + (at * period) as f64 / 48_000.0);
        }
        // … and no sample far from the line through those before it.
        let jumps = |pcm: &[i16]| {
            pcm.windows(3).map(|w| (i32::from(w[2]) - 2 * i32::from(w[1]) + i32::from(w[0])).abs()).max().unwrap()
        };
        let steady = jumps(&sound[..SECOND]);
        assert!(jumps(sound) <= 2 * steady + 60, "{hertz} Hz: {} against {steady}", jumps(sound));
        assert_eq!(heard.stats.concealed_samples, 0, "{hertz} Hz");
        assert!(heard.took.iter().all(|&ticks| ticks <= 150), "{hertz} Hz: {:?}", heard.took);
    }
}

#[test]
fn speech_stays_clear_and_clean_across_changes_on_good_and_bad_networks() {
    let seconds = 26;
    let said = speech(seconds, 11);
    let sent = tracks(std::slice::from_ref(&said), true);
    let n = Network::default;
    for (name, network, least) in [
        ("clean", n(), 0.95),
        ("jitter", Network { jitter_us: 30_000, ..n() }, 0.95),
        ("drift", Network { drift_ppm: 150, ..n() }, 0.95),
        ("loss", Network { loss: 0.02, jitter_us: 10_000, ..n() }, 0.90),
    ] {
        let ticks = seconds as u64 * 50 - 10;
        let stayed = listen(&sent, &network, ticks, &[]);
        let changed = listen(&sent, &network, ticks, &[250, 600, 850, 1_050]);
        assert_eq!(changed.took.len(), 4, "{name}: {:?}", changed.took);
        let (stay, change) = (stoi(&said, &stayed.pcm), stoi(&said, &changed.pcm));
        assert!(change >= least && change > stay - 0.03, "{name}: STOI {change}, without changes {stay}");
        let holes = (changed.stats.concealed_samples + changed.stats.fec_samples) as usize / FRAME;
        assert!(clicks(&changed.pcm).len() * 50 <= holes, "{name}: {:?} of {holes}", clicks(&changed.pcm));
        assert_eq!(changed.stats.restarts, 0, "{name}");
        println!("{name}: STOI {change:.3} (stayed {stay:.3}), took {:?}, {:?}", changed.took, changed.stats);
    }
}

#[test]
fn changes_at_any_moment_neither_click_nor_get_stuck() {
    let said = [speech(60, 21), speech(60, 22)];
    let sent = tracks(&said, true);
    let mut rng = Rng(5);
    for round in 0..6 {
        let mut changes: Vec<u64> = (0..12).map(|_| 50 + rng.below(2_600)).collect();
        changes.sort_unstable();
        changes.dedup();
        let network = Network { seed: round, jitter_us: 20_000 * (round % 2), ..Network::default() };
        let heard = listen(&sent, &network, 2_990, &changes);
        assert!(clicks(&heard.pcm).is_empty(), "{changes:?}: {:?}", clicks(&heard.pcm));
        // Wishes may come faster than they can be fulfilled; the last one is.
        assert!(!heard.took.is_empty() && heard.took.iter().all(|&ticks| ticks < 300), "{changes:?}: {:?}", heard.took);
    }
}

#[test]
fn a_track_that_never_comes_leaves_the_one_that_is_heard() {
    let said = speech(10, 31);
    let stage: Vec<_> =
        tracks(std::slice::from_ref(&said), true).into_iter().filter(|(_, t)| matches!(t, Track::Stage(..))).collect();
    let stayed = listen(&stage, &Network::default(), 490, &[]);
    let wished = listen(&stage, &Network::default(), 490, &[100]);
    assert_eq!((wished.took.len(), stayed.pcm == wished.pcm), (0, true));
}

/// Short-time objective intelligibility (Taal et al. 2011) of `heard`, each second of it at the delay at which it fits best;
/// the mean over seconds in which something is said. Computed at 48 kHz: frames of 25.6 ms, third octaves from 150 Hz on.
fn stoi(said: &[i16], heard: &[i16]) -> f64 {
    let mut values = Vec::new();
    let mut around = 0;
    for at in (0..said.len() / SECOND - 1).map(|second| second * SECOND) {
        let clean = &said[at..at + SECOND];
        if rms(clean) < 300.0 {
            continue;
        }
        let room = heard.len().saturating_sub(at + SECOND);
        let (from, to) = if around == 0 { (0, 30_000) } else { (around.max(12_000) - 12_000, around + 12_000) };
        let coarse = (from..to.min(room)).step_by(480).max_by(|a, b| {
            let like = |delay: usize| correlation(&envelope(clean), &envelope(&heard[at + delay..][..SECOND]));
            like(*a).total_cmp(&like(*b))
        });
        let Some(coarse) = coarse else { continue };
        let fine = (coarse.max(720) - 720..(coarse + 720).min(room)).step_by(24).max_by(|a, b| {
            let like = |delay: usize| correlation(&thin(clean), &thin(&heard[at + delay..][..SECOND]));
            like(*a).total_cmp(&like(*b))
        });
        let delay = fine.unwrap_or(coarse);
        around = delay;
        values.extend(stoi_of(clean, &heard[at + delay..][..SECOND]));
    }
    values.iter().sum::<f64>() / values.len() as f64
}

fn envelope(pcm: &[i16]) -> Vec<f64> {
    pcm.chunks_exact(240).map(rms).collect()
}

fn thin(pcm: &[i16]) -> Vec<f64> {
    pcm.chunks_exact(12).map(|c| c.iter().map(|&s| f64::from(s)).sum()).collect()
}

fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let mean = |x: &[f64]| x.iter().sum::<f64>() / x.len() as f64;
    let (ma, mb) = (mean(a), mean(b));
    let dot = |f: &dyn Fn(f64, f64) -> f64| a.iter().zip(b).map(|(x, y)| f(x - ma, y - mb)).sum::<f64>();
    dot(&|x, y| x * y) / (dot(&|x, _| x * x) * dot(&|_, y| y * y)).sqrt().max(1e-9)
}

const WINDOW: usize = 1_229;

/// Third octaves of each frame.
fn bands(pcm: &[i16]) -> Vec<[f64; 15]> {
    let window: Vec<f64> =
        (0..WINDOW).map(|i| 0.5 - 0.5 * (std::f64::consts::TAU * (i as f64 + 0.5) / WINDOW as f64).cos()).collect();
    let frame = |part: &[i16]| {
        let part: Vec<f64> = part.iter().zip(&window).map(|(&s, w)| f64::from(s) * w).collect();
        std::array::from_fn(|band| {
            let centre = 150.0 * 2f64.powf(band as f64 / 3.0);
            let bin = |hertz: f64| (hertz * WINDOW as f64 / 48_000.0).round() as usize;
            let (low, high) = (bin(centre * 2f64.powf(-1.0 / 6.0)), bin(centre * 2f64.powf(1.0 / 6.0)));
            let power: f64 = (low..high.max(low + 1))
                .map(|k| {
                    let turn = std::f64::consts::TAU * k as f64 / WINDOW as f64;
                    let (c, mut s1, mut s2) = (2.0 * turn.cos(), 0.0, 0.0);
                    for x in &part {
                        (s1, s2) = (x + c * s1 - s2, s1);
                    }
                    s1 * s1 + s2 * s2 - c * s1 * s2
                })
                .sum();
            power.max(0.0).sqrt()
        })
    };
    (0..(pcm.len() - WINDOW) / (WINDOW / 2)).map(|n| frame(&pcm[n * (WINDOW / 2)..][..WINDOW])).collect()
}

/// Of each stretch of 384 ms in which something is said.
fn stoi_of(clean: &[i16], heard: &[i16]) -> Vec<f64> {
    let (x, y) = (bands(clean), bands(heard));
    let energy = |frame: &[f64; 15]| frame.iter().map(|b| b * b).sum::<f64>();
    let loudest = x.iter().map(energy).fold(0.0, f64::max);
    let kept: Vec<usize> = (0..x.len()).filter(|&n| energy(&x[n]) > loudest * 1e-4).collect();
    let mut values = Vec::new();
    for run in kept.windows(30) {
        let mut sum = 0.0;
        for band in 0..15 {
            let (a, b): (Vec<f64>, Vec<f64>) = run.iter().map(|&n| (x[n][band], y[n][band])).unzip();
            let norm = |v: &[f64]| v.iter().map(|s| s * s).sum::<f64>().sqrt().max(1e-9);
            let gain = norm(&a) / norm(&b);
            let clipped: Vec<f64> =
                a.iter().zip(&b).map(|(a, b)| (b * gain).min(a * (1.0 + 10f64.powf(0.75)))).collect();
            sum += correlation(&a, &clipped);
        }
        values.push(sum / 15.0);
    }
    values
}
