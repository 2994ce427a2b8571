//! The frames of a 1-RTT packet, as far as they must be told apart: acknowledgements and datagrams from everything else.
//!
//! RFC 9000 §19, RFC 9221 §4 and draft-ietf-quic-ack-frequency-07 §6. What quinn-proto reads is read here in the same way, so that
//! no acknowledgement reaches it untranslated.

use bytes::BytesMut;
use spaces_core::varint;

const PADDING: u64 = 0x00;
const ACK: u64 = 0x02;
const ACK_ECN: u64 = 0x03;
const ACK_FREQUENCY: u64 = 0xaf;
/// Largest packet number there is.
pub const MAX_NUMBER: u64 = (1 << 62) - 1;

/// One frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// A run of PADDING.
    Padding,
    /// ACK, with or without ECN counts.
    Ack(Ack<'a>),
    /// DATAGRAM, with or without a length: its payload.
    Datagram(&'a [u8]),
    /// Any other.
    Other,
}

/// The bytes are no frame that this end knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// An ACK frame whose ranges were found to be sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ack<'a> {
    /// The highest packet number.
    pub largest: u64,
    /// In units that the peer chose (RFC 9000 §18.2, `ack_delay_exponent`).
    pub delay: u64,
    first: u64,
    /// Pairs of gap and length.
    ranges: &'a [u8],
    /// Three counts.
    ecn: Option<&'a [u8]>,
}

impl<'a> Ack<'a> {
    /// Closed ranges of packet numbers, the highest first.
    pub fn ranges(&self) -> impl Iterator<Item = (u64, u64)> + Clone + 'a {
        let mut rest = self.ranges;
        let mut low = self.largest.saturating_sub(self.first);
        let further = std::iter::from_fn(move || {
            let (gap, length) = (varint::read(&mut rest)?, varint::read(&mut rest)?);
            let high = low.checked_sub(gap)?.checked_sub(2)?;
            low = high.checked_sub(length)?;
            Some((low, high))
        });
        std::iter::once((self.largest.saturating_sub(self.first), self.largest)).chain(further)
    }

    fn read(input: &mut &'a [u8], ecn: bool) -> Option<Self> {
        let (largest, delay) = (varint::read(input)?, varint::read(input)?);
        let (count, first) = (varint::read(input)?, varint::read(input)?);
        let mut low = largest.checked_sub(first)?;
        let start = *input;
        for _ in 0..count {
            let (gap, length) = (varint::read(input)?, varint::read(input)?);
            low = low.checked_sub(gap)?.checked_sub(2)?.checked_sub(length)?;
        }
        let ranges = start.get(..start.len() - input.len())?;
        let counts = *input;
        if ecn {
            for _ in 0..3 {
                varint::read(input)?;
            }
        }
        let ecn = if ecn { counts.get(..counts.len() - input.len()) } else { None };
        Some(Self { largest, delay, first, ranges, ecn })
    }

    /// Appends the frame with other ranges (closed, the highest first, none touching the next) and another delay.
    pub fn rewrite(&self, ranges: &[(u64, u64)], delay: u64, out: &mut BytesMut) {
        let Some(((low, high), further)) = ranges.split_first() else { return };
        varint::write(out, if self.ecn.is_some() { ACK_ECN } else { ACK });
        varint::write(out, *high);
        varint::write(out, delay);
        varint::write(out, further.len() as u64);
        varint::write(out, high.saturating_sub(*low));
        let mut smallest = *low;
        for (low, high) in further {
            varint::write(out, smallest.saturating_sub(*high).saturating_sub(2));
            varint::write(out, high.saturating_sub(*low));
            smallest = *low;
        }
        out.extend_from_slice(self.ecn.unwrap_or_default());
    }
}

/// Walks over a packet's payload: each frame and its bytes. Ends after the first that is malformed.
#[derive(Clone, Debug)]
pub struct Frames<'a> {
    rest: &'a [u8],
    over: bool,
}

