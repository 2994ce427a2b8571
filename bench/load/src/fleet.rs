//! Thousands of QUIC connections on one thread: quinn-proto driven by hand, in slots of 1 ms like the servers beside it, until
//! they have [`settled`](crate::settled).

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::socket::{MultiHeaders, SockaddrIn};
use quinn_proto::crypto::ClientConfig as Crypto;
use quinn_proto::{
    ClientConfig, Connection, ConnectionHandle, DatagramEvent, Dir, Endpoint, EndpointConfig, Event, StreamEvent,
    StreamId, VarInt,
};
use spaces_core::bundle;
use spaces_liar::{Lie, Lying};

use crate::batch::{BATCH, Inbox, Outbox, connected, send_headers};
use crate::crowd::{Crowd, Id, Next};
use crate::ear::Overheard;
use crate::moqt;
use crate::network::Network;
use crate::plan::{Behaviour, Plan, Protocol, Tier};
use crate::run::{Failure, Transport};
use crate::settled::{Seated, Settled};
use crate::tls;
use crate::wheel::Wheel;

/// Receive calls for one socket before the others have their turn, and acknowledgements theirs: few, so that neither packets
/// nor what answers them pile up.
const TURNS: usize = 4;

/// From being let in: by then the handshake is confirmed, and what quinn-proto sent has arrived.
const SETTLE: Duration = Duration::from_millis(500);

/// Number of a packet that no server has come to.
const NEVER_SENT: u32 = 1 << 29;

struct Link {
    connection: Connection,
    id: Id,
    socket: usize,
    tier: Tier,
    behaviour: Behaviour,
    /// Slot of the wheel that counts, if any.
    armed: Option<u64>,
    dirty: bool,
    /// Let in: a stalled listener says nothing from here on.
    joined: Option<Instant>,
    /// What is noted of it, if it is to settle.
    overheard: Option<Overheard>,
    /// Let in: an optimist lies from here on.
    begin: Option<Arc<AtomicBool>>,
    /// Stream on which SUBSCRIBE is answered.
    answer: Option<StreamId>,
}

impl Link {
    fn admitted(&mut self, now: Instant) {
        self.joined = Some(now);
        if let Some(begin) = &self.begin {
            begin.store(true, Ordering::Relaxed);
        }
    }
}

/// See the module.
pub struct Fleet {
    quic: Endpoint,
    server: SocketAddr,
    protocol: Protocol,
    crypto: Arc<dyn Crypto>,
    well: ClientConfig,
    tiny: ClientConfig,
    per_socket: u32,
    on_socket: u32,
    sockets: Vec<UdpSocket>,
    outboxes: Vec<Outbox>,
    epoll: Epoll,
    inbox: Inbox,
    headers: MultiHeaders<SockaddrIn>,
    spare: Vec<Vec<u8>>,
    /// By connection handle. Boxed: a connection is several kilobytes, and is taken out while it is looked at.
    links: Vec<Option<Box<Link>>>,
    wheel: Wheel,
    due: Vec<(usize, u64)>,
    dirty: Vec<ConnectionHandle>,
    network: Network,
    /// Whether listeners settle at all: where acknowledgements are asked for in an unusual way, or lost, they stay quinn-proto's.
    settle: bool,
    settled: Settled,
}

