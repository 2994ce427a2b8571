//! One QUIC connection as a session's transport: raw QUIC or WebTransport, the same to whoever uses it.
//!
//! [`Connection`] implements [`spaces_moqt::seam::Transport`] and tells what happened as `Notice`s. Its life is [`Phase`]: opening (handshake,
//! then the CONNECT of WebTransport), open, closing (a close capsule is on its way), gone.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};
use quinn_proto::crypto::rustls::HandshakeData;
use quinn_proto::{ConnectionError, ConnectionHandle, Dir, Event, ReadError, SendDatagramError, StreamEvent, VarInt};
use spaces_core::varint;
use spaces_moqt::seam::{End, Protocol, StreamId};
use web_transport_proto::{ConnectRequest, http};

use crate::express::Express;
use crate::lean::Greeting;
use crate::quic::{self, ALPN_H3, DATAGRAM_SEND_BUFFER};
use crate::streams::{Half, Pending};
use crate::webtransport::{self, Act, H3_NO_ERROR, Http3};

pub(crate) use crate::notice::Notice;
pub use crate::notice::{Closed, Incoming, Phase, Request, Target};
pub use crate::streams::RESET_SLOW_PEER;

/// How long a handshake, or a CONNECT, may take.
const OPENING: Duration = Duration::from_secs(8);
/// How long a close capsule has to reach the peer before QUIC is closed under it.
const LINGER: Duration = Duration::from_millis(500);

pub(crate) enum Layer {
    /// Not known before the handshake is done.
    Unknown,
    Raw,
    Web(Box<Http3>),
}

/// See the module.
pub struct Connection {
    key: u32,
    pub(crate) handle: ConnectionHandle,
    pub(crate) quic: quinn_proto::Connection,
    pub(crate) begun: Instant,
    pub(crate) now: Instant,
    /// The wheel's slot that this connection waits for.
    pub(crate) armed: Option<u64>,
    end: End,
    target: Option<Box<Target>>,
    offered: Vec<String>,
    pub(crate) layer: Layer,
    pub(crate) phase: Phase,
    protocol: Option<Protocol>,
    deadline: Option<Instant>,
    closed_told: bool,
    /// Notices that our own calls made.
    pub(crate) late: Vec<Notice>,
    pub(crate) pending: Vec<Pending>,
    /// Datagrams dropped: too large for the path, or not of this session.
    misfits: u64,
    /// Streams stopped or reset by us since the last poll: what was read of them before is not told any more.
    pub(crate) forsaken: Vec<(u64, Half)>,
    /// Datagrams were left in quinn-proto's buffer by the last transmit.
    pub(crate) stuck: bool,
    pub(crate) express: Option<Express>,
}

impl Connection {
    pub(crate) fn new(
        handle: ConnectionHandle,
        quic: quinn_proto::Connection,
        target: Option<Target>,
        now: Instant,
    ) -> Self {
        Self {
            key: u32::try_from(handle.0).unwrap_or(u32::MAX),
            handle,
            end: if target.is_some() { End::Client } else { End::Server },
            quic,
            begun: now,
            now,
            armed: None,
            target: target.map(Box::new),
            offered: Vec::new(),
            layer: Layer::Unknown,
            phase: Phase::Opening,
            protocol: None,
            deadline: Some(now + OPENING),
            closed_told: false,
            late: Vec::new(),
            pending: Vec::new(),
            misfits: 0,
            forsaken: Vec::new(),
            stuck: false,
            express: None,
        }
    }

    /// Names this connection on its endpoint; used again after it is gone.
    #[must_use]
    pub fn key(&self) -> u32 {
        self.key
    }

    /// Where it stands.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// What is spoken on it, once open.
    #[must_use]
    pub fn protocol(&self) -> Option<Protocol> {
        self.protocol
    }

    /// Over WebTransport?
    #[must_use]
    pub fn is_web(&self) -> bool {
        matches!(self.layer, Layer::Web(_))
    }

