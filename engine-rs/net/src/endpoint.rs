//! One UDP socket, its QUIC connections and the loop that drives them, for dialling and for answering.
//!
//! quinn-proto does no I/O; [`Endpoint::turn`] is the one place where it meets socket and clock, and reads as a list of steps.
//! What connections are for is the [`Application`]'s business.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use quinn_proto::{ClientConfig, ConnectionHandle, DatagramEvent, ServerConfig, TransportConfig};

use spaces_core::engine::Soon;
use spaces_moqt::seam::End;

use crate::addressees::Addressees;
use crate::application::dispatch;
use crate::congestion::Lift;
use crate::connection::{Closed, Connection, Notice, Phase, Target};
use crate::connections::Slot;
use crate::group::{Group, Loads, Way};
use crate::handshakes;
use crate::lean::LeanServer;
use crate::outbox::Outbox;
use crate::packets::Packets;
use crate::quic::{self, ServerTls, SetupError};
use crate::slots::Slots;
use crate::steering;
use crate::timers::Wheel;
use crate::udp::{BATCH, ReceiveBatch, SendReport, Socket};
use crate::visitors::Visitors;

pub use crate::application::{Answer, Application, ForeignPacket};
pub use crate::connections::Connections;
pub use crate::quic::Dialler;
pub use crate::wake::Waker;

/// Receive calls a turn, so that a flood does not keep the other steps from happening.
const RECEIVES: usize = 8;
/// Packets between each of the three steps in which one's memory is fetched, and between the last and its turn.
const AHEAD: usize = 3;
/// Packets of one connection a turn; the rest follows in the next.
const BURST: usize = 32;

/// How to answer.
#[derive(Clone)]
pub struct Answering {
    /// Certificate and protocols, from [`quic::server_crypto`].
    pub crypto: Arc<ServerTls>,
    /// Connections at most, half-open ones counted in; beyond it peers are refused at their first packet.
    pub max_connections: usize,
    /// Connections that one address may begin a second, twice as many at once; 0: any number.
    pub per_address: u32,
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
    /// Of these, acknowledgements read without quinn-proto.
    pub lean: u64,
    /// Datagrams received that belong to no connection and begin none.
    pub garbage: u64,
    /// Datagrams that other shards passed on.
    pub injected: u64,
    /// Datagrams that named another shard and were passed on: none where the kernel steers.
    pub forwarded: u64,
    /// First datagrams of connections that were given to a shard with fewer, repetitions counted in.
    pub given: u64,
    /// Sending.
    pub sent: SendReport,
    /// Handshakes begun.
    pub handshakes: u64,
    /// Handshakes refused: over the bound, or too old when their turn came.
    pub handshakes_refused: u64,
    /// Handshakes refused because their address began too many.
    pub handshakes_limited: u64,
    /// Peers told to prove their address.
    pub retries: u64,
    /// Connections closed because a silenced datagram could not be taken back.
    pub purge_aborts: u64,
}

/// See the module.
pub struct Endpoint<S> {
    /// The connections.
    pub connections: Connections<S>,
    pub(crate) quic: quinn_proto::Endpoint,
    /// What `quic` answers with; `None`: it dials only.
    server: Option<Arc<ServerConfig>>,
    client_transport: Arc<TransportConfig>,
    /// Idle timeout.
    idle: Duration,
    pub(crate) outbox: Outbox,
    /// Taken out while its packets are handled.
    receive: Option<Box<ReceiveBatch>>,
    addressees: Addressees,
    packets: Packets,
    /// Where a packet is opened.
    scratch: BytesMut,
    wheel: Wheel,
    due: Vec<(u32, u64)>,
    spare: Vec<u32>,
    notices: VecDeque<Notice>,
    pub(crate) waiting: VecDeque<(Instant, quinn_proto::Incoming)>,
    waker: Waker,
    lift: Lift,
    /// The shards that share the port; `None`: it is this endpoint's alone.
    pub(crate) group: Option<Group>,
    /// On their way to other shards.
    pub(crate) departing: Vec<(u8, ForeignPacket)>,
    pub(crate) max_connections: usize,
    pub(crate) visitors: Visitors,
    slots: Slots,
    pub(crate) stats: EndpointStats,
}

