//! What the peer asks of us: SUBSCRIBE, SUBSCRIBE_NAMESPACE, PUBLISH_NAMESPACE, and requests that we do not serve.

use bytes::{Bytes, BytesMut};

use super::message::{self, Message};
use super::parameter::{Filter, Parameters};
use super::{Kind, Moqt, Stream};
use crate::error::{Abandon, Denial, Violation};
use crate::framing::Framing;
use crate::groups::Groups;
use crate::names::{Namespace, overlap, suffix};
use crate::publication::Publication;
use crate::seam::{End, FullTrackName, Protocol, RequestError, SessionEvent, StreamId, SubscriptionId, Transport};

/// PUBLISH_DONE's status TRACK_ENDED (draft-18 §10.11).
const TRACK_ENDED: u64 = 0x2;
/// PUBLISH_DONE's status SUBSCRIPTION_ENDED.
const SUBSCRIPTION_ENDED: u64 = 0x3;

/// First field of namespaces that belong to the protocol itself (draft-18 §3.2.2); we define none.
const SESSION_NAMESPACE: &[u8] = b".session";

impl Moqt {
    /// The first message of a request stream.
    pub(super) fn on_request(
        &mut self,
        t: &mut dyn Transport,
        id: StreamId,
        stream: &mut Stream,
        request: Message,
    ) -> Result<(), Violation> {
        let (request_id, namespace) = match &request {
            Message::Subscribe { request_id, name, .. } => (*request_id, name.namespace.first()),
            Message::PublishNamespace { request_id, namespace } => (*request_id, namespace.first()),
            Message::SubscribeNamespace { request_id, prefix } => (*request_id, prefix.first()),
            Message::Unsupported { request_id } => (*request_id, None),
            _ => return Err(Violation::Protocol("request stream begins with no request")),
        };
        self.peer_ids.take(request_id)?;
        if self.going_away {
            deny(t, id, stream, Denial::GoingAway, "going away");
            return Ok(());
        }
        if namespace.is_some_and(|field| field == SESSION_NAMESPACE) {
            deny(t, id, stream, Denial::Owner(RequestError::DoesNotExist), "no such session track or namespace");
            return Ok(());
        }
        match request {
            Message::Subscribe { name, parameters, .. } => self.on_subscribe(t, id, stream, name, &parameters),
            Message::SubscribeNamespace { prefix, .. } => self.on_subscribe_namespace(t, id, stream, prefix),
            Message::PublishNamespace { namespace, .. } => {
                if self.common.hear(id, namespace) {
                    stream.kind = Kind::NamespacePublished;
                    write(t, id, false, message::put_request_ok);
                } else {
                    deny(t, id, stream, Denial::Owner(RequestError::TooMany), "too many namespaces");
                }
            }
            _ => deny(t, id, stream, Denial::Owner(RequestError::NotSupported), "not supported"),
        }
        Ok(())
    }

    fn on_subscribe(
        &mut self,
        t: &mut dyn Transport,
        id: StreamId,
        stream: &mut Stream,
        name: FullTrackName,
        parameters: &Parameters,
    ) {
        if matches!(parameters.filter, Some(Filter::Range { .. })) {
            // A range ends in the middle of what all subscribers share, or lies in the past that we do not keep.
            return deny(t, id, stream, Denial::InvalidRange, "only what is live is served");
        }
        // The draft refuses the second subscription to a track (§5.1). A relay's cancel and its next SUBSCRIBE are on two
        // streams, so a lost packet turns their order around: the newest one is what the peer wants.
        if let Some(older) = self.common.publications.find(&name) {
            self.finish_publication(t, older, SUBSCRIPTION_ENDED, "subscribed again");
            self.common.events.push(SessionEvent::SubscribeCancelled(older));
        }
        if self.common.publications.len() >= self.common.limits.subscriptions {
            return deny(t, id, stream, Denial::Owner(RequestError::TooMany), "too many subscriptions");
        }
        let publications = &self.common.publications;
        let alias = self.aliases.of(&name, |alias| publications.uses(Framing::Moqt { alias }));
        let subscription = self.common.next_subscription();
        stream.kind = Kind::Subscribe(subscription);
        let publication = Publication {
            name: name.clone(),
            stream: id,
            framing: Framing::Moqt { alias },
            accepted: false,
            forward: parameters.forward.unwrap_or(true),
            first_group: 0,
            updates: 0,
            groups: Groups::default(),
        };
        self.common.publications.insert(subscription, publication);
        self.common.events.push(SessionEvent::SubscribeRequested { id: subscription, name });
    }

    fn on_subscribe_namespace(&mut self, t: &mut dyn Transport, id: StreamId, stream: &mut Stream, prefix: Namespace) {
        let mut wanted = self.streams.values().filter_map(|stream| match &stream.kind {
            Kind::NamespacesWanted(prefix) => Some(prefix),
            _ => None,
        });
        if wanted.any(|other| overlap(other, &prefix)) {
            return deny(t, id, stream, Denial::PrefixOverlap, "prefix overlaps another one");
        }
        write(t, id, false, |out| {
            message::put_request_ok(out);
            for namespace in &self.common.announced {
                if let Some(suffix) = suffix(namespace, &prefix) {
                    message::put_namespace_message(out, suffix);
                }
            }
        });
        stream.kind = Kind::NamespacesWanted(prefix);
    }

