//! What the peer asks of us: announcements and subscriptions.

use bytes::{Bytes, BytesMut};

use super::{Kind, Lite, Stream, message};
use crate::error::{Abandon, Denial, Violation};
use crate::framing::Framing;
use crate::groups::Groups;
use crate::names::{Namespace, suffix};
use crate::publication::Publication;
use crate::seam::{RequestError, SessionEvent, StreamId, SubscriptionId, Transport};

impl Lite {
    pub(super) fn on_announce_request(
        &mut self,
        t: &mut dyn Transport,
        id: StreamId,
        stream: &mut Stream,
        body: &[u8],
    ) -> Result<(), Violation> {
        let prefix = message::read_announce_request(body)?;
        let matching: Vec<_> =
            self.common.announced.iter().filter_map(|namespace| suffix(namespace, &prefix)).collect();
        write(t, id, false, |out| {
            message::put_announce_ok(out, matching.len() as u64);
            for suffix in &matching {
                message::put_announce_broadcast(out, true, suffix);
            }
        });
        stream.kind = Kind::Announce(Some(prefix));
        Ok(())
    }

    pub(super) fn on_subscribe(
        &mut self,
        t: &mut dyn Transport,
        id: StreamId,
        stream: &mut Stream,
        body: &[u8],
    ) -> Result<(), Violation> {
        let subscribe = message::read_subscribe(body)?;
        let framing = Framing::Lite { subscribe_id: subscribe.id };
        if self.common.publications.uses(framing) {
            return Err(Violation::Protocol("subscribe id used twice"));
        }
        stream.kind = Kind::Ignored;
        if self.going_away {
            refuse(t, id, Denial::GoingAway);
            return Ok(());
        }
        if subscribe.last_group.is_some() {
            // A range ends in the middle of what all subscribers share, or lies in the past that we do not keep.
            refuse(t, id, Denial::InvalidRange);
            return Ok(());
        }
        // The owner serves a track once a session. A cancel and the next SUBSCRIBE are on two streams, so a lost packet
        // turns their order around: the newest one is what the peer wants.
        if let Some(older) = self.common.publications.find(&subscribe.name) {
            self.end_subscribe(t, older);
            self.common.events.push(SessionEvent::SubscribeCancelled(older));
        }
        if self.common.publications.len() >= self.common.limits.subscriptions {
            refuse(t, id, Denial::Owner(RequestError::TooMany));
            return Ok(());
        }
        let subscription = self.common.next_subscription();
        stream.kind = Kind::Subscribe(Some(subscription));
        let publication = Publication {
            name: subscribe.name.clone(),
            stream: id,
            framing,
            accepted: false,
            forward: true,
            first_group: subscribe.first_group.unwrap_or(0),
            updates: 0,
            groups: Groups::default(),
        };
        self.common.publications.insert(subscription, publication);
        self.common.events.push(SessionEvent::SubscribeRequested { id: subscription, name: subscribe.name });
        Ok(())
    }

    pub(crate) fn accept_subscribe(&mut self, t: &mut dyn Transport, id: SubscriptionId) {
        let Some(publication) = self.common.publications.get_mut(id).filter(|publication| !publication.accepted) else {
            return;
        };
        publication.accepted = true;
        // The first group that is sent is known only when it is sent, maybe as a datagram framed once for all sessions.
        // Subscribers take this number as a lower bound and do not wait for it.
        let first = publication.first_group;
        write(t, publication.stream, false, |out| message::put_subscribe_ok(out, first));
    }

    pub(crate) fn reject_subscribe(&mut self, t: &mut dyn Transport, id: SubscriptionId, error: RequestError) {
        if self.common.publications.get_mut(id).is_none_or(|publication| publication.accepted) {
            return;
        }
        if let Some(publication) = self.common.publications.remove(id) {
            refuse(t, publication.stream, Denial::Owner(error));
            self.ignore(publication.stream);
        }
    }

    /// Ends a subscription from our side: FIN, or a refusal if it was not accepted yet.
    pub(crate) fn end_subscribe(&mut self, t: &mut dyn Transport, id: SubscriptionId) {
        let Some(mut publication) = self.common.publications.remove(id) else { return };
        publication.groups.finish(t);
        if publication.accepted {
            t.write(publication.stream, &[], true);
        } else {
            refuse(t, publication.stream, Denial::Owner(RequestError::DoesNotExist));
        }
        self.ignore(publication.stream);
    }

    fn ignore(&mut self, id: StreamId) {
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.kind = Kind::Ignored;
        }
    }

    /// Ends a subscription that the peer has given up. Its stream is the caller's to forget.
    pub(super) fn cancel_publication(&mut self, t: &mut dyn Transport, id: SubscriptionId) {
        let Some(mut publication) = self.common.publications.remove(id) else { return };
        let code = Self::code(Abandon::Cancelled);
        publication.groups.purge(t, code);
        t.reset(publication.stream, code);
        self.common.events.push(SessionEvent::SubscribeCancelled(id));
    }

    pub(crate) fn announce(&mut self, t: &mut dyn Transport, namespace: Namespace) {
        if !self.common.announced.contains(&namespace) {
            self.tell(t, &namespace, true);
            self.common.announced.reserve_exact(1);
            self.common.announced.push(namespace);
        }
    }

    pub(crate) fn unannounce(&mut self, t: &mut dyn Transport, namespace: &[Bytes]) {
        if let Some(index) = self.common.announced.iter().position(|announced| announced == namespace) {
            self.common.announced.swap_remove(index);
            self.tell(t, namespace, false);
        }
    }

    fn tell(&self, t: &mut dyn Transport, namespace: &[Bytes], active: bool) {
        for (id, stream) in self.streams.iter() {
            if let Kind::Announce(Some(prefix)) = &stream.kind
                && let Some(suffix) = suffix(namespace, prefix)
            {
                write(t, *id, false, |out| message::put_announce_broadcast(out, active, suffix));
            }
        }
    }
}

/// A refusal in moq-lite is a reset.
fn refuse(t: &mut dyn Transport, id: StreamId, denial: Denial) {
    t.reset(id, Lite::code(Abandon::Refused(denial)));
}

/// Writes the message that `put` appends.
pub(super) fn write(t: &mut dyn Transport, id: StreamId, fin: bool, put: impl FnOnce(&mut BytesMut)) {
    let mut out = BytesMut::new();
    put(&mut out);
    t.write(id, &out, fin);
}
