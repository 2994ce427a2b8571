//! A moq-lite-05 session.
//!
//! `mod.rs` has the entry points and the streams; `publisher.rs` what the peer asks of us, `subscriber.rs` what we ask of
//! the peer, `data.rs` the peer's objects, `message.rs` the bytes.

mod data;
mod message;
mod publisher;
mod subscriber;

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use crate::common::{Buffer, Common, Early, is_bidirectional};
use crate::error::{Abandon, Violation};
use crate::names::Namespace;
use crate::seam::{End, Protocol, SessionEvent, Setup, StreamId, SubscriptionId, Transport};
use crate::small_map::SmallMap;
use data::Group;
use subscriber::{Subscription, Wanted};

/// What a stream is for; its first integer says which.
#[derive(Debug)]
enum Kind {
    /// Unidirectional, its type not read yet.
    Unidirectional,
    /// The peer's SETUP.
    Setup,
    /// Objects; `ended` once its FIN is in, while they wait for their track's timescale.
    Group { group: Option<Group>, ended: bool },
    /// Nothing of it is of use: a request that has had its answer, or a stream that has said all.
    Ignored,
    /// A request of the peer, its type not read yet.
    Request,
    /// The peer asks for announcements; the prefix once it is known.
    Announce(Option<Namespace>),
    /// The peer's subscription, once its message is read.
    Subscribe(Option<SubscriptionId>),
    /// The peer asks for a track's properties.
    Track,
    /// The peer is about to leave.
    GoAway,
    /// Our request for announcements. Not `complete` if the peer announced more than we remember.
    OurAnnounce { prefix: Namespace, answered: bool, complete: bool },
    /// Our subscription.
    OurSubscribe(SubscriptionId),
    /// Our request for the properties of a subscription's track.
    OurTrack(SubscriptionId),
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
pub(crate) struct Lite {
    pub(crate) common: Common,
    /// Until it is said.
    setup: Option<Box<Setup>>,
    started: bool,
    peer_setup: bool,
    streams: SmallMap<StreamId, Stream>,
    subscriptions: SmallMap<SubscriptionId, Subscription>,
    next_subscribe_id: u64,
    wanted: VecDeque<Wanted>,
    early: Early,
    /// A timescale has become known or a subscription is gone: streams that wait may go on, or go.
    recheck: bool,
    going_away: bool,
}

impl Lite {
    pub(crate) fn new(end: End, setup: Setup) -> Self {
        Self {
            common: Common::new(Protocol::Lite05, end),
            setup: Some(Box::new(setup)),
            started: false,
            peer_setup: false,
            streams: SmallMap::default(),
            subscriptions: SmallMap::default(),
            next_subscribe_id: 0,
            wanted: VecDeque::new(),
            early: Early::default(),
            recheck: false,
            going_away: false,
        }
    }

    const fn code(abandon: Abandon) -> u64 {
        abandon.code(Protocol::Lite05)
    }

    /// Ends an entry point.
    fn settle(&mut self, t: &mut dyn Transport, result: Result<(), Violation>) {
        let result = result.and_then(|()| self.read_waiting(t));
        self.common.settle(t, result);
    }

    pub(crate) fn start(&mut self, t: &mut dyn Transport) {
        if self.started {
            return;
        }
        let Some(stream) = t.open_uni() else { return };
        self.started = true;
        let setup = self.setup.take().unwrap_or_default();
        let path = match self.common.end {
            End::Client => setup.path.as_deref(),
            End::Server => None,
        };
        let mut out = BytesMut::new();
        message::put_setup(&mut out, path);
        t.write(stream, &out, true);
        // A publisher announces only where it is asked, so a server that wants to hear of speakers has to ask.
        if self.common.end == End::Server {
            self.solicit(t, Namespace::new());
        }
    }

    pub(crate) fn on_stream_credit(&mut self, t: &mut dyn Transport) {
        self.start(t);
        self.open_wanted(t);
        self.common.publications.on_credit(t);
    }

    pub(crate) fn goaway(&mut self, t: &mut dyn Transport, uri: &str) {
        if !std::mem::replace(&mut self.going_away, true) {
            let uri = if self.common.end == End::Client { "" } else { uri };
            self.wanted.push_back(Wanted::GoAway(uri.to_owned()));
            self.open_wanted(t);
        }
    }

