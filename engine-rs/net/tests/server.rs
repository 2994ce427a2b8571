//! A server on loopback: speakers and listeners over every transport, in one shard and in several.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a test: its helpers may fail as they may

mod common;

use std::collections::HashSet;
use std::time::Duration;

use bytes::Bytes;
use common::{EVERY_WAY, SPACE, Via, World, packet, row, sequence_of};
use spaces_core::command::Command;
use spaces_core::event::EventKind;
use spaces_core::refusal::Refusal;
use spaces_moqt::seam::{Protocol, Transport};
use spaces_net::connection::Closed;
use spaces_net::identity::Identity;
use spaces_net::server::RenewError;

fn refused(refusal: Refusal) -> Closed {
    Closed::Peer { code: u64::from(refusal.wire()), reason: refusal.code().to_owned() }
}

#[test]
fn every_listener_hears_every_frame_as_it_was_spoken() {
    let mut world = World::new(1);
    let ways = || EVERY_WAY.into_iter().chain(EVERY_WAY);
    let listeners: Vec<_> = ways().map(|via| world.listener(via, &["stage", "state"])).collect();
    let speaker = world.speaker(Via::Web(Protocol::Lite05), 0);
    world.talk(100, |world, n| world.say(speaker, n, &packet(0, n)));
    for (key, via) in listeners.into_iter().zip(ways()) {
        let heard = world.heard(key, 0);
        assert!(heard.len() >= 95, "{via:?} heard {}: {:#?}", heard.len(), world.server.stats());
        for opus in heard {
            assert_eq!(opus, packet(0, sequence_of(&opus)));
        }
        assert!(world.peer(key).got.iter().filter(|got| got.track == "stage").all(|got| got.datagram));
    }
    let stats = world.server.stats().unwrap();
    let downlink = stats.shards[0].downlink;
    assert!(downlink.framed * 2 <= downlink.datagrams + 10, "equal datagrams are framed once: {downlink:?}");
}

#[test]
fn two_speakers_from_every_transport_are_heard_together_and_never_by_themselves() {
    for via in [Via::Raw(Protocol::Moqt18), Via::Web(Protocol::Moqt18), Via::Web(Protocol::Lite05)] {
        let mut world = World::new(1);
        let listener = world.listener(Via::Web(Protocol::Moqt18), &["stage"]);
        let token = world.token(Some(100));
        let first = world.dial(via, Some(&token), &["stage"], Some(0));
        world.until("on air", |world| world.on_air(first));
        let second = world.speaker(via, 1);
        world.talk(50, |world, n| {
            world.say(first, n, &packet(0, n));
            world.say(second, n, &packet(1, n));
        });
        for seat in [0, 1] {
            assert!(world.heard(listener, seat).len() >= 45, "{via:?} seat {seat}");
        }
        assert!(world.heard(first, 1).len() >= 45, "{via:?}");
        assert!(world.heard(first, 0).is_empty(), "a speaker hears itself over {via:?}");
    }
}

#[test]
fn documents_groups_and_single_seats_arrive_on_their_tracks() {
    for via in EVERY_WAY {
        let mut world = World::new(1);
        let snapshot = Bytes::from(vec![b'x'; 40_000]);
        world.server.apply(&Command::SetState { space: SPACE, version: 7, snapshot: snapshot.clone() }).unwrap();
        let listener = world.listener(via, &["state", "catalog", "stage.groups", "seat/0"]);
        let speaker = world.speaker(Via::Raw(Protocol::Moqt18), 0);
        world.talk(75, |world, n| world.say(speaker, n, &packet(0, n)));
        let got = world.peer(listener).got.clone();
        let of = |track: &str| got.iter().filter(|got| got.track == track).collect::<Vec<_>>();
        assert!(of("state").iter().any(|got| got.payload == snapshot && got.header.group == 7), "{via:?}");
        assert!(of("catalog").iter().any(|got| got.payload.starts_with(b"{")), "{via:?}");
        let (groups, seat) = (of("stage.groups"), of("seat/0"));
        assert!(groups.len() >= 65 && groups.iter().all(|got| !got.datagram), "{via:?}: {}", groups.len());
        assert!(seat.len() >= 65 && seat.iter().all(|got| got.datagram), "{via:?}: {}", seat.len());
    }
}

