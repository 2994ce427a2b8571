//! Sessions over a WebSocket at a server that has sessions over QUIC too.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a test: its helpers may fail as they may

mod common;

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use common::{Got, SPACE, Via, World, packet, row, sequence_of, space_name};
use spaces_core::budget::Rates;
use spaces_core::bundle;
use spaces_core::refusal::Refusal;
use spaces_core::uplink::{Level, Spurt, UplinkFrame};
use spaces_moqt::seam::{End, FullTrackName, ObjectHeader, Protocol, SessionEvent, Setup, SubscriptionId, Transport};
use spaces_moqt::session::Session;
use spaces_net::connection::{Closed, Incoming};
use spaces_net::quic::Trust;
use spaces_net::server::ServerConfig;
use spaces_net::websocket::{DialError, Dialled, Event, Message, WebSocketConfig};

/// One session over a WebSocket.
struct Client {
    link: Dialled,
    session: Session,
    tracks: Vec<String>,
    seat: Option<u8>,
    subscriptions: HashMap<SubscriptionId, String>,
    uplink: Option<SubscriptionId>,
    subscribed: Vec<String>,
    refused: Vec<u64>,
    got: Vec<Got>,
    goaway: bool,
    closed: Option<Closed>,
}

impl Client {
    fn new(link: Dialled, protocol: Protocol, tracks: &[&str], seat: Option<u8>) -> Self {
        Self {
            link,
            session: Session::new(protocol, End::Client, Setup::default()),
            tracks: tracks.iter().map(|track| (*track).to_owned()).collect(),
            seat,
            subscriptions: HashMap::new(),
            uplink: None,
            subscribed: Vec::new(),
            refused: Vec::new(),
            got: Vec::new(),
            goaway: false,
            closed: None,
        }
    }

    fn begin(&mut self) {
        self.session.start(self.link.streams());
        for track in &self.tracks {
            let name = FullTrackName { namespace: space_name(SPACE), track: Bytes::from(track.clone()) };
            self.subscriptions.insert(self.session.subscribe(self.link.streams(), name), track.clone());
        }
        if let Some(seat) = self.seat {
            let mut name = space_name(SPACE);
            name.extend([Bytes::from_static(b"seat"), Bytes::from(seat.to_string())]);
            self.session.announce(self.link.streams(), name);
        }
    }

    fn turn(&mut self) {
        for event in self.link.turn() {
            let link = self.link.streams();
            match event {
                Event::Open => self.begin(),
                Event::Closed(closed) => self.closed = Some(closed),
                Event::Incoming(Incoming::Stream { id, bidi, data, fin }) => {
                    self.session.on_stream(link, id, bidi, &data, fin);
                }
                Event::Incoming(Incoming::Reset { id, code }) => self.session.on_reset(link, id, code),
                Event::Incoming(Incoming::Stopped { id, code }) => self.session.on_stopped(link, id, code),
                Event::Incoming(Incoming::Credit) => self.session.on_stream_credit(link),
                Event::Incoming(Incoming::Datagram(bytes)) => self.session.on_datagram(link, bytes),
            }
        }
        while let Some(event) = self.session.poll_event() {
            match event {
                SessionEvent::SubscribeRequested { id, .. } => {
                    self.session.accept_subscribe(self.link.streams(), id);
                    self.uplink = Some(id);
                }
                SessionEvent::Subscribed(id) => self.subscribed.push(self.subscriptions[&id].clone()),
                SessionEvent::SubscribeRefused { code, .. } => self.refused.push(code),
                SessionEvent::Object { id, header, datagram, payload } => {
                    self.got.push(Got { track: self.subscriptions[&id].clone(), header, payload, datagram });
                }
                SessionEvent::GoAway { .. } => self.goaway = true,
                SessionEvent::Failed { reason, .. } => panic!("{reason}"),
                _ => {}
            }
        }
        self.link.write();
    }

    fn say(&mut self, sequence: u64, opus: &[u8]) {
        let Some(uplink) = self.uplink else { return };
        let header = ObjectHeader { group: sequence, object: 0, end_of_group: true, timestamp: sequence * 960 };
        let frame = UplinkFrame {
            sequence,
            level: Level(0x80 | 20),
            spurt: Spurt { start: sequence == 0, end: false },
            opus: Bytes::copy_from_slice(opus),
        };
        let mut out = BytesMut::new();
        assert!(self.session.datagram_header(uplink, &header, &mut out));
        out.extend_from_slice(&frame.encode());
        assert!(self.link.send_datagram(out.freeze()));
        self.link.write();
    }