impl Fleet {
    /// Nobody is dialled yet.
    ///
    /// # Errors
    /// TLS or epoll cannot be set up.
    pub fn new(plan: &Plan) -> Result<Self, Failure> {
        let alpn = if plan.protocol == Protocol::Moqt { moqt::ALPN } else { b"plain" };
        let mut key = [0u8; 64];
        rand::RngExt::fill(&mut rand::rng(), &mut key);
        let reset_key = Arc::new(ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &key));
        let crypto = tls::quic(alpn, plan.ack_frequency)?;
        Ok(Self {
            quic: Endpoint::new(Arc::new(EndpointConfig::new(reset_key)), None, true, None),
            server: plan.server,
            protocol: plan.protocol,
            well: tls::listener(Arc::clone(&crypto), false),
            tiny: tls::listener(Arc::clone(&crypto), true),
            crypto,
            per_socket: plan.connections_per_socket.max(1),
            on_socket: u32::MAX,
            sockets: Vec::new(),
            outboxes: Vec::new(),
            epoll: Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?,
            inbox: Inbox::default(),
            headers: send_headers(),
            spare: Vec::new(),
            links: Vec::new(),
            wheel: Wheel::new(Instant::now()),
            due: Vec::new(),
            dirty: Vec::new(),
            settle: plan.network == crate::network::Profile::default() && !plan.ack_frequency,
            network: Network::new(plan.network, plan.seed),
            settled: Settled::new(Instant::now()),
        })
    }

    fn receive(&mut self, now: Instant, now_us: u64, crowd: &mut Crowd) -> io::Result<()> {
        let mut ready = [EpollEvent::empty(); 256];
        let count = self.epoll.wait(&mut ready, EpollTimeout::ZERO)?;
        let mut inbox = std::mem::take(&mut self.inbox);
        for event in ready.iter().take(count) {
            let index = event.data() as usize;
            for _ in 0..TURNS {
                let Some(socket) = self.sockets.get(index) else { break };
                let received = inbox.receive(socket)?;
                if self.network.is_perfect() {
                    self.settled.expect(inbox.datagrams().map(|datagram| &*datagram));
                }
                for (number, datagram) in inbox.datagrams().enumerate() {
                    if self.network.is_perfect() {
                        if !self.settled(number, datagram, now, now_us, crowd) {
                            self.datagram(datagram, now);
                        }
                    } else if !self.network.loses() {
                        self.network.hold(index, datagram, now_us);
                    }
                }
                if received < BATCH {
                    break;
                }
            }
        }
        self.inbox = inbox;
        while let Some((_, datagram)) = self.network.release(now_us) {
            self.datagram(&datagram, now);
        }
        Ok(())
    }

    /// Whether a packet, so many behind the first that was expected, was a settled listener's.
    fn settled(&mut self, number: usize, packet: &mut [u8], now: Instant, now_us: u64, crowd: &mut Crowd) -> bool {
        let protocol = self.protocol;
        let mut failed = None;
        let heard = |who: Seated, datagram: &[u8]| {
            // Who settles does not leave.
            heard(protocol, who.tier, who.id, datagram, now_us, crowd);
        };
        let taken = self.settled.open(now, number, packet, heard, |who, why| failed = Some((who, why)));
        if let Some((who, why)) = failed {
            crowd.failed(who.id, || why.to_owned());
        }
        taken.is_some()
    }

    fn datagram(&mut self, datagram: &[u8], now: Instant) {
        let mut answer = Vec::new();
        let event = self.quic.handle(now, self.server, None, None, BytesMut::from(datagram), &mut answer);
        // Other events are answers to packets of no connection: stateless resets, which a client need not send.
        if let Some(DatagramEvent::ConnectionEvent(handle, event)) = event
            && let Some(Some(link)) = self.links.get_mut(handle.0)
        {
            link.connection.handle_event(event);
            if !std::mem::replace(&mut link.dirty, true) {
                self.dirty.push(handle);
            }
        }
    }

    fn expire(&mut self, now: Instant) {
        let mut due = std::mem::take(&mut self.due);
        self.wheel.advance(now, &mut due);
        for (key, slot) in due.drain(..) {
            let handle = ConnectionHandle(key);
            let Some(Some(link)) = self.links.get_mut(key) else { continue };
            if link.armed != Some(slot) {
                continue;
            }
            link.armed = None;
            if link.connection.poll_timeout().is_some_and(|at| at <= now) {
                link.connection.handle_timeout(now);
            }
            if !std::mem::replace(&mut link.dirty, true) {
                self.dirty.push(handle);
            }
        }
        self.due = due;
    }

    /// Everything that the connections that something happened to have to say.
    fn settle(&mut self, now: Instant, now_us: u64, crowd: &mut Crowd) {
        let mut dirty = std::mem::take(&mut self.dirty);
        for handle in dirty.drain(..) {
            let Some(mut link) = self.links.get_mut(handle.0).and_then(Option::take) else { continue };
            link.dirty = false;
            let ended = self.events(&mut link, now, now_us, crowd);
            while let Some(event) = link.connection.poll_endpoint_events() {
                if let Some(event) = self.quic.handle_event(handle, event) {
                    link.connection.handle_event(event);
                }
            }
            self.transmit(&mut link, now);
            if ended && link.connection.is_drained() {
                continue;
            }
            if link.joined.is_some_and(|joined| now >= joined + SETTLE)
                && let Some((own, ear)) = link.overheard.take().and_then(|overheard| overheard.take(now))
            {
                self.settled.add(own, ear, Seated { id: link.id, tier: link.tier, socket: link.socket });
                continue;
            }
            if let Some(at) = link.connection.poll_timeout()
                && link.armed.is_none_or(|slot| self.wheel.time_of(slot) > at)
            {
                link.armed = Some(self.wheel.enter(handle.0, at));
            }
            if let Some(place) = self.links.get_mut(handle.0) {
                *place = Some(link);
            }
        }
        self.dirty = dirty;
    }

    /// Whether the connection has ended.
    fn events(&mut self, link: &mut Link, now: Instant, now_us: u64, crowd: &mut Crowd) -> bool {
        while let Some(event) = link.connection.poll() {
            match event {
                Event::Connected if self.protocol == Protocol::Moqt => subscribe(link, crowd),
                Event::Connected => {
                    link.admitted(now);
                    crowd.joined(link.id, now_us);
                }
                Event::Stream(StreamEvent::Readable { id }) if Some(id) == link.answer => match answer(link, id) {
                    Some(moqt::SUBSCRIBE_OK) => {
                        link.admitted(now);
                        crowd.joined(link.id, now_us);
                    }
                    Some(other) => {
                        crowd.failed(link.id, || format!("SUBSCRIBE was answered with message {other:#04x}"));
                        link.connection.close(now, VarInt::from_u32(0), Bytes::new());
                    }
                    None => {}
                },
                Event::ConnectionLost { reason } => {
                    crowd.failed(link.id, || reason.to_string());
                }
                _ => {}
            }
        }
        while let Some(datagram) = link.connection.datagrams().recv() {
            if heard(self.protocol, link.tier, link.id, &datagram, now_us, crowd) == Next::Leave {
                link.connection.close(now, VarInt::from_u32(0), Bytes::new());
                break;
            }
        }
        link.connection.is_closed()
    }

    fn transmit(&mut self, link: &mut Link, now: Instant) {
        loop {
            let mut datagram = self.spare.pop().unwrap_or_default();
            let transmit = link.connection.poll_transmit(now, 1, &mut datagram);
            let silent = link.joined.is_some() && link.behaviour == Behaviour::Stalled;
            match transmit {
                Some(_) if !silent && !self.network.loses() => {
                    if let Some(outbox) = self.outboxes.get_mut(link.socket) {
                        outbox.push(datagram);
                    }
                }
                Some(_) => {
                    datagram.clear();
                    self.spare.push(datagram);
                }
                None => {
                    self.spare.push(datagram);
                    return;
                }
            }
        }
    }

    fn socket(&mut self) -> io::Result<usize> {
        if self.on_socket >= self.per_socket {
            let socket = connected(self.server)?;
            self.epoll.add(&socket, EpollEvent::new(EpollFlags::EPOLLIN, self.sockets.len() as u64))?;
            self.sockets.push(socket);
            self.outboxes.push(Outbox::default());
            self.on_socket = 0;
        }
        self.on_socket += 1;
        Ok(self.sockets.len() - 1)
    }
}

