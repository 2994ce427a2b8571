//! `kill -9` at any moment, bits flipped and tails torn off at any byte: at most a second is lost, every file opens, and all
//! of it is one timeline.
//!
//! The test starts its own binary again as the process that records and is killed.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use spaces_core::ids::SeatNo;
use spaces_core::segment::{Contents, Record};
use spaces_core::time::TICK;
use spaces_net::recorder::{ExportLog, FsyncPolicy, Recorder, RecorderConfig, export};

use super::feed::{Dice, SPACE, Voice, log_files, mix, read, seat, sits, start, track_end};
use super::tools;

const DIRECTORY: &str = "SPACES_KILL_DRILL_DIRECTORY";
const PARTS: u64 = 2;
/// At once, so that the drill does not take minutes: it waits most of the time.
const TOGETHER: usize = 6;
const ROUNDS: u64 = 5;
/// Groups by which packets of the mix come after their ticks, and how many are in one.
const MIX_BEHIND: u64 = 6;
const MIX_TICKS: u64 = 3;

/// Not a test by itself: the process that is killed. It tells each group before it hands it in.
#[test]
fn the_process_that_is_killed() {
    let Some(directory) = std::env::var_os(DIRECTORY) else { return };
    let number = |name: &str| std::env::var(name).unwrap().parse::<u64>().unwrap();
    let (first, segment) = (number("SPACES_KILL_DRILL_GROUP"), number("SPACES_KILL_DRILL_SEGMENT"));
    let config = RecorderConfig {
        fsync: FsyncPolicy::Every(Duration::from_millis(500)),
        segment: Duration::from_millis(segment),
        ..RecorderConfig::new(directory)
    };
    let recorder = Recorder::start(config, |_| {}).unwrap();
    let (handle, voice, mut out) = (recorder.handle(), Voice::new(), std::io::stderr());
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
        if let Some(mixed) = mixed(first, group) {
            handle.push(mix(&voice, mixed, MIX_TICKS as u8));
        }
    }
}

/// The packet of the mix that comes in a group: of what was said three to six groups ago, if anything was.
fn mixed(first: u64, group: u64) -> Option<u64> {
    let of = (group - first).checked_sub(MIX_BEHIND).filter(|of| of.is_multiple_of(MIX_TICKS))?;
    speakers(of).filter(|seats| !seats.is_empty()).map(|_| first + of)
}

/// The newest group that a process told before it was killed after `life`.
fn record_and_kill(directory: &PathBuf, first: u64, segment: u64, life: Duration) -> u64 {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kill::the_process_that_is_killed", "--nocapture", "--test-threads=1"])
        .env(DIRECTORY, directory)
        .env("SPACES_KILL_DRILL_GROUP", first.to_string())
        .env("SPACES_KILL_DRILL_SEGMENT", segment.to_string())
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
    /// Groups that were mixed and are not in the log.
    mix: u64,
    /// Time that the log, or the shortest track, lacks at its end.
    time: u64,
    /// Groups with voice that a flipped bit and a torn tail took of what was left of all parts by then.
    damage: u64,
}

/// What the logs of a recording hold.
#[derive(Default)]
struct Kept {
    /// Groups in which a seat has a frame.
    seats: [BTreeSet<u64>; 2],
    mix: BTreeSet<u64>,
    last: u64,
}

fn kept<'a>(logs: impl IntoIterator<Item = &'a Vec<u8>>) -> Kept {
    let mut kept = Kept::default();
    for contents in logs.into_iter().filter_map(|log| Contents::read(log).ok()) {
        kept.last = kept.last.max(contents.last_group().unwrap_or(0));
        for record in contents.records {
            match record {
                Record::Tick { group, frames } => {
                    let has = |seat: SeatNo| frames.iter().any(|frame| frame.seat == seat);
                    (0..2).filter(|at| has(seat(*at as u8))).for_each(|at| kept.seats[at].extend([group]));
                }
                Record::Mix(packet) => kept.mix.extend(packet.group..=packet.last_group()),
                _ => {}
            }
        }
    }
    kept
}

