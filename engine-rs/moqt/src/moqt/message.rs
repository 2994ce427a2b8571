//! Control messages of draft-18 §10: what arrives as [`Message`], what we send as functions that append bytes.

use bytes::{BufMut, Bytes, BytesMut};

use super::parameter::{self, Carrier, Parameters};
use super::property::{self, Properties};
use crate::error::Violation;
use crate::limits;
use crate::names::Namespace;
use crate::seam::FullTrackName;
use crate::wire::{Reader, put_vi64, put_vi64_bytes};

/// SETUP, both as a message's type and as a control stream's.
pub(crate) const SETUP: u64 = 0x2f00;
const REQUEST_UPDATE: u64 = 0x02;
const SUBSCRIBE: u64 = 0x03;
const SUBSCRIBE_OK: u64 = 0x04;
const REQUEST_ERROR: u64 = 0x05;
const PUBLISH_NAMESPACE: u64 = 0x06;
const REQUEST_OK: u64 = 0x07;
const NAMESPACE: u64 = 0x08;
/// UNSUBSCRIBE of drafts before 17. moq-relay-ietf 0.8 still sends it.
const OLD_UNSUBSCRIBE: u64 = 0x0a;
const PUBLISH_DONE: u64 = 0x0b;
const TRACK_STATUS: u64 = 0x0d;
const NAMESPACE_DONE: u64 = 0x0e;
const GOAWAY: u64 = 0x10;
const FETCH: u64 = 0x16;
const PUBLISH: u64 = 0x1d;
const SUBSCRIBE_NAMESPACE: u64 = 0x50;
const SUBSCRIBE_TRACKS: u64 = 0x51;

/// A control message of the peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Message {
    Setup(Bytes),
    GoAway {
        uri: String,
        request_id: Option<u64>,
    },
    Subscribe {
        request_id: u64,
        name: FullTrackName,
        parameters: Parameters,
    },
    SubscribeOk {
        alias: u64,
        properties: Properties,
    },
    RequestUpdate {
        request_id: u64,
        parameters: Parameters,
    },
    RequestOk,
    RequestError {
        code: u64,
        reason: String,
    },
    PublishDone,
    PublishNamespace {
        request_id: u64,
        namespace: Namespace,
    },
    SubscribeNamespace {
        request_id: u64,
        prefix: Namespace,
    },
    Namespace(Namespace),
    NamespaceDone(Namespace),
    OldUnsubscribe,
    /// FETCH, PUBLISH, TRACK_STATUS or SUBSCRIBE_TRACKS: requests that we answer NOT_SUPPORTED.
    Unsupported {
        request_id: u64,
    },
}

impl Message {
    /// Takes the next message off `buffer` once it is whole.
    pub(crate) fn next(buffer: &mut BytesMut) -> Result<Option<Self>, Violation> {
        let mut reader = Reader::new(buffer);
        let (Ok(kind), Ok(length)) = (reader.vi64(), reader.u16()) else { return Ok(None) };
        let header = buffer.len() - reader.rest().len();
        let Ok(body) = reader.bytes(u64::from(length)) else { return Ok(None) };
        let message = Self::read(kind, body)?;
        let _ = buffer.split_to(header + usize::from(length));
        Ok(Some(message))
    }

