//! Who is there: the watch list, the roster, and being sent away.

use crate::sim::*;
use spaces_core::admission::Claims;
use spaces_core::command::{AclKind, Command};
use spaces_core::engine::{Config, Verdict};
use spaces_core::event::EventKind;
use spaces_core::ids::{AccountId, SessionKey, Sid};
use spaces_core::refusal::Refusal;

fn watch(version: u64, accounts: &[u64]) -> Command {
    let (kind, owner) = (AclKind::Watch, AccountId(0));
    Command::SetAcl { space: SPACE, kind, owner, version, accounts: accounts.to_vec() }
}

fn kick(account: u64, sid: Option<u64>) -> Command {
    let (account, sid) = (AccountId(account), sid.map(Sid));
    Command::Kick { space: SPACE, account, sid, reason: Refusal::ParticipantRemoved }
}

/// What was told of people since the last call: `+` account and sid, `-` account and sid.
fn told(world: &mut World) -> Vec<(char, u64, u64)> {
    let events = std::mem::take(&mut world.events);
    let people = events.into_iter().filter_map(|(_, kind)| match kind {
        EventKind::Joined { account, sid } => Some(('+', account.0, sid.0)),
        EventKind::Left { account, sid, .. } => Some(('-', account.0, sid.0)),
        _ => None,
    });
    people.collect()
}

fn enter(world: &mut World, shard: usize, key: u32, claims: &Claims) {
    world.engines[shard].admit(world.now, world.now, SessionKey(key), SPACE, claims).unwrap();
    world.settle(shard);
}

fn leave(world: &mut World, shard: usize, key: u32) {
    world.engines[shard].leave(world.now, SessionKey(key), false);
    world.settle(shard);
}

#[test]
fn watched_people_are_told_of_and_nobody_else() {
    let mut world = World::with_seats(1, 1);
    world.apply(&watch(1, &[50, 60]));
    enter(&mut world, 0, 1, &claims(50, 7));
    enter(&mut world, 0, 2, &claims(51, 8));
    enter(&mut world, 0, 3, &Claims { anonymous: true, ..claims(60, 9) });
    enter(&mut world, 0, 4, &claims(0, 0));
    assert_eq!(told(&mut world), [('+', 50, 7)], "not the others, not who listens unnamed, not guests");
    (1..=4).for_each(|key| leave(&mut world, 0, key));
    assert_eq!(told(&mut world), [('-', 50, 7)]);
}

#[test]
fn who_comes_on_a_list_while_being_there_is_told_of_once() {
    let mut world = World::with_seats(2, 1);
    enter(&mut world, 0, 1, &claims(50, 7));
    enter(&mut world, 0, 2, &claims(50, 8));
    enter(&mut world, 0, 3, &Claims { anonymous: true, ..claims(50, 9) });
    enter(&mut world, 0, 4, &claims(account(0).0, 10));
    assert_eq!(told(&mut world), [('+', account(0).0, 10)]);
    world.apply(&watch(1, &[50, account(0).0]));
    assert_eq!(told(&mut world), [('+', 50, 7), ('+', 50, 8)], "each connection; the stage was told before");
    world.apply(&watch(1, &[50, account(0).0]));
    world.apply(&watch(2, &[50, 51, account(0).0]));
    assert_eq!(told(&mut world), []);
    // A seat tells nothing new of a watched person, and a person who loses it is still watched.
    let mut seated = table(1);
    let mut row = row(1);
    row.account = AccountId(50);
    seated.stage.push(row);
    world.upsert(2, seated);
    world.upsert(3, table(1));
    assert_eq!(told(&mut world), []);
    leave(&mut world, 0, 1);
    world.apply(&watch(3, &[]));
    leave(&mut world, 0, 2);
    assert_eq!(told(&mut world), [('-', 50, 7)], "no longer watched: no longer told of");
    // A list may come before its people, and a seat without a list tells as ever.
    enter(&mut world, 0, 5, &claims(account(1).0, 11));
    world.upsert(4, table(2));
    assert_eq!(told(&mut world), [('+', account(1).0, 11)]);
}

