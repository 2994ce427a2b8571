//! The segment log: what is written is read again, and no bytes can make the reader invent, panic or stop early.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests, too, fail by panicking"
)]

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use proptest::prelude::*;
use spaces_core::ids::{MAX_SEATS, SeatNo, SpaceId};
use spaces_core::mix::{MAX_PACKET, MixPacket};
use spaces_core::record::{RecordItem, RecordedFrame};
use spaces_core::segment::{
    Contents, Damage, GapCause, HEADER, Header, HeaderError, MAX_PAYLOAD, Oversized, RECORD_HEADER, Reader, Record,
    Writer,
};
use spaces_core::uplink::{Level, MAX_FRAME, Spurt};

const SPACE: SpaceId = SpaceId(0x0123_4567_89ab_cdef);
const HEAD: Header = Header { space: SPACE, part: 3, sequence: 17, started_at_ms: 1_700_000_000_123, salt: 0x5a17 };

fn frame(seat: u8, opus: &'static [u8]) -> RecordedFrame {
    RecordedFrame {
        seat: SeatNo::new(seat).unwrap(),
        generation: 2,
        level: Level(0x80 | 30),
        spurt: Spurt { start: true, end: false },
        opus: Bytes::from_static(opus),
    }
}

fn mixed() -> MixPacket {
    let mut levels = [None; MAX_SEATS];
    (levels[0], levels[12]) = (Some(Level(30)), Some(Level(0x80 | 127)));
    let spurt = Spurt { start: false, end: true };
    MixPacket { group: 7, ticks: 3, spurt, levels, opus: Bytes::from_static(&[0xfb, 3, 0xff, 0xfe]) }
}

fn one_of_each() -> Vec<Record> {
    vec![
        Record::Start { group: 7, started_at_ms: HEAD.started_at_ms },
        Record::Seat { group: 7, seat: SeatNo::new(12).unwrap(), generation: 2, account: 42 },
        Record::Gap { from_group: 1, groups: 6, cause: GapCause::Restart },
        Record::Tick { group: 8, frames: vec![frame(0, &[0xf8, 0xff, 0xfe]), frame(12, &[0x78])] },
        Record::Tick { group: 9, frames: vec![] },
        Record::Mix(mixed()),
        Record::Note("disk full – 'twas".to_owned()),
        Record::Close { group: 10 },
        Record::End { group: 10 },
    ]
}

fn log(records: &[Record]) -> Vec<u8> {
    let mut writer = Writer::new(&HEAD);
    for record in records {
        writer.record(record).unwrap();
    }
    writer.take().to_vec()
}

fn read(file: &[u8]) -> (Vec<Record>, Vec<Damage>, usize) {
    let (_, mut reader) = Reader::new(file).unwrap();
    let (mut records, mut damage) = (Vec::new(), Vec::new());
    for item in reader.by_ref() {
        match item {
            Ok(record) => records.push(record),
            Err(error) => damage.push(error),
        }
    }
    (records, damage, reader.valid_len())
}

/// Golden: an old recording stays readable. If this fails, the format changed and needs another version number.
#[test]
fn the_format_is_this() {
    let golden = include_str!("data/segment.hex");
    let hex: String = log(&one_of_each()).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, golden.replace(char::is_whitespace, ""));
}

#[test]
fn every_cut_keeps_the_whole_records_before_it() {
    let (records, file) = (one_of_each(), log(&one_of_each()));
    let ends: Vec<usize> = (0..=records.len()).map(|count| log(&records[..count]).len()).collect();
    for cut in HEADER..=file.len() {
        let whole = ends.iter().filter(|end| **end <= cut).count() - 1;
        assert_eq!(read(&file[..cut]), (records[..whole].to_vec(), vec![], ends[whole]), "cut at {cut}");
    }
}

#[test]
fn every_flipped_bit_costs_its_own_record_and_no_other() {
    let (records, file) = (one_of_each(), log(&one_of_each()));
    let ends: Vec<usize> = (0..=records.len()).map(|count| log(&records[..count]).len()).collect();
    for bit in HEADER * 8..file.len() * 8 {
        let mut bad = file.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        let hit = ends.iter().filter(|end| **end <= bit / 8).count() - 1;
        let mut rest = records.clone();
        rest.remove(hit);
        let (got, damage, valid) = read(&bad);
        assert_eq!(got, rest, "bit {bit}");
        if hit + 1 == records.len() {
            assert_eq!((damage, valid), (vec![], ends[hit]), "bit {bit}: the last record looks torn");
        } else {
            let bytes = ends[hit + 1] - ends[hit];
            assert_eq!(damage, [Damage { offset: ends[hit], bytes }], "bit {bit}");
        }
    }
}

