//! A listener who has settled is to the server what quinn-proto was before: in memory, under virtual time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use quinn_proto::{
    Connection, ConnectionHandle, DatagramEvent, Endpoint, EndpointConfig, ServerConfig, TransportConfig,
};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use spaces_bench_load::ear::{Ear, Opened, Overheard, own_id};
use spaces_bench_load::tls;

const TICK: Duration = Duration::from_millis(20);

struct End {
    endpoint: Endpoint,
    connection: Option<(ConnectionHandle, Connection)>,
    inbox: VecDeque<Vec<u8>>,
}

impl End {
    fn address() -> SocketAddr {
        "127.0.0.1:4433".parse().unwrap()
    }

    fn take(&mut self, now: Instant) {
        while let Some(packet) = self.inbox.pop_front() {
            let mut answer = Vec::new();
            let packet = BytesMut::from(&packet[..]);
            match self.endpoint.handle(now, Self::address(), None, None, packet, &mut answer) {
                Some(DatagramEvent::NewConnection(incoming)) => {
                    self.connection = self.endpoint.accept(incoming, now, &mut answer, None).ok();
                }
                Some(DatagramEvent::ConnectionEvent(_, event)) => {
                    self.connection.as_mut().unwrap().1.handle_event(event);
                }
                _ => {}
            }
        }
    }

    /// What it sends at `now`.
    fn turn(&mut self, now: Instant) -> Vec<Vec<u8>> {
        self.take(now);
        let mut out = Vec::new();
        let Some((handle, connection)) = &mut self.connection else { return out };
        if connection.poll_timeout().is_some_and(|at| at <= now) {
            connection.handle_timeout(now);
        }
        while connection.poll().is_some() {}
        while let Some(event) = connection.poll_endpoint_events() {
            if let Some(event) = self.endpoint.handle_event(*handle, event) {
                connection.handle_event(event);
            }
        }
        let mut packet = Vec::new();
        while connection.poll_transmit(now, 1, &mut packet).is_some() {
            out.push(std::mem::take(&mut packet));
        }
        out
    }

    fn connection(&mut self) -> &mut Connection {
        &mut self.connection.as_mut().unwrap().1
    }
}

fn endpoint() -> Endpoint {
    let key = Arc::new(ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &[7; 64]));
    let certificate = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let private = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(certificate.signing_key.serialize_der()));
    let mut tls = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.cert.der().clone()], private)
        .unwrap();
    tls.alpn_protocols = vec![b"plain".to_vec()];
    let crypto = quinn_proto::crypto::rustls::QuicServerConfig::try_from(tls).unwrap();
    let mut config = ServerConfig::with_crypto(Arc::new(crypto));
    let mut transport = TransportConfig::default();
    transport.mtu_discovery_config(None);
    config.transport_config(Arc::new(transport));
    Endpoint::new(Arc::new(EndpointConfig::new(key)), Some(Arc::new(config)), true, None)
}

/// A server, and a client that is let in and has nothing left to say.
struct Pair {
    now: Instant,
    server: End,
    client: End,
    overheard: Overheard,
    ear: Option<(u64, Ear)>,
    heard: usize,
    over: Option<Opened>,
}

impl Pair {
    fn new() -> Self {
        let now = Instant::now();
        let (server, mut dialling) = (endpoint(), endpoint());
        let overheard = Overheard::default();
        let config = tls::listener(overheard.crypto(tls::quic(b"plain", false).unwrap()), false);
        let connection = dialling.connect(now, config, End::address(), "localhost").unwrap();
        let end = |endpoint, connection| End { endpoint, connection, inbox: VecDeque::new() };
        let mut pair = Self {
            now,
            server: end(server, None),
            client: end(dialling, Some(connection)),
            overheard,
            ear: None,
            heard: 0,
            over: None,
        };
        for _ in 0..500 {
            pair.step(|_| false);
        }
        pair
    }

    fn settle(&mut self) {
        self.ear = Some(self.overheard.take(self.now).unwrap());
        self.client.connection = None;
    }