#[test]
fn several_shards_serve_one_space() {
    let mut world = World::new(3);
    let mut listeners = Vec::new();
    for n in 0..12 {
        if n % 3 == 0 {
            world.another_address();
        }
        listeners.push(world.listener(EVERY_WAY[n % 4], &["stage"]));
    }
    let speaker = world.speaker(Via::Web(Protocol::Lite05), 0);
    world.talk(60, |world, n| world.say(speaker, n, &packet(0, n)));
    let stats = world.server.stats().unwrap();
    let used = stats.shards.iter().filter(|shard| shard.sessions > 0).count();
    assert!(used >= 2, "{stats:#?}");
    for key in listeners {
        let heard = world.heard(key, 0).len();
        assert!(heard >= 50, "listener {key:?} heard {heard}: {stats:#?}");
    }
    assert_eq!(world.server.counts(SPACE).unwrap().map(|c| c.named + c.guests), Some(13));
}

#[test]
fn the_newest_connection_of_a_session_wins_across_shards() {
    let mut world = World::new(3);
    let token = world.token_of(Some(9), 77, common::now_ms() / 1_000 + 60);
    let mut last = None;
    for _ in 0..5 {
        world.another_address();
        let key = world.dial(Via::Web(Protocol::Moqt18), Some(&token), &["stage"], None);
        world.until("subscribed", |world| world.peer(key).subscribed.len() == 1);
        if let Some(older) = last.replace(key) {
            world.until("superseded", |world| world.is_closed(older));
            assert_eq!(world.closed(older), Some(&refused(Refusal::SessionSuperseded)));
        }
    }
    assert!(!world.is_closed(last.unwrap()));
}

#[test]
fn a_listener_that_moves_is_heard_and_hears_on() {
    for shards in [1, 4] {
        let mut world = World::new(shards);
        let listeners: Vec<_> = EVERY_WAY.into_iter().map(|via| world.listener(via, &["stage"])).collect();
        world.another_address();
        let speaker = world.speaker(Via::Web(Protocol::Lite05), 0);
        // Four moves: with four shards at least one of them lands elsewhere, all but surely.
        let mut sequence = 0;
        for _ in 0..4 {
            world.talk(15, |world, _| {
                sequence += 1;
                world.say(speaker, sequence, &packet(0, sequence));
            });
            world.move_first();
        }
        world.talk(40, |world, _| {
            sequence += 1;
            world.say(speaker, sequence, &packet(0, sequence));
        });
        for key in &listeners {
            let late = world.heard(*key, 0).iter().filter(|opus| sequence_of(opus) > sequence - 20).count();
            assert!(late >= 17, "{shards} shards, {key:?}: {late}; {:#?}", world.server.stats());
        }
    }
}

