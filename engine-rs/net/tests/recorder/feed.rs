//! A Space to record, and what a log says of it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use spaces_core::event::{Event, EventKind};
use spaces_core::ids::{MAX_SEATS, SeatNo, SpaceId};
use spaces_core::mix::MixPacket;
use spaces_core::ogg;
use spaces_core::record::{RecordItem, RecordedFrame};
use spaces_core::segment::{GapCause, HEADER, Reader, Record};
use spaces_core::time::{TICK, Time};
use spaces_core::uplink::{Level, Spurt};
use spaces_net::recorder::{FsyncPolicy, RecorderConfig, TURN, Worker};

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

/// Random numbers, the same for the same seed (xorshift).
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % bound
    }
}

/// The same of another Space.
pub(crate) fn of(space: SpaceId, item: RecordItem) -> RecordItem {
    match item {
        RecordItem::Start { started_at_ms, group, .. } => RecordItem::Start { space, started_at_ms, group },
        RecordItem::Seat { group, seat, generation, account, .. } => {
            RecordItem::Seat { space, group, seat, generation, account }
        }
        RecordItem::Tick { group, frames, .. } => RecordItem::Tick { space, group, frames },
        RecordItem::Mix { packet, .. } => RecordItem::Mix { space, packet },
        RecordItem::End { group, .. } => RecordItem::End { space, group },
    }
}

/// A worker on a memory, and its virtual time: the engine's group 0 was at 0.
pub(crate) struct Desk {
    pub(crate) worker: Worker,
    pub(crate) memory: Memory,
    pub(crate) events: Vec<Event>,
    turn: Time,
}

impl Desk {
    pub(crate) fn new(fsync: FsyncPolicy) -> Self {
        Self::on(Memory::default(), fsync)
    }

    pub(crate) fn on(memory: Memory, fsync: FsyncPolicy) -> Self {
        Self::with(memory, &RecorderConfig { fsync, ..RecorderConfig::new("/recordings") })
    }

    pub(crate) fn with(memory: Memory, config: &RecorderConfig) -> Self {
        let worker = Worker::new(&RecorderConfig { storage: memory.shared(), ..config.clone() });
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
        let mut gaps = BTreeMap::new();
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
    /// How many there are.
    pub(crate) files: usize,
    /// The last file is complete.
    pub(crate) closed: bool,
}

/// Reads the log of a part, file after file. The last one may have a torn end; there must be no other damage, and each file
/// must say by itself where it begins and who sits where.
pub(crate) fn read(files: &[Vec<u8>]) -> Log {
    let (mut log, mut next, mut sitting) = (Log { files: files.len(), ..Log::default() }, None, BTreeMap::new());
    for (sequence, file) in files.iter().enumerate() {
        if file.len() < HEADER && sequence + 1 == files.len() {
            (log.torn, log.closed) = (file.len(), false);
            continue;
        }
        let (header, mut reader) = Reader::new(file).unwrap();
        assert_eq!((header.space, header.sequence as usize), (SPACE, sequence));
        let mut records: VecDeque<Record> = reader.by_ref().map(Result::unwrap).collect();
        log.torn = file.len() - reader.valid_len();
        log.closed = matches!(records.back(), Some(Record::Close { .. } | Record::End { .. })) && log.torn == 0;
        if sequence > 0 {
            skip_front(&mut records, next, &sitting);
        }
        for record in records {
            if !matches!(record, Record::Start { .. } | Record::Seat { .. } | Record::Mix(_)) {
                log.last = log.last.max(record.last_group().unwrap_or(0));
            }
            match &record {
                Record::Tick { group, .. } => assert!(log.ticks.insert(*group), "group {group} twice"),
                Record::Gap { from_group, groups, cause } => log.gaps.push((*from_group, *groups, *cause)),
                Record::Seat { seat, .. } => drop(sitting.insert(*seat, record.clone())),
                Record::Close { group } => next = Some(*group + 1),
                _ => {}
            }
            log.items.extend(record.into_item(SPACE));
        }
        assert!(log.closed || sequence + 1 == files.len(), "file {sequence} was not closed");
    }
    log
}

/// What every file but the first repeats. A torn last file may lack it.
fn skip_front(records: &mut VecDeque<Record>, next: Option<u64>, sitting: &BTreeMap<SeatNo, Record>) {
    let Some(first) = records.pop_front() else { return };
    assert!(matches!(first, Record::Start { group, .. } if Some(group) == next), "{first:?}");
    let mut told = BTreeMap::new();
    while let Some(Record::Seat { seat, .. }) = records.front() {
        let seat = *seat;
        told.extend(records.pop_front().map(|record| (seat, record)));
    }
    assert!(records.is_empty() || told == *sitting, "{told:?} is not {sitting:?}");
}

/// All of `groups` are ticks of the log or in a gap, and none is both.
pub(crate) fn assert_accounted(log: &Log, groups: impl Iterator<Item = u64>) {
    for group in groups {
        // A gap of the mix alone says nothing of ticks.
        let ticks = log.gaps.iter().filter(|(.., cause)| *cause != GapCause::Mix);
        let gaps = ticks.filter(|(from, count, _)| (*from..from + count).contains(&group)).count();
        assert_eq!(gaps + usize::from(log.ticks.contains(&group)), 1, "group {group}; gaps {:?}", log.gaps);
    }
}

/// The files of a part's log below `directory`, in order.
pub(crate) fn log_files(directory: &Path, part: u64) -> Vec<Vec<u8>> {
    let file = |sequence: u32| std::fs::read(directory.join(format!("part-{part:04}.{sequence:06}.seg"))).ok();
    (0..).map_while(file).collect()
}
