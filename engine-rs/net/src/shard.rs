//! One shard: a thread with its socket, its connections and its engine. Nothing in it is shared with other threads but
//! queues: orders from the server's callers, mail between shards ([`crate::mail`]), events out.

use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};
use std::time::{Duration, Instant};

use bytes::Bytes;
use spaces_core::command::{Applied, ApplyError, Command};
use spaces_core::engine::{Listed, Output, Soon};
use spaces_core::event::Counts;
use spaces_core::growth::Knowledge;
use spaces_core::ids::{AccountId, SeatNo, SessionKey, SpaceId};
use spaces_core::record::RecordItem;
use spaces_core::refusal::Refusal;
use spaces_moqt::seam::Protocol;

use crate::connection::{Closed, Connection, Incoming, Request};
use crate::crowd::{CrowdSpec, Crowds};
use crate::downlink::{Downlink, DownlinkStats, Framings};
use crate::endpoint::{Answer, Application, Endpoint, ForeignPacket};
use crate::events::EventQueue;
use crate::link::Link;
use crate::mail::{Inbox, Mail, Mailbox, Neighbour};
use crate::mixer::MixerHandle;
use crate::pages::Pages;
use crate::peer::Peer;
use crate::quic::ServerTls;
use crate::session::Desk;
use crate::stats::{ShardStats, thread_cpu};
use crate::token::TokenVerifier;
use crate::websocket::WebSockets;

/// How often deadlines are looked at and a fiftieth of all connections reports to the engine: each about once a second.
const HOUSEKEEPING: Duration = Duration::from_millis(20);
const HOUSEHOLDS: usize = 50;
/// Members of a household between one's announcement and the visit.
const AHEAD: u32 = 8;
/// How long that may wait for a turn that happens anyway: nothing is worth waking for it alone.
const UNHURRIED: Duration = Duration::from_millis(100);
/// Listeners who are sent something before what came in meanwhile is read. About a slot's work ([`crate::slots`]): a speaker
/// whose packets waited longer than that would seem to have a bad network, and a jitter buffer would be put in front of all.
const PART: usize = 256;
/// How long a stopping shard waits for its peers to hear of it.
const FAREWELL: Duration = Duration::from_secs(1);
/// Longest a turn waits for nothing.
const IDLE: Duration = Duration::from_millis(500);

/// What a caller of the server wants of a shard. Replies are sent when it has taken effect.
pub(crate) enum Order {
    Apply(Command, Sender<Result<Applied, ApplyError>>),
    /// Those of the commands that stand at these places, in order.
    ApplyAll(Arc<[Command]>, Vec<usize>, Sender<Vec<Result<Applied, ApplyError>>>),
    SetVerifier(Arc<TokenVerifier>, Sender<()>),
    SetCrypto(Arc<ServerTls>, Arc<rustls::ServerConfig>, Sender<()>),
    Counts(SpaceId, Sender<Option<Counts>>),
    Present(SpaceId, Arc<[u64]>, bool, Sender<Vec<u64>>),
    Roster(SpaceId, AccountId, usize, Sender<Vec<Listed>>),
    Inject(SpaceId, CrowdSpec, Sender<()>),
    React(SpaceId, AccountId, u8, Sender<Result<(), Refusal>>),
    Caption(SpaceId, SeatNo, u32, Bytes, Sender<Result<(), Refusal>>),
    Stats(Sender<ShardStats>),
    /// A new shard, the last of so many: mail goes to it and comes from it, from now on.
    Meet(Box<Newcomer>, Sender<()>),
    /// What a new shard has to know, and whether nobody is let in any more.
    Teach(Sender<Lesson>),
    /// Tell everybody to go to `uri`, and let nobody in any more.
    GoAway(String),
    /// Close everything and end.
    Stop,
    #[cfg(test)]
    Panic,
}

/// A new shard, as the others see it.
pub(crate) struct Newcomer {
    pub(crate) to: Neighbour,
    pub(crate) from: Inbox,
    pub(crate) shares: Shares,
}

