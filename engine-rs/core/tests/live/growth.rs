//! Shards that are added while a Space is live.

use std::time::Duration;

use crate::sim::*;
use spaces_core::command::{AclKind, Command};
use spaces_core::engine::{Config, Track, Verdict};
use spaces_core::event::{Counts, EventKind};
use spaces_core::ids::{AccountId, SessionKey, Sid, SpaceId};
use spaces_core::refusal::Refusal;

#[test]
fn nobody_loses_a_frame_while_shards_are_added_and_the_new_ones_hear() {
    for seed in 1..=5 {
        let mut world = World::new(seed, 1, Config::default());
        world.upsert(1, table(3));
        (100..105).for_each(|key| world.listen(0, key));
        for number in 0..3u8 {
            world.speak(&Speaker { frames: 500, ..Speaker::new(0, number.into(), number) });
        }
        for step in 1..=4 {
            world.run_ms(1_500 + seed * 7);
            let shard = world.add_shard();
            assert_eq!(shard, step);
            world.listen(shard, 100);
        }
        world.run_ms(8_000);
        for key in 100..105 {
            let player = world.player(0, key);
            assert_eq!((player.frames, player.concealed, player.skipped), (1_500, 0, 0), "seed {seed}");
        }
        for shard in 1..=4u64 {
            let player = world.player(shard as usize, 100);
            let missed = shard * (1_500 + seed * 7) / 20 * 3;
            assert!(player.frames + missed + 30 > 1_500, "{shard}: {} of {missed} less", player.frames);
            assert_eq!((player.concealed, player.skipped), (0, 0), "seed {seed}, shard {shard}");
        }
    }
}

#[test]
fn a_stage_stays_where_it_is_and_new_ones_use_the_new_shard() {
    let mut world = World::new(2, 2, Config::default());
    // Space 6 lives on shard 0, of two as of three; 7 would move from shard 1, 8 from 0.
    for id in [6, 7, 8] {
        world.apply(&Command::UpsertSpace { space: SpaceId(id), version: 1, table: table(1) });
    }
    let shard = world.add_shard();
    world.apply(&Command::UpsertSpace { space: SpaceId(11), version: 1, table: table(1) });
    for (id, home) in [(6, 0), (7, 1), (8, 0), (11, shard)] {
        world.apply(&Command::UpsertSpace { space: SpaceId(id), version: 2, table: table(2) });
        let knowing: Vec<_> = world.engines[shard].knowledge().homes().collect();
        assert!(knowing.contains(&(SpaceId(id), home as u16)), "{knowing:?}");
        let key = SessionKey(10 + id as u32);
        world.engines[home].admit(world.now, world.now, key, SpaceId(id), &claims(account(0).0, 40 + id)).unwrap();
        world.engines[home].publish(world.now, key, seat(0)).unwrap();
        assert_eq!(world.engines[home].uplink(world.now, key, frame(0, 1)), Verdict::Accepted, "{id}");
    }
}

#[test]
fn a_new_shard_knows_who_may_come_who_publishes_and_what_is_over() {
    let mut world = World::new(3, 2, Config::default());
    world.upsert(4, table(2));
    world.apply(&Command::SetAcl {
        space: SPACE,
        kind: AclKind::Bar,
        owner: AccountId(0),
        version: 1,
        accounts: vec![666],
    });
    world.apply(&Command::SetRevoked { version: 1, sids: vec![Sid(99)], min_epoch: 0 });
    world.apply(&Command::SetState { space: SPACE, version: 3, snapshot: "{}".into() });
    world.apply(&Command::UpsertSpace { space: SpaceId(20), version: 1, table: table(1) });
    world.apply(&Command::EndSpace { space: SpaceId(20), version: 2 });
    world.speak(&Speaker { frames: 300, ..Speaker::new(1, 0, 0) });
    world.run_ms(1_000);
    let shard = world.add_shard();
    let join = |world: &mut World, account, sid| {
        world.engines[shard].admit(world.now, world.now, SessionKey(5), SPACE, &claims(account, sid)).map(|_| ())
    };
    assert!(join(&mut world, 666, 1).is_err(), "barred");
    assert!(join(&mut world, 5, 99).is_err(), "revoked");
    let ended = world.engines[shard].admit(world.now, world.now, SessionKey(5), SpaceId(20), &claims(5, 1)).map(|_| ());
    assert_eq!(ended, Err(Refusal::StateEnded));
    let stale = Command::UpsertSpace { space: SPACE, version: 3, table: table(1) };
    assert!(world.engines[shard].apply(world.now, &stale).is_err());
    let state = Command::SetState { space: SPACE, version: 2, snapshot: "old".into() };
    assert!(world.engines[shard].apply(world.now, &state).is_err());
    // The seat moves to the new shard: its publisher on the older one is closed, and is heard on from there.
    world.speak(&Speaker { frames: 100, ..Speaker::new(shard, 0, 0) });
    world.run_ms(10);
    assert!(
        world.closed.iter().any(|(at, _, why)| (*at, *why) == (1, Refusal::SessionSuperseded)),
        "{:?}",
        world.closed
    );
}

#[test]
fn a_mute_while_a_shard_is_added_holds_there_too() {
    for moment in 0..20 {
        let mut world = World::new(4, 2, Config::default());
        world.upsert(1, table(2));
        world.between = Duration::from_millis(30);
        (0..2u8).for_each(|number| {
            world.speak(&Speaker { frames: 300, ..Speaker::new(1, number.into(), number) });
        });
        world.run_ms(1_000 + moment);
        let shard = world.add_shard();
        world.listen(shard, 100);
        world.run_ms(5);
        world.nets[shard].log = Some(Vec::new());
        let mut muted = table(2);
        muted.stage[1].muted = true;
        world.upsert(2, muted);
        world.run_ms(1_000);
        let heard: Vec<_> = world.nets[shard].log.take().unwrap().iter().flat_map(Entry::frames).collect();
        assert!(heard.iter().any(|(_, seat)| *seat == 0) && heard.iter().all(|(_, seat)| *seat != 1), "{moment}");
    }
}

#[test]
fn people_on_a_new_shard_are_counted() {
    let mut world = World::new(5, 1, Config::default());
    world.upsert(1, table(1));
    (100..103).for_each(|key| world.listen(0, key));
    world.run_ms(2_000);
    let shard = world.add_shard();
    world.join(shard, 7, 4_242, &[Track::State]).unwrap();
    world.run_ms(3_000);
    let counts = world.events.iter().rev().find_map(|(shard, kind)| match kind {
        EventKind::Counts(counts) => Some((*shard, *counts)),
        _ => None,
    });
    assert_eq!(counts, Some((0, Counts { named: 4, peak: 4, ..Counts::default() })));
}
