//! One UDP socket, its QUIC connections and the loop that drives them, for dialling and for answering.
//!
//! quinn-proto does no I/O; [`Endpoint::turn`] is the one place where it meets socket and clock, and reads as a list of steps.
//! What connections are for is the [`Application`]'s business.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use quinn_proto::{ClientConfig, ConnectionHandle, DatagramEvent, EcnCodepoint, Transmit, TransportConfig};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use spaces_moqt::seam::Protocol;
use web_transport_proto::http;

use crate::congestion::Lift;
use crate::connection::{Closed, Connection, Incoming, Notice, Phase, Request, Target};
use crate::quic::{self, ALPN_H3, SetupError, Trust};
use crate::timers::Wheel;
use crate::udp::{ReceiveBatch, SendBatch, SendReport, Socket};

/// The least time between two turns: packets are handled in slots of 1 ms, not one by one, which halves their cost.
const SLOT: Duration = Duration::from_millis(1);
/// Receive calls a turn, so that a flood does not keep the other steps from happening.
const RECEIVES: usize = 8;
/// Handshakes begun a turn: 8 × 200 µs of signing leave room for audio.
const HANDSHAKES: usize = 8;
/// Handshakes that may wait for their turn; beyond it they are refused.
const WAITING: usize = 2_048;
/// Waiting handshakes from which on peers must prove their address first (Retry, RFC 9000 §8.1.2).
const RETRY_FROM: usize = 64;
/// A handshake that waited this long is given up: its peer has.
const STALE: Duration = Duration::from_secs(3);
/// Packets of one connection a turn; the rest follows in the next.
const BURST: usize = 32;

/// What to do with a peer that dialled.
pub enum Answer<S> {
    /// Speak this with it, and keep this with the connection.
    Accept(Protocol, S),
    /// HTTP status; on raw QUIC the connection is closed with it as code.
    Refuse(http::StatusCode),
}

/// What uses the connections of an endpoint. `State` is kept beside each connection.
///
/// Call order for one connection: [`Application::on_request`] (answering end), [`Application::on_open`], any number of
/// [`Application::on_incoming`], [`Application::on_closed`] once. A connection that never opened goes from any point to
/// `on_closed`, on the answering end only if it was accepted.
pub trait Application {
    /// Kept with each connection.
    type State;
    /// A turn begins, and this is its time.
    fn begin(&mut self, now: Instant) {
        let _ = now;
    }
    /// A peer asks for a session.
    fn on_request(&mut self, key: u32, request: &Request) -> Answer<Self::State>;
    /// The session is open.
    fn on_open(&mut self, connection: &mut Connection, state: &mut Self::State, protocol: Protocol);
    /// Something came in.
    fn on_incoming(&mut self, connection: &mut Connection, state: &mut Self::State, incoming: Incoming);
    /// The session is over; its key may be used again soon.
    fn on_closed(&mut self, key: u32, state: Self::State, closed: Closed);
    /// Somebody used the [`Waker`].
    fn on_wake(&mut self, endpoint: &mut Endpoint<Self::State>);
    /// Once a turn, after everything that came in: do what is due.
    fn advance(&mut self, endpoint: &mut Endpoint<Self::State>);
    /// When `advance` has something to do by itself.
    fn next_timeout(&self) -> Option<Instant>;
    /// A packet for a connection of another shard (its sender has moved). To be handed to [`Endpoint::inject`] there.
    fn on_foreign(&mut self, shard: u8, packet: ForeignPacket);
}

/// See [`Application::on_foreign`].
#[derive(Debug)]
pub struct ForeignPacket {
    remote: SocketAddr,
    local: Option<IpAddr>,
    ecn: u8,
    bytes: BytesMut,
}

/// Makes an endpoint's thread turn, from any thread.
#[derive(Clone, Debug)]
pub struct Waker(Arc<OwnedFd>);

impl Waker {
    /// # Errors
    /// Out of file descriptors.
    pub fn new() -> io::Result<Self> {
        Ok(Self(Arc::new(eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?)))
    }

    /// Wakes.
    pub fn wake(&self) {
        // Fails only when the counter is full, which wakes as well.
        let _ = rustix::io::write(&*self.0, &1u64.to_ne_bytes());
    }

    /// Was it woken since the last call?
    #[must_use]
    pub fn take(&self) -> bool {
        rustix::io::read(&*self.0, &mut [0u8; 8]).is_ok()
    }

