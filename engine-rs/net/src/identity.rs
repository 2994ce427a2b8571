//! Who the server is: its certificate chain and key.

use std::time::{Duration, SystemTime};

use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose};
use ring::digest::{SHA256, digest};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use thiserror::Error;

/// How long a development certificate lasts. `serverCertificateHashes` takes at most two weeks (W3C WebTransport §6.9,
/// "custom certificate requirements"); a clock that is an hour behind must not make it longer.
const DEVELOPMENT_VALIDITY: Duration = Duration::from_secs(13 * 24 * 3600);
/// How far a client's clock may be behind ours.
const BACKDATED: Duration = Duration::from_secs(3600);

/// A certificate chain with its private key.
#[derive(Debug)]
pub struct Identity {
    /// The certificates, leaf first, DER.
    pub chain: Vec<CertificateDer<'static>>,
    /// The leaf's key, DER.
    pub key: PrivateKeyDer<'static>,
}

/// Why an identity could not be had.
#[derive(Debug, Error)]
pub enum IdentityError {
    /// The text is not PEM, or holds no such thing.
    #[error("not a PEM file with {what}: {source}")]
    Pem {
        /// What was looked for.
        what: &'static str,
        /// What the parser says.
        source: rustls::pki_types::pem::Error,
    },
    /// The chain is empty.
    #[error("no certificate")]
    Empty,
    /// A certificate could not be made: a name that is none, or no randomness.
    #[error("cannot make a certificate: {0}")]
    Generate(#[from] rcgen::Error),
}

impl Clone for Identity {
    fn clone(&self) -> Self {
        Self { chain: self.chain.clone(), key: self.key.clone_key() }
    }
}

impl Identity {
    /// Reads a PEM chain (leaf first) and a PEM key (PKCS#8, PKCS#1 or SEC 1).
    ///
    /// # Errors
    /// [`IdentityError::Pem`], [`IdentityError::Empty`]. Whether the key is the leaf's is found when the server starts.
    pub fn from_pem(certificates: &[u8], key: &[u8]) -> Result<Self, IdentityError> {
        let chain: Vec<_> = CertificateDer::pem_slice_iter(certificates)
            .collect::<Result<_, _>>()
            .map_err(|source| IdentityError::Pem { what: "certificates", source })?;
        if chain.is_empty() {
            return Err(IdentityError::Empty);
        }
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|source| IdentityError::Pem { what: "a private key", source })?;
        Ok(Self { chain, key })
    }

    /// A new self-signed certificate that browsers take by its hash: ECDSA P-256, X.509v3, 13 days.
    /// `names` are host names or IP addresses.
    ///
    /// # Errors
    /// [`IdentityError::Generate`] for a name that is none.
    pub fn development<S: Into<String>>(names: impl IntoIterator<Item = S>) -> Result<Self, IdentityError> {
        let names: Vec<String> = names.into_iter().map(Into::into).collect();
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "Spaces development");
        let from = SystemTime::now() - BACKDATED;
        params.not_before = from.into();
        params.not_after = (from + DEVELOPMENT_VALIDITY).into();
        // Extensions make it version 3, which Chromium asks for.
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = params.self_signed(&key)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        Ok(Self { chain: vec![certificate.der().clone()], key })
    }

    /// SHA-256 of the leaf's DER: what `serverCertificateHashes` and our clients pin.
    #[must_use]
    pub fn sha256(&self) -> [u8; 32] {
        certificate_sha256(self.chain.first().map(AsRef::as_ref).unwrap_or_default())
    }
}

/// SHA-256 of a certificate's DER.
#[must_use]
pub fn certificate_sha256(der: &[u8]) -> [u8; 32] {
    let mut out = [0u8; 32];
    for (to, from) in out.iter_mut().zip(digest(&SHA256, der).as_ref()) {
        *to = *from;
    }
    out
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use rustls::pki_types::{ServerName, UnixTime};

    use super::*;

    fn pem(label: &str, der: &[u8]) -> String {
        format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
    }

    /// Checks a leaf as a TLS client would that trusts it, `days` from now.
    fn accepted(identity: &Identity, name: &str, days: u64) -> bool {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(identity.chain[0].clone()).unwrap();
        let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
        let verifier =
            rustls::client::WebPkiServerVerifier::builder_with_provider(roots.into(), provider).build().unwrap();
        let now =
            SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap() + Duration::from_secs(days * 86_400);
        use rustls::client::danger::ServerCertVerifier;
        let name = ServerName::try_from(name.to_owned()).unwrap();
        verifier.verify_server_cert(&identity.chain[0], &[], &name, &[], UnixTime::since_unix_epoch(now)).is_ok()
    }

    #[test]
    fn a_development_certificate_holds_for_its_names_and_less_than_two_weeks() {
        let identity = Identity::development(["127.0.0.1", "localhost"]).unwrap();
        assert!(accepted(&identity, "localhost", 0) && accepted(&identity, "127.0.0.1", 12));
        assert!(!accepted(&identity, "localhost", 14) && !accepted(&identity, "example.org", 0));
        let der = identity.chain[0].as_ref();
        // OIDs of a P-256 key and of ECDSA with SHA-256, and the v3 version field [0] INTEGER 2.
        for needle in [&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07][..], &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2]]
        {
            assert!(der.windows(needle.len()).any(|window| window == needle));
        }
        assert!(der.windows(5).any(|window| window == [0xa0, 3, 2, 1, 2]));
        let config = rustls::ServerConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(identity.chain.clone(), identity.key.clone_key());
        assert!(config.is_ok(), "the key is the leaf's");
        assert_ne!(identity.sha256(), Identity::development(["localhost"]).unwrap().sha256());
    }

    #[test]
    fn pem_reads_back_and_other_text_is_an_error() {
        let identity = Identity::development(["localhost"]).unwrap();
        let certificate = pem("CERTIFICATE", &identity.chain[0]);
        let key = pem("PRIVATE KEY", identity.key.secret_der());
        let read = Identity::from_pem(certificate.as_bytes(), key.as_bytes()).unwrap();
        assert_eq!((read.sha256(), read.key.secret_der()), (identity.sha256(), identity.key.secret_der()));
        assert!(matches!(Identity::from_pem(b"", key.as_bytes()), Err(IdentityError::Empty)));
        assert!(matches!(Identity::from_pem(key.as_bytes(), key.as_bytes()), Err(IdentityError::Empty)));
        assert!(matches!(Identity::from_pem(certificate.as_bytes(), b"x"), Err(IdentityError::Pem { .. })));
        assert!(matches!(Identity::development(["not a name\u{e9}"]), Err(IdentityError::Generate(_))));
    }
}
