//! One peer's session at the server: from its first request to its tracks.
//!
//! [`Peer`] is what a connection keeps; [`Desk`] is the shard's side of the counter: tokens, the engine, and who was let in.
//! Where a peer stands is [`Admission`]:
//!
//! ```text
//! Waiting   -- token and Space known, engine admits --> In(space)
//! Waiting   -- refused, or too late -----------------> Refused (closed with the refusal's code)
//! In(space) -- closed, superseded, engine closes ----> Refused or gone
//! ```

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use spaces_core::admission::Claims;
use spaces_core::engine::{Engine, Track};
use spaces_core::ids::{SeatNo, SessionKey, Sid, SpaceId};
use spaces_core::refusal::Refusal;
use spaces_core::time::Time;
use spaces_core::uplink::UplinkFrame;
use spaces_moqt::seam::{End, FullTrackName, Protocol, RequestError, SessionEvent, Setup, SubscriptionId};
use spaces_moqt::session::Session;
use web_transport_proto::http;

use crate::clock::{Clock, unix_seconds};
use crate::connection::{Closed, Incoming, Request};
use crate::endpoint::Answer;
use crate::link::Link;
use crate::peer::{Admission, Peer, Place, Uplink};
use crate::stats::DeskStats;
use crate::token::TokenVerifier;

/// Most tracks that one session may have at once.
const MAX_TRACKS: usize = 24;

/// Who was let in by this shard, and how: what sessions need apart from their connections.
pub(crate) struct Desk {
    pub(crate) engine: Engine,
    pub(crate) clock: Clock,
    /// This turn's time.
    pub(crate) now: Time,
    pub(crate) verifier: Arc<TokenVerifier>,
    /// Empty: any.
    pub(crate) origins: Arc<[String]>,
    pub(crate) max_sessions: usize,
    pub(crate) draining: bool,
    pub(crate) sessions: usize,
    /// Connections to be closed, at the end of the turn.
    pub(crate) closing: Vec<(u32, Refusal)>,
    pub(crate) stats: DeskStats,
}

impl Desk {
    pub(crate) fn new(
        engine: Engine,
        clock: Clock,
        verifier: Arc<TokenVerifier>,
        origins: Arc<[String]>,
        max_sessions: usize,
    ) -> Self {
        Self {
            engine,
            clock,
            now: clock.now(),
            verifier,
            origins,
            max_sessions,
            draining: false,
            sessions: 0,
            closing: Vec::new(),
            stats: DeskStats::default(),
        }
    }

    /// A peer has dialled.
    pub(crate) fn request(&mut self, request: &Request) -> Answer<Peer> {
        let (place, protocol) = if request.web {
            if !self.origin_allowed(request.origin.as_deref()) {
                self.stats.count(Refusal::AuthOrigin);
                return Answer::Refuse(http::StatusCode::FORBIDDEN);
            }
            let Some(place) = Place::parse(&request.path, request.query.as_deref()) else {
                return Answer::Refuse(http::StatusCode::NOT_FOUND);
            };
            let offered = if request.protocols.is_empty() { place.protocol.as_slice() } else { &request.protocols };
            let protocol = Protocol::choose(offered.iter().map(|name| name.as_bytes()));
            (Some(place), protocol)
        } else {
            (None, Protocol::choose(request.protocols.iter().map(|name| name.as_bytes())))
        };
        let Some(protocol) = protocol else { return Answer::Refuse(http::StatusCode::BAD_REQUEST) };
        let mut peer = Peer::new(place, Instant::now());
        if self.sessions >= self.max_sessions || self.draining {
            peer.doomed = Some(Refusal::NodeCapacity);
        }
        self.sessions += 1;
        Answer::Accept(protocol, peer)
    }

    /// Pages must come from an allowed origin; native clients send none, and need a token anyway where guests may not listen.
    fn origin_allowed(&self, origin: Option<&str>) -> bool {
        origin.is_none_or(|origin| self.origins.is_empty() || self.origins.iter().any(|allowed| allowed == origin))
    }

