//! Anything at all, in any order: no panic, no invented frame, no group that goes back.

use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use crate::sim::*;
use spaces_core::command::{AclKind, Command, MixFor, Role, SpaceTable, StageRow};
use spaces_core::engine::{Config, Feedback, Track};
use spaces_core::ids::{AccountId, SessionKey, Sid, SpaceId};
use spaces_core::uplink::{Level, Spurt, UplinkFrame};

#[derive(Clone, Debug)]
enum Step {
    Apply(Command),
    Admit { key: u32, space: u64, account: u64, sid: u64, anonymous: bool },
    Subscribe(u32, Track),
    Unsubscribe(u32, Track),
    Publish(u32, u8),
    Unpublish(u32),
    Leave(u32, bool),
    Uplink { key: u32, sequence: u64, level: u8, flags: u8, size: usize },
    Feedback(u32, u32, u32),
    Block(u32),
    Unblock,
    Wait(u64),
}

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![8 => 0..300u64, 1 => any::<u64>(), 1 => u64::MAX - 200..=u64::MAX, 1 => (1u64 << 62) - 100..(1 << 62) + 100]
}

fn track() -> impl Strategy<Value = Track> {
    prop_oneof![
        (0..3u8).prop_map(|part| Track::Stage { part }),
        Just(Track::StageGroups),
        (0..13u8).prop_map(|number| Track::Seat(seat(number))),
        Just(Track::State),
        Just(Track::Catalog),
    ]
}

fn any_table() -> impl Strategy<Value = SpaceTable> {
    let row = (0..8u8, prop_oneof![3 => Just(None), 1 => (98..112u64).prop_map(Some)], 0..3u8, any::<bool>(), 0..4u32)
        .prop_map(|(number, account, role, muted, generation)| {
            let role = [Role::Host, Role::Cohost, Role::Speaker][usize::from(role)];
            StageRow {
                seat: seat(number),
                account: account.map_or(self::account(number), AccountId),
                role,
                muted,
                generation,
                caption: generation % 2 == 1,
            }
        });
    let flags = (prop::bool::weighted(0.9), any::<bool>(), any::<bool>(), prop::bool::weighted(0.1), any::<bool>());
    (flags, prop_oneof![5 => Just(1_000_000u64), 1 => any::<u64>()], prop::collection::vec(row, 0..5)).prop_map(
        |((live, record, guests, ticketed, mic_open), started_at_ms, stage)| SpaceTable {
            live,
            record,
            guests,
            ticketed,
            mic_open,
            mix: mic_open,
            mix_for: if guests { MixFor::Everybody } else { MixFor::Weak },
            started_at_ms,
            stage,
        },
    )
}