    /// The peer's present address.
    #[must_use]
    pub fn remote(&self) -> SocketAddr {
        self.quic.remote_address()
    }

    /// Smoothed round-trip time.
    #[must_use]
    pub fn rtt(&self) -> Duration {
        self.quic.rtt()
    }

    /// Datagrams dropped here: too large for the path, or not of this session.
    #[must_use]
    pub fn misfits(&self) -> u64 {
        self.misfits
    }

    /// The quarter stream id that WebTransport puts before each datagram (RFC 9297 §2.1); `None` on raw QUIC.
    #[must_use]
    pub fn quarter(&self) -> Option<u64> {
        match &self.layer {
            Layer::Web(http) => http.connect_stream().map(|id| id / 4),
            _ => None,
        }
    }

    /// Sends a datagram, whose bytes begin with [`Connection::quarter`] if there is one. `false`: not now, because an
    /// earlier one is still waiting. One that can never be sent is counted and dropped, and `true` returned.
    pub fn send_datagram(&mut self, framed: Bytes) -> bool {
        // What has waited since an earlier turn goes first: nothing stale piles up, and there is little to take back.
        if self.phase != Phase::Open || (self.stuck && self.datagrams_wait()) {
            return false;
        }
        match self.quic.datagrams().send(framed, false) {
            Ok(()) => true,
            Err(SendDatagramError::Blocked(_)) => false,
            Err(_) => {
                self.misfits += 1;
                true
            }
        }
    }

    /// Datagrams lie in quinn-proto's buffer. After a transmit this means congestion, pacing or an unvalidated path.
    pub fn datagrams_wait(&mut self) -> bool {
        // An empty buffer reports its size less the bookkeeping of one datagram, which is under 64 bytes.
        self.quic.datagrams().send_buffer_space() + 64 < DATAGRAM_SEND_BUFFER
    }

    /// Ends everything at once, without a capsule: for a peer that cannot be served safely any more.
    pub(crate) fn abort(&mut self, reason: &'static str) {
        self.quic.close(self.now, VarInt::from_u32(0), Bytes::from_static(reason.as_bytes()));
        self.finish(Closed::Failed(reason.into()));
    }

    /// When [`Connection::on_timeout`] wants to be called.
    pub(crate) fn next_timeout(&mut self) -> Option<Instant> {
        match (self.quic.poll_timeout(), self.deadline) {
            (Some(quic), Some(own)) => Some(quic.min(own)),
            (quic, own) => quic.or(own),
        }
    }

    pub(crate) fn on_timeout(&mut self) {
        let now = self.now;
        if self.quic.poll_timeout().is_some_and(|at| at <= now) {
            self.quic.handle_timeout(now);
        }
        if self.deadline.is_some_and(|at| at <= now) {
            self.deadline = None;
            match self.phase {
                Phase::Opening => self.abort("the session took too long to open"),
                Phase::Closing => self.close_quic(H3_NO_ERROR, Bytes::new()),
                Phase::Open | Phase::Gone => {}
            }
        }
    }

    /// Appends what has happened since the last call.
    pub(crate) fn poll(&mut self, notices: &mut VecDeque<Notice>) {
        self.forsaken.clear();
        notices.extend(self.late.drain(..));
        while let Some(event) = self.quic.poll() {
            match event {
                Event::Connected => self.on_connected(notices),
                Event::ConnectionLost { reason } => self.on_lost(reason),
                Event::Stream(event) => self.on_stream_event(event, notices),
                Event::DatagramReceived => self.read_datagrams(notices),
                Event::HandshakeDataReady | Event::DatagramsUnblocked => {}
            }
        }
        notices.extend(self.late.drain(..));
    }

    /// Does the application want to hear this? It may have stopped or reset the stream after the event was read.
    pub(crate) fn is_wanted(&self, incoming: &Incoming) -> bool {
        let (id, half) = match incoming {
            Incoming::Stream { id, .. } | Incoming::Reset { id, .. } => (id, Half::Receive),
            Incoming::Stopped { id, code } if *code != RESET_SLOW_PEER => (id, Half::Send),
            _ => return true,
        };
        !self.forsaken.contains(&(id.0, half))
    }