    fn heard(&self, seat: u8) -> Vec<Bytes> {
        let stage = self.got.iter().filter(|got| got.track.starts_with("stage"));
        let mut heard = Vec::new();
        for got in stage {
            for entry in bundle::entries(&got.payload).map(Result::unwrap) {
                if entry.seat.get() == seat && !entry.redundant {
                    heard.push(Bytes::copy_from_slice(entry.opus));
                }
            }
        }
        heard
    }
}

fn world(shards: u16) -> World {
    world_with(shards, |_| {})
}

fn world_with(shards: u16, change: impl FnOnce(&mut ServerConfig)) -> World {
    World::with(shards, |config| {
        config.websocket = Some(WebSocketConfig::default());
        change(config);
    })
}

/// One that lets a seat send so much that a small window is full within seconds.
fn generous_world() -> World {
    let rates = Rates { bytes: 64_000, byte_burst: 64_000, ..Rates::default() };
    world_with(1, |config| config.rates = rates)
}

fn dial(world: &World, protocol: Protocol, token: Option<&str>, tracks: &[&str], seat: Option<u8>) -> Client {
    let query = token.map(|token| format!("?jwt={token}")).unwrap_or_default();
    let remote = world.server.websocket_addr().unwrap();
    let link = Dialled::dial(remote, &format!("/spaces/{SPACE}{query}"), protocol, None, None).unwrap();
    Client::new(link, protocol, tracks, seat)
}

fn until(world: &mut World, clients: &mut [Client], what: &str, mut done: impl FnMut(&mut World, &[Client]) -> bool) {
    let end = Instant::now() + Duration::from_secs(15);
    while !done(world, clients) {
        let closed: Vec<_> = clients.iter().map(|client| &client.closed).collect();
        assert!(Instant::now() < end, "{what}; closed: {closed:?}; {:#?}", world.server.stats());
        world.turn();
        clients.iter_mut().for_each(Client::turn);
    }
}

fn talk(world: &mut World, clients: &mut [Client], frames: u64, mut say: impl FnMut(&mut World, &mut [Client], u64)) {
    let start = Instant::now();
    for n in 0..frames {
        say(world, clients, n);
        while start.elapsed() < Duration::from_millis(20) * (n as u32 + 1) {
            world.turn();
            clients.iter_mut().for_each(Client::turn);
        }
    }
}

fn listeners(world: &mut World, count: usize, tracks: &[&str]) -> Vec<Client> {
    let protocols = [Protocol::Moqt18, Protocol::Lite05];
    let mut clients: Vec<_> = (0..count)
        .map(|n| {
            let token = world.token(Some(7_000 + n as u64));
            dial(world, protocols[n % 2], Some(&token), tracks, None)
        })
        .collect();
    until(world, &mut clients, "subscribed", |_, clients| {
        clients.iter().all(|client| client.subscribed.len() == tracks.len())
    });
    clients
}

#[test]
fn a_listener_over_a_websocket_hears_what_one_over_quic_hears() {
    for shards in [1, 3] {
        let mut world = world(shards);
        let mut clients = listeners(&mut world, 6, &["stage", "state", "catalog", "stage.groups"]);
        let quic = world.listener(Via::Web(Protocol::Lite05), &["stage"]);
        let speaker = world.speaker(Via::Web(Protocol::Lite05), 0);
        talk(&mut world, &mut clients, 100, |world, _, n| world.say(speaker, n, &packet(0, n)));
        let reference = world.heard(quic, 0);
        assert!(reference.len() >= 60, "{}", reference.len());
        for client in &clients {
            let datagrams: Vec<_> = client.got.iter().filter(|got| got.track == "stage").collect();
            assert!(datagrams.len() >= 60 && datagrams.iter().all(|got| got.datagram));
            let heard = client.heard(0);
            for opus in &heard {
                assert_eq!(opus, &packet(0, sequence_of(opus)));
            }
            let missing = reference.iter().filter(|opus| !heard.contains(opus)).count();
            assert!(missing <= 2, "{missing} missing: {:#?}", world.server.stats());
            assert!(client.got.iter().any(|got| got.track == "catalog" && got.payload.starts_with(b"{")));
            assert!(client.got.iter().filter(|got| got.track == "stage.groups" && !got.datagram).count() >= 50);
        }
        // Presence: they are people like others.
        let counts = world.server.counts(SPACE).unwrap().unwrap();
        assert_eq!(counts.named, 8, "{counts:?}");
        assert_eq!(world.server.present(SPACE, vec![7_000, 7_005, 9], false).unwrap(), [7_000, 7_005]);
        let sockets: u64 = world.server.stats().unwrap().shards.iter().map(|s| s.websockets.connections).sum();
        assert_eq!(sockets, 6);
        drop(clients);
        let left = |world: &mut World, _: &[Client]| world.server.counts(SPACE).unwrap().unwrap().named == 2;
        until(&mut world, &mut [], "all of them left", left);
    }
}

