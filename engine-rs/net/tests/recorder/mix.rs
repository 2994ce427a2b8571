//! Packets of the live mix beside the ticks: kept, and marked on their own when they are not.

use std::collections::BTreeSet;
use std::io::ErrorKind;

use spaces_core::record::RecordItem;
use spaces_core::segment::GapCause;
use spaces_net::recorder::{FsyncPolicy, Recorder, RecorderConfig};

use super::feed::{Desk, Log, Voice, assert_accounted, end, mix, read, sits, start};
use super::memory::Memory;

fn first_groups(log: &Log) -> BTreeSet<u64> {
    let group = |item: &RecordItem| if let RecordItem::Mix { packet, .. } = item { Some(packet.group) } else { None };
    log.items.iter().filter_map(group).collect()
}

#[test]
fn packets_of_the_mix_are_kept_in_order() {
    let (voice, mut desk) = (Voice::new(), Desk::new(FsyncPolicy::Never));
    desk.at(0, &start(0));
    desk.at(0, &sits(0, 0, 1, 1));
    let mut given = Vec::new();
    for group in 0..300u64 {
        desk.at(group, &voice.tick(group, &[(0, 1)]));
        if group >= 6 && group.is_multiple_of(3) {
            let item = mix(&voice, group - 6, 3);
            desk.at(group, &item);
            given.push(item);
        }
    }
    desk.at(300, &end(299));
    desk.pass(310);
    let log = read(&desk.memory.log(1));
    let got: Vec<_> = log.items.iter().filter(|item| matches!(item, RecordItem::Mix { .. })).cloned().collect();
    assert_eq!(got, given);
    assert_accounted(&log, 0..300);
}

/// The mix comes later than its ticks: what a stall drops of it begins before the ticks that it drops.
#[test]
fn packets_of_the_mix_that_a_stall_drops_are_marked_by_themselves() {
    let (voice, mut desk) = (Voice::new(), Desk::new(FsyncPolicy::Never));
    desk.at(0, &start(0));
    desk.at(0, &sits(0, 0, 1, 1));
    for group in 0..300u64 {
        match group {
            100 => desk.memory.with(|inner| inner.broken = Some(ErrorKind::Other)),
            150 => desk.memory.with(|inner| inner.broken = None),
            _ => {}
        }
        desk.at(group, &voice.tick(group, &[(0, 1)]));
        if group >= 4 {
            desk.at(group, &mix(&voice, group - 4, 1));
        }
    }
    desk.stop(300);
    let log = read(&desk.memory.log(1));
    let [(from, groups, GapCause::Storage), (mix_from, mix_groups, GapCause::Mix)] = log.gaps[..] else {
        panic!("{:?}", log.gaps)
    };
    assert_eq!((mix_from, mix_groups), (from - 4, groups), "the same packets, four groups behind");
    let missing: Vec<u64> = (0..296).filter(|group| !first_groups(&log).contains(group)).collect();
    assert_eq!(missing, (mix_from..mix_from + mix_groups).collect::<Vec<_>>());
}

#[test]
fn packets_of_the_mix_that_the_queue_refuses_are_marked_by_themselves() {
    let (voice, memory) = (Voice::new(), Memory::default());
    let (fsync, storage) = (FsyncPolicy::Never, memory.shared());
    let config = RecorderConfig { queue_items: 16, fsync, storage, ..RecorderConfig::new("/recordings") };
    let recorder = Recorder::start(config, |_| {}).unwrap();
    let handle = recorder.handle();
    handle.push(start(0));
    memory.stick(true);
    let mut refused = Vec::new();
    for group in (0..600).step_by(3) {
        if !handle.push(mix(&voice, group, 3)) {
            refused.extend(group..group + 3);
        }
    }
    memory.stick(false);
    handle.push(end(600));
    recorder.stop();
    let log = read(&memory.log(1));
    let marked: Vec<u64> = log.gaps.iter().flat_map(|(from, groups, _)| *from..from + groups).collect();
    assert_eq!(marked, refused);
    assert!(refused.len() > 300 && log.gaps.iter().all(|(.., cause)| *cause == GapCause::Mix), "{:?}", log.gaps);
}
