//! `kill -9` at any moment: at most a second is lost, and every file opens.
//!
//! The test starts its own binary again as the process that records and is killed.

use std::fs;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use spaces_core::time::TICK;
use spaces_net::recorder::{FsyncPolicy, Recorder, RecorderConfig};

use super::feed::{SPACE, Voice, log_files, read, sits, start, track_end};
use super::tools;

const DIRECTORY: &str = "SPACES_KILL_DRILL_DIRECTORY";
const PARTS: u64 = 2;
/// At once, so that the drill does not take minutes: it waits most of the time.
const TOGETHER: usize = 6;
const ROUNDS: u64 = 4;

/// Not a test by itself: the process that is killed. It tells each group before it hands it in.
#[test]
fn the_process_that_is_killed() {
    let Some(directory) = std::env::var_os(DIRECTORY) else { return };
    let config =
        RecorderConfig { fsync: FsyncPolicy::Every(Duration::from_millis(500)), ..RecorderConfig::new(directory) };
    let recorder = Recorder::start(config, |_| {}).unwrap();
    let (handle, voice, mut out) = (recorder.handle(), Voice::new(), std::io::stderr());
    let first: u64 = std::env::var("SPACES_KILL_DRILL_GROUP").unwrap().parse().unwrap();
    handle.push(start(first));
    handle.push(sits(first, 0, 1, 1));
    handle.push(sits(first, 1, 1, 2));
    let origin = Instant::now();
    for group in first.. {
        std::thread::sleep((origin + TICK * (group - first) as u32).saturating_duration_since(Instant::now()));
        out.write_all(&group.to_be_bytes()).unwrap();
        if let Some(seats) = speakers(group - first) {
            handle.push(voice.tick(group, seats));
        }
    }
}

/// The newest group that a process told before it was killed after `life`.
fn record_and_kill(directory: &PathBuf, first: u64, life: Duration) -> u64 {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kill::the_process_that_is_killed", "--nocapture", "--test-threads=1"])
        .env(DIRECTORY, directory)
        .env("SPACES_KILL_DRILL_GROUP", first.to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::thread::sleep(life);
    child.kill().unwrap();
    child.wait().unwrap();
    let mut told = Vec::new();
    child.stderr.take().unwrap().read_to_end(&mut told).unwrap();
    assert_eq!(told.len() % 8, 0, "{}", String::from_utf8_lossy(&told));
    told.chunks_exact(8).next_back().map_or(first, |group| u64::from_be_bytes(group.try_into().unwrap()))
}

/// Who speaks in a group: both, one, nobody though the engine ticks; `None`: it says nothing at all.
fn speakers(since_first: u64) -> Option<&'static [(u8, u32)]> {
    match since_first % 200 {
        0..40 => Some(&[(0, 1), (1, 1)]),
        40..90 => Some(&[(1, 1)]),
        90..110 => Some(&[]),
        _ => None,
    }
}

/// What a kill cost, in groups.
#[derive(Debug)]
struct Cost {
    recorded: u64,
    /// Groups with voice that are not in the log.
    voice: u64,
    /// Time that the log, or the shorter track, lacks at its end.
    time: u64,
}

/// Kills a recording twice: the second process goes on with what the first left.
fn drill(seed: u64) -> Vec<Cost> {
    let directory = tools::file("kill", b"").with_file_name(format!("kill-{seed}"));
    let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let (mut first, mut lost) = (100, Vec::new());
    for part in 1..=PARTS {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let life = Duration::from_millis(300 + random % 4_200);
        let last = record_and_kill(&directory, first, life);
        let space = directory.join(SPACE.to_string());
        let log = read(&log_files(&space, part));
        if part > 1 {
            assert_eq!(log.gaps.len(), 1, "seed {seed}: the gap of the restart is marked");
            assert_eq!(log.gaps[0].0 + log.gaps[0].1, first, "seed {seed}");
        }
        let mut worst = last - log.last.min(last);
        for account in [1, 2] {
            let track = space.join(format!("part-{part:04}.seat-{:02}.account-{account}.opus", account - 1));
            if !track.exists() {
                assert!(last - first < 50, "seed {seed}: no track after {} groups", last - first);
                continue;
            }
            let end = track_end(&fs::read(&track).unwrap()).map_or(0, |end| end.groups);
            worst = worst.max((last + 1 - first).saturating_sub(end));
            if end > 0 {
                let report = tools::opusinfo(&track);
                assert!(report.only_unfinished(), "seed {seed}: {}", report.text);
                assert_eq!(tools::ffmpeg(&track).len() as u64, end * 960, "seed {seed}");
            }
        }
        let spoken = |group: &u64| speakers(group - first).is_some_and(|seats| !seats.is_empty());
        let voice = (first..=last).filter(spoken).filter(|group| !log.ticks.contains(group)).count() as u64;
        lost.push(Cost { recorded: last - first, voice, time: worst });
        first = last + 150;
    }
    lost
}

#[test]
fn a_killed_recording_loses_less_than_a_second_and_opens_everywhere() {
    let mut all = Vec::new();
    for round in 0..ROUNDS {
        let drills: Vec<_> = (0..TOGETHER as u64)
            .map(|number| std::thread::spawn(move || drill(1 + round * TOGETHER as u64 + number)))
            .collect();
        all.extend(drills.into_iter().flat_map(|drill| drill.join().unwrap()));
    }
    let voice = all.iter().map(|cost| cost.voice).max().unwrap();
    let time = all.iter().map(|cost| cost.time).max().unwrap();
    println!("{} kills: at most {} ms of voice and {} ms of time lost", all.len(), voice * 20, time * 20);
    assert!(voice.max(time) <= 50, "more than a second was lost: {all:?}");
    assert!(all.iter().filter(|cost| cost.recorded > 50).count() > all.len() / 2, "the drill recorded: {all:?}");
}
