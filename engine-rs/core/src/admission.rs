//! Who may come in: a verified token's claims against a Space's tables.
//!
//! Checks in the policy's order: the Space's state, revoked sessions and epochs, bars, deny sets, tickets, guests. The first
//! that denies gives the code. Forbid beats permit: a seat does not help against a bar.

use std::collections::BTreeMap;

use crate::command::{AclKind, Applied, ApplyError, SpaceTable, StageRow};
use crate::engine::Track;
use crate::ids::{AccountId, Sid};
use crate::refusal::Refusal;

/// Claims of a join token whose signature, issuer, audience and time were verified by the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claims {
    /// `sub`: the account; `None` for a guest (logged-out) token.
    pub account: Option<AccountId>,
    /// `sid`. 0 is nobody's: such connections do not supersede each other (guests without a token).
    pub sid: Sid,
    /// `epoch`: tokens older than the deployment's least epoch are refused.
    pub epoch: u64,
    /// `anon`: listens unnamed; takes no seat.
    pub anonymous: bool,
    /// `svc`: a part of the deployment, such as its captioner. Is nobody: neither counted, listed nor told of; is let in where
    /// guests are not; hears only seats whose captions are allowed; with `anonymous` the mix instead, as who makes a
    /// broadcast of it for those who come by other ways does.
    pub service: bool,
}

impl Claims {
    /// The account, if it is here under its name.
    #[must_use]
    pub const fn named(&self) -> Option<AccountId> {
        if self.anonymous || self.service { None } else { self.account }
    }

    /// Whether a session with these claims may have the track at all.
    #[must_use]
    pub(crate) const fn may_hear(&self, track: Track) -> bool {
        match (self.service, self.anonymous) {
            (false, _) => true,
            (true, false) => matches!(track, Track::State | Track::Catalog | Track::Seat(_)),
            (true, true) => matches!(track, Track::State | Track::Catalog | Track::Mix),
        }
    }
}

/// One set of accounts.
#[derive(Clone, Debug)]
struct Acl {
    version: u64,
    accounts: Vec<u64>,
}

/// All sets of a Space.
#[derive(Clone, Debug, Default)]
pub(crate) struct Acls {
    bars: BTreeMap<AccountId, Acl>,
    denies: BTreeMap<AccountId, Acl>,
    allows: BTreeMap<AccountId, Acl>,
    watched: BTreeMap<AccountId, Acl>,
}

/// Sets that one Space may have: every account that was ever host or co-host has one.
const MOST_SETS: usize = 4_096;

impl Acls {
    fn sets(&self, kind: AclKind) -> &BTreeMap<AccountId, Acl> {
        match kind {
            AclKind::Bar => &self.bars,
            AclKind::Deny => &self.denies,
            AclKind::Allow => &self.allows,
            AclKind::Watch => &self.watched,
        }
    }

    /// Replaces one set. False if it says the same already. A set that was emptied keeps its version, so that an older one
    /// stays refused.
    pub(crate) fn set(
        &mut self,
        kind: AclKind,
        owner: AccountId,
        version: u64,
        accounts: &[u64],
    ) -> Result<bool, ApplyError> {
        if !ascending(accounts) {
            return Err(ApplyError::Invalid("accounts are not ascending"));
        }
        let sets = match kind {
            AclKind::Bar => &mut self.bars,
            AclKind::Deny => &mut self.denies,
            AclKind::Allow => &mut self.allows,
            AclKind::Watch => &mut self.watched,
        };
        match sets.get(&owner) {
            Some(have) if newer(have.version, version, have.accounts == accounts)? => {}
            Some(_) => return Ok(false),
            None if sets.len() >= MOST_SETS => return Err(ApplyError::Invalid("too many sets")),
            None => {}
        }
        sets.insert(owner, Acl { version, accounts: accounts.to_vec() });
        Ok(true)
    }

    /// Whether an account's coming and going is told.
    pub(crate) fn watches(&self, account: AccountId) -> bool {
        self.any(AclKind::Watch, account)
    }

