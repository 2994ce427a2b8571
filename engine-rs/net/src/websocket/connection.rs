//! One WebSocket at the answering end: from the first byte to the last.
//!
//! ```text
//! Greeting -- request granted --> Talking -- close --> Leaving (what is left is written) --> gone
//!     \-- refused, too slow, not HTTP --> gone
//! ```

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use rustls::ServerConfig;
use spaces_moqt::seam::{End, Protocol, StreamId, Transport};
use tungstenite::http::StatusCode;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tungstenite::{Error, Message, WebSocket};

use super::frames::Violation;
use super::parameters::RECORD;
use super::qmux::Qmux;
use super::upgrade::{self, Upgrade};
use super::wire::{Opening, Wire};
use super::{Limits, tcp};
use crate::link::{Link, Report};
use crate::notice::{Closed, Phase, Request};

/// Messages of one connection that are read in a turn; the rest follows in the next.
const READS: usize = 32;
/// Bytes that are written behind one another before somebody else has a turn.
const BURST: usize = 16 * 1_024;
/// How long what was said last may take to be written.
const LINGER: Duration = Duration::from_millis(500);
/// Bytes read at once: speakers and listeners say little.
const READ: usize = 2 * 1_024;

enum Stage {
    /// Not known yet whether TLS is spoken.
    Silent(TcpStream),
    /// The request is being read.
    Greeting(Wire, BytesMut),
    Talking(Box<WebSocket<Wire>>),
    Gone,
}

/// What reading led to.
#[derive(Debug)]
pub(crate) enum Heard {
    /// Nothing more is there now.
    Done,
    /// More is there for the next turn.
    More,
    /// A request, to be accepted or refused.
    Request(Box<Upgrade>),
}

/// See the module.
pub(crate) struct Connection {
    key: u32,
    remote: SocketAddr,
    stage: Stage,
    pub(crate) qmux: Qmux,
    limits: Arc<Limits>,
    tls: Arc<ServerConfig>,
    pub(crate) now: Instant,
    begun: Instant,
    heard: Instant,
    pinged: Option<Instant>,
    rtt: Duration,
    /// The socket took less than there is.
    pub(crate) blocked: bool,
    leaving: Option<Instant>,
    objects: u64,
}

impl Connection {
    pub(crate) fn new(
        key: u32,
        (stream, remote): (TcpStream, SocketAddr),
        limits: Arc<Limits>,
        tls: Arc<ServerConfig>,
        now: Instant,
    ) -> io::Result<Self> {
        tcp::prepare(&stream, limits.idle)?;
        Ok(Self {
            key,
            remote,
            stage: Stage::Silent(stream),
            qmux: Qmux::new(End::Server, limits.idle),
            limits,
            tls,
            now,
            begun: now,
            heard: now,
            pinged: None,
            rtt: Duration::ZERO,
            blocked: false,
            leaving: None,
            objects: 0,
        })
    }

    pub(crate) fn stream(&self) -> Option<&TcpStream> {
        match &self.stage {
            Stage::Silent(stream) => Some(stream),
            Stage::Greeting(wire, _) => Some(wire.stream()),
            Stage::Talking(socket) => Some(socket.get_ref().stream()),
            Stage::Gone => None,
        }
    }

    /// Nothing is read or written any more.
    pub(crate) fn is_gone(&self) -> bool {
        matches!(self.stage, Stage::Gone)
    }

    /// The request as the desk wants it.
    pub(crate) fn request(&self, upgrade: &Upgrade) -> Request {
        upgrade.request(self.remote)
    }

    fn lose(&mut self, closed: Closed) {
        self.stage = Stage::Gone;
        self.qmux.end_with(closed);
    }

    /// Takes in what the peer has sent.
    pub(crate) fn read(&mut self) -> Heard {
        let result = match &self.stage {
            Stage::Silent(_) | Stage::Greeting(..) => self.read_request(),
            Stage::Talking(_) => return self.read_messages(),
            Stage::Gone => return Heard::Done,
        };
        match result {
            Ok(Some(upgrade)) => Heard::Request(Box::new(upgrade)),
            Ok(None) => Heard::Done,
            Err(_) => {
                self.lose(Closed::Lost);
                Heard::Done
            }
        }
    }