impl<S> Endpoint<S> {
    /// Binds the socket. Nothing happens until [`Endpoint::turn`].
    ///
    /// # Errors
    /// [`EndpointError`].
    pub fn new(settings: Settings) -> Result<Self, EndpointError> {
        let outbox = Outbox::bind(settings.bind, settings.shared)?;
        let lift = Lift::default();
        let transport = |end| quic::transport(end, &lift, settings.idle_timeout).map(Arc::new);
        let (client_transport, server_transport) = (transport(End::Client)?, transport(End::Server)?);
        let visitors = Visitors::new(settings.answering.as_ref().map_or(0, |answering| answering.per_address));
        let max_connections = settings.answering.as_ref().map_or(usize::MAX, |answering| answering.max_connections);
        let server = settings.answering.map(|answering| {
            Arc::new(handshakes::answering(lean(answering.crypto, settings.idle_timeout), server_transport))
        });
        let now = Instant::now();
        Ok(Self {
            connections: Connections::new(now),
            quic: quinn_proto::Endpoint::new(Arc::new(quic::endpoint(settings.shard)), server.clone(), true, None),
            server,
            client_transport,
            idle: settings.idle_timeout,
            outbox,
            receive: Some(Box::default()),
            addressees: Addressees::default(),
            packets: Packets::default(),
            scratch: BytesMut::with_capacity(crate::udp::RECEIVE_BUFFER),
            wheel: Wheel::new(now),
            due: Vec::new(),
            spare: Vec::new(),
            notices: VecDeque::new(),
            waiting: VecDeque::new(),
            waker: Waker::new()?,
            lift,
            group: None,
            departing: Vec::new(),
            max_connections,
            visitors,
            slots: Slots::new(now),
            stats: EndpointStats::default(),
        })
    }

    /// The address bound to.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.outbox.socket.local_addr()
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

    /// Joins the shards that share the port.
    pub(crate) fn join(&mut self, shard: u8, shards: u8, loads: Loads) {
        self.group = Some(Group::new(shard, shards, loads, self.connections.now));
    }

    /// Further endpoints may be bound to this one's port.
    ///
    /// # Errors
    /// What the kernel says.
    pub(crate) fn let_others_in(&self) -> io::Result<()> {
        self.outbox.socket.let_others_in()
    }

    /// Has the kernel give each packet to the shard that it names.
    ///
    /// # Errors
    /// The kernel does not do that.
    pub(crate) fn steer(&self, shards: u8) -> io::Result<()> {
        self.outbox.socket.steer(&steering::program(shards))
    }

    /// There are so many shards now, and so much of what all may have is this one's.
    pub(crate) fn share_with(&mut self, shards: u8, max_connections: usize, per_address: u32) {
        if let Some(group) = &mut self.group {
            group.shards = shards;
        }
        self.max_connections = max_connections;
        self.visitors.set_rate(per_address);
    }

    /// Tells the other shards how many connections there are here, `besides` those of this endpoint.
    pub(crate) fn tell_load(&self, besides: usize) {
        if let Some(group) = &self.group {
            group.tell(self.connections.len() + self.waiting.len() + besides);
        }
    }

    /// What was done so far.
    #[must_use]
    pub fn stats(&self) -> EndpointStats {
        EndpointStats { sent: self.outbox.report, ..self.stats }
    }

    /// Answers handshakes that begin from now on with this certificate; open connections keep theirs. One that dials only
    /// goes on doing so.
    pub fn set_crypto(&mut self, crypto: Arc<ServerTls>) {
        if let Some(server) = &self.server {
            // All else stays, above all the key of Retry tokens: peers under way come back with theirs.
            let mut config = ServerConfig::clone(server);
            config.crypto = lean(crypto, self.idle);
            let config = Arc::new(config);
            self.quic.set_server_config(Some(Arc::clone(&config)));
            self.server = Some(config);
        }
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
        let mut config = ClientConfig::new(dialler.crypto(&target));
        config.transport_config(Arc::clone(&self.client_transport));
        let now = Instant::now();
        let (handle, quic) = self.quic.connect(now, config, remote, server_name)?;
        Ok(self.insert(handle, quic, Some(target), Some(state)))
    }

    pub(crate) fn insert(
        &mut self,
        handle: ConnectionHandle,
        quic: quinn_proto::Connection,
        target: Option<Target>,
        state: Option<S>,
    ) -> u32 {
        let connection = Connection::new(handle, quic, target, self.connections.now);
        self.connections.insert(connection, state)
    }

    /// Continues on a new socket bound to `address`, as after a change of network. Peers follow when they hear from us.
    ///
    /// # Errors
    /// What the kernel says; the old socket stays then.
    pub fn rebind(&mut self, address: SocketAddr) -> io::Result<()> {
        self.outbox.socket = Socket::bind(address, false)?;
        self.connections.touch_all();
        for key in self.connections.dirty.clone() {
            if let Some(slot) = self.connections.slot(key) {
                slot.connection.quic.local_address_changed();
            }
        }
        Ok(())
    }

