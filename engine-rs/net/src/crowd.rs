//! An audience without connections, for benches and tests: sessions that come, go and react inside a shard, below QUIC.
//!
//! The engine cannot tell them from others: they are admitted, subscribe, are counted, listed, told of, kicked. What it sends
//! them goes nowhere, as for a connection that has just been closed.

use spaces_core::admission::Claims;
use spaces_core::engine::{Engine, Track};
use spaces_core::ids::{AccountId, SessionKey, Sid, SpaceId};
use spaces_core::time::Time;

/// Their keys begin here: beyond those of all connections that a shard may have.
const FIRST_KEY: u32 = 1 << 20;
/// Comings and goings a turn, so that the shard gets round to its connections.
const BURST: u64 = 500;
/// How often there is something to do, in microseconds.
const STEP: u64 = 5_000;

/// How an injected audience is made up, and behaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CrowdSpec {
    /// Named listeners, with the accounts from `first_account` on.
    pub named: u32,
    /// Account of the first.
    pub first_account: u64,
    /// Anonymous listeners, with the accounts that follow.
    pub anonymous: u32,
    /// Logged-out listeners.
    pub guests: u32,
    /// How many come a second until all are there; those of an audience before go as fast.
    pub joins_per_second: u32,
    /// Then: how many a second go, each making room for one who comes.
    pub churn_per_second: u32,
    /// Reactions a second of random ones of those who are there.
    pub reactions_per_second: u32,
}

impl CrowdSpec {
    const fn people(&self) -> u64 {
        self.named as u64 + self.anonymous as u64 + self.guests as u64
    }
}

/// Operations that have been earned by time, in millionths.
#[derive(Debug, Default)]
struct Pace(u64);

impl Pace {
    fn earn(&mut self, micros: u64, per_second: u32) -> u64 {
        self.0 = self.0.saturating_add(micros.saturating_mul(per_second.into()));
        let earned = (self.0 / 1_000_000).min(BURST);
        self.0 = (self.0 - earned * 1_000_000).min(BURST * 1_000_000);
        earned
    }
}

/// One Space's, on one shard.
#[derive(Debug)]
pub(crate) struct Crowd {
    space: SpaceId,
    spec: CrowdSpec,
    /// Numbers of those who are there, and of those who are not.
    present: Vec<u32>,
    absent: Vec<u32>,
    /// Of an audience before.
    leaving: Vec<SessionKey>,
    key: u32,
    shard: u16,
    comings: Pace,
    churn: Pace,
    reactions: Pace,
    last: Time,
    dice: u64,
    sids: u64,
}

/// All of a shard's.
#[derive(Debug, Default)]
pub(crate) struct Crowds {
    crowds: Vec<Crowd>,
    keys: u32,
}

impl Crowds {
    /// Puts an audience into a Space, in the place of the one before; of its people every `shards`th is here.
    pub(crate) fn set(&mut self, now: Time, space: SpaceId, spec: CrowdSpec, shard: u16, shards: u16) {
        let mut leaving = Vec::new();
        if let Some(index) = self.crowds.iter().position(|crowd| crowd.space == space) {
            let before = self.crowds.swap_remove(index);
            leaving.extend(before.present.iter().map(|number| before.key_of(*number)));
            leaving.extend(before.leaving);
        }
        let numbers = (0..u32::try_from(spec.people()).unwrap_or(u32::MAX)).rev();
        let absent: Vec<u32> = numbers.filter(|number| number % u32::from(shards.max(1)) == u32::from(shard)).collect();
        let key = FIRST_KEY + self.keys;
        self.keys = self.keys.saturating_add(u32::try_from(spec.people()).unwrap_or(u32::MAX));
        self.crowds.push(Crowd {
            space,
            spec,
            present: Vec::new(),
            absent,
            leaving,
            key,
            shard,
            comings: Pace::default(),
            churn: Pace::default(),
            reactions: Pace::default(),
            last: now,
            dice: 0x9e37_79b9_7f4a_7c15,
            sids: 0,
        });
    }

    /// Does what is due.
    pub(crate) fn turn(&mut self, now: Time, engine: &mut Engine) {
        for crowd in &mut self.crowds {
            crowd.turn(now, engine);
        }
        self.crowds.retain(|crowd| crowd.spec.people() > 0 || !crowd.leaving.is_empty());
    }

    /// When there is something to do.
    pub(crate) fn next_timeout(&self) -> Option<Time> {
        let next = self.crowds.iter().filter(|crowd| crowd.busy()).map(|crowd| Time(crowd.last.0 + STEP));
        next.min()
    }
}

impl Crowd {
    const fn key_of(&self, number: u32) -> SessionKey {
        SessionKey(self.key + number)
    }

    const fn busy(&self) -> bool {
        let moving = !self.leaving.is_empty() || !self.absent.is_empty();
        moving || self.spec.churn_per_second > 0 || self.spec.reactions_per_second > 0
    }

