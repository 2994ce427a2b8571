//! A TCP connection that never blocks, plain or under TLS.
//!
//! rustls' own stream couples reading to writing: while a write is stuck it does not read. Here each goes on without the other.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use rustls::{ServerConfig, ServerConnection};

/// See the module.
#[derive(Debug)]
pub(crate) enum Wire {
    Plain(TcpStream),
    Tls(TcpStream, Box<ServerConnection>),
}

/// What the first byte says about what follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opening {
    Tls,
    Plain,
}

impl Opening {
    /// Looks at a connection without reading. `None`: nothing is there yet.
    ///
    /// # Errors
    /// It is gone.
    pub(crate) fn of(stream: &TcpStream) -> io::Result<Option<Self>> {
        let mut first = [0];
        match stream.peek(&mut first) {
            Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
            Ok(_) => Ok(Some(if first == [22] { Self::Tls } else { Self::Plain })), // RFC 8446 §5.1: handshake
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Wire {
    /// Answers a TLS client.
    ///
    /// # Errors
    /// [`rustls::Error`].
    pub(crate) fn tls(stream: TcpStream, config: Arc<ServerConfig>) -> Result<Self, rustls::Error> {
        let mut tls = ServerConnection::new(config)?;
        // What is written is encrypted at once, and waits for the socket in one place only.
        tls.set_buffer_limit(Some(64 * 1_024));
        Ok(Self::Tls(stream, Box::new(tls)))
    }

    pub(crate) fn stream(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) | Self::Tls(stream, _) => stream,
        }
    }

    /// Hands what TLS has to say to the socket. `WouldBlock`: some is left.
    fn push(stream: &mut TcpStream, tls: &mut ServerConnection) -> io::Result<()> {
        while tls.wants_write() {
            tls.write_tls(stream)?;
        }
        Ok(())
    }

    /// Says that nothing follows.
    pub(crate) fn farewell(&mut self) {
        if let Self::Tls(stream, tls) = self {
            tls.send_close_notify();
            let _ = Self::push(stream, tls); // who does not take it notices the end of the connection
        }
    }
}

impl AsFd for Wire {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream().as_fd()
    }
}

impl Read for Wire {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let (stream, tls) = match self {
            Self::Plain(stream) => return stream.read(out),
            Self::Tls(stream, tls) => (stream, tls),
        };
        loop {
            match tls.reader().read(out) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                done => return done,
            }
            let read = tls.read_tls(stream);
            let processed = tls.process_new_packets().map_err(|error| io::Error::new(ErrorKind::InvalidData, error));
            // The handshake's answers, and the alert that says what is wrong.
            match Self::push(stream, tls) {
                Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(error),
                _ => {}
            }
            processed?;
            if read? == 0 {
                return tls.reader().read(out);
            }
        }
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(bytes),
            Self::Tls(stream, tls) => {
                // What was accepted earlier goes first: nothing piles up in TLS.
                Self::push(stream, tls)?;
                let taken = tls.writer().write(bytes)?;
                match Self::push(stream, tls) {
                    Err(error) if error.kind() != ErrorKind::WouldBlock => Err(error),
                    _ => Ok(taken),
                }
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.flush(),
            Self::Tls(stream, tls) => Self::push(stream, tls),
        }
    }
}
