//! Key-Value-Pairs (draft-18 §1.4.3): setup options, track properties and object properties.

use bytes::{BufMut, BytesMut};

use crate::error::Violation;
use crate::framing::TIMESTAMP;
use crate::timescale;
use crate::wire::{Reader, put_vi64};

/// Units a second of a track's timestamps (draft-ietf-moq-loc).
const TIMESCALE: u64 = 0x08;
/// Pairs within a pair, protected from change (draft-18 §12.7).
const IMMUTABLE: u64 = 0x0b;
/// Types that a receiver must understand, on tracks only (draft-18 §2.5.1).
const MANDATORY: core::ops::RangeInclusive<u64> = 0x4000..=0x7fff;

/// A pair's value: even types have a number, odd ones bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// Calls `each` with the pairs of `bytes`, in their order.
pub(crate) fn for_each<'a>(
    bytes: &'a [u8],
    mut each: impl FnMut(u64, Value<'a>) -> Result<(), Violation>,
) -> Result<(), Violation> {
    let mut reader = Reader::new(bytes);
    let mut kind = 0u64;
    while !reader.is_empty() {
        kind = kind.checked_add(reader.vi64()?).ok_or(Violation::Protocol("key over 64 bits"))?;
        let value = if kind & 1 == 0 {
            Value::Number(reader.vi64()?)
        } else {
            let length = reader.vi64()?;
            if length > 0xffff {
                return Err(Violation::Protocol("value over 65535 bytes"));
            }
            Value::Bytes(reader.bytes(length)?)
        };
        each(kind, value)?;
    }
    Ok(())
}

/// What a track's or an object's properties say of time, and whether they ask for more than we understand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Properties {
    pub(crate) timescale: Option<u64>,
    pub(crate) timestamp: Option<u64>,
    pub(crate) mandatory: bool,
}

impl Properties {
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Violation> {
        let mut properties = Self::default();
        for_each(bytes, |kind, value| {
            properties.take(kind, value);
            if let (IMMUTABLE, Value::Bytes(inner)) = (kind, value) {
                for_each(inner, |kind, value| {
                    properties.take(kind, value);
                    Ok(())
                })?;
            }
            Ok(())
        })?;
        Ok(properties)
    }

    fn take(&mut self, kind: u64, value: Value<'_>) {
        match (kind, value) {
            (TIMESCALE, Value::Number(units)) => self.timescale = Some(units),
            (TIMESTAMP, Value::Number(time)) => self.timestamp = Some(time),
            (kind, _) if MANDATORY.contains(&kind) => self.mandatory = true,
            _ => {}
        }
    }

    /// The object's time in samples; `track` is the track's timescale. Without any timescale, timestamps count
    /// microseconds (draft-ietf-moq-loc).
    pub(crate) fn samples(&self, track: Option<u64>, group: u64) -> u64 {
        let scale = self.timescale.or(track).unwrap_or(timescale::MICROSECONDS);
        self.timestamp
            .and_then(|timestamp| timescale::to_samples(timestamp, scale))
            .unwrap_or_else(|| timescale::of_group(group))
    }
}

/// The track properties of everything that we publish: the timescale.
pub(crate) fn put_track(out: &mut BytesMut) {
    put_vi64(out, TIMESCALE);
    put_vi64(out, timescale::SAMPLES);
}

/// A setup option with a byte value; `previous` is the type before it.
pub(crate) fn put_option(out: &mut BytesMut, previous: u64, kind: u64, value: &[u8]) {
    put_vi64(out, kind - previous);
    put_vi64(out, value.len() as u64);
    out.put_slice(value);
}
