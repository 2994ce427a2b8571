//! From the engine to the listeners: the [`Sink`] over QUIC.
//!
//! A tick's object is framed once for all listeners whose header bytes are equal, and its memory is shared; per listener
//! there remain a reference, a QUIC packet and its encryption.

use bytes::{Bytes, BytesMut};
use spaces_core::engine::{Object, Purge, Sent, Sink, Soon, Track};
use spaces_core::ids::{SessionKey, SpaceId};
use spaces_core::varint;
use spaces_moqt::seam::ObjectHeader;

use crate::connections::{Connections, Route, Slot};
use crate::lean::Sealed;
use crate::outbox::Outbox;
use crate::peer::Peer;
use crate::prefetch::prefetch_line;
use crate::websocket::WebSockets;

/// Framings kept at once: the variants of a tick and its second part, by protocol and transport.
const FRAMINGS: usize = 64;

/// Counters of the way out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DownlinkStats {
    /// Objects handed to QUIC as datagrams.
    pub datagrams: u64,
    /// Objects handed to QUIC on streams.
    pub stream_objects: u64,
    /// Objects that a connection would not take now.
    pub blocked: u64,
    /// Datagrams framed; the others used the same bytes.
    pub framed: u64,
}

/// What makes two datagrams equal.
#[derive(Clone, Copy, PartialEq, Eq)]
struct FrameKey {
    payload: (usize, usize),
    group: u64,
    object: u64,
    datagram_key: u64,
    quarter: Option<u64>,
}

/// Datagrams of this delivery. Emptied before the next: until then it holds the payloads, so no address is used twice.
#[derive(Default)]
pub(crate) struct Framings {
    kept: Vec<(FrameKey, Bytes, Bytes)>,
    next: usize,
}

impl Framings {
    pub(crate) fn clear(&mut self) {
        self.kept.clear();
        self.next = 0;
    }

    fn find(&self, key: FrameKey) -> Option<usize> {
        self.kept.iter().position(|(kept, ..)| *kept == key)
    }

    fn at(&self, index: usize) -> Option<&Bytes> {
        self.kept.get(index).map(|(_, framed, _)| framed)
    }

    fn keep(&mut self, key: FrameKey, framed: Bytes, payload: Bytes) -> usize {
        if self.kept.len() < FRAMINGS {
            self.kept.push((key, framed, payload));
            return self.kept.len() - 1;
        }
        let index = self.next;
        if let Some(slot) = self.kept.get_mut(index) {
            *slot = (key, framed, payload);
        }
        self.next = (index + 1) % FRAMINGS;
        index
    }
}

/// The way out during one delivery.
pub(crate) struct Downlink<'a> {
    pub(crate) connections: &'a mut Connections<Peer>,
    pub(crate) outbox: &'a mut Outbox,
    /// Listeners over TCP.
    pub(crate) websockets: &'a mut WebSockets,
    pub(crate) framings: &'a mut Framings,
    pub(crate) stats: &'a mut DownlinkStats,
    /// Connections whose datagrams must leave, or be gone, before the command at hand is answered.
    pub(crate) purged: &'a mut Vec<u32>,
}

/// Datagram tracks carry one object a datagram; the others carry groups on streams.
pub(crate) fn is_datagram(track: Track) -> bool {
    match track {
        Track::Stage { .. } | Track::Mix | Track::Seat(_) => true,
        Track::StageGroups | Track::MixGroups | Track::State | Track::Catalog | Track::Captions => false,
    }
}

