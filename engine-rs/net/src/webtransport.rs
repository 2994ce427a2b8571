//! WebTransport over HTTP/3, without I/O: what the streams of one connection mean. One session a connection.
//!
//! draft-ietf-webtrans-http3, RFC 9114 and RFC 9297, as far as a peer that opens one session needs them. Encodings are
//! `web-transport-proto`'s; which stream is what, and in which order, is here.
//!
//! Call order: write [`control_streams`] when QUIC is up, each on its own unidirectional stream that stays open. Then hand every
//! stream's bytes to [`Http3::on_stream`] and do the [`Act`]s that it appends.

use std::collections::VecDeque;

use bytes::{Buf, Bytes, BytesMut};
use spaces_core::varint;
use spaces_moqt::seam::End;
use web_transport_proto::{
    Capsule, CapsuleError, ConnectError, ConnectRequest, ConnectResponse, Frame, Setting, Settings, SettingsError,
    StreamUni, VarInt, http,
};

/// RFC 9114 §8.1 error codes.
pub(crate) const H3_NO_ERROR: u64 = 0x100;
const H3_GENERAL_PROTOCOL_ERROR: u64 = 0x101;
const H3_STREAM_CREATION_ERROR: u64 = 0x103;
const H3_CLOSED_CRITICAL_STREAM: u64 = 0x104;
const H3_SETTINGS_ERROR: u64 = 0x109;
const H3_REQUEST_REJECTED: u64 = 0x10b;
const H3_MESSAGE_ERROR: u64 = 0x10e;
/// draft-ietf-webtrans-http3 §4.6: a stream of a session that we do not have.
const BUFFERED_STREAM_REJECTED: u64 = 0x3994_bd84;

/// Most that waits for a CONNECT, a capsule or a stream's session to become known.
const MAX_BUFFERED: usize = 64 * 1_024;
/// Longest reason that a close capsule may carry (draft-ietf-webtrans-http3 §5).
const MAX_REASON: usize = 1_024;

/// What the owner of the connection has to do.
#[derive(Debug)]
pub(crate) enum Act {
    /// Client: the server's SETTINGS allow a session; send the CONNECT.
    Connect,
    /// Server: somebody wants a session; answer with [`Http3::accept`] or [`refusal`].
    Requested(ConnectRequest),
    /// Server: the first request is no such request; answer with this status.
    BadRequest(http::StatusCode),
    /// Client: the session is open, with the subprotocol that the server chose.
    Opened(Option<String>),
    /// Client: the server refused the session.
    Refused(Option<http::StatusCode>),
    /// Bytes of one of the session's streams.
    Stream { id: u64, data: Bytes, fin: bool },
    /// The peer has ended the session.
    Closed { code: u32, reason: String },
    /// Nobody wants this stream.
    Reject { id: u64, code: u64 },
    /// The peer broke HTTP/3: close the connection.
    Fail { code: u64, reason: &'static str },
}

/// Where the session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Server: no CONNECT yet. Client: CONNECT not sent, or not answered.
    Waiting,
    /// Server: CONNECT is with the application.
    Asked,
    /// Open.
    Open,
    /// Over.
    Over,
}

/// What a stream of the peer's is.
#[derive(Debug)]
enum Kind {
    /// Its first bytes do not tell yet.
    Head(BytesMut),
    /// The control stream, until its SETTINGS are in.
    Settings(BytesMut),
    /// The control stream after that: further frames change nothing here.
    Control,
    /// QPACK (RFC 9204) without a dynamic table says nothing. These must stay open as well.
    Qpack,
    /// Unknown, and refused.
    Discard,
    /// The session's, before the session is open.
    Early { session: u64, bytes: BytesMut, fin: bool },
    /// The session's.
    Session,
}

/// One connection's HTTP/3.
#[derive(Debug)]
pub(crate) struct Http3 {
    end: End,
    phase: Phase,
    /// The CONNECT stream, which is the session's id.
    connect: Option<u64>,
    /// Unread bytes of the CONNECT stream, and of its DATA frames.
    frames: BytesMut,
    capsules: BytesMut,
    streams: Vec<(u64, Kind)>,
    early: usize,
}

