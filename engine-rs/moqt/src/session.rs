//! A session of either protocol.

use bytes::{Bytes, BytesMut};

use crate::lite::Lite;
use crate::moqt::Moqt;
use crate::seam::{
    End, FullTrackName, ObjectHeader, Protocol, RequestError, SessionEvent, Setup, StreamId, SubscriptionId, Transport,
};

/// One connection's protocol state, without I/O.
///
/// Call order: `new`, then `start` once the transport is up; then, in any order, what the transport has to say (`on_*`) and
/// what the owner wants; after each of them, `poll_event` until it is `None`. After [`SessionEvent::Failed`] or `close`
/// every call does nothing.
///
/// Streams: a stream that the peer opened becomes known by its first data. After [`Transport::stop`] the transport delivers
/// nothing more of that stream, after [`Transport::reset`] it reports no `on_stopped` for it.
#[derive(Debug)]
pub struct Session {
    protocol: Inner,
}

#[derive(Debug)]
enum Inner {
    Moqt(Box<Moqt>),
    Lite(Box<Lite>),
}

/// Runs `$call` on the session of either protocol.
macro_rules! either {
    ($self:ident, $session:ident => $call:expr) => {
        match &mut $self.protocol {
            Inner::Moqt($session) => $call,
            Inner::Lite($session) => $call,
        }
    };
}

/// The same, unless the session is closed.
macro_rules! open {
    ($self:ident, $session:ident => $call:expr) => {
        either!($self, $session => if !$session.common.closed { $call })
    };
}

impl Session {
    /// A session that says `setup` in its SETUP.
    #[must_use]
    pub fn new(protocol: Protocol, end: End, setup: Setup) -> Self {
        let protocol = match protocol {
            Protocol::Moqt18 => Inner::Moqt(Box::new(Moqt::new(end, setup))),
            Protocol::Lite05 => Inner::Lite(Box::new(Lite::new(end, setup))),
        };
        Self { protocol }
    }

    /// What it speaks.
    #[must_use]
    pub const fn protocol(&self) -> Protocol {
        match &self.protocol {
            Inner::Moqt(_) => Protocol::Moqt18,
            Inner::Lite(_) => Protocol::Lite05,
        }
    }

