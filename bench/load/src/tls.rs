//! How the load trusts, and what it offers: the same to every server.

use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, BytesMut};
use quinn_proto::crypto::rustls::{NoInitialCipherSuite, QuicClientConfig};
use quinn_proto::crypto::{ClientConfig as Crypto, Session};
use quinn_proto::transport_parameters::TransportParameters;
use quinn_proto::{ClientConfig, ConnectError, Side, TransportConfig, VarInt};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CipherSuite, DigitallySignedStruct, SignatureScheme};
use spaces_core::varint;
use thiserror::Error;

/// Transport parameter by which a QUIC endpoint offers ACK_FREQUENCY (draft-ietf-quic-ack-frequency-07 §3).
const MIN_ACK_DELAY: u64 = 0xff04_de1b;

/// TLS cannot be set up.
#[derive(Debug, Error)]
pub enum SetupError {
    /// rustls.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// The provider lacks AES-128-GCM.
    #[error("TLS: no initial cipher suite")]
    NoInitialCipherSuite(#[from] NoInitialCipherSuite),
}

/// AES-128-GCM and nothing else, as browsers prefer it on machines with AES instructions: so no server looks better because
/// it likes a cheaper cipher.
///
/// # Errors
/// [`SetupError::Tls`].
pub fn client(
    alpn: &[&[u8]],
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> Result<rustls::ClientConfig, SetupError> {
    let mut provider = rustls::crypto::ring::default_provider();
    provider.cipher_suites.retain(|suite| {
        matches!(
            suite.suite(),
            CipherSuite::TLS13_AES_128_GCM_SHA256 | CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256
        )
    });
    let mut tls = rustls::ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(versions)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate))
        .with_no_client_auth();
    tls.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    // Every listener is somebody new.
    tls.resumption = rustls::client::Resumption::disabled();
    Ok(tls)
}

/// TLS of listeners over QUIC.
///
/// # Errors
/// [`SetupError`].
pub fn quic(alpn: &[u8], ack_frequency: bool) -> Result<Arc<dyn Crypto>, SetupError> {
    let inner = Arc::new(QuicClientConfig::try_from(client(&[alpn], &[&rustls::version::TLS13])?)?);
    Ok(if ack_frequency { inner } else { Arc::new(WithoutAckFrequency(inner)) })
}

/// QUIC of listeners: `tiny_windows` allows next to no data on streams.
#[must_use]
pub fn listener(crypto: Arc<dyn Crypto>, tiny_windows: bool) -> ClientConfig {
    let mut config = ClientConfig::new(crypto);
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(VarInt::from_u32(8))
        .max_concurrent_uni_streams(VarInt::from_u32(8))
        .mtu_discovery_config(None)
        .max_idle_timeout(Some(VarInt::from_u32(Duration::from_secs(30).as_millis() as u32).into()));
    if tiny_windows {
        transport.stream_receive_window(VarInt::from_u32(16)).receive_window(VarInt::from_u32(32));
    }
    config.transport_config(Arc::new(transport));
    config
}

/// quinn-proto offers ACK_FREQUENCY and cannot be told not to; no browser does. So the offer is taken out of the
/// transport parameters before TLS sees them.
struct WithoutAckFrequency(Arc<QuicClientConfig>);

impl Crypto for WithoutAckFrequency {
    fn start_session(
        self: Arc<Self>,
        version: u32,
        server_name: &str,
        params: &TransportParameters,
    ) -> Result<Box<dyn Session>, ConnectError> {
        let mut written = Vec::new();
        params.write(&mut written);
        let kept = without(&written, MIN_ACK_DELAY);
        let params = TransportParameters::read(Side::Server, &mut &kept[..])
            .map_err(|_| ConnectError::InvalidServerName(server_name.into()))?;
        Arc::clone(&self.0).start_session(version, server_name, &params)
    }
}

/// Transport parameters (RFC 9000 §18: id, length, value, each number a varint) without those of one id.
fn without(mut parameters: &[u8], unwanted: u64) -> BytesMut {
    let mut kept = BytesMut::with_capacity(parameters.len());
    while let (Some(id), Some(length)) = (varint::read(&mut parameters), varint::read(&mut parameters)) {
        let Some((value, rest)) = parameters.split_at_checked(length as usize) else { break };
        if id != unwanted {
            varint::write(&mut kept, id);
            varint::write(&mut kept, length);
            kept.put_slice(value);
        }
        parameters = rest;
    }
    kept
}

/// The bench talks to a server that it started itself. Signatures are not checked either: ten thousand of them would be the
/// load's cost, not the server's.
#[derive(Debug)]
struct AnyCertificate;

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        rustls::crypto::ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_offer_is_taken_out() {
        let mut parameters = BytesMut::new();
        for (id, value) in [(0x01, &b"\x40\x20"[..]), (MIN_ACK_DELAY, b"\x05"), (0x0f, b""), (0x20, b"\x44\xb0")] {
            varint::write(&mut parameters, id);
            varint::write(&mut parameters, value.len() as u64);
            parameters.put_slice(value);
        }
        let kept = without(&parameters, MIN_ACK_DELAY);
        assert_eq!(&kept[..], b"\x01\x02\x40\x20\x0f\x00\x20\x02\x44\xb0");
        assert_eq!(without(&kept, MIN_ACK_DELAY), kept);
    }
}