/// One file a person and one of the mix, as long as the time they span, with sound where it was said and nowhere else.
fn assert_one_timeline(seed: u64, logs: &[Vec<u8>], to: &Path, first: u64) {
    let given: Vec<_> = logs.iter().cloned().map(ExportLog::Bytes).collect();
    let files = export(&given, to, 0.0).unwrap();
    let kept = kept(logs);
    let what = [("account-1.opus", &kept.seats[0]), ("account-2.opus", &kept.seats[1]), ("mix.opus", &kept.mix)];
    let names: Vec<_> = what.iter().filter(|(_, groups)| !groups.is_empty()).map(|(name, _)| *name).collect();
    assert_eq!(
        files.iter().map(|file| file.file_name().unwrap().to_str().unwrap()).collect::<Vec<_>>(),
        names,
        "seed {seed}"
    );
    for (name, groups) in what.into_iter().filter(|(_, groups)| !groups.is_empty()) {
        let report = tools::opusinfo(&to.join(name));
        assert_eq!(report.problems, Vec::<String>::new(), "seed {seed}: {name}: {}", report.text);
        let samples = tools::ffmpeg(&to.join(name));
        assert_eq!(samples.len() as u64, (kept.last + 1 - first) * 960, "seed {seed}: {name}");
        let level = |group: u64| {
            let group = &samples[(group - first) as usize * 960..][..960];
            (group.iter().map(|sample| f64::from(*sample).powi(2)).sum::<f64>() / 960.0).sqrt()
        };
        for group in first + 12..=kept.last {
            // A packet of the mix has its voice in its first frame.
            if groups.range(group - 6..=group).count() == 7 {
                let loudest = (group - 3..=group).map(level).fold(0.0, f64::max);
                assert!(loudest > 200.0, "seed {seed}: {name}: voice around group {group} is {loudest}");
            } else if groups.range(group - 9..=group + 1).next().is_none() {
                assert!(level(group) < 8.0, "seed {seed}: {name}: silence of group {group} is {}", level(group));
            }
        }
    }
}

/// Flips a bit anywhere in one file and tears up to 400 bytes off another. Answers how many groups of voice that took.
fn damage(dice: &mut Dice, logs: &mut [Vec<u8>]) -> u64 {
    let before = kept(logs.iter());
    let written: Vec<usize> = (0..logs.len()).filter(|at| logs[*at].len() > 48).collect();
    let file = &mut logs[written[dice.below(written.len() as u64) as usize]];
    let at = dice.below(file.len() as u64) as usize;
    file[at] ^= 1 << dice.below(8);
    let file = &mut logs[written[dice.below(written.len() as u64) as usize]];
    let torn = dice.below(400).min(file.len() as u64 - 48) as usize;
    file.truncate(file.len() - torn);
    let after = kept(logs.iter());
    let voice = |kept: &Kept| kept.seats[0].union(&kept.seats[1]).count().max(kept.mix.len()) as u64;
    voice(&before) - voice(&after).min(voice(&before))
}

/// Kills a recording twice: the second process goes on with what the first left.
fn drill(seed: u64) -> Vec<Cost> {
    let directory = tools::file("kill", b"").with_file_name(format!("kill-{seed}"));
    let mut dice = Dice::new(seed);
    let segment = [300, 1_000, 4_000][dice.below(3) as usize];
    let (begin, mut first, mut costs, mut logs) = (100, 100, Vec::new(), Vec::new());
    for part in 1..=PARTS {
        let life = Duration::from_millis(300 + dice.below(4_200));
        let last = record_and_kill(&directory, first, segment, life);
        let space = directory.join(SPACE.0.to_string());
        let files = log_files(&space, part);
        let log = read(&files);
        if part > 1 {
            assert_eq!(log.gaps.len(), 1, "seed {seed}: the gap of the restart is marked");
            assert_eq!(log.gaps[0].0 + log.gaps[0].1, first, "seed {seed}");
        }
        let mut worst = last - log.last.min(last);
        for track in ["seat-00.account-1", "seat-01.account-2", "mix"] {
            let track = space.join(format!("part-{part:04}.{track}.opus"));
            if !track.exists() {
                assert!(last - first < 50, "seed {seed}: no {} after {} groups", track.display(), last - first);
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
        let there = kept(&files).mix;
        let lost = |of: &u64| !there.contains(of);
        let mix = (first..=last).filter_map(|group| mixed(first, group)).filter(lost).count() as u64 * MIX_TICKS;
        logs.extend(files);
        let mut damaged = logs.clone();
        let damage = damage(&mut dice, &mut damaged);
        if part == PARTS {
            assert_one_timeline(seed, &logs, &directory.join("export"), begin);
            assert_one_timeline(seed, &damaged, &directory.join("export of damaged"), begin);
        }
        costs.push(Cost { recorded: last - first, voice, mix, time: worst, damage });
        first = last + 150;
    }
    fs::remove_dir_all(&directory).unwrap();
    costs
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
    let worst = |cost: fn(&Cost) -> u64| all.iter().map(cost).max().unwrap();
    let (voice, mix, time, damage) =
        (worst(|cost| cost.voice), worst(|cost| cost.mix), worst(|cost| cost.time), worst(|cost| cost.damage));
    println!(
        "{} kills: at most {} ms of voice, {} ms of the mix and {} ms of time lost; by damage after that {} ms",
        all.len(),
        voice * 20,
        mix * 20,
        time * 20,
        damage * 20
    );
    assert!(all.len() >= 50);
    assert!(voice.max(mix).max(time) <= 50, "more than a second was lost: {all:?}");
    assert!(damage <= 50, "damage took more than a second: {all:?}");
    assert!(all.iter().filter(|cost| cost.recorded > 50).count() > all.len() / 2, "the drill recorded: {all:?}");
    assert!(all.iter().filter(|cost| cost.damage > 0).count() > all.len() / 4, "the damage hit something: {all:?}");
}