fn command() -> impl Strategy<Value = Command> {
    let space = (0..3u64).prop_map(SpaceId);
    prop_oneof![
        8 => (space.clone(), number(), any_table())
            .prop_map(|(space, version, table)| Command::UpsertSpace { space, version, table }),
        2 => (space.clone(), 0..3u8, number(), number(), prop::collection::btree_set(98..112u64, 0..4)).prop_map(
            |(space, kind, owner, version, accounts)| Command::SetAcl {
                space,
                kind: [AclKind::Bar, AclKind::Deny, AclKind::Allow][usize::from(kind)],
                owner: AccountId(owner),
                version,
                accounts: accounts.into_iter().collect(),
            }
        ),
        2 => (space.clone(), number()).prop_map(|(space, version)| {
            Command::SetState { space, version, snapshot: Bytes::from_static(b"{}") }
        }),
        1 => (number(), prop::collection::btree_set(0..6u64, 0..3), 0..2u64).prop_map(|(version, sids, min_epoch)| {
            Command::SetRevoked { version, sids: sids.into_iter().map(Sid).collect(), min_epoch }
        }),
        1 => (space, number()).prop_map(|(space, version)| Command::EndSpace { space, version }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let key = 0..8u32;
    prop_oneof![
        6 => command().prop_map(Step::Apply),
        6 => (key.clone(), 0..3u64, 98..112u64, 0..6u64, prop::bool::weighted(0.1)).prop_map(
            |(key, space, account, sid, anonymous)| Step::Admit { key, space, account, sid, anonymous }
        ),
        4 => (key.clone(), track()).prop_map(|(key, track)| Step::Subscribe(key, track)),
        1 => (key.clone(), track()).prop_map(|(key, track)| Step::Unsubscribe(key, track)),
        5 => (key.clone(), 0..13u8).prop_map(|(key, number)| Step::Publish(key, number)),
        1 => key.clone().prop_map(Step::Unpublish),
        1 => (key.clone(), any::<bool>()).prop_map(|(key, lost)| Step::Leave(key, lost)),
        30 => (key.clone(), number(), any::<u8>(), 0..4u8, 10..512usize).prop_map(
            |(key, sequence, level, flags, size)| Step::Uplink { key, sequence, level, flags, size }
        ),
        1 => (key.clone(), any::<u32>(), any::<u32>()).prop_map(|(key, sent, lost)| Step::Feedback(key, sent, lost)),
        1 => key.prop_map(Step::Block),
        2 => Just(Step::Unblock),
        10 => prop_oneof![8 => 0..40_000u64, 1 => any::<u32>().prop_map(u64::from), 1 => 0..1u64 << 50].prop_map(Step::Wait),
    ]
}

/// The objects sent.
fn run(shards: u16, max_heard: u8, steps: Vec<Step>) -> u64 {
    let mut world = World::new(9, shards, Config { max_heard, ..Config::default() });
    // Who sits where is up to chance: one Space is set up so that something is heard in most runs.
    world.apply(&Command::UpsertSpace { space: SpaceId(0), version: 0, table: table(8) });
    let spread = |key: u32| (key as usize % usize::from(shards), SessionKey(key));
    for key in 0..8 {
        let (shard, session) = spread(key);
        let claims = claims(account(key as u8).0, u64::from(key) + 100);
        world.engines[shard].admit(world.now, world.now, session, SpaceId(0), &claims).unwrap();
        world.engines[shard].subscribe(world.now, session, Track::Stage { part: 0 }).unwrap();
        world.engines[shard].publish(world.now, session, seat(key as u8)).unwrap();
    }
    for step in steps {
        let now = world.now;
        match step {
            Step::Apply(command) => {
                for engine in &mut world.engines {
                    let _ = engine.apply(now, &command);
                }
            }
            Step::Admit { key, space, account, sid, anonymous } => {
                let (shard, session) = spread(key);
                // A player's checks are for one Space and one stay.
                world.engines[shard].leave(now, session, false);
                world.nets[shard].forget(session);
                let account = if account == 98 { 0 } else { account };
                let claims = spaces_core::admission::Claims { anonymous, ..claims(account, sid) };
                let _ = world.engines[shard].admit(now, now, session, SpaceId(space), &claims);
            }
            Step::Subscribe(key, track) => {
                let (shard, session) = spread(key);
                // Subscribing again begins again, with ticks that were there before.
                world.nets[shard].forget(session);
                let _ = world.engines[shard].subscribe(now, session, track);
            }
            Step::Unsubscribe(key, track) => world.engines[spread(key).0].unsubscribe(spread(key).1, track),
            Step::Publish(key, number) => {
                let _ = world.engines[spread(key).0].publish(now, spread(key).1, seat(number));
            }
            Step::Unpublish(key) => world.engines[spread(key).0].unpublish(spread(key).1),
            Step::Leave(key, lost) => world.engines[spread(key).0].leave(now, spread(key).1, lost),
            Step::Uplink { key, sequence, level, flags, size } => {
                let spurt = Spurt { start: flags & 1 != 0, end: flags & 2 != 0 };
                let frame = UplinkFrame { sequence, level: Level(level), spurt, opus: opus(ANY, sequence, size) };
                world.engines[spread(key).0].uplink(now, spread(key).1, frame);
            }
            Step::Feedback(key, sent, lost) => {
                world.engines[spread(key).0].feedback(now, spread(key).1, Feedback { sent, lost, rtt_us: 0 });
            }
            Step::Block(key) => {
                world.nets[spread(key).0].blocked.insert(spread(key).1);
            }
            Step::Unblock => world.nets.iter_mut().for_each(|net| net.blocked.clear()),
            Step::Wait(micros) => world.run(world.now + Duration::from_micros(micros)),
        }
        (0..usize::from(shards)).for_each(|shard| world.settle(shard));
    }
    world.run_ms(1_000);
    world.engines.iter().map(|engine| engine.stats().objects).sum()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, rng_seed: RngSeed::Fixed(1), ..ProptestConfig::with_cases(300) })]

    #[test]
    fn anything_in_any_order_never_panics(max_heard in 0..14u8, steps in prop::collection::vec(step(), 1..200)) {
        run(1, max_heard, steps);
    }

    #[test]
    fn nor_on_three_shards(steps in prop::collection::vec(step(), 1..200)) {
        run(3, 13, steps);
    }
}

/// A property test that reaches nothing proves nothing.
#[test]
fn the_random_runs_do_reach_the_audience() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut reached = 0;
    for _ in 0..50 {
        let steps = prop::collection::vec(step(), 100..200).new_tree(&mut runner).unwrap().current();
        reached += u32::from(run(1, 13, steps) > 20);
    }
    assert!(reached >= 30, "{reached} of 50 runs sent something");
}
