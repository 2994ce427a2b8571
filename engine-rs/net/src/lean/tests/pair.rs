//! A server with a lane and a plain client, over a network that loses, delays and reorders; in virtual time.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

use bytes::Bytes;
use quinn_proto::{
    ClientConfig, Connection, ConnectionHandle, DatagramEvent, Dir, Endpoint, EndpointConfig, Event,
    RandomConnectionIdGenerator, ServerConfig, StreamId, TransportConfig,
};

use super::*;
use crate::identity::Identity;
use crate::quic::{self, Trust};

const TICK: Duration = Duration::from_millis(20);
const IDLE: Duration = Duration::from_secs(10);

struct End {
    endpoint: Endpoint,
    handle: Option<ConnectionHandle>,
    connection: Option<Connection>,
    address: SocketAddr,
    lost: Option<String>,
    datagrams: Vec<Bytes>,
    read: Vec<u8>,
    written: Vec<u8>,
    stream: Option<StreamId>,
}

struct Pair {
    now: Instant,
    /// Server, client.
    ends: [End; 2],
    lane: Option<Lane>,
    wire: BTreeMap<(Instant, u64), (usize, Vec<u8>)>,
    count: u64,
    seed: u64,
    /// Of a hundred packets.
    loss: u64,
    jitter_ms: u64,
    read_lean: u64,
    /// The last packet that was read there.
    last_lean: Vec<u8>,
    sealed: Vec<Bytes>,
    /// Packets from the server that the network swallowed.
    swallowed: u64,
}

impl Pair {
    fn new(seed: u64) -> Self {
        Self::with(seed, None, IDLE)
    }

    /// With a client that gives up each of its connection ids after so long, and has this idle timeout.
    fn with(seed: u64, lifetime: Option<Duration>, idle: Duration) -> Self {
        let identity = Identity::development(["localhost"]).unwrap();
        let hash = identity.sha256();
        let tls = quic::server_crypto(identity.chain, identity.key).unwrap();
        let lean = Arc::new(LeanServer { tls, max_ack_delay: Duration::from_millis(25), idle: IDLE });
        let mut server = ServerConfig::with_crypto(lean);
        let transport = |idle: Duration| {
            let mut transport = TransportConfig::default();
            transport.max_idle_timeout(Some(idle.try_into().unwrap()));
            transport.stream_receive_window(4_096u32.into());
            Arc::new(transport)
        };
        server.transport_config(transport(IDLE));
        let end = |endpoint, port| End {
            endpoint,
            handle: None,
            connection: None,
            address: SocketAddr::from(([127, 0, 0, 1], port)),
            lost: None,
            datagrams: Vec::new(),
            read: Vec::new(),
            written: Vec::new(),
            stream: None,
        };
        let now = Instant::now();
        let mut dialling = EndpointConfig::default();
        if let Some(lifetime) = lifetime {
            dialling.cid_generator(move || {
                let mut ids = RandomConnectionIdGenerator::default();
                ids.set_lifetime(lifetime);
                Box::new(ids)
            });
        }
        let mut client = end(Endpoint::new(Arc::new(dialling), None, true, None), 2);
        let server = end(Endpoint::new(Arc::new(quic::endpoint(0)), Some(Arc::new(server)), true, None), 1);
        let crypto = quic::client_crypto(&Trust::Hashes(vec![hash]), b"moqt-18").unwrap();
        let mut config = ClientConfig::new(crypto);
        config.transport_config(transport(idle));
        let (handle, connection) = client.endpoint.connect(now, config, server.address, "localhost").unwrap();
        (client.handle, client.connection) = (Some(handle), Some(connection));
        Self {
            now,
            ends: [server, client],
            lane: None,
            wire: BTreeMap::new(),
            count: 0,
            seed,
            loss: 0,
            jitter_ms: 0,
            read_lean: 0,
            last_lean: Vec::new(),
            sealed: Vec::new(),
            swallowed: 0,
        }
    }

