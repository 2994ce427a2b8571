//! A client's reactions: published on `spaces/<id>/me`, track `reactions`, one object each. Announced with the first one.

use bytes::Bytes;
use spaces_moqt::seam::{FullTrackName, SubscriptionId};

use super::driver::Peer;
use crate::connection::Connection;

/// Reactions that wait for the server to want them; further ones are dropped. More would be lost at the server, which keeps so
/// many objects that overtake the answer to its SUBSCRIBE.
const WAITING: usize = 8;

/// See the module.
pub(super) struct Reacting {
    namespace: Vec<Bytes>,
    announced: bool,
    subscription: Option<SubscriptionId>,
    sequence: u64,
}

impl Reacting {
    pub(super) fn new(space: &[Bytes]) -> Self {
        let mut namespace = space.to_vec();
        namespace.push(Bytes::from_static(b"me"));
        Self { namespace, announced: false, subscription: None, sequence: 0 }
    }

    /// The server asks for a track. False if it is not this one.
    pub(super) fn requested(
        &mut self,
        connection: &mut Connection,
        peer: &mut Peer,
        id: SubscriptionId,
        name: &FullTrackName,
    ) -> bool {
        let ours = name.namespace == self.namespace && &name.track[..] == b"reactions";
        if ours {
            peer.accept(connection, id);
            self.subscription = Some(id);
        }
        ours
    }

    /// The server no longer wants a track.
    pub(super) fn cancelled(&mut self, id: SubscriptionId) {
        self.subscription.take_if(|subscription| *subscription == id);
    }

    /// Sends what waits, once the server wants it.
    pub(super) fn send(&mut self, connection: &mut Connection, peer: &mut Peer, waiting: &mut Vec<u8>) {
        if !waiting.is_empty() && !self.announced {
            peer.announce(connection, self.namespace.clone());
            self.announced = true;
        }
        let Some(subscription) = self.subscription else { return };
        // What the connection does not take now waits for the next turn, which acknowledgements bring.
        let taken = waiting.iter().take_while(|kind| {
            let sent = peer.send(connection, subscription, self.sequence, &[**kind]);
            // A branch: rustc 1.95 loses `+= u64::from(sent)` where `sent` then decides what inlined code does next.
            if sent {
                self.sequence += 1;
            }
            sent
        });
        let taken = taken.count();
        waiting.drain(..taken);
    }
}

/// Adds a reaction to those that wait.
pub(super) fn put(waiting: &mut Vec<u8>, kind: u8) {
    if waiting.len() < WAITING {
        waiting.push(kind);
    }
}
