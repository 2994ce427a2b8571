//! Python values as the engine's commands.

use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple};
use spaces_core::command::{AclKind, Command, MixFor, Role, SpaceTable, StageRow};
use spaces_core::ids::{AccountId, SeatNo, Sid, SpaceId};
use spaces_core::refusal::Refusal;

use crate::errors;

/// A command from its row in `_tables.py`: `(kind, field, …)`.
pub(crate) fn command(row: &Bound<'_, PyTuple>) -> PyResult<Command> {
    let kind: String = row.get_item(0)?.extract()?;
    let fields = row.get_slice(1, row.len());
    Ok(match kind.as_str() {
        "upsert_space" => {
            let (space, version, live, record, guests, ticketed, mic_open, mix, mix_for, started_at_ms, stage) =
                fields.extract()?;
            let mix_for = self::mix_for(&mix_for)?;
            let stage = self::stage(stage)?;
            let table = SpaceTable { live, record, guests, ticketed, mic_open, mix, mix_for, started_at_ms, stage };
            Command::UpsertSpace { space: SpaceId(space), version, table }
        }
        "set_acl" => {
            let (space, version, kind, owner, accounts): (_, _, String, _, Vec<u8>) = fields.extract()?;
            let (kind, accounts) = (acl_kind(&kind)?, numbers(&accounts)?);
            Command::SetAcl { space: SpaceId(space), kind, owner: AccountId(owner), version, accounts }
        }
        "set_state" => {
            let (space, version, snapshot): (_, _, Vec<u8>) = fields.extract()?;
            Command::SetState { space: SpaceId(space), version, snapshot: snapshot.into() }
        }
        "set_revoked" => {
            let (version, sids, min_epoch): (_, Vec<u8>, _) = fields.extract()?;
            Command::SetRevoked { version, sids: numbers(&sids)?.into_iter().map(Sid).collect(), min_epoch }
        }
        "kick" => {
            let (space, account, sid, code): (_, _, Option<u64>, String) = fields.extract()?;
            let reason = Refusal::parse(&code).ok_or_else(|| errors::value(format!("{code:?} is none of REFUSALS")))?;
            Command::Kick { space: SpaceId(space), account: AccountId(account), sid: sid.map(Sid), reason }
        }
        "end_space" => {
            let (space, version) = fields.extract()?;
            Command::EndSpace { space: SpaceId(space), version }
        }
        other => return Err(errors::value(format!("command {other:?} is unknown"))),
    })
}

fn mix_for(word: &Bound<'_, PyString>) -> PyResult<MixFor> {
    match word.to_str()? {
        "nobody" => Ok(MixFor::Nobody),
        "weak" => Ok(MixFor::Weak),
        "everybody" => Ok(MixFor::Everybody),
        other => Err(errors::value(format!("mix_for {other:?} is none of nobody, weak, everybody"))),
    }
}

/// `(seat, account, role, muted, generation, caption)`.
type Row = (u8, u64, String, bool, u32, bool);

fn stage(rows: Vec<Row>) -> PyResult<Vec<StageRow>> {
    rows.into_iter()
        .map(|(seat, account, role, muted, generation, caption)| {
            Ok(StageRow {
                seat: SeatNo::new(seat).ok_or_else(|| errors::value(format!("seat {seat} is not in 0 to 12")))?,
                account: AccountId(account),
                role: self::role(&role)?,
                muted,
                generation,
                caption,
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

fn acl_kind(name: &str) -> PyResult<AclKind> {
    match name {
        "bar" => Ok(AclKind::Bar),
        "deny" => Ok(AclKind::Deny),
        "allow" => Ok(AclKind::Allow),
        "watch" => Ok(AclKind::Watch),
        other => Err(errors::value(format!("kind {other:?} is none of 'bar', 'deny', 'allow', 'watch'"))),
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