#[test]
fn after_a_mute_is_answered_no_frame_of_the_seat_is_sent() {
    for shards in [1, 3] {
        let mut world = World::new(shards);
        let mut listeners = Vec::new();
        for via in EVERY_WAY {
            world.another_address();
            listeners.push(world.listener(via, &["stage", "stage.1", "stage.groups", "seat/0"]));
        }
        world.another_address();
        let muted = world.speaker(Via::Web(Protocol::Lite05), 0);
        let other = world.speaker(Via::Raw(Protocol::Moqt18), 1);
        for round in 0..6u64 {
            let base = round * 1_000;
            world.stage = vec![row(0, 100, false), row(1, 101, false)];
            world.upsert();
            world.talk(10 + round, |world, n| {
                world.say(muted, base + n, &packet(0, base + n));
                world.say(other, base + n, &packet(1, base + n));
            });
            // Frames on their way while the command is applied: in the server's socket, its jitter buffer, its queues.
            for n in 20..25 {
                world.say(muted, base + n, &packet(0, base + n));
            }
            world.turn();
            world.stage = vec![row(0, 100, true), row(1, 101, false)];
            let fence = world.upsert().fence_group;
            // What is in the listeners' sockets now was sent before the answer. Everything after is after the fence.
            world.receive_all();
            let before: Vec<_> = listeners.iter().map(|key| world.peer(*key).got.len()).collect();
            world.talk(15, |world, n| {
                world.say(muted, base + 100 + n, &packet(0, base + 100 + n));
                world.say(other, base + 100 + n, &packet(1, base + 100 + n));
            });
            for (key, before) in listeners.iter().zip(before) {
                let late = world.heard_after(*key, 0, before);
                assert!(late.is_empty(), "{shards} shards, {key:?}, round {round}: {late:?} after the fence {fence}");
                assert!(!world.heard_after(*key, 1, before).is_empty(), "the other seat is heard on");
                let past = world.peer(*key).got.iter().filter(|got| got.track == "stage" && got.header.group > fence);
                let seats: HashSet<u8> = past
                    .flat_map(|got| {
                        spaces_core::bundle::entries(&got.payload).flatten().map(|e| e.seat.get()).collect::<Vec<_>>()
                    })
                    .collect();
                assert!(round > 0 || !seats.contains(&0), "a muted seat in a group after the fence");
            }
        }
        let stats = world.server.stats().unwrap();
        assert!(stats.shards.iter().any(|shard| shard.desk.verdicts.silenced > 0), "{stats:#?}");
    }
}

#[test]
fn a_mute_reaches_what_congestion_holds_back() {
    for (shards, via) in
        [(1, Via::Web(Protocol::Moqt18)), (2, Via::Web(Protocol::Lite05)), (1, Via::Raw(Protocol::Moqt18))]
    {
        let mut world = World::new(shards);
        let stalled = world.listener(via, &["stage", "stage.groups", "seat/0"]);
        world.another_address();
        let speaker = world.speaker(Via::Web(Protocol::Lite05), 0);
        world.stall_first();
        let blocked =
            |world: &World| world.server.stats().unwrap().shards.iter().map(|s| s.downlink.blocked).sum::<u64>();
        let mut n = 0;
        while blocked(&world) < 20 {
            n += 1;
            assert!(n < 500, "nothing is held back: {:#?}", world.server.stats());
            world.talk(1, |world, _| world.say(speaker, n, &packet(0, n)));
        }
        world.stage = vec![row(0, 100, true), row(1, 101, false)];
        world.upsert();
        // One turn takes in all that lies in the socket, which was sent before the answer, before it acknowledges anything.
        world.resume_first();
        world.turn();
        let before = world.peer(stalled).got.len();
        assert!(before > 0);
        world.turn_for(Duration::from_millis(1_500));
        let late = world.heard_after(stalled, 0, before);
        assert!(late.is_empty(), "{via:?}: {} frames after the fence", late.len());
        assert!(!world.is_closed(stalled), "{:?}", world.closed(stalled));
    }
}

#[test]
fn a_mute_closes_a_connection_from_which_nothing_can_be_taken_back() {
    // The listener moves and falls silent: its new path is not validated, and anti-amplification (RFC 9000 §8.1) lets only
    // three times of what it sent out. What waits for it can neither leave nor be taken back. After three PTOs QUIC goes
    // back to the old path (§8.2.4), so on a busy machine it may take more than one try to get there.
    for _ in 0..10 {
        let mut world = World::new(1);
        let moved = world.listener(Via::Web(Protocol::Moqt18), &["stage"]);
        world.another_address();
        let speaker = world.speaker(Via::Web(Protocol::Lite05), 0);
        world.talk(20, |world, n| world.say(speaker, n, &packet(0, n)));
        world.move_first();
        world.turn_once_first();
        world.stall_first();
        world.talk(3, |world, n| world.say(speaker, 20 + n, &packet(0, 20 + n)));
        world.stage = vec![row(0, 100, true), row(1, 101, false)];
        world.upsert();
        let aborts = world.server.stats().unwrap().shards[0].endpoint.purge_aborts;
        world.resume_first();
        world.turn();
        let before = if world.is_closed(moved) { 0 } else { world.peer(moved).got.len() };
        world.turn_for(Duration::from_millis(500));
        let late = if world.is_closed(moved) { Vec::new() } else { world.heard_after(moved, 0, before) };
        assert!(late.is_empty(), "{} frames after the fence", late.len());
        if aborts == 1 {
            return;
        }
    }
    panic!("nothing was ever stuck behind an unvalidated path");
}