    fn on_connected(&mut self, notices: &mut VecDeque<Notice>) {
        let alpn = match self.quic.crypto_session().handshake_data().map(|data| data.downcast::<Greeting>()) {
            Some(Ok(greeting)) => {
                self.express = Some(Express::new(greeting.lane, self.quic.remote_address()));
                Some(greeting.protocol)
            }
            Some(Err(data)) => data.downcast::<HandshakeData>().ok().and_then(|data| data.protocol),
            None => None,
        };
        let alpn = alpn.unwrap_or_default();
        if alpn == ALPN_H3 {
            self.layer = Layer::Web(Box::new(Http3::new(self.end)));
            if self.end == End::Server {
                quic::allow_web(&mut self.quic);
            }
            for bytes in webtransport::control_streams() {
                if let Some(id) = self.quic.streams().open(Dir::Uni) {
                    self.write_bytes(u64::from(id), &bytes, false);
                }
            }
            return;
        }
        self.layer = Layer::Raw;
        match self.target.as_deref() {
            Some(Target::Raw(protocol)) => {
                let protocol = *protocol;
                self.opened(protocol, notices);
            }
            Some(Target::Web { .. }) => self.abort("the server has no HTTP/3"),
            None => notices.push_back(Notice::Request(Request {
                remote: self.remote(),
                web: false,
                protocols: vec![String::from_utf8_lossy(&alpn).into_owned()],
                path: String::new(),
                query: None,
                origin: None,
            })),
        }
    }

    fn opened(&mut self, protocol: Protocol, notices: &mut VecDeque<Notice>) {
        self.phase = Phase::Open;
        self.deadline = None;
        self.target = None;
        self.protocol = Some(protocol);
        self.board();
        notices.push_back(Notice::Open(protocol));
    }

    /// Answering end: the request is granted.
    pub(crate) fn accept(&mut self, protocol: Protocol, notices: &mut VecDeque<Notice>) {
        let mut acts = VecDeque::new();
        if let Layer::Web(http) = &mut self.layer {
            let offered = std::mem::take(&mut self.offered);
            let chosen = offered.iter().any(|name| name == protocol.name()).then_some(protocol.name());
            let (bytes, connect) = (http.accept(chosen, &mut acts), http.connect_stream());
            if let Some(id) = connect {
                self.write_bytes(id, &bytes, false);
            }
        }
        self.opened(protocol, notices);
        self.perform(acts, notices);
    }

    /// Answering end: the request is refused with an HTTP status; on raw QUIC by closing with it.
    pub(crate) fn refuse(&mut self, status: http::StatusCode) {
        match &self.layer {
            Layer::Web(http) => {
                if let Some(id) = http.connect_stream() {
                    self.write_bytes(id, &webtransport::refusal(status), true);
                }
                self.linger();
            }
            _ => self.close_quic(u64::from(status.as_u16()), Bytes::new()),
        }
        self.finish(Closed::Local);
    }

    pub(crate) fn linger(&mut self) {
        if matches!(self.phase, Phase::Opening | Phase::Open) {
            self.phase = Phase::Closing;
            self.deadline = Some(self.now + LINGER);
        }
    }

    pub(crate) fn close_quic(&mut self, code: u64, reason: Bytes) {
        self.phase = Phase::Gone;
        self.deadline = None;
        self.pending.clear();
        self.quic.close(self.now, VarInt::from_u64(code).unwrap_or(VarInt::MAX), reason);
    }

    /// Tells the end of the session, once.
    pub(crate) fn finish(&mut self, closed: Closed) {
        if !matches!(self.phase, Phase::Closing) {
            self.phase = Phase::Gone;
            self.deadline = None;
        }
        if !std::mem::replace(&mut self.closed_told, true) {
            self.late.push(Notice::Closed(closed));
        }
    }

