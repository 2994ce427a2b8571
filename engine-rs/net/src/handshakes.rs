//! Handshakes at the answering end: queued, rate-limited, and made to prove their address when there are many.
//!
//! A handshake costs some hundred microseconds of signing, a frame to a listener a few. So a storm of joins waits its turn,
//! and those who hear already hear on.

use std::time::Duration;

use crate::application::ForeignPacket;
use crate::endpoint::{Endpoint, commit};
use crate::group::Way;
use crate::steering;
use crate::visitors::Welcome;

/// Handshakes begun a turn: 8 × 200 µs of signing leave room for audio.
const HANDSHAKES: usize = 8;
/// Handshakes that may wait for their turn; beyond it they are refused.
pub(crate) const WAITING: usize = 2_048;
/// Waiting handshakes from which on peers must prove their address first (Retry, RFC 9000 §8.1.2).
const RETRY_FROM: usize = 64;
/// A handshake that waited this long is given up: its peer has.
const STALE: Duration = Duration::from_secs(3);

impl<S> Endpoint<S> {
    /// A copy of what may be the first packet of a connection that shall live elsewhere.
    pub(crate) fn first_of_a_handshake(&self, packet: &ForeignPacket) -> Option<ForeignPacket> {
        let several = self.group.as_ref().is_some_and(|group| group.shards > 1);
        (several && !packet.given && steering::initial_id(&packet.bytes).is_some()).then(|| packet.clone())
    }

    /// The first packet of a connection, and a copy of it if it may be given to another shard, or whether it was `given` to us.
    pub(crate) fn on_incoming(&mut self, incoming: quinn_proto::Incoming, first: Option<ForeignPacket>, given: bool) {
        let waiting = self.waiting.len();
        if let (Some(group), true) = (&self.group, given) {
            group.take(self.connections.len() + waiting);
        }
        // Who comes back after a Retry has a connection ID of ours: it was decided then.
        if let (Some(group), Some(mut first), true) = (&mut self.group, first, incoming.may_retry())
            && let Way::Given(shard) = group.place(&first.bytes, self.connections.len() + waiting, self.connections.now)
        {
            self.quic.ignore(incoming);
            first.given = true;
            self.stats.given += 1;
            self.departing.push((shard, first));
            return;
        }
        let full = waiting >= WAITING || self.connections.len() + waiting >= self.max_connections;
        let (proved, may_prove) = (incoming.remote_address_validated(), incoming.may_retry());
        let welcome = self.visitors.attempt(self.connections.now, incoming.remote_address().ip(), proved, may_prove);
        if full || welcome == Welcome::No {
            if full {
                self.stats.handshakes_refused += 1;
            } else {
                self.stats.handshakes_limited += 1;
            }
            if let Some(out) = self.send.vacant() {
                let transmit = self.quic.refuse(incoming, &mut out.bytes);
                commit(&mut self.send, &transmit);
            }
        } else if welcome == Welcome::Prove || waiting >= RETRY_FROM && !proved && may_prove {
            self.stats.retries += 1;
            if let Some(out) = self.send.vacant()
                && let Ok(transmit) = self.quic.retry(incoming, &mut out.bytes)
            {
                commit(&mut self.send, &transmit);
            }
        } else {
            self.waiting.push_back((self.connections.now, incoming));
        }
    }

    /// Begins those whose turn it is.
    pub(crate) fn begin_handshakes(&mut self) {
        for _ in 0..HANDSHAKES {
            let Some((since, incoming)) = self.waiting.pop_front() else { return };
            let now = self.connections.now;
            if now.saturating_duration_since(since) > STALE {
                self.stats.handshakes_refused += 1;
                self.quic.ignore(incoming);
                continue;
            }
            self.stats.handshakes += 1;
            self.make_room();
            let Some(out) = self.send.vacant() else { return };
            match self.quic.accept(incoming, now, &mut out.bytes, None) {
                Ok((handle, quic)) => {
                    self.insert(handle, quic, None, None);
                }
                Err(error) => {
                    if let Some(transmit) = error.response {
                        commit(&mut self.send, &transmit);
                    }
                }
            }
        }
    }
}