    /// Waits for something to do, but no longer than `at_most`, and does it.
    ///
    /// # Errors
    /// The socket is broken.
    pub fn turn<A: Application<State = S>>(&mut self, app: &mut A, at_most: Duration) -> io::Result<()> {
        let deadline = if app.is_behind() { Some(self.slots.begun()) } else { app.next_timeout() };
        let until = self.next_deadline(deadline, at_most);
        self.slots.wait(&self.waker, self.outbox.socket.as_fd(), app.descriptor(), until)?;
        self.connections.now = Instant::now();
        let since = self.slots.next(self.connections.now);
        self.stats.turns += 1;
        app.begin(self.connections.now);
        self.receive(app)?;
        if self.waker.take() {
            app.on_wake(self);
            self.depart(app);
        }
        self.begin_handshakes(since);
        self.expire_timers();
        self.pump(app);
        app.advance(self);
        self.transmit(app);
        app.transmitted();
        Ok(())
    }

    /// Until when there is nothing to do but for what comes in, and no longer than `at_most`.
    fn next_deadline(&self, app: Option<Instant>, at_most: Duration) -> Instant {
        let now = Instant::now();
        if !self.connections.dirty.is_empty() || !self.waiting.is_empty() {
            return now;
        }
        [app, self.wheel.next_timeout()].into_iter().flatten().fold(now + at_most, Instant::min)
    }

    fn receive<A: Application<State = S>>(&mut self, app: &mut A) -> io::Result<()> {
        for _ in 0..RECEIVES {
            let Some(mut batch) = self.receive.take() else { break };
            let result = self.outbox.socket.receive(&mut batch);
            self.read(&batch);
            self.receive = Some(batch);
            self.depart(app);
            if result? < BATCH {
                break;
            }
        }
        Ok(())
    }

    /// Reads what came, in order. Meanwhile the memory of those is fetched whose packets follow.
    fn read(&mut self, batch: &ReceiveBatch) {
        let mut keys = [None; BATCH];
        for (key, train) in keys.iter_mut().zip(batch.iter()) {
            *key = Addressees::id(train.bytes).and_then(|id| self.addressees.find(id));
        }
        let mut trains = batch.iter();
        for step in 0usize.. {
            for (behind, soon) in [(0, Soon::Soon), (AHEAD, Soon::VerySoon), (2 * AHEAD, Soon::Next)] {
                if let Some(Some(key)) = step.checked_sub(behind).and_then(|place| keys.get(place)) {
                    self.connections.expect(*key, soon, true);
                }
            }
            if step < 3 * AHEAD {
                continue;
            }
            let Some(train) = trains.next() else { return };
            for datagram in train.bytes.chunks(train.segment) {
                self.stats.received += 1;
                self.stats.received_bytes += datagram.len() as u64;
                let way = self.group.as_ref().map_or(Way::Here, |group| group.way(datagram));
                if matches!(way, Way::Here) && self.read_lean(train.remote, datagram) {
                    continue;
                }
                let bytes = self.packets.copy(datagram);
                let packet = ForeignPacket { remote: train.remote, local: train.local, bytes, given: false };
                self.handle_or_pass(packet, way);
            }
        }
    }

    /// A packet that another shard received for a connection of ours.
    pub fn inject(&mut self, packet: ForeignPacket) {
        self.stats.injected += 1;
        // What was given to us stays; what a given connection's peer repeats goes after it.
        let way = match &self.group {
            Some(group) if !packet.given => group.way(&packet.bytes),
            _ => Way::Here,
        };
        self.handle_or_pass(packet, if matches!(way, Way::Named(_)) { Way::Here } else { way });
    }

    fn handle_or_pass(&mut self, mut packet: ForeignPacket, way: Way) {
        packet.given |= matches!(way, Way::Given(_));
        match way {
            Way::Here => self.handle(packet),
            Way::Named(shard) => {
                self.stats.forwarded += 1;
                self.departing.push((shard, packet));
            }
            Way::Given(shard) => {
                self.stats.given += 1;
                self.departing.push((shard, packet));
            }
        }
    }

    fn depart<A: Application<State = S>>(&mut self, app: &mut A) {
        for (shard, packet) in self.departing.drain(..) {
            app.on_foreign(shard, packet);
        }
    }

    /// Reads a packet that only acknowledges; false: it is quinn-proto's.
    fn read_lean(&mut self, remote: SocketAddr, packet: &[u8]) -> bool {
        let Some(id) = Addressees::id(packet) else { return false };
        let now = self.connections.now;
        let Some(slot) = self.addressees.find(id).and_then(|key| self.connections.slot(key)) else { return false };
        let read = slot.connection.read_lean(now, remote, id, packet, &mut self.scratch);
        self.stats.lean += u64::from(read);
        read
    }

