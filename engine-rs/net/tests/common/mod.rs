//! Listeners and speakers for the tests: sessions of this workspace over the crate's own endpoint, turned by hand.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // tests: each uses its part, and may fail

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use spaces_core::command::{Applied, Command, MixFor, Role, SpaceTable, StageRow};
use spaces_core::ids::{AccountId, SeatNo, SpaceId};
use spaces_core::uplink::{Level, Spurt, UplinkFrame};
use spaces_core::{bundle, varint};
use spaces_moqt::seam::{End, FullTrackName, ObjectHeader, Protocol, SessionEvent, Setup, SubscriptionId};
use spaces_moqt::session::Session;
use spaces_net::connection::{Closed, Connection, Incoming, Request, Target};
use spaces_net::endpoint::{Answer, Application, Dialler, Endpoint, ForeignPacket, Settings};
use spaces_net::identity::Identity;
use spaces_net::quic::Trust;
use spaces_net::server::{Server, ServerConfig, ServerError};
use spaces_net::token::{TokenSigner, TokenSpec};

pub const SPACE: SpaceId = SpaceId(7_340_032_001);

/// An object as it came.
#[derive(Clone, Debug)]
pub struct Got {
    pub track: String,
    pub header: ObjectHeader,
    pub payload: Bytes,
    pub datagram: bool,
}

/// One session of a test.
pub struct Peer {
    silent: bool,
    session: Option<Session>,
    setup: Setup,
    tracks: Vec<String>,
    seat: Option<u8>,
    subscriptions: HashMap<SubscriptionId, String>,
    uplink: Option<SubscriptionId>,
    pub subscribed: Vec<String>,
    pub refused: Vec<(String, u64, String)>,
    pub announced: Vec<String>,
    pub got: Vec<Got>,
    pub failed: Option<String>,
    pub goaway: bool,
}

#[derive(Default)]
pub struct App {
    pub closed: HashMap<u32, Closed>,
}

impl App {
    fn drive(connection: &mut Connection, peer: &mut Peer) {
        while let Some(event) = peer.session.as_mut().unwrap().poll_event() {
            let session = peer.session.as_mut().unwrap();
            match event {
                SessionEvent::SubscribeRequested { id, name } => {
                    assert_eq!(&name.track[..], b"audio");
                    session.accept_subscribe(connection, id);
                    peer.uplink = Some(id);
                }
                SessionEvent::SubscribeCancelled(id) if peer.uplink == Some(id) => peer.uplink = None,
                SessionEvent::Subscribed(id) => peer.subscribed.push(peer.subscriptions[&id].clone()),
                SessionEvent::SubscribeRefused { id, code, reason } => {
                    peer.refused.push((peer.subscriptions[&id].clone(), code, reason));
                }
                SessionEvent::Object { id, header, datagram, payload } => {
                    peer.got.push(Got { track: peer.subscriptions[&id].clone(), header, payload, datagram });
                }
                SessionEvent::Announced(name) => {
                    peer.announced.push(
                        name.iter().map(|f| String::from_utf8_lossy(f).into_owned()).collect::<Vec<_>>().join("/"),
                    );
                }
                SessionEvent::GoAway { .. } => peer.goaway = true,
                SessionEvent::Failed { reason, .. } => peer.failed = Some(reason),
                _ => {}
            }
        }
    }
}

