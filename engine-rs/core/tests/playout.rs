//! The jitter buffer on a seeded network, with a codec whose sound says which tick it is.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may panic")]

mod playout_support;

use bytes::Bytes;
use playout_support::{Network, ORIGIN_US, Outcome, PATH_US, Rng, Ruler, play, ruler, ruler_packet, talk};
use spaces_core::playout::{FRAME, Packet, Playout, PlayoutConfig, PlayoutStats, Pushed};
use spaces_core::time::Time;
use spaces_core::uplink::{Level, Spurt};

const SECOND: u64 = 50;
const MINUTE: u64 = 60 * SECOND;

fn run(network: &Network, ticks: u64) -> Outcome {
    play(Ruler::default(), &network.carry(&talk(ticks, false)), ticks, 480)
}

/// Largest and mean delay from mouth to ear of the ticks in `range`, in ms; the path's own 30 ms are taken off.
fn delay(outcome: &Outcome, network: &Network, range: core::ops::Range<u64>) -> (f64, f64) {
    let delays = outcome.delays(network, range.end);
    let delays: Vec<f64> =
        delays.into_iter().filter(|(tick, _)| range.contains(tick)).map(|(_, delay)| delay).collect();
    assert!(delays.len() as u64 * 2 > range.end - range.start, "{} of {range:?} found", delays.len());
    let path = PATH_US as f64 / 1_000.0;
    let largest = delays.iter().copied().fold(0.0, f64::max);
    (largest - path, delays.iter().sum::<f64>() / delays.len() as f64 - path)
}

fn share(samples: u64, ticks: u64) -> f64 {
    samples as f64 / (ticks * FRAME as u64) as f64
}

#[test]
fn a_clean_network_costs_the_least_delay_and_changes_nothing() {
    for pull in [480, 960, 128] {
        let network = Network::default();
        let outcome = play(Ruler::default(), &network.carry(&talk(MINUTE, false)), MINUTE, pull);
        let stats = outcome.stats;
        assert_eq!(stats.decoded_samples, MINUTE * FRAME as u64);
        assert_eq!((stats.concealed_samples, stats.late_packets, stats.stalls, stats.inserted_samples), (0, 0, 0, 0));
        let (largest, mean) = delay(&outcome, &network, 15 * SECOND..MINUTE);
        assert!(largest < 40.0 && mean < 40.0, "{largest} {mean}");
        // Before anything is known, a little more.
        assert!(delay(&outcome, &network, 0..SECOND).0 < 70.0);
    }
}

#[test]
fn every_tick_is_heard_in_order_and_whole_without_stretch() {
    let outcome = run(&Network::default(), 5 * SECOND);
    let heard: Vec<i16> = outcome.pcm.iter().copied().skip_while(|&sample| sample != ruler(1)).collect();
    for tick in 1..5 * SECOND - 1 {
        let from = (tick as usize - 1) * FRAME;
        assert!(heard[from..from + FRAME].iter().all(|&sample| sample == ruler(tick)), "{tick}");
    }
}

#[test]
fn lost_packets_are_concealed_and_nothing_else() {
    for (loss, seed) in [(0.02, 1), (0.05, 2), (0.10, 3), (0.20, 4)] {
        let network = Network { loss, seed, ..Network::default() };
        let arrivals = network.carry(&talk(MINUTE, false));
        let lost = MINUTE - arrivals.len() as u64;
        let stats = play(Ruler::default(), &arrivals, MINUTE, 480).stats;
        let concealed = stats.concealed_samples / FRAME as u64;
        assert!(concealed.abs_diff(lost) <= 3 + lost / 10, "{loss}: {concealed} concealed, {lost} lost");
        assert_eq!(stats.decoded_samples, arrivals.len() as u64 * FRAME as u64);
    }
}