#[test]
fn who_speaks_over_a_websocket_is_heard_and_does_not_hear_themself() {
    for protocol in [Protocol::Moqt18, Protocol::Lite05] {
        let mut world = world(1);
        let quic = world.listener(Via::Web(Protocol::Moqt18), &["stage"]);
        let token = world.token(Some(100));
        let mut clients = vec![dial(&world, protocol, Some(&token), &["stage"], Some(0))];
        until(&mut world, &mut clients, "on air", |_, clients| {
            clients[0].uplink.is_some() && clients[0].subscribed.len() == 1
        });
        talk(&mut world, &mut clients, 50, |_, clients, n| clients[0].say(n, &packet(0, n)));
        let heard = world.heard(quic, 0);
        assert!(heard.len() >= 45, "{protocol:?}: {} {:#?}", heard.len(), world.server.stats());
        assert!(clients[0].heard(0).is_empty(), "a speaker hears itself");
    }
}

#[test]
fn nothing_of_a_muted_seat_comes_after_the_answer() {
    let mut world = world(1);
    let mut clients = listeners(&mut world, 20, &["stage", "stage.groups"]);
    let speaker = world.speaker(Via::Web(Protocol::Lite05), 0);
    talk(&mut world, &mut clients, 40, |world, _, n| world.say(speaker, n, &packet(0, n)));
    world.stage = vec![row(0, 100, true), row(1, 101, false)];
    let fence = world.upsert().fence_group;
    // What was on its way before the answer arrives; then nothing does, though the speaker talks on.
    talk(&mut world, &mut clients, 30, |world, _, n| world.say(speaker, 40 + n, &packet(0, 40 + n)));
    for client in &clients {
        let last = client.got.iter().map(|got| got.header.group).filter(|group| *group < 1 << 40).max().unwrap();
        assert!(last <= fence, "an object of group {last} after the fence {fence}");
        assert!(client.heard(0).iter().all(|opus| sequence_of(opus) < 42), "spoken after the mute");
    }
    let shard = &world.server.stats().unwrap().shards[0];
    assert_eq!(shard.websockets.purge_aborts, 0, "a path that takes everything at once loses nobody");
}

#[test]
fn tokens_origins_and_paths_are_held_to_the_same_rules() {
    let mut world = world_with(1, |config| config.origins = vec!["https://page.example".into()]);
    let remote = world.server.websocket_addr().unwrap();
    let path = format!("/spaces/{SPACE}");
    let refused = |target: &str, origin: &str| match Dialled::dial(remote, target, Protocol::Lite05, Some(origin), None)
    {
        Err(DialError::Refused(status)) => Some(status),
        Ok(_) => None,
        Err(error) => panic!("{error}"),
    };
    assert_eq!(refused(&path, "https://other.example"), Some(403));
    assert_eq!(refused("/elsewhere", "https://page.example"), Some(404));
    assert_eq!(refused(&path, "https://page.example"), None);
    world.guests = false;
    world.upsert();
    let expired = world.token_of(Some(9), 1, 1);
    for (token, refusal) in [
        (None, Refusal::AuthTokenMissing),
        (Some("no"), Refusal::AuthTokenInvalid),
        (Some(&*expired), Refusal::AuthTokenExpired),
    ] {
        let mut clients = vec![dial(&world, Protocol::Lite05, token, &["stage"], None)];
        until(&mut world, &mut clients, "refused", |_, clients| clients[0].closed.is_some());
        let closed = Closed::Peer { code: u64::from(refusal.wire()), reason: refusal.code().to_owned() };
        assert_eq!(clients[0].closed, Some(closed));
    }
    // One session of a `sid`, whatever it comes over.
    let token = world.token_of(Some(9), 77, common::now_ms() / 1_000 + 60);
    let older = world.dial(Via::Web(Protocol::Lite05), Some(&token), &["stage"], None);
    world.until("subscribed", |world| world.peer(older).subscribed.len() == 1);
    let mut clients = vec![dial(&world, Protocol::Lite05, Some(&token), &["stage"], None)];
    until(&mut world, &mut clients, "superseded", |world, _| world.is_closed(older));
}