impl Transport for Fleet {
    fn dial(&mut self, id: Id, crowd: &mut Crowd) -> Result<(), Failure> {
        let socket = self.socket()?;
        let behaviour = crowd.behaviour(id);
        let overheard = (self.settle && crowd.settles(id)).then(Overheard::default);
        let (config, begin) = match behaviour {
            Behaviour::Well if let Some(overheard) = &overheard => {
                (tls::listener(overheard.crypto(Arc::clone(&self.crypto)), false), None)
            }
            Behaviour::Optimists => {
                let lying = Lying::new(Lie::Optimist(NEVER_SENT));
                let begin = lying.begin();
                (tls::listener(lying.crypto(Arc::clone(&self.crypto)), false), Some(begin))
            }
            Behaviour::TinyWindows => (self.tiny.clone(), None),
            Behaviour::Well | Behaviour::Stalled => (self.well.clone(), None),
        };
        let (handle, connection) = self.quic.connect(Instant::now(), config, self.server, "localhost")?;
        let tier = crowd.wish(id).map_or(Tier::Stage, |(_, _, tier)| tier);
        let link = Link {
            connection,
            id,
            socket,
            tier,
            behaviour,
            armed: None,
            dirty: true,
            joined: None,
            overheard,
            begin,
            answer: None,
        };
        // A handle is used again once its connection is drained, when its place is empty.
        if self.links.len() <= handle.0 {
            self.links.resize_with(handle.0 + 1, || None);
        }
        if let Some(place) = self.links.get_mut(handle.0) {
            *place = Some(Box::new(link));
        }
        self.dirty.push(handle);
        Ok(())
    }