#[test]
fn in_band_fec_repairs_single_losses_and_playout_waits_for_it() {
    for (loss, seed) in [(0.05, 2), (0.10, 3), (0.20, 4)] {
        let network = Network { loss, seed, ..Network::default() };
        let outcome = play(Ruler::default(), &network.carry(&talk(MINUTE, true)), MINUTE, 480);
        // Two lost in a row leave one of them; and until the target has grown, some are played too early.
        let concealed = share(outcome.stats.concealed_samples, MINUTE);
        assert!(concealed < loss * loss + 0.012, "{loss}: {concealed}");
        assert!(share(outcome.stats.fec_samples, MINUTE) > loss * (1.0 - loss) - 0.02);
        assert!(delay(&outcome, &network, 15 * SECOND..MINUTE).0 < 70.0);
    }
}

#[test]
fn redundant_copies_repair_single_losses() {
    let network = Network { loss: 0.1, seed: 5, ..Network::default() };
    // Each datagram carries its tick and a copy of the one before, as the stage's bundles do.
    let datagrams: Vec<(u64, Vec<Packet>)> = talk(MINUTE, false)
        .windows(2)
        .map(|pair| {
            let [(_, before), (tick, packet)] = pair else { unreachable!() };
            (*tick, vec![packet.clone(), Packet { redundant: true, ..before.clone() }])
        })
        .collect();
    let arrivals: Vec<(Time, Packet)> = network
        .carry(&datagrams)
        .into_iter()
        .flat_map(|(at, packets)| packets.into_iter().map(move |p| (at, p)))
        .collect();
    let stats = play(Ruler::default(), &arrivals, MINUTE, 480).stats;
    assert!(share(stats.concealed_samples, MINUTE) < 0.022, "{stats:?}");
    assert!(stats.redundant_packets as f64 > 0.08 * MINUTE as f64);
    assert_eq!(stats.duplicate_packets, 0);
}

#[test]
fn bursts_of_loss_fade_out_and_come_back() {
    let network = Network { loss: 0.08, burst: 8, seed: 6, ..Network::default() };
    let arrivals = network.carry(&talk(MINUTE, false));
    let outcome = play(Ruler::default(), &arrivals, MINUTE, 480);
    // Of 8 lost in a row, 6 are made up; then it is silent.
    let concealed = share(outcome.stats.concealed_samples, MINUTE);
    let lost = 1.0 - arrivals.len() as f64 / MINUTE as f64;
    assert!(concealed < lost && concealed > lost * 0.6, "{concealed} of {lost}");
    assert_eq!(outcome.stats.decoded_samples, arrivals.len() as u64 * FRAME as u64);
    assert!(delay(&outcome, &network, 15 * SECOND..MINUTE).0 < 150.0);
}

#[test]
fn jitter_of_40_ms_is_waited_for_and_no_longer() {
    let network = Network { jitter_us: 40_000, seed: 7, ..Network::default() };
    let outcome = run(&network, 2 * MINUTE);
    assert!(share(outcome.stats.concealed_samples, 2 * MINUTE) < 0.005, "{:?}", outcome.stats);
    let (largest, mean) = delay(&outcome, &network, 15 * SECOND..2 * MINUTE);
    assert!(largest < 90.0 && mean < 75.0, "{largest} {mean}");
}

#[test]
fn reordered_and_doubled_packets_play_once() {
    // 70 ms of jitter on 20 ms of spacing: three ticks may overtake one.
    let network = Network { jitter_us: 70_000, duplicates: 0.2, seed: 8, ..Network::default() };
    let outcome = run(&network, MINUTE);
    assert!(share(outcome.stats.concealed_samples, MINUTE) < 0.02, "{:?}", outcome.stats);
    let once = outcome.stats.decoded_samples / FRAME as u64;
    assert!(once <= MINUTE && once > MINUTE - 60);
    assert!(outcome.stats.duplicate_packets + outcome.stats.late_packets > MINUTE / 6);
    let order: Vec<u64> = outcome.delays(&network, MINUTE).iter().map(|(tick, _)| *tick).collect();
    assert!(order.is_sorted() && order.len() > MINUTE as usize * 9 / 10);
}

