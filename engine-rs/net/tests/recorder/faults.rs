//! A storage that is full or broken costs a marked gap, and nothing else.

use std::io::ErrorKind;
use std::time::Duration;

use spaces_core::event::EventKind;
use spaces_core::ids::SpaceId;
use spaces_core::ogg::TrackEnd;
use spaces_core::segment::GapCause;
use spaces_net::recorder::FsyncPolicy;

use super::feed::{Desk, Voice, assert_accounted, end, of, read, sits, start, time, track_end};
use super::tools;

const TRACK: &str = "part-0001.seat-00.account-1.opus";

fn speak(desk: &mut Desk, voice: &Voice, groups: std::ops::Range<u64>) {
    for group in groups {
        desk.at(group, &voice.tick(group, &[(0, 1)]));
    }
}

fn begin(desk: &mut Desk) {
    desk.at(0, &start(0));
    desk.at(0, &sits(0, 0, 1, 1));
}

/// Wherever the disk becomes full, in a header, a record or a page: what was written stays whole, what follows is marked.
#[test]
fn a_disk_that_fills_up_anywhere_costs_exactly_the_marked_gap() {
    let voice = Voice::new();
    let mut gaps = 0;
    for room in (0..6_000).step_by(173).chain([1, 43, 44, 45, 53]) {
        let mut desk = Desk::new(FsyncPolicy::Never);
        desk.memory.with(|inner| inner.room = Some(room));
        begin(&mut desk);
        speak(&mut desk, &voice, 0..150);
        desk.memory.with(|inner| inner.room = None);
        speak(&mut desk, &voice, 150..500);
        desk.at(500, &end(499));
        desk.pass(510);
        let log = read(&desk.memory.log(1));
        assert_accounted(&log, 0..500);
        assert_eq!(log.torn, 0);
        let [(from, groups, GapCause::Storage)] = log.gaps[..] else { panic!("room {room}: {:?}", log.gaps) };
        assert_eq!(desk.gaps(), [(from, groups)], "room {room}");
        assert!(from + groups <= 300, "room {room}: recovered within the longest pause so far");
        gaps += groups;
        let bytes = desk.memory.file(TRACK);
        assert_eq!(track_end(&bytes), Some(TrackEnd { groups: 500, finished: true }), "room {room}");
        let file = tools::file("full.opus", &bytes);
        let report = tools::opusinfo(&file);
        assert_eq!(report.problems, Vec::<String>::new(), "room {room}: {}", report.text);
    }
    assert!(gaps > 1_000);
}

#[test]
fn a_broken_disk_is_tried_again_with_growing_pauses_and_told() {
    let (voice, mut desk) = (Voice::new(), Desk::new(FsyncPolicy::Never));
    begin(&mut desk);
    speak(&mut desk, &voice, 0..100);
    desk.memory.with(|inner| (inner.broken, inner.attempts) = (Some(ErrorKind::Other), 0));
    let mut tries = Vec::new();
    for group in 100..3_100 {
        speak(&mut desk, &voice, group..group + 1);
        let attempts = desk.memory.with(|inner| std::mem::take(&mut inner.attempts));
        if attempts > 0 {
            tries.push(group);
        }
    }
    let pauses: Vec<u64> = tries.windows(2).map(|pair| (pair[1] - pair[0]) / 12).collect();
    assert_eq!(pauses[..5], [1, 2, 4, 8, 16], "times of 250 ms, from {tries:?}");
    assert!(pauses[5..].iter().all(|pause| *pause == 20 || *pause == 21), "{pauses:?}");
    assert_eq!(desk.worker.stats().stalled, 1);
    let told = desk.events.len();
    assert!((8..=20).contains(&told), "told {told} times in a minute");
    // A seat that changes hands meanwhile is not forgotten.
    desk.at(3_100, &sits(3_100, 0, 2, 77));
    desk.memory.with(|inner| inner.broken = None);
    for group in 3_100..3_500 {
        desk.at(group, &voice.tick(group, &[(0, 2)]));
    }
    desk.at(3_500, &end(3_499));
    desk.pass(3_510);
    let log = read(&desk.memory.log(1));
    assert_accounted(&log, 0..3_500);
    assert_eq!(desk.gaps(), log.gaps.iter().map(|(from, groups, _)| (*from, *groups)).collect::<Vec<_>>());
    let track = track_end(&desk.memory.file("part-0001.seat-00.account-77.opus"));
    assert_eq!(track, Some(TrackEnd { groups: 3_500, finished: true }));
}

#[test]
fn a_recording_that_cannot_begin_begins_when_it_can() {
    let (voice, mut desk) = (Voice::new(), Desk::new(FsyncPolicy::Never));
    desk.memory.with(|inner| inner.broken = Some(ErrorKind::PermissionDenied));
    begin(&mut desk);
    speak(&mut desk, &voice, 0..100);
    assert_eq!(desk.memory.names(), [""; 0]);
    desk.memory.with(|inner| inner.broken = None);
    speak(&mut desk, &voice, 100..300);
    desk.at(300, &end(299));
    desk.pass(310);
    let log = read(&desk.memory.log(1));
    assert_accounted(&log, 0..300);
    assert_eq!(track_end(&desk.memory.file(TRACK)), Some(TrackEnd { groups: 300, finished: true }));
}

