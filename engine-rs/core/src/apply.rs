//! Commands of the control plane, applied to one shard.
//!
//! When [`Engine::apply`] returns, nothing of a silenced seat is left in the engine, and the next [`Engine::deliver`] first has
//! the connections' queues cleared of it. Answer the command after that delivery.

use bytes::Bytes;

use crate::admission::{self, newer, unchanged};
use crate::command::{AclKind, Applied, ApplyError, Command, SpaceTable};
use crate::engine::Engine;
use crate::ids::{AccountId, SessionKey, Sid, SpaceId};
use crate::refusal::Refusal;
use crate::space::Space;
use crate::time::Time;

/// Spaces of one shard at most: beyond this something has gone wrong above.
const MOST_SPACES: usize = 100_000;
/// Largest state snapshot.
const MOST_STATE: usize = 64 * 1024;

impl Engine {
    /// Makes a decision of the control plane true on this shard.
    ///
    /// # Errors
    /// [`ApplyError`]; nothing has changed then.
    pub fn apply(&mut self, now: Time, command: &Command) -> Result<Applied, ApplyError> {
        match command {
            Command::UpsertSpace { space, version, table } => self.upsert(now, *space, *version, table),
            Command::SetAcl { space, kind, owner, version, accounts } => {
                self.set_acl(now, *space, *kind, *owner, *version, accounts)
            }
            Command::SetState { space, version, snapshot } => self.set_state(now, *space, *version, snapshot),
            Command::SetRevoked { version, sids, min_epoch } => self.set_revoked(now, *version, sids, *min_epoch),
            Command::Kick { space, account, sid, reason } => self.kick(now, *space, *account, *sid, *reason),
            Command::EndSpace { space, version } => self.end(now, *space, *version),
        }
    }

    fn known(&mut self, id: SpaceId) -> Result<&mut Space, ApplyError> {
        if self.ended.contains(id) {
            return Err(ApplyError::Ended);
        }
        self.spaces.get_mut(&id).ok_or(ApplyError::UnknownSpace)
    }

    fn upsert(&mut self, now: Time, id: SpaceId, version: u64, table: &SpaceTable) -> Result<Applied, ApplyError> {
        admission::validate(table)?;
        let full = self.spaces.len() >= MOST_SPACES;
        let old = match self.known(id) {
            Ok(space) => {
                if !newer(space.version, version, space.table == *table)? {
                    return unchanged(space.fence(now));
                }
                if !space.may_begin_at(table.started_at_ms) {
                    return Err(ApplyError::Invalid("the Space has begun already"));
                }
                space.table.clone()
            }
            Err(ApplyError::UnknownSpace) if full => return Err(ApplyError::Invalid("too many Spaces")),
            Err(ApplyError::UnknownSpace) => {
                let space = Space::new(now, id, table.started_at_ms, self.config.home(id), &self.config);
                let old = space.table.clone();
                self.spaces.insert(id, space);
                old
            }
            Err(why) => return Err(why),
        };
        if let Some(space) = self.spaces.get_mut(&id) {
            space.set_table(now, version, table.clone(), &self.config, &mut self.fresh);
        }
        let left = old.stage.iter().filter(|row| admission::row_of(table, row.account).is_none());
        for row in &table.stage {
            self.reseat(now, id, row.account, admission::row_of(&old, row.account).is_some());
        }
        for row in left {
            self.reseat(now, id, row.account, true);
        }
        self.enforce_table(now, id, &old, table);
        self.settle(id);
        unchanged(self.spaces.get(&id).map_or(0, |space| space.fence(now)))
    }

    /// Closes those who may not stay under a new table. Only a change that can exclude anybody looks at the audience.
    fn enforce_table(&mut self, now: Time, id: SpaceId, old: &SpaceTable, table: &SpaceTable) {
        let Some(space) = self.spaces.get(&id) else { return };
        let stricter = (old.live && !table.live) || (old.guests && !table.guests) || (!old.ticketed && table.ticketed);
        let suspects: Vec<SessionKey> = if stricter {
            space.audience.sessions().collect()
        } else if table.ticketed {
            old.stage.iter().flat_map(|row| space.audience.of(row.account)).collect()
        } else {
            Vec::new()
        };
        self.enforce(now, suspects);
    }