#[test]
fn two_hundred_ppm_of_drift_for_ten_minutes_are_stretched_away() {
    for drift_ppm in [200, -200] {
        let network = Network { drift_ppm, jitter_us: 5_000, seed: 9, ..Network::default() };
        let outcome = run(&network, 10 * MINUTE);
        let stats = outcome.stats;
        assert_eq!((stats.concealed_samples, stats.late_packets, stats.skipped_ticks), (0, 0, 0), "{stats:?}");
        // 120 ms, less what the target's slack takes.
        let net = stats.removed_samples as i64 - stats.inserted_samples as i64;
        assert!((net * drift_ppm.signum() - 5_760).abs() < 2_000, "{net}");
        for minute in 1..10 {
            let (largest, _) = delay(&outcome, &network, minute * MINUTE..(minute + 1) * MINUTE);
            assert!(largest < 45.0, "{drift_ppm}, minute {minute}: {largest}");
        }
    }
}

#[test]
fn a_step_up_is_one_short_gap() {
    let network = Network { steps: vec![(20 * SECOND, 100_000)], ..Network::default() };
    let outcome = run(&network, MINUTE);
    let stats = outcome.stats;
    assert!(stats.concealed_samples <= 6 * FRAME as u64 && stats.stalls == 1, "{stats:?}");
    assert_eq!(stats.decoded_samples, MINUTE * FRAME as u64);
    // The new path is 100 ms longer; the playout adds no more to it than to the old one.
    assert!(delay(&outcome, &network, 40 * SECOND..MINUTE).0 < 140.0);
}

#[test]
fn after_a_step_down_the_delay_follows_within_fifteen_seconds() {
    let network = Network { steps: vec![(0, 100_000), (20 * SECOND, 0)], ..Network::default() };
    let outcome = run(&network, MINUTE);
    assert_eq!((outcome.stats.concealed_samples, outcome.stats.late_packets), (0, 0));
    assert_eq!(outcome.stats.decoded_samples, MINUTE * FRAME as u64);
    assert!(delay(&outcome, &network, 35 * SECOND..MINUTE).0 < 40.0);
}

#[test]
fn after_a_stall_of_two_seconds_the_newest_is_heard_at_once() {
    for comes in [true, false] {
        let network = Network { stall: Some((20 * SECOND, 100, comes)), ..Network::default() };
        let outcome = run(&network, MINUTE);
        let stats = outcome.stats;
        // 120 ms are made up and fade; then silence, and the backlog is dropped: the delay does not grow.
        assert_eq!(stats.concealed_samples, 6 * FRAME as u64);
        assert_eq!(stats.stalls, 1);
        let played = stats.decoded_samples / FRAME as u64;
        assert!((MINUTE - 102..=MINUTE - 95).contains(&played), "{played}");
        assert!(delay(&outcome, &network, 22 * SECOND + 3..25 * SECOND).0 < 75.0);
        assert!(delay(&outcome, &network, 23 * SECOND..MINUTE).0 < 60.0);
        assert_eq!(stats.skipped_ticks > 0, comes);
        // Nor does it count as jitter.
        assert_eq!(outcome.seconds.last().unwrap().target_ms, 20);
    }
}

/// Talkspurts of `talk` ticks and pauses of `pause`.
fn speech(spurts: u64, talk: u64, pause: u64) -> Vec<(u64, Packet)> {
    (0..spurts * (talk + pause))
        .filter(|tick| tick % (talk + pause) < talk)
        .map(|tick| {
            let at = tick % (talk + pause);
            (tick, Packet { spurt: Spurt { start: at == 0, end: at + 1 == talk }, ..ruler_packet(tick, false) })
        })
        .collect()
}

