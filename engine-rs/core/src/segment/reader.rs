//! Decoding of the segment log.

use bytes::Bytes;
use thiserror::Error;

use super::{END, GapCause, HEADER, Header, HeaderError, MARKER, MAX_PAYLOAD, RECORD_HEADER, Record, START, Sum};
use crate::ids::{MAX_SEATS, SeatNo};
use crate::mix::{MAX_PACKET, MAX_TICKS, MixPacket};
use crate::record::RecordedFrame;
use crate::uplink::{Level, MAX_FRAME, Spurt};

/// Bytes in the middle of a log that are no whole record. Reading goes on behind them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("segment log is damaged: {bytes} bytes at {offset}")]
pub struct Damage {
    /// Where they begin, from the first byte given to the reader.
    pub offset: usize,
    /// How many.
    pub bytes: usize,
}

/// Reads every whole record of a log, in order: `Some(Ok)` a record, `Some(Err)` damage with whole records behind it,
/// `None` the end. Then [`Reader::valid_len`] tells how much of the log is whole.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    data: &'a [u8],
    sum: Sum,
    at: usize,
    /// Damage of the header that is still to be told.
    mended: Option<usize>,
}

impl<'a> Reader<'a> {
    /// A reader of a whole file. A wrong byte in the header is put right, and told as damage.
    ///
    /// # Errors
    /// [`HeaderError`].
    pub fn new(file: &'a [u8]) -> Result<(Header, Self), HeaderError> {
        let (header, sum, mended) = Header::mend(file)?;
        Ok((header, Self { data: file, sum, at: HEADER, mended }))
    }

    /// A reader of the last bytes of a file of which the front is `front`. It tells of what stands before the first whole
    /// record as damage.
    ///
    /// # Errors
    /// [`HeaderError`].
    pub fn tail(front: &[u8], data: &'a [u8]) -> Result<Self, HeaderError> {
        Ok(Self { data, sum: Header::mend(front)?.1, at: 0, mended: None })
    }

    /// End of the last whole record read so far. Once the iterator is at its end, anything behind it is a torn tail.
    #[must_use]
    pub const fn valid_len(&self) -> usize {
        self.at
    }

    fn record_at(&self, at: usize) -> Option<(Record, usize)> {
        let (header, rest) = self.data.get(at..)?.split_first_chunk::<RECORD_HEADER>()?;
        let &[m0, m1, kind, l0, l1, c0, c1, c2, c3] = header;
        if [m0, m1] != MARKER {
            return None;
        }
        let length = usize::from(u16::from_be_bytes([l0, l1]));
        let payload = rest.get(..length).filter(|_| length <= MAX_PAYLOAD)?;
        if self.sum.of(kind, [l0, l1], payload) != u32::from_be_bytes([c0, c1, c2, c3]) {
            return None;
        }
        Some((record(kind, payload)?, at + RECORD_HEADER + length))
    }
}

impl Iterator for Reader<'_> {
    type Item = Result<Record, Damage>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(offset) = self.mended.take() {
            return Some(Err(Damage { offset, bytes: 1 }));
        }
        if let Some((record, end)) = self.record_at(self.at) {
            self.at = end;
            return Some(Ok(record));
        }
        let found = (self.at.saturating_add(1)..self.data.len()).find(|at| self.record_at(*at).is_some())?;
        let damage = Damage { offset: self.at, bytes: found - self.at };
        self.at = found;
        Some(Err(damage))
    }
}

/// Reads numbers from the front of a slice.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (&field, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(field)
    }
    fn u8(&mut self) -> Option<u8> {
        self.take().map(u8::from_be_bytes)
    }
    fn u16(&mut self) -> Option<u16> {
        self.take().map(u16::from_be_bytes)
    }
    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_be_bytes)
    }
    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_be_bytes)
    }
    fn frame(&mut self) -> Option<RecordedFrame> {
        let head = self.u8()?;
        let seat = SeatNo::new(head & 0x0f).filter(|_| head & !(0x0f | START | END) == 0)?;
        let (level, generation) = (Level(self.u8()?), self.u32()?);
        let length = usize::from(self.u16()?);
        let (opus, rest) = self.0.split_at_checked(length).filter(|_| length <= MAX_FRAME)?;
        self.0 = rest;
        Some(RecordedFrame { seat, generation, level, spurt: spurt(head), opus: Bytes::copy_from_slice(opus) })
    }
    fn mix(&mut self) -> Option<MixPacket> {
        let (group, head, seats) = (self.u64()?, self.u8()?, self.u16()?);
        let ticks = head & !(START | END);
        if !(1..=MAX_TICKS as u8).contains(&ticks) || seats >> MAX_SEATS != 0 {
            return None;
        }
        let mut levels = [None; MAX_SEATS];
        for (seat, level) in levels.iter_mut().enumerate() {
            if seats >> seat & 1 == 1 {
                *level = Some(Level(self.u8()?));
            }
        }
        let opus = core::mem::take(&mut self.0);
        let opus = (opus.len() <= MAX_PACKET).then(|| Bytes::copy_from_slice(opus))?;
        Some(MixPacket { group, ticks, spurt: spurt(head), levels, opus })
    }
}

/// Reads a payload whose checksum holds. `None` for a kind or a layout that this version does not write.
fn record(kind: u8, payload: &[u8]) -> Option<Record> {
    let mut fields = Fields(payload);
    let read = match kind {
        1 => Record::Start { group: fields.u64()?, started_at_ms: fields.u64()? },
        2 => {
            let (group, account, generation) = (fields.u64()?, fields.u64()?, fields.u32()?);
            Record::Seat { group, seat: SeatNo::new(fields.u8()?)?, generation, account }
        }
        3 => {
            let (group, mut frames) = (fields.u64()?, Vec::new());
            while !fields.0.is_empty() {
                frames.push(fields.frame()?);
            }
            Record::Tick { group, frames }
        }
        4 => {
            let (from_group, groups, cause) = (fields.u64()?, fields.u64()?, fields.u8()?);
            Record::Gap { from_group, groups, cause: *GapCause::ALL.get(usize::from(cause))? }
        }
        5 => Record::Note(core::str::from_utf8(core::mem::take(&mut fields.0)).ok()?.to_owned()),
        6 => Record::End { group: fields.u64()? },
        7 => Record::Mix(fields.mix()?),
        8 => Record::Close { group: fields.u64()? },
        _ => return None,
    };
    fields.0.is_empty().then_some(read)
}

const fn spurt(head: u8) -> Spurt {
    Spurt { start: head & START != 0, end: head & END != 0 }
}