impl Application for App {
    type State = Peer;
    fn on_request(&mut self, _key: u32, _request: &Request) -> Answer<Peer> {
        Answer::Refuse(http::StatusCode::NOT_FOUND)
    }
    fn on_open(&mut self, connection: &mut Connection, peer: &mut Peer, protocol: Protocol) {
        if peer.silent {
            return;
        }
        let mut session = Session::new(protocol, End::Client, peer.setup.clone());
        session.start(connection);
        for track in peer.tracks.clone() {
            let name = FullTrackName { namespace: space_name(SPACE), track: Bytes::from(track.clone()) };
            peer.subscriptions.insert(session.subscribe(connection, name), track);
        }
        if let Some(seat) = peer.seat {
            session.announce(connection, seat_name(SPACE, seat));
        }
        peer.session = Some(session);
        Self::drive(connection, peer);
    }
    fn on_incoming(&mut self, connection: &mut Connection, peer: &mut Peer, incoming: Incoming) {
        let Some(session) = peer.session.as_mut() else { return };
        match incoming {
            Incoming::Stream { id, bidi, data, fin } => session.on_stream(connection, id, bidi, &data, fin),
            Incoming::Reset { id, code } => session.on_reset(connection, id, code),
            Incoming::Stopped { id, code } => session.on_stopped(connection, id, code),
            Incoming::Credit => session.on_stream_credit(connection),
            Incoming::Datagram(bytes) => session.on_datagram(connection, bytes),
        }
        Self::drive(connection, peer);
    }
    fn on_closed(&mut self, key: u32, _peer: Peer, closed: Closed) {
        self.closed.insert(key, closed);
    }
    fn on_wake(&mut self, _endpoint: &mut Endpoint<Peer>) {}
    fn advance(&mut self, _endpoint: &mut Endpoint<Peer>) {}
    fn next_timeout(&self) -> Option<Instant> {
        None
    }
    fn on_foreign(&mut self, _shard: u8, _packet: ForeignPacket) {}
}

pub fn space_name(space: SpaceId) -> Vec<Bytes> {
    vec![Bytes::from_static(b"spaces"), Bytes::from(space.to_string())]
}

fn seat_name(space: SpaceId, seat: u8) -> Vec<Bytes> {
    let mut name = space_name(space);
    name.extend([Bytes::from_static(b"seat"), Bytes::from(seat.to_string())]);
    name
}

/// How a session reaches the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    Raw(Protocol),
    Web(Protocol),
}

pub const EVERY_WAY: [Via; 4] =
    [Via::Raw(Protocol::Moqt18), Via::Raw(Protocol::Lite05), Via::Web(Protocol::Moqt18), Via::Web(Protocol::Lite05)];

/// A connection: its endpoint, and its key there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key(usize, u32);

/// A server with one Space, and clients on one or more addresses.
pub struct World {
    pub server: Server,
    pub signer: TokenSigner,
    clients: Vec<(Endpoint<Peer>, App)>,
    stalled: bool,
    started_at_ms: u64,
    pub guests: bool,
    pub record: bool,
    pub mix: bool,
    pub mix_for: MixFor,
    offers_none: bool,
    remote: Option<SocketAddr>,
    dialler: Dialler,
    pub version: u64,
    pub stage: Vec<StageRow>,
    next_sid: u64,
}

pub fn row(seat: u8, account: u64, muted: bool) -> StageRow {
    let seat = SeatNo::new(seat).unwrap();
    StageRow { seat, account: AccountId(account), role: Role::Speaker, muted, generation: 1, caption: false }
}

impl World {
    pub fn new(shards: u16) -> Self {
        Self::with(shards, |_| {})
    }

    pub fn with(shards: u16, change: impl FnOnce(&mut ServerConfig)) -> Self {
        let identity = Identity::development(["localhost"]).unwrap();
        let hash = identity.sha256();
        let signer = TokenSigner::generate("https://issuer", "spaces").unwrap();
        let mut config = ServerConfig::new("127.0.0.1:0".parse().unwrap(), identity, signer.verifier());
        config.shards = shards;
        change(&mut config);
        let server = Server::start(config).unwrap();
        let dialler = Dialler::new(&Trust::Hashes(vec![hash])).unwrap();
        let mut world = Self {
            server,
            signer,
            clients: Vec::new(),
            stalled: false,
            started_at_ms: now_ms() - 5_000,
            guests: true,
            record: false,
            mix: true,
            mix_for: MixFor::Nobody,
            offers_none: false,
            remote: None,
            dialler,
            version: 0,
            stage: Vec::new(),
            next_sid: 1,
        };
        world.another_address();
        world.stage = vec![row(0, 100, false), row(1, 101, false)];
        world.upsert();
        world
    }

