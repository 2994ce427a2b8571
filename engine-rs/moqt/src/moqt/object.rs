//! Object datagrams and subgroup streams of the peer (draft-18 §11).

use bytes::{Bytes, BytesMut};

use super::property::Properties;
use crate::error::Violation;
use crate::wire::{Reader, Short};

/// Padding that is to be thrown away (draft-18 §11.5).
pub(crate) const PADDING_STREAM: u64 = 0x132b_3e28;
const PADDING_DATAGRAM: u64 = 0x132b_3e29;

const PROPERTIES: u64 = 0x01;
const DATAGRAM_END_OF_GROUP: u64 = 0x02;
const ZERO_OBJECT: u64 = 0x04;
const DATAGRAM_DEFAULT_PRIORITY: u64 = 0x08;
const STATUS: u64 = 0x20;

const SUBGROUP_MODE: u64 = 0x06;
const DEFAULT_PRIORITY: u64 = 0x20;

/// One object of the peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Object {
    pub(crate) alias: u64,
    pub(crate) group: u64,
    pub(crate) object: u64,
    pub(crate) end_of_group: bool,
    pub(crate) properties: Properties,
    /// `None`: no object, but word that there is none from here on.
    pub(crate) payload: Option<Bytes>,
}

/// Reads a datagram. `None` for padding.
pub(crate) fn read_datagram(datagram: &Bytes) -> Result<Option<Object>, Violation> {
    let mut reader = Reader::new(datagram);
    let flags = reader.vi64()?;
    if flags == PADDING_DATAGRAM {
        return Ok(None);
    }
    let status = flags & STATUS != 0;
    let end_of_group = flags & DATAGRAM_END_OF_GROUP != 0;
    if flags & !0x2f != 0 || status && end_of_group {
        return Err(Violation::Protocol("invalid datagram type"));
    }
    let alias = reader.vi64()?;
    let group = reader.vi64()?;
    let object = if flags & ZERO_OBJECT == 0 { reader.vi64()? } else { 0 };
    if flags & DATAGRAM_DEFAULT_PRIORITY == 0 {
        reader.u8()?;
    }
    let mut properties = Properties::default();
    if flags & PROPERTIES != 0 {
        let bytes = reader.vi64_bytes()?;
        if bytes.is_empty() {
            return Err(Violation::Protocol("datagram with properties of length 0"));
        }
        properties = Properties::read(bytes)?;
    }
    let payload = if status {
        let code = reader.vi64()?;
        if !reader.is_empty() || code != 0 && flags & PROPERTIES != 0 {
            return Err(Violation::Protocol("object status with payload or properties"));
        }
        status_payload(code)?
    } else {
        Some(datagram.slice(datagram.len() - reader.rest().len()..))
    };
    Ok(Some(Object { alias, group, object, end_of_group, properties, payload }))
}

/// An object without bytes: status Normal has an empty payload, End of Group and End of Track have none.
fn status_payload(code: u64) -> Result<Option<Bytes>, Violation> {
    match code {
        0 => Ok(Some(Bytes::new())),
        3 | 4 => Ok(None),
        _ => Err(Violation::Protocol("unknown object status")),
    }
}

/// A subgroup's header and how far its objects have been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Subgroup {
    pub(crate) alias: u64,
    pub(crate) group: u64,
    properties: bool,
    last: Option<u64>,
}

impl Subgroup {
    /// Whether a unidirectional stream of this type is a subgroup.
    pub(crate) const fn is_type(kind: u64) -> bool {
        kind & !0x7f == 0 && kind & 0x10 != 0 && kind & SUBGROUP_MODE != SUBGROUP_MODE
    }

    /// Takes the header off `buffer` once it is whole.
    pub(crate) fn read(buffer: &mut BytesMut) -> Option<Self> {
        let mut reader = Reader::new(buffer);
        let subgroup = Self::read_header(&mut reader).ok()?;
        let used = buffer.len() - reader.rest().len();
        let _ = buffer.split_to(used);
        Some(subgroup)
    }

    fn read_header(reader: &mut Reader<'_>) -> Result<Self, Short> {
        let kind = reader.vi64()?;
        let (alias, group) = (reader.vi64()?, reader.vi64()?);
        if kind & SUBGROUP_MODE == 0x04 {
            reader.vi64()?;
        }
        if kind & DEFAULT_PRIORITY == 0 {
            reader.u8()?;
        }
        Ok(Self { alias, group, properties: kind & PROPERTIES != 0, last: None })
    }

    /// Takes the next object off `buffer` once it is whole.
    pub(crate) fn next(&mut self, buffer: &mut BytesMut, limit: usize) -> Result<Option<Object>, Violation> {
        let mut reader = Reader::new(buffer);
        let Ok((delta, properties, length)) = self.read_object(&mut reader) else {
            return if buffer.len() > limit { Err(Violation::Excess) } else { Ok(None) };
        };
        if length > limit as u64 {
            return Err(Violation::Excess);
        }
        let status = match length {
            0 => match reader.vi64() {
                Ok(code) => code,
                Err(Short) => return Ok(None),
            },
            _ => 0,
        };
        let properties_used = Properties::read(properties)?;
        let object = match self.last {
            Some(last) => last.checked_add(delta).and_then(|object| object.checked_add(1)),
            None => Some(delta),
        };
        let object = object.ok_or(Violation::Protocol("object id over 64 bits"))?;
        let payload = if length == 0 {
            if status != 0 && !properties.is_empty() {
                return Err(Violation::Protocol("object status with properties"));
            }
            status_payload(status)?
        } else {
            Some(Bytes::new())
        };
        if reader.bytes(length).is_err() {
            return Ok(None);
        }
        let used = buffer.len() - reader.rest().len();
        let bytes = buffer.split_to(used).freeze();
        let payload = payload.map(|_| bytes.slice(bytes.len().saturating_sub(length as usize)..));
        self.last = Some(object);
        Ok(Some(Object {
            alias: self.alias,
            group: self.group,
            object,
            end_of_group: status == 3,
            properties: properties_used,
            payload,
        }))
    }

    fn read_object<'a>(&self, reader: &mut Reader<'a>) -> Result<(u64, &'a [u8], u64), Short> {
        let delta = reader.vi64()?;
        let properties = if self.properties { reader.vi64_bytes()? } else { &[] };
        Ok((delta, properties, reader.vi64()?))
    }
}
