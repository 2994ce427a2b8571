//! Python values as the engine's commands.

use pyo3::prelude::*;
use spaces_core::command::{AclKind, Role, StageRow};
use spaces_core::ids::{AccountId, SeatNo};

use crate::errors;

/// `(seat, account, role, muted, generation)`.
pub(crate) type Row = (u8, u64, String, bool, u32);

pub(crate) fn stage(rows: Vec<Row>) -> PyResult<Vec<StageRow>> {
    rows.into_iter()
        .map(|(seat, account, role, muted, generation)| {
            Ok(StageRow {
                seat: SeatNo::new(seat).ok_or_else(|| errors::value(format!("seat {seat} is not in 0 to 12")))?,
                account: AccountId(account),
                role: self::role(&role)?,
                muted,
                generation,
            })
        })
        .collect()
}

fn role(name: &str) -> PyResult<Role> {
    match name {
        "host" => Ok(Role::Host),
        "cohost" => Ok(Role::Cohost),
        "speaker" => Ok(Role::Speaker),
        other => Err(errors::value(format!("role {other:?} is none of 'host', 'cohost', 'speaker'"))),
    }
}

pub(crate) fn acl_kind(name: &str) -> PyResult<AclKind> {
    match name {
        "bar" => Ok(AclKind::Bar),
        "deny" => Ok(AclKind::Deny),
        "allow" => Ok(AclKind::Allow),
        other => Err(errors::value(format!("kind {other:?} is none of 'bar', 'deny', 'allow'"))),
    }
}

/// Numbers from the bytes of an `array('Q')`: no Python object each, for sets of a million.
pub(crate) fn numbers(bytes: &[u8]) -> PyResult<Vec<u64>> {
    let (chunks, rest) = bytes.as_chunks::<8>();
    if rest.is_empty() {
        Ok(chunks.iter().map(|chunk| u64::from_ne_bytes(*chunk)).collect())
    } else {
        Err(errors::value("the buffer is not of 8-byte numbers"))
    }
}
