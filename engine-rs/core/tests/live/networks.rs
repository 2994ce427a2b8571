//! Bad networks and clocks on the way up, and bad connections on the way down.

use std::time::Duration;

use crate::sim::*;
use spaces_core::engine::{Config, Engine, Feedback, Track, Verdict};
use spaces_core::ids::SessionKey;
use spaces_core::time::Time;

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[test]
fn a_loss_of_ten_percent_costs_exactly_what_was_lost() {
    let mut world = World::with_seats(3, 1);
    world.listen(0, 1);
    let mut speaker = Speaker::new(0, 0, 0);
    speaker.network.loss_per_mille = 100;
    speaker.network.jitter = millis(4);
    speaker.frames = 5_000;
    world.speak(&speaker);
    world.run(START + millis(110_000));
    let player = world.player(0, 1);
    assert_eq!(world.verdict(0, Verdict::Late), 0);
    assert_eq!(player.frames, world.verdict(0, Verdict::Accepted), "what came is heard");
    assert!((4_400..4_600).contains(&player.frames), "{}", player.frames);
    assert_eq!(player.frames + player.concealed, player.last_group.unwrap() - player.first_group().unwrap() + 1);
    assert_eq!(player.skipped, 0);
}

#[test]
fn jitter_of_40_ms_with_reordering_is_repaired_after_the_first_second() {
    for seed in 1..=10 {
        let mut world = World::with_seats(seed, 2);
        world.listen(0, 9);
        for number in 0..2 {
            let mut speaker = Speaker::new(0, number.into(), number);
            speaker.network.jitter = millis(40);
            speaker.frames = 3_000;
            world.speak(&speaker);
        }
        world.run(START + millis(70_000));
        let player = world.player(0, 9);
        let late = world.verdict(0, Verdict::Late) + world.verdict(1, Verdict::Late);
        assert!(late <= 60, "seed {seed}: {late} of 6000 late");
        assert!(player.concealed <= 70, "seed {seed}: {} of 6000 concealed", player.concealed);
        assert_eq!(player.frames + late, 6_000);
    }
}

#[test]
fn duplicates_are_heard_once() {
    let mut world = World::with_seats(4, 1);
    world.listen(0, 1);
    let mut speaker = Speaker::new(0, 0, 0);
    speaker.network.duplicate_per_mille = 15;
    speaker.network.jitter = millis(8);
    speaker.frames = 10_000;
    world.speak(&speaker);
    world.run(START + millis(210_000));
    assert_eq!(world.player(0, 1).frames, 10_000);
    assert!(world.verdict(0, Verdict::Duplicate) > 100);
}

#[test]
fn a_cadence_on_the_slot_border_neither_skips_nor_doubles_groups() {
    for offset in [0u64, 1, 500, 19_500, 19_999] {
        let mut world = World::with_seats(offset + 5, 1);
        world.listen(0, 1);
        let mut speaker = Speaker::new(0, 0, 0);
        speaker.network.delay = Duration::from_micros(40_000 - 500 + offset);
        speaker.network.jitter = millis(1);
        (speaker.talk, speaker.pause, speaker.frames) = (73, 21, 20_000);
        world.speak(&speaker);
        world.run(START + millis(410_000));
        let player = world.player(0, 1);
        assert_eq!((player.concealed, player.skipped, world.verdict(0, Verdict::Late)), (0, 0, 0), "offset {offset}");
        assert_eq!(player.frames, world.sent);
    }
}