    /// Whether it is over: by [`Self::close`] or by the peer's fault.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        match &self.protocol {
            Inner::Moqt(session) => session.common.closed,
            Inner::Lite(session) => session.common.closed,
        }
    }

    /// Bytes of the peer's unfinished messages and objects that it holds now.
    #[must_use]
    pub const fn buffered(&self) -> usize {
        match &self.protocol {
            Inner::Moqt(session) => session.common.buffered(),
            Inner::Lite(session) => session.common.buffered(),
        }
    }

    /// Opens our control or setup stream. If the peer allows no stream yet, `on_stream_credit` does it.
    pub fn start(&mut self, t: &mut dyn Transport) {
        open!(self, session => session.start(t));
    }

    /// Bytes of a stream, in their order, split anywhere; `fin` ends the peer's half. Peer-opened streams appear by their
    /// first data; so does the receive half of those that we opened.
    pub fn on_stream(&mut self, t: &mut dyn Transport, stream: StreamId, bidi: bool, data: &[u8], fin: bool) {
        open!(self, session => session.on_stream(t, stream, bidi, data, fin));
    }

    /// The peer abandoned its half (RESET_STREAM).
    pub fn on_reset(&mut self, t: &mut dyn Transport, stream: StreamId, code: u64) {
        open!(self, session => session.on_reset(t, stream, code));
    }

    /// The peer wants no more of our half (STOP_SENDING), or the transport has given it up.
    pub fn on_stopped(&mut self, t: &mut dyn Transport, stream: StreamId, code: u64) {
        open!(self, session => session.on_stopped(t, stream, code));
    }

    /// The peer allows more streams.
    pub fn on_stream_credit(&mut self, t: &mut dyn Transport) {
        open!(self, session => session.on_stream_credit(t));
    }

    /// A datagram. Its payload is handed on without a copy.
    pub fn on_datagram(&mut self, t: &mut dyn Transport, datagram: Bytes) {
        open!(self, session => session.on_datagram(t, datagram));
    }

    /// What has happened, oldest first.
    pub fn poll_event(&mut self) -> Option<SessionEvent> {
        either!(self, session => session.common.events.poll())
    }

    /// Says that we publish in `namespace`: to those who asked for it, and from a client without being asked.
    pub fn announce(&mut self, t: &mut dyn Transport, namespace: Vec<Bytes>) {
        open!(self, session => session.announce(t, namespace));
    }

    /// Takes [`Self::announce`] back.
    pub fn unannounce(&mut self, t: &mut dyn Transport, namespace: &[Bytes]) {
        open!(self, session => session.unannounce(t, namespace));
    }

    /// Asks the peer for its namespaces that begin with `prefix`: they come as [`SessionEvent::Announced`]. Servers ask by
    /// themselves, in MoQT if the peer declares that it announces only to those who ask.
    pub fn solicit(&mut self, t: &mut dyn Transport, prefix: Vec<Bytes>) {
        open!(self, session => session.solicit(t, prefix));
    }

    /// Accepts a [`SessionEvent::SubscribeRequested`].
    pub fn accept_subscribe(&mut self, t: &mut dyn Transport, id: SubscriptionId) {
        open!(self, session => session.accept_subscribe(t, id));
    }

    /// Refuses a [`SessionEvent::SubscribeRequested`]. moq-lite has no words for it, only the code.
    pub fn reject_subscribe(&mut self, t: &mut dyn Transport, id: SubscriptionId, error: RequestError, reason: &str) {
        match &mut self.protocol {
            Inner::Moqt(session) if !session.common.closed => session.reject_subscribe(t, id, error, reason),
            Inner::Lite(session) if !session.common.closed => session.reject_subscribe(t, id, error),
            Inner::Moqt(_) | Inner::Lite(_) => {}
        }
    }

    /// Ends a subscription of the peer: the track is over for it. What was sent on streams is still delivered.
    pub fn end_subscribe(&mut self, t: &mut dyn Transport, id: SubscriptionId) {
        open!(self, session => session.end_subscribe(t, id));
    }

    /// Names the header bytes of this subscription's datagrams: equal keys give equal bytes for equal [`ObjectHeader`]s,
    /// in whatever session. `None` while nothing is to be sent: not accepted, paused by the peer (FORWARD 0), or gone.
    #[must_use]
    pub fn datagram_key(&self, id: SubscriptionId) -> Option<u64> {
        match &self.protocol {
            Inner::Moqt(session) => session.common.publications.datagram_key(id),
            Inner::Lite(session) => session.common.publications.datagram_key(id),
        }
    }

    /// Appends what precedes the payload in a datagram; at most 34 bytes. False, and nothing appended, if there is no such
    /// subscription now, or in moq-lite if `header.object` is not 0: there a datagram is a whole group.
    pub fn datagram_header(&self, id: SubscriptionId, header: &ObjectHeader, out: &mut BytesMut) -> bool {
        match &self.protocol {
            Inner::Moqt(session) => session.common.publications.datagram_header(id, header, out),
            Inner::Lite(session) => session.common.publications.datagram_header(id, header, out),
        }
    }

    /// Sends one object on its group's stream: opens it at the group's first object, ends it at `end_of_group` or when the
    /// next group starts. False if the object's place is not after all that was sent, or nothing is to be sent.
    pub fn send_object(
        &mut self,
        t: &mut dyn Transport,
        id: SubscriptionId,
        header: &ObjectHeader,
        payload: &[u8],
    ) -> bool {
        either!(self, session => !session.common.closed && session.common.publications.send_object(t, id, header, payload))
    }

    /// Resets the subscription's group streams, also those that are ended but may not be delivered yet. The rest of the
    /// current group is dropped; the next one is sent.
    pub fn purge_groups(&mut self, t: &mut dyn Transport, id: SubscriptionId) {
        let code = crate::error::Abandon::Cancelled.code(self.protocol());
        open!(self, session => session.common.publications.purge(t, id, code));
    }

    /// Subscribes to a track of the peer: [`SessionEvent::Subscribed`] or [`SessionEvent::SubscribeRefused`] follows.
    pub fn subscribe(&mut self, t: &mut dyn Transport, name: FullTrackName) -> SubscriptionId {
        either!(self, session => if session.common.closed {
            session.common.next_subscription()
        } else {
            session.subscribe(t, name)
        })
    }

    /// Gives a subscription of ours up. No event of it follows.
    pub fn unsubscribe(&mut self, t: &mut dyn Transport, id: SubscriptionId) {
        open!(self, session => session.unsubscribe(t, id));
    }

    /// Tells the peer to leave, and where to; refuses its new requests. A client's `uri` is not sent.
    pub fn goaway(&mut self, t: &mut dyn Transport, uri: &str) {
        open!(self, session => session.goaway(t, uri));
    }

    /// Ends the session from our side.
    pub fn close(&mut self, t: &mut dyn Transport, code: u64, reason: &str) {
        open!(self, session => {
            session.common.closed = true;
            t.close(code, reason);
        });
    }
}