/// How many shards there are, and what of the whole is each one's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shares {
    pub(crate) shards: u8,
    pub(crate) sessions: usize,
    pub(crate) connections: usize,
    pub(crate) per_address: u32,
}

/// What a new shard begins with.
pub(crate) struct Lesson {
    pub(crate) knowledge: Knowledge,
    pub(crate) verifier: Arc<TokenVerifier>,
    pub(crate) draining: bool,
}

/// Takes recording items; `false`: its queue is full.
pub(crate) type RecordPush = Arc<dyn Fn(RecordItem) -> bool + Send + Sync>;

/// What a shard has beside its endpoint: peers over TCP, and the threads that take something of its own.
pub(crate) struct Beside {
    pub(crate) websockets: WebSockets,
    pub(crate) record: Option<RecordPush>,
    pub(crate) mixer: MixerHandle,
    pub(crate) pages: Pages,
}

/// See the module.
pub(crate) struct Shard {
    pub(crate) number: u16,
    pub(crate) desk: Desk,
    pub(crate) orders: Receiver<Order>,
    pub(crate) mail: Mailbox,
    /// All shards by number; at our own place nobody.
    pub(crate) neighbours: Vec<Option<Neighbour>>,
    pub(crate) events: EventQueue,
    pub(crate) beside: Beside,
    pub(crate) pinned: bool,
    crowds: Crowds,
    /// How long a peer may be connected without having said who it is and what it wants.
    pub(crate) admission_timeout: Duration,
    framings: Framings,
    purged: Vec<u32>,
    /// Listeners wait for the next turn.
    more: bool,
    downlink: DownlinkStats,
    mail_dropped: u64,
    record_dropped: u64,
    housekeeping: Instant,
    household: usize,
    stop: Option<Instant>,
}

impl Shard {
    pub(crate) fn new(
        number: u16,
        desk: Desk,
        orders: Receiver<Order>,
        mail: Mailbox,
        neighbours: Vec<Option<Neighbour>>,
        events: EventQueue,
        beside: Beside,
    ) -> Self {
        Self {
            number,
            desk,
            orders,
            mail,
            neighbours,
            events,
            beside,
            pinned: false,
            crowds: Crowds::default(),
            admission_timeout: Duration::from_secs(5),
            framings: Framings::default(),
            purged: Vec::new(),
            more: false,
            downlink: DownlinkStats::default(),
            mail_dropped: 0,
            record_dropped: 0,
            housekeeping: Instant::now(),
            household: 0,
            stop: None,
        }
    }

    /// Turns until it is stopped.
    ///
    /// # Errors
    /// The socket is broken.
    pub(crate) fn run(&mut self, endpoint: &mut Endpoint<Peer>) -> std::io::Result<()> {
        loop {
            let at_most = if self.stop.is_some() { Duration::from_millis(5) } else { IDLE };
            endpoint.turn(self, at_most)?;
            let all_gone = endpoint.connections.is_empty() && self.beside.websockets.is_empty();
            if self.stop.is_some_and(|until| all_gone || endpoint.now() >= until) {
                return Ok(());
            }
        }
    }