    fn on_lost(&mut self, reason: ConnectionError) {
        self.phase = Phase::Gone;
        let closed = match reason {
            ConnectionError::ApplicationClosed(close) => Closed::Peer {
                code: close.error_code.into_inner(),
                reason: String::from_utf8_lossy(&close.reason).into_owned(),
            },
            ConnectionError::LocallyClosed => Closed::Local,
            ConnectionError::TimedOut | ConnectionError::Reset => Closed::Lost,
            other => Closed::Failed(other.to_string()),
        };
        self.finish(closed);
    }

    fn on_stream_event(&mut self, event: StreamEvent, notices: &mut VecDeque<Notice>) {
        match event {
            StreamEvent::Opened { dir } => {
                while let Some(id) = self.quic.streams().accept(dir) {
                    if self.end == End::Server {
                        quic::allow_more(&mut self.quic, id);
                    }
                    self.read_stream(id, notices);
                }
            }
            StreamEvent::Readable { id } => self.read_stream(id, notices),
            StreamEvent::Writable { id } => self.flush(u64::from(id)),
            StreamEvent::Stopped { id, error_code } => {
                let id = u64::from(id);
                self.pending.retain(|pending| pending.id != id);
                if self.is_session_stream(id) {
                    let code = self.code_in(error_code.into_inner());
                    notices.push_back(Notice::Incoming(Incoming::Stopped { id: StreamId(id), code }));
                }
            }
            StreamEvent::Available { .. } if self.phase == Phase::Open => {
                notices.push_back(Notice::Incoming(Incoming::Credit));
            }
            StreamEvent::Available { .. } | StreamEvent::Finished { .. } => {}
        }
    }

    fn is_session_stream(&self, id: u64) -> bool {
        match &self.layer {
            Layer::Web(http) => http.is_session_stream(id),
            Layer::Raw => true,
            Layer::Unknown => false,
        }
    }

    fn read_stream(&mut self, id: quinn_proto::StreamId, notices: &mut VecDeque<Notice>) {
        loop {
            let mut stream = self.quic.recv_stream(id);
            let Ok(mut chunks) = stream.read(true) else { return };
            let next = chunks.next(usize::MAX);
            let _ = chunks.finalize(); // every connection touched is asked for transmits anyway
            match next {
                Ok(Some(chunk)) => self.on_data(u64::from(id), chunk.bytes, false, notices),
                Ok(None) => return self.on_data(u64::from(id), Bytes::new(), true, notices),
                Err(ReadError::Blocked) => return,
                Err(ReadError::Reset(code)) => return self.on_reset(u64::from(id), code.into_inner(), notices),
            }
        }
    }

    fn on_data(&mut self, id: u64, data: Bytes, fin: bool, notices: &mut VecDeque<Notice>) {
        match &mut self.layer {
            Layer::Web(http) => {
                let mut acts = VecDeque::new();
                http.on_stream(id, data, fin, &mut acts);
                self.perform(acts, notices);
            }
            Layer::Raw => {
                notices.push_back(Notice::Incoming(Incoming::Stream {
                    id: StreamId(id),
                    bidi: id & 2 == 0,
                    data,
                    fin,
                }));
            }
            Layer::Unknown => {}
        }
    }

    fn on_reset(&mut self, id: u64, code: u64, notices: &mut VecDeque<Notice>) {
        let mut session = true;
        if let Layer::Web(http) = &mut self.layer {
            let mut acts = VecDeque::new();
            session = http.on_reset(id, &mut acts);
            self.perform(acts, notices);
        }
        if session {
            let code = self.code_in(code);
            notices.push_back(Notice::Incoming(Incoming::Reset { id: StreamId(id), code }));
        }
    }