#[test]
fn a_clock_200_ppm_off_costs_one_slip_in_100_seconds_and_no_silence() {
    for ppm in [200i64, -200, 500, -500] {
        let mut world = World::with_seats(6, 1);
        world.listen(0, 1);
        let mut speaker = Speaker::new(0, 0, 0);
        (speaker.ppm, speaker.frames, speaker.network.jitter) = (ppm, 36_000, millis(3));
        world.speak(&speaker);
        let mut silent = 0;
        while world.now < START + millis(719_000) {
            world.run_ms(100);
            let last = world.nets[0].players.get(&SessionKey(1)).and_then(|player| player.last_at);
            silent +=
                u64::from(world.now > START + millis(300) && last.is_none_or(|at| world.now.since(at) > millis(60)));
        }
        world.run_ms(3_000);
        let player = world.player(0, 1);
        let expected = 720_000 * ppm.unsigned_abs() / 1_000_000 / 20;
        let slips = player.concealed + player.skipped;
        assert!(slips.abs_diff(expected) <= 1, "{ppm} ppm: {slips} slips, {expected} expected");
        assert_eq!(if ppm > 0 { player.skipped } else { player.concealed }, 0, "{ppm} ppm slips the right way");
        assert_eq!(silent, 0, "{ppm} ppm");
        // Media time is kept: the last group is that of the time when it came.
        let now = player.last_at.unwrap().since(START).as_millis() as u64 / 20;
        assert!(player.last_group.unwrap().abs_diff(now) <= 2, "{ppm} ppm");
    }
}

#[test]
fn thirteen_drifting_lossy_seats_with_talkspurts_share_their_ticks() {
    let mut world = World::with_seats(7, 13);
    world.listen(0, 100);
    for number in 0..13u8 {
        let mut speaker = Speaker::new(0, number.into(), number);
        speaker.begins = START + Duration::from_micros(100_000 + 137_311 * u64::from(number));
        speaker.network.delay = millis(10 + 7 * u64::from(number));
        speaker.network.jitter = millis(u64::from(number % 4) * 5);
        speaker.network.loss_per_mille = 10;
        (speaker.ppm, speaker.frames) = (i64::from(number) * 60 - 360, 15_000);
        (speaker.talk, speaker.pause) = (u64::from(number) * 20 + 30, 40 + u64::from(number) * 3);
        speaker.size = 76;
        world.speak(&speaker);
    }
    world.run(START + millis(310_000));
    let player = world.player(0, 100);
    let late: u64 = (0..13).map(|number| world.verdict(number, Verdict::Late)).sum();
    let lost = world.sent - player.frames;
    assert!(late * 200 < world.sent, "{late} late of {}", world.sent);
    assert!(lost * 60 < world.sent, "{lost} lost of {} with 1 % loss on the way", world.sent);
    assert!(player.bundles < 310_000 / 20 + 50, "one bundle a tick: {}", player.bundles);
}

#[test]
fn every_talkspurt_keeps_its_first_frame() {
    for seed in 1..=20 {
        let mut world = World::with_seats(seed * 77, 1);
        world.listen(0, 1);
        let mut speaker = Speaker::new(0, 0, 0);
        // Jitter over 20 ms puts the second frame before the first now and then.
        speaker.network.jitter = millis(28);
        (speaker.talk, speaker.pause, speaker.frames) = (25, 50, 75 * 40);
        world.speak(&speaker);
        world.run(START + millis(65_000));
        let player = world.player(0, 1);
        assert!(player.starts >= 39, "seed {seed}: {} of 40 talkspurts began with their first frame", player.starts);
        assert!(player.frames >= 40 * 25 - 20, "seed {seed}: {}", player.frames);
    }
}

#[test]
fn a_speaker_that_restarts_or_counts_wildly_is_heard_again_at_once() {
    let jumps = [0u64, 5, 1 << 61, (1 << 62) - 40, u64::MAX - 70, u64::MAX - 3, 900_000, 1_100];
    for (case, jump) in jumps.into_iter().enumerate() {
        let mut world = World::with_seats(8, 1);
        world.listen(0, 1);
        let mut speaker = Speaker::new(0, 0, 0);
        speaker.frames = 200;
        world.speak(&speaker);
        speaker.begins = speaker.begins + millis(4_500);
        speaker.first_sequence = jump;
        world.plan(&speaker);
        world.run(START + millis(10_000));
        let player = world.player(0, 1);
        assert!(player.frames >= 398, "case {case}: {} of 400", player.frames);
        assert!(player.last_group.unwrap().abs_diff((100 + 30 + 4_500) / 20 + 199) <= 2, "case {case}");
    }
}