    /// A millisecond; `loses` decides over each packet to the client.
    fn step(&mut self, mut loses: impl FnMut(&[u8]) -> bool) {
        self.now += Duration::from_millis(1);
        let sent = self.server.turn(self.now);
        self.client.inbox.extend(sent.into_iter().filter(|packet| !loses(packet)));
        let answers = match &mut self.ear {
            None => {
                let out = self.client.turn(self.now);
                if let Some((_, connection)) = &mut self.client.connection {
                    while connection.datagrams().recv().is_some() {
                        self.heard += 1;
                    }
                }
                out
            }
            Some((own, ear)) => {
                let mut scratch = BytesMut::new();
                for mut packet in self.client.inbox.drain(..) {
                    assert_eq!(own_id(&packet), Some(*own));
                    match ear.open(self.now, &mut packet, &mut scratch, |_| self.heard += 1) {
                        Opened::Well | Opened::Ignored => {}
                        other => self.over = Some(other),
                    }
                }
                let mut out = Vec::new();
                if ear.due().is_some_and(|at| at <= self.now) {
                    let mut packet = Vec::new();
                    ear.acknowledge(self.now, &mut packet);
                    out.push(packet);
                }
                out
            }
        };
        self.server.inbox.extend(answers);
    }

    /// Datagrams every `every` for so long: how many, and how many ACK frames came for them.
    fn talk(&mut self, every: Duration, count: u32, mut loses: impl FnMut(usize) -> bool) -> (usize, u64, u64) {
        let before = self.server.connection().stats();
        let (heard, mut number) = (self.heard, 0);
        for _ in 0..count {
            self.server.connection().datagrams().send(Bytes::from_static(&[5; 120]), true).unwrap();
            for _ in 0..every.as_millis() {
                self.step(|_| {
                    number += 1;
                    loses(number)
                });
            }
        }
        for _ in 0..100 {
            self.step(|_| false);
        }
        let after = self.server.connection().stats();
        let acks = after.frame_rx.acks - before.frame_rx.acks;
        (self.heard - heard, acks, after.path.lost_packets - before.path.lost_packets)
    }
}

#[test]
fn acknowledgements_are_as_many_as_quinn_protos_at_each_cadence() {
    for every in [TICK, 2 * TICK, 3 * TICK] {
        let (mut quinn, mut settled) = (Pair::new(), Pair::new());
        settled.settle();
        let (heard, acks, lost) = quinn.talk(every, 300, |_| false);
        assert_eq!((heard, lost), (300, 0), "quinn-proto's own");
        let own = settled.talk(every, 300, |_| false);
        assert_eq!((own.0, own.2, settled.over), (300, 0, None));
        assert!(own.1.abs_diff(acks) <= 2, "{every:?}: {} for quinn-proto's {acks}", own.1);
    }
}

#[test]
fn losses_are_told_as_quinn_proto_tells_them() {
    let loses = |number: usize| number % 10 == 3;
    let (mut quinn, mut settled) = (Pair::new(), Pair::new());
    settled.settle();
    let (theirs, own) = (quinn.talk(TICK, 400, loses), settled.talk(TICK, 400, loses));
    assert!(theirs.2 > 20 && own.2.abs_diff(theirs.2) <= 4, "{own:?} {theirs:?}");
    assert!(own.1.abs_diff(theirs.1) <= theirs.1 / 10, "{own:?} {theirs:?}");
    assert!(own.0.abs_diff(theirs.0) <= 4, "{own:?} {theirs:?}");
}

#[test]
fn what_an_ear_does_not_do_is_told() {
    let mut pair = Pair::new();
    pair.settle();
    pair.talk(TICK, 5, |_| false);
    assert_eq!(pair.over, None);
    let now = pair.now;
    pair.server.connection().close(now, 0u32.into(), Bytes::new());
    pair.step(|_| false);
    assert_eq!(pair.over, Some(Opened::Closed));
}

#[test]
fn a_server_that_goes_on_to_new_keys_is_followed_as_far_as_they_are_known() {
    let mut pair = Pair::new();
    pair.settle();
    pair.server.connection().force_key_update();
    assert_eq!(pair.talk(TICK, 50, |_| false).0, 50);
    let lost = pair.server.connection().stats().path.lost_packets;
    assert_eq!((pair.over, lost), (None, 0), "what was acknowledged with the new keys is understood");
    pair.server.connection().force_key_update();
    pair.talk(TICK, 50, |_| false);
    assert_eq!(pair.over, Some(Opened::Beyond));
}