#[test]
fn every_flipped_bit_of_the_header_is_seen() {
    let file = log(&[]);
    for bit in 0..HEADER * 8 {
        let mut bad = file.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert!(Header::decode(&bad).is_err(), "bit {bit}");
    }
    for cut in 0..HEADER {
        assert!(Reader::new(&file[..cut]).is_err());
        assert_eq!(Header::decode(&file[..cut]), Err(HeaderError::Short));
    }
    assert_eq!(Header::decode(b"OggS"), Err(HeaderError::Magic));
    assert_eq!(Header::decode(&file), Ok(HEAD));
}

#[test]
fn one_wrong_byte_in_the_header_costs_nothing() {
    let (records, file) = (one_of_each(), log(&one_of_each()));
    for at in 0..HEADER {
        for change in [1, 0x80, 0xa5, 0xff] {
            let mut bad = file.clone();
            bad[at] ^= change;
            assert_eq!(Reader::new(&bad).unwrap().0, HEAD, "byte {at}");
            let (clean, gaps) = Contents::read(&bad).unwrap().repaired().unwrap();
            assert_eq!((clean, gaps), (file.clone(), vec![]), "byte {at}: nothing else is lost with it");
            assert_eq!(read(&bad), (records.clone(), vec![Damage { offset: at, bytes: 1 }], file.len()), "byte {at}");
        }
    }
    let mut bad = file;
    (bad[13], bad[40]) = (bad[13] ^ 1, bad[40] ^ 1);
    assert_eq!(Reader::new(&bad).map(|(header, _)| header), Err(HeaderError::Damaged));
}

/// A stranger's Opus packet may hold the bytes of a record. Behind damage a reader looks for the next record everywhere.
#[test]
fn a_record_inside_a_packet_is_not_believed() {
    let forged = {
        let mut other = Writer::new(&Header { salt: 1, ..HEAD });
        other.take();
        other.record(&Record::Seat { group: 8, seat: SeatNo::new(0).unwrap(), generation: 9, account: 666 }).unwrap();
        other.take().freeze()
    };
    let tick = Record::Tick { group: 8, frames: vec![RecordedFrame { opus: forged, ..frame(0, &[]) }] };
    let mut file = log(&[tick, Record::End { group: 9 }]);
    file[HEADER + RECORD_HEADER] ^= 1;
    assert_eq!(read(&file).0, [Record::End { group: 9 }]);
}

#[test]
fn the_tail_is_read_from_its_first_whole_record() {
    let (records, file) = (one_of_each(), log(&one_of_each()));
    let tail = &file[file.len() - 70..file.len() - 3];
    let found: Vec<_> = Reader::tail(&file, tail).unwrap().flatten().collect();
    assert_eq!(found, records[6..8]);
}

#[test]
fn what_does_not_fit_is_refused_whole() {
    let mut writer = Writer::new(&HEAD);
    writer.take();
    assert_eq!(writer.record(&Record::Note("x".repeat(MAX_PAYLOAD + 1))), Err(Oversized(MAX_PAYLOAD + 1)));
    let long = RecordedFrame { opus: Bytes::from(vec![0xf8; MAX_FRAME + 1]), ..frame(0, &[]) };
    assert_eq!(writer.record(&Record::Tick { group: 1, frames: vec![long] }), Err(Oversized(MAX_FRAME + 1)));
    let long = MixPacket { opus: Bytes::from(vec![0xfb; MAX_PACKET + 1]), ..mixed() };
    assert_eq!(writer.record(&Record::Mix(long)), Err(Oversized(MAX_PACKET + 1)));
    assert!(writer.take().is_empty());
}

/// A packet of no or four ticks, or with a fourteenth seat, is none, whatever its checksum says.
#[test]
fn a_mix_that_no_writer_writes_is_damage() {
    for (ticks, levels) in [(0, mixed().levels), (4, mixed().levels)] {
        let record = Record::Mix(MixPacket { ticks, levels, ..mixed() });
        assert_eq!(read(&log(&[record, Record::End { group: 9 }])).0, [Record::End { group: 9 }]);
    }
}

