//! Those who may not, those who cannot, and those who mean no good: each gets its reason, and the others hear on.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a test: its helpers may fail as they may

mod common;

use std::net::UdpSocket;
use std::time::Duration;

use common::{EVERY_WAY, Key, SPACE, Via, World, now_ms, packet, row};
use spaces_core::command::Command;
use spaces_core::ids::{AccountId, Sid, SpaceId};
use spaces_core::refusal::Refusal;
use spaces_moqt::seam::{Protocol, Transport};
use spaces_net::connection::Closed;
use spaces_net::token::{TokenSigner, TokenSpec};

const WITH_TOKEN: [Via; 3] = [Via::Raw(Protocol::Moqt18), Via::Web(Protocol::Moqt18), Via::Web(Protocol::Lite05)];

fn refused(refusal: Refusal) -> Closed {
    Closed::Peer { code: u64::from(refusal.wire()), reason: refusal.code().to_owned() }
}

fn expect(world: &mut World, key: Key, closed: &Closed) {
    world.until("closed", |world| world.is_closed(key));
    assert_eq!(world.closed(key), Some(closed));
}

/// A listener and a speaker who have nothing to do with it.
struct Others {
    listener: Key,
    speaker: Key,
    said: u64,
}

impl Others {
    fn new(world: &mut World) -> Self {
        let listener = world.listener(Via::Web(Protocol::Lite05), &["stage"]);
        let speaker = world.speaker(Via::Web(Protocol::Moqt18), 0);
        Self { listener, speaker, said: 0 }
    }

    /// They talk for a while, `meanwhile` happens at each tick, and all of it is heard.
    fn hear_on(&mut self, world: &mut World, frames: u64, mut meanwhile: impl FnMut(&mut World, u64)) {
        let before = world.heard(self.listener, 0).len() as u64;
        let (speaker, said) = (self.speaker, self.said);
        world.talk(frames, |world, n| {
            world.say(speaker, said + n, &packet(0, said + n));
            meanwhile(world, n);
        });
        self.said += frames;
        // On a busy machine the last frames are still on their way.
        let listener = self.listener;
        world.until("heard", |world| (world.heard(listener, 0).len() as u64 - before) * 100 >= frames * 93);
    }
}

#[test]
fn every_token_that_does_not_hold_has_its_reason() {
    let mut world = World::new(1);
    let stranger = TokenSigner::generate("https://issuer", "spaces").unwrap();
    let spec = TokenSpec {
        account: Some(9),
        sid: 3,
        expires_at: now_ms() / 1_000 + 60,
        epoch: 0,
        anonymous: false,
        service: false,
    };
    let cases = [
        (stranger.mint(&spec), Refusal::AuthTokenInvalid),
        ("not.a.token".to_owned(), Refusal::AuthTokenInvalid),
        (world.token_of(Some(9), 4, now_ms() / 1_000 - 60), Refusal::AuthTokenExpired),
    ];
    let mut others = Others::new(&mut world);
    for (token, refusal) in cases {
        for via in WITH_TOKEN {
            let key = world.dial(via, Some(&token), &["stage"], None);
            expect(&mut world, key, &refused(refusal));
        }
    }
    others.hear_on(&mut world, 20, |_, _| {});
    let stats = world.server.stats().unwrap();
    assert_eq!(stats.shards[0].desk.refusals["auth.token_invalid"], 6);
    assert_eq!(stats.shards[0].desk.refusals["auth.token_expired"], 3);
}

#[test]
fn the_engines_tables_decide_who_comes_in() {
    let mut world = World::new(1);
    let revoked = Command::SetRevoked { version: 1, sids: vec![Sid(50)], min_epoch: 0 };
    world.server.apply(&revoked).unwrap();
    let kind = spaces_core::command::AclKind::Deny;
    let deny = Command::SetAcl { space: SPACE, kind, owner: AccountId(100), version: 1, accounts: vec![666] };
    world.server.apply(&deny).unwrap();
    let soon = now_ms() / 1_000 + 60;
    let (revoked, blocked) = (world.token_of(Some(9), 50, soon), world.token_of(Some(666), 51, soon));
    for via in WITH_TOKEN {
        let key = world.dial(via, Some(&revoked), &["stage"], None);
        expect(&mut world, key, &refused(Refusal::AuthSessionRevoked));
        let key = world.dial(via, Some(&blocked), &["stage"], None);
        expect(&mut world, key, &refused(Refusal::ParticipantBlockedByHost));
        let token = world.token(Some(9));
        let nowhere = format!("/spaces/{}", SpaceId(12));
        let key = world.dial_path(via, &nowhere, Some(&token), &["stage"], None);
        expect(&mut world, key, &refused(Refusal::SpaceNotFound));
    }
    // Somebody who is blocked while listening goes at once.
    let token = world.token(Some(667));
    let key = world.dial(Via::Web(Protocol::Lite05), Some(&token), &["stage"], None);
    world.until("subscribed", |world| world.peer(key).subscribed.len() == 1);
    let deny = Command::SetAcl { space: SPACE, kind, owner: AccountId(100), version: 2, accounts: vec![666, 667] };
    world.server.apply(&deny).unwrap();
    expect(&mut world, key, &refused(Refusal::ParticipantBlockedByHost));
}