    /// The eventfd, for the caller's own poll.
    #[must_use]
    pub fn raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// How to answer.
#[derive(Clone)]
pub struct Answering {
    /// Certificate and protocols, from [`quic::server_crypto`].
    pub crypto: Arc<quinn_proto::crypto::rustls::QuicServerConfig>,
    /// Connections at most, half-open ones counted in; beyond it peers are refused at their first packet.
    pub max_connections: usize,
}

/// How an endpoint is set up.
pub struct Settings {
    /// Where to bind.
    pub bind: SocketAddr,
    /// Which shard this is.
    pub shard: u8,
    /// Other shards share the port.
    pub shared: bool,
    /// Without a packet for this long, a connection is lost.
    pub idle_timeout: Duration,
    /// `None`: dials only.
    pub answering: Option<Answering>,
}

/// TLS for dialling, by protocol.
#[derive(Clone)]
pub struct Dialler {
    web: Arc<quinn_proto::crypto::rustls::QuicClientConfig>,
    moqt: Arc<quinn_proto::crypto::rustls::QuicClientConfig>,
    lite: Arc<quinn_proto::crypto::rustls::QuicClientConfig>,
}

impl Dialler {
    /// # Errors
    /// [`SetupError`].
    pub fn new(trust: &Trust) -> Result<Self, SetupError> {
        Ok(Self {
            web: quic::client_crypto(trust, ALPN_H3)?,
            moqt: quic::client_crypto(trust, Protocol::Moqt18.name().as_bytes())?,
            lite: quic::client_crypto(trust, Protocol::Lite05.name().as_bytes())?,
        })
    }
}

/// Why an endpoint does not start, or does not dial.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// Socket or event descriptor.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// TLS or transport parameters.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The address or name is none that QUIC can dial.
    #[error("cannot dial: {0}")]
    Dial(#[from] quinn_proto::ConnectError),
}

/// What an endpoint has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EndpointStats {
    /// Turns of the loop.
    pub turns: u64,
    /// UDP datagrams received.
    pub received: u64,
    /// Their bytes.
    pub received_bytes: u64,
    /// Datagrams received that belong to no connection and begin none.
    pub garbage: u64,
    /// Datagrams that other shards passed on.
    pub injected: u64,
    /// Sending.
    pub sent: SendReport,
    /// Handshakes begun.
    pub handshakes: u64,
    /// Handshakes refused: over the bound, or too old when their turn came.
    pub handshakes_refused: u64,
    /// Peers told to prove their address.
    pub retries: u64,
    /// Connections closed because a silenced datagram could not be taken back.
    pub purge_aborts: u64,
}

struct Slot<S> {
    connection: Connection,
    state: Option<S>,
    dirty: bool,
}

/// The connections of an endpoint.
pub struct Connections<S> {
    slots: Vec<Option<Box<Slot<S>>>>,
    dirty: Vec<u32>,
    count: usize,
    now: Instant,
}

impl<S> Connections<S> {
    /// The connection and its state, to be used: what it has to send leaves at the end of this turn.
    pub fn get_mut(&mut self, key: u32) -> Option<(&mut Connection, &mut S)> {
        let slot = touch(&mut self.slots, &mut self.dirty, self.now, key)?;
        Some((&mut slot.connection, slot.state.as_mut()?))
    }

    /// The same to look at only.
    #[must_use]
    pub fn get(&self, key: u32) -> Option<(&Connection, &S)> {
        let slot = self.slots.get(key as usize)?.as_deref()?;
        Some((&slot.connection, slot.state.as_ref()?))
    }

    /// The connection, not to be used, and its state: nothing new is sent because of it.
    pub fn peek_mut(&mut self, key: u32) -> Option<(&Connection, &mut S)> {
        let slot = self.slots.get_mut(key as usize)?.as_deref_mut()?;
        Some((&slot.connection, slot.state.as_mut()?))
    }

    /// Keys of all that have a state.
    pub fn keys(&self) -> impl Iterator<Item = u32> + '_ {
        let with_state = |slot: &Option<Box<Slot<S>>>| slot.as_deref().is_some_and(|slot| slot.state.is_some());
        (0u32..).zip(&self.slots).filter(move |(_, slot)| with_state(slot)).map(|(key, _)| key)
    }

    /// How many, half-open ones included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// None?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