/// First bytes of our control, QPACK encoder and QPACK decoder streams.
pub(crate) fn control_streams() -> [Bytes; 3] {
    let mut settings = Settings::default();
    settings.enable_webtransport(1);
    // Chromium 156 and Firefox 153 take the drafts' older settings together with these two, and neither alone.
    for id in [0x14e9_cd29, 0x2c7c_f000] {
        settings.insert(Setting(VarInt::from_u32(id)), VarInt::from_u32(1));
    }
    let mut control = BytesMut::new();
    settings.encode(&mut control);
    let stream = |kind: StreamUni| {
        let mut out = BytesMut::new();
        kind.encode(&mut out);
        out.freeze()
    };
    [control.freeze(), stream(StreamUni::QPACK_ENCODER), stream(StreamUni::QPACK_DECODER)]
}

/// The answer that refuses a CONNECT.
pub(crate) fn refusal(status: http::StatusCode) -> Bytes {
    let mut out = BytesMut::new();
    // A status alone always encodes; an empty answer would be a reset to the peer, which is as good.
    let _ = ConnectResponse::new(status).encode(&mut out);
    out.freeze()
}

impl Http3 {
    pub(crate) fn new(end: End) -> Self {
        Self {
            end,
            phase: Phase::Waiting,
            connect: None,
            frames: BytesMut::new(),
            capsules: BytesMut::new(),
            streams: Vec::new(),
            early: 0,
        }
    }

    /// The CONNECT stream.
    pub(crate) fn connect_stream(&self) -> Option<u64> {
        self.connect
    }

    /// Client: `id` carries the CONNECT.
    pub(crate) fn connecting(&mut self, id: u64) {
        self.connect = Some(id);
    }

    /// Server: the answer that opens the session.
    pub(crate) fn accept(&mut self, protocol: Option<&str>, acts: &mut VecDeque<Act>) -> Bytes {
        let response = protocol.map_or(ConnectResponse::OK, |protocol| ConnectResponse::OK.with_protocol(protocol));
        let mut out = BytesMut::new();
        let _ = response.encode(&mut out); // a protocol's name and a status always encode
        self.open(acts);
        out.freeze()
    }

    /// Ends the session: the last bytes of the CONNECT stream.
    pub(crate) fn close(&mut self, code: u32, reason: &str) -> Bytes {
        self.phase = Phase::Over;
        let mut end = reason.len().min(MAX_REASON);
        while !reason.is_char_boundary(end) {
            end -= 1;
        }
        let reason = reason.get(..end).unwrap_or_default().to_owned();
        let mut capsule = BytesMut::new();
        Capsule::CloseWebTransportSession { code, reason }.encode(&mut capsule);
        let mut out = BytesMut::new();
        Frame::DATA.encode(&mut out);
        varint::write(&mut out, capsule.len() as u64);
        out.extend_from_slice(&capsule);
        out.freeze()
    }

    /// First bytes of a stream that we open in the session.
    pub(crate) fn stream_prefix(&self, bidi: bool) -> Bytes {
        let mut out = BytesMut::new();
        varint::write(&mut out, if bidi { Frame::WEBTRANSPORT.0 } else { StreamUni::WEBTRANSPORT.0 }.into_inner());
        varint::write(&mut out, self.connect.unwrap_or_default());
        out.freeze()
    }

    /// Is this stream one of the session's?
    pub(crate) fn is_session_stream(&self, id: u64) -> bool {
        if is_local(self.end, id) {
            return self.connect != Some(id) && self.phase == Phase::Open;
        }
        self.streams.iter().any(|(stream, kind)| *stream == id && matches!(kind, Kind::Session))
    }

