//! Two ends of this crate over real sockets on loopback, with an application that echoes.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a test: its helpers may fail as it may

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use spaces_moqt::seam::{Protocol, StreamId, Transport};
use spaces_net::connection::{Closed, Connection, Incoming, Request, Target};
use spaces_net::endpoint::{Answer, Answering, Application, Dialler, Endpoint, ForeignPacket, Settings};
use spaces_net::quic::{self, Trust};

/// What an end saw.
#[derive(Default)]
struct Seen {
    requests: Vec<Request>,
    opened: Vec<Protocol>,
    streams: Vec<(StreamId, Vec<u8>, bool)>,
    resets: Vec<(StreamId, u64)>,
    datagrams: Vec<Bytes>,
    closed: Vec<Closed>,
}

/// Echoes bidirectional streams and datagrams if `echo`; records everything.
struct Echo {
    echo: bool,
    refuse: bool,
    seen: Seen,
}

impl Application for Echo {
    type State = ();

    fn on_request(&mut self, _key: u32, request: &Request) -> Answer<()> {
        self.seen.requests.push(request.clone());
        if self.refuse {
            return Answer::Refuse(http::StatusCode::FORBIDDEN);
        }
        let offered = request.protocols.iter().map(|name| name.as_bytes());
        Answer::Accept(Protocol::choose(offered).unwrap_or(Protocol::Moqt18), ())
    }

    fn on_open(&mut self, _connection: &mut Connection, (): &mut (), protocol: Protocol) {
        self.seen.opened.push(protocol);
    }

    fn on_incoming(&mut self, connection: &mut Connection, (): &mut (), incoming: Incoming) {
        match incoming {
            Incoming::Stream { id, bidi, data, fin } => {
                if self.echo && bidi {
                    connection.write(id, &data, fin);
                }
                match self.seen.streams.iter_mut().find(|(stream, ..)| *stream == id) {
                    Some((_, bytes, ended)) => {
                        bytes.extend_from_slice(&data);
                        *ended |= fin;
                    }
                    None => self.seen.streams.push((id, data.to_vec(), fin)),
                }
            }
            Incoming::Reset { id, code } | Incoming::Stopped { id, code } => self.seen.resets.push((id, code)),
            Incoming::Credit => {}
            Incoming::Datagram(bytes) => {
                if self.echo {
                    connection.send_datagram(framed(connection, &bytes));
                }
                self.seen.datagrams.push(bytes);
            }
        }
    }

    fn on_closed(&mut self, _key: u32, (): (), closed: Closed) {
        self.seen.closed.push(closed);
    }

    fn on_wake(&mut self, _endpoint: &mut Endpoint<()>) {}
    fn advance(&mut self, _endpoint: &mut Endpoint<()>) {}
    fn next_timeout(&self) -> Option<Instant> {
        None
    }
    fn on_foreign(&mut self, _shard: u8, _packet: ForeignPacket) {
        panic!("one shard has no foreign packets");
    }
}

fn framed(connection: &Connection, payload: &[u8]) -> Bytes {
    let mut out = BytesMut::new();
    if let Some(quarter) = connection.quarter() {
        spaces_core::varint::write(&mut out, quarter);
    }
    out.extend_from_slice(payload);
    out.freeze()
}

struct Pair {
    server: Endpoint<()>,
    client: Endpoint<()>,
    at_server: Echo,
    at_client: Echo,
    dialler: Dialler,
}

impl Pair {
    fn new() -> Self {
        let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let chain = vec![certified.cert.der().clone()];
        let key = rustls::pki_types::PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der());
        let hash = ring::digest::digest(&ring::digest::SHA256, &chain[0]).as_ref().try_into().unwrap();
        let crypto = quic::server_crypto(chain, key.into()).unwrap();
        let settings = |answering| Settings {
            bind: "127.0.0.1:0".parse().unwrap(),
            shard: 0,
            shared: false,
            idle_timeout: Duration::from_secs(5),
            answering,
        };
        Self {
            server: Endpoint::new(settings(Some(Answering { crypto, max_connections: 100, per_address: 0 }))).unwrap(),
            client: Endpoint::new(settings(None)).unwrap(),
            at_server: Echo { echo: true, refuse: false, seen: Seen::default() },
            at_client: Echo { echo: false, refuse: false, seen: Seen::default() },
            dialler: Dialler::new(&Trust::Hashes(vec![hash])).unwrap(),
        }
    }

    fn dial(&mut self, target: Target) -> u32 {
        let remote: SocketAddr = self.server.local_addr();
        self.client.dial(&self.dialler, remote, "localhost", target, ()).unwrap()
    }

    /// Turns both ends until `done`.
    fn until(&mut self, what: &str, done: impl Fn(&Seen, &Seen) -> bool) {
        let end = Instant::now() + Duration::from_secs(10);
        while !done(&self.at_client.seen, &self.at_server.seen) {
            assert!(
                Instant::now() < end,
                "{what}: {:?} / {:?}",
                self.at_client.seen.closed,
                self.at_server.seen.closed
            );
            self.client.turn(&mut self.at_client, Duration::from_millis(1)).unwrap();
            self.server.turn(&mut self.at_server, Duration::from_millis(1)).unwrap();
        }
    }

    fn open(&mut self, target: Target) -> u32 {
        let key = self.dial(target);
        self.until("open", |client, server| client.opened.len() == 1 && server.opened.len() == 1);
        key
    }

    fn connection(&mut self, key: u32) -> &mut Connection {
        self.client.connections.get_mut(key).unwrap().0
    }
}