#[test]
fn an_end_during_a_stall_is_written_after_it() {
    let (voice, mut desk) = (Voice::new(), Desk::new(FsyncPolicy::Never));
    begin(&mut desk);
    speak(&mut desk, &voice, 0..100);
    desk.memory.with(|inner| inner.broken = Some(ErrorKind::Other));
    speak(&mut desk, &voice, 100..150);
    desk.at(150, &end(149));
    desk.pass(400);
    assert_eq!(desk.worker.stats().recording, 1);
    desk.memory.with(|inner| inner.broken = None);
    desk.pass(1_000);
    assert_eq!(desk.worker.stats().recording, 0);
    let log = read(&desk.memory.log(1));
    assert_accounted(&log, 0..150);
    assert_eq!(log.items.last(), Some(&end(149)));
    assert_eq!(track_end(&desk.memory.file(TRACK)), Some(TrackEnd { groups: 150, finished: true }));
}

#[test]
fn what_a_stop_must_give_up_is_told() {
    let (voice, mut desk) = (Voice::new(), Desk::new(FsyncPolicy::Never));
    begin(&mut desk);
    speak(&mut desk, &voice, 0..100);
    desk.pass(100);
    desk.memory.with(|inner| inner.broken = Some(ErrorKind::Other));
    speak(&mut desk, &voice, 100..140);
    desk.events.clear();
    desk.stop(140);
    let last = desk.events.last().unwrap().kind;
    assert_eq!(last, EventKind::RecordingGap { from_group: 100, groups: 40 });
    let log = read(&desk.memory.log(1));
    assert_eq!((log.last, log.torn), (99, 0));
}

#[test]
fn data_that_could_not_be_made_durable_is_marked() {
    let (voice, mut desk) = (Voice::new(), Desk::new(FsyncPolicy::Every(Duration::from_secs(1))));
    begin(&mut desk);
    speak(&mut desk, &voice, 0..120);
    let healthy = desk.memory.with(|inner| inner.syncs);
    assert!((4..=8).contains(&healthy), "{healthy} syncs of two files in 2.4 s");
    desk.memory.with(|inner| inner.sync_broken = true);
    speak(&mut desk, &voice, 120..160);
    desk.memory.with(|inner| inner.sync_broken = false);
    speak(&mut desk, &voice, 160..300);
    desk.at(300, &end(299));
    desk.pass(310);
    let log = read(&desk.memory.log(1));
    assert_eq!(log.ticks, (0..300).collect(), "nothing is dropped for it");
    let [(from, groups, GapCause::Sync)] = log.gaps[..] else { panic!("{:?}", log.gaps) };
    assert!((95..=105).contains(&from) && (45..=55).contains(&groups), "{from}, {groups}");
    assert_eq!(desk.gaps(), [(from, groups)]);
}

#[test]
fn every_policy_syncs_when_it_says() {
    for (policy, least, most) in [
        (FsyncPolicy::Never, 0, 0),
        // A file of the log that is complete after 4 s, another at the end, and the track.
        (FsyncPolicy::AtEnd, 3, 3),
        (FsyncPolicy::Every(Duration::from_millis(200)), 40, 60),
    ] {
        let (voice, mut desk) = (Voice::new(), Desk::new(policy));
        begin(&mut desk);
        speak(&mut desk, &voice, 0..250);
        desk.at(250, &end(249));
        desk.pass(260);
        let syncs = desk.memory.with(|inner| inner.syncs);
        assert!((least..=most).contains(&syncs), "{policy:?}: {syncs}");
    }
}

#[test]
fn short_writes_are_carried_on() {
    let (voice, mut desk) = (Voice::new(), Desk::new(FsyncPolicy::Never));
    desk.memory.with(|inner| inner.at_once = Some(7));
    begin(&mut desk);
    speak(&mut desk, &voice, 0..100);
    desk.at(100, &end(99));
    desk.pass(110);
    assert_eq!(read(&desk.memory.log(1)).ticks, (0..100).collect());
    assert_eq!(track_end(&desk.memory.file(TRACK)), Some(TrackEnd { groups: 100, finished: true }));
}

/// At every moment of a recording, all but the last second is in the storage already.
#[test]
fn less_than_a_second_is_ever_held_back() {
    let (voice, mut desk) = (Voice::new(), Desk::new(FsyncPolicy::Never));
    begin(&mut desk);
    for group in 0..2_000 {
        // Speech, pauses in which the engine still ticks, and pauses in which it does not.
        match group % 400 {
            0..90 | 100..130 | 200..201 => desk.at(group, &voice.tick(group, &[(0, 1)])),
            130..250 => desk.at(group, &voice.tick(group, &[])),
            _ => desk.pass(group),
        }
        if group > 10 {
            let log = read(&desk.memory.log(1));
            assert!(group - log.last < 30, "group {group}: the log is at {}", log.last);
            let track = track_end(&desk.memory.file(TRACK)).unwrap();
            assert!(group + 1 - track.groups <= 43, "group {group}: the track is at {}", track.groups);
        }
    }
    assert_eq!(time(50).0, 1_000_000);
}

/// Making a file durable takes milliseconds. With many Spaces, a turn that did them all would never end.
#[test]
fn many_spaces_are_made_durable_a_few_files_a_turn_and_all_in_the_end() {
    let (voice, mut desk) = (Voice::new(), Desk::new(FsyncPolicy::Every(Duration::from_millis(100))));
    let of = |space, item| of(SpaceId(space), item);
    (0..100).for_each(|space| desk.at(0, &of(space, start(0))));
    let mut most = 0;
    for group in 0..200 {
        let before = desk.memory.with(|inner| inner.syncs);
        (0..100).for_each(|space| desk.at(group, &of(space, voice.tick(group, &[(0, 1)]))));
        most = most.max(desk.memory.with(|inner| inner.syncs) - before);
    }
    // Two files a Space, at most four and a Space's more a turn, and a turn in 50 ms.
    assert!((4..=6).contains(&most), "{most} at once");
    let synced = desk.memory.with(|inner| inner.synced.len());
    assert_eq!(synced, 200, "every file was made durable");
}
