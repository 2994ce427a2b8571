//! The queue, with the recorder's real thread behind it.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use spaces_core::event::EventKind;
use spaces_core::ogg::TrackEnd;
use spaces_core::record::RecordItem;
use spaces_core::segment::{Contents, GapCause};
use spaces_core::time::Time;
use spaces_net::recorder::{FsyncPolicy, Recorder, RecorderConfig};

use super::feed::{SPACE, Voice, assert_accounted, end, mix, read, sits, start, track_end};
use super::memory::{Inner, Memory};

fn config(queue_items: usize, memory: &Memory) -> RecorderConfig {
    let (fsync, storage) = (FsyncPolicy::Never, memory.shared());
    RecorderConfig { queue_items, fsync, storage, ..RecorderConfig::new(PathBuf::from("/recordings")) }
}

/// The disk hangs: pushing goes on, and what does not fit is a gap of exactly the refused groups.
#[test]
fn a_stuck_disk_never_holds_the_caller_and_refused_groups_are_marked_exactly() {
    let (voice, memory) = (Voice::new(), Memory::default());
    let (tell, told) = mpsc::channel();
    let recorder = Recorder::start(config(64, &memory), move |event| tell.send(event).unwrap()).unwrap();
    let handle = recorder.handle();
    assert!(handle.push(start(0)));
    assert!(handle.push(sits(0, 1, 1, 2)));
    let mut refused = Vec::new();
    for round in 0..3u64 {
        memory.stick(true);
        // This returns although nothing can be written: the test would hang here otherwise.
        for group in round * 1_000..round * 1_000 + 400 {
            if !handle.push(voice.tick(group, &[(1, 1)])) {
                refused.push(group);
            }
        }
        memory.stick(false);
        // A round begins when all of the last one is written.
        while read_if_there(&memory).is_none_or(|log| log.last < round * 1_000 + 399) {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    assert!(handle.push(end(2_399)));
    assert_eq!(handle.refused(), refused.len() as u64);
    recorder.stop();
    let log = read(&memory.log(1));
    let marked: Vec<u64> = log.gaps.iter().flat_map(|(from, groups, _)| *from..from + groups).collect();
    assert_eq!(marked, refused);
    assert!(refused.len() > 300 && log.gaps.iter().all(|(.., cause)| *cause == GapCause::Queue), "{:?}", log.gaps);
    for round in 0..3 {
        assert_accounted(&log, round * 1_000..round * 1_000 + 400);
    }
    let told: u64 = told
        .iter()
        .map(|event| match event.kind {
            EventKind::RecordingGap { groups, .. } => groups,
            other => panic!("{other:?}"),
        })
        .sum();
    assert_eq!(told, refused.len() as u64);
    let track = track_end(&memory.file("part-0001.seat-01.account-2.opus"));
    assert_eq!(track, Some(TrackEnd { groups: 2_400, finished: true }));
}

fn read_if_there(memory: &Memory) -> Option<super::feed::Log> {
    memory.names().iter().any(|name| name == "part-0001.000000.seg").then(|| read(&memory.log(1)))
}

/// Even with the queue full to the brim, a seat and an end are not lost.
#[test]
fn what_is_not_a_tick_survives_a_queue_full_to_the_brim() {
    let (voice, memory) = (Voice::new(), Memory::default());
    let recorder = Recorder::start(config(8, &memory), |_| {}).unwrap();
    let handle = recorder.handle();
    handle.push(start(0));
    memory.stick(true);
    let mut refused = 0;
    let mut seats = 0..2_000u32;
    while refused < 10 {
        let generation = seats.next().unwrap();
        refused += u32::from(!handle.push(sits(0, 3, generation, u64::from(generation))));
    }
    let generation = seats.start;
    handle.push(sits(1, 3, generation, 4_242));
    handle.push(end(50));
    memory.stick(false);
    recorder.stop();
    let log = read(&memory.log(1));
    let has = |item: &RecordItem| log.items.contains(item);
    assert!(has(&sits(1, 3, generation, 4_242)) && has(&end(50)));
    assert_eq!(
        log.items.iter().filter(|item| matches!(item, RecordItem::Seat { .. })).count(),
        generation as usize + 1
    );
    drop(voice);
}

#[test]
fn stopping_writes_what_is_queued() {
    let (voice, memory) = (Voice::new(), Memory::default());
    let recorder = Recorder::start(config(4_096, &memory), |_| {}).unwrap();
    let handle = recorder.handle();
    handle.push(start(0));
    for group in 0..3_000 {
        assert!(handle.push(voice.tick(group, &[(0, 1)])));
    }
    recorder.stop();
    let log = read(&memory.log(1));
    assert_eq!(log.ticks, (0..3_000).collect());
    assert!(!handle.push(RecordItem::End { space: SPACE, group: 3_000 }), "nobody is there any more");
}

/// Whatever is wrong with the disk, handing in costs next to nothing, and when the disk is well again everything is there
/// or marked. An append of the slow disk takes longer than all pushing may.
#[test]
fn pushing_never_waits_for_a_slow_full_or_broken_disk() {
    const WAIT: Duration = Duration::from_millis(800);
    let voice = Voice::new();
    type Fault = fn(&mut Inner);
    let faults: [(&str, Fault); 5] = [
        ("slow", |inner| inner.slow = WAIT),
        ("full", |inner| inner.room = Some(5_000)),
        ("broken", |inner| inner.broken = Some(ErrorKind::Other)),
        ("slow and short", |inner| (inner.slow, inner.at_once) = (WAIT, Some(100))),
        ("cannot sync", |inner| (inner.slow, inner.sync_broken) = (WAIT, true)),
    ];
    for (name, fault) in faults {
        let (memory, origin) = (Memory::default(), Instant::now());
        // The engine's clock, by which the ticks below are not late.
        let clock = move || Time(u64::try_from(origin.elapsed().as_micros()).unwrap());
        let config = RecorderConfig {
            fsync: FsyncPolicy::Every(Duration::from_millis(100)),
            segment: Duration::from_millis(400),
            clock: Arc::new(clock),
            ..config(256, &memory)
        };
        let recorder = Recorder::start(config, |_| {}).unwrap();
        let handle = recorder.handle();
        assert!(handle.push(start(0)) && handle.push(sits(0, 1, 1, 2)));
        for group in 0..50 {
            handle.push(voice.tick(group, &[(1, 1)]));
        }
        while memory.names().is_empty() {
            std::thread::sleep(Duration::from_millis(1));
        }
        memory.with(fault);
        let mut slowest = Duration::ZERO;
        for group in 50..1_000 {
            let began = Instant::now();
            handle.push(voice.tick(group, &[(1, 1)]));
            handle.push(mix(&voice, group, 1));
            slowest = slowest.max(began.elapsed());
            std::thread::sleep(Duration::from_micros(300));
        }
        // Not a bound for a real-time system, but far below what the disk takes.
        assert!(slowest < WAIT / 4, "{name}: a push took {slowest:?}");
        handle.push(end(999));
        memory.with(|inner| {
            (inner.slow, inner.room, inner.broken, inner.at_once) = (Duration::ZERO, None, None, None);
            inner.sync_broken = false;
        });
        // A stalled recording is tried again after a pause; a stop would give up what is still stuck.
        let began = Instant::now();
        while recorder.stats().recording > 0 || !memory.log(1).last().is_some_and(|file| ended(file)) {
            assert!(began.elapsed() < Duration::from_secs(30), "{name}: {:?}", recorder.stats());
            std::thread::sleep(Duration::from_millis(5));
        }
        println!("{name}: the slowest push took {slowest:?}, {} of 1,900 were refused", handle.refused());
        recorder.stop();
        let log = read(&memory.log(1));
        for group in 0..1_000 {
            let missing = |cause| matches!(cause, GapCause::Queue | GapCause::Storage);
            let gap =
                log.gaps.iter().any(|(from, groups, cause)| missing(*cause) && (*from..from + groups).contains(&group));
            assert!(gap || log.ticks.contains(&group), "{name}: group {group} is nowhere; {:?}", log.gaps);
        }
        assert!(log.closed, "{name}");
    }
}

fn ended(file: &[u8]) -> bool {
    Contents::read(file).is_ok_and(|contents| contents.is_final())
}
