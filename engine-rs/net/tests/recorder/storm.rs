//! Everything at once, at random, under virtual time: the disk fills, breaks and recovers, the queue refuses, seats change
//! hands, the process is killed. Whatever happens, every group is in a log or in a marked gap, and no file is damaged.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::time::Duration;

use spaces_core::segment::GapCause;
use spaces_net::recorder::FsyncPolicy;

use super::feed::{Desk, Dice, SPACE, Voice, end, read, sits, start, track_end};
use super::tools;

/// What happened, to be sure that the storm was one.
#[derive(Debug, Default)]
struct Seen {
    breaks: u32,
    fills: u32,
    refusals: u32,
    kills: u32,
    causes: BTreeSet<u8>,
}

fn storm(seed: u64, voice: &Voice, seen: &mut Seen) {
    let mut dice = Dice::new(seed);
    let memory = super::memory::Memory::default();
    let mut group = 1;
    let mut parts = Vec::new();
    for part in 1..=1 + dice.below(3) {
        let fsync =
            if dice.below(2) == 0 { FsyncPolicy::Never } else { FsyncPolicy::Every(Duration::from_millis(300)) };
        let mut desk = Desk::on(memory.clone(), fsync);
        let first = group;
        // A part whose first bytes never came down would not count as one.
        memory.with(|inner| (inner.broken, inner.room, inner.sync_broken) = (None, None, false));
        desk.at(group, &start(group));
        let mut people = [(1u32, 10u64), (1, 20), (1, 30)];
        for (number, (generation, account)) in (0..).zip(people) {
            desk.at(group, &sits(group, number, generation, account));
        }
        // The last group of everybody who has left a seat.
        let mut left = BTreeMap::new();
        let mut handed = BTreeSet::new();
        let mut refusing = false;
        for _ in 0..100 + dice.below(900) {
            match dice.below(400) {
                0 => {
                    seen.breaks += 1;
                    memory.with(|inner| inner.broken = Some(ErrorKind::Other));
                }
                1 => {
                    seen.fills += 1;
                    let room = dice.below(3_000) as usize;
                    memory.with(|inner| inner.room = Some(room));
                }
                2 => memory.with(|inner| inner.sync_broken = true),
                3 => memory.with(|inner| inner.at_once = Some(13)),
                4..20 => memory.with(|inner| {
                    (inner.broken, inner.room, inner.sync_broken, inner.at_once) = (None, None, false, None);
                }),
                20..24 => {
                    let number = dice.below(3);
                    let person = &mut people[number as usize];
                    left.insert((number, person.1), group - 1);
                    *person = (person.0 + 1, 10 * (1 + dice.below(5)));
                    left.remove(&(number, person.1));
                    desk.at(group, &sits(group, number as u8, person.0, person.1));
                }
                24..28 => refusing = true,
                28..80 => refusing = false,
                80..82 => group += dice.below(200),
                _ => {}
            }
            handed.insert(group);
            if refusing {
                seen.refusals += 1;
                desk.pass(group);
                desk.worker.lost(SPACE, group, group);
            } else {
                let seats: Vec<(u8, u32)> = (0..)
                    .zip(people)
                    .filter(|_| dice.below(3) > 0)
                    .map(|(number, person)| (number, person.0))
                    .collect();
                desk.at(group, &voice.tick(group, &seats));
            }
            group += 1;
        }
        let killed = dice.below(2) == 0;
        if killed {
            seen.kills += 1;
        } else {
            memory.with(|inner| (inner.broken, inner.room) = (None, None));
            desk.at(group, &end(group - 1));
            desk.pass(group + 400);
            assert_eq!(desk.worker.stats().recording, 0, "seed {seed}");
        }
        assert_eq!(desk.worker.stats().odd_frames, 0, "seed {seed}");
        parts.push((part, first, group - 1, handed, killed, left));
        group += 50;
    }
    for (part, first, last, handed, killed, left) in parts {
        let log = read(&memory.log(part));
        seen.causes.extend(log.gaps.iter().map(|(.., cause)| *cause as u8));
        let missing: Vec<_> =
            log.gaps.iter().filter(|(.., cause)| matches!(cause, GapCause::Queue | GapCause::Storage)).collect();
        for group in handed.iter().filter(|group| !killed || **group < log.last) {
            let in_gaps = missing.iter().filter(|(from, groups, _)| (*from..from + groups).contains(group)).count();
            assert!(in_gaps > 0 || log.ticks.contains(group), "seed {seed}, part {part}: group {group} is nowhere");
        }
        assert!(killed || log.torn == 0, "seed {seed}");
        for name in memory.names().iter().filter(|name| name.starts_with(&format!("part-{part:04}.seat"))) {
            let bytes = memory.file(name);
            let track = track_end(&bytes);
            if !killed {
                let track = track.unwrap();
                let of = |&((seat, account), _): &((u64, u64), u64)| {
                    name.ends_with(&format!("seat-{seat:02}.account-{account}.opus"))
                };
                let until = left.iter().map(|(who, group)| (*who, *group)).find(of).map_or(last, |(_, group)| group);
                assert_eq!((track.groups, track.finished), (until + 1 - first, true), "seed {seed}: {name}");
            }
            // The tools take their time: one file in a few storms.
            if seed.is_multiple_of(16) && track.is_some_and(|track| track.groups > 0) {
                let file = tools::file("storm.opus", &bytes);
                let report = tools::opusinfo(&file);
                assert!(
                    report.problems.is_empty() || killed && report.only_unfinished(),
                    "seed {seed}: {}",
                    report.text
                );
            }
        }
    }
}

#[test]
fn in_any_storm_every_group_is_recorded_or_marked() {
    let (voice, mut seen) = (Voice::new(), Seen::default());
    for seed in 1..=300 {
        storm(seed, &voice, &mut seen);
    }
    assert!(seen.breaks > 100 && seen.fills > 100 && seen.refusals > 500 && seen.kills > 100, "{seen:?}");
    assert_eq!(seen.causes.len(), 4, "every cause of a gap was met: {seen:?}");
}
