//! UDP sockets connected to the server, many packets a system call.

use std::io;
use std::io::{IoSlice, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::sys::socket::sockopt::{RcvBuf, RcvBufForce, SndBuf, SndBufForce};
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrIn, recvmmsg, sendmmsg, setsockopt};

/// Messages a system call.
pub const BATCH: usize = 64;
/// No datagram is larger: QUIC's MTU discovery ends at 1,452 bytes.
const LARGEST: usize = 2_048;
/// Kernel buffer asked for.
const KERNEL_BUFFER: usize = 8 << 20;

/// A non-blocking socket that talks to one server.
///
/// # Errors
/// What the kernel says.
pub fn connected(server: SocketAddr) -> io::Result<UdpSocket> {
    let any = if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any)?;
    socket.connect(server)?;
    socket.set_nonblocking(true)?;
    enlarge(&socket)?;
    Ok(socket)
}

/// Gives `socket` room for bursts.
///
/// # Errors
/// What the kernel says.
pub fn enlarge(socket: &UdpSocket) -> io::Result<()> {
    // The forced variants need CAP_NET_ADMIN; the plain ones are cut to the system's limit.
    setsockopt(socket, RcvBufForce, &KERNEL_BUFFER).or_else(|_| setsockopt(socket, RcvBuf, &KERNEL_BUFFER))?;
    setsockopt(socket, SndBufForce, &KERNEL_BUFFER).or_else(|_| setsockopt(socket, SndBuf, &KERNEL_BUFFER))?;
    Ok(())
}

/// Buffers for one receive call, used again and again.
pub struct Inbox {
    headers: MultiHeaders<SockaddrIn>,
    buffers: Vec<[u8; LARGEST]>,
    lengths: [usize; BATCH],
    filled: usize,
}

impl Default for Inbox {
    fn default() -> Self {
        let headers = MultiHeaders::preallocate(BATCH, None);
        Self { headers, buffers: vec![[0; LARGEST]; BATCH], lengths: [0; BATCH], filled: 0 }
    }
}

impl Inbox {
    /// Receives what is there, at most [`BATCH`] datagrams; how many.
    ///
    /// # Errors
    /// What the kernel says, except that there is nothing, or that an earlier datagram was refused.
    pub fn receive(&mut self, socket: &UdpSocket) -> io::Result<usize> {
        let Self { headers, buffers, lengths, filled } = self;
        *filled = 0;
        let mut slices: Vec<[IoSliceMut<'_>; 1]> =
            buffers.iter_mut().map(|buffer| [IoSliceMut::new(buffer.as_mut_slice())]).collect();
        let received = recvmmsg(socket.as_raw_fd(), headers, slices.iter_mut(), MsgFlags::MSG_DONTWAIT, None);
        match received {
            Ok(messages) => {
                for (length, message) in lengths.iter_mut().zip(messages) {
                    *length = message.bytes;
                    *filled += 1;
                }
                Ok(*filled)
            }
            Err(Errno::EAGAIN | Errno::EINTR | Errno::ECONNREFUSED) => Ok(0),
            Err(error) => Err(error.into()),
        }
    }

    /// What was received.
    pub fn datagrams(&mut self) -> impl Iterator<Item = &mut [u8]> {
        let filled = self.buffers.iter_mut().zip(self.lengths).take(self.filled);
        filled.filter_map(|(buffer, length)| buffer.get_mut(..length))
    }
}

/// Datagrams that wait to be sent through one socket.
#[derive(Default)]
pub struct Outbox {
    waiting: Vec<Vec<u8>>,
}

impl Outbox {
    /// Adds one.
    pub fn push(&mut self, datagram: Vec<u8>) {
        self.waiting.push(datagram);
    }

    /// Nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Sends everything, giving the memory back to `spare`. What the kernel does not take is lost, as on any network.
    pub fn flush(&mut self, socket: &UdpSocket, headers: &mut MultiHeaders<SockaddrIn>, spare: &mut Vec<Vec<u8>>) {
        for batch in self.waiting.chunks(BATCH) {
            let slices: Vec<[IoSlice<'_>; 1]> = batch.iter().map(|one| [IoSlice::new(one)]).collect();
            let nowhere = [None; BATCH];
            let mut sent = 0;
            while sent < slices.len() {
                let rest = slices.get(sent..).unwrap_or_default();
                let flags = MsgFlags::MSG_DONTWAIT;
                match sendmmsg(socket.as_raw_fd(), headers, rest.iter(), nowhere, [], flags) {
                    Ok(messages) => sent += messages.count().max(1),
                    Err(Errno::EINTR) => {}
                    // ECONNREFUSED tells of an earlier datagram.
                    Err(_) => sent += 1,
                }
            }
        }
        for mut datagram in self.waiting.drain(..) {
            datagram.clear();
            spare.push(datagram);
        }
    }
}

/// Headers for [`Outbox::flush`], shared by all.
#[must_use]
pub fn send_headers() -> MultiHeaders<SockaddrIn> {
    MultiHeaders::preallocate(BATCH, None)
}
