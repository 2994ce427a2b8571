//! Several engines as the shards of one process.

use std::time::Duration;

use crate::sim::*;
use spaces_core::command::Command;
use spaces_core::engine::{Config, Verdict};
use spaces_core::event::{Counts, EventKind};
use spaces_core::ids::{SessionKey, SpaceId};
use spaces_core::refusal::Refusal;

/// Three shards; the stage of [`SPACE`] (6) lives on shard 0.
fn three(seed: u64, seats: u8) -> World {
    let mut world = World::new(seed, 3, Config::default());
    world.upsert(1, table(seats));
    world
}

#[test]
fn speakers_and_listeners_on_three_shards_hear_each_other() {
    let mut world = three(1, 4);
    for shard in 0..3 {
        (100..110).for_each(|key| world.listen(shard, key));
    }
    for number in 0..4u8 {
        world.speak(&Speaker { frames: 400, ..Speaker::new(usize::from(number) % 3, number.into(), number) });
    }
    world.run_ms(12_000);
    for shard in 0..3 {
        for key in 100..110 {
            let player = world.player(shard, key);
            assert_eq!((player.frames, player.concealed, player.skipped), (1_600, 0, 0), "shard {shard}");
        }
    }
    assert_eq!(world.verdict(1, Verdict::Forwarded), 400);
    assert_eq!(world.verdict(0, Verdict::Accepted), 400);
    assert_eq!(world.engines[0].stats().verdict(Verdict::Accepted), 1_600);
    assert_eq!(world.engines[1].stats().ticks_received, world.engines[0].stats().ticks);
}

#[test]
fn a_space_lives_on_the_shard_of_its_number() {
    let mut world = World::new(2, 3, Config::default());
    for id in 0..6 {
        let space = SpaceId(id);
        world.apply(&Command::UpsertSpace { space, version: 1, table: table(1) });
        let home = (id % 3) as usize;
        let key = SessionKey(10 + id as u32);
        world.engines[home].admit(world.now, world.now, key, space, &claims(account(0).0, 40 + id)).unwrap();
        world.engines[home].publish(world.now, key, seat(0)).unwrap();
        assert_eq!(world.engines[home].uplink(world.now, key, frame(0, 1)), Verdict::Accepted);
    }
}

#[test]
fn a_tick_under_way_between_shards_does_not_slip_past_a_mute() {
    for unmute_after in [0, 2, 10, 40] {
        let mut world = three(3, 2);
        world.between = Duration::from_millis(30);
        (0..3).for_each(|shard| world.listen(shard, 100));
        (0..2u8).for_each(|number| {
            world.speak(&Speaker { frames: 300, ..Speaker::new(1, number.into(), number) });
        });
        world.run_ms(2_003);
        let mut muted = table(2);
        muted.stage[1].muted = true;
        (0..3).for_each(|shard| world.nets[shard].log = Some(Vec::new()));
        let fence = world.upsert(2, muted).fence_group;
        world.run_ms(unmute_after);
        let silent: Vec<_> = world.nets.iter_mut().flat_map(|net| net.log.replace(Vec::new()).unwrap()).collect();
        assert!(silent.iter().flat_map(Entry::frames).all(|(_, seat)| seat != 1));
        world.upsert(3, table(2));
        world.run_ms(1_000);
        for net in &mut world.nets {
            let groups: Vec<_> = net.log.take().unwrap().iter().flat_map(Entry::frames).filter(|f| f.1 == 1).collect();
            assert!(groups.len() > 40, "heard again");
            assert!(groups.iter().all(|(group, _)| *group > fence), "{unmute_after}: nothing from before the mute");
        }
    }
}

#[test]
fn a_second_connection_on_another_shard_takes_over() {
    let mut world = three(4, 1);
    world.engines[0].admit(world.now, world.now, SessionKey(1), SPACE, &claims(account(0).0, 9)).unwrap();
    world.engines[0].publish(world.now, SessionKey(1), seat(0)).unwrap();
    world.settle(0);
    world.run_ms(5);
    // The same person from another device, then the same device again.
    world.engines[2].admit(world.now, world.now, SessionKey(1), SPACE, &claims(account(0).0, 10)).unwrap();
    world.engines[2].publish(world.now, SessionKey(1), seat(0)).unwrap();
    world.settle(2);
    world.run_ms(5);
    assert_eq!(world.closed, [(0, SessionKey(1), Refusal::SessionSuperseded)]);
    world.engines[1].admit(world.now, world.now, SessionKey(5), SPACE, &claims(account(0).0, 10)).unwrap();
    world.settle(1);
    world.run_ms(5);
    assert_eq!(world.closed[1..], [(2, SessionKey(1), Refusal::SessionSuperseded)]);
    world.engines[1].publish(world.now, SessionKey(5), seat(0)).unwrap();
    world.settle(1);
    world.run_ms(5);
    world.listen(2, 7);
    world.uplink_on(1, world.now, SessionKey(5), frame(0, 1));
    world.run_ms(200);
    assert_eq!(world.player(2, 7).frames, 1);
}

#[test]
fn two_connections_of_one_sid_at_the_same_moment_leave_one() {
    let mut world = three(5, 1);
    for shard in [2usize, 0, 1] {
        world.engines[shard].admit(world.now, world.now, SessionKey(1), SPACE, &claims(77, 9)).unwrap();
    }
    (0..3).for_each(|shard| world.settle(shard));
    world.run_ms(50);
    let mut closed: Vec<_> = world.closed.iter().map(|(shard, _, _)| *shard).collect();
    closed.sort_unstable();
    assert_eq!(closed, [0, 1], "the greatest shard is the newest");
}

#[test]
fn a_connection_that_was_given_up_does_not_take_its_successors_place_on_another_shard() {
    let mut world = three(5, 1);
    world.run_ms(100);
    // Begun in this order, let in in the opposite one.
    let begun: Vec<_> = [30, 20, 10].map(|ms| world.now + Duration::from_millis(ms)).into();
    world.run_ms(100);
    for (shard, begun) in begun.into_iter().enumerate() {
        world.engines[shard].admit(world.now, begun, SessionKey(1), SPACE, &claims(77, 9)).unwrap();
        world.settle(shard);
        world.run_ms(50);
    }
    let superseded = |shard| (shard, SessionKey(1), Refusal::SessionSuperseded);
    assert_eq!(world.closed, [superseded(1), superseded(2)]);
}

#[test]
fn counts_of_all_shards_are_told_once_a_second_by_the_stages_shard() {
    let mut world = three(6, 1);
    for step in 0..30 {
        world.listen(step % 3, 100 + step as u32);
        world.run_ms(100);
    }
    world.run_ms(3_000);
    let counts: Vec<_> = world
        .events
        .iter()
        .filter_map(|(shard, kind)| match kind {
            EventKind::Counts(counts) => Some((*shard, *counts)),
            _ => None,
        })
        .collect();
    assert!(counts.iter().all(|(shard, _)| *shard == 0));
    assert!((4..=6).contains(&counts.len()), "{counts:?}");
    assert_eq!(counts.last().unwrap().1, Counts { named: 30, peak: 30, ..Counts::default() });
    let sum: u32 = world.engines.iter().map(|engine| engine.counts(SPACE).unwrap().named).sum();
    let peak: u32 = world.engines.iter().map(|engine| engine.counts(SPACE).unwrap().peak).sum();
    assert_eq!((sum, peak), (30, 30));
}
