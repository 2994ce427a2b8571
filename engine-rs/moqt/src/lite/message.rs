//! Messages of moq-lite-05. Each is a varint length and a body, some behind a varint type.

use bytes::{BufMut, Bytes, BytesMut};

use crate::error::Violation;
use crate::limits;
use crate::names::{Namespace, from_path, to_path};
use crate::seam::{End, FullTrackName};
use crate::timescale;
use crate::wire::{Reader, put_varint, put_varint_bytes};

/// Types of bidirectional streams.
pub(crate) const ANNOUNCE: u64 = 1;
pub(crate) const SUBSCRIBE: u64 = 2;
pub(crate) const GOAWAY: u64 = 5;
pub(crate) const TRACK: u64 = 6;

/// Types of unidirectional streams.
pub(crate) const GROUP: u64 = 0;
pub(crate) const SETUP: u64 = 1;

/// SETUP's Path parameter: the request target, for transports that have no URL of their own.
const PATH: u64 = 2;

/// Our hop id: unknown. It matches nothing, so no relay takes two servers' Spaces for one.
const HOP: u64 = 0;

/// What TRACK_INFO says of every track of ours.
const PRIORITY: u8 = 0x80;
const MAX_LATENCY_MS: u64 = 5_000;

/// Takes a message of known kind off `buffer` once it is whole.
pub(crate) fn next(buffer: &mut BytesMut) -> Result<Option<Bytes>, Violation> {
    let mut reader = Reader::new(buffer);
    let Ok(length) = reader.varint() else { return Ok(None) };
    if length > limits::MESSAGE as u64 {
        return Err(Violation::Excess);
    }
    let header = buffer.len() - reader.rest().len();
    if reader.bytes(length).is_err() {
        return Ok(None);
    }
    let mut message = buffer.split_to(header + length as usize);
    Ok(Some(message.split_off(header).freeze()))
}

/// Takes a stream's type off `buffer` once it is whole.
pub(crate) fn stream_type(buffer: &mut BytesMut) -> Option<u64> {
    let mut reader = Reader::new(buffer);
    let kind = reader.varint().ok()?;
    let used = buffer.len() - reader.rest().len();
    let _ = buffer.split_to(used);
    Some(kind)
}

fn whole<T>(reader: &Reader<'_>, message: T) -> Result<T, Violation> {
    if reader.is_empty() { Ok(message) } else { Err(Violation::Protocol("message longer than its fields")) }
}

fn read_path(reader: &mut Reader<'_>) -> Result<Namespace, Violation> {
    let path = reader.varint_bytes()?;
    if path.len() > limits::NAME {
        return Err(Violation::Protocol("path over 4096 bytes"));
    }
    Ok(from_path(path))
}

fn read_name(reader: &mut Reader<'_>) -> Result<FullTrackName, Violation> {
    let namespace = read_path(reader)?;
    let track = reader.varint_bytes()?;
    if track.len() > limits::NAME {
        return Err(Violation::Protocol("track name over 4096 bytes"));
    }
    Ok(FullTrackName { namespace, track: Bytes::copy_from_slice(track) })
}

/// SETUP: the path, if `from` is a client that gives one. Unknown parameters are ignored.
pub(crate) fn read_setup(body: &[u8], from: End) -> Result<Option<String>, Violation> {
    let mut reader = Reader::new(body);
    let mut path = None;
    let mut seen = Vec::new();
    for _ in 0..reader.varint()? {
        let id = reader.varint()?;
        let value = reader.varint_bytes()?;
        if seen.contains(&id) || seen.len() >= 64 {
            return Err(Violation::Protocol("setup parameter given twice, or too many"));
        }
        seen.push(id);
        if id == PATH {
            if from == End::Server {
                return Err(Violation::Path);
            }
            path = Some(String::from_utf8(value.to_vec()).map_err(|_| Violation::PathFormat)?);
        }
    }
    whole(&reader, path.filter(|path| !path.is_empty()))
}