fn web(protocols: &[Protocol]) -> Target {
    Target::Web {
        url: "https://localhost/spaces/1?jwt=secret".parse().unwrap(),
        origin: Some("https://page.example".into()),
        protocols: protocols.to_vec(),
        fallback: Protocol::Lite05,
    }
}

fn targets() -> [Target; 4] {
    [
        Target::Raw(Protocol::Moqt18),
        Target::Raw(Protocol::Lite05),
        web(&[Protocol::Moqt18]),
        web(&[Protocol::Moqt18, Protocol::Lite05]),
    ]
}

#[test]
fn streams_and_datagrams_come_back_on_every_transport() {
    for (target, protocol) in
        targets().into_iter().zip([Protocol::Moqt18, Protocol::Lite05, Protocol::Moqt18, Protocol::Lite05])
    {
        let mut pair = Pair::new();
        let key = pair.open(target.clone());
        assert_eq!(
            (&pair.at_client.seen.opened[..], &pair.at_server.seen.opened[..]),
            (&[protocol][..], &[protocol][..])
        );
        let request = &pair.at_server.seen.requests[0];
        if let Target::Web { .. } = target {
            assert_eq!((request.path.as_str(), request.query.as_deref()), ("/spaces/1", Some("jwt=secret")));
            assert_eq!(request.origin.as_deref(), Some("https://page.example"));
        } else {
            assert_eq!(request.protocols, [protocol.name()]);
        }
        let big: Vec<u8> = (0..60_000u32).map(|n| n as u8).collect();
        let connection = pair.connection(key);
        let (bi, uni) = (connection.open_bi().unwrap(), connection.open_uni().unwrap());
        connection.write(bi, &big, true);
        connection.write(uni, b"one way", true);
        let datagram = framed(connection, b"datagram");
        assert!(connection.send_datagram(datagram));
        pair.until("echo", |client, server| {
            client.streams.iter().any(|(id, bytes, fin)| *id == bi && *fin && bytes.len() == 60_000)
                && client.datagrams.len() == 1
                && server.streams.iter().any(|(id, bytes, fin)| *id == uni && *fin && bytes == b"one way")
        });
        assert_eq!(pair.at_client.seen.streams[0].1, big);
        assert_eq!(&pair.at_client.seen.datagrams[0][..], b"datagram");
    }
}

#[test]
fn who_uses_the_few_streams_of_the_beginning_is_allowed_more() {
    for target in targets() {
        let mut pair = Pair::new();
        let key = pair.open(target);
        let (mut bidirectional, mut unidirectional) = (Vec::new(), Vec::new());
        while bidirectional.len() < 12 || unidirectional.len() < 12 {
            let connection = pair.connection(key);
            if bidirectional.len() < 12 {
                bidirectional.extend(connection.open_bi());
            }
            if unidirectional.len() < 12 {
                unidirectional.extend(connection.open_uni());
            }
            for id in bidirectional.iter().chain(&unidirectional) {
                connection.write(*id, b"begun", false);
            }
            let last = [bidirectional.last().copied(), unidirectional.last().copied()];
            pair.until("begun", |_, server| {
                last.iter().flatten().all(|last| server.streams.iter().any(|(id, ..)| id == last))
            });
        }
    }
}

#[test]
fn a_close_carries_its_code_and_words_both_ways() {
    for target in targets() {
        let mut pair = Pair::new();
        let key = pair.open(target.clone());
        pair.connection(key).close(0x5304, "auth.session_revoked");
        pair.until("close", |client, server| client.closed.len() == 1 && server.closed.len() == 1);
        assert_eq!(pair.at_client.seen.closed, [Closed::Local]);
        let peer = Closed::Peer { code: 0x5304, reason: "auth.session_revoked".into() };
        assert_eq!(pair.at_server.seen.closed, std::slice::from_ref(&peer));

        let mut pair = Pair::new();
        pair.open(target);
        let key = pair.server.connections.keys().next().unwrap();
        pair.server.connections.get_mut(key).unwrap().0.close(0x5304, "auth.session_revoked");
        pair.until("close", |client, server| client.closed.len() == 1 && server.closed.len() == 1);
        assert_eq!(pair.at_client.seen.closed, [peer]);
    }
}