    fn read_request(&mut self) -> io::Result<Option<Upgrade>> {
        if let Stage::Silent(stream) = &self.stage {
            let Some(opening) = Opening::of(stream)? else { return Ok(None) };
            let Stage::Silent(stream) = std::mem::replace(&mut self.stage, Stage::Gone) else { return Ok(None) };
            let wire = match opening {
                Opening::Tls => Wire::tls(stream, Arc::clone(&self.tls)).map_err(io::Error::other)?,
                Opening::Plain if self.limits.plain || self.remote.ip().to_canonical().is_loopback() => {
                    Wire::Plain(stream)
                }
                // Who speaks plainly where it is not allowed is told nothing: tokens travel in requests.
                Opening::Plain => return Err(ErrorKind::InvalidData.into()),
            };
            self.stage = Stage::Greeting(wire, BytesMut::new());
        }
        let Stage::Greeting(wire, buffer) = &mut self.stage else { return Ok(None) };
        loop {
            let mut bytes = [0; READ];
            let read = match wire.read(&mut bytes) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return Err(error),
            };
            buffer.extend_from_slice(bytes.get(..read).unwrap_or_default());
            match Upgrade::parse(buffer) {
                Ok(Some(upgrade)) => return Ok(Some(upgrade)),
                Ok(None) => {}
                Err(status) => {
                    self.refuse(status);
                    return Ok(None);
                }
            }
        }
    }

    /// Answers a request with a status, and no more.
    pub(crate) fn refuse(&mut self, status: StatusCode) {
        if let Stage::Greeting(wire, _) = &mut self.stage {
            // A new connection takes so little at once; who has filled it already needs no answer.
            let _ = wire.write(&upgrade::refusal(status)).and_then(|_| wire.flush());
            wire.farewell();
        }
        self.lose(Closed::Local);
    }

    /// Grants a request. False: it cannot be.
    pub(crate) fn accept(&mut self, upgrade: &Upgrade, protocol: Protocol) -> bool {
        let (Stage::Greeting(mut wire, buffer), Some(answer)) =
            (std::mem::replace(&mut self.stage, Stage::Gone), upgrade.accept(protocol))
        else {
            return false;
        };
        let written = wire.write(&answer).and_then(|written| wire.flush().map(|()| written));
        if !written.is_ok_and(|written| written == answer.len()) {
            self.lose(Closed::Lost);
            return false;
        }
        let config = WebSocketConfig::default()
            .read_buffer_size(READ)
            .write_buffer_size(BURST)
            .max_write_buffer_size(8 * BURST)
            .max_message_size(Some(RECORD as usize))
            .max_frame_size(Some(RECORD as usize));
        let rest = buffer.get(upgrade.length..).unwrap_or_default().to_vec();
        let socket = WebSocket::from_partially_read(wire, rest, Role::Server, Some(config));
        self.stage = Stage::Talking(Box::new(socket));
        self.heard = self.now;
        true
    }

    fn read_messages(&mut self) -> Heard {
        for _ in 0..READS {
            let Stage::Talking(socket) = &mut self.stage else { return Heard::Done };
            match socket.read() {
                Ok(message) => {
                    self.heard = self.now;
                    match message {
                        Message::Binary(bytes) => self.qmux.on_record(bytes),
                        Message::Pong(_) => {
                            if let Some(at) = self.pinged.take() {
                                self.rtt = self.now.saturating_duration_since(at);
                            }
                        }
                        Message::Close(_) => self.qmux.end_with(Closed::Peer { code: 0, reason: String::new() }),
                        Message::Ping(_) => {}
                        Message::Text(_) | Message::Frame(_) => self.qmux.fail(Violation::Protocol),
                    }
                }
                Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => return Heard::Done,
                Err(Error::ConnectionClosed | Error::AlreadyClosed | Error::Io(_)) => {
                    self.lose(Closed::Lost);
                    return Heard::Done;
                }
                // tungstenite is not to be read any more after what breaks WebSocket (it asserts so).
                Err(_) => {
                    self.qmux.fail(Violation::Protocol);
                    self.write();
                    self.lose(Closed::Lost);
                    return Heard::Done;
                }
            }
        }
        Heard::More
    }

    /// Writes what is to be written, as far as the socket takes it.
    pub(crate) fn write(&mut self) {
        if let Err(error) = self.try_write() {
            self.blocked = error.kind() == ErrorKind::WouldBlock;
            if !self.blocked {
                self.lose(Closed::Lost);
            }
        } else {
            self.blocked = false;
        }
        self.qmux.set_stuck(self.blocked);
        if self.qmux.phase() == Phase::Gone && !self.blocked {
            self.leave(if self.qmux.is_broken() { CloseCode::Protocol } else { CloseCode::Normal });
        }
    }

    fn try_write(&mut self) -> io::Result<()> {
        let Stage::Talking(socket) = &mut self.stage else { return Ok(()) };
        loop {
            io_result(socket.flush())?;
            let mut bytes = 0;
            while bytes < BURST
                && let Some(record) = self.qmux.record()
            {
                bytes += record.len();
                io_result(socket.write(Message::Binary(record)))?;
            }
            if bytes == 0 {
                return Ok(());
            }
        }
    }

    /// Says goodbye as a WebSocket does; the connection goes when it was heard, or has taken too long.
    fn leave(&mut self, code: CloseCode) {
        let Stage::Talking(socket) = &mut self.stage else { return };
        if self.leaving.is_none() {
            self.leaving = Some(self.now + LINGER);
            let _ = socket.close(Some(CloseFrame { code, reason: "".into() })); // what does not leave is reset
        }
    }

    /// Deadlines. `opening`: how long a request may take.
    pub(crate) fn keep_house(&mut self, opening: Duration) {
        let quiet = self.now.saturating_duration_since(self.heard);
        match &mut self.stage {
            Stage::Silent(_) | Stage::Greeting(..) => {
                if self.now.saturating_duration_since(self.begun) > opening {
                    self.refuse(StatusCode::REQUEST_TIMEOUT);
                }
            }
            Stage::Talking(_) if self.leaving.is_some_and(|until| self.now >= until) => self.stage = Stage::Gone,
            Stage::Talking(_) if quiet > self.limits.idle => self.lose(Closed::Lost),
            Stage::Talking(_) if self.qmux.phase() == Phase::Opening && quiet > opening => {
                self.qmux.end_with(Closed::Lost);
                self.leave(CloseCode::Policy);
            }
            Stage::Talking(socket) if quiet >= self.limits.idle / 3 && self.pinged.is_none() && !self.blocked => {
                self.pinged = Some(self.now);
                let _ = socket.send(Message::Ping(Bytes::new())); // what is wrong, reading finds out
            }
            Stage::Talking(_) | Stage::Gone => {}
        }
    }

    /// Takes back the datagrams, if they are silenced. False: some of what was sent may not have left yet.
    pub(crate) fn take_back(&mut self, datagrams: bool) -> bool {
        if datagrams {
            self.qmux.drop_datagrams();
        }
        !self.blocked && self.stream().is_none_or(|stream| tcp::unsent(stream) == 0)
    }

    /// Ends everything at once, with what the kernel holds.
    pub(crate) fn abort(&mut self, reason: &str) {
        if let Some(stream) = self.stream() {
            tcp::reset_on_drop(stream);
        }
        self.lose(Closed::Failed(reason.to_owned()));
    }
}

