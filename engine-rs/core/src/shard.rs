//! The engine of one shard: its verbs but [`Engine::apply`], which has its own file.

use core::ops::Bound;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;

use crate::admission::{self, Claims, Revoked};
use crate::budget::Budget;
use crate::cursor::{Beginnings, Offer};
use crate::engine::{Admitted, Config, EngineStats, Feedback, Listed, Output, ShardMessage, Sink, Track, Verdict};
use crate::event::{Counts, Event, EventKind};
use crate::ids::{AccountId, SeatNo, SessionKey, Sid, SpaceId};
use crate::mix_feed::Mixed;
use crate::reactions::Temper;
use crate::refusal::Refusal;
use crate::session::{Publishing, Session, Sessions};
use crate::space::{Publisher, Space};
use crate::time::Time;
use crate::tombstones::Tombstones;
use crate::uplink::UplinkFrame;

/// One shard. The call order stands in [`crate::engine`].
#[derive(Debug)]
pub struct Engine {
    pub(crate) config: Config,
    pub(crate) spaces: BTreeMap<SpaceId, Space>,
    pub(crate) ended: Tombstones,
    pub(crate) sessions: Sessions,
    pub(crate) sids: BTreeMap<Sid, SessionKey>,
    pub(crate) revoked: Revoked,
    timers: BTreeSet<(Time, SpaceId)>,
    pub(crate) ready: BTreeSet<SpaceId>,
    /// Those, in the order in which they are served now.
    order: Vec<SpaceId>,
    /// The one that was served last: who comes behind it is first.
    served: SpaceId,
    pub(crate) fresh: Vec<Output>,
    out: VecDeque<Output>,
    pub(crate) stats: EngineStats,
}