    /// Connections dialled from now on believe the certificate with this hash, and no other.
    pub fn trust(&mut self, hash: [u8; 32]) {
        self.dialler = Dialler::new(&Trust::Hashes(vec![hash])).unwrap();
    }

    pub fn upsert(&mut self) -> Applied {
        self.try_upsert().unwrap()
    }

    pub fn try_upsert(&mut self) -> Result<Applied, ServerError> {
        self.version += 1;
        let table = SpaceTable {
            live: true,
            record: self.record,
            guests: self.guests,
            ticketed: false,
            mic_open: true,
            mix: self.mix,
            mix_for: self.mix_for,
            started_at_ms: self.started_at_ms,
            stage: self.stage.clone(),
        };
        self.server.apply(&Command::UpsertSpace { space: SPACE, version: self.version, table })
    }

    pub fn token(&mut self, account: Option<u64>) -> String {
        self.next_sid += 1;
        let sid = self.next_sid;
        self.token_of(account, sid, now_ms() / 1_000 + 60)
    }

    pub fn token_of(&self, account: Option<u64>, sid: u64, expires_at: u64) -> String {
        self.signer.mint(&TokenSpec { account, sid, expires_at, epoch: 0, anonymous: false, service: false })
    }

    pub fn dial(&mut self, via: Via, token: Option<&str>, tracks: &[&str], seat: Option<u8>) -> Key {
        let path = format!("/spaces/{SPACE}");
        self.dial_path(via, &path, token, tracks, seat)
    }

    pub fn dial_path(&mut self, via: Via, path: &str, token: Option<&str>, tracks: &[&str], seat: Option<u8>) -> Key {
        self.dial_as(via, path, token, tracks, seat, None, false)
    }

    /// A page of `origin` dials.
    pub fn dial_from(&mut self, origin: &str) -> Key {
        let path = format!("/spaces/{SPACE}");
        self.dial_as(Via::Web(Protocol::Lite05), &path, None, &["stage"], None, Some(origin.to_owned()), false)
    }

    /// A browser that offers no subprotocols dials.
    pub fn dial_query(&mut self, protocol: Protocol, query: &str) -> Key {
        let path = format!("/spaces/{SPACE}?{query}");
        self.offers_none = true;
        let key = self.dial_path(Via::Web(protocol), &path, None, &["stage"], None);
        self.offers_none = false;
        key
    }

    /// One turn of the first address.
    pub fn turn_once_first(&mut self) {
        let (client, app) = &mut self.clients[0];
        client.turn(app, Duration::ZERO).unwrap();
    }

    /// Dials, and begins no session.
    pub fn dial_silent(&mut self, via: Via) -> Key {
        self.dial_as(via, "", None, &[], None, None, true)
    }

    /// Sends what the last address has to send, and takes it away.
    pub fn send_and_vanish(&mut self) {
        let (mut client, mut app) = self.clients.pop().unwrap();
        client.turn(&mut app, Duration::ZERO).unwrap();
    }

    /// A client's first packet.
    pub fn first_flight(&mut self) -> Vec<u8> {
        let sink = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut client = self.remote.replace(sink.local_addr().unwrap());
        self.another_address();
        self.dial(Via::Raw(Protocol::Moqt18), None, &[], None);
        self.send_and_vanish();
        std::mem::swap(&mut client, &mut self.remote);
        let mut bytes = vec![0; 2_000];
        let length = sink.recv(&mut bytes).unwrap();
        bytes.truncate(length);
        bytes
    }