/// ANNOUNCE_REQUEST: the prefix. The hop to leave out is no relay's here.
pub(crate) fn read_announce_request(body: &[u8]) -> Result<Namespace, Violation> {
    let mut reader = Reader::new(body);
    let prefix = read_path(&mut reader)?;
    reader.varint()?;
    whole(&reader, prefix)
}

/// ANNOUNCE_OK: hop id and number of broadcasts to follow at once.
pub(crate) fn read_announce_ok(body: &[u8]) -> Result<(), Violation> {
    let mut reader = Reader::new(body);
    reader.varint()?;
    reader.varint()?;
    whole(&reader, ())
}

/// ANNOUNCE_BROADCAST: whether the broadcast is there, and what follows the prefix in its path.
pub(crate) fn read_announce_broadcast(body: &[u8]) -> Result<(bool, Namespace), Violation> {
    let mut reader = Reader::new(body);
    let active = match reader.u8()? {
        0 => false,
        // 2 replaces an announcement by a newer one.
        1 | 2 => true,
        _ => return Err(Violation::Protocol("unknown announce status")),
    };
    let suffix = read_path(&mut reader)?;
    for _ in 0..reader.varint()? {
        reader.varint()?;
    }
    whole(&reader, (active, suffix))
}

/// The peer's SUBSCRIBE. Group bounds are absolute; `None` for the newest and for no end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Subscribe {
    pub(crate) id: u64,
    pub(crate) name: FullTrackName,
    pub(crate) first_group: Option<u64>,
    pub(crate) last_group: Option<u64>,
}

pub(crate) fn read_subscribe(body: &[u8]) -> Result<Subscribe, Violation> {
    let mut reader = Reader::new(body);
    let id = reader.varint()?;
    let name = read_name(&mut reader)?;
    let (first_group, last_group) = read_preferences(&mut reader)?;
    whole(&reader, Subscribe { id, name, first_group, last_group })
}

/// SUBSCRIBE_UPDATE: the group bounds.
pub(crate) fn read_subscribe_update(body: &[u8]) -> Result<(Option<u64>, Option<u64>), Violation> {
    let mut reader = Reader::new(body);
    let bounds = read_preferences(&mut reader)?;
    whole(&reader, bounds)
}

/// Priority, order, latency (all of no use where everything is live) and the two group bounds, each plus one.
fn read_preferences(reader: &mut Reader<'_>) -> Result<(Option<u64>, Option<u64>), Violation> {
    reader.u8()?;
    reader.u8()?;
    reader.varint()?;
    Ok((reader.varint()?.checked_sub(1), reader.varint()?.checked_sub(1)))
}

/// TRACK: which.
pub(crate) fn read_track(body: &[u8]) -> Result<FullTrackName, Violation> {
    let mut reader = Reader::new(body);
    let name = read_name(&mut reader)?;
    whole(&reader, name)
}

/// TRACK_INFO: the timescale.
pub(crate) fn read_track_info(body: &[u8]) -> Result<u64, Violation> {
    let mut reader = Reader::new(body);
    reader.u8()?;
    reader.u8()?;
    reader.varint()?;
    match reader.varint()? {
        0 => Err(Violation::Protocol("timescale 0")),
        timescale => whole(&reader, timescale),
    }
}

/// What a publisher says on a subscribe stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Response {
    Ok,
    /// No group at or after this one, or lost groups: of no consequence before the stream ends.
    Other,
}