#[test]
fn silence_between_talkspurts_is_not_loss() {
    let packets = speech(30, 60, 45);
    let network = Network { jitter_us: 15_000, seed: 10, ..Network::default() };
    let outcome = play(Ruler::default(), &network.carry(&packets), 30 * 105, 480);
    let stats = outcome.stats;
    assert_eq!((stats.concealed_samples, stats.stalls, stats.late_packets, stats.skipped_ticks), (0, 0, 0, 0));
    assert_eq!(stats.decoded_samples, packets.len() as u64 * FRAME as u64);
    // Each pause is silent for the most part, and each talkspurt begins with its first tick.
    let silent = outcome.pcm.iter().filter(|&&sample| sample == 0).count() as u64 / FRAME as u64;
    assert!(silent >= 30 * 42, "{silent}");
    let heard = outcome.delays(&network, 30 * 105);
    assert!((0..30).all(|spurt| heard.iter().any(|(tick, _)| *tick == spurt * 105)));
}

#[test]
fn the_delay_is_set_right_in_silence_without_stretching() {
    // 60 ms of jitter for the first spurts, none after.
    let packets = speech(40, 60, 45);
    let (before, after): (Vec<_>, Vec<_>) = packets.iter().cloned().partition(|(tick, _)| *tick < 2_000);
    let jittery = Network { jitter_us: 60_000, seed: 11, ..Network::default() };
    let mut arrivals = jittery.carry(&before);
    arrivals.extend(Network::default().carry(&after));
    let outcome = play(Ruler::default(), &arrivals, 40 * 105, 480);
    assert!(delay(&outcome, &jittery, 500..2_000).0 > 60.0);
    assert!(delay(&outcome, &jittery, 3_500..4_200).0 < 45.0);
    // Eight spurts of 1.2 s would each have to lose some ms; the pauses did it.
    assert!(outcome.stats.removed_samples < 2_500, "{:?}", outcome.stats);
}

#[test]
fn a_lost_end_marker_is_a_fade_and_a_lost_start_costs_one_tick() {
    let packets: Vec<_> =
        speech(20, 30, 30).into_iter().filter(|(_, packet)| packet.spurt == Spurt::default()).collect();
    let outcome = play(Ruler::default(), &Network::default().carry(&packets), 20 * 60, 480);
    assert_eq!(outcome.stats.decoded_samples, packets.len() as u64 * FRAME as u64);
    // At most the fade of 120 ms a talkspurt.
    assert!(outcome.stats.concealed_samples <= 20 * 6 * FRAME as u64);
    let network = Network::default();
    assert!(outcome.delays(&network, 1_200).iter().all(|(_, delay)| *delay < 110.0));
}

#[test]
fn a_first_tick_lost_comes_from_fec() {
    let mut packets = speech(20, 30, 30);
    packets.iter_mut().filter(|(_, packet)| !packet.spurt.start).for_each(|(tick, packet)| {
        *packet = Packet { spurt: packet.spurt, ..ruler_packet(*tick, true) };
    });
    packets.retain(|(tick, packet)| *tick == 0 || !packet.spurt.start);
    let stats = play(Ruler::default(), &Network::default().carry(&packets), 20 * 60, 480).stats;
    // When playing has stopped, it starts with the first packet in hand; a running stage would not have stopped.
    assert!(stats.concealed_samples == 0, "{stats:?}");
}

#[test]
fn a_joiner_starts_from_the_newest_of_sixty_four_stale_packets() {
    let network = Network::default();
    let packets = talk(MINUTE, false);
    let joined = 64u64;
    let at = Time(network.sent_us(joined) + PATH_US - 7_000);
    let mut arrivals: Vec<(Time, Packet)> =
        packets.iter().take(joined as usize).map(|(_, packet)| (at, packet.clone())).collect();
    arrivals.extend(network.carry(&packets[joined as usize..]));
    let outcome = play(Ruler::default(), &arrivals, MINUTE, 480);
    let first = outcome.delays(&network, MINUTE).first().map(|(tick, _)| *tick).unwrap();
    assert!((60..=66).contains(&first), "{first}");
    assert!(delay(&outcome, &network, 66..66 + SECOND).0 < 80.0);
    assert!(outcome.seconds.iter().all(|second| second.target_ms <= 50));
    assert_eq!((outcome.stats.concealed_samples, outcome.stats.late_packets), (0, 0));
    assert!(outcome.stats.skipped_ticks >= 60);
}

