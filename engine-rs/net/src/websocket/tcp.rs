//! TCP as audio wants it: nothing waits to be joined with more, and next to nothing unsent lies in the kernel, where it could
//! neither be dropped as late nor be taken back as silenced.
#![allow(unsafe_code)] // reviewed: two system calls that no crate of ours wraps, on one integer each

use std::ffi::c_void;
use std::io;
use std::mem::size_of;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use libc::c_int;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, ipproto, listen, socket_with, sockopt};

/// Connections that the kernel may hold until they are taken in.
const BACKLOG: i32 = 1_024;
/// Unsent bytes from which on the kernel takes no more: a few ticks.
const UNSENT: u32 = 2 * 1_024;

// linux/tcp.h and linux/sockios.h; libc has them for some systems only.
const TCP_NOTSENT_LOWAT: c_int = 25;
const SIOCOUTQNSD: libc::Ioctl = 0x894b;

/// A listener that never blocks; with `shared` other shards listen on the same port.
///
/// # Errors
/// What the kernel says.
pub(crate) fn listener(address: SocketAddr, shared: bool) -> io::Result<TcpListener> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket: OwnedFd = socket_with(family, SocketType::STREAM, flags, Some(ipproto::TCP))?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    if shared {
        sockopt::set_socket_reuseport(&socket, true)?;
    }
    bind(&socket, &address)?;
    listen(&socket, BACKLOG)?;
    Ok(socket.into())
}

/// Further listeners, of this user's processes, may share this one's port.
///
/// # Errors
/// What the kernel says.
pub(crate) fn let_others_in(listener: &TcpListener) -> io::Result<()> {
    Ok(sockopt::set_socket_reuseport(listener, true)?)
}

/// Prepares a connection that was taken in.
///
/// # Errors
/// It is gone.
pub(crate) fn prepare(stream: &TcpStream, idle: Duration) -> io::Result<()> {
    stream.set_nonblocking(true)?;
    stream.set_nodelay(true)?;
    // Who acknowledges nothing for so long is gone, whatever our own pings say (RFC 5482).
    sockopt::set_tcp_user_timeout(stream, u32::try_from(idle.as_millis()).unwrap_or(u32::MAX))?;
    set(stream, TCP_NOTSENT_LOWAT, UNSENT)
}

/// Resets the connection when it is dropped: what the kernel still holds is not sent.
pub(crate) fn reset_on_drop(stream: &TcpStream) {
    let _ = sockopt::set_socket_linger(stream, Some(Duration::ZERO)); // on one that is gone there is nothing to reset
}

/// Bytes in the kernel that were never sent; none of a connection that is gone.
pub(crate) fn unsent(stream: &TcpStream) -> usize {
    let mut bytes: c_int = 0;
    // SAFETY: the kernel writes one `int` to `bytes`, which is ours alone and lives to the end of the call.
    let result = unsafe { libc::ioctl(stream.as_raw_fd(), SIOCOUTQNSD, &raw mut bytes) };
    if result == 0 { usize::try_from(bytes).unwrap_or(0) } else { 0 }
}

fn set(stream: &TcpStream, option: c_int, value: u32) -> io::Result<()> {
    let length = size_of::<u32>() as libc::socklen_t;
    // SAFETY: the kernel reads `length` bytes from `value`, which lives to the end of the call.
    let result = unsafe {
        let value = (&raw const value).cast::<c_void>();
        libc::setsockopt(stream.as_raw_fd(), libc::IPPROTO_TCP, option, value, length)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
