//! One Mumble client on non-blocking sockets.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};

use super::ocb::Voice;
use super::wire;
use crate::run::Failure;

/// No voice packet is larger.
const LARGEST: usize = 1_500;

/// How far a client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Shaking hands.
    Joining,
    /// Let in, and the server has answered over UDP.
    In,
}

/// See the module. Call [`Client::turn`] whenever a socket is readable.
pub struct Client {
    control: TcpStream,
    tls: ClientConnection,
    voice: UdpSocket,
    keys: Option<Voice>,
    waiting: Vec<u8>,
    synced: bool,
    /// Something authentic has come over UDP.
    reached: bool,
    sequence: u64,
}

impl Client {
    /// Connects and greets.
    ///
    /// # Errors
    /// What the kernel or TLS says.
    pub fn connect(server: SocketAddr, tls: &Arc<ClientConfig>, name: &str) -> Result<Self, Failure> {
        let control = TcpStream::connect(server)?;
        control.set_nodelay(true)?;
        control.set_nonblocking(true)?;
        let voice = UdpSocket::bind("0.0.0.0:0")?;
        voice.connect(server)?;
        voice.set_nonblocking(true)?;
        let mut tls = ClientConnection::new(Arc::clone(tls), ServerName::try_from("localhost")?)?;
        tls.writer().write_all(&wire::greeting(name))?;
        let mut client =
            Self { control, tls, voice, keys: None, waiting: Vec::new(), synced: false, reached: false, sequence: 0 };
        client.flush()?;
        Ok(client)
    }

    /// The control channel's socket.
    #[must_use]
    pub fn control(&self) -> &TcpStream {
        &self.control
    }

    /// The voice channel's socket.
    #[must_use]
    pub fn voice(&self) -> &UdpSocket {
        &self.voice
    }

    /// Takes what has come; `heard` gets every Opus packet.
    ///
    /// # Errors
    /// The server refused, hung up or spoke nonsense.
    pub fn turn(&mut self, mut heard: impl FnMut(&[u8])) -> Result<State, Failure> {
        let mut packet = [0; LARGEST];
        loop {
            match self.voice.recv(&mut packet) {
                Ok(length) => {
                    let keys = self.keys.as_mut();
                    let Some(plain) = keys.and_then(|keys| keys.open(packet.get(..length)?)) else { continue };
                    self.reached = true;
                    if let Some(opus) = wire::heard(&plain) {
                        heard(opus);
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
                Err(error) => return Err(error.into()),
            }
        }
        loop {
            match self.tls.read_tls(&mut self.control) {
                Ok(0) => return Err("the server hung up".into()),
                Ok(_) => {
                    self.tls.process_new_packets()?;
                    self.read(&mut heard)?;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
        }
        self.flush()?;
        Ok(if self.synced && self.reached { State::In } else { State::Joining })
    }

    fn read(&mut self, heard: &mut impl FnMut(&[u8])) -> Result<(), Failure> {
        match self.tls.reader().read_to_end(&mut self.waiting) {
            Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(error.into()),
            _ => {}
        }
        let mut used = 0;
        while let Some((kind, body, length)) = wire::message(self.waiting.get(used..).unwrap_or_default()) {
            used += length;
            match kind {
                wire::CRYPT_SETUP => {
                    if let Some([key, client, server]) = wire::crypt_setup(body) {
                        self.keys = Some(Voice::new(key, client, server));
                    }
                }
                wire::SERVER_SYNC => self.synced = true,
                wire::REJECT => return Err(format!("the server refused: {}", String::from_utf8_lossy(body)).into()),
                wire::UDP_TUNNEL => {
                    if let Some(opus) = wire::heard(body) {
                        heard(opus);
                    }
                }
                _ => {}
            }
        }
        self.waiting.drain(..used);
        if self.synced && !self.reached {
            self.seal_and_send(&wire::ping());
        }
        Ok(())
    }

    /// Keeps the connection alive on both channels.
    pub fn ping(&mut self) {
        self.seal_and_send(&wire::ping());
        // A connection that takes no more is found out at the next turn.
        let _ = self.tls.writer().write_all(&wire::framed(wire::PING, &[]));
        let _ = self.flush();
    }

    /// Speaks: one frame of 20 ms.
    pub fn speak(&mut self, opus: &[u8]) {
        let packet = wire::voice(self.sequence, opus);
        self.sequence += 2;
        self.seal_and_send(&packet);
    }

    fn seal_and_send(&mut self, plain: &[u8]) {
        if let Some(keys) = &mut self.keys {
            // What the kernel does not take is lost, as on any network.
            let _ = self.voice.send(&keys.seal(plain));
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        while self.tls.wants_write() {
            match self.tls.write_tls(&mut self.control) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