#[test]
fn a_peer_whose_time_jumps_is_heard_again_after_three_packets() {
    for jump in [1u64 << 40, 1 << 45] {
        let mut packets = talk(10 * SECOND, false);
        packets.extend(
            talk(10 * SECOND, false)
                .into_iter()
                .map(|(tick, packet)| (tick + 10 * SECOND, Packet { tick: tick + jump, ..packet })),
        );
        packets.extend(talk(10 * SECOND, false).into_iter().map(|(tick, packet)| (tick + 20 * SECOND, packet)));
        let stats = play(Ruler::default(), &Network::default().carry(&packets), 30 * SECOND, 480).stats;
        assert_eq!((stats.restarts, stats.refused_packets), (2, 4));
        assert!(stats.decoded_samples >= 29 * SECOND * FRAME as u64, "{stats:?}");
    }
}

#[test]
fn single_packets_of_impossible_times_change_nothing() {
    let mut packets = talk(MINUTE, false);
    for (at, tick) in [(100, u64::MAX), (500, 1 << 40), (900, 0), (1_500, (1 << 46) - 1)] {
        let (place, _) = packets[at].clone();
        packets.insert(at, (place, ruler_packet(tick, false)));
    }
    let outcome = play(Ruler::default(), &Network::default().carry(&packets), MINUTE, 480);
    assert_eq!(outcome.stats.concealed_samples, 0);
    assert_eq!(outcome.stats.decoded_samples, MINUTE * FRAME as u64);
}

#[test]
fn a_sound_card_that_asks_unevenly_is_served_evenly() {
    let network = Network { jitter_us: 5_000, seed: 13, ..Network::default() };
    let arrivals = network.carry(&talk(MINUTE, false));
    // Four or eight blocks of 10 ms at once; and a timer that is late by up to 9 ms.
    for (at_once, late_us) in [(4, 0), (8, 0), (1, 9_000)] {
        let mut rng = Rng(14);
        let mut playout = Playout::new(Ruler::default(), PlayoutConfig::default());
        let mut arrivals = arrivals.iter().peekable();
        let mut settled = PlayoutStats::default();
        for call in 0..MINUTE * 2 / at_once {
            let now = Time(ORIGIN_US + call * at_once * 10_000 + rng.below(late_us + 1));
            while let Some((at, packet)) = arrivals.next_if(|(at, _)| *at <= now) {
                playout.push(*at, packet.clone());
            }
            (0..at_once).for_each(|_| playout.pull(now, &mut [0; 480]));
            if call == 15 * 100 / at_once {
                settled = playout.stats();
            }
        }
        let stats = playout.stats();
        let since = |count: fn(&PlayoutStats) -> u64| count(&stats) - count(&settled);
        assert!(settled.concealed_samples <= 3 * FRAME as u64, "{settled:?}");
        assert_eq!(since(|s| s.concealed_samples), 0, "{at_once} {stats:?}");
        assert!(since(|s| s.removed_samples + s.inserted_samples) < 1_500, "{at_once} {settled:?} {stats:?}");
        assert!(stats.target_ms < 100, "{stats:?}");
    }
}

#[test]
fn two_runs_of_the_same_packets_are_the_same() {
    let network = Network { loss: 0.1, jitter_us: 60_000, duplicates: 0.1, seed: 12, ..Network::default() };
    let (one, two) = (run(&network, MINUTE), run(&network, MINUTE));
    assert!(one.pcm == two.pcm && one.stats == two.stats);
}