#[test]
fn an_unmarked_restart_costs_two_frames_at_most() {
    let mut world = World::with_seats(9, 1);
    world.listen(0, 1);
    let mut speaker = Speaker::new(0, 0, 0);
    speaker.frames = 300;
    world.speak(&speaker);
    // Two more streams out of all order, their first frame lost.
    for (begins, first) in [(6_100, u64::MAX - 5_000), (12_100, 3)] {
        speaker.begins = START + millis(begins) - Duration::from_millis(20);
        speaker.first_sequence = first;
        let mut rest = speaker.clone();
        rest.talk = 10_000;
        world.plan_from(&rest, 1);
    }
    world.run(START + millis(20_000));
    assert!(world.player(0, 1).frames >= 300 + 2 * 297, "{}", world.player(0, 1).frames);
}

#[test]
fn a_stall_of_the_speakers_network_does_not_shift_media_time_for_good() {
    let mut world = World::with_seats(10, 1);
    world.listen(0, 1);
    let mut speaker = Speaker::new(0, 0, 0);
    (speaker.frames, speaker.talk) = (1_500, 10_000);
    world.speak_stalled(&speaker, START + millis(5_000), millis(400));
    world.run(START + millis(32_000));
    let player = world.player(0, 1);
    assert!(player.frames >= 1_440, "{}", player.frames);
    let at = player.last_at.unwrap().since(START).as_millis() as u64 / 20;
    assert!(player.last_group.unwrap().abs_diff(at) <= 3, "{} against {at}", player.last_group.unwrap());
}

#[test]
fn a_stalled_listener_slows_nobody_and_goes_on_with_the_newest() {
    let mut world = World::with_seats(11, 1);
    (1..=50).for_each(|key| world.listen(0, key));
    let mut speaker = Speaker::new(0, 0, 0);
    speaker.frames = 1_000;
    world.speak(&speaker);
    world.run(START + millis(5_000));
    world.nets[0].blocked.insert(SessionKey(7));
    world.run_ms(3_010);
    let before = world.player(0, 7).bundles;
    world.nets[0].blocked.clear();
    world.run_ms(20);
    let player = world.player(0, 7);
    assert_eq!(player.bundles - before, 2, "the newest when it can again, and this tick's");
    assert_eq!(player.last_group, world.player(0, 8).last_group, "up to date at once");
    world.run(START + millis(22_000));
    for key in (1..=50).filter(|key| *key != 7) {
        assert_eq!((world.player(0, key).frames, world.player(0, key).concealed), (1_000, 0));
    }
    assert!(world.player(0, 7).frames.abs_diff(850) <= 2);
    assert!(world.engines[0].stats().skipped >= 148);
}

#[test]
fn a_short_block_costs_a_listener_nothing() {
    let mut world = World::with_seats(12, 1);
    world.listen(0, 1);
    world.speak(&Speaker::new(0, 0, 0));
    for _ in 0..30 {
        world.run_ms(150);
        world.nets[0].blocked.insert(SessionKey(1));
        world.run_ms(100);
        world.nets[0].blocked.clear();
    }
    world.run_ms(8_000);
    assert_eq!((world.player(0, 1).frames, world.player(0, 1).concealed), (500, 0));
}

#[test]
fn redundancy_repairs_a_lossy_listener_and_nobody_else_pays() {
    let mut world = World::with_seats(13, 4);
    (100..103).for_each(|key| world.listen(0, key));
    world.nets[0].loss_per_mille.insert(SessionKey(101), 100);
    for number in 0..4 {
        let mut speaker = Speaker::new(0, number.into(), number);
        speaker.frames = 3_000;
        world.speak(&speaker);
    }
    let mut reported = (0, 0);
    while world.now < START + millis(62_000) {
        world.run_ms(1_000);
        let (taken, lost) = (world.player(0, 101).bundles, world.player(0, 101).lost_below);
        let (sent, lost_now) = ((taken + lost - reported.0) as u32, (lost - reported.1) as u32);
        reported = (taken + lost, lost);
        world.engines[0].feedback(world.now, SessionKey(101), Feedback { sent, lost: lost_now, rtt_us: 40_000 });
    }
    let (lossy, clean) = (world.player(0, 101), world.player(0, 100));
    assert!(lossy.lost_below > 200);
    let holes = 4 * lossy.lost_below;
    assert!(lossy.repaired * 100 > holes * 80, "{} of {holes} holes repaired", lossy.repaired);
    assert_eq!((clean.frames, clean.concealed, clean.redundant), (12_000, 0, 0));
    assert!(world.player(0, 102).redundant == 0 && lossy.redundant > 0);
}

