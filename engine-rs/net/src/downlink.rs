//! From the engine to the listeners: the [`Sink`] over QUIC.
//!
//! A tick's object is framed once for all listeners whose header bytes are equal, and its memory is shared; per listener
//! there remain a reference, a QUIC packet and its encryption.

use bytes::{Bytes, BytesMut};
use spaces_core::engine::{Object, Purge, Sent, Sink, Track};
use spaces_core::ids::{SessionKey, SpaceId};
use spaces_core::varint;
use spaces_moqt::seam::ObjectHeader;

use crate::endpoint::Connections;
use crate::peer::Peer;
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

    fn get(&mut self, key: FrameKey) -> Option<Bytes> {
        self.kept.iter().find(|(kept, ..)| *kept == key).map(|(_, framed, _)| framed.clone())
    }

    fn keep(&mut self, key: FrameKey, framed: Bytes, payload: Bytes) {
        if self.kept.len() < FRAMINGS {
            self.kept.push((key, framed, payload));
        } else if let Some(slot) = self.kept.get_mut(self.next) {
            *slot = (key, framed, payload);
            self.next = (self.next + 1) % FRAMINGS;
        }
    }
}

/// The way out during one delivery.
pub(crate) struct Downlink<'a> {
    pub(crate) connections: &'a mut Connections<Peer>,
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

impl Sink for Downlink<'_> {
    fn send(&mut self, session: SessionKey, object: &Object) -> Sent {
        if self.websockets.owns(session.0) {
            return self.websockets.send(session.0, object, self.stats);
        }
        // A session or subscription that is gone takes everything: its cursor must not wait for it.
        let Some((connection, peer)) = self.connections.get_mut(session.0) else { return Sent::Yes };
        let Some(subscription) = peer.subscription(object.track) else { return Sent::Yes };
        let header = ObjectHeader {
            group: object.group,
            object: object.object,
            end_of_group: object.end_of_group,
            timestamp: object.timestamp,
        };
        let Some(protocol) = peer.protocol.as_mut() else { return Sent::Yes };
        if !is_datagram(object.track) {
            protocol.send_object(connection, subscription, &header, &object.payload);
            self.stats.stream_objects += 1;
            return Sent::Yes;
        }
        let Some(datagram_key) = protocol.datagram_key(subscription) else { return Sent::Yes };
        let key = FrameKey {
            payload: (object.payload.as_ptr() as usize, object.payload.len()),
            group: object.group,
            object: object.object,
            datagram_key,
            quarter: connection.quarter(),
        };
        let framed = match self.framings.get(key) {
            Some(framed) => framed,
            None => {
                let mut out = BytesMut::with_capacity(object.payload.len() + 32);
                if let Some(quarter) = key.quarter {
                    varint::write(&mut out, quarter);
                }
                if !protocol.datagram_header(subscription, &header, &mut out) {
                    return Sent::Yes;
                }
                out.extend_from_slice(&object.payload);
                let framed = out.freeze();
                self.framings.keep(key, framed.clone(), object.payload.clone());
                self.stats.framed += 1;
                framed
            }
        };
        if connection.send_datagram(framed) {
            self.stats.datagrams += 1;
            Sent::Yes
        } else {
            self.stats.blocked += 1;
            Sent::Blocked
        }
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