#[test]
fn a_path_that_is_no_space_and_an_origin_that_is_none_of_ours_get_a_status() {
    let mut world = World::with(1, |config| config.origins = vec!["https://ours".into()]);
    let key = world.dial_path(Via::Web(Protocol::Moqt18), "/elsewhere", None, &[], None);
    expect(&mut world, key, &Closed::Refused(Some(404)));
    let key = world.dial_from("https://theirs");
    expect(&mut world, key, &Closed::Refused(Some(403)));
    let key = world.dial_from("https://ours");
    world.until("subscribed", |world| world.peer(key).subscribed.len() == 1);
    let key = world.dial_path(Via::Raw(Protocol::Moqt18), "/elsewhere", None, &[], None);
    expect(&mut world, key, &refused(Refusal::SpaceNotFound));
}

#[test]
fn guests_listen_where_they_may_and_never_speak() {
    let mut world = World::new(1);
    for via in EVERY_WAY {
        let key = world.dial(via, None, &["stage"], None);
        world.until("subscribed", |world| world.peer(key).subscribed.len() == 1);
        let key = world.dial(via, None, &[], Some(0));
        expect(&mut world, key, &refused(Refusal::RoleForbidden));
    }
    world.guests = false;
    world.upsert();
    for via in EVERY_WAY {
        let key = world.dial(via, None, &["stage"], None);
        expect(&mut world, key, &refused(Refusal::AuthTokenMissing));
    }
}

#[test]
fn a_seat_is_its_accounts_alone() {
    let mut world = World::new(1);
    let mut others = Others::new(&mut world);
    for via in WITH_TOKEN {
        let token = world.token(Some(4_711));
        let key = world.dial(via, Some(&token), &[], Some(0));
        expect(&mut world, key, &refused(Refusal::RoleForbidden));
    }
    others.hear_on(&mut world, 20, |_, _| {});
}

#[test]
fn unknown_tracks_are_refused_one_by_one_and_a_flood_of_requests_too() {
    for via in EVERY_WAY {
        let mut world = World::new(1);
        let mut others = Others::new(&mut world);
        let tracks: Vec<String> = (0..60).map(|n| format!("nothing-{n}")).collect();
        let tracks: Vec<&str> = tracks.iter().map(String::as_str).chain(["stage"]).collect();
        let key = world.dial(via, None, &tracks, None);
        others.hear_on(&mut world, 60, |_, _| {});
        assert!(world.peer(key).refused.len() >= 40, "{via:?}: {:?}", world.peer(key).refused);
        let stats = world.server.stats().unwrap();
        assert!(stats.shards[0].desk.refusals["track.not_found"] > 0, "{stats:#?}");
        assert!(stats.shards[0].desk.refusals["rate.limited"] > 0, "{stats:#?}");
    }
}

#[test]
fn frames_that_are_none_are_counted_and_dropped() {
    for via in WITH_TOKEN {
        let mut world = World::new(1);
        let mut others = Others::new(&mut world);
        let token = world.token(Some(101));
        let bad = world.dial(via, Some(&token), &[], Some(1));
        world.until("on air", |world| world.on_air(bad));
        others.hear_on(&mut world, 50, |world, n| {
            world.say_raw(bad, n * 3, &[]);
            world.say_raw(bad, n * 3 + 1, &[0xff; 700]);
            world.say_raw(bad, n * 3 + 2, &[20, 0x80, 0xf8, 1]);
        });
        let stats = world.server.stats().unwrap();
        assert!(stats.shards[0].desk.uplink_errors >= 90, "{via:?}: {stats:#?}");
        assert!(!world.is_closed(bad), "{:?}", world.closed(bad));
    }
}

#[test]
fn a_seat_over_its_rate_is_cut_to_it() {
    let mut world = World::new(1);
    let mut others = Others::new(&mut world);
    let token = world.token(Some(101));
    let loud = world.dial(Via::Web(Protocol::Lite05), Some(&token), &[], Some(1));
    world.until("on air", |world| world.on_air(loud));
    others.hear_on(&mut world, 50, |world, n| {
        for burst in 0..10 {
            let sequence = n * 10 + burst;
            world.say(loud, sequence, &packet(1, sequence));
        }
    });
    let stats = world.server.stats().unwrap();
    assert!(stats.shards[0].desk.verdicts.over_budget > 100, "{stats:#?}");
}