fn io_result(result: Result<(), Error>) -> io::Result<()> {
    match result {
        Ok(()) | Err(Error::ConnectionClosed | Error::AlreadyClosed) => Ok(()),
        Err(Error::Io(error)) => Err(error),
        Err(error) => Err(io::Error::other(error)),
    }
}

impl Link for Connection {
    fn key(&self) -> u32 {
        self.key
    }

    fn begun(&self) -> Instant {
        self.begun
    }

    fn now(&self) -> Instant {
        self.now
    }

    fn report(&self) -> Report {
        // TCP repairs every loss by itself: redundancy would only make it later.
        Report { sent: self.objects, lost: 0, rtt: self.rtt }
    }
}

impl Connection {
    /// See [`Qmux::send_datagram`].
    pub(crate) fn send_datagram(&mut self, data: Bytes) -> bool {
        let taken = self.qmux.send_datagram(data);
        // A branch: rustc 1.95 loses `+= u64::from(taken)` where `taken` then decides what inlined code does next.
        if taken {
            self.objects += 1;
        }
        taken
    }
}

impl Transport for Connection {
    fn open_bi(&mut self) -> Option<StreamId> {
        self.qmux.open_bi()
    }

    fn open_uni(&mut self) -> Option<StreamId> {
        self.qmux.open_uni()
    }

    fn write(&mut self, stream: StreamId, data: &[u8], fin: bool) {
        self.qmux.write(stream, data, fin);
    }

    fn reset(&mut self, stream: StreamId, code: u64) {
        self.qmux.reset(stream, code);
    }

    fn stop(&mut self, stream: StreamId, code: u64) {
        self.qmux.stop(stream, code);
    }

    fn close(&mut self, code: u64, reason: &str) {
        self.qmux.close(code, reason);
    }
}
