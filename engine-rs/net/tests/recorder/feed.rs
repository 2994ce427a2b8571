//! A Space to record, and what a log says of it.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use spaces_core::event::{Event, EventKind};
use spaces_core::ids::{MAX_SEATS, SeatNo, SpaceId};
use spaces_core::mix::MixPacket;
use spaces_core::ogg;
use spaces_core::record::{RecordItem, RecordedFrame};
use spaces_core::segment::{GapCause, Reader, Record};
use spaces_core::time::{TICK, Time};
use spaces_core::uplink::{Level, Spurt};
use spaces_net::recorder::{FsyncPolicy, TURN, Worker};

use super::memory::Memory;
use super::tools;

pub(crate) const SPACE: SpaceId = SpaceId(987_654_321);
pub(crate) const STARTED_AT_MS: u64 = 1_700_000_000_000;

pub(crate) fn seat(number: u8) -> SeatNo {
    SeatNo::new(number).unwrap()
}

pub(crate) fn start(group: u64) -> RecordItem {
    RecordItem::Start { space: SPACE, started_at_ms: STARTED_AT_MS, group }
}

pub(crate) fn sits(group: u64, number: u8, generation: u32, account: u64) -> RecordItem {
    RecordItem::Seat { space: SPACE, group, seat: seat(number), generation, account }
}

pub(crate) fn end(group: u64) -> RecordItem {
    RecordItem::End { space: SPACE, group }
}

/// A voice, repeated for ever.
pub(crate) struct Voice(Vec<Bytes>);

impl Voice {
    pub(crate) fn new() -> Self {
        Self(tools::voice().into_iter().map(Bytes::from).collect())
    }

    /// A tick in which these seats, each of this generation, have a frame.
    pub(crate) fn tick(&self, group: u64, seats: &[(u8, u32)]) -> RecordItem {
        let frame = |&(number, generation): &(u8, u32)| RecordedFrame {
            seat: seat(number),
            generation,
            level: Level(0x80 | 20),
            spurt: Spurt::default(),
            opus: self.0[group as usize % self.0.len()].clone(),
        };
        RecordItem::Tick { space: SPACE, group, frames: seats.iter().map(frame).collect() }
    }
}

/// A packet of the mix of these groups, in which seat 0 is heard. As long as it says: a frame of voice and empty ones.
pub(crate) fn mix(voice: &Voice, group: u64, ticks: u8) -> RecordItem {
    let one = &voice.0[group as usize % voice.0.len()];
    let opus = match ticks {
        1 => one.clone(),
        // RFC 6716 §3.2.5: code 3, frames of lengths that are given.
        _ => {
            let (short, frame) = (one.len() - 1 < 252, &one[1..]);
            assert!(short && one[0] & 0b11 == 0, "a frame of voice is one short frame");
            let mut packet = vec![one[0] | 0b11, 0x80 | ticks, frame.len() as u8];
            packet.extend(std::iter::repeat_n(0, usize::from(ticks) - 2));
            packet.extend_from_slice(frame);
            packet.into()
        }
    };
    let mut levels = [None; MAX_SEATS];
    levels[0] = Some(Level(0x80 | 20));
    RecordItem::Mix { space: SPACE, packet: MixPacket { group, ticks, spurt: Spurt::default(), levels, opus } }
}

/// A worker on a memory, and its virtual time: the engine's group 0 was at 0.
pub(crate) struct Desk {
    pub(crate) worker: Worker<Memory>,
    pub(crate) memory: Memory,
    pub(crate) events: Vec<Event>,
    turn: Time,
}

impl Desk {
    pub(crate) fn new(fsync: FsyncPolicy) -> Self {
        Self::on(Memory::default(), fsync)
    }

    pub(crate) fn on(memory: Memory, fsync: FsyncPolicy) -> Self {
        let worker = Worker::new(PathBuf::from("/recordings"), memory.clone(), fsync);
        Self { worker, memory, events: Vec::new(), turn: Time(0) }
    }

    /// Hands in `item` at `group`.
    pub(crate) fn at(&mut self, group: u64, item: &RecordItem) {
        self.pass(group);
        self.worker.item(time(group), item);
    }

    /// Lets time pass until `group`.
    pub(crate) fn pass(&mut self, group: u64) {
        while self.turn <= time(group) {
            self.worker.turn(self.turn);
            self.turn = self.turn + TURN;
        }
        self.collect();
    }

    pub(crate) fn stop(&mut self, group: u64) {
        self.pass(group);
        self.worker.stop(time(group));
        self.collect();
    }

    fn collect(&mut self) {
        self.events.extend(std::iter::from_fn(|| self.worker.poll_event()));
    }

    /// The gaps told last for each first group.
    pub(crate) fn gaps(&self) -> Vec<(u64, u64)> {
        let mut gaps = std::collections::BTreeMap::new();
        for event in &self.events {
            let EventKind::RecordingGap { from_group, groups } = event.kind else { panic!("{event:?}") };
            assert_eq!(event.space, SPACE);
            gaps.insert(from_group, groups);
        }
        gaps.into_iter().collect()
    }
}

pub(crate) fn time(group: u64) -> Time {
    Time(0) + Duration::from_micros(group * TICK.as_micros() as u64)
}

/// How far the track in `file` got.
pub(crate) fn track_end(file: &[u8]) -> Option<ogg::TrackEnd> {
    ogg::track_end(file, file)
}

/// What a log holds.
#[derive(Debug, Default)]
pub(crate) struct Log {
    pub(crate) items: Vec<RecordItem>,
    /// Groups with a tick.
    pub(crate) ticks: BTreeSet<u64>,
    pub(crate) gaps: Vec<(u64, u64, GapCause)>,
    /// The newest group that is a tick or in a gap.
    pub(crate) last: u64,
    pub(crate) torn: usize,
}

/// Reads a log that may have a torn end, and no other damage.
pub(crate) fn read(file: &[u8]) -> Log {
    let (header, mut reader) = Reader::new(file).unwrap();
    assert_eq!(header.space, SPACE);
    let mut log = Log::default();
    for record in reader.by_ref() {
        let record = record.unwrap();
        if !matches!(record, Record::Start { .. } | Record::Seat { .. }) {
            log.last = log.last.max(record.last_group().unwrap_or(0));
        }
        match &record {
            Record::Tick { group, .. } => assert!(log.ticks.insert(*group), "group {group} twice"),
            Record::Gap { from_group, groups, cause } => log.gaps.push((*from_group, *groups, *cause)),
            _ => {}
        }
        log.items.extend(record.into_item(SPACE));
    }
    log.torn = file.len() - reader.valid_len();
    log
}

/// All of `groups` are ticks of the log or in a gap, and none is both.
pub(crate) fn assert_accounted(log: &Log, groups: impl Iterator<Item = u64>) {
    for group in groups {
        let gaps = log.gaps.iter().filter(|(from, count, _)| (*from..from + count).contains(&group)).count();
        assert_eq!(gaps + usize::from(log.ticks.contains(&group)), 1, "group {group}; gaps {:?}", log.gaps);
    }
}