    /// What the peer sends after its request.
    pub(super) fn on_request_followup(
        &mut self,
        t: &mut dyn Transport,
        id: StreamId,
        stream: &mut Stream,
        message: Message,
    ) -> Result<(), Violation> {
        match (&stream.kind, message) {
            (_, Message::RequestUpdate { request_id, parameters }) => {
                self.peer_ids.take(request_id)?;
                self.on_update(t, id, stream, &parameters);
            }
            (Kind::Subscribe(subscription), Message::OldUnsubscribe) => {
                let subscription = *subscription;
                stream.kind = Kind::Ignored;
                self.cancel_publication(t, subscription);
            }
            // It asks to move one request elsewhere; the requester will, or not.
            (_, Message::GoAway { .. }) => {}
            _ => return Err(Violation::Protocol("message does not belong to the request")),
        }
        Ok(())
    }

    fn on_update(&mut self, t: &mut dyn Transport, id: StreamId, stream: &mut Stream, parameters: &Parameters) {
        match &stream.kind {
            Kind::Subscribe(subscription) => {
                let Some(publication) = self.common.publications.get_mut(*subscription) else { return };
                publication.forward = parameters.forward.unwrap_or(publication.forward);
                if publication.accepted {
                    write(t, id, false, message::put_request_ok);
                } else {
                    publication.updates = publication.updates.saturating_add(1);
                }
            }
            Kind::NamespacesWanted(_) if parameters.prefix.is_some() => {
                deny(t, id, stream, Denial::Owner(RequestError::NotSupported), "prefix stays as it is");
            }
            _ => write(t, id, false, message::put_request_ok),
        }
    }

    pub(crate) fn accept_subscribe(&mut self, t: &mut dyn Transport, id: SubscriptionId) {
        let Some(publication) = self.common.publications.get_mut(id).filter(|publication| !publication.accepted) else {
            return;
        };
        publication.accepted = true;
        let Framing::Moqt { alias } = publication.framing else { return };
        let updates = std::mem::take(&mut publication.updates);
        write(t, publication.stream, false, |out| {
            message::put_subscribe_ok(out, alias);
            for _ in 0..updates {
                message::put_request_ok(out);
            }
        });
    }

    pub(crate) fn reject_subscribe(
        &mut self,
        t: &mut dyn Transport,
        id: SubscriptionId,
        error: RequestError,
        reason: &str,
    ) {
        if self.common.publications.get_mut(id).is_none_or(|publication| publication.accepted) {
            return;
        }
        let Some(publication) = self.common.publications.remove(id) else { return };
        if let Some(stream) = self.streams.get_mut(&publication.stream) {
            deny(t, publication.stream, stream, Denial::Owner(error), reason);
        }
    }

    pub(crate) fn end_subscribe(&mut self, t: &mut dyn Transport, id: SubscriptionId) {
        self.finish_publication(t, id, TRACK_ENDED, "track ended");
    }

    /// Ends a subscription from our side: PUBLISH_DONE, or a refusal if it was not accepted yet.
    fn finish_publication(&mut self, t: &mut dyn Transport, id: SubscriptionId, status: u64, reason: &str) {
        let Some(mut publication) = self.common.publications.remove(id) else { return };
        publication.groups.finish(t);
        if let Some(stream) = self.streams.get_mut(&publication.stream) {
            if publication.accepted {
                stream.kind = Kind::Ignored;
                let opened = publication.groups.opened();
                write(t, publication.stream, true, |out| message::put_publish_done(out, status, opened, reason));
            } else {
                deny(t, publication.stream, stream, Denial::Owner(RequestError::DoesNotExist), reason);
            }
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
        if self.common.announced.contains(&namespace) {
            return;
        }
        self.tell_wanting(t, &namespace, message::put_namespace_message);
        self.common.announced.reserve_exact(1);
        self.common.announced.push(namespace.clone());
        // A server waits to be asked: whoever declared SOLICIT must not be told otherwise.
        if self.common.end == End::Client {
            self.want_namespace(t, namespace);
        }
    }

    pub(crate) fn unannounce(&mut self, t: &mut dyn Transport, namespace: &[Bytes]) {
        let Some(index) = self.common.announced.iter().position(|announced| announced == namespace) else { return };
        self.common.announced.swap_remove(index);
        self.tell_wanting(t, namespace, message::put_namespace_done);
        self.unwant_namespace(t, namespace);
    }

    /// Writes a message about `namespace` to everybody who asked for namespaces like it.
    fn tell_wanting(&self, t: &mut dyn Transport, namespace: &[Bytes], put: fn(&mut BytesMut, &[Bytes])) {
        for (id, stream) in self.streams.iter() {
            if let Kind::NamespacesWanted(prefix) = &stream.kind
                && let Some(suffix) = suffix(namespace, prefix)
            {
                write(t, *id, false, |out| put(out, suffix));
            }
        }
    }
}

/// Answers with REQUEST_ERROR, ends our half and ignores what else the peer sends on its own.
fn deny(t: &mut dyn Transport, id: StreamId, stream: &mut Stream, denial: Denial, reason: &str) {
    stream.kind = Kind::Ignored;
    write(t, id, true, |out| {
        message::put_request_error(out, denial.code(Protocol::Moqt18), denial.retry(), reason);
    });
}

/// Writes the message that `put` appends.
pub(super) fn write(t: &mut dyn Transport, id: StreamId, fin: bool, put: impl FnOnce(&mut BytesMut)) {
    let mut out = BytesMut::new();
    put(&mut out);
    t.write(id, &out, fin);
}
