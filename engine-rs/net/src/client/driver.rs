//! The thread under a client: an endpoint, its MoQ sessions, and a role that says what they are for.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use spaces_core::varint;
use spaces_moqt::seam::{End, FullTrackName, ObjectHeader, Protocol, SessionEvent, SubscriptionId};
use spaces_moqt::session::Session;
use web_transport_proto::http;

use super::ClientError;
use super::destination::Resolved;
use crate::connection::{Closed, Connection, Incoming, Request};
use crate::endpoint::{Answer, Application, Endpoint, ForeignPacket, Waker};

/// How long a client may take until it is live: handshake, admission and subscription, in a join storm too.
pub(super) const PATIENCE: Duration = Duration::from_secs(15);
/// Longest a turn waits for nothing.
const IDLE: Duration = Duration::from_millis(500);

/// What a connection keeps.
#[derive(Default)]
pub(super) struct Peer {
    session: Option<Session>,
    /// What the role knows it by.
    pub(super) index: u32,
    /// Track parts that we are subscribed to.
    pub(super) stage: [Option<SubscriptionId>; 2],
    /// The server's subscription to our seat.
    pub(super) uplink: Option<SubscriptionId>,
    /// Why our session failed, if it did.
    failure: Option<String>,
}

impl Peer {
    /// One of several of its role.
    pub(super) fn numbered(index: u32) -> Self {
        Self { index, ..Self::default() }
    }

    /// Subscribes to both parts of the stage.
    pub(super) fn subscribe_stage(&mut self, connection: &mut Connection, namespace: &[Bytes]) {
        self.stage =
            [&b"stage"[..], b"stage.1"].map(|track| self.subscribe(connection, namespace, Bytes::from_static(track)));
    }

    /// Subscribes to a track.
    pub(super) fn subscribe(
        &mut self,
        connection: &mut Connection,
        namespace: &[Bytes],
        track: Bytes,
    ) -> Option<SubscriptionId> {
        let session = self.session.as_mut()?;
        Some(session.subscribe(connection, FullTrackName { namespace: namespace.to_vec(), track }))
    }

    /// Ends a subscription.
    pub(super) fn unsubscribe(&mut self, connection: &mut Connection, id: SubscriptionId) {
        if let Some(session) = self.session.as_mut() {
            session.unsubscribe(connection, id);
        }
    }

    /// Says that we publish in `namespace`.
    pub(super) fn announce(&mut self, connection: &mut Connection, namespace: Vec<Bytes>) {
        if let Some(session) = self.session.as_mut() {
            session.announce(connection, namespace);
        }
    }

    /// Accepts a subscription of the server.
    pub(super) fn accept(&mut self, connection: &mut Connection, id: SubscriptionId) {
        if let Some(session) = self.session.as_mut() {
            session.accept_subscribe(connection, id);
        }
    }

    /// Refuses a subscription to what we do not have.
    pub(super) fn reject(&mut self, connection: &mut Connection, id: SubscriptionId) {
        if let Some(session) = self.session.as_mut() {
            session.reject_subscribe(connection, id, spaces_moqt::seam::RequestError::DoesNotExist, "no such track");
        }
    }

    /// Sends a frame's object as a datagram. False: nobody wants it, or the connection takes nothing now.
    pub(super) fn send_frame(&self, connection: &mut Connection, sequence: u64, payload: &[u8]) -> bool {
        self.uplink.is_some_and(|uplink| self.send(connection, uplink, sequence, payload))
    }

    /// Sends an object as a datagram. False: the connection takes nothing now.
    pub(super) fn send(
        &self,
        connection: &mut Connection,
        uplink: SubscriptionId,
        sequence: u64,
        payload: &[u8],
    ) -> bool {
        let Some(session) = self.session.as_ref() else { return false };
        let timestamp = sequence.wrapping_mul(spaces_core::time::TICK_SAMPLES);
        let header = ObjectHeader { group: sequence, object: 0, end_of_group: true, timestamp };
        let mut out = BytesMut::with_capacity(payload.len() + 48);
        if let Some(quarter) = connection.quarter() {
            varint::write(&mut out, quarter);
        }
        if !session.datagram_header(uplink, &header, &mut out) {
            return false;
        }
        out.extend_from_slice(payload);
        connection.send_datagram(out.freeze())
    }