#[test]
fn random_streams_and_datagrams_end_their_own_session_at_most() {
    for via in EVERY_WAY {
        let mut world = World::new(1);
        let mut others = Others::new(&mut world);
        let mut seed = 5u64;
        let mut random = move || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 40) as u8
        };
        let mut vandal = None;
        others.hear_on(&mut world, 80, |world, _| {
            let key = *vandal.get_or_insert_with(|| world.dial(via, None, &["stage"], None));
            if world.is_closed(key) {
                vandal = None;
                return;
            }
            let (connection, _) = world.connection(key);
            let bytes: Vec<u8> = (0..random() % 60).map(|_| random()).collect();
            let quarter = connection.quarter().map(|quarter| vec![quarter as u8]).unwrap_or_default();
            connection.send_datagram([quarter, bytes.clone()].concat().into());
            let stream = if random() % 2 == 0 { connection.open_uni() } else { connection.open_bi() };
            if let Some(stream) = stream {
                connection.write(stream, &bytes, random() % 2 == 0);
            }
        });
    }
}

#[test]
fn half_open_handshakes_leave_room_for_the_others() {
    let mut world = World::with(1, |config| config.max_sessions = 100);
    let mut others = Others::new(&mut world);
    // The first flight of a thousand clients, none of which will ever answer.
    let floods: Vec<UdpSocket> = (0..50).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
    let initial = world.first_flight();
    let server = world.server.local_addr();
    others.hear_on(&mut world, 60, |_, n| {
        for (socket, id) in floods.iter().zip(0u8..) {
            let mut initial = initial.clone();
            // Another connection id makes it another connection, with another key: most fail to decrypt, after some work.
            initial[6] ^= id;
            initial[7] ^= n as u8;
            socket.send_to(&initial, server).unwrap();
        }
    });
    for _ in 0..100 {
        world.another_address();
        world.dial(Via::Raw(Protocol::Moqt18), None, &[], None);
        world.send_and_vanish();
    }
    others.hear_on(&mut world, 60, |_, _| {});
    let stats = world.server.stats().unwrap();
    let endpoint = stats.shards[0].endpoint;
    assert!(endpoint.handshakes > 500, "{endpoint:?}");
    assert!(stats.shards[0].connections <= 100 + 256, "{stats:#?}");
}

#[test]
fn beyond_its_capacity_a_server_says_so() {
    for via in EVERY_WAY {
        let mut world = World::with(1, |config| config.max_sessions = 2);
        let mut others = Others::new(&mut world);
        let key = world.dial(via, None, &["stage"], None);
        expect(&mut world, key, &refused(Refusal::NodeCapacity));
        others.hear_on(&mut world, 10, |_, _| {});
    }
}

#[test]
fn who_never_says_what_it_wants_is_let_go() {
    let mut world = World::with(1, |config| config.admission_timeout = Duration::from_millis(300));
    let silent = world.dial_silent(Via::Raw(Protocol::Moqt18));
    expect(&mut world, silent, &refused(Refusal::AuthTokenMissing));
    let silent = world.dial_silent(Via::Raw(Protocol::Lite05));
    expect(&mut world, silent, &refused(Refusal::AuthTokenMissing));
    assert_eq!(world.server.stats().unwrap().shards[0].desk.overdue, 2);
}

#[test]
fn a_stale_command_changes_nothing_and_says_so() {
    let mut world = World::new(2);
    world.stage = vec![row(0, 100, true)];
    world.upsert();
    world.version -= 2;
    let error = world.try_upsert().unwrap_err();
    assert!(matches!(error, spaces_net::server::ServerError::Refused(_)), "{error}");
}

#[test]
fn an_address_that_dials_too_often_is_refused_and_who_is_there_hears_on() {
    let mut world = World::with(1, |config| config.connects_per_address = 4);
    let listener = world.listener(Via::Web(Protocol::Moqt18), &["stage"]);
    let speaker = world.speaker(Via::Raw(Protocol::Moqt18), 0);
    for _ in 0..30 {
        world.dial(Via::Raw(Protocol::Moqt18), None, &[], None);
    }
    world.talk(40, |world, n| world.say(speaker, n, &packet(0, n)));
    assert!(world.heard(listener, 0).len() >= 35);
    let stats = world.server.stats().unwrap().shards[0].endpoint;
    // Eight at once without a proof and eight with one; four a second of each.
    assert!(stats.handshakes_limited >= 10 && stats.retries >= 10, "{stats:?}");
    assert!((8..=24).contains(&stats.handshakes), "{stats:?}");
}