#[test]
fn a_refused_connect_says_its_status_and_leaves_nothing() {
    let mut pair = Pair::new();
    pair.at_server.refuse = true;
    pair.dial(web(&[Protocol::Moqt18]));
    pair.until("refusal", |client, _| client.closed.len() == 1);
    assert_eq!(pair.at_client.seen.closed, [Closed::Refused(Some(403))]);
    assert!(pair.at_server.seen.opened.is_empty());
    let end = Instant::now() + Duration::from_secs(10);
    while !pair.server.connections.is_empty() || !pair.client.connections.is_empty() {
        assert!(Instant::now() < end, "connections stay");
        pair.until("drain", |_, _| true);
        pair.client.turn(&mut pair.at_client, Duration::from_millis(1)).unwrap();
        pair.server.turn(&mut pair.at_server, Duration::from_millis(1)).unwrap();
    }
}

#[test]
fn resets_and_stops_carry_our_codes() {
    for target in targets() {
        let mut pair = Pair::new();
        let key = pair.open(target);
        let connection = pair.connection(key);
        let uni = connection.open_uni().unwrap();
        connection.write(uni, b"begun", false);
        pair.until("begun", |_, server| server.streams.iter().any(|(id, ..)| *id == uni));
        let connection = pair.connection(key);
        connection.reset(uni, 31);
        let bi = connection.open_bi().unwrap();
        connection.write(bi, b"begun", false);
        pair.until("reset", |_, server| server.resets.contains(&(uni, 31)));
        pair.connection(key).stop(bi, 77);
        pair.until("stop", |_, server| server.resets.contains(&(bi, 77)));
    }
}

#[test]
fn a_moved_client_is_heard_on() {
    for target in targets() {
        let mut pair = Pair::new();
        let key = pair.open(target);
        let before = pair.client.local_addr();
        pair.client.rebind("127.0.0.1:0".parse().unwrap()).unwrap();
        assert_ne!(pair.client.local_addr(), before);
        let connection = pair.connection(key);
        let datagram = framed(connection, b"moved");
        assert!(connection.send_datagram(datagram));
        pair.until("echo from the new address", |client, _| client.datagrams.iter().any(|d| &d[..] == b"moved"));
        let moved = pair.client.local_addr();
        let key = pair.server.connections.keys().next().unwrap();
        assert_eq!(pair.server.connections.get(key).unwrap().0.remote(), moved);
    }
}

#[test]
fn a_stalled_peer_costs_a_bounded_backlog_and_its_stream() {
    let mut pair = Pair::new();
    pair.open(Target::Raw(Protocol::Moqt18));
    let key = pair.server.connections.keys().next().unwrap();
    let connection = pair.server.connections.get_mut(key).unwrap().0;
    let stream = connection.open_uni().unwrap();
    // The client does not turn: nothing is acknowledged, and no credit comes.
    let mut most = 0;
    for _ in 0..100 {
        let connection = pair.server.connections.get_mut(key).unwrap().0;
        connection.write(stream, &[1; 10_000], false);
        most = most.max(connection.backlog());
        pair.server.turn(&mut pair.at_server, Duration::ZERO).unwrap();
    }
    assert!(most > 50_000 && most <= 110_000, "{most}");
    assert_eq!(pair.at_server.seen.resets, [(stream, spaces_net::connection::RESET_SLOW_PEER)]);
    pair.until("reset at the client", |client, _| client.resets.iter().any(|(id, _)| *id == stream));
}

#[test]
fn garbage_is_counted_and_nobody_minds() {
    let mut pair = Pair::new();
    let key = pair.open(Target::Raw(Protocol::Moqt18));
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut seed = 1u64;
    for n in 0..500usize {
        let mut bytes = vec![0u8; n * 3 % 1_400 + 1];
        for byte in &mut bytes {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            *byte = (seed >> 40) as u8;
        }
        // Half-open handshakes: long headers of version 1 with nothing sensible behind.
        if n % 3 == 0 && bytes.len() > 20 {
            bytes[..6].copy_from_slice(&[0xc3, 0, 0, 0, 1, 8]);
        }
        socket.send_to(&bytes, pair.server.local_addr()).unwrap();
        if n % 50 == 0 {
            pair.server.turn(&mut pair.at_server, Duration::from_millis(1)).unwrap();
        }
    }
    let connection = pair.connection(key);
    let datagram = framed(connection, b"still here");
    assert!(connection.send_datagram(datagram));
    pair.until("echo", |client, _| client.datagrams.len() == 1);
    assert!(pair.server.stats().garbage > 100, "{:?}", pair.server.stats());
}
