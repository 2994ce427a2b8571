//! What the control plane asks of a server with several shards: many commands at once, who is there, who must go.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a test: its helpers may fail as they may

mod common;

use bytes::Bytes;
use common::{EVERY_WAY, SPACE, Via, World, packet};
use spaces_core::command::{ApplyError, Command, MixFor, SpaceTable};
use spaces_core::ids::{AccountId, Sid, SpaceId};
use spaces_core::refusal::Refusal;
use spaces_moqt::seam::Protocol;
use spaces_net::connection::Closed;
use spaces_net::server::ServerError;

fn table() -> SpaceTable {
    let started_at_ms = common::now_ms();
    SpaceTable {
        live: true,
        record: false,
        guests: true,
        ticketed: false,
        mic_open: true,
        mix: true,
        mix_for: MixFor::Nobody,
        started_at_ms,
        stage: vec![],
    }
}

#[test]
fn thousands_of_commands_are_one_call_and_keep_their_order() {
    for shards in [1, 3] {
        let world = World::new(shards);
        let mut commands = Vec::new();
        for id in 0..1_000 {
            let space = SpaceId(id);
            let snapshot = Bytes::from_static(b"{}");
            commands.push(Command::UpsertSpace { space, version: 2, table: table() });
            commands.push(Command::SetState { space, version: 1, snapshot });
            commands.push(Command::UpsertSpace { space, version: 1, table: table() });
            if id % 300 == 7 {
                commands.push(Command::SetRevoked { version: id, sids: vec![Sid(id)], min_epoch: 0 });
            }
        }
        commands.push(Command::SetState { space: SpaceId(5_000), version: 1, snapshot: Bytes::new() });
        let answers = world.server.apply_all(commands.clone());
        assert_eq!(answers.len(), commands.len());
        for (command, answer) in commands.iter().zip(&answers) {
            match command {
                Command::UpsertSpace { version: 1, .. } => {
                    let stale = ApplyError::Stale { have: 2, got: 1 };
                    assert_eq!(*answer, Err(ServerError::Refused(stale)), "after version 2, as it stands in the list");
                }
                Command::SetState { space: SpaceId(5_000), .. } => {
                    assert_eq!(*answer, Err(ServerError::Refused(ApplyError::UnknownSpace)));
                }
                _ => assert!(answer.is_ok(), "{command:?}: {answer:?}"),
            }
        }
        for id in [0, 1, 2, 999] {
            assert!(world.server.counts(SpaceId(id)).unwrap().is_some());
            let again = Command::SetState { space: SpaceId(id), version: 1, snapshot: Bytes::from_static(b"[]") };
            assert!(world.server.apply(&again).is_err(), "the state is there on every shard");
        }
    }
}

