//! A draft-18 session.
//!
//! `mod.rs` has the entry points and the streams; `publisher.rs` what the peer asks of us, `subscriber.rs` what we ask of
//! the peer, `data.rs` the peer's objects. Bytes are read and written by `message.rs`, `parameter.rs`, `property.rs`,
//! `setup.rs` and `object.rs`.

mod data;
mod ids;
mod message;
mod object;
mod parameter;
mod property;
mod publisher;
mod setup;
mod subscriber;

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use crate::alias::Aliases;
use crate::common::{Buffer, Common, Early, is_bidirectional};
use crate::error::{Abandon, Violation};
use crate::names::Namespace;
use crate::seam::{End, Protocol, SessionEvent, Setup, StreamId, SubscriptionId, Transport};
use crate::small_map::SmallMap;
use crate::wire::Reader;
use ids::RequestIds;
use message::Message;
use object::Subgroup;
use subscriber::{Subscription, Wanted};

/// What a stream is for. Bidirectional ones are requests (draft-18 §10); the first message says which.
#[derive(Debug)]
enum Kind {
    /// Unidirectional, its type not read yet.
    Unidirectional,
    /// The peer's control stream; whether its SETUP is in.
    Control { setup: bool },
    /// Objects; `ended` once its FIN is in, while they wait for the subscription that they belong to.
    Subgroup { subgroup: Subgroup, ended: bool },
    /// Nothing of it is of use: padding, or a request that has had its final answer.
    Ignored,
    /// A request of the peer, its message not read yet.
    Request,
    /// The peer's SUBSCRIBE.
    Subscribe(SubscriptionId),
    /// The peer's SUBSCRIBE_NAMESPACE.
    NamespacesWanted(Namespace),
    /// The peer's PUBLISH_NAMESPACE.
    NamespacePublished,
    /// Our SUBSCRIBE.
    OurSubscribe(SubscriptionId),
    /// Our PUBLISH_NAMESPACE.
    OurNamespace { namespace: Namespace, answered: bool },
    /// Our SUBSCRIBE_NAMESPACE. Not `complete` if the peer announced more than we remember.
    OurNamespacesWanted { prefix: Namespace, answered: bool, complete: bool },
    /// Done with: to be forgotten.
    Gone,
}

#[derive(Debug)]
struct Stream {
    kind: Kind,
    buffer: Buffer,
}

impl Stream {
    fn new(kind: Kind) -> Self {
        Self { kind, buffer: Buffer::default() }
    }
}

#[derive(Debug)]
pub(crate) struct Moqt {
    pub(crate) common: Common,
    /// Until it is said.
    setup: Option<Box<Setup>>,
    control: Option<StreamId>,
    peer_control: bool,
    streams: SmallMap<StreamId, Stream>,
    aliases: Aliases,
    peer_ids: RequestIds,
    next_request: u64,
    subscriptions: SmallMap<SubscriptionId, Subscription>,
    wanted: VecDeque<Wanted>,
    early: Early,
    /// A subscription was accepted or is gone: streams that wait for an alias may go on, or go.
    recheck: bool,
    going_away: bool,
    peer_going_away: bool,
}

impl Moqt {
    pub(crate) fn new(end: End, setup: Setup) -> Self {
        let peer = match end {
            End::Client => End::Server,
            End::Server => End::Client,
        };
        Self {
            common: Common::new(Protocol::Moqt18, end),
            setup: Some(Box::new(setup)),
            control: None,
            peer_control: false,
            streams: SmallMap::default(),
            aliases: Aliases::default(),
            peer_ids: RequestIds::of(peer),
            next_request: ids::first(end),
            subscriptions: SmallMap::default(),
            wanted: VecDeque::new(),
            early: Early::default(),
            recheck: false,
            going_away: false,
            peer_going_away: false,
        }
    }

    const fn peer(&self) -> End {
        match self.common.end {
            End::Client => End::Server,
            End::Server => End::Client,
        }
    }

    const fn code(abandon: Abandon) -> u64 {
        abandon.code(Protocol::Moqt18)
    }

    /// Ends an entry point.
    fn settle(&mut self, t: &mut dyn Transport, result: Result<(), Violation>) {
        let result = result.and_then(|()| self.read_waiting(t));
        self.common.settle(t, result);
    }

    pub(crate) fn start(&mut self, t: &mut dyn Transport) {
        if self.control.is_some() {
            return;
        }
        let Some(stream) = t.open_uni() else { return };
        self.control = Some(stream);
        let mut out = BytesMut::new();
        let setup = self.setup.take().unwrap_or_default();
        message::put_setup(&mut out, &setup::write(&setup, self.common.end));
        t.write(stream, &out, false);
    }

    pub(crate) fn on_stream_credit(&mut self, t: &mut dyn Transport) {
        self.start(t);
        self.open_wanted(t);
        self.common.publications.on_credit(t);
    }

