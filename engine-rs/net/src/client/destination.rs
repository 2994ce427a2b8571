//! Where a client dials, and what it says there.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use spaces_core::ids::SpaceId;
use spaces_moqt::seam::{Protocol, Setup};
use url::Url;

use super::ClientError;
use crate::connection::Target;
use crate::endpoint::{Dialler, Endpoint, EndpointError, Settings};
use crate::quic::Trust;

/// Which transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Via {
    /// HTTP/3 and WebTransport, as browsers do.
    WebTransport,
    /// QUIC with the protocol's own ALPN.
    Quic,
}

/// A Space on a server, and how to reach it.
#[derive(Clone, Debug)]
pub struct Destination {
    /// `https://host:port/spaces/<id>`, whichever the transport.
    pub url: String,
    /// Join token; `None`: as a guest.
    pub token: Option<String>,
    /// Whom to believe.
    pub trust: Trust,
    /// Which transport.
    pub via: Via,
    /// Which protocol. Raw QUIC with moq-lite can carry no token: guests only.
    pub protocol: Protocol,
    /// Without a packet for this long, the connection is lost.
    pub idle_timeout: Duration,
}

impl Destination {
    /// A guest over WebTransport and moqt-18, lost after 10 s of silence.
    #[must_use]
    pub fn new(url: impl Into<String>, trust: Trust) -> Self {
        Self {
            url: url.into(),
            token: None,
            trust,
            via: Via::WebTransport,
            protocol: Protocol::Moqt18,
            idle_timeout: Duration::from_secs(10),
        }
    }
}

/// Certificate authorities from PEM. What stands in a system's bundle without being one is left out.
///
/// # Errors
/// [`ClientError::Trust`], if there are none.
pub fn roots(pem: &[u8]) -> Result<RootCertStore, ClientError> {
    let none = |error: &dyn std::fmt::Display| ClientError::Trust(error.to_string());
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let _ = roots.add(certificate.map_err(|error| none(&error))?);
    }
    if roots.is_empty() { Err(none(&"no certificate in it")) } else { Ok(roots) }
}

/// A destination that was looked up.
pub(super) struct Resolved {
    pub(super) namespace: Vec<Bytes>,
    pub(super) setup: Setup,
    dialler: Dialler,
    remote: SocketAddr,
    server_name: String,
    target: Target,
    idle_timeout: Duration,
}

impl Resolved {
    /// Parses the URL and resolves its name (which may block).
    pub(super) fn new(destination: &Destination) -> Result<Self, ClientError> {
        let bad = |why: &str| ClientError::Url(format!("{}: {why}", without_query(&destination.url)));
        let mut url = Url::parse(&destination.url).map_err(|error| bad(&error.to_string()))?;
        if url.scheme() != "https" {
            return Err(bad("the scheme must be https"));
        }
        let id = url.path().strip_prefix("/spaces/").unwrap_or_default();
        let space = SpaceId::parse(id.as_bytes()).ok_or_else(|| bad("the path must be /spaces/<id>"))?;
        let host = url.host_str().ok_or_else(|| bad("no host"))?;
        let server_name = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let remote = url
            .socket_addrs(|| Some(443))
            .map_err(|error| ClientError::Io(format!("cannot resolve {host}: {error}")))?
            .into_iter()
            .next()
            .ok_or_else(|| bad("the host has no address"))?;
        let dialler = Dialler::new(&destination.trust).map_err(|error| ClientError::Trust(error.to_string()))?;

        let mut setup = Setup { implementation: Some("spaces-native".into()), ..Setup::default() };
        let token = destination.token.as_deref();
        let in_setup = destination.protocol == Protocol::Moqt18;
        if in_setup {
            setup.token = token.map(|token| Bytes::copy_from_slice(token.as_bytes()));
        } else if let Some(token) = token {
            url.query_pairs_mut().append_pair("jwt", token);
        }
        let target = match destination.via {
            Via::Quic => {
                if in_setup {
                    setup.path = Some(url.path().to_owned());
                    setup.authority = Some(url.authority().to_owned());
                }
                Target::Raw(destination.protocol)
            }
            Via::WebTransport => {
                let protocols = vec![destination.protocol];
                Target::Web { url, origin: None, protocols, fallback: destination.protocol }
            }
        };
        let namespace = vec![Bytes::from_static(b"spaces"), Bytes::from(space.to_string())];
        let idle_timeout = destination.idle_timeout;
        Ok(Self { namespace, setup, dialler, remote, server_name, target, idle_timeout })
    }

    /// An endpoint that can reach it.
    pub(super) fn endpoint<S>(&self) -> Result<Endpoint<S>, EndpointError> {
        let any = if self.remote.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        Endpoint::new(Settings {
            bind: SocketAddr::new(any, 0),
            shard: 0,
            shared: false,
            idle_timeout: self.idle_timeout,
            answering: None,
        })
    }

    /// Dials it.
    pub(super) fn dial<S>(&self, endpoint: &mut Endpoint<S>, state: S) -> Result<u32, EndpointError> {
        endpoint.dial(&self.dialler, self.remote, &self.server_name, self.target.clone(), state)
    }
}

/// For error messages: tokens may stand in queries.
fn without_query(url: &str) -> &str {
    url.split('?').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(change: impl FnOnce(&mut Destination)) -> Result<Resolved, ClientError> {
        let mut destination = Destination::new("https://127.0.0.1:4433/spaces/4k", Trust::Hashes(vec![[0; 32]]));
        destination.token = Some("a.b.c".into());
        change(&mut destination);
        Resolved::new(&destination)
    }

    #[test]
    fn tokens_travel_where_the_protocol_has_room_for_them() {
        let web = resolve(|_| {}).unwrap();
        assert_eq!(web.setup.token.as_deref(), Some(&b"a.b.c"[..]));
        assert!(matches!(web.target, Target::Web { url, .. } if url.query().is_none()));
        let lite = resolve(|d| d.protocol = Protocol::Lite05).unwrap();
        assert_eq!(lite.setup.token, None);
        assert!(matches!(lite.target, Target::Web { url, .. } if url.query() == Some("jwt=a.b.c")));
        let raw = resolve(|d| d.via = Via::Quic).unwrap();
        assert_eq!(
            (raw.setup.path.as_deref(), raw.setup.authority.as_deref()),
            (Some("/spaces/4k"), Some("127.0.0.1:4433"))
        );
        assert_eq!(raw.remote, "127.0.0.1:4433".parse().unwrap());
        assert_eq!(raw.namespace, [Bytes::from_static(b"spaces"), Bytes::from_static(b"4k")]);
    }

    #[test]
    fn roots_are_read_from_pem_or_refused() {
        let identity = crate::identity::Identity::development(["localhost"]).unwrap();
        let pem = {
            use base64::Engine as _;
            let text = base64::engine::general_purpose::STANDARD.encode(&identity.chain[0]);
            format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
        };
        assert_eq!(roots(pem.as_bytes()).unwrap().len(), 1);
        assert!(matches!(roots(b""), Err(ClientError::Trust(_))));
    }

    #[test]
    fn other_urls_are_errors_that_do_not_tell_the_token() {
        for url in
            ["", "https://", "http://h/spaces/4k", "https://127.0.0.1/space/4k", "https://127.0.0.1/spaces/?jwt=s3cret"]
        {
            match resolve(|d| d.url = url.into()) {
                Err(ClientError::Url(text)) => assert!(!text.contains("s3cret"), "{text}"),
                other => panic!("{url}: {:?}", other.err()),
            }
        }
    }
}