    pub(crate) fn on_stream(&mut self, t: &mut dyn Transport, id: StreamId, bidi: bool, data: &[u8], fin: bool) {
        let mut stream = match self.streams.remove(&id) {
            Some(stream) => stream,
            None if self.common.is_ours(id) => return,
            None if self.streams.len() >= self.common.limits.streams => return give_up(t, id, bidi, Abandon::Excess),
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
            while self.read_next(t, id, stream)? {}
        }
        if fin {
            self.on_fin(t, id, stream)?;
        }
        if matches!(stream.kind, Kind::Ignored | Kind::Gone) {
            stream.buffer.bytes.clear();
        }
        // Messages are rare, objects are not.
        if !matches!(stream.kind, Kind::Group { .. }) {
            stream.buffer.rest();
        }
        self.common.account(&mut stream.buffer)
    }

    /// Reads the next thing that is whole in the stream's buffer. False if there is none.
    fn read_next(&mut self, t: &mut dyn Transport, id: StreamId, stream: &mut Stream) -> Result<bool, Violation> {
        let buffer = &mut stream.buffer.bytes;
        match stream.kind {
            Kind::Unidirectional | Kind::Request => {
                let Some(kind) = message::stream_type(buffer) else { return Ok(false) };
                self.on_type(t, id, stream, kind)?;
            }
            Kind::Group { .. } => {
                self.read_objects(t, id, stream)?;
                return Ok(false);
            }
            Kind::OurSubscribe(subscription) => {
                let Some(response) = message::next_response(buffer)? else { return Ok(false) };
                self.on_response(subscription, response)?;
            }
            Kind::Ignored | Kind::Gone => return Ok(false),
            _ => {
                let Some(body) = message::next(buffer)? else { return Ok(false) };
                self.on_message(t, id, stream, &body)?;
            }
        }
        Ok(true)
    }

    fn on_type(
        &mut self,
        t: &mut dyn Transport,
        id: StreamId,
        stream: &mut Stream,
        kind: u64,
    ) -> Result<(), Violation> {
        let bidi = matches!(stream.kind, Kind::Request);
        stream.kind = match (bidi, kind) {
            (false, message::GROUP) => Kind::Group { group: None, ended: false },
            (false, message::SETUP) if self.peer_setup => return Err(Violation::Protocol("second SETUP")),
            (false, message::SETUP) => {
                self.peer_setup = true;
                Kind::Setup
            }
            (true, message::ANNOUNCE) => Kind::Announce(None),
            (true, message::SUBSCRIBE) => Kind::Subscribe(None),
            (true, message::TRACK) => Kind::Track,
            (true, message::GOAWAY) => Kind::GoAway,
            // Fetch, Probe and what extensions add: not fatal, refused by resetting the stream.
            _ => {
                give_up(t, id, bidi, Abandon::Unsupported);
                Kind::Gone
            }
        };
        Ok(())
    }

    /// Which messages may come on which stream.
    fn on_message(
        &mut self,
        t: &mut dyn Transport,
        id: StreamId,
        stream: &mut Stream,
        body: &Bytes,
    ) -> Result<(), Violation> {
        match &mut stream.kind {
            Kind::Setup => {
                let from = match self.common.end {
                    End::Client => End::Server,
                    End::Server => End::Client,
                };
                let path = message::read_setup(body, from)?;
                self.common.events.ready(Setup { path, ..Setup::default() });
                stream.kind = Kind::Ignored;
            }
            Kind::Announce(None) => self.on_announce_request(t, id, stream, body)?,
            Kind::Subscribe(None) => self.on_subscribe(t, id, stream, body)?,
            // Nothing is kept, so other bounds change nothing.
            Kind::Subscribe(Some(_)) => drop(message::read_subscribe_update(body)?),
            Kind::Track => {
                message::read_track(body)?;
                publisher::write(t, id, true, message::put_track_info);
                stream.kind = Kind::Ignored;
            }
            Kind::GoAway => {
                let uri = message::read_goaway(body)?;
                self.common.events.push(SessionEvent::GoAway { uri });
                t.write(id, &[], true);
                stream.kind = Kind::Ignored;
            }
            Kind::OurAnnounce { prefix, answered, complete } => {
                if *answered {
                    let (active, suffix) = message::read_announce_broadcast(body)?;
                    let namespace = crate::names::joined(prefix, &suffix);
                    if active {
                        *complete &= self.common.hear(id, namespace);
                    } else {
                        self.common.unhear(id, namespace);
                    }
                } else {
                    message::read_announce_ok(body)?;
                    *answered = true;
                }
            }
            Kind::OurTrack(subscription) => {
                let timescale = message::read_track_info(body)?;
                self.on_track_info(*subscription, timescale);
                t.write(id, &[], true);
                stream.kind = Kind::Ignored;
            }
            _ => return Err(Violation::Protocol("message on a stream that has said all")),
        }
        Ok(())
    }