impl Downlink<'_> {
    /// How `object` leaves to `session` as a datagram. `None`: nobody is there to take it.
    fn route(slot: &mut Slot<Peer>, track: Track) -> Option<Route> {
        if let Some(route) = slot.route.filter(|route| route.track == track) {
            return Some(route);
        }
        let peer = slot.state.as_ref()?;
        let key = peer.protocol.as_ref()?.datagram_key(peer.subscription(track)?)?;
        let route = Route { track, key, quarter: slot.connection.quarter() };
        slot.route = Some(route);
        Some(route)
    }

    /// The object framed for all who have this route, in [`Framings`].
    fn frame(&mut self, session: SessionKey, route: Route, object: &Object) -> Option<usize> {
        let payload = (object.payload.as_ptr() as usize, object.payload.len());
        let Route { key, quarter, .. } = route;
        let key = FrameKey { payload, group: object.group, object: object.object, datagram_key: key, quarter };
        if let Some(index) = self.framings.find(key) {
            return Some(index);
        }
        let peer = self.connections.slot(session.0)?.state.as_ref()?;
        let mut out = BytesMut::with_capacity(object.payload.len() + 48);
        if let Some(quarter) = quarter {
            varint::write(&mut out, quarter);
        }
        let subscription = peer.subscription(object.track)?;
        if !peer.protocol.as_ref()?.datagram_header(subscription, &header(object), &mut out) {
            return None;
        }
        out.extend_from_slice(&object.payload);
        self.stats.framed += 1;
        Some(self.framings.keep(key, out.freeze(), object.payload.clone()))
    }

    /// `None`: nobody is there to take it.
    fn send_datagram(&mut self, session: SessionKey, object: &Object) -> Option<bool> {
        let route = Self::route(self.connections.slot(session.0)?, object.track)?;
        let index = self.frame(session, route, object)?;
        let framed = self.framings.at(index)?;
        let now = self.connections.now;
        match self.connections.slot(session.0)?.connection.send_lean(now, framed, self.outbox) {
            Sealed::Yes => Some(true),
            Sealed::Blocked => Some(false),
            Sealed::Unfit => {
                let slot = self.connections.touch(session.0)?;
                slot.route = Some(route);
                Some(slot.connection.send_datagram(framed.clone()))
            }
        }
    }

    fn send_on_stream(&mut self, session: SessionKey, object: &Object) -> Option<()> {
        let (connection, peer) = self.connections.get_mut(session.0)?;
        let subscription = peer.subscription(object.track)?;
        peer.protocol.as_mut()?.send_object(connection, subscription, &header(object), &object.payload);
        self.stats.stream_objects += 1;
        Some(())
    }
}

fn header(object: &Object) -> ObjectHeader {
    ObjectHeader {
        group: object.group,
        object: object.object,
        end_of_group: object.end_of_group,
        timestamp: object.timestamp,
    }
}

impl Sink for Downlink<'_> {
    fn send(&mut self, session: SessionKey, object: &Object) -> Sent {
        if self.websockets.owns(session.0) {
            return self.websockets.send(session.0, object, self.stats);
        }
        // A session or subscription that is gone takes everything: its cursor must not wait for it.
        if !is_datagram(object.track) {
            self.send_on_stream(session, object);
            return Sent::Yes;
        }
        match self.send_datagram(session, object) {
            Some(true) => self.stats.datagrams += 1,
            Some(false) => {
                self.stats.blocked += 1;
                return Sent::Blocked;
            }
            None => {}
        }
        Sent::Yes
    }

    fn expect(&mut self, session: SessionKey, soon: Soon) {
        self.connections.expect(session.0, soon, false);
    }

    fn fetch(&mut self, address: *const u8) {
        prefetch_line(address);
    }

    /// Why nothing of a silenced seat leaves after this and [`crate::endpoint::Endpoint::expel_datagrams`]:
    /// the engine has dropped its own queues; group streams are reset, and quinn-proto neither sends nor repeats data of a
    /// reset stream; a datagram that waits in quinn-proto's buffer is put on the wire before the command is answered, or its
    /// connection is closed; and the send batch is empty between steps, because [`crate::udp::Socket::send`] empties it.
    /// Words travel on streams only: what of them was not acknowledged is not sent again.
    fn purge(&mut self, session: SessionKey, _space: SpaceId, purge: Purge) {
        if self.websockets.owns(session.0) {
            return self.websockets.purge(session.0, purge, self.purged);
        }
        let Some((connection, peer)) = self.connections.get_mut(session.0) else { return };
        peer.purge_groups(connection, purge);
        if purge.sound != 0 && connection.datagrams_wait() {
            self.purged.push(session.0);
        }
    }
}
