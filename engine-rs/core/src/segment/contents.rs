//! A whole file at once: what is in it, what is wrong with it, and a clean copy of it.

use super::{Damage, GapCause, HEADER, Header, HeaderError, Oversized, Reader, Record, Writer};

/// Everything that can be read of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    /// What the file says about itself.
    pub header: Header,
    /// Its whole records, in order.
    pub records: Vec<Record>,
    /// Bytes between them that are none, with the number of records before; also a byte of the header that was put right.
    pub damage: Vec<(usize, Damage)>,
    /// Bytes behind the last one: the writer was killed, or the last record is damaged.
    pub torn: usize,
}

impl Contents {
    /// Reads a file.
    ///
    /// # Errors
    /// [`HeaderError`]: nothing of it can be read.
    pub fn read(file: &[u8]) -> Result<Self, HeaderError> {
        let (header, mut reader) = Reader::new(file)?;
        let (mut records, mut damage) = (Vec::new(), Vec::new());
        for record in reader.by_ref() {
            match record {
                Ok(record) => records.push(record),
                Err(damaged) => damage.push((records.len(), damaged)),
            }
        }
        Ok(Self { header, records, damage, torn: file.len() - reader.valid_len() })
    }

    /// The first group of the file; if not even that can be read, the first that it tells of.
    #[must_use]
    pub fn first_group(&self) -> Option<u64> {
        let own = |record: &Record| match record {
            Record::Start { group, .. } => Some(*group),
            _ => None,
        };
        self.records.iter().find_map(own).or_else(|| self.records.iter().find_map(time))
    }

    /// The newest group that it tells of.
    #[must_use]
    pub fn last_group(&self) -> Option<u64> {
        self.records.iter().filter_map(time).max()
    }

    /// It ends as its writer ended it.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self.records.last(), Some(Record::Close { .. } | Record::End { .. }))
    }

    /// The recording is complete with it.
    #[must_use]
    pub fn is_final(&self) -> bool {
        matches!(self.records.last(), Some(Record::End { .. }))
    }

    /// Everything in it is whole, and it is closed or still written.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.damage.is_empty() && self.torn == 0
    }

    /// A closed file of the same name without damage, and the gaps that mark what is lost in it.
    ///
    /// # Errors
    /// [`Oversized`] cannot happen: what was read fits.
    pub fn repaired(&self) -> Result<(Vec<u8>, Vec<Record>), Oversized> {
        let mut writer = Writer::new(&self.header);
        let mut gaps = Vec::new();
        // It comes first, whatever is lost in front of it.
        let group = self.first_group().unwrap_or_default();
        let made = Record::Start { group, started_at_ms: self.header.started_at_ms };
        let own = self.records.first().filter(|first| matches!(first, Record::Start { .. }));
        writer.record(own.unwrap_or(&made))?;
        for (at, record) in self.records.iter().enumerate() {
            // Nothing is lost with a byte of the header that was put right.
            if self.damage.iter().any(|(before, damage)| *before == at && damage.offset >= HEADER) {
                let lost = self.lost_before(at);
                for gap in &lost {
                    writer.record(gap)?;
                }
                gaps.extend(lost);
            }
            if at > 0 || own.is_none() {
                writer.record(record)?;
            }
        }
        if !self.is_closed() {
            let group = self.last_group().or_else(|| self.first_group().map(|first| first.saturating_sub(1)));
            writer.record(&Record::Close { group: group.unwrap_or_default() })?;
        }
        Ok((writer.take().to_vec(), gaps))
    }

    /// What may have stood between the record `at` and the one before: ticks, and packets of the mix if it did not pause.
    fn lost_before(&self, at: usize) -> Vec<Record> {
        let (before, after) = self.records.split_at(at);
        let gap = |from: Option<u64>, to: Option<u64>, cause| {
            let (from, to) = (from?, to?);
            let groups = to.checked_sub(from).filter(|groups| *groups > 0)?;
            Some(Record::Gap { from_group: from, groups, cause })
        };
        let behind = before.iter().filter_map(time).max().map(|last| last + 1).or_else(|| self.first_group());
        let ticks = gap(behind, after.iter().find_map(next_tick), GapCause::Damage);
        let mix = |record: &Record| if let Record::Mix(packet) = record { Some(packet.clone()) } else { None };
        let sounding = before.iter().rev().find_map(mix).filter(|packet| !packet.spurt.end);
        let mixed = gap(
            sounding.map(|packet| packet.last_group() + 1),
            after.iter().find_map(mix).map(|packet| packet.group),
            GapCause::Mix,
        );
        ticks.into_iter().chain(mixed).collect()
    }
}

/// The newest group that a record accounts for: as a tick, as missing, or as the end.
fn time(record: &Record) -> Option<u64> {
    match record {
        Record::Start { group, .. } => group.checked_sub(1),
        Record::Tick { .. } | Record::Gap { .. } | Record::Close { .. } | Record::End { .. } => record.last_group(),
        Record::Seat { .. } | Record::Mix(_) | Record::Note(_) => None,
    }
}

/// The first group that a record accounts for.
const fn next_tick(record: &Record) -> Option<u64> {
    match record {
        Record::Tick { group, .. } => Some(*group),
        Record::Gap { from_group, .. } => Some(*from_group),
        Record::Close { group } | Record::End { group } => Some(*group + 1),
        _ => None,
    }
}
