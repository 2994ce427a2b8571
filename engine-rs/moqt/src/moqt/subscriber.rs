//! What we ask of the peer: SUBSCRIBE, SUBSCRIBE_NAMESPACE, and PUBLISH_NAMESPACE to tell it of our own.

use bytes::Bytes;

use super::message::{self, Message};
use super::property::Properties;
use super::publisher::write;
use super::{Kind, Moqt, Stream};
use crate::error::{Abandon, Denial, Violation};
use crate::names::{Namespace, joined};
use crate::seam::{FullTrackName, Protocol, SessionEvent, StreamId, SubscriptionId, Transport};

/// A subscription of ours.
#[derive(Debug)]
pub(super) struct Subscription {
    pub(super) name: FullTrackName,
    /// Its request's stream; `None` while the peer allows none.
    pub(super) stream: Option<StreamId>,
    /// What SUBSCRIBE_OK said; `None` before.
    pub(super) live: Option<Live>,
}

/// A subscription that the peer has accepted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Live {
    pub(super) alias: u64,
    pub(super) timescale: Option<u64>,
}

/// A request that waits for a stream.
#[derive(Debug)]
pub(super) enum Wanted {
    Subscribe(SubscriptionId),
    Publish(Namespace),
    Namespaces(Namespace),
}

impl Moqt {
    pub(crate) fn subscribe(&mut self, t: &mut dyn Transport, name: FullTrackName) -> SubscriptionId {
        let id = self.common.next_subscription();
        if self.subscriptions.len() >= self.common.limits.subscriptions {
            let code = Denial::Owner(crate::seam::RequestError::TooMany).code(Protocol::Moqt18);
            self.common.events.push(SessionEvent::SubscribeRefused { id, code, reason: "too many of ours".into() });
            return id;
        }
        self.subscriptions.insert(id, Subscription { name, stream: None, live: None });
        self.wanted.push_back(Wanted::Subscribe(id));
        self.open_wanted(t);
        id
    }

    /// Asks the peer for its namespaces that begin with `prefix`.
    pub(crate) fn solicit(&mut self, t: &mut dyn Transport, prefix: Namespace) {
        let asked = self.streams.values().any(
            |stream| matches!(&stream.kind, Kind::OurNamespacesWanted { prefix: asked, .. } if crate::names::overlap(asked, &prefix)),
        );
        if !asked {
            self.wanted.push_back(Wanted::Namespaces(prefix));
            self.open_wanted(t);
        }
    }

    pub(super) fn want_namespace(&mut self, t: &mut dyn Transport, namespace: Namespace) {
        self.wanted.push_back(Wanted::Publish(namespace));
        self.open_wanted(t);
    }

    pub(super) fn unwant_namespace(&mut self, t: &mut dyn Transport, namespace: &[Bytes]) {
        self.wanted.retain(|wanted| !matches!(wanted, Wanted::Publish(published) if published == namespace));
        let found = self.streams.iter().find(
            |(_, stream)| matches!(&stream.kind, Kind::OurNamespace { namespace: published, .. } if published == namespace),
        );
        if let Some(id) = found.map(|(id, _)| *id) {
            self.abandon(t, id);
        }
    }

    /// Sends the requests that wait, as far as the peer allows streams.
    pub(super) fn open_wanted(&mut self, t: &mut dyn Transport) {
        while !self.wanted.is_empty() {
            let Some(id) = t.open_bi() else { return };
            let Some(wanted) = self.wanted.pop_front() else { return };
            let request_id = self.next_request;
            self.next_request += 2;
            let kind = match wanted {
                Wanted::Subscribe(subscription) => {
                    let Some(entry) = self.subscriptions.get_mut(&subscription) else { continue };
                    entry.stream = Some(id);
                    write(t, id, false, |out| message::put_subscribe(out, request_id, &entry.name));
                    Kind::OurSubscribe(subscription)
                }
                Wanted::Publish(namespace) => {
                    write(t, id, false, |out| message::put_publish_namespace(out, request_id, &namespace));
                    Kind::OurNamespace { namespace, answered: false }
                }
                Wanted::Namespaces(prefix) => {
                    write(t, id, false, |out| message::put_subscribe_namespace(out, request_id, &prefix));
                    Kind::OurNamespacesWanted { prefix, answered: false, complete: true }
                }
            };
            self.streams.insert(id, Stream::new(kind));
        }
    }

    pub(crate) fn unsubscribe(&mut self, t: &mut dyn Transport, id: SubscriptionId) {
        self.wanted.retain(|wanted| !matches!(wanted, Wanted::Subscribe(waiting) if *waiting == id));
        let Some(entry) = self.subscriptions.remove(&id) else { return };
        if let Some(stream) = entry.stream {
            self.abandon(t, stream);
        }
        self.recheck = true;
        self.settle(t, Ok(()));
    }

    /// Cancels a request of ours: STOP_SENDING is what an unsubscribe is, RESET ends our own half (draft-18 §3.3.2).
    fn abandon(&mut self, t: &mut dyn Transport, id: StreamId) {
        let code = Self::code(Abandon::Cancelled);
        t.stop(id, code);
        t.reset(id, code);
        if let Some(stream) = self.streams.remove(&id) {
            self.common.release(&stream.buffer);
        }
    }