    fn enforce(&mut self, now: Time, suspects: Vec<SessionKey>) {
        for key in suspects {
            let Some(session) = self.sessions.get(key) else { continue };
            let Some(space) = self.spaces.get(&session.space) else { continue };
            if let Err(reason) = admission::check(&session.claims, &space.table, &space.acls, &self.revoked) {
                self.close(now, key, reason, true);
            }
        }
    }

    fn set_acl(
        &mut self,
        now: Time,
        id: SpaceId,
        kind: AclKind,
        owner: AccountId,
        version: u64,
        accounts: &[u64],
    ) -> Result<Applied, ApplyError> {
        let space = self.known(id)?;
        let fence = space.fence(now);
        let unseen = match kind {
            AclKind::Watch => accounts.iter().copied().filter(|account| !space.tells_of(AccountId(*account))).collect(),
            AclKind::Bar | AclKind::Deny | AclKind::Allow => Vec::new(),
        };
        if !space.acls.set(kind, owner, version, accounts)? {
            return unchanged(fence);
        }
        let unseen = space.audience.named_among(&unseen);
        let suspects = match kind {
            AclKind::Bar | AclKind::Deny => space.audience.among(accounts),
            AclKind::Allow if space.table.ticketed => space.audience.sessions().collect(),
            AclKind::Allow | AclKind::Watch => Vec::new(),
        };
        self.tell_joined(now, &unseen);
        self.enforce(now, suspects);
        self.settle(id);
        unchanged(fence)
    }

    fn set_state(&mut self, now: Time, id: SpaceId, version: u64, snapshot: &Bytes) -> Result<Applied, ApplyError> {
        if snapshot.len() > MOST_STATE {
            return Err(ApplyError::Invalid("the state is too large"));
        }
        let space = self.known(id)?;
        if let Some(have) = space.state_version {
            let same = space.documents.state.as_ref().is_some_and(|(_, state)| state.payload == *snapshot);
            if !newer(have, version, same)? {
                return unchanged(space.fence(now));
            }
        }
        space.set_state(now, version, snapshot.clone());
        let fence = space.fence(now);
        self.settle(id);
        unchanged(fence)
    }

    fn set_revoked(&mut self, now: Time, version: u64, sids: &[Sid], min_epoch: u64) -> Result<Applied, ApplyError> {
        if !self.revoked.set(version, sids, min_epoch)? {
            return unchanged(0);
        }
        let gone = self.sessions.iter().filter_map(|(key, session)| {
            let reason = self.revoked.check(&session.claims).err()?;
            Some((key, session.space, reason))
        });
        let mut fence = 0;
        for (key, id, reason) in gone.collect::<Vec<_>>() {
            fence = fence.max(self.spaces.get(&id).map_or(0, |space| space.fence(now)));
            self.close(now, key, reason, true);
        }
        unchanged(fence)
    }

    fn kick(
        &mut self,
        now: Time,
        id: SpaceId,
        account: AccountId,
        sid: Option<Sid>,
        reason: Refusal,
    ) -> Result<Applied, ApplyError> {
        let keys: Vec<_> = self.known(id)?.audience.of(account).collect();
        for key in keys {
            if self.sessions.get(key).is_some_and(|session| sid.is_none_or(|sid| session.claims.sid == sid)) {
                self.close(now, key, reason, true);
            }
        }
        self.known(id)?;
        let Some(space) = self.spaces.get_mut(&id) else { return Err(ApplyError::UnknownSpace) };
        let fence = space.fence(now);
        if let Some(seat) = admission::row_of(&space.table, account).map(|row| row.seat) {
            space.silence(seat.bit(), &mut self.fresh);
        }
        self.settle(id);
        unchanged(fence)
    }

    fn end(&mut self, now: Time, id: SpaceId, version: u64) -> Result<Applied, ApplyError> {
        if let Some(fence) = self.ended.fence(id) {
            return unchanged(fence);
        }
        let space = self.known(id)?;
        if version <= space.version {
            return Err(ApplyError::Stale { have: space.version, got: version });
        }
        let fence = space.fence(now);
        for key in space.audience.sessions().collect::<Vec<_>>() {
            self.close(now, key, Refusal::StateEnded, false);
        }
        if let Some(mut space) = self.forget(id) {
            space.end_mix(&mut self.fresh);
            space.end_recording(now, &mut self.fresh);
        }
        self.ended.insert(id, fence);
        self.settle(id);
        unchanged(fence)
    }
}