    fn turn(&mut self, now: Time, engine: &mut Engine) {
        let micros = now.0.saturating_sub(self.last.0);
        if micros < STEP {
            return;
        }
        self.last = now;
        for _ in 0..self.comings.earn(micros, self.spec.joins_per_second) {
            match (self.leaving.pop(), self.absent.pop()) {
                (Some(gone), waits) => {
                    engine.leave(now, gone, false);
                    self.absent.extend(waits);
                }
                (None, Some(number)) => self.join(now, engine, number),
                (None, None) => {
                    self.turn_over(now, engine, micros);
                    break;
                }
            }
        }
        for _ in 0..self.reactions.earn(micros, self.spec.reactions_per_second) {
            if let Some(number) = self.anybody().and_then(|index| self.present.get(index).copied()) {
                let kind = (self.dice >> 40) as u8 % 5;
                let _ = engine.react(now, self.key_of(number), kind); // some may not, or too often: as in life
            }
        }
    }

    /// All are there: some go, and come again by another session.
    fn turn_over(&mut self, now: Time, engine: &mut Engine, micros: u64) {
        for _ in 0..self.churn.earn(micros, self.spec.churn_per_second) {
            let Some(index) = self.anybody() else { return };
            let number = self.present.swap_remove(index);
            engine.leave(now, self.key_of(number), self.dice & 1 == 0);
            self.join(now, engine, number);
        }
    }

    fn join(&mut self, now: Time, engine: &mut Engine, number: u32) {
        self.sids += 1;
        let (key, space) = (self.key_of(number), self.space);
        let named = number < self.spec.named;
        let guest = number >= self.spec.named.saturating_add(self.spec.anonymous);
        let claims = Claims {
            account: (!guest).then_some(AccountId(self.spec.first_account + u64::from(number))),
            sid: Sid(1 << 63 | u64::from(self.shard) << 48 | u64::from(self.key) << 24 | self.sids),
            epoch: u64::MAX,
            anonymous: !named,
            service: false,
        };
        if engine.admit(now, now, key, space, &claims).is_ok() {
            let _ = engine.subscribe(now, key, Track::Stage { part: 0 }); // known tracks of an admitted session
            let _ = engine.subscribe(now, key, Track::State);
            self.present.push(number);
        }
    }

    /// A place among those who are there, by chance (xorshift).
    fn anybody(&mut self) -> Option<usize> {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        ((self.dice >> 11) as usize).checked_rem(self.present.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use spaces_core::command::{Command, MixFor, SpaceTable};
    use spaces_core::engine::Config;

    const SPACE: SpaceId = SpaceId(2);

    fn engine() -> Engine {
        let mut engine = Engine::new(Config::default());
        let table = SpaceTable {
            live: true,
            record: false,
            guests: true,
            ticketed: false,
            mic_open: true,
            mix: false,
            mix_for: MixFor::Nobody,
            started_at_ms: 0,
            stage: Vec::new(),
        };
        engine.apply(Time(0), &Command::UpsertSpace { space: SPACE, version: 1, table }).unwrap();
        engine
    }

    fn people(engine: &Engine) -> (u32, u32, u32) {
        engine.counts(SPACE).map(|counts| (counts.named, counts.anonymous, counts.guests)).unwrap()
    }

    fn run(crowds: &mut Crowds, engine: &mut Engine, from_ms: u64, to_ms: u64) {
        for ms in from_ms..to_ms {
            crowds.turn(Time::from_millis(ms), engine);
            engine.advance(Time::from_millis(ms));
            while engine.poll_output().is_some() {}
        }
    }

    #[test]
    fn people_come_at_their_pace_turn_over_and_go() {
        let (mut engine, mut crowds) = (engine(), Crowds::default());
        let spec = CrowdSpec {
            named: 600,
            first_account: 1_000,
            anonymous: 200,
            guests: 200,
            joins_per_second: 1_000,
            churn_per_second: 500,
            reactions_per_second: 200,
        };
        crowds.set(Time(0), SPACE, spec, 0, 1);
        run(&mut crowds, &mut engine, 0, 501);
        let (named, anonymous, guests) = people(&engine);
        assert!((495..=505).contains(&(named + anonymous + guests)));
        run(&mut crowds, &mut engine, 501, 3_001);
        assert_eq!(people(&engine), (600, 200, 200));
        assert_eq!(engine.roster(SPACE, AccountId(1_000), 1)[0].account, AccountId(1_001));
        let stats = engine.stats();
        assert!((1_900..=2_100).contains(&stats.admitted), "a second of joins, two of churn: {}", stats.admitted);
        assert!((550..=610).contains(&(stats.reactions + stats.reactions_refused)), "{stats:?}");
        assert!(stats.reactions > 300 && stats.reactions_refused > 50, "some may not: {stats:?}");
        crowds.set(
            Time::from_millis(3_001),
            SPACE,
            CrowdSpec { joins_per_second: 10_000, ..CrowdSpec::default() },
            0,
            1,
        );
        run(&mut crowds, &mut engine, 3_001, 3_301);
        assert_eq!(people(&engine), (0, 0, 0));
        assert_eq!(crowds.next_timeout(), None);
    }

    #[test]
    fn every_shard_has_its_part() {
        let spec = CrowdSpec { named: 10, joins_per_second: 1_000, ..CrowdSpec::default() };
        let sizes = (0..3).map(|shard| {
            let mut crowds = Crowds::default();
            crowds.set(Time(0), SPACE, spec, shard, 3);
            let mut engine = engine();
            run(&mut crowds, &mut engine, 0, 100);
            people(&engine).0
        });
        assert_eq!(sizes.collect::<Vec<_>>(), [4, 3, 3]);
    }
}
