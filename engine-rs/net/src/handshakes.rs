//! Handshakes at the answering end: queued, rate-limited, and made to prove their address when there are many.
//!
//! A handshake costs some hundred microseconds of signing, a frame to a listener a few. So a storm of joins waits its turn,
//! and those who hear already hear on.

use std::time::Duration;

use crate::endpoint::Endpoint;
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
    /// The first packet of a connection.
    pub(crate) fn on_incoming(&mut self, incoming: quinn_proto::Incoming) {
        let waiting = self.waiting.len();
        let full = waiting >= WAITING || self.connections.len() + waiting >= self.max_connections;
        let (proved, may_prove) = (incoming.remote_address_validated(), incoming.may_retry());
        let welcome = self.visitors.attempt(self.connections.now, incoming.remote_address().ip(), proved, may_prove);
        if full || welcome == Welcome::No {
            if full {
                self.stats.handshakes_refused += 1;
            } else {
                self.stats.handshakes_limited += 1;
            }
            if let Some(out) = self.outbox.vacant() {
                let transmit = self.quic.refuse(incoming, &mut out.bytes);
                self.outbox.commit_transmit(&transmit);
            }
        } else if welcome == Welcome::Prove || waiting >= RETRY_FROM && !proved && may_prove {
            self.stats.retries += 1;
            if let Some(out) = self.outbox.vacant()
                && let Ok(transmit) = self.quic.retry(incoming, &mut out.bytes)
            {
                self.outbox.commit_transmit(&transmit);
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
            self.outbox.make_room();
            let Some(out) = self.outbox.vacant() else { return };
            match self.quic.accept(incoming, now, &mut out.bytes, None) {
                Ok((handle, quic)) => {
                    self.insert(handle, quic, None, None);
                }
                Err(error) => {
                    if let Some(transmit) = error.response {
                        self.outbox.commit_transmit(&transmit);
                    }
                }
            }
        }
    }
}