    /// The transport is open: begin the session.
    pub(crate) fn open(&mut self, connection: &mut dyn Link, peer: &mut Peer, protocol: Protocol) {
        let setup = Setup { implementation: Some("spaces".into()), ..Setup::default() };
        let mut session = Session::new(protocol, End::Server, setup);
        session.start(connection);
        peer.protocol = Some(session);
        if let Some(refusal) = peer.doomed {
            self.stats.count(refusal);
            return peer.refuse(connection, refusal);
        }
        // MoQT peers may still send a token in their SETUP; with lite, or a token in the path, all is known.
        if let Some(place) = peer.place.clone().filter(|place| protocol == Protocol::Lite05 || place.token.is_some()) {
            self.admit(connection, peer, place.space, place.token);
        }
        self.drive(connection, peer);
    }

    /// Something came in.
    pub(crate) fn incoming(&mut self, connection: &mut dyn Link, peer: &mut Peer, incoming: Incoming) {
        let Some(session) = peer.protocol.as_mut() else { return };
        match incoming {
            Incoming::Stream { id, bidi, data, fin } => session.on_stream(connection, id, bidi, &data, fin),
            Incoming::Reset { id, code } => session.on_reset(connection, id, code),
            Incoming::Stopped { id, code } => session.on_stopped(connection, id, code),
            Incoming::Credit => session.on_stream_credit(connection),
            Incoming::Datagram(bytes) => session.on_datagram(connection, bytes),
        }
        self.drive(connection, peer);
    }

    /// The connection is gone.
    pub(crate) fn closed(&mut self, key: u32, peer: &Peer, closed: &Closed) {
        self.sessions = self.sessions.saturating_sub(1);
        if matches!(peer.admission, Admission::In(_)) {
            let lost = !matches!(closed, Closed::Local | Closed::Peer { .. });
            self.engine.leave(self.now, SessionKey(key), lost);
        }
    }

    fn admit(&mut self, connection: &mut dyn Link, peer: &mut Peer, space: SpaceId, token: Option<Bytes>) {
        let claims = match &token {
            Some(token) => self.verifier.verify(token, unix_seconds()),
            None => Ok(GUEST),
        };
        let key = SessionKey(connection.key());
        let begun = self.clock.time(connection.begun());
        match claims.and_then(|claims| self.engine.admit(self.now, begun, key, space, &claims)) {
            Ok(admitted) => {
                peer.admission = Admission::In(space);
                peer.place = None; // with its token
                if let Some(older) = admitted.supersedes {
                    self.closing.push((older.0, Refusal::SessionSuperseded));
                }
                self.stats.admitted += 1;
                if let Some(session) = peer.protocol.as_mut() {
                    session.announce(connection, namespace(space));
                }
            }
            Err(refusal) => {
                self.stats.count(refusal);
                peer.refuse(connection, refusal);
            }
        }
    }

    /// Acts on what the session says.
    fn drive(&mut self, connection: &mut dyn Link, peer: &mut Peer) {
        while let Some(event) = peer.protocol.as_mut().and_then(Session::poll_event) {
            match event {
                SessionEvent::Ready(setup) => self.ready(connection, peer, &setup),
                SessionEvent::SubscribeRequested { id, name } => self.subscribe_requested(connection, peer, id, &name),
                SessionEvent::SubscribeCancelled(id) => self.cancelled(connection, peer, id),
                SessionEvent::Announced(name) => self.announced(connection, peer, name),
                SessionEvent::Unannounced(name) => {
                    if peer.seat.as_ref().is_some_and(|seat| seat.namespace == name) {
                        self.unpublish(connection, peer);
                    }
                    if let Some(me) = peer.me.take_if(|me| me.namespace == name)
                        && let (Some(session), Some(subscription)) = (peer.protocol.as_mut(), me.subscription)
                    {
                        session.unsubscribe(connection, subscription);
                    }
                }
                SessionEvent::SubscribeRefused { id, .. } | SessionEvent::SubscriptionEnded(id) => {
                    if let Some(seat) = peer.seat.as_mut().filter(|seat| seat.subscription == Some(id)) {
                        seat.subscription = None;
                        self.unpublish(connection, peer);
                    }
                    peer.me.take_if(|me| me.subscription == Some(id));
                }
                SessionEvent::Object { id, header, payload, .. } => {
                    self.object(connection, peer, id, header.group, payload);
                }
                SessionEvent::Subscribed(_) | SessionEvent::GoAway { .. } => {}
                SessionEvent::Failed { .. } => self.stats.protocol_errors += 1,
            }
        }
    }