/// Takes the next response off `buffer` once it is whole.
pub(crate) fn next_response(buffer: &mut BytesMut) -> Result<Option<Response>, Violation> {
    let mut reader = Reader::new(buffer);
    let (Ok(kind), Ok(length)) = (reader.varint(), reader.varint()) else { return Ok(None) };
    if length > limits::MESSAGE as u64 {
        return Err(Violation::Excess);
    }
    let Ok(body) = reader.bytes(length) else { return Ok(None) };
    let used = buffer.len() - reader.rest().len();
    let mut body = Reader::new(body);
    let (fields, response) = match kind {
        0 => (1, Response::Ok),
        1 => (1, Response::Other),
        2 => (3, Response::Other),
        _ => return Err(Violation::Protocol("unknown subscribe response")),
    };
    for _ in 0..fields {
        body.varint()?;
    }
    whole(&body, ())?;
    let _ = buffer.split_to(used);
    Ok(Some(response))
}

pub(crate) fn read_goaway(body: &[u8]) -> Result<String, Violation> {
    let mut reader = Reader::new(body);
    let uri = String::from_utf8_lossy(reader.varint_bytes()?).into_owned();
    whole(&reader, uri)
}

/// GROUP: subscribe id and sequence.
pub(crate) fn read_group(body: &[u8]) -> Result<(u64, u64), Violation> {
    let mut reader = Reader::new(body);
    let ids = (reader.varint()?, reader.varint()?);
    whole(&reader, ids)
}

/// Appends the body that `body` writes behind its length.
fn put(out: &mut BytesMut, body: impl FnOnce(&mut BytesMut)) {
    let mut message = BytesMut::new();
    body(&mut message);
    put_varint_bytes(out, &message);
}

pub(crate) fn put_setup(out: &mut BytesMut, path: Option<&str>) {
    put_varint(out, SETUP);
    put(out, |out| match path {
        Some(path) => {
            put_varint(out, 1);
            put_varint(out, PATH);
            put_varint_bytes(out, path.as_bytes());
        }
        None => put_varint(out, 0),
    });
}

pub(crate) fn put_announce_request(out: &mut BytesMut, prefix: &[Bytes]) {
    put_varint(out, ANNOUNCE);
    put(out, |out| {
        put_varint_bytes(out, &to_path(prefix));
        put_varint(out, HOP);
    });
}

pub(crate) fn put_announce_ok(out: &mut BytesMut, count: u64) {
    put(out, |out| {
        put_varint(out, HOP);
        put_varint(out, count);
    });
}

pub(crate) fn put_announce_broadcast(out: &mut BytesMut, active: bool, suffix: &[Bytes]) {
    put(out, |out| {
        out.put_u8(u8::from(active));
        put_varint_bytes(out, &to_path(suffix));
        put_varint(out, 0);
    });
}

/// SUBSCRIBE: newest group first, from the latest on, without end.
pub(crate) fn put_subscribe(out: &mut BytesMut, id: u64, name: &FullTrackName) {
    put_varint(out, SUBSCRIBE);
    put(out, |out| {
        put_varint(out, id);
        put_varint_bytes(out, &to_path(&name.namespace));
        put_varint_bytes(out, &name.track);
        out.put_u8(PRIORITY);
        out.put_u8(0);
        for field in [0, 0, 0] {
            put_varint(out, field);
        }
    });
}

pub(crate) fn put_track(out: &mut BytesMut, name: &FullTrackName) {
    put_varint(out, TRACK);
    put(out, |out| {
        put_varint_bytes(out, &to_path(&name.namespace));
        put_varint_bytes(out, &name.track);
    });
}

pub(crate) fn put_track_info(out: &mut BytesMut) {
    put(out, |out| {
        out.put_u8(PRIORITY);
        out.put_u8(0);
        put_varint(out, MAX_LATENCY_MS);
        put_varint(out, timescale::SAMPLES);
    });
}

pub(crate) fn put_subscribe_ok(out: &mut BytesMut, first_group: u64) {
    put_varint(out, 0);
    put(out, |out| put_varint(out, first_group));
}

pub(crate) fn put_goaway(out: &mut BytesMut, uri: &str) {
    put_varint(out, GOAWAY);
    put(out, |out| put_varint_bytes(out, uri.as_bytes()));
}