#[test]
fn a_joiner_hears_at_once_and_nothing_stale() {
    let mut world = World::with_seats(14, 1);
    let mut speaker = Speaker::new(0, 0, 0);
    speaker.frames = 250;
    world.speak(&speaker);
    world.run(START + millis(3_007));
    world.listen(0, 1);
    let player = world.player(0, 1);
    assert_eq!(player.bundles, 5, "the last ticks, before the next frame comes");
    assert!(player.first_group().unwrap() >= 3_007 / 20 - 8);
    world.run(START + millis(9_000));
    assert_eq!(world.player(0, 1).concealed, 0);
    world.listen(0, 2);
    assert!(!world.nets[0].players.contains_key(&SessionKey(2)), "silence for seconds: nothing to say");
}

#[test]
fn those_on_stage_do_not_hear_themselves() {
    let mut world = World::with_seats(15, 3);
    for number in 0..3 {
        world.speak(&Speaker::new(0, number.into(), number));
        let key = SessionKey(number.into());
        world.engines[0].subscribe(world.now, key, Track::Stage { part: 0 }).unwrap();
    }
    world.listen(0, 9);
    world.run(START + millis(12_000));
    for number in 0..3u8 {
        let player = world.player(0, number.into());
        assert_eq!((player.seats, player.frames), (0b111 & !(1 << number), 1_000));
    }
    assert_eq!(world.player(0, 9).frames, 1_500);
}

#[test]
fn stream_and_single_seat_subscribers_get_every_frame_in_its_place() {
    let mut world = World::with_seats(16, 2);
    world.join(0, 50, 777, &[Track::StageGroups]).unwrap();
    world.join(0, 51, 778, &[Track::Seat(seat(1))]).unwrap();
    world.nets[0].log = Some(Vec::new());
    for number in 0..2 {
        world.speak(&Speaker::new(0, number.into(), number));
    }
    world.run(START + millis(12_000));
    assert_eq!((world.player(0, 50).frames, world.player(0, 50).concealed), (1_000, 0));
    assert_eq!((world.player(0, 51).frames, world.player(0, 51).seats), (500, 0b10));
    for entry in world.nets[0].log.take().unwrap() {
        if let Entry::Sent(_, object) = entry
            && object.track == Track::StageGroups
        {
            assert_eq!(object.end_of_group, object.object == 49);
            assert!(object.object < 50);
        }
    }
}

#[test]
fn a_flood_is_cut_to_the_budget_and_told_once_a_second() {
    let mut world = World::with_seats(17, 1);
    world.listen(0, 1);
    let mut speaker = Speaker::new(0, 0, 0);
    speaker.frames = 0;
    world.speak(&speaker);
    for n in 0..20_000u64 {
        world.uplink_at(START + Duration::from_micros(n * 500), SessionKey(0), frame(0, n));
    }
    world.run(START + millis(13_000));
    let accepted = world.sent_verdicts(0) - world.verdict(0, Verdict::OverBudget);
    assert!((500..=600).contains(&accepted), "{accepted}");
    let told: Vec<_> = world.over_budget().collect();
    assert!((9..=12).contains(&told.len()), "{}", told.len());
    assert_eq!(told.iter().map(|dropped| u64::from(*dropped)).sum::<u64>(), world.verdict(0, Verdict::OverBudget));
}

#[test]
fn an_idle_engine_has_nothing_to_do() {
    let mut world = World::with_seats(18, 2);
    world.listen(0, 5);
    world.speak(&Speaker::new(0, 0, 0));
    world.run(START + millis(20_000));
    assert_eq!(world.engines[0].next_timeout(), None, "no timer runs in silence");
    assert_eq!(Engine::new(Config::default()).next_timeout(), None::<Time>);
}

