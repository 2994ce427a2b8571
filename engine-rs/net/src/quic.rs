//! How QUIC and TLS are set up, for both ends.

use std::sync::Arc;
use std::time::Duration;

use quinn_proto::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn_proto::{
    AckFrequencyConfig, ConnectionId, ConnectionIdGenerator, Dir, EndpointConfig, IdleTimeout, InvalidCid, StreamId,
    TransportConfig, VarInt,
};
use rand::RngExt;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, RootCertStore, SignatureScheme};
use spaces_moqt::seam::{End, Protocol};

use crate::congestion::{AudioFactory, Lift};
use crate::connection::Target;

/// ALPN of HTTP/3, under which WebTransport runs.
pub(crate) const ALPN_H3: &[u8] = b"h3";
/// Streams of each kind that a peer may have open. quinn-proto has room for all of them, opened or not.
const STREAMS: u32 = 16;
/// What the answering end allows at first, enough for those who listen over raw QUIC. A peer of HTTP/3 must be allowed three
/// unidirectional streams by these parameters already (RFC 9114 §6.2): Chromium counts on them when it resumes a session, and
/// gives the connection up if the server's answer says less.
const fn few(dir: Dir) -> u32 {
    match dir {
        Dir::Bi => 4,
        Dir::Uni => 3,
    }
}
/// What HTTP/3 has at least: a session's stream beside those of its tracks, and three streams of its own (RFC 9114 §6.2, RFC 9204 §4.2).
const fn few_of_web(dir: Dir) -> u32 {
    match dir {
        Dir::Bi => 8,
        Dir::Uni => 5,
    }
}
/// Datagrams in quinn-proto's send buffer: the few ticks that a joiner gets at once. What is left over after a transmit keeps
/// new ones out, so that nothing stale piles up.
pub(crate) const DATAGRAM_SEND_BUFFER: usize = 8 * 1_024;
/// Bytes of streams that a connection may have unacknowledged or unsent inside quinn-proto.
const SEND_WINDOW: u64 = 128 * 1_024;
/// How long peers that know ACK_FREQUENCY may hold back an ACK: two to five ticks instead of one.
pub(crate) const MAX_ACK_DELAY: Duration = Duration::from_millis(100);

/// What cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The certificate, its key, or the roots.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// The provider lacks AES-128-GCM, which QUIC needs for its first packets.
    #[error("TLS: no initial cipher suite")]
    NoInitialCipherSuite(#[from] quinn_proto::crypto::rustls::NoInitialCipherSuite),
    /// A duration out of range.
    #[error("idle timeout is out of range")]
    IdleTimeout,
}

/// ring, with AES-128-GCM first: the cheapest to seal, and sealing is a third of what a packet costs.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    let mut provider = rustls::crypto::ring::default_provider();
    provider.cipher_suites.sort_by_key(|suite| suite.suite() != rustls::CipherSuite::TLS13_AES_128_GCM_SHA256);
    Arc::new(provider)
}

/// The handshake has chosen HTTP/3: its peer hears together with the handshake's end that it may open more.
pub(crate) fn allow_web(connection: &mut quinn_proto::Connection) {
    for dir in [Dir::Bi, Dir::Uni] {
        connection.set_max_concurrent_streams(dir, VarInt::from_u32(few_of_web(dir)));
    }
}

/// Lets a peer of the answering end open more streams, if with `stream` it has opened all that it was allowed.
pub(crate) fn allow_more(connection: &mut quinn_proto::Connection, stream: StreamId) {
    let dir = stream.dir();
    let allowed = connection.max_concurrent_streams(dir);
    if stream.index() + 1 >= allowed && allowed < u64::from(STREAMS) {
        connection.set_max_concurrent_streams(dir, VarInt::from_u32(STREAMS));
    }
}

/// The transport parameters of either end.
pub(crate) fn transport(end: End, lift: &Lift, idle_timeout: Duration) -> Result<TransportConfig, SetupError> {
    let streams = |dir| VarInt::from_u32(if end == End::Server { few(dir) } else { STREAMS });
    let mut ack_frequency = AckFrequencyConfig::default();
    ack_frequency.ack_eliciting_threshold(VarInt::from_u32(9)).max_ack_delay(Some(MAX_ACK_DELAY));
    let mut config = TransportConfig::default();
    config
        .max_concurrent_bidi_streams(streams(Dir::Bi))
        .max_concurrent_uni_streams(streams(Dir::Uni))
        .stream_receive_window(VarInt::from_u32(32 * 1_024))
        .receive_window(VarInt::from_u32(128 * 1_024))
        .send_window(SEND_WINDOW)
        // Two senders would spin it at odds (RFC 9000 §17.4).
        .allow_spin(false)
        .crypto_buffer_size(16 * 1_024)
        .datagram_receive_buffer_size(Some(32 * 1_024))
        .datagram_send_buffer_size(DATAGRAM_SEND_BUFFER)
        .max_idle_timeout(Some(IdleTimeout::try_from(idle_timeout).map_err(|_| SetupError::IdleTimeout)?))
        .keep_alive_interval(Some(idle_timeout / 3))
        .ack_frequency_config(Some(ack_frequency))
        .congestion_controller_factory(Arc::new(AudioFactory { lift: Arc::clone(lift), max_ack_delay: MAX_ACK_DELAY }));
    Ok(config)
}