    /// Bytes of a stream, in order. Data on a stream that we opened ourselves is an answer in the session.
    pub(crate) fn on_stream(&mut self, id: u64, data: Bytes, fin: bool, acts: &mut VecDeque<Act>) {
        if self.connect == Some(id) {
            return self.on_connect(&data, fin, acts);
        }
        if is_local(self.end, id) {
            acts.push_back(Act::Stream { id, data, fin });
            return;
        }
        let index = self.streams.iter().position(|(stream, _)| *stream == id).unwrap_or_else(|| {
            self.streams.push((id, Kind::Head(BytesMut::new())));
            self.streams.len() - 1
        });
        let Some((_, kind)) = self.streams.get_mut(index) else { return };
        match kind {
            Kind::Session => acts.push_back(Act::Stream { id, data, fin }),
            Kind::Early { bytes, fin: ended, .. } => {
                bytes.extend_from_slice(&data);
                *ended |= fin;
                self.early += data.len();
                if self.early > MAX_BUFFERED {
                    acts.push_back(Act::Fail {
                        code: H3_GENERAL_PROTOCOL_ERROR,
                        reason: "streams before their session",
                    });
                }
                return;
            }
            Kind::Head(bytes) => {
                bytes.extend_from_slice(&data);
                let bytes = bytes.clone();
                self.classify(index, id, bytes, fin, acts);
                return;
            }
            Kind::Settings(bytes) => {
                bytes.extend_from_slice(&data);
                let bytes = bytes.clone();
                self.on_settings(index, bytes, fin, acts);
            }
            Kind::Control | Kind::Qpack if fin => {
                acts.push_back(Act::Fail { code: H3_CLOSED_CRITICAL_STREAM, reason: "a critical stream was closed" });
            }
            Kind::Control | Kind::Qpack | Kind::Discard => {}
        }
        if fin {
            self.forget(id);
        }
    }

    /// The peer reset a stream. True: it was one of the session's.
    pub(crate) fn on_reset(&mut self, id: u64, acts: &mut VecDeque<Act>) -> bool {
        if self.connect == Some(id) {
            if self.phase != Phase::Over {
                self.phase = Phase::Over;
                acts.push_back(Act::Closed { code: 0, reason: String::new() });
            }
            return false;
        }
        let session = self.is_session_stream(id);
        let critical = self
            .streams
            .iter()
            .any(|(stream, kind)| *stream == id && matches!(kind, Kind::Settings(_) | Kind::Control | Kind::Qpack));
        if critical {
            acts.push_back(Act::Fail { code: H3_CLOSED_CRITICAL_STREAM, reason: "a critical stream was reset" });
        }
        self.forget(id);
        session
    }

    fn forget(&mut self, id: u64) {
        self.streams.retain(|(stream, _)| *stream != id);
    }

    fn become_kind(&mut self, index: usize, kind: Kind) {
        if let Some((_, slot)) = self.streams.get_mut(index) {
            *slot = kind;
        }
    }

    /// A peer's stream says what it is in its first one or two integers.
    fn classify(&mut self, index: usize, id: u64, bytes: BytesMut, fin: bool, acts: &mut VecDeque<Act>) {
        let mut rest = &bytes[..];
        let Some(kind) = varint::read(&mut rest) else {
            if fin {
                self.forget(id);
            }
            return;
        };
        let bidi = id & 2 == 0;
        let session = if bidi { Frame::WEBTRANSPORT.0 } else { StreamUni::WEBTRANSPORT.0 };
        if kind == session.into_inner() {
            let Some(session) = varint::read(&mut rest) else {
                if fin {
                    self.forget(id);
                }
                return;
            };
            return self.on_session_stream(index, id, session, Bytes::copy_from_slice(rest), fin, acts);
        }
        if bidi {
            if self.end == End::Server && self.connect.is_none() {
                self.forget(id);
                self.connect = Some(id);
                return self.on_connect(&bytes, fin, acts);
            }
            self.become_kind(index, Kind::Discard);
            acts.push_back(Act::Reject { id, code: H3_REQUEST_REJECTED });
            return;
        }
        match StreamUni(VarInt::try_from(kind).unwrap_or_default()) {
            StreamUni::CONTROL => {
                self.become_kind(index, Kind::Settings(bytes.clone()));
                self.on_settings(index, bytes, fin, acts);
            }
            StreamUni::QPACK_ENCODER | StreamUni::QPACK_DECODER => self.become_kind(index, Kind::Qpack),
            _ => {
                self.become_kind(index, Kind::Discard);
                acts.push_back(Act::Reject { id, code: H3_STREAM_CREATION_ERROR });
            }
        }
    }

