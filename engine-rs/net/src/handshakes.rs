//! Handshakes at the answering end: queued, rate-limited, and made to prove their address when there are many.
//!
//! A handshake costs some hundred microseconds of signing, a frame to a listener a few. So a storm of joins waits its turn,
//! and those who hear already hear on.

use std::sync::Arc;
use std::time::Duration;

use quinn_proto::{ServerConfig, TransportConfig};

use crate::application::ForeignPacket;
use crate::endpoint::Endpoint;
use crate::group::Way;
use crate::lean::LeanServer;
use crate::slots::SLOT;
use crate::steering;
use crate::visitors::Welcome;

/// Handshakes begun in a slot of 1 ms: 8 × 200 µs of signing leave room for audio.
const HANDSHAKES: usize = 8;
/// Slots that a turn may make up for when the one before was long ago: on a machine with too much to do turns are rare, and those
/// who wait would wait until they are [`STALE`]. 32 × 200 µs are a third of a tick.
const CATCH_UP: usize = 4;
/// Handshakes that may wait for their turn; beyond it they are refused.
pub(crate) const WAITING: usize = 2_048;
/// Waiting handshakes from which on peers must prove their address first (Retry, RFC 9000 §8.1.2).
const RETRY_FROM: usize = 64;
/// A handshake that waited this long is given up: its peer has.
const STALE: Duration = Duration::from_secs(3);
/// How long a Retry token holds. A client cannot accept a second one, and whoever shows an outlived one is closed for good (RFC 9000
/// §8.1.2): so it holds for as long as a client goes on trying, not for the 15 s that quinn-proto gives it.
const TOKEN: Duration = Duration::from_secs(60);

/// What quinn-proto answers with.
pub(crate) fn answering(crypto: Arc<LeanServer>, transport: Arc<TransportConfig>) -> ServerConfig {
    let mut config = ServerConfig::with_crypto(crypto);
    config.transport_config(transport).retry_token_lifetime(TOKEN);
    config.migration(true).max_incoming(WAITING * 2).incoming_buffer_size(16 * 1_024);
    config
}

/// Handshakes to begin after so long without a turn.
fn quota(since: Duration, slot: Duration) -> usize {
    let slots = since.as_micros() / slot.as_micros().max(1);
    HANDSHAKES * usize::try_from(slots).unwrap_or(usize::MAX).clamp(1, CATCH_UP)
}

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

    /// Begins those whose turn it is; the last turn was `since` ago.
    pub(crate) fn begin_handshakes(&mut self, since: Duration) {
        for _ in 0..quota(since, SLOT) {
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

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::{Instant, SystemTime};

    use bytes::BytesMut;
    use quinn_proto::{ClientConfig, DatagramEvent, EndpointConfig, Incoming, TimeSource};

    use super::*;
    use crate::identity::Identity;
    use crate::quic::{self, Trust};

    #[test]
    fn turns_that_are_rare_begin_more_handshakes_each() {
        let of = |micros| quota(Duration::from_micros(micros), SLOT);
        assert_eq!([of(0), of(1_000), of(1_999)], [8; 3]);
        assert_eq!([of(2_000), of(3_500), of(4_000), of(900_000)], [16, 24, 32, 32]);
    }

    /// Seconds since 1970.
    struct Clock(AtomicU64);

    impl TimeSource for Clock {
        fn now(&self) -> SystemTime {
            SystemTime::UNIX_EPOCH + Duration::from_secs(self.0.load(Ordering::Relaxed))
        }
    }

    fn arrive(server: &mut quinn_proto::Endpoint, from: SocketAddr, packet: &[u8]) -> Option<Incoming> {
        match server.handle(Instant::now(), from, None, None, BytesMut::from(packet), &mut Vec::new())? {
            DatagramEvent::NewConnection(incoming) => Some(incoming),
            _ => None,
        }
    }

    #[test]
    fn a_retry_token_outlives_a_clients_patience() {
        let identity = Identity::development(["localhost"]).unwrap();
        let trust = Trust::Hashes(vec![identity.sha256()]);
        let tls = quic::server_crypto(identity.chain, identity.key).unwrap();
        let lean = Arc::new(LeanServer { tls, max_ack_delay: quic::MAX_ACK_DELAY, idle: Duration::ZERO });
        let clock = Arc::new(Clock(AtomicU64::new(1_800_000_000)));
        let mut config = answering(lean, Arc::default());
        config.time_source(Arc::<Clock>::clone(&clock));
        let mut server = quinn_proto::Endpoint::new(Arc::new(quic::endpoint(0)), Some(Arc::new(config)), true, None);
        let mut client = quinn_proto::Endpoint::new(Arc::new(EndpointConfig::default()), None, true, None);
        let addresses = [1, 2].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let now = Instant::now();
        let crypto = quic::client_crypto(&trust, b"moqt-18").unwrap();
        let (_, mut dialled) = client.connect(now, ClientConfig::new(crypto), addresses[0], "localhost").unwrap();
        let mut first = Vec::new();
        assert!(dialled.poll_transmit(now, 1, &mut first).is_some());
        let incoming = arrive(&mut server, addresses[1], &first).unwrap();
        assert!(!incoming.remote_address_validated());
        let mut retry = Vec::new();
        assert!(server.retry(incoming, &mut retry).is_ok());
        let event = client.handle(now, addresses[0], None, None, BytesMut::from(&retry[..]), &mut Vec::new());
        let Some(DatagramEvent::ConnectionEvent(_, event)) = event else { panic!("no Retry") };
        dialled.handle_event(event);
        let mut again = Vec::new();
        assert!(dialled.poll_transmit(now, 1, &mut again).is_some());
        // Its first tries came while nobody had time for them.
        clock.0.fetch_add(45, Ordering::Relaxed);
        let incoming = arrive(&mut server, addresses[1], &again).expect("closed: the token is too old");
        assert!(incoming.remote_address_validated());
        server.ignore(incoming);
    }
}