    #[allow(clippy::too_many_arguments)] // every way to dial, in one place
    fn dial_as(
        &mut self,
        via: Via,
        path: &str,
        token: Option<&str>,
        tracks: &[&str],
        seat: Option<u8>,
        origin: Option<String>,
        silent: bool,
    ) -> Key {
        let mut setup = Setup { implementation: Some("test".into()), ..Setup::default() };
        let target = match via {
            Via::Raw(protocol) => {
                setup.path = Some(path.to_owned());
                setup.token = token.map(|token| Bytes::copy_from_slice(token.as_bytes()));
                Target::Raw(protocol)
            }
            Via::Web(protocol) => {
                let query = token.map(|token| format!("?jwt={token}")).unwrap_or_default();
                let url = format!("https://localhost{path}{query}").parse().unwrap();
                let protocols = if self.offers_none { Vec::new() } else { vec![protocol] };
                Target::Web { url, origin, protocols, fallback: protocol }
            }
        };
        let remote = self.remote.unwrap_or(self.server.local_addr());
        let peer = Peer {
            silent,
            session: None,
            setup,
            tracks: tracks.iter().map(|track| (*track).to_owned()).collect(),
            seat,
            subscriptions: HashMap::new(),
            uplink: None,
            subscribed: Vec::new(),
            refused: Vec::new(),
            announced: Vec::new(),
            got: Vec::new(),
            failed: None,
            goaway: false,
        };
        let index = self.clients.len() - 1;
        let (client, _) = self.clients.last_mut().unwrap();
        Key(index, client.dial(&self.dialler, remote, "localhost", target, peer).unwrap())
    }

    /// Dials go out from a new address from here on.
    pub fn another_address(&mut self) {
        let settings = Settings {
            bind: "127.0.0.1:0".parse().unwrap(),
            shard: 0,
            shared: false,
            idle_timeout: Duration::from_secs(10),
            answering: None,
        };
        self.clients.push((Endpoint::new(settings).unwrap(), App::default()));
    }

    /// The first address changes, connections and all.
    pub fn move_first(&mut self) {
        self.clients[0].0.rebind("127.0.0.1:0".parse().unwrap()).unwrap();
    }

    /// The first address neither receives nor sends.
    pub fn stall_first(&mut self) {
        self.stalled = true;
    }

    pub fn resume_first(&mut self) {
        self.stalled = false;
    }

    pub fn turn(&mut self) {
        let stalled = usize::from(self.stalled);
        for (client, app) in self.clients.iter_mut().skip(stalled) {
            client.turn(app, Duration::from_micros(200)).unwrap();
        }
    }

    pub fn turn_for(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end {
            self.turn();
        }
    }

    /// Takes in what has arrived.
    pub fn receive_all(&mut self) {
        for _ in 0..20 {
            self.turn();
        }
    }

    pub fn until(&mut self, what: &str, mut done: impl FnMut(&mut Self) -> bool) {
        let end = Instant::now() + Duration::from_secs(15);
        while !done(self) {
            let closed: Vec<_> = self.clients.iter().map(|(_, app)| &app.closed).collect();
            assert!(Instant::now() < end, "{what}; closed: {closed:?}; {:#?}", self.server.stats());
            self.turn();
        }
    }

    pub fn peer(&mut self, key: Key) -> &mut Peer {
        let (client, app) = &mut self.clients[key.0];
        assert!(!app.closed.contains_key(&key.1), "{key:?} is closed: {:?}", app.closed.get(&key.1));
        client.connections.get_mut(key.1).unwrap().1
    }

    pub fn connection(&mut self, key: Key) -> (&mut Connection, &mut Peer) {
        self.clients[key.0].0.connections.get_mut(key.1).unwrap()
    }

    pub fn closed(&self, key: Key) -> Option<&Closed> {
        self.clients[key.0].1.closed.get(&key.1)
    }

    pub fn is_closed(&self, key: Key) -> bool {
        self.closed(key).is_some()
    }