    fn on_session_stream(
        &mut self,
        index: usize,
        id: u64,
        session: u64,
        data: Bytes,
        fin: bool,
        acts: &mut VecDeque<Act>,
    ) {
        match self.phase {
            Phase::Open if self.connect == Some(session) => {
                self.become_kind(index, Kind::Session);
                acts.push_back(Act::Stream { id, data, fin });
                if fin {
                    self.forget(id);
                }
            }
            Phase::Waiting | Phase::Asked if self.connect.is_none_or(|connect| connect == session) => {
                self.early += data.len();
                self.become_kind(index, Kind::Early { session, bytes: BytesMut::from(&data[..]), fin });
            }
            _ => {
                self.become_kind(index, Kind::Discard);
                acts.push_back(Act::Reject { id, code: BUFFERED_STREAM_REJECTED });
            }
        }
    }

    fn open(&mut self, acts: &mut VecDeque<Act>) {
        self.phase = Phase::Open;
        self.early = 0;
        for (id, kind) in &mut self.streams {
            let Kind::Early { session, bytes, fin } = kind else { continue };
            if self.connect == Some(*session) {
                acts.push_back(Act::Stream { id: *id, data: bytes.split().freeze(), fin: *fin });
                *kind = Kind::Session;
            } else {
                acts.push_back(Act::Reject { id: *id, code: BUFFERED_STREAM_REJECTED });
                *kind = Kind::Discard;
            }
        }
    }

    fn on_settings(&mut self, index: usize, bytes: BytesMut, fin: bool, acts: &mut VecDeque<Act>) {
        match Settings::decode(&mut &bytes[..]) {
            Ok(settings) => {
                self.become_kind(index, Kind::Control);
                if self.end == End::Server {
                    return;
                }
                if settings.supports_webtransport() == 0 {
                    acts.push_back(Act::Fail { code: H3_SETTINGS_ERROR, reason: "the server has no WebTransport" });
                } else {
                    acts.push_back(Act::Connect);
                }
            }
            Err(SettingsError::UnexpectedEnd) if !fin && bytes.len() <= MAX_BUFFERED => {}
            Err(_) => acts.push_back(Act::Fail { code: H3_SETTINGS_ERROR, reason: "bad SETTINGS" }),
        }
    }

    fn on_connect(&mut self, data: &[u8], fin: bool, acts: &mut VecDeque<Act>) {
        self.frames.extend_from_slice(data);
        if self.frames.len() > MAX_BUFFERED {
            acts.push_back(Act::Fail { code: H3_GENERAL_PROTOCOL_ERROR, reason: "CONNECT stream over its bound" });
            return;
        }
        if self.phase == Phase::Waiting {
            let waits = match self.end {
                End::Server => self.on_request(fin, acts),
                End::Client => self.on_response(fin, acts),
            };
            if waits {
                return;
            }
        }
        if self.phase == Phase::Open {
            self.on_frames(acts);
        }
        if fin && self.phase != Phase::Over {
            self.phase = Phase::Over;
            acts.push_back(Act::Closed { code: 0, reason: String::new() });
        }
    }

    /// True: more bytes are needed, or all is said.
    fn on_request(&mut self, fin: bool, acts: &mut VecDeque<Act>) -> bool {
        let mut rest = &self.frames[..];
        match ConnectRequest::decode(&mut rest) {
            Ok(request) => {
                let used = self.frames.len() - rest.len();
                self.frames.advance(used);
                self.frames = BytesMut::from(&self.frames[..]); // the request's memory is not kept with the session
                self.phase = Phase::Asked;
                acts.push_back(Act::Requested(request));
                false
            }
            Err(ConnectError::UnexpectedEnd) if !fin => true,
            Err(error) => {
                self.phase = Phase::Over;
                acts.push_back(match error {
                    ConnectError::WrongMethod(_) => Act::BadRequest(http::StatusCode::METHOD_NOT_ALLOWED),
                    ConnectError::WrongProtocol(_) => Act::BadRequest(http::StatusCode::NOT_IMPLEMENTED),
                    ConnectError::UnexpectedEnd | ConnectError::UnexpectedFrame(_) | ConnectError::FrameTooLarge => {
                        Act::Fail { code: H3_MESSAGE_ERROR, reason: "not a request" }
                    }
                    _ => Act::BadRequest(http::StatusCode::BAD_REQUEST),
                });
                true
            }
        }
    }