    fn obey(&mut self, endpoint: &mut Endpoint<Peer>, order: Order) {
        match order {
            Order::Apply(command, reply) => {
                let result = self.desk.engine.apply(self.desk.now, &command);
                // Everything of the silenced seats has left or is gone before the answer.
                self.work(endpoint);
                let _ = reply.send(result); // who no longer waits for an answer needs none
            }
            Order::ApplyAll(commands, places, reply) => {
                let chosen = places.iter().filter_map(|place| commands.get(*place));
                let results = chosen.map(|command| self.desk.engine.apply(self.desk.now, command)).collect();
                self.work(endpoint);
                let _ = reply.send(results);
            }
            Order::Present(space, accounts, unnamed, reply) => {
                let _ = reply.send(self.desk.engine.present(space, &accounts, unnamed));
            }
            Order::Roster(space, after, limit, reply) => {
                let _ = reply.send(self.desk.engine.roster(space, after, limit));
            }
            Order::Inject(space, spec, reply) => {
                let shards = u16::try_from(self.neighbours.len()).unwrap_or(u16::MAX);
                self.crowds.set(self.desk.now, space, spec, self.number, shards);
                let _ = reply.send(());
            }
            Order::React(space, account, kind, reply) => {
                let _ = reply.send(self.desk.engine.react_as(self.desk.now, space, account, kind));
            }
            Order::Caption(space, seat, generation, payload, reply) => {
                let said = self.desk.engine.caption(self.desk.now, space, seat, generation, payload);
                let _ = reply.send(said);
            }
            Order::SetVerifier(verifier, reply) => {
                self.desk.verifier = verifier;
                let _ = reply.send(());
            }
            Order::SetCrypto(crypto, tls, reply) => {
                endpoint.set_crypto(crypto);
                self.beside.websockets.set_tls(tls);
                let _ = reply.send(());
            }
            Order::Counts(space, reply) => {
                let _ = reply.send(self.desk.engine.counts(space));
            }
            Order::Stats(reply) => {
                let _ = reply.send(self.stats(endpoint));
            }
            Order::Meet(newcomer, reply) => {
                let Newcomer { to, from, shares } = *newcomer;
                // In order of number: they come one after the other.
                self.neighbours.push(Some(to));
                self.mail.add(from);
                self.share(endpoint, shares);
                let _ = reply.send(());
            }
            Order::Teach(reply) => {
                let (verifier, draining) = (Arc::clone(&self.desk.verifier), self.desk.draining);
                let _ = reply.send(Lesson { knowledge: self.desk.engine.knowledge(), verifier, draining });
            }
            Order::GoAway(uri) => {
                self.desk.draining = true;
                for key in endpoint.connections.keys().chain(self.beside.websockets.keys()).collect::<Vec<_>>() {
                    self.with(endpoint, key, |connection, peer| peer.goaway(connection, &uri));
                }
            }
            Order::Stop => {
                self.stop = Some(endpoint.now() + FAREWELL);
                self.desk.draining = true;
                self.beside.websockets.stop_listening();
                for key in endpoint.connections.keys().chain(self.beside.websockets.keys()).collect::<Vec<_>>() {
                    self.with(endpoint, key, |connection, _| connection.close(0, "the server stops"));
                }
            }
            #[cfg(test)]
            Order::Panic => panic!("as the test wants"),
        }
    }

    /// Takes its share of the whole.
    pub(crate) fn share(&mut self, endpoint: &mut Endpoint<Peer>, shares: Shares) {
        self.desk.engine.set_shards(shares.shards.into());
        self.desk.max_sessions = shares.sessions;
        endpoint.share_with(shares.shards, shares.connections, shares.per_address);
        self.beside.websockets.share(shares.connections, shares.per_address);
    }

    fn stats(&self, endpoint: &Endpoint<Peer>) -> ShardStats {
        ShardStats {
            shard: self.number,
            cpu: thread_cpu(),
            pinned: self.pinned,
            connections: endpoint.connections.len() as u64,
            websockets: self.beside.websockets.stats(),
            sessions: self.desk.sessions as u64,
            endpoint: endpoint.stats(),
            downlink: self.downlink,
            desk: self.desk.stats.clone(),
            mail_dropped: self.mail_dropped,
            mail_stale: self.mail.stale,
            record_dropped: self.record_dropped,
            engine: self.desk.engine.stats(),
        }
    }

    fn read_mail(&mut self, endpoint: &mut Endpoint<Peer>) {
        let (now, engine) = (self.desk.now, &mut self.desk.engine);
        self.mail.read(now, |mail| match mail {
            Mail::Engine(message) => engine.shard_message(now, message),
            Mail::Packet(packet) => endpoint.inject(packet),
            Mail::Mixed(mixed) => engine.mixed(now, mixed),
        });
    }

