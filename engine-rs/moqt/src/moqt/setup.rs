//! SETUP options (draft-18 §10.3.1).

use bytes::{BufMut, Bytes, BytesMut};

use super::message::read_token;
use super::property::{Value, for_each, put_option};
use crate::error::Violation;
use crate::seam::{End, Setup};
use crate::wire::put_vi64;

const PATH: u64 = 0x01;
const TOKEN: u64 = 0x03;
const AUTHORITY: u64 = 0x05;
const IMPLEMENTATION: u64 = 0x07;
/// The peer announces only to those who asked (draft-lcurley-moq-solicit).
const SOLICIT: u64 = 0x40b5a;

/// What the peer's SETUP says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Received {
    pub(crate) setup: Setup,
    pub(crate) solicit: bool,
}

/// Reads the options that `from` sent. Unknown ones are ignored.
pub(crate) fn read(body: &[u8], from: End) -> Result<Received, Violation> {
    let mut received = Received::default();
    for_each(body, |kind, value| {
        match (kind, value) {
            (PATH, Value::Bytes(_)) if from == End::Server => return Err(Violation::Path),
            (PATH, Value::Bytes(path)) => received.setup.path = Some(text(path).ok_or(Violation::PathFormat)?),
            (AUTHORITY, Value::Bytes(_)) if from == End::Server => return Err(Violation::Authority),
            (AUTHORITY, Value::Bytes(name)) => {
                received.setup.authority = Some(text(name).ok_or(Violation::AuthorityFormat)?);
            }
            // Of several tokens the first one that is given is ours.
            (TOKEN, Value::Bytes(token)) => {
                let token = read_token(token, true)?;
                received.setup.token.get_or_insert(token);
            }
            (IMPLEMENTATION, Value::Bytes(name)) => {
                received.setup.implementation = Some(String::from_utf8_lossy(name).into_owned());
            }
            (SOLICIT, Value::Number(number)) => received.solicit = number != 0,
            _ => {}
        }
        Ok(())
    })?;
    Ok(received)
}

fn text(bytes: &[u8]) -> Option<String> {
    String::from_utf8(bytes.to_vec()).ok()
}

/// The options of our own SETUP. A server has neither path nor authority to give.
pub(crate) fn write(setup: &Setup, end: End) -> BytesMut {
    let mut out = BytesMut::new();
    let mut previous = 0;
    let mut put = |kind: u64, value: &[u8]| {
        put_option(&mut out, previous, kind, value);
        previous = kind;
    };
    if end == End::Client
        && let Some(path) = &setup.path
    {
        put(PATH, path.as_bytes());
    }
    if let Some(token) = &setup.token {
        put(TOKEN, &token_value(token));
    }
    if end == End::Client
        && let Some(authority) = &setup.authority
    {
        put(AUTHORITY, authority.as_bytes());
    }
    if let Some(name) = &setup.implementation {
        put(IMPLEMENTATION, name.as_bytes());
    }
    out
}

/// USE_VALUE, token type 0: agreed on out of band.
fn token_value(token: &Bytes) -> BytesMut {
    let mut out = BytesMut::with_capacity(token.len() + 2);
    put_vi64(&mut out, 3);
    put_vi64(&mut out, 0);
    out.put_slice(token);
    out
}