    fn read(kind: u64, body: &[u8]) -> Result<Self, Violation> {
        let mut reader = Reader::new(body);
        let message = match kind {
            SETUP => return Ok(Self::Setup(Bytes::copy_from_slice(body))),
            OLD_UNSUBSCRIBE => return Ok(Self::OldUnsubscribe),
            FETCH | PUBLISH | TRACK_STATUS | SUBSCRIBE_TRACKS => {
                return Ok(Self::Unsupported { request_id: reader.vi64()? });
            }
            GOAWAY => {
                let uri = reader.vi64_bytes()?;
                if uri.len() > 8_192 {
                    return Err(Violation::Protocol("URI over 8192 bytes"));
                }
                reader.vi64()?;
                let request_id = if reader.is_empty() { None } else { Some(reader.vi64()?) };
                Self::GoAway { uri: text(uri), request_id }
            }
            SUBSCRIBE => Self::Subscribe {
                request_id: reader.vi64()?,
                name: read_name(&mut reader)?,
                parameters: Parameters::read(&mut reader, Carrier::Subscribe)?,
            },
            SUBSCRIBE_OK => {
                let alias = reader.vi64()?;
                Parameters::read(&mut reader, Carrier::SubscribeOk)?;
                return Ok(Self::SubscribeOk { alias, properties: Properties::read(reader.rest())? });
            }
            REQUEST_UPDATE => Self::RequestUpdate {
                request_id: reader.vi64()?,
                parameters: Parameters::read(&mut reader, Carrier::RequestUpdate)?,
            },
            REQUEST_OK => {
                Parameters::read(&mut reader, Carrier::RequestOk)?;
                Self::RequestOk
            }
            REQUEST_ERROR => {
                let code = reader.vi64()?;
                reader.vi64()?;
                let reason = read_reason(&mut reader)?;
                // A redirect may follow; we do not go there.
                return Ok(Self::RequestError { code, reason });
            }
            PUBLISH_DONE => {
                reader.vi64()?;
                reader.vi64()?;
                read_reason(&mut reader)?;
                Self::PublishDone
            }
            PUBLISH_NAMESPACE | SUBSCRIBE_NAMESPACE => {
                let request_id = reader.vi64()?;
                let namespace = read_namespace(&mut reader)?;
                Parameters::read(&mut reader, Carrier::Namespaces)?;
                if kind == PUBLISH_NAMESPACE {
                    Self::PublishNamespace { request_id, namespace }
                } else {
                    Self::SubscribeNamespace { request_id, prefix: namespace }
                }
            }
            NAMESPACE => Self::Namespace(read_namespace(&mut reader)?),
            NAMESPACE_DONE => Self::NamespaceDone(read_namespace(&mut reader)?),
            _ => return Err(Violation::Protocol("unknown message")),
        };
        if reader.is_empty() { Ok(message) } else { Err(Violation::Protocol("message longer than its fields")) }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn read_reason(reader: &mut Reader<'_>) -> Result<String, Violation> {
    let reason = reader.vi64_bytes()?;
    if reason.len() > limits::REASON {
        return Err(Violation::Protocol("reason over 1024 bytes"));
    }
    Ok(text(reason))
}

/// A Track Namespace (draft-18 §2.4.1).
pub(crate) fn read_namespace(reader: &mut Reader<'_>) -> Result<Namespace, Violation> {
    let fields = reader.vi64()?;
    if fields > limits::FIELDS as u64 {
        return Err(Violation::Protocol("namespace of more than 32 fields"));
    }
    let mut namespace = Namespace::new();
    let mut total = 0;
    for _ in 0..fields {
        let field = reader.vi64_bytes()?;
        total += field.len();
        if field.is_empty() || total > limits::NAME {
            return Err(Violation::Protocol("namespace field empty, or namespace over 4096 bytes"));
        }
        namespace.push(Bytes::copy_from_slice(field));
    }
    Ok(namespace)
}

fn read_name(reader: &mut Reader<'_>) -> Result<FullTrackName, Violation> {
    let namespace = read_namespace(reader)?;
    let track = reader.vi64_bytes()?;
    if namespace.iter().map(Bytes::len).sum::<usize>() + track.len() > limits::NAME {
        return Err(Violation::Protocol("full track name over 4096 bytes"));
    }
    Ok(FullTrackName { namespace, track: Bytes::copy_from_slice(track) })
}

/// An authorization token's value (draft-18 §10.2.2). We keep no aliases (MAX_AUTH_TOKEN_CACHE_SIZE 0): in SETUP a
/// registration counts as a plain value, elsewhere it overflows the cache.
pub(crate) fn read_token(bytes: &[u8], setup: bool) -> Result<Bytes, Violation> {
    let mut reader = Reader::new(bytes);
    let mut number = || reader.vi64().map_err(|_| Violation::KeyValue);
    match number()? {
        0 | 2 => {
            number()?;
            return Err(if setup { Violation::Protocol("token alias in SETUP") } else { Violation::TokenAlias });
        }
        1 => {
            number()?;
            number()?;
            if !setup {
                return Err(Violation::TokenCache);
            }
        }
        3 => drop(number()?),
        _ => return Err(Violation::KeyValue),
    }
    Ok(Bytes::copy_from_slice(reader.rest()))
}

/// Appends a message around the body that `body` writes.
fn put(out: &mut BytesMut, kind: u64, body: impl FnOnce(&mut BytesMut)) {
    put_vi64(out, kind);
    let at = out.len();
    out.put_u16(0);
    body(out);
    let length = u16::try_from(out.len() - at - 2).unwrap_or(u16::MAX);
    if let Some(field) = out.get_mut(at..at + 2) {
        field.copy_from_slice(&length.to_be_bytes());
    }
}

fn put_namespace(out: &mut BytesMut, namespace: &[Bytes]) {
    put_vi64(out, namespace.len() as u64);
    for field in namespace {
        put_vi64_bytes(out, field);
    }
}

/// Text of at most `limit` bytes.
fn put_text(out: &mut BytesMut, text: &str, limit: usize) {
    let mut end = text.len().min(limit);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    put_vi64_bytes(out, text.get(..end).unwrap_or_default().as_bytes());
}

pub(crate) fn put_setup(out: &mut BytesMut, options: &[u8]) {
    put(out, SETUP, |out| out.put_slice(options));
}

pub(crate) fn put_goaway(out: &mut BytesMut, uri: &str, request_id: u64) {
    put(out, GOAWAY, |out| {
        put_text(out, uri, 8_192);
        put_vi64(out, 0);
        put_vi64(out, request_id);
    });
}

pub(crate) fn put_subscribe(out: &mut BytesMut, request_id: u64, name: &FullTrackName) {
    put(out, SUBSCRIBE, |out| {
        put_vi64(out, request_id);
        put_namespace(out, &name.namespace);
        put_vi64_bytes(out, &name.track);
        parameter::put_subscribe(out);
    });
}

pub(crate) fn put_subscribe_ok(out: &mut BytesMut, alias: u64) {
    put(out, SUBSCRIBE_OK, |out| {
        put_vi64(out, alias);
        put_vi64(out, 0);
        property::put_track(out);
    });
}

pub(crate) fn put_request_ok(out: &mut BytesMut) {
    put(out, REQUEST_OK, |out| put_vi64(out, 0));
}

pub(crate) fn put_request_error(out: &mut BytesMut, code: u64, retry: u64, reason: &str) {
    put(out, REQUEST_ERROR, |out| {
        put_vi64(out, code);
        put_vi64(out, retry);
        put_text(out, reason, limits::REASON);
    });
}

pub(crate) fn put_publish_done(out: &mut BytesMut, code: u64, streams: u64, reason: &str) {
    put(out, PUBLISH_DONE, |out| {
        put_vi64(out, code);
        put_vi64(out, streams);
        put_text(out, reason, limits::REASON);
    });
}

pub(crate) fn put_publish_namespace(out: &mut BytesMut, request_id: u64, namespace: &[Bytes]) {
    put(out, PUBLISH_NAMESPACE, |out| {
        put_vi64(out, request_id);
        put_namespace(out, namespace);
        put_vi64(out, 0);
    });
}

pub(crate) fn put_subscribe_namespace(out: &mut BytesMut, request_id: u64, prefix: &[Bytes]) {
    put(out, SUBSCRIBE_NAMESPACE, |out| {
        put_vi64(out, request_id);
        put_namespace(out, prefix);
        put_vi64(out, 0);
    });
}

pub(crate) fn put_namespace_message(out: &mut BytesMut, suffix: &[Bytes]) {
    put(out, NAMESPACE, |out| put_namespace(out, suffix));
}

pub(crate) fn put_namespace_done(out: &mut BytesMut, suffix: &[Bytes]) {
    put(out, NAMESPACE_DONE, |out| put_namespace(out, suffix));
}