#[test]
fn a_connection_begun_before_another_of_its_session_and_ready_after_it_does_not_take_over() {
    for shards in [1, 3] {
        let mut world = world(shards);
        let token = world.token_of(Some(9), 77, common::now_ms() / 1_000 + 60);
        // It has no token in its path: nobody knows whose it is before its SETUP comes.
        let mut late = dial(&world, Protocol::Moqt18, None, &["stage"], None);
        let setup = Setup { token: Some(token.clone().into()), ..Setup::default() };
        late.session = Session::new(Protocol::Moqt18, End::Client, setup);
        world.another_address();
        let newer = world.dial(Via::Web(Protocol::Lite05), Some(&token), &["stage"], None);
        world.until("subscribed", |world| world.peer(newer).subscribed.len() == 1);
        let mut clients = vec![late];
        until(&mut world, &mut clients, "refused", |_, clients| clients[0].closed.is_some());
        let code = u64::from(Refusal::SessionSuperseded.wire());
        let reason = Refusal::SessionSuperseded.code().to_owned();
        assert_eq!(clients[0].closed, Some(Closed::Peer { code, reason }));
        assert!(!world.is_closed(newer));
        assert_eq!(world.server.counts(SPACE).unwrap().map(|counts| counts.named), Some(1));
    }
}

#[test]
fn over_tls_it_is_the_same_and_a_renewed_certificate_is_shown() {
    let mut world = world(1);
    let remote = world.server.websocket_addr().unwrap();
    let target = format!("/spaces/{SPACE}");
    let secure = |hash: [u8; 32]| {
        let trust = Trust::Hashes(vec![hash]);
        Dialled::dial(remote, &target, Protocol::Moqt18, None, Some(&trust))
    };
    let old = world.server.certificate_sha256();
    let token = world.token(Some(9));
    let trust = Trust::Hashes(vec![old]);
    let link = Dialled::dial(remote, &format!("{target}?jwt={token}"), Protocol::Moqt18, None, Some(&trust)).unwrap();
    let mut clients = vec![Client::new(link, Protocol::Moqt18, &["stage"], None)];
    until(&mut world, &mut clients, "subscribed", |_, clients| clients[0].subscribed.len() == 1);
    let speaker = world.speaker(Via::Web(Protocol::Lite05), 0);
    talk(&mut world, &mut clients, 50, |world, _, n| world.say(speaker, n, &packet(0, n)));
    assert!(clients[0].heard(0).len() >= 45);
    world.server.set_identity(spaces_net::identity::Identity::development(["localhost"]).unwrap()).unwrap();
    assert!(secure(old).is_err(), "the old certificate is shown no more");
    assert!(secure(world.server.certificate_sha256()).is_ok());
    assert!(clients[0].closed.is_none());
}

#[test]
fn a_reader_that_stands_still_loses_only_its_own_sound() {
    let mut world = generous_world();
    let mut clients = listeners(&mut world, 3, &["stage"]);
    let speaker = world.speaker(Via::Web(Protocol::Lite05), 0);
    // A small window: the kernel takes little for whom nobody reads.
    let mut still = listeners(&mut world, 1, &["stage"]);
    rustix::net::sockopt::set_socket_recv_buffer_size(still[0].link.tcp(), 4_096).unwrap();
    let opus: Vec<u8> = packet(0, 0).into_iter().chain(std::iter::repeat_n(7, 400)).collect();
    let say = |world: &mut World, n: u64| {
        let mut opus = opus.clone();
        opus[2..10].copy_from_slice(&n.to_be_bytes());
        world.say(speaker, n, &opus);
    };
    talk(&mut world, &mut clients, 300, |world, _, n| say(world, n));
    for client in &clients {
        assert!(client.heard(0).len() >= 290, "{}", client.heard(0).len());
    }
    let stats = world.server.stats().unwrap();
    assert!(stats.shards[0].downlink.blocked > 0, "the still one was never full: {stats:#?}");
    // It goes on where everybody is, not where it stood.
    clients.append(&mut still);
    let resumed = |clients: &[Client]| clients[3].heard(0).iter().any(|opus| sequence_of(opus) >= 300);
    let mut next = 300;
    while !resumed(&clients) {
        assert!(next < 1_000, "it never came back");
        talk(&mut world, &mut clients, 10, |world, _, n| say(world, next + n));
        next += 10;
    }
    let heard: Vec<u64> = clients[3].heard(0).iter().map(|opus| sequence_of(opus)).collect();
    let jump = heard.windows(2).map(|pair| pair[1].saturating_sub(pair[0])).max().unwrap();
    assert!(jump > 50, "what is late is dropped, oldest first: {heard:?}");
}

