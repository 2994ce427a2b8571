//! Several shards on one port: what the kernel gives to whom, where joins end up, and shards that are added while people hear.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a test: its helpers may fail as they may

mod common;

use std::collections::BTreeSet;

use common::{EVERY_WAY, SPACE, Via, World, packet, row, sequence_of};
use spaces_core::command::Command;
use spaces_core::ids::SpaceId;
use spaces_core::refusal::Refusal;
use spaces_moqt::seam::Protocol;
use spaces_net::endpoint::EndpointStats;

fn sum(world: &World, of: impl Fn(&EndpointStats) -> u64) -> u64 {
    world.server.stats().unwrap().shards.iter().map(|shard| of(&shard.endpoint)).sum()
}

fn sessions(world: &World) -> Vec<u64> {
    world.server.stats().unwrap().shards.iter().map(|shard| shard.sessions).collect()
}

/// Listeners over every transport and a speaker, half of whom change their address again and again.
fn talk_on_the_move(world: &mut World) {
    let mut listeners: Vec<_> =
        EVERY_WAY.into_iter().chain(EVERY_WAY).map(|via| world.listener(via, &["stage"])).collect();
    world.another_address();
    listeners.extend(EVERY_WAY.map(|via| world.listener(via, &["stage"])));
    let speaker = world.speaker(Via::Web(Protocol::Lite05), 0);
    let mut sequence = 0;
    let mut say = |world: &mut World, frames| {
        world.talk(frames, |world, _| {
            sequence += 1;
            world.say(speaker, sequence, &packet(0, sequence));
        });
        sequence
    };
    for _ in 0..5 {
        say(world, 15);
        world.move_first();
    }
    let last = say(world, 40);
    for key in &listeners {
        let late = world.heard(*key, 0).iter().filter(|opus| sequence_of(opus) > last - 20).count();
        assert!(late >= 17, "{key:?}: {late}; {:#?}", world.server.stats());
    }
}

#[test]
fn where_the_kernel_steers_no_packet_reaches_the_wrong_shard_not_even_of_who_has_moved() {
    let mut world = World::new(4);
    assert!(world.server.steered());
    talk_on_the_move(&mut world);
    assert!(sessions(&world).iter().all(|sessions| *sessions >= 2), "{:?}", sessions(&world));
    assert!(sum(&world, |stats| stats.received) > 500);
    assert_eq!(sum(&world, |stats| stats.forwarded), 0, "{:#?}", world.server.stats());
    // What is passed on is first packets alone.
    assert_eq!(sum(&world, |stats| stats.injected), sum(&world, |stats| stats.given));
}

#[test]
fn where_it_does_not_packets_are_passed_on_and_everybody_hears() {
    let mut world = World::with(4, |config| config.steer = false);
    assert!(!world.server.steered());
    talk_on_the_move(&mut world);
    assert!(sum(&world, |stats| stats.forwarded) > 50, "{:#?}", world.server.stats());
}

#[test]
fn joins_from_one_address_are_spread_evenly() {
    for steer in [true, false] {
        let mut world = World::with(4, |config| config.steer = steer);
        let keys: Vec<_> = (0..400)
            .map(|n| {
                if n % 20 == 0 {
                    world.turn();
                }
                world.dial(Via::Raw(Protocol::Lite05), None, &["stage"], None)
            })
            .collect();
        world.until("all subscribed", |world| keys.iter().all(|key| world.peer(*key).subscribed.len() == 1));
        let sessions = sessions(&world);
        assert_eq!(sessions.iter().sum::<u64>(), 400);
        assert!(sessions.iter().all(|sessions| (90..=110).contains(sessions)), "steered: {steer}: {sessions:?}");
        if steer {
            assert!(sum(&world, |stats| stats.given) < 200, "{:#?}", world.server.stats());
        }
    }
}

#[test]
fn who_comes_after_many_have_left_goes_where_they_were() {
    let mut world = World::new(2);
    let mut keys: Vec<_> = (0..40).map(|_| world.listener(Via::Raw(Protocol::Lite05), &["stage"])).collect();
    world.another_address();
    // All of one shard go.
    let gone = world.server.add_shard(None).unwrap();
    assert_eq!(gone, 2);
    keys.extend((0..20).map(|_| world.listener(Via::Raw(Protocol::Lite05), &["stage"])));
    let sessions = sessions(&world);
    assert!(sessions[2] >= 17, "joins go to the one that has none: {sessions:?}");
}

