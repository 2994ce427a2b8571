//! From the bytes of an HTTP/1.1 request to a WebSocket (RFC 6455 §4.2), by tungstenite's parser.

use std::net::SocketAddr;

use spaces_moqt::seam::Protocol;
use tungstenite::handshake::machine::TryParse;
use tungstenite::handshake::server::{Request as HttpRequest, create_response, write_response};
use tungstenite::http::{HeaderMap, HeaderValue, StatusCode, header};

use crate::notice::Request;

/// Bytes that a request may have: a path with a token, a browser's headers, cookies of the same host.
pub(crate) const MOST: usize = 16 * 1_024;
/// Names under which QMux carries a protocol: the draft's, which is the protocol's own; and those of the peers that say the
/// version of QMux too. Drafts 01 and 02 are the same on the wire, as far as it is used here.
const PREFIXES: [&str; 3] = ["qmux-02.", "qmux-01.", ""];

/// A request that could be granted.
#[derive(Debug)]
pub(crate) struct Upgrade {
    request: HttpRequest,
    /// Bytes that it took.
    pub(crate) length: usize,
}

impl Upgrade {
    /// Reads a request; `None`: it goes on.
    ///
    /// # Errors
    /// The status to refuse it with.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Option<Self>, StatusCode> {
        match HttpRequest::try_parse(bytes) {
            Ok(Some((length, request))) if create_response(&request).is_ok() => Ok(Some(Self { request, length })),
            Ok(Some(_)) => Err(StatusCode::UPGRADE_REQUIRED),
            Ok(None) if bytes.len() >= MOST => Err(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE),
            Ok(None) => Ok(None),
            Err(_) => Err(StatusCode::BAD_REQUEST),
        }
    }

    /// What is asked for, as the admission desk wants it.
    pub(crate) fn request(&self, remote: SocketAddr) -> Request {
        let uri = self.request.uri();
        let known = [Protocol::Lite05, Protocol::Moqt18].map(Protocol::name);
        let protocols = offered(self.request.headers())
            .filter_map(|name| PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix)))
            .filter(|name| known.contains(name))
            .map(str::to_owned)
            .collect();
        Request {
            remote,
            web: true,
            protocols,
            path: uri.path().to_owned(),
            query: uri.query().map(str::to_owned),
            origin: self
                .request
                .headers()
                .get(header::ORIGIN)
                .map(|origin| String::from_utf8_lossy(origin.as_bytes()).into_owned()),
        }
    }

    /// The answer that grants it, if the peer offered `protocol`.
    pub(crate) fn accept(&self, protocol: Protocol) -> Option<Vec<u8>> {
        let name = offered(self.request.headers())
            .find(|name| PREFIXES.iter().any(|prefix| name.strip_prefix(prefix) == Some(protocol.name())))?;
        let mut response = create_response(&self.request).ok()?;
        response.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_str(name).ok()?);
        let mut bytes = Vec::new();
        write_response(&mut bytes, &response).ok()?;
        Some(bytes)
    }
}

/// The subprotocols that the peer offers, best first.
fn offered(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let lines = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).into_iter();
    lines.filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(',')).map(str::trim)
}

/// The answer to a request that is not granted.
pub(crate) fn refusal(status: StatusCode) -> Vec<u8> {
    let upgrade = if status == StatusCode::UPGRADE_REQUIRED { "Upgrade: websocket\r\n" } else { "" };
    format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n{upgrade}\r\n").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(path: &str, protocols: &str) -> String {
        format!(
            "GET {path} HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             Origin: https://page.example\r\nSec-WebSocket-Protocol: {protocols}\r\n\r\n"
        )
    }

    #[test]
    fn a_request_says_path_origin_and_protocols_and_is_answered_with_the_name_that_it_offered() {
        let text =
            get("/spaces/4k?jwt=a.b.c", "qmux-02.moqt-17, qmux-02.moqt-18, qmux-01.moqt-18, qmux-02, moq-lite-05");
        let bytes = [text.as_bytes(), b"more"].concat();
        let upgrade = Upgrade::parse(&bytes).unwrap().unwrap();
        assert_eq!(upgrade.length, text.len());
        let request = upgrade.request("192.0.2.1:9".parse().unwrap());
        assert_eq!((&*request.path, request.query.as_deref()), ("/spaces/4k", Some("jwt=a.b.c")));
        assert_eq!(request.origin.as_deref(), Some("https://page.example"));
        assert_eq!(request.protocols, ["moqt-18", "moqt-18", "moq-lite-05"]);
        let answer = String::from_utf8(upgrade.accept(Protocol::Moqt18).unwrap()).unwrap().to_lowercase();
        assert!(answer.starts_with("http/1.1 101 switching protocols\r\n"), "{answer}");
        assert!(answer.contains("sec-websocket-protocol: qmux-02.moqt-18\r\n"), "{answer}");
        assert!(answer.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=\r\n"), "{answer}"); // RFC 6455 §1.3
        let answer = String::from_utf8(upgrade.accept(Protocol::Lite05).unwrap()).unwrap();
        assert!(answer.contains(": moq-lite-05\r\n"), "{answer}");
        for cut in 0..text.len() {
            assert!(Upgrade::parse(&text.as_bytes()[..cut]).unwrap().is_none(), "{cut}");
        }
    }

    #[test]
    fn what_is_no_upgrade_is_refused_with_a_status() {
        let status = |text: &str| Upgrade::parse(text.as_bytes()).err().map(|status| status.as_u16());
        assert_eq!(status(&get("/", "moqt-18").replace("Upgrade: websocket", "Upgrade: h2c")), Some(426));
        assert_eq!(status("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), Some(426));
        assert_eq!(status(&get("/", "x").replace("GET", "POST")), Some(400));
        assert_eq!(status("\x16\x03\x01 not HTTP"), Some(400));
        assert_eq!(status(&format!("GET /{} HTTP/1.1\r\n", "a".repeat(MOST))), Some(431));
        assert!(refusal(StatusCode::FORBIDDEN).starts_with(b"HTTP/1.1 403 Forbidden\r\n"));
        assert!(Upgrade::parse(get("/", "h2").as_bytes()).unwrap().unwrap().accept(Protocol::Moqt18).is_none());
    }
}