#[test]
fn those_on_stage_with_loss_are_not_repeated_to_themselves() {
    let mut world = World::with_seats(19, 2);
    for number in 0..2u8 {
        let mut speaker = Speaker::new(0, number.into(), number);
        (speaker.talk, speaker.pause) = (10 + 7 * u64::from(number), 13);
        world.speak(&speaker);
        let key = SessionKey(number.into());
        world.engines[0].subscribe(world.now, key, Track::Stage { part: 0 }).unwrap();
        world.engines[0].feedback(world.now, key, Feedback { sent: 100, lost: 10, rtt_us: 0 });
    }
    world.nets[0].log = Some(Vec::new());
    world.run(START + millis(12_000));
    for number in 0..2u8 {
        let player = world.player(0, number.into());
        assert_eq!(player.seats, 0b11 & !(1 << number));
        assert!(player.redundant > 100);
        assert!(!player.repeated.contains(&number), "its own frames in the repetition");
    }
}

#[test]
fn a_talkspurts_first_frame_that_comes_second_is_heard_first() {
    let mut world = World::with_seats(20, 1);
    world.listen(0, 1);
    world.speak(&Speaker { frames: 0, ..Speaker::new(0, 0, 0) });
    for (base, at) in [(100, 1_000), (500, 9_000)] {
        let mut first = frame(0, base);
        first.spurt.start = true;
        world.uplink_at(START + millis(at), SessionKey(0), frame(0, base + 1));
        world.uplink_at(START + millis(at + 6), SessionKey(0), first);
        let mut last = frame(0, base + 2);
        last.spurt.end = true;
        world.uplink_at(START + millis(at + 20), SessionKey(0), last);
    }
    world.run(START + millis(10_000));
    let player = world.player(0, 1);
    assert_eq!((player.frames, player.starts, player.concealed), (6, 2, 0));
}

#[test]
fn two_part_bundles_survive_a_connection_that_takes_only_the_first() {
    let mut world = World::with_seats(21, 13);
    world.listen(0, 100);
    world.listen(0, 101);
    for number in 0..13u8 {
        let mut speaker = Speaker { size: 120, ..Speaker::new(0, number.into(), number) };
        speaker.begins = START + Duration::from_micros(100_000 + 100 * u64::from(number));
        world.speak(&speaker);
    }
    world.run(START + millis(2_000));
    let before = world.player(0, 100).bundles;
    world.nets[0].half_blocked = Some(SessionKey(100));
    world.run_ms(1_001);
    let during = world.player(0, 100).bundles - before;
    world.nets[0].half_blocked = None;
    world.run(START + millis(12_000));
    let (half, whole) = (world.player(0, 100), world.player(0, 101));
    // The first frame of all goes out before the others are there: one tick more.
    assert_eq!((whole.frames, whole.concealed, whole.bundles), (13 * 500, 0, 501));
    assert!((4..10).contains(&during), "the first part of the newest tick each time it gives up on one: {during}");
    assert!(half.frames > 13 * 440, "{} frames", half.frames);
    // Part 0 of a tick never comes twice: groups strictly increase (checked by the player).
}

#[test]
fn frames_stay_in_the_engine_no_longer_than_the_budget() {
    let mut world = World::with_seats(22, 13);
    world.listen(0, 100);
    world.nets[0].arrivals = Some(Default::default());
    let mut rng = Rng(5);
    for number in 0..13u8 {
        let mut speaker = Speaker { frames: 6_000, ..Speaker::new(0, number.into(), number) };
        speaker.begins = START + Duration::from_micros(rng.below(5_000_000));
        (speaker.talk, speaker.pause) = (100 + rng.below(200), 300 + rng.below(900));
        speaker.network.jitter = millis(4);
        speaker.network.loss_per_mille = 5;
        world.speak(&speaker);
    }
    world.run(START + millis(130_000));
    let mut stays = core::mem::take(&mut world.nets[0].stays);
    stays.sort_unstable();
    let quantile = |per_mille: usize| stays[stays.len() * per_mille / 1_000];
    assert!(stays.len() > 10_000);
    assert!(quantile(500) <= 12_000, "p50 {} us", quantile(500));
    assert!(quantile(990) <= 40_000, "p99 {} us", quantile(990));
}