#[test]
fn a_muted_seat_is_not_left_in_the_socket_of_a_reader_that_stands_still() {
    let mut world = generous_world();
    let mut still = listeners(&mut world, 1, &["stage"]);
    rustix::net::sockopt::set_socket_recv_buffer_size(still[0].link.tcp(), 4_096).unwrap();
    let speaker = world.speaker(Via::Web(Protocol::Lite05), 0);
    let opus: Vec<u8> = packet(0, 0).into_iter().chain(std::iter::repeat_n(7, 400)).collect();
    talk(&mut world, &mut [], 300, |world, _, n| world.say(speaker, n, &opus));
    assert!(world.server.stats().unwrap().shards[0].downlink.blocked > 0);
    world.stage = vec![row(0, 100, true), row(1, 101, false)];
    world.upsert();
    let aborted = world.server.stats().unwrap().shards[0].websockets.purge_aborts;
    assert_eq!(aborted, 1, "what the kernel held unsent would have followed the answer");
    until(&mut world, &mut still, "reset", |_, clients| clients[0].closed.is_some());
}

#[test]
fn two_hundred_listeners_hear_everything_and_their_session_ends_with_the_server() {
    let mut world = world(1);
    let mut clients = listeners(&mut world, 200, &["stage"]);
    let quic = world.listener(Via::Web(Protocol::Lite05), &["stage"]);
    let speaker = world.speaker(Via::Web(Protocol::Lite05), 0);
    talk(&mut world, &mut clients, 50, |world, _, n| world.say(speaker, n, &packet(0, n)));
    // All of them and the speaker share this thread: what it said too late nobody hears.
    let reference = world.heard(quic, 0);
    assert!(reference.len() >= 10, "{}", reference.len());
    for client in &clients {
        let heard = client.heard(0);
        let missing = reference.iter().filter(|opus| !heard.contains(opus)).count();
        assert!(missing <= 2, "{missing} of {} missing", reference.len());
    }
    world.server.goaway("").unwrap();
    until(&mut world, &mut clients, "told to go", |_, clients| clients.iter().all(|client| client.goaway));
    let remote = world.server.websocket_addr().unwrap();
    let World { server, .. } = world;
    let stopping = std::thread::spawn(move || server.stop());
    let end = Instant::now() + Duration::from_secs(10);
    while clients.iter().any(|client| client.closed.is_none()) {
        assert!(Instant::now() < end);
        clients.iter_mut().for_each(Client::turn);
    }
    stopping.join().unwrap();
    assert!(TcpStream::connect(remote).is_err());
}

