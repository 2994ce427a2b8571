//! The receiver: bundles of many seats in, one mix out, on a seeded network.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may panic")]

mod playout_support;

use bytes::Bytes;
use playout_support::{Network, ORIGIN_US, Rng, Ruler, ruler, ruler_packet};
use spaces_core::bundle::{Entry, encode};
use spaces_core::ids::SeatNo;
use spaces_core::playout::{FRAME, PlayoutConfig};
use spaces_core::receiver::Receiver;
use spaces_core::time::Time;
use spaces_core::uplink::{Level, Spurt};

const SECOND: u64 = 50;

type Bundle = (u64, Bytes);

/// The bundle's parts of a tick in which `seats` talk: level = seat, with a copy of the tick before if asked for.
fn bundle(tick: u64, seats: &[u8], spurt: Spurt, redundant: bool) -> Vec<Bytes> {
    let (now, before) = (ruler_packet(tick, false), ruler_packet(tick.wrapping_sub(1), false));
    let entry = |seat: u8| Entry {
        seat: SeatNo::new(seat).unwrap(),
        level: Level(seat),
        spurt,
        redundant: false,
        opus: &now.opus,
    };
    let fresh = seats.iter().map(|&seat| entry(seat));
    let copies = seats.iter().filter(|_| redundant && !spurt.start).map(|&seat| Entry {
        redundant: true,
        spurt: Spurt::default(),
        opus: &before.opus,
        ..entry(seat)
    });
    encode(fresh.chain(copies))
}

fn receiver() -> Receiver<Ruler> {
    Receiver::new(PlayoutConfig::default(), || Some(Ruler::default()))
}

/// Runs bundles through a receiver, calling `look` after each pull of 10 ms.
fn listen(
    network: &Network,
    bundles: &[(u64, Bundle)],
    ticks: u64,
    mut look: impl FnMut(&Receiver<Ruler>, &[i16]),
) -> (Receiver<Ruler>, Vec<i16>) {
    let mut receiver = receiver();
    let arrivals = network.carry(bundles);
    let mut arrivals = arrivals.iter().peekable();
    let (mut pcm, mut block) = (Vec::new(), [0; 480]);
    while pcm.len() < (ticks as usize + 50) * FRAME {
        let now = Time(ORIGIN_US + pcm.len() as u64 * 1_000 / 48);
        while let Some((at, (group, payload))) = arrivals.next_if(|(at, _)| *at <= now) {
            receiver.push(*at, *group, payload);
        }
        receiver.pull(now, &mut block);
        look(&receiver, &block);
        pcm.extend(block);
    }
    (receiver, pcm)
}

fn stage(ticks: u64, seats: &[u8], redundant: bool) -> Vec<(u64, Bundle)> {
    (0..ticks)
        .flat_map(|tick| {
            let spurt = Spurt { start: tick == 0, end: tick + 1 == ticks };
            bundle(tick, seats, spurt, redundant).into_iter().map(move |payload| (tick, (tick, payload)))
        })
        .collect()
}

#[test]
fn speakers_stay_aligned_to_the_sample_through_jitter_and_stretch() {
    let steps = vec![(1_000, 80_000), (1_800, 0)];
    let network = Network { jitter_us: 50_000, seed: 3, drift_ppm: 200, steps, ..Network::default() };
    let ticks = 60 * SECOND;
    let (receiver, pcm) = listen(&network, &stage(ticks, &[0, 5, 12], false), ticks, |_, _| {});
    let stats = receiver.stats();
    assert!(stats.removed_samples + stats.inserted_samples > 500, "{stats:?}");
    // Three seats that play the same tick add up to three times its value; misaligned ones would not.
    let aligned = pcm.windows(100).filter(|run| run.iter().all(|sample| sample == &run[0])).map(|run| run[0]);
    let values: Vec<i16> = aligned.filter(|&value| value != 0).collect();
    assert!(values.len() > pcm.len() / 2);
    assert!(values.iter().all(|&value| value % 3 == 0 && value / 3 >= ruler(0) && value / 3 < ruler(ticks)));
}