#[test]
fn the_roster_is_named_people_in_order_once_each() {
    let mut world = World::with_seats(3, 1);
    for (key, account, sid) in [(1, 30, 1), (2, 10, 2), (3, 20, 3), (4, 10, 4), (5, account(0).0, 5)] {
        world.now = world.now + std::time::Duration::from_millis(1);
        enter(&mut world, 0, key, &claims(account, sid));
    }
    enter(&mut world, 0, 6, &Claims { anonymous: true, ..claims(15, 6) });
    enter(&mut world, 0, 7, &claims(0, 0));
    let page = |world: &World, after, limit| {
        let page = world.engines[0].roster(SPACE, AccountId(after), limit);
        page.iter().map(|listed| (listed.account.0, listed.sid.0)).collect::<Vec<_>>()
    };
    assert_eq!(page(&world, 0, 10), [(10, 4), (20, 3), (30, 1), (100, 5)], "the newest session of each");
    assert_eq!(page(&world, 0, 1), [(10, 4)], "the last one of a page is whole, too");
    assert_eq!(page(&world, 10, 2), [(20, 3), (30, 1)]);
    assert_eq!(page(&world, 100, 2), []);
    assert_eq!(world.engines[0].present(SPACE, &[10, 15, 16, 30], false), [10, 30]);
    assert_eq!(world.engines[0].present(SPACE, &[10, 15, 16, 30], true), [15]);
    leave(&mut world, 0, 4);
    assert_eq!(page(&world, 0, 2), [(10, 2), (20, 3)]);
    leave(&mut world, 0, 2);
    assert_eq!(page(&world, 0, 2), [(20, 3), (30, 1)]);
    assert_eq!(world.engines[0].present(SPACE, &[10, 20], false), [20]);
}

#[test]
fn who_is_kicked_is_out_everywhere_and_may_come_again() {
    let mut world = World::with_seats(4, 2);
    enter(&mut world, 0, 1, &claims(50, 7));
    enter(&mut world, 0, 2, &claims(50, 8));
    enter(&mut world, 0, 3, &Claims { anonymous: true, ..claims(50, 9) });
    enter(&mut world, 0, 4, &claims(51, 10));
    world.apply(&kick(50, Some(8)));
    assert_eq!(world.closed, [(0, SessionKey(2), Refusal::ParticipantRemoved)]);
    world.apply(&kick(50, None));
    assert_eq!(world.closed.len(), 3, "all of the account's, unnamed ones too: {:?}", world.closed);
    world.apply(&kick(50, None));
    assert_eq!(world.closed.len(), 3);
    enter(&mut world, 0, 1, &claims(50, 7));
    assert_eq!(world.engines[0].present(SPACE, &[50, 51], false), [50, 51]);
}

#[test]
fn nothing_of_a_kicked_speaker_is_sent_until_they_join_again() {
    let mut world = World::new(5, 3, Config::default());
    world.upsert(1, table(2));
    (0..3).for_each(|shard| world.listen(shard, 100));
    // The speaker is connected to shard 1; the stage lives on shard 0.
    world.speak(&Speaker { frames: 400, ..Speaker::new(1, 1, 1) });
    world.speak(&Speaker { frames: 400, ..Speaker::new(2, 0, 0) });
    world.run_ms(2_003);
    // As `Server::apply` does it: the rounds, each shard's mail before its turn.
    world.between = std::time::Duration::ZERO;
    for shard in [1, 2, 0, 1, 2] {
        world.run_ms(0);
        world.engines[shard].apply(world.now, &kick(account(1).0, None)).unwrap();
        world.settle(shard);
    }
    assert_eq!(world.closed, [(1, SessionKey(1), Refusal::ParticipantRemoved)]);
    let before = world.verdict(1, Verdict::NoSeat);
    (0..3).for_each(|shard| world.nets[shard].log = Some(Vec::new()));
    world.run_ms(1_000);
    assert!(world.verdict(1, Verdict::NoSeat) > before + 30, "it still sends, as it has not heard of it yet");
    for net in &mut world.nets {
        let seats: Vec<u8> = net.log.take().unwrap().iter().flat_map(Entry::frames).map(|(_, seat)| seat).collect();
        assert!(seats.len() > 30 && seats.iter().all(|seat| *seat == 0), "{seats:?}");
    }
    // Back again, with the seat that was never taken away.
    enter(&mut world, 1, 1, &claims(account(1).0, 77));
    world.engines[1].publish(world.now, SessionKey(1), seat(1)).unwrap();
    world.run_ms(1_000);
    let seats = world.player(2, 100).seats;
    assert_eq!(seats, 0b11);
}