/// TLS of the answering end, from [`server_crypto`].
pub struct ServerTls {
    /// Keys of what comes before the handshake, which depend on nothing that is configured.
    pub(crate) quic: Arc<QuicServerConfig>,
    pub(crate) tls: Arc<rustls::ServerConfig>,
}

/// TLS of the answering end: HTTP/3 and both raw protocols on one port; no early data until requests are replay-safe.
///
/// # Errors
/// [`SetupError`], if certificate and key do not fit.
pub fn server_crypto(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<Arc<ServerTls>, SetupError> {
    let mut config = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols =
        [ALPN_H3, Protocol::Lite05.name().as_bytes(), Protocol::Moqt18.name().as_bytes()].map(Vec::from).to_vec();
    config.ignore_client_order = true;
    config.max_early_data_size = 0;
    // One ticket without server state: a reconnect storm costs no signatures.
    config.send_tls13_tickets = 1;
    config.ticketer = rustls::crypto::ring::Ticketer::new()?;
    let tls = Arc::new(config);
    Ok(Arc::new(ServerTls { quic: Arc::new(QuicServerConfig::try_from(Arc::clone(&tls))?), tls }))
}

/// Whom a dialling end believes.
#[derive(Clone, Debug)]
pub enum Trust {
    /// These certificate authorities.
    Roots(RootCertStore),
    /// The holder of a certificate with one of these SHA-256 hashes, as in `serverCertificateHashes`.
    Hashes(Vec<[u8; 32]>),
}

/// TLS of the dialling end, once per ALPN.
///
/// # Errors
/// [`SetupError`].
pub fn client_crypto(trust: &Trust, alpn: &[u8]) -> Result<Arc<QuicClientConfig>, SetupError> {
    Ok(Arc::new(QuicClientConfig::try_from(client_tls(trust, alpn)?)?))
}

/// The same for TCP.
pub(crate) fn client_tls(trust: &Trust, alpn: &[u8]) -> Result<rustls::ClientConfig, SetupError> {
    let provider = provider();
    let builder = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13])?;
    let mut config = match trust {
        Trust::Roots(roots) => builder.with_root_certificates(roots.clone()).with_no_client_auth(),
        Trust::Hashes(hashes) => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Pinned { hashes: hashes.clone(), provider }))
            .with_no_client_auth(),
    };
    config.alpn_protocols = vec![alpn.to_vec()];
    config.enable_early_data = false;
    Ok(config)
}

/// TLS for dialling, by protocol.
#[derive(Clone)]
pub struct Dialler {
    web: Arc<QuicClientConfig>,
    moqt: Arc<QuicClientConfig>,
    lite: Arc<QuicClientConfig>,
}

impl Dialler {
    /// # Errors
    /// [`SetupError`].
    pub fn new(trust: &Trust) -> Result<Self, SetupError> {
        Ok(Self {
            web: client_crypto(trust, ALPN_H3)?,
            moqt: client_crypto(trust, Protocol::Moqt18.name().as_bytes())?,
            lite: client_crypto(trust, Protocol::Lite05.name().as_bytes())?,
        })
    }

    pub(crate) fn crypto(&self, target: &Target) -> Arc<QuicClientConfig> {
        Arc::clone(match target {
            Target::Web { .. } => &self.web,
            Target::Raw(Protocol::Moqt18) => &self.moqt,
            Target::Raw(Protocol::Lite05) => &self.lite,
        })
    }
}

/// Believes a certificate by its hash alone; the handshake's signature is checked as always.
#[derive(Debug)]
struct Pinned {
    hashes: Vec<[u8; 32]>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let hash = ring::digest::digest(&ring::digest::SHA256, end_entity);
        if self.hashes.iter().any(|known| known == hash.as_ref()) {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(rustls::Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("QUIC has TLS 1.3 only".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Length of our connection ids.
const CID: usize = 8;

/// Connection ids that tell the shard: byte 0 is its number xor byte 1, the rest is random. See [`crate::steering`].
pub(crate) struct ShardCid {
    pub(crate) shard: u8,
}

impl ConnectionIdGenerator for ShardCid {
    fn generate_cid(&mut self) -> ConnectionId {
        let mut id: [u8; CID] = rand::rng().random();
        let [first, second, ..] = &mut id;
        *first = self.shard ^ *second;
        ConnectionId::new(&id)
    }

    fn validate(&self, id: &ConnectionId) -> Result<(), InvalidCid> {
        match **id {
            [first, second, ..] if first ^ second == self.shard => Ok(()),
            _ => Err(InvalidCid),
        }
    }

    fn cid_len(&self) -> usize {
        CID
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}

/// The endpoint's own parameters.
pub(crate) fn endpoint(shard: u8) -> EndpointConfig {
    let mut reset_key = [0u8; 64];
    rand::rng().fill(&mut reset_key);
    let mut config = EndpointConfig::new(Arc::new(ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &reset_key)));
    config.cid_generator(move || Box::new(ShardCid { shard }));
    config
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steering::shard_of;

    #[test]
    fn an_id_names_its_shard_and_no_other() {
        for shard in [0u8, 1, 7, 254] {
            let mut own = ShardCid { shard };
            let id = own.generate_cid();
            assert!(own.validate(&id).is_ok());
            assert!(ShardCid { shard: shard ^ 1 }.validate(&id).is_err());
            let packet = [&[0x40][..], &id, &[0; 20]].concat();
            assert_eq!(shard_of(&packet, 255), Some(shard));
        }
    }
}