    /// Ends the session.
    pub(super) fn close(&mut self, connection: &mut Connection) {
        match self.session.as_mut() {
            Some(session) => session.close(connection, 0, "bye"),
            None => spaces_moqt::seam::Transport::close(connection, 0, "bye"),
        }
    }
}

/// What the sessions of a client are for.
pub(super) trait Role: Send + 'static {
    /// A session is open.
    fn opened(&mut self, connection: &mut Connection, peer: &mut Peer);
    /// A session has something to say.
    fn event(&mut self, connection: &mut Connection, peer: &mut Peer, event: SessionEvent, now: Instant);
    /// A session is over.
    fn closed(&mut self, key: u32, peer: &Peer, why: ClientError);
    /// Once a turn. False: the client is over, its thread ends.
    fn turn(&mut self, endpoint: &mut Endpoint<Peer>) -> bool;
    /// When `turn` has something to do by itself.
    fn next_timeout(&self) -> Option<Instant>;
    /// The thread ends, by itself or for this reason.
    fn ended(&mut self, why: ClientError);
}

struct Driver<R> {
    role: R,
    resolved: std::sync::Arc<Resolved>,
    now: Instant,
    over: bool,
}

/// Starts the thread of a client and returns what turns it. `make` builds its role, and dials.
pub(super) fn spawn<R: Role>(
    name: &str,
    resolved: std::sync::Arc<Resolved>,
    make: impl FnOnce(&mut Endpoint<Peer>) -> Result<R, ClientError>,
) -> Result<Waker, ClientError> {
    let mut endpoint = resolved.endpoint()?;
    let waker = endpoint.waker();
    let role = make(&mut endpoint)?;
    let mut driver = Driver { role, resolved, now: Instant::now(), over: false };
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || {
            let run = catch_unwind(AssertUnwindSafe(|| {
                while !driver.over {
                    endpoint.turn(&mut driver, IDLE)?;
                }
                std::io::Result::Ok(())
            }));
            let why = match run {
                Ok(Ok(())) => ClientError::NotOpen,
                Ok(Err(error)) => ClientError::Io(error.to_string()),
                Err(panic) => ClientError::Panic(words(&*panic)),
            };
            driver.role.ended(why);
        })
        .map_err(|error| ClientError::Io(error.to_string()))?;
    Ok(waker)
}

/// What a panic said.
fn words(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "panic".to_owned())
}

impl<R: Role> Driver<R> {
    fn drive(&mut self, connection: &mut Connection, peer: &mut Peer) {
        while let Some(event) = peer.session.as_mut().and_then(Session::poll_event) {
            match event {
                SessionEvent::Failed { reason, .. } => peer.failure = Some(reason),
                event => self.role.event(connection, peer, event, self.now),
            }
        }
    }
}

impl<R: Role> Application for Driver<R> {
    type State = Peer;

    fn begin(&mut self, now: Instant) {
        self.now = now;
    }

    fn on_request(&mut self, _key: u32, _request: &Request) -> Answer<Peer> {
        Answer::Refuse(http::StatusCode::NOT_FOUND)
    }

    fn on_open(&mut self, connection: &mut Connection, peer: &mut Peer, protocol: Protocol) {
        let mut session = Session::new(protocol, End::Client, self.resolved.setup.clone());
        session.start(connection);
        peer.session = Some(session);
        self.role.opened(connection, peer);
        self.drive(connection, peer);
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
        self.drive(connection, peer);
    }

    fn on_closed(&mut self, key: u32, mut peer: Peer, closed: Closed) {
        let why = match peer.failure.take() {
            Some(reason) => ClientError::Protocol(reason),
            None => closed.into(),
        };
        self.role.closed(key, &peer, why);
    }

    fn on_wake(&mut self, _endpoint: &mut Endpoint<Peer>) {}

    fn advance(&mut self, endpoint: &mut Endpoint<Peer>) {
        self.over = !self.role.turn(endpoint);
    }

    fn next_timeout(&self) -> Option<Instant> {
        self.role.next_timeout()
    }

    fn on_foreign(&mut self, _shard: u8, _packet: ForeignPacket) {}
}
