//! A real file system that is full.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use spaces_core::ogg::TrackEnd;
use spaces_core::segment::GapCause;
use spaces_core::time::Time;
use spaces_net::recorder::{FsyncPolicy, RecorderConfig, TURN, Worker, files};

use super::feed::{SPACE, Voice, assert_accounted, end, log_files, mix, read, sits, start, time, track_end};
use super::tools;

struct Mounted(PathBuf);

impl Mounted {
    fn tmpfs(path: &Path, size: &str) -> Result<Self, String> {
        fs::create_dir_all(path).unwrap();
        let options = format!("size={size},mode=0700");
        let output = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(path).output();
        match output {
            Ok(output) if output.status.success() => Ok(Self(path.to_owned())),
            Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg(&self.0).status();
        assert!(unmounted.is_ok_and(|status| status.success()), "cannot unmount {}", self.0.display());
    }
}

#[test]
fn a_full_file_system_costs_a_marked_gap_and_is_used_again_when_there_is_room() {
    let root = tools::file("tmpfs", b"").with_file_name("mount");
    let mounted = match Mounted::tmpfs(&root, "448k") {
        Ok(mounted) => mounted,
        Err(why) => {
            eprintln!("skipped: a tmpfs cannot be mounted here ({why})");
            return;
        }
    };
    let ballast = root.join("ballast");
    fs::write(&ballast, vec![0; 320 << 10]).unwrap();
    let config = RecorderConfig { fsync: FsyncPolicy::Never, ..RecorderConfig::new(&root) };
    let (voice, mut worker) = (Voice::new(), Worker::new(&config));
    let mut turn = Time(0);
    worker.item(time(0), &start(0));
    worker.item(time(0), &sits(0, 0, 1, 1));
    let mut stalled_at = None;
    for group in 0..1_500 {
        worker.item(time(group), &voice.tick(group, &[(0, 1)]));
        worker.item(time(group), &mix(&voice, group, 1));
        while turn <= time(group) {
            worker.turn(turn);
            turn = turn + TURN;
        }
        if worker.stats().stalled > 0 && stalled_at.is_none() {
            stalled_at = Some(group);
        }
        if group == 900 {
            fs::remove_file(&ballast).unwrap();
        }
    }
    assert!(stalled_at.is_some_and(|group| (200..900).contains(&group)), "the file system filled up: {stalled_at:?}");
    worker.item(time(1_500), &end(1_499));
    worker.turn(time(1_500));
    assert_eq!((worker.stats().stalled, worker.stats().recording), (0, 0));
    let directory = mounted.0.join(SPACE.0.to_string());
    let log = read(&log_files(&directory, 1));
    assert_accounted(&log, 0..1_500);
    let causes: Vec<_> = log.gaps.iter().map(|(.., cause)| *cause).collect();
    assert_eq!((&causes[..], log.torn), (&[GapCause::Storage, GapCause::Mix][..], 0));
    let track = directory.join("part-0001.seat-00.account-1.opus");
    assert_eq!(track_end(&fs::read(&track).unwrap()), Some(TrackEnd { groups: 1_500, finished: true }));
    assert_eq!(tools::opusinfo(&track).problems, Vec::<String>::new());
    assert_eq!(tools::ffmpeg(&track).len(), 1_500 * 960);
    let mixed = directory.join("part-0001.mix.opus");
    assert_eq!(tools::opusinfo(&mixed).problems, Vec::<String>::new());
    assert_eq!(tools::ffmpeg(&mixed).len(), 1_500 * 960);
    assert_eq!(files(&root, SPACE).unwrap().len(), log.files + 2);
}