    fn send_mail(&mut self, shard: usize, mail: Mail) {
        let neighbour = self.neighbours.get_mut(shard).and_then(Option::as_mut);
        if !neighbour.is_some_and(|neighbour| neighbour.send(self.desk.now, mail)) {
            self.mail_dropped += 1;
        }
    }

    fn others(&self) -> impl Iterator<Item = usize> + use<> {
        let own = usize::from(self.number);
        (0..self.neighbours.len()).filter(move |shard| *shard != own)
    }

    /// The engine's part of a turn: its timers, its objects, its outputs, its closes.
    fn work(&mut self, endpoint: &mut Endpoint<Peer>) {
        self.crowds.turn(self.desk.now, &mut self.desk.engine);
        self.desk.engine.advance(self.desk.now);
        // Recorders, mixers and other shards need not wait for this one's listeners.
        self.carry_outputs(endpoint);
        self.framings.clear();
        let mut sink = Downlink {
            connections: &mut endpoint.connections,
            outbox: &mut endpoint.outbox,
            websockets: &mut self.beside.websockets,
            framings: &mut self.framings,
            stats: &mut self.downlink,
            purged: &mut self.purged,
        };
        self.more = self.desk.engine.deliver_some(self.desk.now, &mut sink, PART);
        let purged = std::mem::take(&mut self.purged);
        let (over_tcp, over_quic): (Vec<u32>, Vec<u32>) =
            purged.iter().partition(|key| self.beside.websockets.owns(**key));
        for key in over_quic {
            endpoint.expel_datagrams(key);
        }
        self.beside.websockets.expel(&over_tcp, &mut self.desk);
        // Nothing stays in the batch beyond a command.
        endpoint.flush();
        self.carry_outputs(endpoint);
        for (key, refusal) in std::mem::take(&mut self.desk.closing) {
            self.refuse(endpoint, key, refusal);
        }
    }

    /// A connection, whatever it runs over, and its session, to be used.
    fn with(&mut self, endpoint: &mut Endpoint<Peer>, key: u32, use_it: impl FnOnce(&mut dyn Link, &mut Peer)) -> bool {
        if self.beside.websockets.owns(key) {
            return self.beside.websockets.get_mut(key).map(|(connection, peer)| use_it(connection, peer)).is_some();
        }
        endpoint.connections.get_mut(key).map(|(connection, peer)| use_it(connection, peer)).is_some()
    }

    fn refuse(&mut self, endpoint: &mut Endpoint<Peer>, key: u32, refusal: Refusal) {
        if self.with(endpoint, key, |connection, peer| peer.refuse(connection, refusal)) {
            self.desk.stats.count(refusal);
        }
    }

    fn carry_outputs(&mut self, endpoint: &mut Endpoint<Peer>) {
        while let Some(output) = self.desk.engine.poll_output() {
            match output {
                Output::Event(event) => self.events.push(event),
                Output::Record(item) => {
                    if self.beside.record.as_ref().is_some_and(|push| !push(item)) {
                        self.record_dropped += 1;
                    }
                }
                Output::Mix(item) => self.beside.mixer.push(item),
                Output::ToShard { shard: Some(shard), message } => {
                    self.send_mail(usize::from(shard), Mail::Engine(message));
                }
                Output::ToShard { shard: None, message } => {
                    for shard in self.others() {
                        self.send_mail(shard, Mail::Engine(message.clone()));
                    }
                }
                Output::Close { session, reason } => self.refuse(endpoint, session.0, reason),
            }
        }
    }