#[test]
fn everybodys_objects_are_the_same_memory() {
    let mut world = World::with_seats(23, 2);
    (100..200).for_each(|key| world.listen(0, key));
    for number in 0..2u8 {
        world.speak(&Speaker::new(0, number.into(), number));
        let key = SessionKey(number.into());
        world.engines[0].subscribe(world.now, key, Track::Stage { part: 0 }).unwrap();
    }
    world.run(START + millis(1_000));
    world.nets[0].log = Some(Vec::new());
    world.run_ms(20);
    let log = world.nets[0].log.take().unwrap();
    let memory: std::collections::BTreeSet<_> = log
        .iter()
        .filter_map(|entry| match entry {
            Entry::Sent(_, object) => Some((object.group, object.payload.as_ptr())),
            Entry::Purged(_) => None,
        })
        .collect();
    assert_eq!((log.len(), memory.len()), (102, 3), "one for everybody, one for each on stage");
}

#[test]
fn a_drifting_clock_behind_jitter_slips_no_more_than_it_must() {
    for (seed, ppm) in [(24, 200i64), (25, -200)] {
        let mut world = World::with_seats(seed, 2);
        world.listen(0, 9);
        for number in 0..2u8 {
            let mut speaker = Speaker { ppm, frames: 30_000, ..Speaker::new(0, number.into(), number) };
            speaker.begins = START + millis(100 + 7 * u64::from(number));
            speaker.network.jitter = millis(25);
            world.speak(&speaker);
        }
        world.run(START + millis(610_000));
        let player = world.player(0, 9);
        let late = world.verdict(0, Verdict::Late) + world.verdict(1, Verdict::Late);
        let expected = 2 * 600_000 * ppm.unsigned_abs() / 1_000_000 / 20;
        let (left_out, left_empty) = world.engines[0].slips(SPACE).unwrap();
        assert!(left_out + left_empty <= expected + 8, "{ppm} ppm: {left_out} + {left_empty} slips");
        assert!(late <= left_out + 90, "{ppm} ppm: {late} of 60,000 late");
        assert!(player.concealed + player.skipped <= late + left_out + left_empty, "{ppm} ppm");
    }
}

#[test]
fn a_client_that_does_not_count_silence_is_heard_whole() {
    let mut world = World::with_seats(26, 1);
    world.listen(0, 1);
    let mut speaker = Speaker::new(0, 0, 0);
    speaker.frames = 0;
    world.speak(&speaker);
    (speaker.frames, speaker.network.jitter) = (40, millis(5));
    for spurt in 0..30 {
        speaker.begins = START + millis(1_000 + 1_700 * spurt);
        speaker.first_sequence = 40 * spurt;
        world.plan(&speaker);
    }
    world.run(START + millis(60_000));
    let player = world.player(0, 1);
    assert_eq!((player.frames, player.starts, player.concealed), (1_200, 30, 0));
    assert!(player.last_group.unwrap().abs_diff((1_000 + 30 + 1_700 * 29) / 20 + 39) <= 2);
}

/// One slip in sixteen frames would lose a second of speech before it had caught up with a mobile network's change of cell.
#[test]
fn a_path_that_becomes_slower_at_once_costs_few_frames() {
    for more in [60, 100, 140] {
        let mut world = World::with_seats(77, 2);
        world.listen(0, 9);
        world.speak(&Speaker { frames: 300, ..Speaker::new(0, 0, 0) });
        world.speak_slower(&Speaker { frames: 300, ..Speaker::new(0, 1, 1) }, START + millis(2_000), millis(more));
        world.run_ms(8_000);
        eprintln!(
            "late {} over {} dup {} acc {} silenced {} noseat {}",
            world.verdict(1, Verdict::Late),
            world.verdict(1, Verdict::OverBudget),
            world.verdict(1, Verdict::Duplicate),
            world.verdict(1, Verdict::Accepted),
            world.verdict(1, Verdict::Silenced),
            world.verdict(1, Verdict::NoSeat)
        );
        let missed = 600 - world.player(0, 9).frames;
        assert!(missed <= 8, "{missed} frames missed after {more} ms more");
    }
}