fn frames() -> impl Strategy<Value = Arc<[RecordedFrame]>> {
    let opus = prop::collection::vec(any::<u8>(), 0..=MAX_FRAME);
    let frame = (0..13u8, any::<u32>(), any::<u8>(), any::<bool>(), any::<bool>(), opus).prop_map(
        |(seat, generation, level, start, end, opus)| RecordedFrame {
            seat: SeatNo::new(seat).unwrap(),
            generation,
            level: Level(level),
            spurt: Spurt { start, end },
            opus: opus.into(),
        },
    );
    prop::collection::vec(frame, 0..=13).prop_map(Into::into)
}

fn mixes() -> impl Strategy<Value = MixPacket> {
    let opus = prop::collection::vec(any::<u8>(), 0..=MAX_PACKET);
    let levels = any::<[Option<u8>; MAX_SEATS]>().prop_map(|levels| levels.map(|level| level.map(Level)));
    (any::<u64>(), 1..=3u8, any::<(bool, bool)>(), levels, opus).prop_map(
        |(group, ticks, (start, end), levels, opus)| MixPacket {
            group,
            ticks,
            spurt: Spurt { start, end },
            levels,
            opus: opus.into(),
        },
    )
}

fn items() -> impl Strategy<Value = Vec<RecordItem>> {
    let space = SPACE;
    prop::collection::vec(
        prop_oneof![
            1 => any::<(u64, u64)>()
                .prop_map(move |(started_at_ms, group)| RecordItem::Start { space, started_at_ms, group }),
            2 => (any::<u64>(), 0..13u8, any::<u32>(), any::<u64>()).prop_map(
                move |(group, seat, generation, account)| {
                    let seat = SeatNo::new(seat).unwrap();
                    RecordItem::Seat { space, group, seat, generation, account }
                }
            ),
            8 => (any::<u64>(), frames()).prop_map(move |(group, frames)| RecordItem::Tick { space, group, frames }),
            4 => mixes().prop_map(move |packet| RecordItem::Mix { space, packet }),
            1 => any::<u64>().prop_map(move |group| RecordItem::End { space, group }),
        ],
        0..24,
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn items_come_back_as_they_went_in(items in items()) {
        let mut writer = Writer::new(&HEAD);
        for item in &items {
            writer.item(item).unwrap();
        }
        let (header, reader) = Reader::new(&writer.take()).map(|(h, r)| (h, r.collect::<Vec<_>>())).unwrap();
        prop_assert_eq!(header, HEAD);
        let got: Vec<_> = reader.into_iter().map(|record| record.unwrap().into_item(header.space).unwrap()).collect();
        prop_assert_eq!(got, items);
    }

    #[test]
    fn damage_anywhere_loses_only_what_it_touches(items in items(), at in any::<prop::sample::Index>(), bytes in 1..40usize) {
        let mut writer = Writer::new(&HEAD);
        let mut ends = vec![HEADER];
        let mut file = writer.take().to_vec();
        for item in &items {
            writer.item(item).unwrap();
            file.extend_from_slice(&writer.take());
            ends.push(file.len());
        }
        prop_assume!(file.len() > HEADER);
        let at = HEADER + at.index(file.len() - HEADER);
        let until = (at + bytes).min(file.len());
        for byte in &mut file[at..until] {
            *byte ^= 0xa5;
        }
        let whole: Vec<_> = items.iter().zip(ends.windows(2))
            .filter(|(_, span)| span[1] <= at || until <= span[0])
            .map(|(item, _)| item.clone()).collect();
        let got: Vec<_> = read(&file).0.into_iter().filter_map(|record| record.into_item(SPACE)).collect();
        prop_assert_eq!(got, whole);
    }

    #[test]
    fn any_bytes_are_read_to_their_end(bytes in prop::collection::vec(any::<u8>(), 0..400), records in any::<bool>()) {
        let mut file = BytesMut::new();
        if records {
            file.put_slice(&log(&one_of_each()[..2]));
        }
        file.put_slice(&bytes);
        if let Ok((_, mut reader)) = Reader::new(&file) {
            prop_assert!(reader.by_ref().count() <= file.len());
            prop_assert!(reader.valid_len() <= file.len());
        }
    }
}