    fn step(&mut self, now_us: u64, crowd: &mut Crowd) -> Result<(), Failure> {
        let now = Instant::now();
        self.receive(now, now_us, crowd)?;
        self.expire(now);
        self.settle(now, now_us, crowd);
        let Self { sockets, outboxes, headers, spare, settled, .. } = self;
        settled.acknowledge(now, outboxes, spare);
        for (socket, outbox) in sockets.iter().zip(outboxes).filter(|(_, outbox)| !outbox.is_empty()) {
            outbox.flush(socket, headers, spare);
        }
        Ok(())
    }
}

/// A datagram has come.
fn heard(protocol: Protocol, tier: Tier, id: Id, datagram: &[u8], now_us: u64, crowd: &mut Crowd) -> Next {
    if protocol == Protocol::Plain {
        return crowd.frame(id, datagram, None, now_us);
    }
    let Some((group, payload)) = moqt::object(datagram) else { return Next::Stay };
    if tier == Tier::Mix {
        return crowd.mix(id, group, payload, now_us);
    }
    for entry in bundle::entries(payload) {
        let Ok(entry) = entry else {
            // Told as a frame that is none.
            return crowd.frame(id, &[], None, now_us);
        };
        let tick = group.saturating_sub(u64::from(entry.redundant));
        if crowd.frame(id, entry.opus, Some(tick), now_us) == Next::Leave {
            return Next::Leave;
        }
    }
    Next::Stay
}

fn subscribe(link: &mut Link, crowd: &Crowd) {
    let Some((space, path, tier)) = crowd.wish(link.id) else { return };
    let track = if tier == Tier::Mix { "mix" } else { "stage" };
    // Both streams are opened before anything else happens on the connection, and take these few bytes: where a server
    // allows neither, the subscription is never answered and the listener counts as one who did not join.
    if let Some(control) = link.connection.streams().open(Dir::Uni) {
        let _ = link.connection.send_stream(control).write(&moqt::setup(&path));
    }
    if let Some(request) = link.connection.streams().open(Dir::Bi) {
        let _ = link.connection.send_stream(request).write(&moqt::subscribe(space, track));
        link.answer = Some(request);
    }
}

/// First byte of the answer, if it has come.
fn answer(link: &mut Link, stream: StreamId) -> Option<u8> {
    let mut stream = link.connection.recv_stream(stream);
    let mut chunks = stream.read(true).ok()?;
    let first = chunks.next(1).ok().flatten().and_then(|chunk| chunk.bytes.first().copied());
    let _ = chunks.finalize();
    if first.is_some() {
        link.answer = None;
    }
    first
}