    /// True: more bytes are needed, or all is said.
    fn on_response(&mut self, fin: bool, acts: &mut VecDeque<Act>) -> bool {
        let mut rest = &self.frames[..];
        match ConnectResponse::decode(&mut rest) {
            Ok(response) => {
                let used = self.frames.len() - rest.len();
                self.frames.advance(used);
                acts.push_back(Act::Opened(response.protocol));
                self.open(acts);
                false
            }
            Err(ConnectError::UnexpectedEnd) if !fin => true,
            Err(error) => {
                self.phase = Phase::Over;
                acts.push_back(match error {
                    ConnectError::WrongStatus(status) => Act::Refused(status),
                    _ => Act::Fail { code: H3_MESSAGE_ERROR, reason: "not a response" },
                });
                true
            }
        }
    }

    /// DATA frames of an open session carry capsules; all other frames are skipped (RFC 9114 §9).
    fn on_frames(&mut self, acts: &mut VecDeque<Act>) {
        loop {
            let mut rest = &self.frames[..];
            let (Some(kind), Some(length)) = (varint::read(&mut rest), varint::read(&mut rest)) else { break };
            let head = self.frames.len() - rest.len();
            let Some(payload) = usize::try_from(length).ok().and_then(|length| rest.get(..length)) else { break };
            if kind == Frame::DATA.0.into_inner() {
                self.capsules.extend_from_slice(payload);
            }
            let used = head + payload.len();
            self.frames.advance(used);
        }
        loop {
            let mut rest = &self.capsules[..];
            match Capsule::decode(&mut rest) {
                Ok(Capsule::CloseWebTransportSession { code, reason }) => {
                    self.phase = Phase::Over;
                    acts.push_back(Act::Closed { code, reason });
                    return;
                }
                Ok(_) => {
                    let used = self.capsules.len() - rest.len();
                    self.capsules.advance(used);
                }
                Err(CapsuleError::InvalidUtf8) => {
                    self.phase = Phase::Over;
                    acts.push_back(Act::Closed { code: 0, reason: String::new() });
                    return;
                }
                Err(_) if self.capsules.len() > MAX_BUFFERED => {
                    acts.push_back(Act::Fail { code: H3_GENERAL_PROTOCOL_ERROR, reason: "capsule over its bound" });
                    return;
                }
                Err(_) => return,
            }
        }
    }
}