    fn random(&mut self, below: u64) -> u64 {
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.seed >> 33) % below
    }

    fn put(&mut self, to: usize, bytes: Vec<u8>) {
        if self.random(100) < self.loss {
            self.swallowed += to as u64;
            return;
        }
        let delay = Duration::from_millis(10 + self.random(self.jitter_ms + 1));
        self.count += 1;
        self.wire.insert((self.now + delay, self.count), (to, bytes));
    }

    fn deliver(&mut self, to: usize, packet: &[u8]) {
        if let (0, Some(lane), 0) = (to, &self.lane, packet[0] & 0x80)
            && lane.open(self.now, packet, &mut BytesMut::new())
        {
            self.read_lean += 1;
            self.last_lean = packet.to_vec();
            return;
        }
        self.hand_over(to, self.ends[1 - to].address, packet);
    }

    /// quinn-proto's way.
    fn hand_over(&mut self, to: usize, from: SocketAddr, packet: &[u8]) {
        let now = self.now;
        let end = &mut self.ends[to];
        let mut answer = Vec::new();
        match end.endpoint.handle(now, from, None, None, BytesMut::from(packet), &mut answer) {
            Some(DatagramEvent::ConnectionEvent(_, event)) => {
                if let Some(connection) = end.connection.as_mut() {
                    connection.handle_event(event);
                }
            }
            Some(DatagramEvent::NewConnection(incoming)) => {
                let (handle, connection) = end.endpoint.accept(incoming, now, &mut answer, None).ok().unwrap();
                (end.handle, end.connection) = (Some(handle), Some(connection));
            }
            Some(DatagramEvent::Response(_)) | None => {}
        }
    }

    fn drive(&mut self, which: usize) {
        let now = self.now;
        let end = &mut self.ends[which];
        let (Some(connection), Some(handle)) = (end.connection.as_mut(), end.handle) else { return };
        if connection.poll_timeout().is_some_and(|at| at <= now) {
            connection.handle_timeout(now);
        }
        while let Some(event) = connection.poll_endpoint_events() {
            if let Some(event) = end.endpoint.handle_event(handle, event) {
                connection.handle_event(event);
            }
        }
        while let Some(event) = connection.poll() {
            match event {
                Event::Connected if which == 0 => {
                    let greeting = connection.crypto_session().handshake_data().unwrap().downcast::<Greeting>();
                    self.lane = Some(greeting.ok().unwrap().lane);
                }
                Event::ConnectionLost { reason } => end.lost = Some(reason.to_string()),
                Event::DatagramReceived => {
                    while let Some(datagram) = connection.datagrams().recv() {
                        end.datagrams.push(datagram);
                    }
                }
                _ => {}
            }
        }
        while let Some(id) = connection.streams().accept(Dir::Uni) {
            end.stream = Some(id);
        }
        if let Some(id) = end.stream.filter(|id| id.initiator() != connection.side()) {
            let mut stream = connection.recv_stream(id);
            if let Ok(mut chunks) = stream.read(true) {
                while let Ok(Some(chunk)) = chunks.next(usize::MAX) {
                    end.read.extend_from_slice(&chunk.bytes);
                }
                let _ = chunks.finalize(); // everybody is asked for transmits below
            }
        }
        let mut packets = VecDeque::new();
        let mut buffer = Vec::new();
        while let Some(transmit) = connection.poll_transmit(now, 1, &mut buffer) {
            packets.push_back(buffer[..transmit.size].to_vec());
            buffer.clear();
        }
        for packet in packets {
            self.put(1 - which, packet);
        }
    }

    /// Runs until `end`; every tick the server seals a datagram and writes a piece of a stream.
    fn run(&mut self, seconds: u64, mut each: impl FnMut(&mut Self, u64)) {
        let end = self.now + Duration::from_secs(seconds);
        let mut tick = self.now + TICK;
        let mut n = 0;
        while self.now < end {
            while let Some(entry) = self.wire.first_entry().filter(|entry| entry.key().0 <= self.now) {
                let (to, packet) = entry.remove();
                self.deliver(to, &packet);
            }
            if self.now >= tick {
                tick += TICK;
                n += 1;
                self.seal_one();
                each(self, n);
            }
            for which in [0, 1] {
                self.drive(which);
            }
            let timeouts = self.ends.iter_mut().filter_map(|end| end.connection.as_mut()?.poll_timeout());
            let next = timeouts.chain(self.wire.keys().next().map(|(at, _)| *at)).min().unwrap_or(tick).min(tick);
            self.now = next.max(self.now + Duration::from_micros(100));
        }
    }

    fn seal_one(&mut self) {
        let Some(lane) = self.lane.clone() else { return };
        let datagram = Bytes::from(format!("tick {}", self.sealed.len()).repeat(10));
        let mut out = Vec::new();
        if lane.seal(self.now, &datagram, &mut out) == Sealed::Yes {
            self.sealed.push(datagram);
            self.put(1, out);
        }
    }

    /// Writes a piece to the other end on a stream of one's own.
    fn write(&mut self, which: usize, piece: &[u8]) {
        let end = &mut self.ends[which];
        let connection = end.connection.as_mut().unwrap();
        let id = *end.stream.get_or_insert_with(|| connection.streams().open(Dir::Uni).unwrap());
        if let Ok(written) = connection.send_stream(id).write(piece) {
            end.written.extend_from_slice(&piece[..written]);
        }
    }

    fn check_alive(&self) {
        for end in &self.ends {
            assert_eq!(end.lost, None);
        }
    }
}

