//! Who listens to a Space on this shard.
//!
//! One compact list, changed when somebody comes or goes, walked once for each tick, each packet of the mix and each word, in
//! parts ([`Round`]). Outside these walks only those are visited who have just subscribed or whose connection took nothing.

use core::ops::Bound;
use std::collections::{BTreeSet, VecDeque};

use crate::command::MixFor;
use crate::cursor::{Beginnings, Listener, News, Offer};
use crate::engine::{Feedback, Purge, Sink, Soon, Track};
use crate::event::Counts;
use crate::ids::{AccountId, SeatMask, SessionKey, SpaceId};
use crate::mix::MAX_TICKS;
use crate::round::Round;
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

/// Whether somebody is to be visited is known without having been there: of a large audience the mix has something for a third
/// in each tick, and each listener is a cache line that is far away.
#[derive(Clone, Copy, Debug)]
struct Interest {
    session: SessionKey,
    /// What it may have to be sent: a bit for each kind of news ([`Listener::wants`]).
    news: u8,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Audience {
    listeners: Vec<Listener>,
    /// Of each listener what a walk must know before it is there.
    interests: Vec<Interest>,
    /// Sessions of named people: the roster.
    named: Accounts,
    /// Sessions of people who listen unnamed: bars reach them, and nothing else does.
    anonymous: Accounts,
    touched: Vec<SessionKey>,
    spare: Vec<SessionKey>,
    /// Who is visited next, announced already. Empty between calls.
    upcoming: VecDeque<(usize, SessionKey)>,
    /// For each kind of news.
    rounds: [Round; News::NUMBER],
    /// The phase that had a packet of the mix last.
    mix_phase: u8,
    /// How many hear the mix, by phase.
    phases: [u32; MAX_TICKS],
    purge: Purge,
    counts: Counts,
    services: u32,
}

impl Audience {
    /// Adds a session; its slot.
    pub(crate) fn add(&mut self, session: SessionKey, account: Option<AccountId>, kind: Kind) -> usize {
        self.listeners.push(Listener::new(session, kind == Kind::Service));
        self.interests.push(Interest { session, news: 0 });
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
        self.count_phase(slot, false);
        self.listeners.swap_remove(slot);
        self.interests.swap_remove(slot);
        if let Some(account) = account.filter(|_| kind != Kind::Service) {
            self.accounts(kind).remove(&(account, session));
        }
        let counter = self.counter(kind);
        *counter = counter.saturating_sub(1);
        // A walk may have been on its way to where the moved one was.
        self.touch(slot);
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
        self.count_phase(slot, false);
        let phase = self.next_phase(slot, from.mix.phases());
        if let Some(listener) = self.listeners.get_mut(slot) {
            listener.subscribe(track, from, phase);
            self.count_phase(slot, true);
            self.note_interest(slot);
            self.touch(slot);
        }
    }

    pub(crate) fn unsubscribe(&mut self, slot: usize, track: Track) {
        self.count_phase(slot, false);
        if let Some(listener) = self.listeners.get_mut(slot) {
            listener.unsubscribe(track);
        }
        self.count_phase(slot, true);
        self.note_interest(slot);
    }

    fn note_interest(&mut self, slot: usize) {
        if let (Some(listener), Some(interest)) = (self.listeners.get(slot), self.interests.get_mut(slot)) {
            let wanted = News::all(0).into_iter().filter(|news| listener.wants(*news));
            interest.news = wanted.fold(0, |bits, news| bits | 1 << news.index());
        }
    }

    /// The phase of the mix for whom it begins now: as many are in each. Services hear what is in `mix.groups`.
    fn next_phase(&self, slot: usize, phases: u8) -> u8 {
        if self.listeners.get(slot).is_none_or(Listener::service) {
            return 0;
        }
        let phases = (0..).zip(&self.phases).take(phases.into());
        phases.min_by_key(|(_, listeners)| **listeners).map_or(0, |(phase, _)| phase)
    }

