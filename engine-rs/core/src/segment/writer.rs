//! Encoding of the segment log.

use bytes::{BufMut, BytesMut};

use super::{END, Header, MARKER, MAX_PAYLOAD, Oversized, RECORD_HEADER, Record, START, Sum};
use crate::ids::SeatNo;
use crate::mix::{MAX_PACKET, MixPacket};
use crate::record::{RecordItem, RecordedFrame};
use crate::uplink::{MAX_FRAME, Spurt};

/// Encodes a log. The bytes gather in the writer until they are taken.
#[derive(Debug)]
pub struct Writer {
    out: BytesMut,
    sum: Sum,
}

impl Writer {
    /// The log begins with `header`.
    #[must_use]
    pub fn new(header: &Header) -> Self {
        let (out, sum) = header.encode();
        Self { out, sum }
    }

    /// What was encoded since the last call.
    pub fn take(&mut self) -> BytesMut {
        self.out.split()
    }

    /// Appends what the recorder was handed. Its Space stands in the header.
    ///
    /// # Errors
    /// [`Oversized`]; nothing was appended then.
    pub fn item(&mut self, item: &RecordItem) -> Result<(), Oversized> {
        match item {
            RecordItem::Start { started_at_ms, group, .. } => self.start(*group, *started_at_ms),
            RecordItem::Seat { group, seat, generation, account, .. } => {
                self.seat(*group, *seat, *generation, *account)
            }
            RecordItem::Tick { group, frames, .. } => self.tick(*group, frames),
            RecordItem::Mix { packet, .. } => self.mix(packet),
            RecordItem::End { group, .. } => self.put(6, |out| out.put_u64(*group)),
        }
    }

    /// Appends any record.
    ///
    /// # Errors
    /// [`Oversized`]; nothing was appended then.
    pub fn record(&mut self, record: &Record) -> Result<(), Oversized> {
        match record {
            Record::Start { group, started_at_ms } => self.start(*group, *started_at_ms),
            Record::Seat { group, seat, generation, account } => self.seat(*group, *seat, *generation, *account),
            Record::Tick { group, frames } => self.tick(*group, frames),
            Record::Gap { from_group, groups, cause } => self.put(4, |out| {
                out.put_u64(*from_group);
                out.put_u64(*groups);
                out.put_u8(*cause as u8);
            }),
            Record::Mix(packet) => self.mix(packet),
            Record::Note(text) => self.put(5, |out| out.put_slice(text.as_bytes())),
            Record::End { group } => self.put(6, |out| out.put_u64(*group)),
            Record::Close { group } => self.put(8, |out| out.put_u64(*group)),
        }
    }

    fn start(&mut self, group: u64, started_at_ms: u64) -> Result<(), Oversized> {
        self.put(1, |out| {
            out.put_u64(group);
            out.put_u64(started_at_ms);
        })
    }

    fn seat(&mut self, group: u64, seat: SeatNo, generation: u32, account: u64) -> Result<(), Oversized> {
        self.put(2, |out| {
            out.put_u64(group);
            out.put_u64(account);
            out.put_u32(generation);
            out.put_u8(seat.get());
        })
    }

    fn tick(&mut self, group: u64, frames: &[RecordedFrame]) -> Result<(), Oversized> {
        if let Some(frame) = frames.iter().find(|frame| frame.opus.len() > MAX_FRAME) {
            return Err(Oversized(frame.opus.len()));
        }
        self.put(3, |out| {
            out.put_u64(group);
            for frame in frames {
                out.put_u8(frame.seat.get() | borders(frame.spurt));
                out.put_u8(frame.level.0);
                out.put_u32(frame.generation);
                out.put_u16(frame.opus.len() as u16);
                out.put_slice(&frame.opus);
            }
        })
    }

    fn mix(&mut self, packet: &MixPacket) -> Result<(), Oversized> {
        if packet.opus.len() > MAX_PACKET {
            return Err(Oversized(packet.opus.len()));
        }
        self.put(7, |out| {
            out.put_u64(packet.group);
            out.put_u8(packet.ticks | borders(packet.spurt));
            out.put_u16(packet.seats());
            packet.levels.iter().flatten().for_each(|level| out.put_u8(level.0));
            out.put_slice(&packet.opus);
        })
    }

    /// Appends a record around what `payload` writes.
    fn put(&mut self, kind: u8, payload: impl FnOnce(&mut BytesMut)) -> Result<(), Oversized> {
        let from = self.out.len();
        self.out.put_slice(&MARKER);
        self.out.put_u8(kind);
        self.out.put_bytes(0, RECORD_HEADER - 3);
        payload(&mut self.out);
        let length = self.out.len() - from - RECORD_HEADER;
        if length > MAX_PAYLOAD {
            self.out.truncate(from);
            return Err(Oversized(length));
        }
        if let Some((header, payload)) = self.out.get_mut(from..).and_then(|record| record.split_first_chunk_mut()) {
            let [_, _, kind, length @ .., c0, c1, c2, c3]: &mut [u8; RECORD_HEADER] = header;
            *length = (payload.len() as u16).to_be_bytes();
            [*c0, *c1, *c2, *c3] = self.sum.of(*kind, *length, payload).to_be_bytes();
        }
        Ok(())
    }
}

const fn borders(spurt: Spurt) -> u8 {
    let start = if spurt.start { START } else { 0 };
    let end = if spurt.end { END } else { 0 };
    start | end
}