#[test]
fn a_recorded_space_has_its_files() {
    let directory = std::env::temp_dir().join(format!("spaces-net-{}", std::process::id()));
    let recordings = spaces_net::recorder::RecorderConfig::new(&directory);
    let mut world = World::with(2, |config| config.recordings = Some(recordings));
    world.record = true;
    world.upsert();
    let speaker = world.speaker(Via::Web(Protocol::Lite05), 0);
    world.talk(60, |world, n| world.say(speaker, n, &packet(0, n)));
    world.server.apply(&Command::EndSpace { space: SPACE, version: 100 }).unwrap();
    world.until("files", |world| !world.server.recordings(SPACE).unwrap().is_empty());
    let dropped: u64 = world.server.stats().unwrap().shards.iter().map(|shard| shard.record_dropped).sum();
    assert_eq!(dropped, 0);
    drop(world);
    std::fs::remove_dir_all(directory).unwrap();
}

#[test]
fn a_browser_without_subprotocols_says_its_protocol_in_the_query() {
    let mut world = World::new(1);
    for protocol in [Protocol::Moqt18, Protocol::Lite05] {
        let key = world.dial_query(protocol, &format!("protocol={}", protocol.name()));
        world.until("subscribed", |world| world.peer(key).subscribed.len() == 1);
    }
    let key = world.dial_query(Protocol::Moqt18, "protocol=moqt-99");
    world.until("refused", |world| world.is_closed(key));
    assert_eq!(world.closed(key), Some(&Closed::Refused(Some(400))));
}

#[test]
fn a_mute_reaches_what_waits_on_streams() {
    for via in EVERY_WAY {
        let mut world = World::new(1);
        let stalled = world.listener(via, &["stage.groups"]);
        world.another_address();
        let speaker = world.speaker(Via::Web(Protocol::Lite05), 0);
        world.stall_first();
        // More than the first congestion window takes: the rest waits in the server.
        world.talk(150, |world, n| world.say(speaker, n, &[packet(0, n), vec![0; 130]].concat()));
        world.stage = vec![row(0, 100, true), row(1, 101, false)];
        world.upsert();
        world.resume_first();
        world.turn();
        let before = world.peer(stalled).got.len();
        assert!(before > 0);
        world.turn_for(Duration::from_millis(1_500));
        let late = world.heard_after(stalled, 0, before);
        assert!(late.is_empty(), "{via:?}: {} frames after the fence", late.len());
        assert!(!world.is_closed(stalled), "{:?}", world.closed(stalled));
    }
}

#[test]
fn a_stalled_listener_does_not_slow_the_others() {
    let mut world = World::new(1);
    let stalled = world.listener(Via::Web(Protocol::Moqt18), &["stage", "stage.groups"]);
    world.another_address();
    let lively = world.listener(Via::Web(Protocol::Moqt18), &["stage"]);
    let speaker = world.speaker(Via::Web(Protocol::Lite05), 0);
    world.stall_first();
    world.talk(200, |world, n| world.say(speaker, n, &packet(0, n)));
    let heard = world.heard(lively, 0).len();
    assert!(heard >= 190, "{heard}: {:#?}", world.server.stats());
    let stats = world.server.stats().unwrap();
    assert!(stats.shards[0].downlink.blocked > 0, "the stalled one must have been held back: {stats:#?}");
    assert_eq!(stats.shards[0].sessions, 3, "a stall of four seconds is no reason to go");
    // It goes on with what is new, not with what it missed.
    world.resume_first();
    world.talk(50, |world, n| world.say(speaker, 200 + n, &packet(0, 200 + n)));
    let heard = world.heard(stalled, 0);
    assert!(heard.iter().any(|opus| sequence_of(opus) > 235), "{:?}", heard.last().map(|opus| sequence_of(opus)));
}

