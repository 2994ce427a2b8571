//! Subscriptions of the peer to tracks of ours, in either protocol.

use bytes::BytesMut;

use crate::framing::Framing;
use crate::groups::Groups;
use crate::seam::{FullTrackName, ObjectHeader, StreamId, SubscriptionId, Transport};
use crate::small_map::SmallMap;

/// One subscription of the peer.
#[derive(Debug)]
pub(crate) struct Publication {
    pub(crate) name: FullTrackName,
    /// The request's stream.
    pub(crate) stream: StreamId,
    pub(crate) framing: Framing,
    /// The owner has accepted it.
    pub(crate) accepted: bool,
    /// The peer wants objects now (MoQT's Forward State).
    pub(crate) forward: bool,
    /// First group that the peer asked for, if it named one.
    pub(crate) first_group: u64,
    /// REQUEST_UPDATEs that came before the owner's answer, to be answered after it.
    pub(crate) updates: u32,
    pub(crate) groups: Groups,
}

impl Publication {
    const fn live(&self) -> bool {
        self.accepted && self.forward
    }
}

/// All of a session's, by id.
#[derive(Debug, Default)]
pub(crate) struct Publications {
    by_id: SmallMap<SubscriptionId, Publication>,
}

impl Publications {
    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(crate) fn insert(&mut self, id: SubscriptionId, publication: Publication) {
        self.by_id.insert(id, publication);
    }

    pub(crate) fn get_mut(&mut self, id: SubscriptionId) -> Option<&mut Publication> {
        self.by_id.get_mut(&id)
    }

    pub(crate) fn remove(&mut self, id: SubscriptionId) -> Option<Publication> {
        self.by_id.remove(&id)
    }

    /// The subscription to `name`, if there is one.
    pub(crate) fn find(&self, name: &FullTrackName) -> Option<SubscriptionId> {
        self.by_id.iter().find(|(_, publication)| publication.name == *name).map(|(id, _)| *id)
    }

    /// Whether some subscription uses `framing`.
    pub(crate) fn uses(&self, framing: Framing) -> bool {
        self.by_id.values().any(|publication| publication.framing == framing)
    }

    /// See [`crate::session::Session::datagram_key`].
    pub(crate) fn datagram_key(&self, id: SubscriptionId) -> Option<u64> {
        self.by_id.get(&id).filter(|publication| publication.live()).map(|publication| publication.framing.key())
    }

    /// See [`crate::session::Session::datagram_header`].
    pub(crate) fn datagram_header(&self, id: SubscriptionId, header: &ObjectHeader, out: &mut BytesMut) -> bool {
        match self.by_id.get(&id) {
            Some(publication) if publication.live() => publication.framing.datagram(out, header),
            _ => false,
        }
    }

    /// See [`crate::session::Session::send_object`].
    pub(crate) fn send_object(
        &mut self,
        t: &mut dyn Transport,
        id: SubscriptionId,
        header: &ObjectHeader,
        payload: &[u8],
    ) -> bool {
        match self.by_id.get_mut(&id) {
            Some(publication) if publication.live() => publication.groups.send(t, publication.framing, header, payload),
            _ => false,
        }
    }

    pub(crate) fn purge(&mut self, t: &mut dyn Transport, id: SubscriptionId, code: u64) {
        if let Some(publication) = self.by_id.get_mut(&id) {
            publication.groups.purge(t, code);
        }
    }

    pub(crate) fn on_credit(&mut self, t: &mut dyn Transport) {
        for publication in self.by_id.values_mut() {
            publication.groups.on_credit(t);
        }
    }

    /// The peer stopped `stream`. True if it was a group's.
    pub(crate) fn on_group_stopped(&mut self, stream: StreamId) -> bool {
        self.by_id.values_mut().any(|publication| publication.groups.on_stopped(stream))
    }
}