#[test]
fn a_stage_of_thirteen_comes_in_parts() {
    let long: Vec<u8> = [&[0x48, 0x80][..], &5u64.to_be_bytes(), &[0; 150]].concat();
    let entry = |seat| Entry {
        seat: SeatNo::new(seat).unwrap(),
        level: Level(40),
        spurt: Spurt { start: true, end: false },
        redundant: false,
        opus: &long,
    };
    let parts = encode((0..13).map(entry));
    assert!(parts.len() > 1);
    let mut receiver = receiver();
    for part in parts.iter().rev() {
        receiver.push(Time(1_000_000), 5, part);
    }
    receiver.pull(Time(1_020_000), &mut [0; FRAME]);
    receiver.pull(Time(1_040_000), &mut [0; FRAME]);
    receiver.pull(Time(1_060_000), &mut [0; FRAME]);
    assert_eq!(receiver.stats().decoded_samples, 13 * FRAME as u64);
    assert_eq!(receiver.stats().refused_packets, 0);
}

#[test]
fn who_speaks_is_told_when_it_is_heard() {
    // Seat 2 for a second, a pause, then seat 7.
    let mut bundles = stage(SECOND, &[2], false);
    bundles.extend((2 * SECOND..3 * SECOND).flat_map(|tick| {
        let spurt = Spurt { start: tick == 2 * SECOND, end: tick + 1 == 3 * SECOND };
        bundle(tick, &[7], spurt, false).into_iter().map(move |payload| (tick, (tick, payload)))
    }));
    let mut told = Vec::new();
    let (_, _) = listen(&Network::default(), &bundles, 3 * SECOND, |receiver, block| {
        let seats: Vec<(u8, u8)> = receiver.speaking().map(|s| (s.seat.get(), s.level.0)).collect();
        // A block that begins amid a talkspurt.
        if block[0] > 1_900 && block[0] == block[479] {
            assert_eq!(seats.len(), 1, "{:?}", &block[..3]);
        }
        if told.last() != Some(&seats) {
            told.push(seats);
        }
    });
    assert_eq!(told, [vec![], vec![(2, 2)], vec![], vec![(7, 7)], vec![]]);
}

#[test]
fn only_seats_that_talk_are_concealed() {
    // Seat 1 says one word; seat 0 talks on over 10 % loss.
    let ticks = 20 * SECOND;
    let bundles: Vec<(u64, Bundle)> = (0..ticks)
        .flat_map(|tick| {
            let seats: &[u8] = if (100..120).contains(&tick) { &[0, 1] } else { &[0] };
            let spurt = Spurt { start: tick == 0, end: false };
            bundle(tick, seats, spurt, false).into_iter().map(move |payload| (tick, (tick, payload)))
        })
        .collect();
    let network = Network { loss: 0.1, seed: 4, ..Network::default() };
    let lost = bundles.len() - network.carry(&bundles).len();
    let (receiver, _) = listen(&network, &bundles, ticks, |_, _| {});
    let concealed = receiver.stats().concealed_samples as usize / FRAME;
    // Seat 1's word has no end flag: up to six ticks of fading, twice (the end of everything fades, too).
    assert!(concealed.abs_diff(lost) <= 2 * 6 + lost / 10, "{concealed} of {lost}");
}

#[test]
fn redundant_entries_fill_the_tick_before() {
    let ticks = 40 * SECOND;
    let network = Network { loss: 0.1, seed: 5, ..Network::default() };
    let (receiver, _) = listen(&network, &stage(ticks, &[0, 1, 2, 3], true), ticks, |_, _| {});
    let stats = receiver.stats();
    let all = 4 * ticks * FRAME as u64;
    assert!(stats.concealed_samples < all * 22 / 1_000, "{stats:?}");
    assert!(stats.decoded_samples > all * 97 / 100);
}

#[test]
fn what_is_not_a_bundle_is_counted_and_the_rest_is_heard() {
    let mut receiver = receiver();
    let good = &bundle(5, &[0, 1], Spurt { start: true, end: false }, false)[0];
    let cut = good.slice(..good.len() - 1);
    receiver.push(Time(0), 5, &cut);
    receiver.push(Time(0), 0, &Bytes::from_static(&[0x40, 1, 1, 0x48]));
    receiver.push(Time(0), 5, &Bytes::new());
    for at in 1..5 {
        receiver.pull(Time(at * 20_000), &mut [0; FRAME]);
    }
    assert_eq!(receiver.stats().refused_packets, 1);
    assert_eq!(receiver.stats().decoded_samples, FRAME as u64);
}