    /// What the peer answers to our requests.
    pub(super) fn on_response(
        &mut self,
        t: &mut dyn Transport,
        id: StreamId,
        stream: &mut Stream,
        message: Message,
    ) -> Result<(), Violation> {
        match (&mut stream.kind, message) {
            (Kind::OurSubscribe(subscription), message) => {
                let subscription = *subscription;
                if !self.on_subscribe_response(t, id, subscription, message)? {
                    stream.kind = Kind::Gone;
                }
            }
            (Kind::OurNamespace { answered, .. } | Kind::OurNamespacesWanted { answered, .. }, Message::RequestOk)
                if !*answered =>
            {
                *answered = true
            }
            (
                Kind::OurNamespace { answered, .. } | Kind::OurNamespacesWanted { answered, .. },
                Message::RequestError { .. },
            ) if !*answered => {
                t.write(id, &[], true);
                stream.kind = Kind::Ignored;
            }
            (Kind::OurNamespacesWanted { prefix, answered: true, complete }, Message::Namespace(suffix)) => {
                *complete &= self.common.hear(id, joined(prefix, &suffix));
            }
            (Kind::OurNamespacesWanted { prefix, answered: true, complete }, Message::NamespaceDone(suffix)) => {
                let namespace = joined(prefix, &suffix);
                if *complete && !self.common.heard.contains(id, &namespace) {
                    return Err(Violation::Protocol("NAMESPACE_DONE without NAMESPACE"));
                }
                self.common.unhear(id, namespace);
            }
            (Kind::OurNamespace { .. } | Kind::OurNamespacesWanted { .. }, Message::GoAway { .. }) => {}
            _ => return Err(Violation::Protocol("answer does not belong to the request")),
        }
        Ok(())
    }

    /// Answers to SUBSCRIBE. False if the request is over.
    fn on_subscribe_response(
        &mut self,
        t: &mut dyn Transport,
        id: StreamId,
        subscription: SubscriptionId,
        message: Message,
    ) -> Result<bool, Violation> {
        let live = self.subscriptions.get(&subscription).is_some_and(|entry| entry.live.is_some());
        match message {
            Message::SubscribeOk { alias, properties } if !live => {
                self.on_subscribe_ok(t, id, subscription, alias, properties)
            }
            Message::RequestError { code, reason } if !live => {
                t.write(id, &[], true);
                self.subscription_over(subscription, code, &reason);
                Ok(false)
            }
            Message::PublishDone if live => {
                t.write(id, &[], true);
                self.subscription_over(subscription, 0, "");
                Ok(false)
            }
            // The publisher asks us to subscribe elsewhere: here it is over.
            Message::GoAway { .. } => {
                self.drop_request(t, id);
                self.subscription_over(subscription, Denial::GoingAway.code(Protocol::Moqt18), "going away");
                Ok(false)
            }
            _ => Err(Violation::Protocol("answer does not belong to SUBSCRIBE")),
        }
    }

    fn on_subscribe_ok(
        &mut self,
        t: &mut dyn Transport,
        id: StreamId,
        subscription: SubscriptionId,
        alias: u64,
        properties: Properties,
    ) -> Result<bool, Violation> {
        if properties.mandatory {
            self.drop_request(t, id);
            let code = Denial::UnsupportedExtension.code(Protocol::Moqt18);
            self.subscription_over(subscription, code, "track needs what is not understood here");
            return Ok(false);
        }
        let name = self.subscriptions.get(&subscription).map(|entry| entry.name.clone());
        let taken = self
            .subscriptions
            .values()
            .any(|entry| entry.live.is_some_and(|live| live.alias == alias) && Some(&entry.name) != name.as_ref());
        if taken {
            return Err(Violation::TrackAlias);
        }
        if let Some(entry) = self.subscriptions.get_mut(&subscription) {
            entry.live = Some(Live { alias, timescale: properties.timescale });
            self.common.events.push(SessionEvent::Subscribed(subscription));
            self.recheck = true;
        }
        Ok(true)
    }

    fn drop_request(&self, t: &mut dyn Transport, id: StreamId) {
        t.stop(id, Self::code(Abandon::Cancelled));
        t.reset(id, Self::code(Abandon::Cancelled));
    }

    /// A subscription of ours has ended by the peer's doing.
    pub(super) fn subscription_over(&mut self, id: SubscriptionId, code: u64, reason: &str) {
        let Some(entry) = self.subscriptions.remove(&id) else { return };
        self.recheck = true;
        self.common.events.push(match entry.live {
            Some(_) => SessionEvent::SubscriptionEnded(id),
            None => SessionEvent::SubscribeRefused { id, code, reason: reason.to_owned() },
        });
    }

    /// Ends a subscription whose objects break the track's rules.
    pub(super) fn end_malformed(&mut self, t: &mut dyn Transport, id: SubscriptionId) {
        if let Some(stream) = self.subscriptions.get(&id).and_then(|entry| entry.stream) {
            self.abandon(t, stream);
        }
        self.subscription_over(id, 0, "");
    }
}
