//! A clean copy of a damaged log: what is lost is marked, with its cause, and nothing else is.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests, too, fail by panicking"
)]

use bytes::Bytes;
use spaces_core::ids::{MAX_SEATS, SeatNo, SpaceId};
use spaces_core::mix::MixPacket;
use spaces_core::record::RecordedFrame;
use spaces_core::segment::{Contents, GapCause, Header, Record, Writer};
use spaces_core::uplink::{Level, Spurt};

fn tick(group: u64) -> Record {
    let frame = RecordedFrame {
        seat: SeatNo::new(0).unwrap(),
        generation: 1,
        level: Level(30),
        spurt: Spurt::default(),
        opus: Bytes::from_static(&[0x78, 1, 2]),
    };
    Record::Tick { group, frames: vec![frame] }
}

fn mix(group: u64) -> Record {
    let spurt = Spurt { start: group == 130, end: group == 118 };
    let (levels, opus) = ([Some(Level(30)); MAX_SEATS], Bytes::from_static(&[0xfb, 2]));
    Record::Mix(MixPacket { group, ticks: 2, spurt, levels, opus })
}

/// Groups 100 to 139, mixed but for a pause from 120 to 129.
fn talk() -> Vec<Record> {
    let mut records = vec![
        Record::Start { group: 100, started_at_ms: 1 },
        Record::Seat { group: 90, seat: SeatNo::new(0).unwrap(), generation: 1, account: 7 },
    ];
    for group in 100..140 {
        records.push(tick(group));
        if group % 2 == 0 && !(120..130).contains(&group) {
            records.push(mix(group));
        }
    }
    records.push(Record::Close { group: 139 });
    records
}

/// The file with these records overwritten.
fn damaged(lost: impl Fn(&Record) -> bool) -> Vec<u8> {
    let header = Header { space: SpaceId(1), part: 1, sequence: 2, started_at_ms: 1, salt: 3 };
    let mut writer = Writer::new(&header);
    let mut file = writer.take().to_vec();
    for record in talk() {
        writer.record(&record).unwrap();
        let mut bytes = writer.take().to_vec();
        if lost(&record) {
            bytes.fill(0xee);
        }
        file.extend(bytes);
    }
    file
}

fn gaps(lost: impl Fn(&Record) -> bool) -> Vec<(u64, u64, GapCause)> {
    let contents = Contents::read(&damaged(lost)).unwrap();
    let (copy, gaps) = contents.repaired().unwrap();
    let clean = Contents::read(&copy).unwrap();
    assert!(clean.is_whole() && clean.is_closed());
    assert_eq!((clean.header, clean.first_group(), clean.last_group()), (contents.header, Some(100), Some(139)));
    assert_eq!(clean.records.iter().filter(|record| !gaps.contains(record)).count(), clean.records.len() - gaps.len());
    let gap = |record| match record {
        Record::Gap { from_group, groups, cause } => (from_group, groups, cause),
        other => panic!("{other:?}"),
    };
    gaps.into_iter().map(gap).collect()
}

fn is_tick(record: &Record, groups: core::ops::Range<u64>) -> bool {
    matches!(record, Record::Tick { group, .. } if groups.contains(group))
}

fn is_mix(record: &Record, groups: core::ops::Range<u64>) -> bool {
    matches!(record, Record::Mix(packet) if groups.contains(&packet.group))
}

#[test]
fn a_whole_file_is_its_own_copy() {
    let file = damaged(|_| false);
    assert_eq!(Contents::read(&file).unwrap().repaired().unwrap(), (file, vec![]));
}

#[test]
fn lost_ticks_and_packets_of_the_mix_are_marked_each_by_itself() {
    use GapCause::{Damage, Mix};
    assert_eq!(gaps(|record| is_tick(record, 111..112)), [(111, 1, Damage)]);
    assert_eq!(gaps(|record| is_mix(record, 110..111)), [(110, 2, Mix)]);
    let both = |record: &Record| is_tick(record, 110..117) || is_mix(record, 110..117);
    assert_eq!(gaps(both), [(110, 7, Damage), (110, 8, Mix)]);
    // While the mix pauses nothing of it is lost.
    assert_eq!(gaps(|record| is_tick(record, 123..126)), [(123, 3, Damage)]);
    assert_eq!(gaps(|record| is_tick(record, 100..101)), [(100, 1, Damage)], "the first");
    assert_eq!(gaps(|record| is_tick(record, 139..140)), [(139, 1, Damage)], "the last before the end");
    assert_eq!(gaps(|record| matches!(record, Record::Seat { .. })), [], "others tell of a seat, too");
    assert_eq!(gaps(|record| matches!(record, Record::Start { .. })), [], "what comes next says where it begins");
}

#[test]
fn a_torn_file_is_closed_with_what_it_has() {
    let file = damaged(|_| false);
    let torn = Contents::read(&file[..file.len() - 18]).unwrap();
    assert!(torn.torn > 0 && !torn.is_closed() && !torn.is_whole());
    let (copy, gaps) = torn.repaired().unwrap();
    let clean = Contents::read(&copy).unwrap();
    assert_eq!((gaps, clean.records.last()), (vec![], Some(&Record::Close { group: 138 })));
    let nothing = Contents::read(&file[..48]).unwrap();
    let (copy, _) = nothing.repaired().unwrap();
    assert!(Contents::read(&copy).unwrap().is_closed());
}
