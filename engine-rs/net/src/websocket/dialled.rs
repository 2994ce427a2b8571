//! The dialling end of a WebSocket session, turned by hand: for tests and measurements. Pages use a library of their own.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};
use spaces_moqt::seam::{End, Protocol, Transport};
use tungstenite::client::{IntoClientRequest, client_with_config};
use tungstenite::http::{HeaderValue, header};
use tungstenite::{Error, HandshakeError, Message, WebSocket};

use bytes::Bytes;

use super::qmux::{Qmux, Told};
use crate::notice::{Closed, Incoming, Phase};
use crate::quic::{Trust, client_tls};

/// Why nobody answered.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// TCP.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The server's certificate.
    #[error(transparent)]
    Setup(#[from] crate::quic::SetupError),
    /// The server refused the request with this HTTP status.
    #[error("refused with status {0}")]
    Refused(u16),
    /// The server speaks no WebSocket.
    #[error("{0}")]
    WebSocket(String),
}

/// A socket that may be under TLS.
trait Stream: Read + Write + Send {}
impl<S: Read + Write + Send> Stream for S {}

/// What happened since the last turn.
#[derive(Debug)]
pub enum Event {
    /// Streams may be opened.
    Open,
    /// Something came.
    Incoming(Incoming),
    /// It is over.
    Closed(Closed),
}

/// See the module.
pub struct Dialled {
    socket: WebSocket<Box<dyn Stream>>,
    /// The same socket, to be tuned.
    tcp: TcpStream,
    qmux: Qmux,
}

impl Dialled {
    /// Dials and waits for the answer. `target` is path and query; with `trust` over TLS.
    ///
    /// # Errors
    /// [`DialError`].
    pub fn dial(
        remote: SocketAddr,
        target: &str,
        protocol: Protocol,
        origin: Option<&str>,
        trust: Option<&Trust>,
    ) -> Result<Self, DialError> {
        let wrong = |error: &dyn std::fmt::Display| DialError::WebSocket(error.to_string());
        let tcp = TcpStream::connect(remote)?;
        tcp.set_nodelay(true)?;
        tcp.set_read_timeout(Some(Duration::from_secs(10)))?;
        let scheme = if trust.is_some() { "wss" } else { "ws" };
        let url = format!("{scheme}://localhost:{}{target}", remote.port());
        let mut request = url.into_client_request().map_err(|error| wrong(&error))?;
        let name = format!("qmux-02.{}", protocol.name());
        let value = |text: &str| HeaderValue::from_str(text).map_err(|error| wrong(&error));
        request.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, value(&name)?);
        if let Some(origin) = origin {
            request.headers_mut().insert(header::ORIGIN, value(origin)?);
        }
        let stream = tcp.try_clone()?;
        let stream: Box<dyn Stream> = match trust {
            None => Box::new(stream),
            Some(trust) => {
                let config = Arc::new(client_tls(trust, b"http/1.1")?);
                let server = ServerName::try_from("localhost").map_err(|error| wrong(&error))?;
                let tls = ClientConnection::new(config, server).map_err(crate::quic::SetupError::from)?;
                Box::new(StreamOwned::new(tls, stream))
            }
        };
        let socket = match client_with_config(request, stream, None) {
            Ok((socket, _)) => socket,
            Err(HandshakeError::Failure(Error::Http(response))) => {
                return Err(DialError::Refused(response.status().as_u16()));
            }
            Err(HandshakeError::Failure(Error::Io(error))) => return Err(error.into()),
            Err(error) => return Err(wrong(&error)),
        };
        tcp.set_nonblocking(true)?;
        Ok(Self { socket, tcp, qmux: Qmux::new(End::Client, Duration::from_secs(30)) })
    }

    /// The socket.
    #[must_use]
    pub fn tcp(&self) -> &TcpStream {
        &self.tcp
    }

    /// Sends a message as it is, with or against the rules.
    ///
    /// # Errors
    /// The connection is gone.
    pub fn send_raw(&mut self, message: Message) -> io::Result<()> {
        match self.socket.send(message) {
            Ok(()) => Ok(()),
            Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(io::Error::other(error)),
        }
    }

    /// Its streams, for a session.
    pub fn streams(&mut self) -> &mut (impl Transport + use<>) {
        &mut self.qmux
    }

    /// Sends a datagram. False: not now.
    pub fn send_datagram(&mut self, data: Bytes) -> bool {
        self.qmux.send_datagram(data)
    }

    /// Reads what has come and writes what is to be sent; never waits.
    pub fn turn(&mut self) -> Vec<Event> {
        loop {
            match self.socket.read() {
                Ok(Message::Binary(bytes)) => self.qmux.on_record(bytes),
                Ok(_) => {}
                Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => {
                    self.qmux.end_with(Closed::Lost);
                    break;
                }
            }
            if self.qmux.phase() == Phase::Gone {
                break;
            }
        }
        self.write();
        let mut events = Vec::new();
        while let Some(told) = self.qmux.poll() {
            events.push(match told {
                Told::Open => Event::Open,
                Told::Incoming(incoming) => Event::Incoming(incoming),
                Told::Closed(closed) => Event::Closed(closed),
            });
        }
        events
    }

    /// Writes what is to be sent.
    pub fn write(&mut self) {
        while let Some(record) = self.qmux.record() {
            // What the socket does not take now waits in tungstenite.
            if self.socket.write(Message::Binary(record)).is_err() {
                return;
            }
        }
        let _ = self.socket.flush(); // what is wrong, reading finds out
    }
}