    fn handle(&mut self, packet: ForeignPacket) {
        self.outbox.make_room();
        let (first, given) = (self.first_of_a_handshake(&packet), packet.given);
        let Some(out) = self.outbox.vacant() else { return };
        let id = Addressees::id(&packet.bytes);
        match self.quic.handle(self.connections.now, packet.remote, packet.local, None, packet.bytes, &mut out.bytes) {
            Some(DatagramEvent::ConnectionEvent(handle, event)) => {
                if let Some(slot) = self.connections.touch(u32::try_from(handle.0).unwrap_or(u32::MAX)) {
                    slot.connection.quic.handle_event(event);
                    slot.connection.stay_or_leave();
                    let key = slot.connection.key();
                    if let (Some(id), Some(express)) = (id, slot.connection.express.as_mut())
                        && express.id != Some(id)
                    {
                        self.addressees.learn(id, key, express.id.replace(id));
                    }
                }
            }
            Some(DatagramEvent::NewConnection(incoming)) => self.on_incoming(incoming, first, given),
            Some(DatagramEvent::Response(transmit)) => self.outbox.commit_transmit(&transmit),
            None => self.stats.garbage += 1,
        }
    }

    fn expire_timers(&mut self) {
        let mut due = std::mem::take(&mut self.due);
        self.wheel.expire(self.connections.now, &mut due);
        for (key, number) in due.drain(..) {
            // Entries that a nearer one has replaced, or of connections long gone, mean nothing.
            let waits = |slot: &mut Slot<S>| slot.connection.armed == Some(number);
            if self.connections.slot(key).is_some_and(waits)
                && let Some(slot) = self.connections.touch(key)
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
        while let Some(slot) = self.connections.slot(key) {
            // What follows may change the session.
            slot.route = None;
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
                self.addressees.forget(slot.connection.express.as_ref().and_then(|express| express.id));
                self.connections.remove(key);
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
        self.outbox.flush();
    }

    fn transmit_one(&mut self, key: u32, burst: usize) {
        let segments = self.outbox.socket.max_segments();
        let now = self.connections.now;
        let mut more = true;
        for _ in 0..burst {
            self.outbox.make_room();
            let Some(slot) = self.connections.slot(key) else {
                return;
            };
            let Some(out) = self.outbox.vacant() else { return };
            let Some(transmit) = slot.connection.quic.poll_transmit(now, segments, &mut out.bytes) else {
                more = false;
                break;
            };
            self.outbox.commit_transmit(&transmit);
        }
        let Some(slot) = self.connections.slot(key) else { return };
        slot.dirty = false;
        slot.connection.stuck = slot.connection.datagrams_wait();
        if let Some(at) = slot.connection.next_timeout() {
            slot.connection.armed = self.wheel.set_if_sooner(key, at, slot.connection.armed);
        }
        if more {
            self.connections.touch(key);
        }
    }

    /// Sends, before it returns, every datagram that waits in `key`'s buffer, over congestion and pacing; for a purge: what was
    /// handed to quinn-proto before cannot be taken back, but it can be sure to be on the wire before the purge is answered.
    /// Anti-amplification (an unvalidated new path) cannot be overruled: such a connection is closed, and its peer dials again.
    pub fn expel_datagrams(&mut self, key: u32) {
        let Some(slot) = self.connections.slot(key) else { return };
        if !slot.connection.datagrams_wait() {
            return;
        }
        self.lift.store(true, Ordering::Relaxed);
        self.transmit_one(key, BURST);
        self.lift.store(false, Ordering::Relaxed);
        self.outbox.flush();
        if let Some(slot) = self.connections.touch(key)
            && slot.connection.datagrams_wait()
            && slot.connection.phase() != Phase::Gone
        {
            slot.connection.abort("a silenced frame could not be taken back");
            self.stats.purge_aborts += 1;
        }
    }

    /// Sends what is in the batch now.
    pub(crate) fn flush(&mut self) {
        self.outbox.flush();
    }

    /// Changes the keys of `key`'s connection if that is due.
    pub(crate) fn renew_key(&mut self, key: u32) {
        if self.connections.slot(key).is_some_and(|slot| slot.connection.renew_key()) {
            self.connections.touch(key);
        }
    }
}

/// Every connection that is answered gets a lane.
fn lean(tls: Arc<ServerTls>, idle: Duration) -> Arc<LeanServer> {
    Arc::new(LeanServer { tls, max_ack_delay: quic::MAX_ACK_DELAY, idle })
}