    fn ready(&mut self, connection: &mut dyn Link, peer: &mut Peer, setup: &Setup) {
        if peer.admission != Admission::Waiting {
            return;
        }
        if let Some(path) = &setup.path {
            let (path, query) = path.split_once('?').map_or((path.as_str(), None), |(path, query)| (path, Some(query)));
            match Place::parse(path, query) {
                Some(place) if peer.place.is_none() => peer.place = Some(place),
                Some(_) => {}
                None => {
                    self.stats.count(Refusal::SpaceNotFound);
                    return peer.refuse(connection, Refusal::SpaceNotFound);
                }
            }
        }
        // Raw lite has no path: its first request names the Space.
        if let Some(place) = peer.place.clone() {
            self.admit(connection, peer, place.space, setup.token.clone().or(place.token));
        }
    }

    /// The Space that this session may ask about, once `name` has said it where nothing else did.
    fn space_of(&mut self, connection: &mut dyn Link, peer: &mut Peer, name: &[Bytes]) -> Option<SpaceId> {
        let (first, id) = (name.first()?, name.get(1)?);
        let space = SpaceId::parse(id).filter(|_| first == "spaces")?;
        if peer.admission == Admission::Waiting && peer.place.is_none() {
            self.admit(connection, peer, space, None);
        }
        (peer.admission == Admission::In(space)).then_some(space)
    }

    fn subscribe_requested(
        &mut self,
        connection: &mut dyn Link,
        peer: &mut Peer,
        id: SubscriptionId,
        name: &FullTrackName,
    ) {
        let space = self.space_of(connection, peer, &name.namespace).filter(|_| name.namespace.len() == 2);
        let answer = match (space, Track::parse(&name.track)) {
            _ if !peer.requests.take(connection.now()) => Err(Refusal::RateLimited),
            (Some(_), Some(track)) if peer.tracks.len() < MAX_TRACKS || peer.subscription(track).is_some() => {
                self.engine.subscribe(self.now, SessionKey(connection.key()), track).map(|()| track)
            }
            (Some(_), Some(_)) => Err(Refusal::RateLimited),
            _ => Err(Refusal::TrackNotFound),
        };
        let Some(session) = peer.protocol.as_mut() else { return };
        match answer {
            Ok(track) => {
                session.accept_subscribe(connection, id);
                // A second subscription to a track takes the place of the first: a relay's, after a lost cancel.
                if let Some((_, older)) = peer.tracks.iter().find(|(subscribed, _)| *subscribed == track) {
                    session.end_subscribe(connection, *older);
                    peer.tracks.retain(|(subscribed, _)| *subscribed != track);
                }
                peer.tracks.reserve_exact(1); // most have one, and all of them few
                peer.tracks.push((track, id));
            }
            Err(refusal) => {
                self.stats.count(refusal);
                session.reject_subscribe(connection, id, request_error(refusal), refusal.code());
            }
        }
    }

    fn cancelled(&mut self, connection: &dyn Link, peer: &mut Peer, id: SubscriptionId) {
        if let Some(index) = peer.tracks.iter().position(|(_, subscription)| *subscription == id) {
            let (track, _) = peer.tracks.swap_remove(index);
            self.engine.unsubscribe(SessionKey(connection.key()), track);
        }
    }

    fn announced(&mut self, connection: &mut dyn Link, peer: &mut Peer, name: Vec<Bytes>) {
        let me = matches!(&name[..], [_, _, me] if me == "me");
        let number = match &name[..] {
            [_, _, seat, number] if seat == "seat" => seat_number(number),
            _ => None,
        };
        if !peer.requests.take(connection.now()) {
            self.stats.count(Refusal::RateLimited);
            return peer.refuse(connection, Refusal::RateLimited);
        }
        let known = self.space_of(connection, peer, &name).is_some();
        if peer.admission == Admission::Refused {
            return;
        }
        if known && me && peer.me.is_none() {
            // Everybody may say that they would react. Who may is asked when they do.
            let Some(session) = peer.protocol.as_mut() else { return };
            let track = FullTrackName { namespace: name.clone(), track: Bytes::from_static(b"reactions") };
            let subscription = Some(session.subscribe(connection, track));
            peer.me = Some(Uplink { namespace: name, subscription });
            return;
        }
        // What is no seat of this Space is of no interest; a publisher may announce more than we want.
        let Some(number) = number.filter(|_| known) else { return };
        match self.engine.publish(self.now, SessionKey(connection.key()), number) {
            Ok(()) => {
                let Some(session) = peer.protocol.as_mut() else { return };
                let track = FullTrackName { namespace: name.clone(), track: Bytes::from_static(b"audio") };
                let subscription = Some(session.subscribe(connection, track));
                peer.seat = Some(Uplink { namespace: name, subscription });
            }
            Err(refusal) => {
                self.stats.count(refusal);
                peer.refuse(connection, refusal);
            }
        }
    }

