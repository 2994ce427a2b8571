//! Counts and reactions: told in sums, twice a second at most, to everybody and to the control plane.

use std::time::Duration;

use bytes::Bytes;

use crate::sim::*;
use spaces_core::admission::Claims;
use spaces_core::command::Command;
use spaces_core::engine::{Config, Track};
use spaces_core::event::EventKind;
use spaces_core::ids::{AccountId, SessionKey};
use spaces_core::refusal::Refusal;

fn state(version: u64) -> Command {
    Command::SetState { space: SPACE, version, snapshot: Bytes::from_static(b"{\"title\":1}") }
}

/// What a listener was told on the `state` track since the last call, snapshots left out.
fn pulses(world: &mut World, shard: usize, key: u32) -> Vec<String> {
    let Some(player) = world.nets[shard].players.get_mut(&SessionKey(key)) else { return Vec::new() };
    let states = std::mem::take(&mut player.states);
    let texts = states.into_iter().map(|(_, payload)| String::from_utf8(payload.to_vec()).unwrap());
    texts.filter(|text| text.starts_with("{\"tier\"")).collect()
}

fn watch_state(world: &mut World, shard: usize, key: u32) {
    world.join(shard, key, 10_000 + u64::from(key), &[Track::State]).unwrap();
}

fn react(world: &mut World, shard: usize, key: u32, kind: u8) -> Result<(), Refusal> {
    let reacted = world.engines[shard].react(world.now, SessionKey(key), kind);
    world.settle(shard);
    reacted
}

fn reported(world: &World) -> Vec<Vec<u32>> {
    let tally = |(_, kind): &(usize, EventKind)| match kind {
        EventKind::Reactions(tally) => Some(tally.counts().collect()),
        _ => None,
    };
    world.events.iter().filter_map(tally).collect()
}

#[test]
fn counts_are_told_when_they_change_and_to_who_begins_to_listen() {
    let mut world = World::with_seats(1, 1);
    world.apply(&state(1));
    watch_state(&mut world, 0, 1);
    world.run_ms(2_000);
    assert_eq!(
        pulses(&mut world, 0, 1),
        ["{\"tier\":\"stage\",\"counts\":{\"named\":1,\"anonymous\":0,\"guests\":0}}"]
    );
    world.run_ms(10_000);
    assert!(pulses(&mut world, 0, 1).is_empty(), "nothing changed");
    for key in 2..100 {
        watch_state(&mut world, 0, key);
        world.run_ms(30);
    }
    world.run_ms(1_000);
    let told = pulses(&mut world, 0, 1);
    assert!((6..=7).contains(&told.len()), "98 joins in 3 s, told twice a second: {told:?}");
    assert_eq!(told.last().unwrap(), "{\"tier\":\"stage\",\"counts\":{\"named\":99,\"anonymous\":0,\"guests\":0}}");
    // Back by the same session: the counts are the same, and must be told all the same.
    world.engines[0].admit(world.now, world.now, SessionKey(200), SPACE, &claims(10_050, 51)).unwrap();
    world.engines[0].subscribe(world.now, SessionKey(200), Track::State).unwrap();
    world.settle(0);
    world.run_ms(1_000);
    assert_eq!(
        pulses(&mut world, 0, 200),
        ["{\"tier\":\"stage\",\"counts\":{\"named\":99,\"anonymous\":0,\"guests\":0}}"]
    );
}

#[test]
fn a_snapshot_is_followed_by_the_counts_in_its_own_group() {
    let mut world = World::with_seats(2, 1);
    watch_state(&mut world, 0, 1);
    world.run_ms(1_000);
    assert!(!world.nets[0].players.contains_key(&SessionKey(1)), "without a snapshot there is no group");
    world.nets[0].log = Some(Vec::new());
    world.apply(&state(7));
    world.run_ms(1_000);
    world.apply(&state(9));
    world.run_ms(1_000);
    let log = world.nets[0].log.take().unwrap();
    let objects = log.iter().map(|entry| match entry {
        Entry::Sent(_, object) => (object.group, object.object == 0, object.end_of_group),
        Entry::Purged(_) => panic!("nothing was silenced"),
    });
    let objects: Vec<_> = objects.collect();
    assert_eq!(objects, [(7, true, false), (7, false, false), (9, true, false), (9, false, false)]);
    let ids: Vec<_> =
        log.iter().map(|entry| if let Entry::Sent(_, object) = entry { object.object } else { 0 }).collect();
    assert!(ids[1] < ids[3], "an object id is never used twice: {ids:?}");
}