fn touch<'a, S>(
    slots: &'a mut [Option<Box<Slot<S>>>],
    dirty: &mut Vec<u32>,
    now: Instant,
    key: u32,
) -> Option<&'a mut Slot<S>> {
    let slot = slots.get_mut(key as usize)?.as_deref_mut()?;
    slot.connection.now = now;
    if !std::mem::replace(&mut slot.dirty, true) {
        dirty.push(key);
    }
    Some(slot)
}

/// See the module.
pub struct Endpoint<S> {
    /// The connections.
    pub connections: Connections<S>,
    quic: quinn_proto::Endpoint,
    client_transport: Arc<TransportConfig>,
    socket: Socket,
    receive: ReceiveBatch,
    send: SendBatch,
    wheel: Wheel,
    due: Vec<(u32, u64)>,
    spare: Vec<u32>,
    notices: VecDeque<Notice>,
    waiting: VecDeque<(Instant, quinn_proto::Incoming)>,
    waker: Waker,
    lift: Lift,
    shard: u8,
    shared: bool,
    max_connections: usize,
    last_turn: Instant,
    stats: EndpointStats,
}

impl<S> Endpoint<S> {
    /// Binds the socket. Nothing happens until [`Endpoint::turn`].
    ///
    /// # Errors
    /// [`EndpointError`].
    pub fn new(settings: Settings) -> Result<Self, EndpointError> {
        let socket = Socket::bind(settings.bind, settings.shared)?;
        let lift = Lift::default();
        let transport = Arc::new(quic::transport(&lift, settings.idle_timeout)?);
        let max_connections = settings.answering.as_ref().map_or(usize::MAX, |answering| answering.max_connections);
        let server = settings.answering.map(|answering| {
            let mut config = quinn_proto::ServerConfig::with_crypto(answering.crypto);
            config.transport_config(Arc::clone(&transport));
            config.migration(true).max_incoming(WAITING * 2).incoming_buffer_size(16 * 1_024);
            Arc::new(config)
        });
        let now = Instant::now();
        Ok(Self {
            connections: Connections { slots: Vec::new(), dirty: Vec::new(), count: 0, now },
            quic: quinn_proto::Endpoint::new(Arc::new(quic::endpoint(settings.shard)), server, true, None),
            client_transport: transport,
            socket,
            receive: ReceiveBatch::default(),
            send: SendBatch::default(),
            wheel: Wheel::new(now),
            due: Vec::new(),
            spare: Vec::new(),
            notices: VecDeque::new(),
            waiting: VecDeque::new(),
            waker: Waker::new()?,
            lift,
            shard: settings.shard,
            shared: settings.shared,
            max_connections,
            last_turn: now,
            stats: EndpointStats::default(),
        })
    }