fn talk(seed: u64, loss: u64, jitter_ms: u64, mut each: impl FnMut(&mut Pair, u64)) -> Pair {
    let mut pair = Pair::new(seed);
    pair.run(1, |_, _| {});
    assert!(pair.lane.is_some(), "no handshake");
    (pair.loss, pair.jitter_ms) = (loss, jitter_ms);
    pair.run(30, |pair, n| {
        // Bursts of several packets, pauses, and single bytes.
        if n % 7 == 0 {
            let piece = vec![n as u8; 1 + pair.random(3_000) as usize];
            pair.write(0, &piece);
        }
        each(pair, n);
    });
    (pair.loss, pair.jitter_ms) = (0, 0);
    pair.run(3, |_, _| {});
    pair.check_alive();
    assert_eq!(pair.ends[0].written.len(), pair.ends[1].read.len());
    assert!(pair.ends[0].written == pair.ends[1].read, "the stream's bytes differ");
    pair
}

#[test]
fn datagrams_and_streams_share_a_connection_and_nothing_is_lost() {
    let pair = talk(1, 0, 0, |_, _| {});
    assert_eq!(pair.ends[1].datagrams, pair.sealed[..pair.ends[1].datagrams.len()]);
    assert!(pair.sealed.len() - pair.ends[1].datagrams.len() <= 1, "one may be under way");
    assert!(pair.sealed.len() > 1_600);
    assert_eq!(pair.lane.unwrap().totals().1, 0);
    assert!(pair.read_lean > 300, "{}", pair.read_lean);
    let path = pair.ends[0].connection.as_ref().unwrap().stats().path;
    assert_eq!(path.lost_packets, 0, "quinn-proto believes to have lost something");
}

#[test]
fn streams_come_whole_and_losses_are_counted_whatever_the_network_does() {
    for seed in 0..12 {
        let pair = talk(seed, 5 + seed, seed * 7, |_, _| {});
        let (sent, lost) = pair.lane.as_ref().unwrap().totals();
        let missing = sent - pair.ends[1].datagrams.len() as u64;
        assert!(pair.swallowed > 0 && missing > 0);
        // Packets that come more than three numbers late count as lost although they come.
        assert!(
            lost + 2 >= missing.min(lost + 2) && lost >= missing / 2,
            "seed {seed}: {lost} counted, {missing} missing"
        );
        if pair.sealed.len() > 1_500 {
            assert!(lost <= missing + sent / 3, "seed {seed}: {lost} counted, {missing} missing of {sent}");
        }
    }
}