    pub(crate) fn goaway(&mut self, t: &mut dyn Transport, uri: &str) {
        let Some(control) = self.control else { return };
        if std::mem::replace(&mut self.going_away, true) {
            return;
        }
        // A client cannot tell a server where to go (draft-18 §10.4).
        let uri = if self.common.end == End::Client { "" } else { uri };
        let mut out = BytesMut::new();
        message::put_goaway(&mut out, uri, self.peer_ids.next());
        t.write(control, &out, false);
    }

    pub(crate) fn on_stream(&mut self, t: &mut dyn Transport, id: StreamId, bidi: bool, data: &[u8], fin: bool) {
        let mut stream = match self.streams.remove(&id) {
            Some(stream) => stream,
            None if self.common.is_ours(id) => return,
            None if self.streams.len() >= self.common.limits.streams => {
                t.stop(id, Self::code(Abandon::Excess));
                if bidi {
                    t.reset(id, Self::code(Abandon::Excess));
                }
                return;
            }
            None => Stream::new(if bidi { Kind::Request } else { Kind::Unidirectional }),
        };
        let result = self.read(t, id, &mut stream, data, fin);
        if matches!(stream.kind, Kind::Gone) {
            self.common.release(&stream.buffer);
        } else {
            self.streams.insert(id, stream);
        }
        self.settle(t, result);
    }

    fn read(
        &mut self,
        t: &mut dyn Transport,
        id: StreamId,
        stream: &mut Stream,
        data: &[u8],
        fin: bool,
    ) -> Result<(), Violation> {
        if !matches!(stream.kind, Kind::Ignored) {
            stream.buffer.bytes.extend_from_slice(data);
            self.common.account(&mut stream.buffer)?;
            self.read_buffer(t, id, stream)?;
        }
        if fin {
            self.on_fin(t, id, stream)?;
        }
        if matches!(stream.kind, Kind::Ignored | Kind::Gone) {
            stream.buffer.bytes.clear();
        }
        // Messages are rare, objects are not.
        if !matches!(stream.kind, Kind::Subgroup { .. }) {
            stream.buffer.rest();
        }
        self.common.account(&mut stream.buffer)
    }

    /// Reads what is whole in the stream's buffer.
    fn read_buffer(&mut self, t: &mut dyn Transport, id: StreamId, stream: &mut Stream) -> Result<(), Violation> {
        if matches!(stream.kind, Kind::Unidirectional) && !self.read_type(stream)? {
            return Ok(());
        }
        if matches!(stream.kind, Kind::Subgroup { .. }) {
            return self.read_objects(t, id, stream);
        }
        while !matches!(stream.kind, Kind::Ignored | Kind::Gone) {
            let Some(message) = Message::next(&mut stream.buffer.bytes)? else { break };
            self.on_message(t, id, stream, message)?;
        }
        Ok(())
    }

    /// Reads a unidirectional stream's type (draft-18 §3.4). False while it is not whole.
    fn read_type(&mut self, stream: &mut Stream) -> Result<bool, Violation> {
        let Ok(kind) = Reader::new(&stream.buffer.bytes).vi64() else { return Ok(false) };
        stream.kind = match kind {
            // The type is also that of the first message, and read with it.
            message::SETUP if self.peer_control => return Err(Violation::Protocol("second control stream")),
            message::SETUP => {
                self.peer_control = true;
                Kind::Control { setup: false }
            }
            object::PADDING_STREAM => Kind::Ignored,
            kind if Subgroup::is_type(kind) => match Subgroup::read(&mut stream.buffer.bytes) {
                Some(subgroup) => Kind::Subgroup { subgroup, ended: false },
                None => return Ok(false),
            },
            // FETCH_HEADER answers a FETCH, and we send none.
            _ => return Err(Violation::Protocol("unknown unidirectional stream type")),
        };
        Ok(true)
    }

    /// Which messages may come on which stream.
    fn on_message(
        &mut self,
        t: &mut dyn Transport,
        id: StreamId,
        stream: &mut Stream,
        message: Message,
    ) -> Result<(), Violation> {
        match (&mut stream.kind, message) {
            (Kind::Control { setup }, Message::Setup(body)) if !*setup => {
                *setup = true;
                let received = setup::read(&body, self.peer())?;
                self.common.events.ready(received.setup);
                if received.solicit && self.common.end == End::Server {
                    self.solicit(t, Namespace::new());
                }
                Ok(())
            }
            (Kind::Control { setup: true }, Message::GoAway { uri, request_id }) => self.on_goaway(uri, request_id),
            (Kind::Request, request) => self.on_request(t, id, stream, request),
            (Kind::Subscribe(_) | Kind::NamespacesWanted(_) | Kind::NamespacePublished, message) => {
                self.on_request_followup(t, id, stream, message)
            }
            (Kind::OurSubscribe(_) | Kind::OurNamespace { .. } | Kind::OurNamespacesWanted { .. }, message) => {
                self.on_response(t, id, stream, message)
            }
            _ => Err(Violation::Protocol("message on a stream that it does not belong to")),
        }
    }