#[test]
fn a_drain_says_goodbye_and_lets_nobody_in() {
    for via in EVERY_WAY {
        let mut world = World::new(2);
        let listener = world.listener(via, &["stage"]);
        world.server.goaway("").unwrap();
        world.until("goaway", |world| world.peer(listener).goaway);
        let token = world.token(None);
        let late = world.dial(via, Some(&token), &["stage"], None);
        world.until("refused", |world| world.is_closed(late));
        assert_eq!(world.closed(late), Some(&refused(Refusal::NodeCapacity)));
        let (connection, _) = world.connection(listener);
        connection.close(0, "");
        world.until("empty", |world| world.server.stats().unwrap().shards.iter().all(|shard| shard.sessions == 0));
        assert_eq!(world.server.drain("", Duration::ZERO), Ok(0));
    }
}

#[test]
fn the_end_of_a_space_closes_everybody_with_the_reason() {
    let mut world = World::new(2);
    let listeners: Vec<_> = EVERY_WAY.into_iter().map(|via| world.listener(via, &["stage"])).collect();
    world.server.apply(&Command::EndSpace { space: SPACE, version: 100 }).unwrap();
    for key in listeners {
        world.until("closed", |world| world.is_closed(key));
        assert_eq!(world.closed(key), Some(&refused(Refusal::StateEnded)));
    }
}

#[test]
fn the_stage_is_told_when_it_comes_speaks_and_goes() {
    let mut world = World::new(2);
    let speaker = world.speaker(Via::Web(Protocol::Lite05), 0);
    world.talk(10, |world, n| world.say(speaker, n, &packet(0, n)));
    let (connection, _) = world.connection(speaker);
    connection.close(0, "");
    let mut told = Vec::new();
    world.until("left", |world| {
        told.extend(world.server.drain_events().events.into_iter().map(|event| event.kind));
        told.iter().any(|kind| matches!(kind, EventKind::Left { lost: false, .. }))
    });
    assert!(told.iter().any(|kind| matches!(kind, EventKind::Joined { .. })), "{told:?}");
    assert!(told.iter().any(|kind| matches!(kind, EventKind::SeatSpeaking { .. })), "{told:?}");
}

#[test]
fn a_new_certificate_is_shown_to_new_connections_of_every_shard_and_old_ones_go_on() {
    let mut world = World::new(3);
    let old = world.server.certificate_sha256();
    let speaker = world.speaker(Via::Web(Protocol::Lite05), 0);
    let before: Vec<_> = EVERY_WAY.into_iter().map(|via| world.listener(via, &["stage"])).collect();
    let identity = Identity::development(["localhost"]).unwrap();
    let new = identity.sha256();

    let other = Identity::development(["localhost"]).unwrap();
    let bad = Identity { chain: identity.chain.clone(), key: other.key };
    assert!(matches!(world.server.set_identity(bad), Err(RenewError::Setup(_))));
    assert_eq!(world.server.certificate_sha256(), old);
    // With a ticket of the old certificate in its hands, too: the dialler is the same.
    let still = world.listener(Via::Raw(Protocol::Moqt18), &["stage"]);

    world.server.set_identity(identity).unwrap();
    assert_eq!(world.server.certificate_sha256(), new);
    let mut refused = Vec::new();
    for n in 0..8 {
        world.another_address();
        refused.push(world.dial(EVERY_WAY[n % 4], None, &["stage"], None));
    }
    world.until("the old hash is refused", |world| refused.iter().all(|key| world.is_closed(*key)));
    world.trust(new);
    let mut after = Vec::new();
    for n in 0..12 {
        world.another_address();
        after.push(world.listener(EVERY_WAY[n % 4], &["stage"]));
    }
    let stats = world.server.stats().unwrap();
    assert!(stats.shards.iter().filter(|shard| shard.sessions > 0).count() >= 2, "{stats:#?}");
    world.talk(50, |world, n| world.say(speaker, n, &packet(0, n)));
    for key in before.into_iter().chain([still]).chain(after) {
        assert!(!world.is_closed(key));
        assert!(world.heard(key, 0).len() >= 40, "{key:?} heard {}", world.heard(key, 0).len());
    }
}