    fn unpublish(&mut self, connection: &mut dyn Link, peer: &mut Peer) {
        let Some(seat) = peer.seat.take() else { return };
        self.engine.unpublish(SessionKey(connection.key()));
        if let (Some(session), Some(subscription)) = (peer.protocol.as_mut(), seat.subscription) {
            session.unsubscribe(connection, subscription);
        }
    }

    fn object(&mut self, connection: &dyn Link, peer: &Peer, id: SubscriptionId, sequence: u64, payload: Bytes) {
        if peer.me.as_ref().is_some_and(|me| me.subscription == Some(id)) {
            return self.reaction(connection, &payload);
        }
        if peer.seat.as_ref().is_none_or(|seat| seat.subscription != Some(id)) {
            return;
        }
        match UplinkFrame::decode(sequence, payload) {
            Ok(frame) => {
                let verdict = self.engine.uplink(self.now, SessionKey(connection.key()), frame);
                self.stats.verdict(verdict);
            }
            Err(_) => self.stats.uplink_errors += 1,
        }
    }

    /// One reaction: an object whose payload is its kind, in one byte. Who may not react, or too often, is not heard; the
    /// connection goes on.
    fn reaction(&mut self, connection: &dyn Link, payload: &[u8]) {
        let &[kind] = payload else {
            self.stats.uplink_errors += 1;
            return;
        };
        if let Err(refusal) = self.engine.react(self.now, SessionKey(connection.key()), kind) {
            self.stats.count(refusal);
        }
    }
}

/// Somebody without a token: nobody, in no session.
const GUEST: Claims = Claims { account: None, sid: Sid(0), epoch: u64::MAX, anonymous: false, service: false };

fn namespace(space: SpaceId) -> Vec<Bytes> {
    vec![Bytes::from_static(b"spaces"), Bytes::from(space.to_string())]
}

fn seat_number(text: &[u8]) -> Option<SeatNo> {
    match Track::parse(&[b"seat/", text].concat()) {
        Some(Track::Seat(seat)) => Some(seat),
        _ => None,
    }
}

/// The drafts' reason for each of ours.
fn request_error(refusal: Refusal) -> RequestError {
    match refusal {
        Refusal::TrackNotFound | Refusal::SpaceNotFound | Refusal::StateScheduled | Refusal::StateEnded => {
            RequestError::DoesNotExist
        }
        Refusal::RateLimited | Refusal::NodeCapacity => RequestError::TooMany,
        Refusal::AuthTokenMissing
        | Refusal::AuthTokenInvalid
        | Refusal::AuthTokenExpired
        | Refusal::AuthSessionRevoked
        | Refusal::AuthOrigin
        | Refusal::ParticipantRemoved
        | Refusal::ParticipantBlockedByHost
        | Refusal::TicketRequired
        | Refusal::RoleForbidden
        | Refusal::ParticipantNotInSpace
        | Refusal::ReactionUnknown
        | Refusal::CaptionsNoConsent
        | Refusal::SessionSuperseded => RequestError::Unauthorized,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listed_origins_and_natives_come_in() {
        for (origins, origin, allowed) in [
            (&[][..], Some("https://any"), true),
            (&["https://a"], Some("https://a"), true),
            (&["https://a"], Some("https://b"), false),
            (&["https://a"], None, true),
        ] {
            let origins: Arc<[String]> = origins.iter().map(|o: &&str| (*o).to_owned()).collect();
            let verifier = Arc::new(TokenVerifier::new("i", "a", []));
            let engine = Engine::new(spaces_core::engine::Config::default());
            let desk = Desk::new(engine, Clock::start(), verifier, origins, 1);
            assert_eq!(desk.origin_allowed(origin), allowed);
        }
    }
}