impl<'a> Frames<'a> {
    /// From a packet's payload, opened.
    #[must_use]
    pub const fn new(payload: &'a [u8]) -> Self {
        Self { rest: payload, over: false }
    }

    /// What has not been walked over.
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Result<(Frame<'a>, &'a [u8]), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() || self.over {
            return None;
        }
        let start = self.rest;
        let mut input = start;
        let Some(frame) = read(&mut input) else {
            self.over = true;
            return Some(Err(Malformed));
        };
        self.rest = input;
        Some(Ok((frame, start.get(..start.len() - input.len()).unwrap_or_default())))
    }
}

fn read<'a>(input: &mut &'a [u8]) -> Option<Frame<'a>> {
    match varint::read(input)? {
        PADDING => {
            let zeros = input.iter().take_while(|byte| **byte == 0).count();
            skip(input, zeros as u64)?;
            return Some(Frame::Padding);
        }
        kind @ (ACK | ACK_ECN) => return Ack::read(input, kind == ACK_ECN).map(Frame::Ack),
        // PING, HANDSHAKE_DONE, IMMEDIATE_ACK
        0x01 | 0x1e | 0x1f => {}
        // RESET_STREAM
        0x04 => integers(input, 3)?,
        // STOP_SENDING, MAX_STREAM_DATA, STREAM_DATA_BLOCKED
        0x05 | 0x11 | 0x15 => integers(input, 2)?,
        // CRYPTO
        0x06 => {
            integers(input, 1)?;
            counted(input)?;
        }
        // NEW_TOKEN
        0x07 => {
            counted(input)?;
        }
        // DATAGRAM with a length
        0x31 => return counted(input).map(Frame::Datagram),
        kind @ 0x08..=0x0f => {
            integers(input, if kind & 0x04 == 0 { 1 } else { 2 })?;
            if kind & 0x02 == 0 {
                *input = &[];
            } else {
                counted(input)?;
            }
        }
        // MAX_DATA, MAX_STREAMS, DATA_BLOCKED, STREAMS_BLOCKED, RETIRE_CONNECTION_ID
        0x10 | 0x12..=0x14 | 0x16 | 0x17 | 0x19 => integers(input, 1)?,
        // NEW_CONNECTION_ID
        0x18 => {
            integers(input, 2)?;
            let (length, rest) = input.split_first()?;
            *input = rest;
            skip(input, u64::from(*length) + 16)?;
        }
        // PATH_CHALLENGE, PATH_RESPONSE
        0x1a | 0x1b => skip(input, 8)?,
        // CONNECTION_CLOSE of QUIC, of the application
        0x1c => {
            integers(input, 2)?;
            counted(input)?;
        }
        0x1d => {
            integers(input, 1)?;
            counted(input)?;
        }
        // DATAGRAM to the end of the packet
        0x30 => return Some(Frame::Datagram(std::mem::take(input))),
        ACK_FREQUENCY => integers(input, 4)?,
        _ => return None,
    }
    Some(Frame::Other)
}

fn integers(input: &mut &[u8], count: usize) -> Option<()> {
    (0..count).try_for_each(|_| varint::read(input).map(drop))
}

fn counted<'a>(input: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = varint::read(input)?;
    let (counted, rest) = input.split_at_checked(usize::try_from(length).ok()?)?;
    *input = rest;
    Some(counted)
}

fn skip(input: &mut &[u8], length: u64) -> Option<()> {
    *input = input.get(usize::try_from(length).ok()?..)?;
    Some(())
}

/// The packet number whose last bytes are `truncated`, if `expected` is about the next one (RFC 9000 §A.3).
#[must_use]
pub fn expand(truncated: &[u8], expected: u64) -> u64 {
    let window = 1u64 << (truncated.len() * 8);
    let low = truncated.iter().fold(0, |value, byte| value << 8 | u64::from(*byte));
    let candidate = expected & !(window - 1) | low;
    if candidate + window / 2 <= expected && candidate + window <= MAX_NUMBER {
        candidate + window
    } else if candidate > expected + window / 2 && candidate >= window {
        candidate - window
    } else {
        candidate
    }
}