    /// The peer's half has ended.
    fn on_fin(&mut self, t: &mut dyn Transport, id: StreamId, stream: &mut Stream) -> Result<(), Violation> {
        match &mut stream.kind {
            Kind::Group { group, ended } if group.as_ref().is_some_and(|group| self.is_early(group.subscribe_id)) => {
                *ended = true;
            }
            Kind::Ignored | Kind::Gone => self.on_closed(t, id, stream),
            _ if !stream.buffer.bytes.is_empty() => return Err(Violation::Protocol("stream ended within a message")),
            _ => self.on_closed(t, id, stream),
        }
        Ok(())
    }

    /// The peer's half is over, by FIN or RESET: so is the request, and our half with it.
    fn on_closed(&mut self, t: &mut dyn Transport, id: StreamId, stream: &mut Stream) {
        match std::mem::replace(&mut stream.kind, Kind::Gone) {
            Kind::Request | Kind::Track | Kind::GoAway | Kind::Subscribe(None) | Kind::Announce(None) => {
                t.reset(id, Self::code(Abandon::Cancelled));
            }
            Kind::Announce(Some(_)) => t.write(id, &[], true),
            Kind::Subscribe(Some(subscription)) => self.cancel_publication(t, subscription),
            Kind::OurAnnounce { .. } => {
                self.common.unhear_all(id);
                t.write(id, &[], true);
            }
            Kind::OurSubscribe(subscription) => {
                t.write(id, &[], true);
                self.subscription_over(t, subscription, 0);
            }
            Kind::OurTrack(subscription) => self.subscription_over(t, subscription, 0),
            Kind::Unidirectional | Kind::Setup | Kind::Group { .. } | Kind::Ignored | Kind::Gone => {}
        }
    }

    pub(crate) fn on_reset(&mut self, t: &mut dyn Transport, id: StreamId, code: u64) {
        let Some(mut stream) = self.streams.remove(&id) else { return };
        match stream.kind {
            Kind::OurSubscribe(subscription) | Kind::OurTrack(subscription) => {
                t.reset(id, Self::code(Abandon::Cancelled));
                self.subscription_over(t, subscription, code);
            }
            _ => self.on_closed(t, id, &mut stream),
        }
        self.common.release(&stream.buffer);
        self.settle(t, Ok(()));
    }

    pub(crate) fn on_stopped(&mut self, t: &mut dyn Transport, id: StreamId, _code: u64) {
        if self.common.publications.on_group_stopped(id) {
            return t.reset(id, Self::code(Abandon::Cancelled));
        }
        // Whoever stops our half of its own request cancels it, even if the request itself is still on its way (unknown
        // here, or not whole). Our own requests are over when their answers are.
        let cancels = match self.streams.get(&id).map(|stream| &stream.kind) {
            None => !self.common.is_ours(id) && is_bidirectional(id),
            Some(Kind::Request | Kind::Announce(_) | Kind::Subscribe(_) | Kind::Track) => true,
            Some(_) => false,
        };
        if !cancels {
            return;
        }
        let stream = self.streams.remove(&id);
        match stream.as_ref().map(|stream| &stream.kind) {
            Some(Kind::Subscribe(Some(subscription))) => {
                t.stop(id, Self::code(Abandon::Cancelled));
                self.cancel_publication(t, *subscription);
            }
            _ => give_up(t, id, true, Abandon::Cancelled),
        }
        if let Some(stream) = stream {
            self.common.release(&stream.buffer);
        }
        self.settle(t, Ok(()));
    }

    pub(crate) fn on_datagram(&mut self, t: &mut dyn Transport, datagram: Bytes) {
        let result = self.read_datagram(datagram);
        self.settle(t, result);
    }
}

/// Ends both halves of a stream.
fn give_up(t: &mut dyn Transport, id: StreamId, bidi: bool, why: Abandon) {
    let code = why.code(Protocol::Lite05);
    t.stop(id, code);
    if bidi {
        t.reset(id, code);
    }
}
