//! Message Parameters (draft-18 §10.2): unknown ones, and ones in the wrong message, are protocol violations.

use bytes::{BufMut, BytesMut};

use super::message::{read_namespace, read_token};
use crate::error::Violation;
use crate::names::Namespace;
use crate::wire::{Reader, put_vi64};

const OBJECT_DELIVERY_TIMEOUT: u64 = 0x02;
const AUTHORIZATION_TOKEN: u64 = 0x03;
const RENDEZVOUS_TIMEOUT: u64 = 0x04;
const SUBGROUP_DELIVERY_TIMEOUT: u64 = 0x06;
const EXPIRES: u64 = 0x08;
const LARGEST_OBJECT: u64 = 0x09;
const FORWARD: u64 = 0x10;
const SUBSCRIBER_PRIORITY: u64 = 0x20;
const SUBSCRIPTION_FILTER: u64 = 0x21;
const GROUP_ORDER: u64 = 0x22;
const NEW_GROUP_REQUEST: u64 = 0x32;
const TRACK_NAMESPACE_PREFIX: u64 = 0x34;

/// The message that carries parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carrier {
    Subscribe,
    SubscribeOk,
    RequestUpdate,
    RequestOk,
    Namespaces,
}

/// Which objects a subscriber wants (draft-18 §5.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Filter {
    NextGroup,
    Largest,
    Start { group: u64, object: u64 },
    Range { group: u64, object: u64, last_group: u64 },
}

/// The parameters that mean something here. The others are checked and dropped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Parameters {
    pub(crate) forward: Option<bool>,
    pub(crate) filter: Option<Filter>,
    pub(crate) largest: Option<(u64, u64)>,
    pub(crate) prefix: Option<Namespace>,
}

/// Where a parameter may stand (draft-18 §10.2.2 to §10.2.14).
fn allowed(kind: u64, carrier: Carrier) -> bool {
    use Carrier::{Namespaces, RequestOk, RequestUpdate, Subscribe, SubscribeOk};
    match kind {
        AUTHORIZATION_TOKEN => matches!(carrier, Subscribe | RequestUpdate | Namespaces),
        RENDEZVOUS_TIMEOUT => matches!(carrier, Subscribe),
        EXPIRES | LARGEST_OBJECT => matches!(carrier, SubscribeOk | RequestOk),
        OBJECT_DELIVERY_TIMEOUT
        | SUBGROUP_DELIVERY_TIMEOUT
        | FORWARD
        | SUBSCRIBER_PRIORITY
        | SUBSCRIPTION_FILTER
        | NEW_GROUP_REQUEST => matches!(carrier, Subscribe | RequestUpdate),
        GROUP_ORDER => matches!(carrier, Subscribe),
        TRACK_NAMESPACE_PREFIX => matches!(carrier, RequestUpdate),
        _ => false,
    }
}

impl Parameters {
    /// Reads a count and that many parameters.
    pub(crate) fn read(reader: &mut Reader<'_>, carrier: Carrier) -> Result<Self, Violation> {
        let mut parameters = Self::default();
        let mut kind = 0u64;
        for index in 0..reader.vi64()? {
            let delta = reader.vi64()?;
            kind = kind.checked_add(delta).ok_or(Violation::Protocol("parameter type over 64 bits"))?;
            if delta == 0 && index > 0 && kind != AUTHORIZATION_TOKEN {
                return Err(Violation::Protocol("parameter given twice"));
            }
            if !allowed(kind, carrier) {
                return Err(Violation::Protocol("unknown parameter, or one of another message"));
            }
            parameters.read_value(kind, reader)?;
        }
        Ok(parameters)
    }

    fn read_value(&mut self, kind: u64, reader: &mut Reader<'_>) -> Result<(), Violation> {
        match kind {
            AUTHORIZATION_TOKEN => drop(read_token(reader.vi64_bytes()?, false)?),
            LARGEST_OBJECT => self.largest = Some((reader.vi64()?, reader.vi64()?)),
            FORWARD => {
                self.forward = Some(match reader.u8()? {
                    0 => false,
                    1 => true,
                    _ => return Err(Violation::Protocol("FORWARD is neither 0 nor 1")),
                });
            }
            SUBSCRIBER_PRIORITY => drop(reader.u8()?),
            GROUP_ORDER => {
                if !matches!(reader.u8()?, 1 | 2) {
                    return Err(Violation::Protocol("unknown group order"));
                }
            }
            SUBSCRIPTION_FILTER => self.filter = Some(read_filter(reader.vi64_bytes()?)?),
            TRACK_NAMESPACE_PREFIX => self.prefix = Some(read_namespace(reader)?),
            // Every other one is a vi64 (draft-18 §15.7).
            _ => drop(reader.vi64()?),
        }
        Ok(())
    }
}

fn read_filter(bytes: &[u8]) -> Result<Filter, Violation> {
    let mut reader = Reader::new(bytes);
    let filter = match reader.vi64()? {
        1 => Filter::NextGroup,
        2 => Filter::Largest,
        3 => Filter::Start { group: reader.vi64()?, object: reader.vi64()? },
        4 => {
            let (group, object) = (reader.vi64()?, reader.vi64()?);
            let last_group = group.checked_add(reader.vi64()?);
            let last_group = last_group.ok_or(Violation::Protocol("filter beyond the last group id"))?;
            Filter::Range { group, object, last_group }
        }
        _ => return Err(Violation::Protocol("unknown subscription filter")),
    };
    if reader.is_empty() { Ok(filter) } else { Err(Violation::Protocol("subscription filter too long")) }
}

/// The parameters of our SUBSCRIBE: forward now, newest group first, from the next object on.
pub(crate) fn put_subscribe(out: &mut BytesMut) {
    put_vi64(out, 3);
    put_vi64(out, FORWARD);
    out.put_u8(1);
    put_vi64(out, SUBSCRIPTION_FILTER - FORWARD);
    out.put_slice(&[1, 2]); // one byte: Largest Object
    put_vi64(out, GROUP_ORDER - SUBSCRIPTION_FILTER);
    out.put_u8(2);
}