/// Every tick of the stage was heard by all who were there before, whatever was added meanwhile.
#[test]
fn shards_are_added_while_people_talk_and_nobody_loses_a_frame() {
    let mut world = World::new(1);
    let listeners: Vec<_> = EVERY_WAY.into_iter().map(|via| world.listener(via, &["stage"])).collect();
    let speaker = world.speaker(Via::Web(Protocol::Lite05), 0);
    world.talk(40, |world, n| world.say(speaker, n, &packet(0, n)));
    let mut newcomers = Vec::new();
    let mut sequence = 40;
    for round in 1..4u64 {
        assert_eq!(u64::from(world.server.add_shard(None).unwrap()), round);
        for _ in 0..12 {
            let token = world.token(Some(9_000 + 100 * round + newcomers.len() as u64));
            newcomers.push(world.dial(Via::Web(Protocol::Moqt18), Some(&token), &["stage", "state"], None));
        }
        world.talk(60, |world, _| {
            world.say(speaker, sequence, &packet(0, sequence));
            sequence += 1;
        });
    }
    assert!(world.server.steered());
    world.receive_all();
    let stats = world.server.stats().unwrap();
    let ticks: u64 = stats.shards.iter().map(|shard| shard.engine.ticks).sum();
    assert!(ticks >= 200, "{stats:#?}");
    for key in &listeners {
        let heard: BTreeSet<_> = world.heard(*key, 0).iter().map(|opus| sequence_of(opus)).collect();
        assert_eq!(heard.len() as u64, ticks, "{key:?}: {stats:#?}");
    }
    assert!(stats.shards.iter().skip(1).all(|shard| shard.sessions >= 8), "{:?}", sessions(&world));
    for key in newcomers {
        let late = world.heard(key, 0).iter().filter(|opus| sequence_of(opus) >= 190).count();
        assert!(late >= 27, "{key:?} heard {late}: {stats:#?}");
    }
}

#[test]
fn an_added_shard_obeys_commands_and_takes_speakers() {
    let mut world = World::new(1);
    world.server.add_shard(None).unwrap();
    world.server.add_shard(None).unwrap();
    let snapshot = bytes::Bytes::from_static(b"{\"title\":1}");
    world.server.apply(&Command::SetState { space: SPACE, version: 7, snapshot: snapshot.clone() }).unwrap();
    let listeners: Vec<_> =
        (0..6).map(|n| world.listener(EVERY_WAY[n % 4], &["stage", "stage.groups", "state"])).collect();
    let muted = world.speaker(Via::Web(Protocol::Lite05), 0);
    let other = world.speaker(Via::Raw(Protocol::Moqt18), 1);
    assert!(sessions(&world).iter().all(|sessions| *sessions >= 2), "{:?}", sessions(&world));
    world.talk(20, |world, n| {
        world.say(muted, n, &packet(0, n));
        world.say(other, n, &packet(1, n));
    });
    world.stage = vec![row(0, 100, true), row(1, 101, false)];
    world.upsert();
    world.receive_all();
    let before: Vec<_> = listeners.iter().map(|key| world.peer(*key).got.len()).collect();
    world.talk(20, |world, n| {
        world.say(muted, 20 + n, &packet(0, 20 + n));
        world.say(other, 20 + n, &packet(1, 20 + n));
    });
    for (key, before) in listeners.iter().zip(before) {
        assert!(world.heard_after(*key, 0, before).is_empty(), "{key:?}");
        assert!(world.heard_after(*key, 1, before).len() >= 15, "{key:?}");
        assert!(world.peer(*key).got.iter().any(|got| got.payload == snapshot), "{key:?}");
    }
    assert_eq!(world.server.counts(SPACE).unwrap().map(|counts| counts.named + counts.guests), Some(8));
    // Spaces that are made now have their stage on any of them; captions and ends find it.
    for id in 30..36 {
        let table = spaces_core::command::SpaceTable { stage: Vec::new(), ..table(&world) };
        world.server.apply(&Command::UpsertSpace { space: SpaceId(id), version: 1, table }).unwrap();
        let seat = spaces_core::ids::SeatNo::new(0).unwrap();
        let refused = world.server.caption(SpaceId(id), seat, 1, bytes::Bytes::new());
        assert_eq!(refused, Err(spaces_net::server::ServerError::Denied(Refusal::CaptionsNoConsent)), "{id}");
        world.server.apply(&Command::EndSpace { space: SpaceId(id), version: 2 }).unwrap();
    }
    let seat = spaces_core::ids::SeatNo::new(0).unwrap();
    let refused = world.server.caption(SPACE, seat, 1, bytes::Bytes::new());
    assert_eq!(refused, Err(spaces_net::server::ServerError::Denied(Refusal::CaptionsNoConsent)));
}

fn table(world: &World) -> spaces_core::command::SpaceTable {
    spaces_core::command::SpaceTable {
        live: true,
        record: false,
        guests: true,
        ticketed: false,
        mic_open: true,
        mix: false,
        mix_for: spaces_core::command::MixFor::Nobody,
        started_at_ms: common::now_ms(),
        stage: world.stage.clone(),
    }
}
