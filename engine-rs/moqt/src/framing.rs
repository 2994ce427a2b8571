//! Headers of what we publish: datagrams, group streams and objects of both protocols.

use bytes::{BufMut, BytesMut};

use crate::seam::ObjectHeader;
use crate::wire::{MAX_VARINT, put_varint, put_vi64, vi64_size, zigzag};

/// Object property TIMESTAMP (draft-ietf-moq-loc).
pub(crate) const TIMESTAMP: u64 = 0x10;

/// OBJECT_DATAGRAM flags (draft-18 §11.3.1).
const PROPERTIES: u8 = 0x01;
const DATAGRAM_END_OF_GROUP: u8 = 0x02;
const ZERO_OBJECT: u8 = 0x04;
const DATAGRAM_DEFAULT_PRIORITY: u8 = 0x08;

/// SUBGROUP_HEADER with properties, subgroup id 0, END_OF_GROUP and DEFAULT_PRIORITY (draft-18 §11.4.2).
const SUBGROUP: u8 = 0x39;
/// Its FIRST_OBJECT flag.
const FIRST_OBJECT: u8 = 0x40;

/// How a subscriber of ours knows the track: all that its headers depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// By our track alias.
    Moqt { alias: u64 },
    /// By the subscriber's own id.
    Lite { subscribe_id: u64 },
}

/// What was written last on a group's stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) object: u64,
    pub(crate) timestamp: u64,
}

impl Framing {
    /// Equal keys have equal headers for equal objects: a header is a function of the framing and the object alone.
    pub(crate) const fn key(self) -> u64 {
        match self {
            Self::Moqt { alias } => alias << 1,
            Self::Lite { subscribe_id } => subscribe_id << 1 | 1,
        }
    }

    /// Appends what precedes the payload in a datagram. False, and nothing appended, if the protocol cannot say it: a
    /// moq-lite datagram is a whole group, and its integers have 62 bits.
    pub(crate) fn datagram(self, out: &mut BytesMut, header: &ObjectHeader) -> bool {
        match self {
            Self::Moqt { alias } => {
                let flags = PROPERTIES
                    | DATAGRAM_DEFAULT_PRIORITY
                    | if header.end_of_group { DATAGRAM_END_OF_GROUP } else { 0 }
                    | if header.object == 0 { ZERO_OBJECT } else { 0 };
                out.put_u8(flags);
                put_vi64(out, alias);
                put_vi64(out, header.group);
                if header.object != 0 {
                    put_vi64(out, header.object);
                }
                put_timestamp_property(out, header.timestamp);
                true
            }
            Self::Lite { subscribe_id } => {
                if header.object != 0 || header.group > MAX_VARINT || header.timestamp > MAX_VARINT {
                    return false;
                }
                put_varint(out, subscribe_id);
                put_varint(out, header.group);
                put_varint(out, header.timestamp);
                true
            }
        }
    }

    /// Appends what a group's stream begins with.
    pub(crate) fn group(self, out: &mut BytesMut, header: &ObjectHeader) {
        match self {
            Self::Moqt { alias } => {
                out.put_u8(SUBGROUP | if header.object == 0 { FIRST_OBJECT } else { 0 });
                put_vi64(out, alias);
                put_vi64(out, header.group);
            }
            Self::Lite { subscribe_id } => {
                let mut body = BytesMut::with_capacity(16);
                put_varint(&mut body, subscribe_id);
                put_varint(&mut body, header.group);
                out.put_u8(0); // Group stream
                put_varint(out, body.len() as u64);
                out.put_slice(&body);
            }
        }
    }

    /// Appends what precedes a payload of `length` bytes on a group's stream, after `last`.
    pub(crate) fn object(self, out: &mut BytesMut, last: Option<Written>, header: &ObjectHeader, length: usize) {
        match self {
            Self::Moqt { .. } => {
                let delta = match last {
                    Some(last) => header.object.saturating_sub(last.object).saturating_sub(1),
                    None => header.object,
                };
                put_vi64(out, delta);
                put_timestamp_property(out, header.timestamp);
                put_vi64(out, length as u64);
                if length == 0 {
                    put_vi64(out, 0); // status Normal, explicit for an empty payload
                }
            }
            Self::Lite { .. } => {
                let from = last.map_or(0, |last| last.timestamp);
                put_varint(out, zigzag(from, header.timestamp));
                put_varint(out, length as u64);
            }
        }
    }
}

fn put_timestamp_property(out: &mut BytesMut, timestamp: u64) {
    put_vi64(out, (vi64_size(TIMESTAMP) + vi64_size(timestamp)) as u64);
    put_vi64(out, TIMESTAMP);
    put_vi64(out, timestamp);
}