#[test]
fn who_is_there_is_known_across_shards_and_who_is_sent_away_is_gone() {
    let mut world = World::new(3);
    let listener = world.listener(Via::Web(Protocol::Moqt18), &["stage"]);
    let expires = common::now_ms() / 1_000 + 60;
    // Raw lite carries no token.
    let named = [Via::Web(Protocol::Moqt18), Via::Web(Protocol::Lite05), Via::Raw(Protocol::Moqt18)];
    let mut keys = Vec::new();
    for n in 0..12u64 {
        if n % 2 == 0 {
            world.another_address();
        }
        // Accounts 2,000 to 2,005, each twice.
        let token = world.token_of(Some(2_000 + n % 6), 1_000 + n, expires);
        keys.push(world.dial(named[n as usize % 3], Some(&token), &["stage"], None));
        let key = keys[n as usize];
        world.until("subscribed", |world| world.peer(key).subscribed.len() == 1);
    }
    let shards = world.server.stats().unwrap().shards;
    assert!(shards.iter().filter(|shard| shard.sessions > 0).count() > 1, "the test needs several shards");
    assert_eq!(world.server.present(SPACE, vec![2_005, 2_003, 777, 2_003], false).unwrap(), [2_003, 2_005]);
    let page = |world: &World, after, limit| {
        let (page, next) = world.server.roster(SPACE, AccountId(after), limit).unwrap();
        (page.iter().map(|listed| (listed.account.0, listed.sid.0)).collect::<Vec<_>>(), next.map(|next| next.0))
    };
    assert_eq!(
        page(&world, 0, 3),
        (vec![(2_000, 1_006), (2_001, 1_007), (2_002, 1_008)], Some(2_002)),
        "the newest session"
    );
    let rest = vec![(2_003, 1_009), (2_004, 1_010), (2_005, 1_011)];
    assert_eq!(page(&world, 2_002, 3), (rest, Some(2_005)), "the listener's account follows");
    assert_eq!(page(&world, 2_005, 3).1, None);
    let kick = |account, sid: Option<u64>| Command::Kick {
        space: SPACE,
        account: AccountId(account),
        sid: sid.map(Sid),
        reason: Refusal::ParticipantRemoved,
    };
    world.server.apply(&kick(2_003, Some(1_009))).unwrap();
    assert_eq!(page(&world, 2_002, 1), (vec![(2_003, 1_003)], Some(2_003)));
    world.server.apply(&kick(2_000, None)).unwrap();
    world.server.apply(&kick(2_001, None)).unwrap();
    assert_eq!(world.server.present(SPACE, (2_000..2_006).collect(), false).unwrap(), [2_002, 2_003, 2_004, 2_005]);
    for n in [0, 1, 6, 7, 9] {
        world.until("closed", |world| world.is_closed(keys[n]));
        let reason = Refusal::ParticipantRemoved.code().to_owned();
        assert_eq!(
            *world.closed(keys[n]).unwrap(),
            Closed::Peer { code: Refusal::ParticipantRemoved.wire().into(), reason }
        );
    }
    assert_eq!((0..12).filter(|n| world.is_closed(keys[*n])).count(), 5);
    // A speaker who is sent away is not heard any more, and may come again.
    let speaker = world.speaker(Via::Web(Protocol::Lite05), 0);
    world.talk(20, |world, n| world.say(speaker, n, &packet(0, n)));
    let heard = world.heard(listener, 0).len();
    assert!(heard > 10);
    world.server.apply(&kick(100, None)).unwrap();
    world.until("closed", |world| world.is_closed(speaker));
    let speaker = world.speaker(Via::Raw(Protocol::Moqt18), 0);
    world.talk(20, |world, n| world.say(speaker, n, &packet(0, n)));
    assert!(world.heard(listener, 0).len() > heard + 10);
}

#[test]
fn counts_and_reactions_follow_the_snapshot_in_its_group_over_every_transport() {
    let mut world = World::new(2);
    let snapshot = Bytes::from_static(b"{\"title\":\"x\"}");
    world.server.apply(&Command::SetState { space: SPACE, version: 7, snapshot: snapshot.clone() }).unwrap();
    let reacting = world.token_of(Some(77), 1, common::now_ms() / 1_000 + 60);
    let reacting = world.dial(Via::Web(Protocol::Moqt18), Some(&reacting), &["stage"], None);
    world.until("subscribed", |world| world.peer(reacting).subscribed.len() == 1);
    let listeners: Vec<_> = EVERY_WAY.into_iter().map(|via| world.listener(via, &["state"])).collect();
    let said = |world: &mut World, key, text: &str| {
        let said = |got: &common::Got| String::from_utf8_lossy(&got.payload).contains(text) && got.header.group == 7;
        world.peer(key).got.iter().any(said)
    };
    for key in &listeners {
        // Raw lite carries no token: one of the five is a guest.
        world.until("counted", |world| said(world, *key, r#""counts":{"named":4,"anonymous":0,"guests":1}"#));
        assert_eq!(world.peer(*key).got[0].payload, snapshot);
    }
    for _ in 0..3 {
        world.server.react(SPACE, AccountId(77), 2).unwrap();
    }
    for key in &listeners {
        let seen = |world: &mut World, kind: &str| said(world, *key, kind);
        world.until("seen", |world| {
            seen(world, r#""reactions":[0,0,3,0,0]"#) || seen(world, r#""reactions":[0,0,2,0,0]"#)
        });
        assert!(world.peer(*key).got.iter().all(|got| !got.datagram));
    }
    let denied = |account, kind| world.server.react(SPACE, AccountId(account), kind).unwrap_err();
    assert_eq!(denied(77, 5), ServerError::Denied(Refusal::ReactionUnknown));
    assert_eq!(denied(78, 0), ServerError::Denied(Refusal::ParticipantNotInSpace));
}