    fn on_goaway(&mut self, uri: String, request_id: Option<u64>) -> Result<(), Violation> {
        if std::mem::replace(&mut self.peer_going_away, true) {
            return Err(Violation::Protocol("second GOAWAY"));
        }
        if request_id.is_some_and(|id| id & 1 != ids::first(self.common.end)) {
            return Err(Violation::RequestId);
        }
        if self.common.end == End::Server && !uri.is_empty() {
            return Err(Violation::Protocol("GOAWAY with a URI from a client"));
        }
        self.common.events.push(SessionEvent::GoAway { uri });
        Ok(())
    }

    /// The peer's half has ended.
    fn on_fin(&mut self, t: &mut dyn Transport, id: StreamId, stream: &mut Stream) -> Result<(), Violation> {
        match &mut stream.kind {
            Kind::Subgroup { subgroup, ended } if self.is_early(subgroup.alias) => *ended = true,
            Kind::Subgroup { .. } | Kind::Unidirectional if !stream.buffer.bytes.is_empty() => {
                return Err(Violation::Protocol("stream ended within an object"));
            }
            Kind::Ignored | Kind::Gone | Kind::Subgroup { .. } | Kind::Unidirectional => stream.kind = Kind::Gone,
            _ if !stream.buffer.bytes.is_empty() => return Err(Violation::Protocol("stream ended within a message")),
            _ => self.on_closed(t, id, stream)?,
        }
        Ok(())
    }

    /// The peer's half of a control or request stream is over, by FIN or RESET.
    fn on_closed(&mut self, t: &mut dyn Transport, id: StreamId, stream: &mut Stream) -> Result<(), Violation> {
        match std::mem::replace(&mut stream.kind, Kind::Gone) {
            Kind::Control { .. } => return Err(Violation::Protocol("control stream closed")),
            Kind::Request => t.reset(id, Self::code(Abandon::Cancelled)),
            Kind::Subscribe(subscription) => self.cancel_publication(t, subscription),
            Kind::NamespacesWanted(_) => t.write(id, &[], true),
            Kind::NamespacePublished => {
                self.common.unhear_all(id);
                t.write(id, &[], true);
            }
            Kind::OurSubscribe(subscription) => {
                t.reset(id, Self::code(Abandon::Cancelled));
                self.subscription_over(subscription, 0, "closed by the publisher");
            }
            Kind::OurNamespace { .. } => t.reset(id, Self::code(Abandon::Cancelled)),
            Kind::OurNamespacesWanted { .. } => {
                self.common.unhear_all(id);
                t.reset(id, Self::code(Abandon::Cancelled));
            }
            Kind::Unidirectional | Kind::Subgroup { .. } | Kind::Ignored | Kind::Gone => {}
        }
        Ok(())
    }

    pub(crate) fn on_reset(&mut self, t: &mut dyn Transport, id: StreamId, _code: u64) {
        let Some(mut stream) = self.streams.remove(&id) else { return };
        let result = self.on_closed(t, id, &mut stream);
        self.common.release(&stream.buffer);
        self.settle(t, result);
    }

    pub(crate) fn on_stopped(&mut self, t: &mut dyn Transport, id: StreamId, _code: u64) {
        if self.control == Some(id) {
            return self.common.fail(t, Violation::Protocol("control stream stopped"));
        }
        if self.common.publications.on_group_stopped(id) {
            return t.reset(id, Self::code(Abandon::Cancelled));
        }
        // Whoever stops our half of its own request cancels it, even if the request itself is still on its way (unknown
        // here, or not whole). Our own requests are over when their answers are: a peer that has read all of a request
        // may well stop reading.
        let cancels = match self.streams.get(&id).map(|stream| &stream.kind) {
            None => !self.common.is_ours(id) && is_bidirectional(id),
            Some(Kind::Request | Kind::Subscribe(_) | Kind::NamespacesWanted(_) | Kind::NamespacePublished) => true,
            Some(_) => false,
        };
        if !cancels {
            return;
        }
        t.stop(id, Self::code(Abandon::Cancelled));
        let stream = self.streams.remove(&id);
        match stream.as_ref().map(|stream| &stream.kind) {
            Some(Kind::Subscribe(subscription)) => self.cancel_publication(t, *subscription),
            _ => {
                self.common.unhear_all(id);
                t.reset(id, Self::code(Abandon::Cancelled));
            }
        }
        if let Some(stream) = stream {
            self.common.release(&stream.buffer);
        }
        self.settle(t, Ok(()));
    }

    pub(crate) fn on_datagram(&mut self, t: &mut dyn Transport, datagram: Bytes) {
        let result = self.read_datagram(t, datagram);
        self.settle(t, result);
    }
}
