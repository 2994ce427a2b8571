//! An audience that is served in parts, with things that come in between them.

use std::time::Duration;

use crate::sim::*;
use spaces_core::command::Command;
use spaces_core::engine::Track;
use spaces_core::ids::{SessionKey, SpaceId};
use spaces_core::time::TICK;

const LISTENERS: u32 = 7;

fn last_groups(world: &World) -> Vec<Option<u64>> {
    (1..=LISTENERS).map(|key| world.player(0, key).last_group).collect()
}

/// Everybody listens to one who talks; of the last tick only some have heard.
fn a_tick_under_way() -> World {
    let mut world = World::with_seats(5, 1);
    for key in 1..=LISTENERS {
        world.listen(0, key);
    }
    world.speak(&Speaker { frames: 300, ..Speaker::new(0, 0, 0) });
    world.run_ms(1_000);
    let before = last_groups(&world);
    assert!(before.iter().all(|group| group.is_some() && Some(group) == before.first()), "{before:?}");
    world.part = Some(1);
    while last_groups(&world) == before {
        world.run_ms(1);
    }
    let served = last_groups(&world).iter().filter(|group| Some(*group) > before.first()).count();
    assert!(served < LISTENERS as usize - 1, "{served}");
    world
}

#[test]
fn who_was_not_served_is_served_in_the_next_turns_and_everybody_once() {
    let mut world = a_tick_under_way();
    let newest = last_groups(&world).into_iter().max().unwrap();
    let served = |world: &World| last_groups(world).iter().filter(|group| **group == newest).count();
    for turn in served(&world) + 1..=LISTENERS as usize {
        world.settle(0);
        assert_eq!(served(&world), turn);
    }
    world.part = None;
    world.run_ms(10_000);
    for key in 1..=LISTENERS {
        let player = world.player(0, key);
        assert_eq!((player.frames, player.concealed, player.skipped), (300, 0, 0));
    }
}

#[test]
fn a_mute_reaches_those_who_were_not_served_before_the_tick_does() {
    let mut world = a_tick_under_way();
    let before = last_groups(&world);
    let mut muted = table(1);
    muted.stage[0].muted = true;
    let fence = world.upsert(2, muted).fence_group;
    world.part = None;
    world.run_ms(500);
    assert_eq!(last_groups(&world), before, "nothing of the seat, also not of a tick that others have heard");
    assert!(before.iter().all(|group| group.unwrap() <= fence));
}

#[test]
fn somebody_who_moves_into_the_place_of_one_who_left_is_not_passed_over() {
    let mut world = a_tick_under_way();
    let newest = last_groups(&world).into_iter().max().unwrap();
    // The last one takes the place of one who has been served already.
    let gone = (1..=LISTENERS).find(|key| world.player(0, *key).last_group == newest).unwrap();
    world.engines[0].leave(world.now, SessionKey(gone), false);
    world.part = None;
    world.settle(0);
    for key in (1..=LISTENERS).filter(|key| *key != gone) {
        assert_eq!(world.player(0, key).last_group, newest, "listener {key}");
    }
}

#[test]
fn ticks_that_come_faster_than_parts_are_served_leave_nobody_out() {
    let mut world = World::with_seats(6, 1);
    for key in 1..=LISTENERS {
        world.listen(0, key);
    }
    world.speak(&Speaker { frames: 500, ..Speaker::new(0, 0, 0) });
    // Two turns a tick, two listeners a turn: four of seven.
    world.part = Some(2);
    for _ in 0..400 {
        world.run_ms(TICK.as_millis() as u64);
        world.settle(0);
    }
    let heard: Vec<u64> = (1..=LISTENERS).map(|key| world.player(0, key).frames).collect();
    let (least, most) = (heard.iter().min().unwrap(), heard.iter().max().unwrap());
    assert!(*least > 200 && most - least <= most / 5, "{heard:?}");
}

#[test]
fn who_wants_words_is_not_asked_to_wait_for_those_who_hear() {
    let mut world = World::with_seats(7, 1);
    for key in 1..=LISTENERS {
        world.join(0, key, u64::from(key), &[Track::State]).unwrap();
    }
    world.listen(0, 100);
    world.speak(&Speaker { frames: 100, ..Speaker::new(0, 0, 0) });
    // Seven who do not hear cost the one who does nothing.
    world.part = Some(1);
    world.run(START + Duration::from_secs(4));
    assert_eq!(world.player(0, 100).frames, 100);
}

#[test]
fn a_space_with_more_news_than_can_be_served_keeps_no_other_waiting() {
    // Behind it and before it in whatever order Spaces are kept.
    for other in [SpaceId(SPACE.0 - 2), SpaceId(SPACE.0 + 2)] {
        let mut world = World::with_seats(8, 1);
        for key in 1..=LISTENERS {
            world.listen(0, key);
        }
        world.apply(&Command::UpsertSpace { space: other, version: 1, table: table(1) });
        world.engines[0].admit(world.now, world.now, SessionKey(100), other, &claims(100, 777)).unwrap();
        world.engines[0].subscribe(world.now, SessionKey(100), Track::State).unwrap();
        world.speak(&Speaker { frames: 500, ..Speaker::new(0, 0, 0) });
        world.part = Some(1);
        for version in 1..=100 {
            let snapshot = format!("{version}").into();
            world.apply(&Command::SetState { space: other, version, snapshot });
            world.run_ms(TICK.as_millis() as u64);
        }
        let told = world.player(0, 100).states.len();
        assert!(told >= 50, "{other:?}: {told} of 100");
    }
}