/// Did the end `end` open the stream `id`? (RFC 9000 §2.1: bit 0 is set on the server's.)
fn is_local(end: End, id: u64) -> bool {
    (id & 1 == 0) == (end == End::Client)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(protocols: &[&str]) -> BytesMut {
        let url: url::Url = "https://host/spaces/1?jwt=x".parse().unwrap();
        let mut out = BytesMut::new();
        ConnectRequest::new(url).with_protocols(protocols.iter().map(|p| (*p).to_owned())).encode(&mut out).unwrap();
        out
    }

    fn feed(http: &mut Http3, id: u64, data: &[u8], fin: bool) -> Vec<Act> {
        let mut acts = VecDeque::new();
        http.on_stream(id, Bytes::copy_from_slice(data), fin, &mut acts);
        acts.into()
    }

    fn open_server() -> Http3 {
        let mut http = Http3::new(End::Server);
        assert!(matches!(&feed(&mut http, 0, &request(&[]), false)[..], [Act::Requested(_)]));
        http.accept(None, &mut VecDeque::new());
        http
    }

    #[test]
    fn a_request_byte_by_byte_is_one_request() {
        let mut http = Http3::new(End::Server);
        let bytes = request(&["moq-lite-05", "moqt-18"]);
        let mut acts = Vec::new();
        for byte in &bytes {
            acts.extend(feed(&mut http, 0, &[*byte], false));
        }
        let [Act::Requested(request)] = &acts[..] else { panic!("{acts:?}") };
        assert_eq!(request.url.path(), "/spaces/1");
        assert_eq!(request.protocols, ["moq-lite-05", "moqt-18"]);
    }

    #[test]
    fn both_ends_agree_on_the_answer_and_on_the_close() {
        let mut server = Http3::new(End::Server);
        let mut client = Http3::new(End::Client);
        let [control, ..] = control_streams();
        assert!(matches!(&feed(&mut client, 3, &control, false)[..], [Act::Connect]));
        client.connecting(0);
        feed(&mut server, 0, &request(&["moqt-18"]), false);
        let answer = server.accept(Some("moqt-18"), &mut VecDeque::new());
        let acts = feed(&mut client, 0, &answer, false);
        assert!(matches!(&acts[..], [Act::Opened(Some(protocol))] if protocol == "moqt-18"), "{acts:?}");
        let last = server.close(0x5304, "auth.session_revoked");
        let acts = feed(&mut client, 0, &last, true);
        assert!(
            matches!(&acts[..], [Act::Closed { code: 0x5304, reason }] if reason == "auth.session_revoked"),
            "{acts:?}"
        );
    }

    #[test]
    fn a_refused_client_learns_the_status() {
        let mut client = Http3::new(End::Client);
        client.connecting(0);
        let acts = feed(&mut client, 0, &refusal(http::StatusCode::FORBIDDEN), true);
        assert!(matches!(&acts[..], [Act::Refused(Some(http::StatusCode::FORBIDDEN))]), "{acts:?}");
    }

    #[test]
    fn streams_before_their_session_are_kept_in_order() {
        let mut http = Http3::new(End::Server);
        assert!(feed(&mut http, 2, &[0x40, 0x54, 0, b'a'], false).is_empty());
        assert!(feed(&mut http, 2, b"b", true).is_empty());
        feed(&mut http, 0, &request(&[]), false);
        let mut acts = VecDeque::new();
        http.accept(None, &mut acts);
        let [Act::Stream { id: 2, data, fin: true }] = acts.make_contiguous() else { panic!("{acts:?}") };
        assert_eq!(&data[..], b"ab");
    }

    #[test]
    fn streams_of_another_session_are_refused() {
        let mut http = open_server();
        let acts = feed(&mut http, 6, &[0x40, 0x54, 8, b'a'], false);
        assert!(matches!(&acts[..], [Act::Reject { id: 6, code: BUFFERED_STREAM_REJECTED }]), "{acts:?}");
        let acts = feed(&mut http, 4, &[0x40, 0x41, 0, b'a'], false);
        assert!(matches!(&acts[..], [Act::Stream { id: 4, .. }]), "{acts:?}");
    }

    #[test]
    fn a_second_request_is_rejected_and_the_session_lives() {
        let mut http = open_server();
        let acts = feed(&mut http, 4, &request(&[]), true);
        assert!(matches!(&acts[..], [Act::Reject { id: 4, code: H3_REQUEST_REJECTED }]), "{acts:?}");
    }

    #[test]
    fn hoarded_early_streams_fail_the_connection() {
        let mut http = Http3::new(End::Server);
        feed(&mut http, 2, &[0x40, 0x54, 0], false);
        let acts = feed(&mut http, 2, &vec![0; MAX_BUFFERED + 1], false);
        assert!(matches!(&acts[..], [Act::Fail { .. }]), "{acts:?}");
    }

    #[test]
    fn closing_a_critical_stream_fails_the_connection() {
        let [control, encoder, _] = control_streams();
        for bytes in [control, encoder] {
            let mut http = Http3::new(End::Server);
            assert!(feed(&mut http, 2, &bytes, false).is_empty());
            let acts = feed(&mut http, 2, &[], true);
            assert!(matches!(&acts[..], [Act::Fail { code: H3_CLOSED_CRITICAL_STREAM, .. }]), "{acts:?}");
        }
    }

    #[test]
    fn random_bytes_never_panic() {
        let mut seed = 3u64;
        let mut random = move || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 40) as u8
        };
        for round in 0..3_000 {
            let mut http = if round % 2 == 0 { Http3::new(End::Server) } else { open_server() };
            for _ in 0..8 {
                let id = u64::from(random() % 16);
                let mut data: Vec<u8> = (0..random() % 40).map(|_| random()).collect();
                if random() % 3 == 0 {
                    data.splice(
                        0..0,
                        [[0x40, 0x54, 0], [0x40, 0x41, 0], [0, 4, 2], [1, 20, 0]][(random() % 4) as usize],
                    );
                }
                feed(&mut http, id, &data, random() % 7 == 0);
                let mut acts = VecDeque::new();
                if random() % 9 == 0 {
                    http.on_reset(id, &mut acts);
                }
            }
        }
    }
}