    fn perform(&mut self, acts: VecDeque<Act>, notices: &mut VecDeque<Notice>) {
        for act in acts {
            match act {
                Act::Connect => self.send_connect(),
                Act::Requested(request) => {
                    let request = self.take_request(request);
                    notices.push_back(Notice::Request(request));
                }
                Act::BadRequest(status) => self.refuse(status),
                Act::Opened(chosen) => {
                    let Some(Target::Web { protocols, fallback, .. }) = self.target.as_deref() else { continue };
                    let named = chosen.as_deref().map(|name| protocols.iter().copied().find(|p| p.name() == name));
                    match named.unwrap_or(Some(*fallback)) {
                        Some(protocol) => self.opened(protocol, notices),
                        None => self.abort("the server chose a protocol that was not offered"),
                    }
                }
                Act::Refused(status) => {
                    self.close_quic(H3_NO_ERROR, Bytes::new());
                    self.finish(Closed::Refused(status.map(|status| status.as_u16())));
                }
                Act::Stream { id, data, fin } => {
                    notices.push_back(Notice::Incoming(Incoming::Stream {
                        id: StreamId(id),
                        bidi: id & 2 == 0,
                        data,
                        fin,
                    }));
                }
                Act::Closed { code, reason } => {
                    self.close_quic(H3_NO_ERROR, Bytes::new());
                    self.finish(Closed::Peer { code: u64::from(code), reason });
                }
                Act::Reject { id, code } => self.reject(id, code),
                Act::Fail { code, reason } => {
                    self.close_quic(code, Bytes::from_static(reason.as_bytes()));
                    self.finish(Closed::Failed(reason.into()));
                }
            }
        }
    }

    fn take_request(&mut self, request: ConnectRequest) -> Request {
        self.offered.clone_from(&request.protocols);
        let origin = request
            .headers
            .get(http::header::ORIGIN)
            .map(|origin| String::from_utf8_lossy(origin.as_bytes()).into_owned());
        Request {
            remote: self.remote(),
            web: true,
            protocols: request.protocols,
            path: request.url.path().to_owned(),
            query: request.url.query().map(str::to_owned),
            origin,
        }
    }

    fn send_connect(&mut self) {
        let Some(Target::Web { url, origin, protocols, .. }) = self.target.as_deref() else { return };
        let mut request = ConnectRequest::new(url.clone())
            .with_protocols(protocols.iter().map(|protocol| protocol.name().to_owned()));
        if let Some(origin) = origin.as_deref().and_then(|origin| http::HeaderValue::from_str(origin).ok()) {
            request = request.with_header(http::header::ORIGIN, origin);
        }
        let mut bytes = BytesMut::new();
        if request.encode(&mut bytes).is_err() {
            return self.abort("the URL makes no request");
        }
        let Some(id) = self.quic.streams().open(Dir::Bi).map(u64::from) else {
            return self.abort("the server grants no streams");
        };
        if let Layer::Web(http) = &mut self.layer {
            http.connecting(id);
        }
        self.write_bytes(id, &bytes, false);
    }

    fn reject(&mut self, id: u64, code: u64) {
        let code = VarInt::from_u64(code).unwrap_or_default();
        if let Ok(id) = VarInt::from_u64(id).map(quinn_proto::StreamId::from) {
            let _ = self.quic.recv_stream(id).stop(code);
            if id.dir() == Dir::Bi {
                let _ = self.quic.send_stream(id).reset(code);
            }
        }
    }

    fn read_datagrams(&mut self, notices: &mut VecDeque<Notice>) {
        while let Some(mut datagram) = self.quic.datagrams().recv() {
            if let Some(quarter) = self.quarter() {
                let mut rest = &datagram[..];
                if varint::read(&mut rest) != Some(quarter) {
                    self.misfits += 1;
                    continue;
                }
                let head = datagram.len() - rest.len();
                datagram.advance(head);
            } else if matches!(self.layer, Layer::Web(_)) {
                self.misfits += 1;
                continue;
            }
            notices.push_back(Notice::Incoming(Incoming::Datagram(datagram)));
        }
    }
}