impl Engine {
    /// An engine without Spaces.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            config,
            spaces: BTreeMap::new(),
            ended: Tombstones::default(),
            sessions: Sessions::default(),
            sids: BTreeMap::new(),
            revoked: Revoked::default(),
            timers: BTreeSet::new(),
            ready: BTreeSet::new(),
            order: Vec::new(),
            served: SpaceId(0),
            fresh: Vec::new(),
            out: VecDeque::new(),
            stats: EngineStats::default(),
        }
    }

    /// Lets a session into a Space. A key that is in use is left first. `begun` is when the peer began to connect: of two
    /// connections of a `sid` the one stays that was begun last, even if it is let in first. A connection that its client
    /// has given up may well be ready after its successor, but it was begun before it.
    ///
    /// # Errors
    /// The policy's first reason against it; [`Refusal::SessionSuperseded`] if a connection of its `sid` that was begun later is
    /// here already.
    pub fn admit(
        &mut self,
        now: Time,
        begun: Time,
        key: SessionKey,
        space: SpaceId,
        claims: &Claims,
    ) -> Result<Admitted, Refusal> {
        let admitted = self.try_admit(now, begun, key, space, claims);
        match admitted {
            Ok(_) => self.stats.admitted += 1,
            Err(_) => self.stats.refused += 1,
        }
        self.settle(space);
        admitted
    }

    fn try_admit(
        &mut self,
        now: Time,
        begun: Time,
        key: SessionKey,
        id: SpaceId,
        claims: &Claims,
    ) -> Result<Admitted, Refusal> {
        if self.ended.contains(id) {
            return Err(Refusal::StateEnded);
        }
        let space = self.spaces.get(&id).ok_or(Refusal::SpaceNotFound)?;
        admission::check(claims, &space.table, &space.acls, &self.revoked)?;
        if !Sessions::fits(key) {
            return Err(Refusal::NodeCapacity);
        }
        self.remove(now, key, Some(false));
        let mut supersedes = None;
        if claims.sid != Sid(0) {
            let present = self.sids.get(&claims.sid).copied();
            if present.and_then(|present| self.sessions.get(present)).is_some_and(|present| begun < present.begun) {
                return Err(Refusal::SessionSuperseded);
            }
            supersedes = self.sids.insert(claims.sid, key);
            if let Some(older) = supersedes {
                // The person is still here: no `Left`, and the `sid` is the new one's.
                self.remove(now, older, None);
                self.sids.insert(claims.sid, key);
            }
            if self.config.shards > 1 {
                let message = ShardMessage::Arrived { sid: claims.sid, at: (begun, self.config.shard) };
                self.fresh.push(Output::ToShard { shard: None, message });
            }
        }
        let Some(space) = self.spaces.get_mut(&id) else { return Err(Refusal::SpaceNotFound) };
        let mut session = Session {
            space: id,
            claims: *claims,
            begun,
            slot: 0,
            temper: Temper::new(self.config.reaction_rate, now),
            publishing: None,
        };
        session.slot = space.audience.add(key, claims.account, session.kind());
        if let Some(account) = claims.named() {
            let own = admission::row_of(&space.table, account).map_or(0, |row| row.seat.bit());
            space.audience.set_own(session.slot, own);
            if space.tells_of(account) {
                let kind = EventKind::Joined { account, sid: claims.sid };
                self.fresh.push(Output::Event(Event { at: now, space: id, kind }));
            }
        }
        space.count(now);
        self.sessions.insert(key, session);
        Ok(Admitted { supersedes })
    }

    /// Gives a session a track: from now on, and a little of what was just before.
    ///
    /// # Errors
    /// [`Refusal::TrackNotFound`]; [`Refusal::SpaceNotFound`] for a session that is not admitted; [`Refusal::RoleForbidden`] for
    /// a service that wants more than `state`, `catalog` and `seat/<n>` (or the mix instead of seats, see [`Claims::service`]).
    /// It may ask for every seat, at any time: it gets what the table allows at each moment.
    pub fn subscribe(&mut self, _now: Time, key: SessionKey, track: Track) -> Result<(), Refusal> {
        let session = self.sessions.get(key).ok_or(Refusal::SpaceNotFound)?;
        let space = self.spaces.get_mut(&session.space).ok_or(Refusal::SpaceNotFound)?;
        match track {
            _ if !session.claims.may_hear(track) => return Err(Refusal::RoleForbidden),
            Track::Mix | Track::MixGroups if !space.table.mix => return Err(Refusal::TrackNotFound),
            Track::Stage { part: 2.. } => return Err(Refusal::TrackNotFound),
            Track::Catalog if space.documents.catalog.is_none() => return Err(Refusal::TrackNotFound),
            _ => {}
        }
        let Space { ring, mix, captions, documents, audience, .. } = space;
        audience.subscribe(session.slot, track, &Beginnings { ring, mix, captions, documents });
        let id = session.space;
        if track == Track::State {
            space.pulse.owe();
            self.settle(id);
        }
        self.ready.insert(id);
        Ok(())
    }

    /// Takes a track away. Nothing of it is sent after this.
    pub fn unsubscribe(&mut self, key: SessionKey, track: Track) {
        if let Some(session) = self.sessions.get(key)
            && let Some(space) = self.spaces.get_mut(&session.space)
        {
            space.audience.unsubscribe(session.slot, track);
        }
    }

    /// Makes a session the publisher of a seat. An older one of the seat is closed, as one seat session an account is enough.
    ///
    /// # Errors
    /// [`Refusal::RoleForbidden`] if the seat is not this account's, or the session is anonymous.
    pub fn publish(&mut self, now: Time, key: SessionKey, seat: SeatNo) -> Result<(), Refusal> {
        let session = self.sessions.get(key).ok_or(Refusal::RoleForbidden)?;
        let id = session.space;
        let account = session.claims.named().ok_or(Refusal::RoleForbidden)?;
        let space = self.spaces.get(&id).ok_or(Refusal::RoleForbidden)?;
        let row = *space.row(seat).filter(|row| row.account == account).ok_or(Refusal::RoleForbidden)?;
        let older = space.seats.get(seat.index()).and_then(|info| info.local).filter(|older| *older != key);
        if let Some(older) = older {
            self.close(now, older, Refusal::SessionSuperseded, false);
        }
        self.unpublish(key);
        let at = (now, self.config.shard);
        let publisher = Publisher { generation: row.generation, at };
        if let Some(space) = self.spaces.get_mut(&id) {
            space.publishing(seat, publisher, true);
            if let Some(info) = space.seats.get_mut(seat.index()) {
                info.local = Some(key);
            }
        }
        if let Some(session) = self.sessions.get_mut(key) {
            let budget = Budget::new(self.config.rates, now);
            let publishing = Publishing { seat, generation: row.generation, since: now, budget };
            session.publishing = Some(Box::new(publishing));
        }
        self.tell_publishing(id, seat, publisher, true);
        self.settle(id);
        Ok(())
    }

    /// Ends a session's publishing. What it has sent is still heard.
    pub fn unpublish(&mut self, key: SessionKey) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let (id, Some(publishing)) = (session.space, session.publishing.take()) else { return };
        let publisher = Publisher { generation: publishing.generation, at: (publishing.since, self.config.shard) };
        if let Some(space) = self.spaces.get_mut(&id) {
            if let Some(info) = space.seats.get_mut(publishing.seat.index())
                && info.local == Some(key)
            {
                info.local = None;
            }
            space.publishing(publishing.seat, publisher, false);
        }
        self.tell_publishing(id, publishing.seat, publisher, false);
        self.settle(id);
    }

    /// A session is gone: closed by the peer, or `lost`.
    pub fn leave(&mut self, now: Time, key: SessionKey, lost: bool) {
        self.remove(now, key, Some(lost));
    }

    /// Removes a session; `Left` is told with `lost`, or not at all.
    fn remove(&mut self, now: Time, key: SessionKey, lost: Option<bool>) -> bool {
        self.unpublish(key);
        let Some(session) = self.sessions.remove(key) else { return false };
        if self.sids.get(&session.claims.sid) == Some(&key) {
            self.sids.remove(&session.claims.sid);
        }
        let Some(space) = self.spaces.get_mut(&session.space) else { return true };
        if let Some(moved) = space.audience.remove(session.slot, key, session.claims.account, session.kind())
            && let Some(moved) = self.sessions.get_mut(moved)
        {
            moved.slot = session.slot;
        }
        space.count(now);
        let told = session.claims.named().filter(|account| space.tells_of(*account));
        if let (Some(account), Some(lost)) = (told, lost) {
            let kind = EventKind::Left { account, sid: session.claims.sid, lost };
            self.fresh.push(Output::Event(Event { at: now, space: session.space, kind }));
        }
        self.settle(session.space);
        true
    }

    /// Closes a session by decision.
    pub(crate) fn close(&mut self, now: Time, key: SessionKey, reason: Refusal, tell: bool) {
        if self.remove(now, key, tell.then_some(false)) {
            self.stats.closed += 1;
            self.out.push_back(Output::Close { session: key, reason });
        }
    }

    /// A frame that a session sent on its seat's track.
    pub fn uplink(&mut self, now: Time, key: SessionKey, frame: UplinkFrame) -> Verdict {
        let verdict = self.try_uplink(now, key, frame);
        self.stats.count(verdict)
    }

    fn try_uplink(&mut self, now: Time, key: SessionKey, frame: UplinkFrame) -> Verdict {
        let Some(session) = self.sessions.get_mut(key) else { return Verdict::NoSeat };
        let id = session.space;
        let Some(publishing) = &mut session.publishing else { return Verdict::NoSeat };
        let Some(space) = self.spaces.get_mut(&id) else { return Verdict::NoSeat };
        let (seat, generation) = (publishing.seat, publishing.generation);
        if let Err(verdict) = space.gate(seat, generation) {
            return verdict;
        }
        if !publishing.budget.admit(now, frame.opus.len()) {
            if let Some(at) = publishing.budget.report_due() {
                space.report_by(at.max(now));
            }
            self.settle(id);
            return Verdict::OverBudget;
        }
        if !space.home {
            let shard = Some(space.stage_shard);
            let message = ShardMessage::Uplink { space: id, seat, generation, frame };
            self.out.push_back(Output::ToShard { shard, message });
            return Verdict::Forwarded;
        }
        let verdict = space.uplink(now, seat, frame, &mut self.fresh);
        self.settle(id);
        verdict
    }

    /// A session reacts.
    ///
    /// # Errors
    /// In this order: [`Refusal::ParticipantNotInSpace`]; [`Refusal::RoleForbidden`] for who listens unnamed or logged out;
    /// [`Refusal::ReactionUnknown`]; [`Refusal::RateLimited`].
    pub fn react(&mut self, now: Time, key: SessionKey, kind: u8) -> Result<(), Refusal> {
        let reacted = self.try_react(now, key, kind);
        match reacted {
            Ok(()) => self.stats.reactions += 1,
            Err(_) => self.stats.reactions_refused += 1,
        }
        reacted
    }

    /// An account reacts by one of its sessions here: for who asks by other ways than the session itself.
    ///
    /// # Errors
    /// As [`Engine::react`].
    pub fn react_as(&mut self, now: Time, space: SpaceId, account: AccountId, kind: u8) -> Result<(), Refusal> {
        let key = self.spaces.get(&space).and_then(|space| space.audience.named_of(account).next());
        self.react(now, key.ok_or(Refusal::ParticipantNotInSpace)?, kind)
    }

    fn try_react(&mut self, now: Time, key: SessionKey, kind: u8) -> Result<(), Refusal> {
        let session = self.sessions.get_mut(key).ok_or(Refusal::ParticipantNotInSpace)?;
        session.claims.named().ok_or(Refusal::RoleForbidden)?;
        if kind >= self.config.reactions {
            return Err(Refusal::ReactionUnknown);
        }
        if !session.temper.admit(now) {
            return Err(Refusal::RateLimited);
        }
        let id = session.space;
        let space = self.spaces.get_mut(&id).ok_or(Refusal::ParticipantNotInSpace)?;
        if !space.pulse.react(kind) {
            return Err(Refusal::ReactionUnknown);
        }
        self.settle(id);
        Ok(())
    }

    /// A packet comes back from the mixer, to the stage's shard. What somebody silenced meanwhile is in is dropped.
    pub fn mixed(&mut self, now: Time, mixed: Mixed) {
        let id = mixed.space;
        let Some(space) = self.spaces.get_mut(&id).filter(|space| space.home) else { return };
        if space.mixed(now, mixed, self.config.shards, &mut self.fresh) {
            self.stats.mix_packets += 1;
        } else {
            self.stats.mix_dropped += 1;
        }
        self.settle(id);
    }

    /// A line of captions (at most [`MOST_CAPTION`](crate::captions::MOST_CAPTION) bytes, which the caller sees to) of who sits
    /// on a seat since `generation`, on the stage's shard. Whether it may be shown is the table's to say, at this moment.
    ///
    /// # Errors
    /// [`Refusal::StateEnded`], [`Refusal::SpaceNotFound`], [`Refusal::CaptionsNoConsent`].
    pub fn caption(
        &mut self,
        now: Time,
        id: SpaceId,
        seat: SeatNo,
        generation: u32,
        payload: Bytes,
    ) -> Result<(), Refusal> {
        if self.ended.contains(id) {
            return Err(Refusal::StateEnded);
        }
        let space = self.spaces.get_mut(&id).filter(|space| space.home).ok_or(Refusal::SpaceNotFound)?;
        if !space.caption(now, seat, generation, payload, self.config.shards, &mut self.fresh) {
            return Err(Refusal::CaptionsNoConsent);
        }
        self.settle(id);
        Ok(())
    }

    /// What a session's connection reported about itself: redundancy and deadline follow from it, and with
    /// [`crate::command::MixFor::Weak`] what it is told to hear.
    pub fn feedback(&mut self, _now: Time, key: SessionKey, feedback: Feedback) {
        let Some(session) = self.sessions.get(key) else { return };
        let id = session.space;
        let Some(space) = self.spaces.get_mut(&id) else { return };
        if space.audience.feedback(session.slot, feedback, space.documents.mix_for) {
            space.pulse.owe();
            self.settle(id);
        }
    }

    /// Does what is due: ticks, silence, reports.
    pub fn advance(&mut self, now: Time) {
        while let Some((at, id)) = self.timers.first().copied().filter(|(at, _)| *at <= now) {
            self.timers.remove(&(at, id));
            let Some(space) = self.spaces.get_mut(&id) else { continue };
            space.wake = None;
            if space.home {
                space.tick(now, self.config.shards, &mut self.fresh, &mut self.stats);
            }
            if space.report(now, &self.config, &mut self.fresh) {
                self.report_budgets(now, id);
            }
            if let Some(space) = self.spaces.get_mut(&id) {
                space.beat(now, &self.config, &mut self.fresh);
            }
            self.settle(id);
        }
    }

    fn report_budgets(&mut self, now: Time, id: SpaceId) {
        let Some(space) = self.spaces.get_mut(&id) else { return };
        let mut again = None;
        for number in (0u8..).map_while(SeatNo::new) {
            let local = space.seats.get(number.index()).and_then(|info| info.local);
            let Some(session) = local.and_then(|key| self.sessions.get_mut(key)) else { continue };
            let Some(publishing) = &mut session.publishing else { continue };
            if let Some(dropped) = publishing.budget.report(now) {
                let kind = EventKind::SeatOverBudget { seat: number, dropped };
                self.fresh.push(Output::Event(Event { at: now, space: id, kind }));
            }
            again = [again, publishing.budget.report_due()].into_iter().flatten().min();
        }
        if let Some(at) = again {
            space.report_by(at);
        }
    }

    /// When [`Self::advance`] has something to do.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Time> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// Sends every listener what there is for it. Connections that took less are tried again in the next call.
    pub fn deliver<S: Sink + ?Sized>(&mut self, now: Time, sink: &mut S) {
        while self.deliver_some(now, sink, usize::MAX) {}
    }

    /// Sends what there is to at most so many listeners, beside those who have just subscribed or whose connections took less;
    /// what queues must lose they lose in any case. True: others wait, call it again when what came in meanwhile is handled.
    pub fn deliver_some<S: Sink + ?Sized>(&mut self, now: Time, sink: &mut S, at_most: usize) -> bool {
        let Self { ready, order, spaces, sessions, stats, served, .. } = self;
        order.clear();
        // In turns: a Space with more news than can be served keeps no other waiting.
        let behind = (Bound::Excluded(*served), Bound::Unbounded);
        order.extend(ready.range(behind).chain(ready.range(..=*served)));
        for id in &*order {
            if let Some(space) = spaces.get_mut(id) {
                space.audience.clear_queues(*id, sink);
            }
        }
        let (mut budget, mut more) = (at_most, false);
        for id in &*order {
            let Some(space) = spaces.get_mut(id) else {
                ready.remove(id);
                continue;
            };
            let slot_of = |key| sessions.get(key).filter(|session| session.space == *id).map(|session| session.slot);
            let Space { ring, mix, captions, documents, audience, .. } = space;
            let before = budget;
            audience.deliver(now, Offer { ring, mix, captions, documents }, sink, stats, &mut budget, slot_of);
            if budget < before {
                *served = *id;
            }
            if !audience.is_waiting() {
                ready.remove(id);
            }
            more |= audience.is_under_way();
        }
        more
    }

    /// What the caller has to carry on.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// People connected on this shard. The peak is that of all shards, and told by the stage's shard only: the shards' answers
    /// add up to the Space's.
    #[must_use]
    pub fn counts(&self, space: SpaceId) -> Option<Counts> {
        self.spaces.get(&space).map(Space::counts)
    }

    /// Which of these accounts (ascending) have a session on this shard: under their names, or `unnamed`.
    #[must_use]
    pub fn present(&self, space: SpaceId, accounts: &[u64], unnamed: bool) -> Vec<u64> {
        let Some(space) = self.spaces.get(&space) else { return Vec::new() };
        let here = |account: &&u64| space.audience.has(AccountId(**account), unnamed);
        accounts.iter().filter(here).copied().collect()
    }

    /// Named people on this shard with accounts greater than `after`, ascending, at most `limit`; each with its newest session.
    #[must_use]
    pub fn roster(&self, space: SpaceId, after: AccountId, limit: usize) -> Vec<Listed> {
        let mut page: Vec<Listed> = Vec::new();
        let Some(space) = self.spaces.get(&space) else { return page };
        for (account, key) in space.audience.roster(after) {
            let Some(session) = self.sessions.get(key) else { continue };
            let listed = Listed { account, sid: session.claims.sid, begun: session.begun };
            let full = page.len() >= limit;
            match page.last_mut().filter(|last| last.account == account) {
                Some(last) if last.begun <= listed.begun => *last = listed,
                Some(_) => {}
                None if full => break,
                None => page.push(listed),
            }
        }
        page
    }

    /// What was done so far.
    #[must_use]
    pub fn stats(&self) -> EngineStats {
        self.stats
    }

    /// Frames left out and ticks left empty of a Space to keep its seats in media time, so far.
    #[must_use]
    pub fn slips(&self, space: SpaceId) -> Option<(u64, u64)> {
        self.spaces.get(&space).map(|space| space.stage.slips())
    }

    /// After a Space was touched: its timer, its place among those to deliver, its outputs.
    pub(crate) fn settle(&mut self, id: SpaceId) {
        self.out.extend(self.fresh.drain(..));
        let Some(space) = self.spaces.get_mut(&id) else { return };
        let wake = space.next_timeout();
        if wake != space.wake {
            if let Some(old) = space.wake {
                self.timers.remove(&(old, id));
            }
            if let Some(at) = wake {
                self.timers.insert((at, id));
            }
            space.wake = wake;
        }
        self.ready.insert(id);
    }

    /// Forgets a Space.
    pub(crate) fn forget(&mut self, id: SpaceId) -> Option<Space> {
        let space = self.spaces.remove(&id)?;
        if let Some(at) = space.wake {
            self.timers.remove(&(at, id));
        }
        self.ready.remove(&id);
        Some(space)
    }

    /// Tells of sessions that have begun to be told of.
    pub(crate) fn tell_joined(&mut self, now: Time, keys: &[SessionKey]) {
        for session in keys.iter().filter_map(|key| self.sessions.get(*key)) {
            let Some(account) = session.claims.named() else { continue };
            let kind = EventKind::Joined { account, sid: session.claims.sid };
            self.fresh.push(Output::Event(Event { at: now, space: session.space, kind }));
        }
    }

    /// Sets which seats are a session's own, after the table changed. Its publishing ends if the seat is no longer its.
    pub(crate) fn reseat(&mut self, now: Time, id: SpaceId, account: AccountId, was_on_stage: bool) {
        let Some(space) = self.spaces.get(&id) else { return };
        let row = admission::row_of(&space.table, account).copied();
        let keys: Vec<_> = space.audience.named_of(account).collect();
        if row.is_some() && !was_on_stage && !space.acls.watches(account) {
            self.tell_joined(now, &keys);
        }
        for key in keys {
            let Some(session) = self.sessions.get_mut(key) else { continue };
            if let Some(space) = self.spaces.get_mut(&id) {
                space.audience.set_own(session.slot, row.map_or(0, |row| row.seat.bit()));
            }
            let Some(publishing) = &mut session.publishing else { continue };
            match row.filter(|row| row.seat == publishing.seat) {
                Some(row) => publishing.generation = row.generation,
                None => self.unpublish(key),
            }
        }
    }
}