#[test]
fn hostile_bytes_close_their_own_connection_only() {
    let mut world = world_with(1, |config| config.admission_timeout = Duration::from_millis(500));
    let mut good = listeners(&mut world, 1, &["stage"]);
    let remote = world.server.websocket_addr().unwrap();
    // Before HTTP is over.
    for bytes in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        b"POST /spaces/1 HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x00\x05nonsense",
        b"\x00\x01\x02",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        &[b'a'; 40_000],
    ] {
        let mut socket = TcpStream::connect(remote).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let _ = socket.write_all(bytes); // it may have been closed already
        let _ = socket.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        let _ = socket.read_to_end(&mut answer); // an end or a reset
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 4") || answer.starts_with(b"\x15"), "{answer:?}");
    }
    // As a WebSocket.
    let parameters = || Bytes::from_static(&[0xff, 0x51, 0x53, 0x30, 0x0d, 0x0a, 0x0d, 0x0a, 0]);
    let hostile: [&[Message]; 9] = [
        &[Message::text("hello")],
        &[Message::binary(Bytes::from_static(&[0x0a, 0, 1, 1]))], // no parameters first
        &[Message::binary(vec![0u8; 20_000])],                    // too large
        &[Message::binary(parameters()), Message::binary(parameters())],
        &[Message::binary(parameters()), Message::binary(Bytes::from_static(&[0x06, 0, 0]))], // CRYPTO
        &[Message::binary(parameters()), Message::binary(Bytes::from_static(&[0x0e, 2, 9, 1, 1]))], // a hole
        &[Message::binary(parameters()), Message::binary(Bytes::from_static(&[0x0a, 0x41, 0x00, 0]))], // stream 64
        &[Message::binary(parameters()), Message::binary(Bytes::from_static(&[0x0a, 3, 1, 1]))], // on ours
        &[Message::binary(parameters()), Message::binary(Bytes::from_static(&[0x31, 0x4f, 0xff, 1]))], // cut short
    ];
    for messages in hostile {
        let mut client = dial(&world, Protocol::Lite05, None, &[], None);
        for message in messages {
            let _ = client.link.send_raw(message.clone()); // it may have been closed already
        }
        let end = Instant::now() + Duration::from_secs(10);
        while client.closed.is_none() {
            assert!(Instant::now() < end, "{messages:?}");
            for event in client.link.turn() {
                if let Event::Closed(closed) = event {
                    assert!(matches!(closed, Closed::Failed(_) | Closed::Lost), "{closed:?}");
                    client.closed = Some(closed);
                }
            }
        }
    }
    // Who says what it allows, and then nothing, is closed in its time.
    let mut silent = dial(&world, Protocol::Moqt18, None, &[], None);
    let end = Instant::now() + Duration::from_secs(15);
    let refusal = Refusal::AuthTokenMissing;
    let closed = loop {
        assert!(Instant::now() < end);
        let over = silent.link.turn().into_iter().find_map(|event| match event {
            Event::Closed(closed) => Some(closed),
            _ => None,
        });
        if let Some(closed) = over {
            break closed;
        }
    };
    assert_eq!(closed, Closed::Peer { code: u64::from(refusal.wire()), reason: refusal.code().to_owned() });
    let speaker = world.speaker(Via::Web(Protocol::Lite05), 0);
    talk(&mut world, &mut good, 30, |world, _, n| world.say(speaker, n, &packet(0, n)));
    assert!(good[0].heard(0).len() >= 25);
    let stats = world.server.stats().unwrap();
    assert!(stats.shards[0].websockets.broken >= 6, "{stats:#?}");
    let gone = |world: &mut World, _: &[Client]| world.server.stats().unwrap().shards[0].websockets.connections == 1;
    until(&mut world, &mut good, "forgotten", gone);
}

#[test]
fn one_address_begins_so_many_and_who_is_refused_is_not_kept() {
    let mut world = world_with(1, |config| config.connects_per_address = 2);
    let remote = world.server.websocket_addr().unwrap();
    let path = format!("/spaces/{SPACE}");
    let dialled: Vec<_> = (0..12).map(|_| Dialled::dial(remote, &path, Protocol::Lite05, None, None)).collect();
    let let_in = dialled.iter().filter(|dialled| dialled.is_ok()).count();
    assert!((4..=7).contains(&let_in), "{let_in}");
    let stats = world.server.stats().unwrap().shards[0].websockets;
    assert_eq!(stats.refused as usize, 12 - let_in);
    drop(dialled);
    let gone = |world: &mut World, _: &[Client]| world.server.stats().unwrap().shards[0].websockets.connections == 0;
    until(&mut world, &mut [], "gone", gone);
}

#[test]
fn a_client_that_opens_and_closes_streams_all_day_is_not_refused() {
    let mut world = world(1);
    let mut clients = vec![dial(&world, Protocol::Lite05, None, &["stage"], None)];
    until(&mut world, &mut clients, "subscribed", |_, clients| clients[0].subscribed.len() == 1);
    let end = Instant::now() + Duration::from_secs(10);
    let mut count = 0;
    while count < 200 {
        assert!(Instant::now() < end, "{count} streams; {:?}", clients[0].closed);
        // An announce request of moq-lite, given up at once.
        if let Some(id) = clients[0].link.streams().open_bi() {
            clients[0].link.streams().write(id, &[1], false);
            clients[0].link.write();
            clients[0].link.streams().reset(id, 0);
            clients[0].link.streams().stop(id, 0);
            count += 1;
        }
        clients[0].turn();
        world.turn();
    }
    assert!(clients[0].closed.is_none());
}