    /// Dials and waits until all tracks are subscribed.
    pub fn listener(&mut self, via: Via, tracks: &[&str]) -> Key {
        let token = self.token(Some(5_000 + self.next_sid));
        // Raw moq-lite has no place for a token.
        let token = (via != Via::Raw(Protocol::Lite05)).then_some(token);
        let key = self.dial(via, token.as_deref(), tracks, None);
        self.until("subscribed", |world| world.peer(key).subscribed.len() == tracks.len());
        key
    }

    /// Dials and waits until the server has subscribed to the seat.
    pub fn speaker(&mut self, via: Via, seat: u8) -> Key {
        let token = self.token(Some(100 + u64::from(seat)));
        let key = self.dial(via, Some(&token), &[], Some(seat));
        self.until("on air", |world| world.peer(key).uplink.is_some());
        key
    }

    pub fn on_air(&mut self, key: Key) -> bool {
        self.peer(key).uplink.is_some()
    }

    /// Sends one frame.
    pub fn say(&mut self, key: Key, sequence: u64, opus: &[u8]) {
        let frame = UplinkFrame {
            sequence,
            level: Level(0x80 | 20),
            spurt: Spurt { start: sequence == 0, end: false },
            opus: Bytes::copy_from_slice(opus),
        };
        self.say_raw(key, sequence, &frame.encode());
    }

    pub fn say_raw(&mut self, key: Key, sequence: u64, payload: &[u8]) {
        let (connection, peer) = self.clients[key.0].0.connections.get_mut(key.1).unwrap();
        let header = ObjectHeader { group: sequence, object: 0, end_of_group: true, timestamp: sequence * 960 };
        let mut out = BytesMut::new();
        if let Some(quarter) = connection.quarter() {
            varint::write(&mut out, quarter);
        }
        let Some(uplink) = peer.uplink else { return };
        assert!(peer.session.as_ref().unwrap().datagram_header(uplink, &header, &mut out));
        out.extend_from_slice(payload);
        connection.send_datagram(out.freeze());
    }

    /// Calls `say(world, n)` every 20 ms, `frames` times.
    pub fn talk(&mut self, frames: u64, mut say: impl FnMut(&mut Self, u64)) {
        let start = Instant::now();
        for n in 0..frames {
            say(self, n);
            while start.elapsed() < Duration::from_millis(20) * (n as u32 + 1) {
                self.turn();
            }
        }
    }

    /// Opus packets of `seat` in what `key` got on `stage`, without repetitions.
    pub fn heard(&mut self, key: Key, seat: u8) -> Vec<Bytes> {
        self.heard_after(key, seat, 0)
    }

    /// The same, of what came after the first `before` objects.
    pub fn heard_after(&mut self, key: Key, seat: u8, before: usize) -> Vec<Bytes> {
        let got = &self.peer(key).got;
        let mut heard = Vec::new();
        for got in got.iter().skip(before).filter(|got| got.track.starts_with("stage") || got.track.starts_with("seat"))
        {
            if got.track.starts_with("seat") && got.payload[3] != seat {
                continue;
            }
            if got.track.starts_with("seat") {
                heard.push(got.payload.slice(2..));
                continue;
            }
            for entry in bundle::entries(&got.payload).map(Result::unwrap) {
                if entry.seat.get() == seat && !entry.redundant {
                    heard.push(Bytes::copy_from_slice(entry.opus));
                }
            }
        }
        heard
    }
}

pub fn now_ms() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as u64
}

/// A 20 ms Opus packet (TOC: CELT, one frame) that nobody else sends.
pub fn packet(seat: u8, sequence: u64) -> Vec<u8> {
    let mut opus = vec![0xf8, seat];
    opus.extend_from_slice(&sequence.to_be_bytes());
    opus.extend((0..60).map(|n| (n as u64 * 7 + sequence) as u8));
    opus
}

pub fn sequence_of(opus: &[u8]) -> u64 {
    u64::from_be_bytes(opus[2..10].try_into().unwrap())
}