/// A packet whose memory tells how many live.
fn counted(tick: u64, bytes: Vec<u8>, live: &std::sync::Arc<()>) -> Packet {
    struct Counted(Vec<u8>, #[allow(dead_code, reason = "counts by living")] std::sync::Arc<()>);
    impl AsRef<[u8]> for Counted {
        fn as_ref(&self) -> &[u8] {
            &self.0
        }
    }
    let opus = Bytes::from_owner(Counted(bytes, live.clone()));
    Packet { tick, level: Level(0), spurt: Spurt::default(), redundant: false, opus }
}

#[test]
fn any_input_leaves_bounded_memory_and_never_panics() {
    for seed in 0..60 {
        let mut rng = Rng(seed);
        let live = std::sync::Arc::new(());
        let config =
            PlayoutConfig { min_ms: rng.next() as u16, max_ms: rng.next() as u16, start_ms: rng.next() as u16 };
        let mut playout = Playout::new(Ruler::default(), config);
        let mut now = rng.below(1 << 50);
        let mut tick = rng.below(1 << 40);
        for _ in 0..3_000 {
            match rng.below(40) {
                0 => now = rng.next(),
                1 => now = rng.below(1 << 50),
                2 => tick = rng.next(),
                3 => tick = tick.wrapping_sub(rng.below(200)),
                _ => now = now.saturating_add(rng.below(30_000)),
            }
            tick = tick.wrapping_add(rng.below(3));
            let mut bytes: Vec<u8> = (0..rng.below(20)).map(|_| rng.next() as u8).collect();
            if rng.chance(0.8)
                && let Some(toc) = bytes.first_mut()
            {
                *toc = 0x48;
            }
            let mut packet = counted(tick, bytes, &live);
            packet.spurt = Spurt { start: rng.chance(0.1), end: rng.chance(0.1) };
            packet.redundant = rng.chance(0.2);
            playout.push(Time(now), packet);
            assert!(std::sync::Arc::strong_count(&live) <= 65);
            if rng.chance(0.7) {
                let mut out = vec![1; rng.below(3_000) as usize];
                playout.pull(Time(now), &mut out);
            }
            let stats: PlayoutStats = playout.stats();
            assert!(stats.target_ms <= 500);
        }
    }
}

#[test]
fn a_playout_recovers_from_any_input() {
    for seed in 0..20 {
        let mut rng = Rng(seed);
        let mut playout = Playout::new(Ruler::default(), PlayoutConfig::default());
        for _ in 0..500 {
            playout.push(Time(rng.below(ORIGIN_US)), ruler_packet(rng.next() >> rng.below(60), false));
            playout.pull(Time(rng.below(ORIGIN_US)), &mut [0; 480]);
        }
        let before = playout.stats().decoded_samples;
        let network = Network::default();
        for (at, packet) in network.carry(&talk(20 * SECOND, false)) {
            playout.push(at, packet);
            playout.pull(at, &mut [0; 960]);
        }
        let decoded = playout.stats().decoded_samples - before;
        assert!(decoded > 18 * SECOND * FRAME as u64, "seed {seed}: {decoded}");
    }
}

#[test]
fn what_is_not_twenty_ms_of_opus_is_refused() {
    let mut playout = Playout::new(Ruler::default(), PlayoutConfig::default());
    for bytes in [&[][..], &[0x70], &[0x4b], &[0x4b, 3], &[0x48; 513]] {
        let packet = Packet { opus: Bytes::copy_from_slice(bytes), ..ruler_packet(5, false) };
        assert_eq!(playout.push(Time(0), packet), Pushed::Refused, "{bytes:?}");
    }
    assert_eq!(playout.stats().refused_packets, 5);
    assert_eq!(playout.push(Time(0), ruler_packet(5, false)), Pushed::Kept);
    assert_eq!(playout.push(Time(0), ruler_packet(5, false)), Pushed::Duplicate);
}
