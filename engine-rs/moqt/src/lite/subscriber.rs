//! What we ask of the peer: announcements, and subscriptions with the properties of their tracks.

use super::message::{self, Response};
use super::publisher::write;
use super::{Kind, Lite, Stream, give_up};
use crate::error::{Abandon, Denial, Violation};
use crate::names::{Namespace, overlap};
use crate::seam::{FullTrackName, Protocol, RequestError, SessionEvent, StreamId, SubscriptionId, Transport};

/// A subscription of ours: two streams, one for the track's properties and one for the subscription itself.
#[derive(Debug)]
pub(super) struct Subscription {
    name: FullTrackName,
    pub(super) subscribe_id: u64,
    /// The stream that asks for the track's properties, and the subscription's own, once the peer allows them.
    track_stream: Option<StreamId>,
    stream: Option<StreamId>,
    accepted: bool,
    /// Units a second of its timestamps, once the peer has told.
    pub(super) timescale: Option<u64>,
}

/// A request that waits for a stream.
#[derive(Debug)]
pub(super) enum Wanted {
    Announcements(Namespace),
    Track(SubscriptionId),
    Subscribe(SubscriptionId),
    GoAway(String),
}

impl Lite {
    /// Asks the peer for its namespaces that begin with `prefix`.
    pub(crate) fn solicit(&mut self, t: &mut dyn Transport, prefix: Namespace) {
        let asked = self
            .streams
            .values()
            .any(|stream| matches!(&stream.kind, Kind::OurAnnounce { prefix: asked, .. } if overlap(asked, &prefix)));
        if !asked {
            self.wanted.push_back(Wanted::Announcements(prefix));
            self.open_wanted(t);
        }
    }

    pub(crate) fn subscribe(&mut self, t: &mut dyn Transport, name: FullTrackName) -> SubscriptionId {
        let id = self.common.next_subscription();
        if self.subscriptions.len() >= self.common.limits.subscriptions {
            let code = Denial::Owner(RequestError::TooMany).code(Protocol::Lite05);
            self.common.events.push(SessionEvent::SubscribeRefused { id, code, reason: "too many of ours".into() });
            return id;
        }
        let subscribe_id = self.next_subscribe_id;
        self.next_subscribe_id += 1;
        let entry =
            Subscription { name, subscribe_id, track_stream: None, stream: None, accepted: false, timescale: None };
        self.subscriptions.insert(id, entry);
        self.wanted.extend([Wanted::Track(id), Wanted::Subscribe(id)]);
        self.open_wanted(t);
        id
    }

    /// Sends the requests that wait, as far as the peer allows streams.
    pub(super) fn open_wanted(&mut self, t: &mut dyn Transport) {
        while !self.wanted.is_empty() {
            let Some(id) = t.open_bi() else { return };
            let Some(wanted) = self.wanted.pop_front() else { return };
            let kind = match wanted {
                Wanted::Announcements(prefix) => {
                    write(t, id, false, |out| message::put_announce_request(out, &prefix));
                    Kind::OurAnnounce { prefix, answered: false, complete: true }
                }
                Wanted::Track(subscription) => {
                    let Some(entry) = self.subscriptions.get_mut(&subscription) else { continue };
                    entry.track_stream = Some(id);
                    // No FIN: it would end the request before its answer.
                    write(t, id, false, |out| message::put_track(out, &entry.name));
                    Kind::OurTrack(subscription)
                }
                Wanted::Subscribe(subscription) => {
                    let Some(entry) = self.subscriptions.get_mut(&subscription) else { continue };
                    entry.stream = Some(id);
                    write(t, id, false, |out| message::put_subscribe(out, entry.subscribe_id, &entry.name));
                    Kind::OurSubscribe(subscription)
                }
                Wanted::GoAway(uri) => {
                    write(t, id, false, |out| message::put_goaway(out, &uri));
                    Kind::Ignored
                }
            };
            self.streams.insert(id, Stream::new(kind));
        }
    }

    pub(super) fn on_response(&mut self, id: SubscriptionId, response: Response) -> Result<(), Violation> {
        let Some(entry) = self.subscriptions.get_mut(&id) else { return Ok(()) };
        match response {
            Response::Ok if entry.accepted => return Err(Violation::Protocol("second SUBSCRIBE_OK")),
            Response::Ok => {
                entry.accepted = true;
                self.common.events.push(SessionEvent::Subscribed(id));
            }
            Response::Other => {}
        }
        Ok(())
    }

    pub(super) fn on_track_info(&mut self, id: SubscriptionId, timescale: u64) {
        if let Some(entry) = self.subscriptions.get_mut(&id) {
            entry.timescale = Some(timescale);
            self.recheck = true;
        }
    }

    pub(crate) fn unsubscribe(&mut self, t: &mut dyn Transport, id: SubscriptionId) {
        self.forget(t, id);
        self.settle(t, Ok(()));
    }

    /// Drops a subscription and both of its streams. True if the peer had accepted it.
    fn forget(&mut self, t: &mut dyn Transport, id: SubscriptionId) -> bool {
        self.wanted
            .retain(|wanted| !matches!(wanted, Wanted::Track(waiting) | Wanted::Subscribe(waiting) if *waiting == id));
        let Some(entry) = self.subscriptions.remove(&id) else { return false };
        self.recheck = true;
        for stream in [entry.track_stream, entry.stream].into_iter().flatten() {
            // Absent: it is over, or the one whose end is being told.
            if let Some(state) = self.streams.remove(&stream) {
                give_up(t, stream, true, Abandon::Cancelled);
                self.common.release(&state.buffer);
            }
        }
        entry.accepted
    }

    /// A subscription of ours has ended by the peer's doing.
    pub(super) fn subscription_over(&mut self, t: &mut dyn Transport, id: SubscriptionId, code: u64) {
        if !self.subscriptions.contains_key(&id) {
            return;
        }
        let event = if self.forget(t, id) {
            SessionEvent::SubscriptionEnded(id)
        } else {
            SessionEvent::SubscribeRefused { id, code, reason: String::new() }
        };
        self.common.events.push(event);
    }
}
