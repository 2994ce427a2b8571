//! The log in files of a few seconds: each stands for itself, is made durable once it is complete, and is left alone then.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::time::Duration;

use spaces_core::record::RecordItem;
use spaces_core::segment::{GapCause, Reader, Record};
use spaces_net::recorder::{FsyncPolicy, RecorderConfig};

use super::feed::{Desk, Voice, assert_accounted, end, mix, read, sits, start};
use super::memory::Memory;

fn desk(segment: Duration, tracks: bool, fsync: FsyncPolicy) -> Desk {
    Desk::with(Memory::default(), &RecorderConfig { segment, tracks, fsync, ..RecorderConfig::new("/recordings") })
}

fn speak(desk: &mut Desk, voice: &Voice, groups: std::ops::Range<u64>) {
    for group in groups {
        desk.at(group, &voice.tick(group, &[(0, 1)]));
    }
}

#[test]
fn a_file_spans_its_time_in_speech_and_in_silence_and_says_who_sits_where() {
    let (voice, mut desk) = (Voice::new(), desk(Duration::from_secs(4), true, FsyncPolicy::Never));
    desk.at(100, &start(100));
    desk.at(100, &sits(100, 0, 1, 1));
    speak(&mut desk, &voice, 100..650);
    // Nobody speaks, and the engine says nothing.
    desk.pass(2_000);
    desk.at(2_000, &sits(2_000, 0, 2, 7));
    for group in 2_000..2_300 {
        desk.at(group, &voice.tick(group, &[(0, 2)]));
    }
    desk.at(2_300, &end(2_299));
    desk.pass(2_310);
    let files = desk.memory.log(1);
    let mut next = 100;
    for file in &files {
        let (_, records) = Reader::new(file).unwrap();
        let records: Vec<_> = records.map(Result::unwrap).collect();
        let Some(Record::Start { group: first, .. }) = records.first() else { panic!("{records:?}") };
        let (Some(Record::Close { group: last }) | Some(Record::End { group: last })) = records.last() else {
            panic!("{records:?}")
        };
        assert_eq!(*first, next);
        assert!(last + 1 - first <= 220, "{first} to {last} are over 4.4 s");
        assert!(last + 1 - first >= 190 || *last == 2_299, "{first} to {last}");
        next = last + 1;
    }
    assert_eq!(next, 2_300);
    // Half a minute after a seat changed hands nobody asks for its last holder any more.
    let seats = |file: &[u8]| {
        let accounts = |record| if let Record::Seat { account, .. } = record { Some(account) } else { None };
        Reader::new(file).unwrap().1.filter_map(|record| accounts(record.unwrap())).collect::<Vec<_>>()
    };
    assert_eq!(seats(&files[1]), [1]);
    assert_eq!(files.iter().map(|file| seats(file)).max_by_key(Vec::len).unwrap(), [1, 7]);
    assert_eq!(seats(files.last().unwrap()), [7]);
    assert!(read(&files).closed);
}

#[test]
fn without_tracks_there_is_only_the_log() {
    let (voice, mut desk) = (Voice::new(), desk(Duration::from_millis(500), false, FsyncPolicy::Never));
    desk.at(0, &start(0));
    desk.at(0, &sits(0, 0, 1, 1));
    for group in 0..100 {
        desk.at(group, &voice.tick(group, &[(0, 1)]));
        desk.at(group, &mix(&voice, group, 1));
    }
    desk.at(100, &end(99));
    desk.pass(110);
    assert_eq!(desk.memory.names(), (0..4).map(|file| format!("part-0001.{file:06}.seg")).collect::<Vec<_>>());
    let log = read(&desk.memory.log(1));
    assert_accounted(&log, 0..100);
    assert_eq!(log.items.iter().filter(|item| matches!(item, RecordItem::Mix { .. })).count(), 100);
}

/// Whatever the policy: what is complete is durable before long, once, and is not written again.
#[test]
fn complete_files_are_made_durable_and_never_touched_again() {
    for fsync in [FsyncPolicy::AtEnd, FsyncPolicy::Every(Duration::from_secs(1))] {
        let (voice, mut desk) = (Voice::new(), desk(Duration::from_secs(1), false, fsync));
        desk.at(0, &start(0));
        desk.at(0, &sits(0, 0, 1, 1));
        let mut complete = BTreeMap::new();
        for group in 0..1_000 {
            speak(&mut desk, &voice, group..group + 1);
            let mut names = desk.memory.names();
            names.pop();
            for name in names {
                let bytes = desk.memory.file(&name);
                let (since, known) = complete.entry(name.clone()).or_insert_with(|| (group, bytes.clone()));
                assert_eq!(*known, bytes, "{name} was changed");
                let durable = desk.memory.with(|inner| inner.synced.iter().any(|path| path.ends_with(&name)));
                assert!(durable || group - *since <= 60, "{name} is not durable after {} groups", group - *since);
            }
        }
        assert_eq!(complete.len(), 19);
        if fsync == FsyncPolicy::AtEnd {
            assert_eq!(desk.memory.with(|inner| inner.syncs), 19, "each once");
        }
    }
}

/// A file in which the storage failed is completed before the next one appears, so whoever sees the next may take it.
#[test]
fn a_file_appears_only_when_those_before_it_are_complete() {
    let (voice, mut desk) = (Voice::new(), desk(Duration::from_millis(200), false, FsyncPolicy::Never));
    desk.at(0, &start(0));
    desk.at(0, &sits(0, 0, 1, 1));
    for group in 0..2_000u64 {
        desk.memory.with(|inner| {
            inner.at_once = Some(1 + group as usize * 31 % 97);
            inner.room = (group % 100 < 60).then_some(group as usize * 13 % 400);
            inner.broken = (group % 500 > 450).then_some(ErrorKind::Other);
        });
        speak(&mut desk, &voice, group..group + 1);
        read(&desk.memory.log(1));
    }
    desk.memory.with(|inner| (inner.room, inner.broken) = (None, None));
    desk.at(2_000, &end(1_999));
    desk.pass(2_300);
    let log = read(&desk.memory.log(1));
    assert_accounted(&log, 0..2_000);
    assert!(log.gaps.len() > 3 && log.gaps.iter().all(|(.., cause)| *cause == GapCause::Storage), "{:?}", log.gaps);
}

/// Killed between creating a file and its first bytes: the gap begins where the file before ended.
#[test]
fn a_restart_finds_where_to_go_on_behind_an_empty_file() {
    let (voice, memory) = (Voice::new(), Memory::default());
    let mut desk = Desk::on(memory.clone(), FsyncPolicy::Never);
    desk.at(0, &start(0));
    desk.at(0, &sits(0, 0, 1, 1));
    speak(&mut desk, &voice, 0..250);
    desk.pass(251);
    memory.with(|inner| {
        let (last, bytes) = inner.files.iter_mut().rfind(|(path, _)| path.ends_with("part-0001.000001.seg")).unwrap();
        assert!(!bytes.is_empty(), "{last:?}");
        bytes.truncate(20);
    });
    let mut desk = Desk::on(memory.clone(), FsyncPolicy::Never);
    desk.at(500, &start(500));
    assert_eq!(read(&memory.log(2)).gaps, [(200, 300, GapCause::Restart)]);
}