    /// The address bound to.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.socket.local_addr()
    }

    /// Makes the next [`Endpoint::turn`] happen at once and call [`Application::on_wake`].
    #[must_use]
    pub fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// This turn's time.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.connections.now
    }

    /// What was done so far.
    #[must_use]
    pub fn stats(&self) -> EndpointStats {
        self.stats
    }

    /// Dials. [`Application::on_open`] or [`Application::on_closed`] follows.
    ///
    /// # Errors
    /// [`EndpointError::Dial`].
    pub fn dial(
        &mut self,
        dialler: &Dialler,
        remote: SocketAddr,
        server_name: &str,
        target: Target,
        state: S,
    ) -> Result<u32, EndpointError> {
        let crypto = match &target {
            Target::Web { .. } => &dialler.web,
            Target::Raw(Protocol::Moqt18) => &dialler.moqt,
            Target::Raw(Protocol::Lite05) => &dialler.lite,
        };
        let mut config = ClientConfig::new(Arc::clone(crypto) as _);
        config.transport_config(Arc::clone(&self.client_transport));
        let now = Instant::now();
        let (handle, quic) = self.quic.connect(now, config, remote, server_name)?;
        Ok(self.insert(handle, quic, Some(target), Some(state)))
    }

    fn insert(
        &mut self,
        handle: ConnectionHandle,
        quic: quinn_proto::Connection,
        target: Option<Target>,
        state: Option<S>,
    ) -> u32 {
        let connection = Connection::new(handle, quic, target, self.connections.now);
        let key = connection.key();
        if self.connections.slots.len() <= handle.0 {
            self.connections.slots.resize_with(handle.0 + 1, || None);
        }
        if let Some(slot) = self.connections.slots.get_mut(handle.0) {
            *slot = Some(Box::new(Slot { connection, state, dirty: false }));
            self.connections.count += 1;
        }
        self.touch(key);
        key
    }

    fn touch(&mut self, key: u32) -> Option<&mut Slot<S>> {
        let Connections { slots, dirty, now, .. } = &mut self.connections;
        touch(slots, dirty, *now, key)
    }

    /// Continues on a new socket bound to `address`, as after a change of network. Peers follow when they hear from us.
    ///
    /// # Errors
    /// What the kernel says; the old socket stays then.
    pub fn rebind(&mut self, address: SocketAddr) -> io::Result<()> {
        self.socket = Socket::bind(address, self.shared)?;
        for slot in self.connections.slots.iter_mut().flatten() {
            slot.connection.quic.local_address_changed();
        }
        for key in 0..self.connections.slots.len() {
            self.touch(u32::try_from(key).unwrap_or(u32::MAX));
        }
        Ok(())
    }

    /// Waits for something to do, but no longer than `at_most`, and does it.
    ///
    /// # Errors
    /// The socket is broken.
    pub fn turn<A: Application<State = S>>(&mut self, app: &mut A, at_most: Duration) -> io::Result<()> {
        self.wait(app.next_timeout(), at_most)?;
        self.connections.now = Instant::now();
        self.last_turn = self.connections.now;
        self.stats.turns += 1;
        app.begin(self.connections.now);
        self.receive(app)?;
        if self.waker.take() {
            app.on_wake(self);
        }
        self.begin_handshakes();
        self.expire_timers();
        self.pump(app);
        app.advance(self);
        self.transmit(app);
        Ok(())
    }

    fn wait(&mut self, app: Option<Instant>, at_most: Duration) -> io::Result<()> {
        let now = Instant::now();
        let mut until = now + at_most;
        for deadline in [app, self.wheel.next_timeout()].into_iter().flatten() {
            until = until.min(deadline);
        }
        if !self.connections.dirty.is_empty() || !self.waiting.is_empty() {
            until = now;
        }
        // First to the end of this slot, with an ear for commands only; then for packets as well.
        let slot = self.last_turn + SLOT;
        let mut wake = [PollFd::new(&*self.waker.0, PollFlags::IN)];
        if slot > now && poll_for(&mut wake, slot - now)? {
            return Ok(());
        }
        let (socket, waker) = (self.socket.as_fd(), &*self.waker.0);
        let mut both = [PollFd::new(&socket, PollFlags::IN), PollFd::new(waker, PollFlags::IN)];
        poll_for(&mut both, until.saturating_duration_since(Instant::now()))?;
        Ok(())
    }

    fn receive<A: Application<State = S>>(&mut self, app: &mut A) -> io::Result<()> {
        for _ in 0..RECEIVES {
            let mut batch = std::mem::take(&mut self.receive);
            let result = self.socket.receive(&mut batch);
            for train in batch.iter() {
                for datagram in train.bytes.chunks(train.segment) {
                    self.stats.received += 1;
                    self.stats.received_bytes += datagram.len() as u64;
                    let (bytes, ecn) = (BytesMut::from(datagram), train.ecn);
                    let packet = ForeignPacket { remote: train.remote, local: train.local, ecn, bytes };
                    match quic::shard_of(datagram) {
                        Some(shard) if self.shared && shard != self.shard => app.on_foreign(shard, packet),
                        _ => self.handle(packet),
                    }
                }
            }
            self.receive = batch;
            if result? < crate::udp::BATCH {
                break;
            }
        }
        Ok(())
    }

    /// A packet that another shard received for a connection of ours.
    pub fn inject(&mut self, packet: ForeignPacket) {
        self.stats.injected += 1;
        self.handle(packet);
    }

    fn handle(&mut self, packet: ForeignPacket) {
        self.make_room();
        let Some(out) = self.send.vacant() else { return };
        let ecn = EcnCodepoint::from_bits(packet.ecn);
        match self.quic.handle(self.connections.now, packet.remote, packet.local, ecn, packet.bytes, &mut out.bytes) {
            Some(DatagramEvent::ConnectionEvent(handle, event)) => {
                if let Some(slot) = self.touch(u32::try_from(handle.0).unwrap_or(u32::MAX)) {
                    slot.connection.quic.handle_event(event);
                }
            }
            Some(DatagramEvent::NewConnection(incoming)) => self.on_incoming(incoming),
            Some(DatagramEvent::Response(transmit)) => commit(&mut self.send, &transmit),
            None => self.stats.garbage += 1,
        }
    }

    fn on_incoming(&mut self, incoming: quinn_proto::Incoming) {
        let waiting = self.waiting.len();
        if waiting >= WAITING || self.connections.count + waiting >= self.max_connections {
            self.stats.handshakes_refused += 1;
            if let Some(out) = self.send.vacant() {
                let transmit = self.quic.refuse(incoming, &mut out.bytes);
                commit(&mut self.send, &transmit);
            }
        } else if waiting >= RETRY_FROM && !incoming.remote_address_validated() && incoming.may_retry() {
            self.stats.retries += 1;
            if let Some(out) = self.send.vacant()
                && let Ok(transmit) = self.quic.retry(incoming, &mut out.bytes)
            {
                commit(&mut self.send, &transmit);
            }
        } else {
            self.waiting.push_back((self.connections.now, incoming));
        }
    }

    fn begin_handshakes(&mut self) {
        for _ in 0..HANDSHAKES {
            let Some((since, incoming)) = self.waiting.pop_front() else { return };
            let now = self.connections.now;
            if now.saturating_duration_since(since) > STALE {
                self.stats.handshakes_refused += 1;
                self.quic.ignore(incoming);
                continue;
            }
            self.stats.handshakes += 1;
            self.make_room();
            let Some(out) = self.send.vacant() else { return };
            match self.quic.accept(incoming, now, &mut out.bytes, None) {
                Ok((handle, quic)) => {
                    self.insert(handle, quic, None, None);
                }
                Err(error) => {
                    if let Some(transmit) = error.response {
                        commit(&mut self.send, &transmit);
                    }
                }
            }
        }
    }

    fn expire_timers(&mut self) {
        let mut due = std::mem::take(&mut self.due);
        self.wheel.expire(self.connections.now, &mut due);
        for (key, number) in due.drain(..) {
            // Entries that a nearer one has replaced, or of connections long gone, mean nothing.
            let waits =
                |slot: &Option<Box<Slot<S>>>| slot.as_deref().is_some_and(|s| s.connection.armed == Some(number));
            if self.connections.slots.get(key as usize).is_some_and(waits)
                && let Some(slot) = self.touch(key)
            {
                slot.connection.armed = None;
                slot.connection.on_timeout();
            }
        }
        self.due = due;
    }

    /// Carries what happened in touched connections to the application, until nothing happens any more.
    fn pump<A: Application<State = S>>(&mut self, app: &mut A) {
        let mut index = 0;
        while let Some(key) = self.connections.dirty.get(index).copied() {
            index += 1;
            self.pump_one(app, key);
        }
    }

    fn pump_one<A: Application<State = S>>(&mut self, app: &mut A, key: u32) {
        let mut notices = std::mem::take(&mut self.notices);
        while let Some(slot) = self.connections.slots.get_mut(key as usize).and_then(Option::as_deref_mut) {
            slot.connection.poll(&mut notices);
            let quiet = notices.is_empty();
            while let Some(notice) = notices.pop_front() {
                dispatch(app, key, slot, notice, &mut notices);
            }
            while let Some(event) = slot.connection.quic.poll_endpoint_events() {
                if let Some(event) = self.quic.handle_event(slot.connection.handle, event) {
                    slot.connection.quic.handle_event(event);
                }
            }
            if slot.connection.quic.is_drained() {
                // With the events above quinn-proto has forgotten the handle, and may give it out again at once.
                if let Some(state) = slot.state.take() {
                    app.on_closed(key, state, Closed::Lost);
                }
                if let Some(slot) = self.connections.slots.get_mut(key as usize) {
                    *slot = None;
                    self.connections.count -= 1;
                }
            }
            if quiet {
                break;
            }
        }
        self.notices = notices;
    }

    /// Sends what touched connections have to send, and arms their timers.
    fn transmit<A: Application<State = S>>(&mut self, app: &mut A) {
        let mut index = 0;
        while let Some(key) = self.connections.dirty.get(index).copied() {
            index += 1;
            self.pump_one(app, key);
        }
        // Those with more to send than a burst come back in the next turn.
        let mut keys = std::mem::replace(&mut self.connections.dirty, std::mem::take(&mut self.spare));
        for key in keys.drain(..) {
            self.transmit_one(key, BURST);
        }
        self.spare = keys;
        self.flush();
    }

    fn transmit_one(&mut self, key: u32, burst: usize) {
        let segments = self.socket.max_segments();
        let now = self.connections.now;
        let mut more = true;
        for _ in 0..burst {
            self.make_room();
            let Some(slot) = self.connections.slots.get_mut(key as usize).and_then(Option::as_deref_mut) else {
                return;
            };
            let Some(out) = self.send.vacant() else { return };
            let Some(transmit) = slot.connection.quic.poll_transmit(now, segments, &mut out.bytes) else {
                more = false;
                break;
            };
            commit(&mut self.send, &transmit);
        }
        let Some(slot) = self.connections.slots.get_mut(key as usize).and_then(Option::as_deref_mut) else { return };
        slot.dirty = false;
        slot.connection.stuck = slot.connection.datagrams_wait();
        if let Some(at) = slot.connection.next_timeout() {
            slot.connection.armed = self.wheel.set_if_sooner(key, at, slot.connection.armed);
        }
        if more {
            self.touch(key);
        }
    }

    /// Sends, before it returns, every datagram that waits in `key`'s buffer, over congestion and pacing; for a purge: what was
    /// handed to quinn-proto before cannot be taken back, but it can be sure to be on the wire before the purge is answered.
    /// Anti-amplification (an unvalidated new path) cannot be overruled: such a connection is closed, and its peer dials again.
    pub fn expel_datagrams(&mut self, key: u32) {
        let Some(slot) = self.connections.slots.get_mut(key as usize).and_then(Option::as_deref_mut) else { return };
        if !slot.connection.datagrams_wait() {
            return;
        }
        self.lift.store(true, Ordering::Relaxed);
        self.transmit_one(key, BURST);
        self.lift.store(false, Ordering::Relaxed);
        self.flush();
        if let Some(slot) = self.touch(key)
            && slot.connection.datagrams_wait()
            && slot.connection.phase() != Phase::Gone
        {
            slot.connection.abort("a silenced frame could not be taken back");
            self.stats.purge_aborts += 1;
        }
    }

    fn make_room(&mut self) {
        if self.send.is_full() {
            self.flush();
        }
    }

    /// Hands the batch to the kernel. It is empty afterwards, whatever the kernel says.
    fn flush(&mut self) {
        if self.send.is_empty() {
            return;
        }
        let report = self.socket.send(&mut self.send);
        self.stats.sent.datagrams += report.datagrams;
        self.stats.sent.bytes += report.bytes;
        self.stats.sent.dropped += report.dropped;
        self.stats.sent.calls += report.calls;
    }
}

