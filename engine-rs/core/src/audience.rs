//! Who listens to a Space on this shard.
//!
//! One compact list, changed when somebody comes or goes, walked once per tick. Between ticks only those are visited who have
//! just subscribed or whose connection took nothing.

use core::ops::Bound;
use std::collections::BTreeSet;

use crate::command::MixFor;
use crate::cursor::{Beginnings, Listener, Offer};
use crate::engine::{Feedback, Purge, Sink, Soon, Track};
use crate::event::Counts;
use crate::ids::{AccountId, SeatMask, SessionKey, SpaceId};
use crate::stats::EngineStats;
use crate::time::Time;

/// Listeners between the announcement of one and its turn: as many as the memory's delay takes to send to.
const AHEAD: usize = 8;

/// How somebody is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Named,
    Anonymous,
    Guest,
    /// Not at all.
    Service,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Audience {
    listeners: Vec<Listener>,
    /// Sessions of named people: the roster.
    named: Accounts,
    /// Sessions of people who listen unnamed: bars reach them, and nothing else does.
    anonymous: Accounts,
    touched: Vec<SessionKey>,
    spare: Vec<SessionKey>,
    fresh: bool,
    purge: Purge,
    counts: Counts,
    services: u32,
    /// Somebody has listened to the mix.
    mixing: bool,
}

impl Audience {
    /// Adds a session; its slot.
    pub(crate) fn add(&mut self, session: SessionKey, account: Option<AccountId>, kind: Kind) -> usize {
        self.listeners.push(Listener::new(session, kind == Kind::Service));
        if let Some(account) = account.filter(|_| kind != Kind::Service) {
            self.accounts(kind).insert((account, session));
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
        if let Some(account) = account.filter(|_| kind != Kind::Service) {
            self.accounts(kind).remove(&(account, session));
        }
        let counter = self.counter(kind);
        *counter = counter.saturating_sub(1);
        self.listeners.get(slot).map(|moved| moved.session)
    }

    fn accounts(&mut self, kind: Kind) -> &mut Accounts {
        if kind == Kind::Named { &mut self.named } else { &mut self.anonymous }
    }

    fn counter(&mut self, kind: Kind) -> &mut u32 {
        match kind {
            Kind::Named => &mut self.counts.named,
            Kind::Anonymous => &mut self.counts.anonymous,
            Kind::Guest => &mut self.counts.guests,
            Kind::Service => &mut self.services,
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

    /// Sessions of one account, unnamed ones too.
    pub(crate) fn of(&self, account: AccountId) -> impl Iterator<Item = SessionKey> {
        self.named_of(account).chain(of(&self.anonymous, account))
    }

    /// Sessions of one account under its name.
    pub(crate) fn named_of(&self, account: AccountId) -> impl Iterator<Item = SessionKey> {
        of(&self.named, account)
    }

    /// Is this account here: under its name, or `unnamed`?
    pub(crate) fn has(&self, account: AccountId, unnamed: bool) -> bool {
        of(if unnamed { &self.anonymous } else { &self.named }, account).next().is_some()
    }

    /// Sessions of all accounts in an ascending set, however large it is; unnamed ones too.
    pub(crate) fn among(&self, set: &[u64]) -> Vec<SessionKey> {
        among(&self.named, set).chain(among(&self.anonymous, set)).collect()
    }

    /// Named sessions of all accounts in an ascending set, however large it is.
    pub(crate) fn named_among(&self, set: &[u64]) -> Vec<SessionKey> {
        among(&self.named, set).collect()
    }

    /// Named sessions in order of account, of accounts greater than `after`.
    pub(crate) fn roster(&self, after: AccountId) -> impl Iterator<Item = (AccountId, SessionKey)> {
        let beyond = Bound::Excluded((after, SessionKey(u32::MAX)));
        self.named.range((beyond, Bound::Unbounded)).copied()
    }

    fn touch(&mut self, slot: usize) {
        if let Some(listener) = self.listeners.get_mut(slot).filter(|listener| !listener.touched) {
            listener.touched = true;
            self.touched.push(listener.session);
        }
    }

    pub(crate) fn subscribe(&mut self, slot: usize, track: Track, from: &Beginnings<'_>) {
        if let Some(listener) = self.listeners.get_mut(slot) {
            listener.subscribe(track, from);
            self.mixing |= matches!(track, Track::Mix | Track::MixGroups);
            self.touch(slot);
        }
    }

    pub(crate) fn unsubscribe(&mut self, slot: usize, track: Track) {
        if let Some(listener) = self.listeners.get_mut(slot) {
            listener.unsubscribe(track);
        }
    }

    /// True if the listener is to be advised otherwise than before.
    pub(crate) fn feedback(&mut self, slot: usize, feedback: Feedback, mix_for: Option<MixFor>) -> bool {
        self.listeners.get_mut(slot).is_some_and(|listener| listener.feedback(feedback, mix_for))
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

    /// There is a new packet of the mix.
    pub(crate) fn refresh_mix(&mut self) {
        self.fresh |= self.mixing;
    }

    /// Queues of everybody must lose the sound of these seats before anything else is sent.
    pub(crate) fn purge(&mut self, seats: SeatMask) {
        self.purge.sound |= seats;
    }

    /// Queues of everybody must lose the words of these seats before anything else is sent, and those of services their sound.
    pub(crate) fn withhold(&mut self, seats: SeatMask) {
        self.purge.words |= seats;
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
        if purge != Purge::default() {
            for listener in &self.listeners {
                let sound = purge.sound | if listener.service() { purge.words } else { 0 };
                if sound != 0 || listener.reads() {
                    sink.purge(listener.session, space, Purge { sound, ..purge });
                }
            }
        }
        let mut touched = core::mem::take(&mut self.touched);
        self.touched = core::mem::take(&mut self.spare);
        if core::mem::take(&mut self.fresh) {
            for index in 0..self.listeners.len() {
                for (ahead, soon) in [(AHEAD, Soon::Soon), (AHEAD / 2, Soon::VerySoon), (AHEAD / 4, Soon::Next)] {
                    if let Some(next) = self.listeners.get(index + ahead) {
                        sink.expect(next.session, soon);
                    }
                }
                let Some(listener) = self.listeners.get_mut(index) else { break };
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

type Accounts = BTreeSet<(AccountId, SessionKey)>;

fn of(accounts: &Accounts, account: AccountId) -> impl Iterator<Item = SessionKey> {
    accounts.range((account, SessionKey(0))..=(account, SessionKey(u32::MAX))).map(|(_, session)| *session)
}

fn among<'a>(accounts: &'a Accounts, set: &'a [u64]) -> impl Iterator<Item = SessionKey> + 'a {
    // The smaller one is walked, the other is searched.
    let few = set.len() < accounts.len();
    let walked = set.iter().take(if few { set.len() } else { 0 }).flat_map(|account| of(accounts, AccountId(*account)));
    let searched = accounts.iter().take(if few { 0 } else { accounts.len() });
    walked.chain(searched.filter(|(account, _)| set.binary_search(&account.0).is_ok()).map(|(_, session)| *session))
}
