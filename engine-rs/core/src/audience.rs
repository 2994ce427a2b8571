//! Who listens to a Space on this shard.
//!
//! One compact list, changed when somebody comes or goes, walked once per tick. Between ticks only those are visited who have
//! just subscribed or whose connection took nothing.

use std::collections::BTreeSet;

use crate::cursor::{Listener, Offer};
use crate::engine::{Sink, Track};
use crate::event::Counts;
use crate::ids::{AccountId, SeatMask, SessionKey, SpaceId};
use crate::ring::Ring;
use crate::stats::EngineStats;
use crate::time::Time;

/// How somebody is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Named,
    Anonymous,
    Guest,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Audience {
    listeners: Vec<Listener>,
    accounts: BTreeSet<(AccountId, SessionKey)>,
    touched: Vec<SessionKey>,
    spare: Vec<SessionKey>,
    fresh: bool,
    purge: SeatMask,
    counts: Counts,
}

impl Audience {
    /// Adds a session; its slot.
    pub(crate) fn add(&mut self, session: SessionKey, account: Option<AccountId>, kind: Kind) -> usize {
        self.listeners.push(Listener::new(session));
        if let Some(account) = account {
            self.accounts.insert((account, session));
        }
        *self.counter(kind) += 1;
        self.listeners.len() - 1
    }

    /// Removes a session. The session that has moved into its slot, if any.
    pub(crate) fn remove(
        &mut self,
        slot: usize,
        session: SessionKey,
        account: Option<AccountId>,
        kind: Kind,
    ) -> Option<SessionKey> {
        if self.listeners.get(slot).is_none_or(|listener| listener.session != session) {
            return None;
        }
        self.listeners.swap_remove(slot);
        if let Some(account) = account {
            self.accounts.remove(&(account, session));
        }
        let counter = self.counter(kind);
        *counter = counter.saturating_sub(1);
        self.listeners.get(slot).map(|moved| moved.session)
    }

    fn counter(&mut self, kind: Kind) -> &mut u32 {
        match kind {
            Kind::Named => &mut self.counts.named,
            Kind::Anonymous => &mut self.counts.anonymous,
            Kind::Guest => &mut self.counts.guests,
        }
    }

    /// People here now. The peak is not counted here.
    pub(crate) const fn counts(&self) -> Counts {
        self.counts
    }

    /// Everybody's session.
    pub(crate) fn sessions(&self) -> impl Iterator<Item = SessionKey> {
        self.listeners.iter().map(|listener| listener.session)
    }

    /// Sessions of one account.
    pub(crate) fn of(&self, account: AccountId) -> impl Iterator<Item = SessionKey> {
        let range = (account, SessionKey(0))..=(account, SessionKey(u32::MAX));
        self.accounts.range(range).map(|(_, session)| *session)
    }

    /// Sessions of all accounts in an ascending set, however large it is.
    pub(crate) fn among(&self, set: &[u64]) -> Vec<SessionKey> {
        if set.len() < self.accounts.len() {
            return set.iter().flat_map(|account| self.of(AccountId(*account))).collect();
        }
        let in_set = self.accounts.iter().filter(|(account, _)| set.binary_search(&account.0).is_ok());
        in_set.map(|(_, session)| *session).collect()
    }

    fn touch(&mut self, slot: usize) {
        if let Some(listener) = self.listeners.get_mut(slot).filter(|listener| !listener.touched) {
            listener.touched = true;
            self.touched.push(listener.session);
        }
    }

    pub(crate) fn subscribe(&mut self, slot: usize, track: Track, ring: &Ring) {
        if let Some(listener) = self.listeners.get_mut(slot) {
            listener.subscribe(track, ring);
            self.touch(slot);
        }
    }

    pub(crate) fn unsubscribe(&mut self, slot: usize, track: Track) {
        if let Some(listener) = self.listeners.get_mut(slot) {
            listener.unsubscribe(track);
        }
    }

    pub(crate) fn feedback(&mut self, slot: usize, sent: u32, lost: u32) {
        if let Some(listener) = self.listeners.get_mut(slot) {
            listener.feedback(sent, lost);
        }
    }

    /// Says which seats are a session's own.
    pub(crate) fn set_own(&mut self, slot: usize, own: SeatMask) {
        if let Some(listener) = self.listeners.get_mut(slot) {
            listener.own = own;
        }
    }

    /// There is something new for everybody.
    pub(crate) fn refresh(&mut self) {
        self.fresh = true;
    }

    /// Queues of everybody must lose these seats before anything else is sent.
    pub(crate) fn purge(&mut self, seats: SeatMask) {
        self.purge |= seats;
    }

    /// Sends everybody what there is. True if somebody's connection took less: call again.
    pub(crate) fn deliver<S: Sink + ?Sized>(
        &mut self,
        now: Time,
        space: SpaceId,
        mut offer: Offer<'_>,
        sink: &mut S,
        stats: &mut EngineStats,
        slot_of: impl Fn(SessionKey) -> Option<usize>,
    ) -> bool {
        let purge = core::mem::take(&mut self.purge);
        if purge != 0 {
            for listener in &self.listeners {
                sink.purge(listener.session, space, purge);
            }
        }
        let mut touched = core::mem::take(&mut self.touched);
        self.touched = core::mem::take(&mut self.spare);
        if core::mem::take(&mut self.fresh) {
            for listener in &mut self.listeners {
                listener.touched = !listener.deliver(now, &mut offer, sink, stats);
                if listener.touched {
                    self.touched.push(listener.session);
                }
            }
        } else {
            for session in &touched {
                // It may have left, and its key may be somebody else's by now.
                let listener = slot_of(*session).and_then(|slot| self.listeners.get_mut(slot));
                let Some(listener) = listener.filter(|listener| listener.session == *session && listener.touched)
                else {
                    continue;
                };
                listener.touched = !listener.deliver(now, &mut offer, sink, stats);
                if listener.touched {
                    self.touched.push(*session);
                }
            }
        }
        touched.clear();
        self.spare = touched;
        !self.touched.is_empty()
    }
}