#[test]
fn reactions_are_seen_by_all_within_a_second_on_every_shard() {
    let mut world = World::new(3, 3, Config::default());
    world.upsert(1, table(1));
    world.apply(&state(1));
    (0..3).for_each(|shard| watch_state(&mut world, shard, 1));
    world.run_ms(3_000);
    (0..3).for_each(|shard| drop(pulses(&mut world, shard, 1)));
    for shard in 0..3 {
        assert_eq!(react(&mut world, shard, 1, 4), Ok(()));
        world.run_ms(1_000);
        for other in 0..3 {
            let told = pulses(&mut world, other, 1).join("");
            assert!(told.ends_with("\"reactions\":[0,0,0,0,1]}"), "from {shard} to {other}: {told}");
        }
        world.run_ms(2_000);
    }
    let mut sum = 0;
    for n in 0..300u32 {
        for shard in 0..3 {
            sum += u32::from(react(&mut world, shard, 1, (n % 5) as u8).is_ok());
        }
        world.run_ms(10);
    }
    assert!((60..100).contains(&sum), "5 a second and 10 at once, each: {sum}");
    world.run_ms(2_000);
    for shard in 0..3 {
        let told = pulses(&mut world, shard, 1);
        assert!(told.len() <= 10, "{told:?}");
        let counts = told.iter().filter_map(|text| text.split_once("\"reactions\":[")?.1.strip_suffix("]}"));
        let seen: u32 = counts.flat_map(|list| list.split(',')).map(|count| count.parse::<u32>().unwrap()).sum();
        assert_eq!(seen, sum, "every reaction once");
    }
    let told = reported(&world);
    assert!(told.len() <= 3 + 5, "once a second: {told:?}");
    assert_eq!(told.iter().flatten().sum::<u32>(), sum + 3);
}

#[test]
fn who_begins_to_listen_does_not_see_old_reactions() {
    let mut world = World::with_seats(4, 1);
    world.apply(&state(1));
    watch_state(&mut world, 0, 1);
    world.run_ms(1_000);
    react(&mut world, 0, 1, 0).unwrap();
    world.run_ms(60_000);
    watch_state(&mut world, 0, 2);
    world.run_ms(1_000);
    let told = pulses(&mut world, 0, 2);
    assert_eq!(told, ["{\"tier\":\"stage\",\"counts\":{\"named\":2,\"anonymous\":0,\"guests\":0}}"]);
}

#[test]
fn only_named_people_react_with_what_there_is_and_not_too_often() {
    let mut world = World::new(5, 1, Config { reactions: 3, reaction_rate: 2, ..Config::default() });
    world.upsert(1, table(1));
    let people = [claims(account(0).0, 1), claims(50, 2), Claims { anonymous: true, ..claims(51, 3) }, claims(0, 0)];
    for (key, claims) in (1..).zip(people) {
        world.engines[0].admit(world.now, world.now, SessionKey(key), SPACE, &claims).unwrap();
    }
    assert_eq!(react(&mut world, 0, 1, 2), Ok(()), "who sits on stage");
    assert_eq!(react(&mut world, 0, 2, 2), Ok(()));
    assert_eq!(react(&mut world, 0, 2, 3), Err(Refusal::ReactionUnknown));
    assert_eq!(react(&mut world, 0, 3, 0), Err(Refusal::RoleForbidden), "who listens unnamed");
    assert_eq!(react(&mut world, 0, 4, 0), Err(Refusal::RoleForbidden), "who is logged out");
    assert_eq!(react(&mut world, 0, 5, 0), Err(Refusal::ParticipantNotInSpace));
    let outcomes: Vec<_> = (0..5).map(|_| react(&mut world, 0, 2, 0)).collect();
    let limited = Err(Refusal::RateLimited);
    assert_eq!(outcomes, [Ok(()), Ok(()), Ok(()), limited, limited], "2 a second, 4 at once");
    world.now = world.now + Duration::from_millis(500);
    assert_eq!(react(&mut world, 0, 2, 0), Ok(()));
    // By other ways than the session: the same rules, the same budget.
    let mut react_as = |account| world.engines[0].react_as(world.now, SPACE, AccountId(account), 1);
    assert_eq!(react_as(50), limited);
    assert_eq!(react_as(account(0).0), Ok(()));
    assert_eq!(react_as(51), Err(Refusal::ParticipantNotInSpace), "unnamed people are not there");
    let stats = world.engines[0].stats();
    assert_eq!((stats.reactions, stats.reactions_refused), (7, 7));
}
