//! The power fails: everything since the last fsync of each file is gone, and with it names that were not durable. What is
//! left is read, and goes on in one timeline.

use std::collections::BTreeSet;
use std::time::Duration;

use spaces_core::segment::{Contents, Record};
use spaces_net::recorder::{FsyncPolicy, RecorderConfig};

use super::feed::{Desk, Dice, Voice, end, mix, sits, start};
use super::memory::Memory;

/// What a part's files hold, whatever state they are in: groups with a tick, gaps, the newest group.
fn survey(files: &[Vec<u8>]) -> (BTreeSet<u64>, Vec<(u64, u64)>, Option<u64>) {
    let (mut ticks, mut gaps, mut last) = (BTreeSet::new(), Vec::new(), None);
    for contents in files.iter().filter_map(|file| Contents::read(file).ok()) {
        assert_eq!(contents.damage, [], "what survived is whole but for its end");
        last = last.max(contents.last_group());
        for record in contents.records {
            match record {
                Record::Tick { group, .. } => ticks.extend([group]),
                Record::Gap { from_group, groups, .. } => gaps.push((from_group, groups)),
                _ => {}
            }
        }
    }
    (ticks, gaps, last)
}

fn config(fsync: FsyncPolicy, segment: Duration) -> RecorderConfig {
    RecorderConfig { fsync, segment, ..RecorderConfig::new("/recordings") }
}

fn record(desk: &mut Desk, voice: &Voice, groups: std::ops::Range<u64>) {
    desk.at(groups.start, &start(groups.start));
    for seat in 0..3 {
        desk.at(groups.start, &sits(groups.start, seat, 1, u64::from(seat) + 1));
    }
    let first = groups.start;
    for group in groups {
        desk.at(group, &voice.tick(group, &[(0, 1), (1, 1), (2, 1)]));
        if (group - first).is_multiple_of(3) && group >= first + 6 {
            desk.at(group, &mix(voice, group - 6, 3));
        }
    }
}

/// The worst of many moments, in groups.
fn worst(fsync: FsyncPolicy, segment: Duration, chance: bool) -> u64 {
    let voice = Voice::new();
    let mut worst = 0;
    for seed in 1..=120 {
        let mut dice = Dice::new(seed);
        let moment = 30 + dice.below(900);
        let mut desk = Desk::with(Memory::default(), &config(fsync, segment));
        record(&mut desk, &voice, 0..moment);
        let left = desk.memory.lose_power(|more| if chance { dice.below(more as u64 + 1) as usize } else { 0 });
        let (before, _, _) = survey(&left.log(1));
        let lost = moment - before.len() as u64;
        worst = worst.max(lost);
        let part = if left.names().is_empty() { 1 } else { 2 };
        // The next process goes on, and says what is missing: nothing else is.
        let again = moment + 100;
        let mut desk = Desk::with(left.clone(), &config(fsync, segment));
        record(&mut desk, &voice, again..again + 60);
        desk.at(again + 60, &end(again + 59));
        desk.pass(again + 70);
        let (after, gaps, last) = survey(&left.log(part));
        assert_eq!((after.len(), last), (60, Some(again + 59)), "seed {seed}");
        if part == 2 && !before.is_empty() {
            let missing: Vec<u64> = (0..again).filter(|group| !before.contains(group)).collect();
            let marked: Vec<u64> = gaps.iter().flat_map(|(from, groups)| *from..from + groups).collect();
            assert_eq!(marked, missing, "seed {seed}");
        }
    }
    worst
}

/// What is handed in waits 50 ms to be written, and a turn of 50 ms sees that it is time.
#[test]
fn a_power_loss_costs_the_interval_of_fsync_and_a_tenth_of_a_second() {
    for (interval, most) in [(200, 16), (1_000, 56), (3_000, 156)] {
        let every = FsyncPolicy::Every(Duration::from_millis(interval));
        for segment in [Duration::from_millis(600), Duration::from_secs(4)] {
            let (all, some) = (worst(every, segment, false), worst(every, segment, true));
            println!("fsync every {interval} ms, files of {segment:?}: at most {} ms lost", all * 20);
            assert!(some <= all && all <= most, "{interval} ms: {all} and {some} groups lost");
            assert!(all * 20 > interval / 2, "{all} groups: the drill cost something");
        }
    }
}

/// AtEnd: the open file, as complete ones are made durable.
#[test]
fn without_fsync_in_between_a_power_loss_costs_the_open_file() {
    for segment in [600u64, 4_000] {
        let all = worst(FsyncPolicy::AtEnd, Duration::from_millis(segment), false);
        println!("fsync of complete files of {segment} ms: at most {} ms lost", all * 20);
        assert!(all * 20 <= segment + 100, "{all} groups lost");
    }
}

/// With many Spaces the files take their turns: the interval is kept as long as the disk can.
#[test]
fn the_loss_with_many_spaces_is_what_the_turns_of_fsync_take() {
    let (voice, spaces) = (Voice::new(), 60);
    let mut desk =
        Desk::with(Memory::default(), &config(FsyncPolicy::Every(Duration::from_secs(1)), Duration::from_secs(4)));
    let of = |space, item| super::feed::of(spaces_core::ids::SpaceId(space), item);
    (0..spaces).for_each(|space| desk.at(0, &of(space, start(0))));
    let mut worst = 0;
    for group in 0..600 {
        (0..spaces).for_each(|space| desk.at(group, &of(space, voice.tick(group, &[(0, 1)]))));
        if group >= 100 && group % 7 == 0 {
            let left = desk.memory.lose_power(|_| 0);
            for space in 0..spaces {
                let directory = space.to_string();
                let (ticks, ..) = survey(&left.log_of(&directory, 1));
                worst = worst.max(group + 1 - ticks.len() as u64);
            }
        }
    }
    println!("fsync every second, {spaces} Spaces: at most {} ms lost", worst * 20);
    // A log and a track each, now and then a complete file: two Spaces a turn of 50 ms, and all after 1.5 to 2.3 s.
    assert!((75..=125).contains(&worst), "{worst} groups");
}