    /// Deadlines of admission, and reports of paths to the engine.
    fn keep_house(&mut self, endpoint: &mut Endpoint<Peer>) {
        let now = endpoint.now();
        // As many as are due; after a long sleep each once.
        for _ in 0..HOUSEHOLDS {
            if now < self.housekeeping {
                return;
            }
            self.housekeeping += HOUSEKEEPING;
            self.household = (self.household + 1) % HOUSEHOLDS;
            self.visit_household(endpoint, now);
        }
        self.housekeeping = self.housekeeping.max(now);
    }

    fn visit_household(&mut self, endpoint: &mut Endpoint<Peer>, now: Instant) {
        self.beside.websockets.report(&mut self.desk, self.household, HOUSEHOLDS, now, self.admission_timeout);
        let connections = endpoint.connections.len();
        for key in endpoint.connections.part(self.household, HOUSEHOLDS) {
            // Each is far away, and visited but once a second.
            for (ahead, soon) in [(AHEAD, Soon::Soon), (AHEAD / 2, Soon::VerySoon)] {
                endpoint.connections.expect(key.saturating_add(ahead * HOUSEHOLDS as u32), soon, false);
            }
            for address in endpoint.connections.addresses(key).into_iter().flatten() {
                self.beside.pages.note(now, connections, address);
            }
            endpoint.renew_key(key);
            if endpoint.connections.get(key).is_some_and(|(_, peer)| peer.overdue(now, self.admission_timeout)) {
                if let Some((connection, peer)) = endpoint.connections.get_mut(key) {
                    self.desk.stats.overdue += 1;
                    peer.refuse(connection, Refusal::AuthTokenMissing);
                }
            } else if let Some((connection, peer)) = endpoint.connections.peek_mut(key)
                && let Some(feedback) = peer.feedback(connection)
            {
                self.desk.engine.feedback(self.desk.now, SessionKey(key), feedback);
            }
        }
    }
}

impl Application for Shard {
    type State = Peer;

    fn begin(&mut self, now: Instant) {
        self.desk.now = self.desk.clock.time(now);
    }

    fn on_request(&mut self, _key: u32, request: &Request) -> Answer<Peer> {
        self.desk.request(request)
    }

    fn on_open(&mut self, connection: &mut Connection, peer: &mut Peer, protocol: Protocol) {
        self.desk.open(connection, peer, protocol);
    }

    fn on_incoming(&mut self, connection: &mut Connection, peer: &mut Peer, incoming: Incoming) {
        self.desk.incoming(connection, peer, incoming);
    }

    fn on_closed(&mut self, key: u32, peer: Peer, closed: Closed) {
        self.desk.closed(key, &peer, &closed);
    }

    fn on_wake(&mut self, endpoint: &mut Endpoint<Peer>) {
        // Mail first: what a seat said before its stage's shard applied a command is in it, and nothing of it may be sent
        // after this shard has answered the same command.
        self.read_mail(endpoint);
        while let Ok(order) = self.orders.try_recv() {
            self.read_mail(endpoint);
            self.obey(endpoint, order);
        }
    }

    fn advance(&mut self, endpoint: &mut Endpoint<Peer>) {
        self.beside.websockets.receive(&mut self.desk, endpoint.now());
        endpoint.tell_load(self.beside.websockets.len());
        self.keep_house(endpoint);
        self.work(endpoint);
    }

    fn is_behind(&self) -> bool {
        self.more
    }

    fn next_timeout(&self) -> Option<Instant> {
        let engine = self.desk.engine.next_timeout().and_then(|at| self.desk.clock.instant(at));
        let house = (self.desk.sessions > 0).then(|| self.housekeeping + UNHURRIED);
        let crowds = self.crowds.next_timeout().and_then(|at| self.desk.clock.instant(at));
        [engine, house, crowds, self.beside.websockets.next_timeout()].into_iter().flatten().min()
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.beside.websockets.descriptor()
    }

    fn transmitted(&mut self) {
        self.beside.websockets.transmit(&mut self.desk);
    }

    fn on_foreign(&mut self, shard: u8, packet: ForeignPacket) {
        self.send_mail(usize::from(shard), Mail::Packet(packet));
    }
}