#[test]
fn keys_change_at_either_end_while_everybody_talks() {
    for seed in 0..6 {
        let mut updates = 0;
        let pair = talk(seed, seed * 2, seed * 3, |pair, n| {
            if n % 100 == 50 {
                let which = (n / 100 % 2) as usize;
                let connection = pair.ends[which].connection.as_mut().unwrap();
                connection.force_key_update();
                connection.ping();
                updates += 1;
            }
        });
        assert!(updates > 10);
        let state = pair.lane.as_ref().unwrap().lock();
        let (seal, open) = (state.seal.as_ref().unwrap().number, state.open.as_ref().unwrap().number);
        assert!(seal >= 5 && open >= 5, "phases {seal} and {open}");
        drop(state);
        assert!(pair.ends[1].datagrams.len() * 100 >= pair.sealed.len() * (80 - seed as usize));
        assert!(pair.read_lean > 100, "{}", pair.read_lean);
    }
}

#[test]
fn an_idle_client_is_kept_and_a_dead_one_is_found() {
    let mut pair = Pair::new(3);
    // Nothing but datagrams and their acknowledgements: quinn-proto must not believe the peer dead.
    pair.run(60, |_, _| {});
    pair.check_alive();
    assert!(pair.ends[1].datagrams.len() > 2_900);
    assert!(pair.read_lean * 10 > pair.sealed.len() as u64 * 4, "{} of {}", pair.read_lean, pair.sealed.len());
    pair.loss = 100;
    let before = pair.sealed.len();
    pair.run(12, |_, _| {});
    assert_eq!(pair.ends[0].lost.as_deref(), Some("timed out"));
    assert!(pair.sealed.len() - before < 300, "{} sent to a dead peer", pair.sealed.len() - before);
}

#[test]
fn a_copy_of_a_packet_that_was_read_here_moves_nobody() {
    let mut pair = Pair::new(5);
    pair.run(3, |_, _| {});
    let home = pair.ends[1].address;
    let elsewhere = SocketAddr::from(([192, 0, 2, 1], 3));
    let remote = |pair: &Pair| pair.ends[0].connection.as_ref().unwrap().remote_address();
    let mut copies = 0;
    pair.run(5, |pair, _| {
        let copy = std::mem::take(&mut pair.last_lean);
        if !copy.is_empty() {
            copies += 1;
            pair.hand_over(0, elsewhere, &copy);
            assert_eq!(remote(pair), home, "copy {copies}");
        }
    });
    assert!(copies > 50, "{copies}");
    pair.check_alive();
}

#[test]
fn quinn_proto_does_not_take_the_peers_wait_for_a_datagram_for_its_round_trip() {
    let pair = talk(8, 0, 0, |_, _| {});
    // 10 ms each way; the client answers every other packet, and a tick is 20 ms.
    let (quinn, ours) = (pair.ends[0].connection.as_ref().unwrap().rtt(), pair.lane.as_ref().unwrap().rtt());
    assert!(quinn < Duration::from_millis(24), "{quinn:?}");
    assert!(ours < Duration::from_millis(24), "{ours:?}");
}

#[test]
fn a_peer_that_gives_up_its_connection_ids_is_addressed_by_new_ones() {
    let mut pair = Pair::with(6, Some(Duration::from_secs(2)), IDLE);
    let mut ids = std::collections::BTreeSet::new();
    pair.run(20, |pair, _| {
        if let Some(lane) = &pair.lane {
            ids.insert(lane.lock().cid);
        }
    });
    pair.check_alive();
    assert!(ids.len() >= 4, "{} ids", ids.len());
    assert!(pair.sealed.len() > 950);
    let missing = pair.sealed.len() - pair.ends[1].datagrams.len();
    assert!(missing <= 1, "{missing} went to ids that nobody has any more");
}

#[test]
fn a_peer_with_a_short_idle_timeout_is_not_taken_for_lost_while_it_acknowledges() {
    let mut pair = Pair::with(7, None, Duration::from_secs(1));
    pair.run(10, |_, _| {});
    pair.check_alive();
    assert!(pair.read_lean > 200, "{} were read here", pair.read_lean);
    assert_eq!(pair.lane.as_ref().unwrap().lock().report, Duration::from_millis(250));
}