    /// Counts a listener in or out.
    fn count_phase(&mut self, slot: usize, there: bool) {
        let phase = self.listeners.get(slot).and_then(Listener::hears_mix_in);
        if let Some(listeners) = phase.and_then(|phase| self.phases.get_mut(usize::from(phase))) {
            *listeners = if there { *listeners + 1 } else { listeners.saturating_sub(1) };
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

    /// There is something new for everybody whom it concerns.
    pub(crate) fn refresh(&mut self, news: News) {
        let length = self.listeners.len();
        if let News::Mix(phase) = news {
            self.mix_phase = phase;
            // In the first phase there may be those who hear it in groups.
            if phase > 0 && self.phases.get(usize::from(phase)) == Some(&0) {
                return;
            }
        }
        if let Some(round) = self.rounds.get_mut(news.index()) {
            round.begin(length);
        }
    }

    /// Queues of everybody must lose the sound of these seats before anything else is sent.
    pub(crate) fn purge(&mut self, seats: SeatMask) {
        self.purge.sound |= seats;
    }

    /// Queues of everybody must lose the words of these seats before anything else is sent, and those of services their sound.
    pub(crate) fn withhold(&mut self, seats: SeatMask) {
        self.purge.words |= seats;
    }

    /// Has queues lose what they must.
    pub(crate) fn clear_queues<S: Sink + ?Sized>(&mut self, space: SpaceId, sink: &mut S) {
        let purge = core::mem::take(&mut self.purge);
        if purge == Purge::default() {
            return;
        }
        for listener in &self.listeners {
            let sound = purge.sound | if listener.service() { purge.words } else { 0 };
            if sound != 0 || listener.reads() {
                sink.purge(listener.session, space, Purge { sound, ..purge });
            }
        }
    }

    /// Sends what there is, to as many as `budget` has left: it is less by those who were visited. Call it again if
    /// [`Audience::is_waiting`] says so.
    pub(crate) fn deliver<S: Sink + ?Sized>(
        &mut self,
        now: Time,
        mut offer: Offer<'_>,
        sink: &mut S,
        stats: &mut EngineStats,
        budget: &mut usize,
        slot_of: impl Fn(SessionKey) -> Option<usize>,
    ) {
        let mut touched = core::mem::replace(&mut self.touched, core::mem::take(&mut self.spare));
        for session in touched.drain(..) {
            // It may have left, and its key may be somebody else's by now.
            let listener = slot_of(session).and_then(|slot| self.listeners.get_mut(slot));
            let Some(listener) = listener.filter(|listener| listener.session == session && listener.touched) else {
                continue;
            };
            listener.touched = !listener.deliver(now, &mut offer, sink, stats);
            if listener.touched {
                self.touched.push(session);
            }
        }
        self.spare = touched;
        for news in News::all(self.mix_phase) {
            self.go_round(news, now, &mut offer, sink, stats, budget);
        }
    }

    fn go_round<S: Sink + ?Sized>(
        &mut self,
        news: News,
        now: Time,
        offer: &mut Offer<'_>,
        sink: &mut S,
        stats: &mut EngineStats,
        budget: &mut usize,
    ) {
        let Self { listeners, interests, touched, rounds, upcoming, .. } = self;
        let Some(round) = rounds.get_mut(news.index()) else { return };
        loop {
            while upcoming.len() < AHEAD
                && *budget > 0
                && let Some(index) = round.step(interests.len())
            {
                if let Some(interest) = interests.get(index).filter(|interest| interest.news >> news.index() & 1 == 1) {
                    *budget -= 1;
                    sink.fetch(listeners.as_ptr().wrapping_add(index).cast());
                    sink.expect(interest.session, Soon::Soon);
                    upcoming.push_back((index, interest.session));
                }
            }
            for (place, soon) in [(AHEAD / 2, Soon::VerySoon), (AHEAD / 4, Soon::Next)] {
                if let Some((_, session)) = upcoming.get(place) {
                    sink.expect(*session, soon);
                }
            }
            let Some((index, _)) = upcoming.pop_front() else { return };
            let Some(listener) = listeners.get_mut(index) else { continue };
            if !listener.deliver(now, offer, sink, stats) && !core::mem::replace(&mut listener.touched, true) {
                touched.push(listener.session);
            }
        }
    }

    /// Somebody is to be visited as soon as possible: the budget was too small for all.
    pub(crate) fn is_under_way(&self) -> bool {
        self.rounds.iter().any(Round::is_under_way)
    }

    /// Somebody's connection took less, or is still to be visited.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.touched.is_empty() || self.is_under_way()
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