    fn any(&self, kind: AclKind, account: AccountId) -> bool {
        self.sets(kind).values().any(|acl| acl.accounts.binary_search(&account.0).is_ok())
    }
}

/// Sessions and epochs that are over, for all Spaces.
#[derive(Clone, Debug, Default)]
pub(crate) struct Revoked {
    version: Option<u64>,
    sids: Vec<Sid>,
    min_epoch: u64,
}

impl Revoked {
    /// Replaces the list. False if it says the same already.
    pub(crate) fn set(&mut self, version: u64, sids: &[Sid], min_epoch: u64) -> Result<bool, ApplyError> {
        if !ascending(sids) {
            return Err(ApplyError::Invalid("sids are not ascending"));
        }
        let same = self.min_epoch == min_epoch && self.sids == sids;
        if let Some(have) = self.version
            && !newer(have, version, same)?
        {
            return Ok(false);
        }
        *self = Self { version: Some(version), sids: sids.to_vec(), min_epoch };
        Ok(true)
    }

    pub(crate) fn check(&self, claims: &Claims) -> Result<(), Refusal> {
        if self.sids.binary_search(&claims.sid).is_ok() {
            return Err(Refusal::AuthSessionRevoked);
        }
        if claims.epoch < self.min_epoch {
            return Err(Refusal::AuthTokenExpired);
        }
        Ok(())
    }
}

/// Whether a value of version `got` replaces one of version `have`; false if it repeats it.
///
/// # Errors
/// [`ApplyError::Stale`] if it is older, or as old and different.
pub(crate) fn newer(have: u64, got: u64, same: bool) -> Result<bool, ApplyError> {
    match got.cmp(&have) {
        core::cmp::Ordering::Greater => Ok(true),
        core::cmp::Ordering::Equal if same => Ok(false),
        _ => Err(ApplyError::Stale { have, got }),
    }
}

fn ascending<T: Ord>(list: &[T]) -> bool {
    list.is_sorted_by(|one, next| one < next)
}

/// Whether somebody may be in the Space.
pub(crate) fn check(claims: &Claims, table: &SpaceTable, acls: &Acls, revoked: &Revoked) -> Result<(), Refusal> {
    if !table.live {
        return Err(Refusal::StateScheduled);
    }
    revoked.check(claims)?;
    if claims.service {
        return Ok(());
    }
    let Some(account) = claims.account else {
        return match (table.ticketed, table.guests) {
            (true, _) => Err(Refusal::TicketRequired),
            (false, false) => Err(Refusal::AuthTokenMissing),
            (false, true) => Ok(()),
        };
    };
    if acls.any(AclKind::Bar, account) {
        return Err(Refusal::ParticipantRemoved);
    }
    if acls.any(AclKind::Deny, account) {
        return Err(Refusal::ParticipantBlockedByHost);
    }
    if table.ticketed && row_of(table, account).is_none() && !acls.any(AclKind::Allow, account) {
        return Err(Refusal::TicketRequired);
    }
    Ok(())
}

/// The seat of an account.
pub(crate) fn row_of(table: &SpaceTable, account: AccountId) -> Option<&StageRow> {
    table.stage.iter().find(|row| row.account == account)
}

/// Whether a table contradicts itself.
pub(crate) fn validate(table: &SpaceTable) -> Result<(), ApplyError> {
    let mut seats = 0;
    for (index, row) in table.stage.iter().enumerate() {
        if seats & row.seat.bit() != 0 {
            return Err(ApplyError::Invalid("a seat is given twice"));
        }
        seats |= row.seat.bit();
        if row.account == AccountId(0) {
            return Err(ApplyError::Invalid("a seat is given to nobody"));
        }
        if table.stage.iter().skip(index + 1).any(|other| other.account == row.account) {
            return Err(ApplyError::Invalid("an account has two seats"));
        }
    }
    Ok(())
}

/// Nothing was silenced, nothing else happened either.
pub(crate) const fn unchanged(fence_group: u64) -> Result<Applied, ApplyError> {
    Ok(Applied { fence_group })
}