#[test]
fn a_seat_without_a_decoder_is_silent() {
    let mut receiver: Receiver<Ruler> = Receiver::new(PlayoutConfig::default(), || None);
    receiver.push(Time(0), 5, &bundle(5, &[0], Spurt::default(), false)[0]);
    let mut out = [1.0f32; FRAME];
    receiver.pull_f32(Time(100_000), &mut out);
    assert!(out.iter().all(|&sample| sample == 0.0));
    assert_eq!(receiver.stats().refused_packets, 1);
}

#[test]
fn any_payload_at_any_time_is_survived() {
    for seed in 0..40 {
        let mut rng = Rng(seed);
        let mut receiver = receiver();
        let (mut now, mut group) = (0u64, rng.below(1_000));
        for _ in 0..2_000 {
            now = now.saturating_add(rng.below(40_000));
            group = if rng.chance(0.01) { rng.next() } else { group.wrapping_add(rng.below(3)) };
            let mut payload = bundle(group, &[rng.below(13) as u8, rng.below(13) as u8], Spurt::default(), true)
                .swap_remove(0)
                .to_vec();
            for _ in 0..rng.below(4) {
                let at = rng.below(payload.len() as u64) as usize;
                payload[at] = rng.next() as u8;
            }
            payload.truncate(rng.below(120) as usize);
            receiver.push(Time(now), group, &payload.into());
            let mut out = vec![0.0; rng.below(1_500) as usize];
            receiver.pull_f32(Time(now), &mut out);
            assert!(out.iter().all(|sample| sample.abs() <= 1.0));
        }
        assert!(receiver.stats().refused_packets > 0 && receiver.stats().decoded_samples > 0);
    }
}

#[test]
fn a_seats_gain_is_its_share_of_the_mix_and_changes_without_a_click() {
    let (mut receiver, mut pcm) = (receiver(), Vec::new());
    for tick in 0..60 {
        let now = Time(ORIGIN_US + tick * 20_000);
        for part in bundle(tick, &[2, 7], Spurt { start: tick == 0, end: false }, false) {
            receiver.push(now, tick, &part);
        }
        if tick == 30 {
            receiver.set_gain(SeatNo::new(2).unwrap(), 0.0);
            receiver.set_gain(SeatNo::new(7).unwrap(), 1.5);
        }
        let mut block = [0; FRAME];
        receiver.pull(now, &mut block);
        pcm.extend(block);
    }
    // Both play the same ruler: twice its value before, one and a half times behind.
    let values: Vec<i16> = (0..60).map(ruler).collect();
    let plays = |sample: i16, times_2: i16| values.iter().any(|value| (value * times_2 / 2 - sample).abs() <= 1);
    assert!(plays(pcm[29 * FRAME], 4), "{}", pcm[29 * FRAME]);
    assert!(plays(pcm[59 * FRAME], 3), "{}", pcm[59 * FRAME]);
    let steepest = pcm[25 * FRAME..40 * FRAME].windows(2).map(|pair| (pair[0] - pair[1]).abs()).max().unwrap();
    // A step of the ruler itself is small; half of one voice at once would be hundreds.
    assert!(steepest < 50, "{steepest}");
}

#[test]
fn a_gain_that_is_no_gain_is_put_right() {
    for (gain, times) in [(f32::NAN, 1), (f32::INFINITY, 2), (-1.0, 0), (2.0, 2)] {
        let mut receiver = receiver();
        receiver.set_gain(SeatNo::new(4).unwrap(), gain);
        let mut heard = Vec::new();
        for tick in 0..20 {
            let now = Time(ORIGIN_US + tick * 20_000);
            for part in bundle(tick, &[4], Spurt { start: tick == 0, end: false }, false) {
                receiver.push(now, tick, &part);
            }
            let mut block = [0; FRAME];
            receiver.pull(now, &mut block);
            heard.extend(block);
        }
        // From the first sample on: what was set in silence needs no ramp. Fades in are below.
        let loudest = heard.iter().copied().max().unwrap();
        assert!((0..20).any(|tick| ruler(tick) * times == loudest), "{gain}: {loudest}");
        assert_eq!(heard.iter().any(|&sample| sample != 0), times > 0);
    }
}