fn dispatch<A: Application>(
    app: &mut A,
    key: u32,
    slot: &mut Slot<A::State>,
    notice: Notice,
    notices: &mut VecDeque<Notice>,
) {
    match notice {
        Notice::Request(request) => match app.on_request(key, &request) {
            Answer::Accept(protocol, state) => {
                slot.state = Some(state);
                // The opening comes before what was read together with the request.
                let mut opening = VecDeque::new();
                slot.connection.accept(protocol, &mut opening);
                while let Some(notice) = opening.pop_back() {
                    notices.push_front(notice);
                }
            }
            Answer::Refuse(status) => slot.connection.refuse(status),
        },
        Notice::Open(protocol) => {
            if let Some(state) = slot.state.as_mut() {
                app.on_open(&mut slot.connection, state, protocol);
            }
        }
        Notice::Incoming(incoming) => {
            // What follows our own close is of no interest to anybody.
            if let (Phase::Open, Some(state)) = (slot.connection.phase(), slot.state.as_mut())
                && slot.connection.is_wanted(&incoming)
            {
                app.on_incoming(&mut slot.connection, state, incoming);
            }
        }
        Notice::Closed(closed) => {
            if let Some(state) = slot.state.take() {
                app.on_closed(key, state, closed);
            }
        }
    }
}

fn commit(batch: &mut SendBatch, transmit: &Transmit) {
    let Some(out) = batch.current() else { return };
    out.bytes.truncate(transmit.size);
    out.remote = transmit.destination;
    out.source = transmit.src_ip;
    out.ecn = transmit.ecn.map_or(0, |ecn| ecn as u8);
    out.segment = transmit.segment_size;
    batch.commit();
}

fn poll_for(fds: &mut [PollFd<'_>], timeout: Duration) -> io::Result<bool> {
    let timeout = Timespec {
        tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: timeout.subsec_nanos().into(),
    };
    match poll(fds, Some(&timeout)) {
        Ok(ready) => Ok(ready > 0),
        Err(rustix::io::Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
