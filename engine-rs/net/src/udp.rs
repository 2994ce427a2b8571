//! The UDP socket: batches in, batches out. The one file with `unsafe`: `recvmmsg`, `sendmmsg`, socket options and control
//! messages, none of which `std` offers.
//!
//! What every `unsafe` block rests on: buffers that the kernel reads or writes are owned by [`ReceiveBatch`] or [`SendBatch`],
//! whose vectors are never resized between building the headers and the call's return; headers are built in the same function
//! that makes the call, and nothing keeps a pointer past it.
#![allow(unsafe_code)] // the crate's only reviewed exception: system calls without a safe wrapper

use std::io;
use std::mem::{size_of, zeroed};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use libc::{c_int, c_void, cmsghdr, iovec, mmsghdr, msghdr, sockaddr_storage, socklen_t};

/// Messages a system call.
pub const BATCH: usize = 64;
/// Largest UDP payload that one receive may return: a GRO train.
pub(crate) const RECEIVE_BUFFER: usize = 65_535;
/// Room for the control messages of one message: packet info and segment size, and ECN of what is sent.
const CONTROL: usize = 128;
/// Kernel buffer asked for, in each direction: 20 ms of 5,000 listeners at 1,200 bytes.
const KERNEL_BUFFER: c_int = 8 << 20;

/// Control buffers must be aligned like the headers in them.
#[repr(C, align(8))]
#[derive(Clone, Copy)]
struct Control([u8; CONTROL]);

/// One datagram train as received.
#[derive(Debug)]
pub struct Received<'a> {
    /// Sender.
    pub remote: SocketAddr,
    /// The address it was sent to, if the kernel said so.
    pub local: Option<IpAddr>,
    /// Length of each datagram in `bytes` except perhaps the last (GRO).
    pub segment: usize,
    /// One or more datagrams.
    pub bytes: &'a [u8],
}

/// One message to be sent; `SendBatch` owns it.
#[derive(Debug)]
pub struct Outgoing {
    /// Where to.
    pub remote: SocketAddr,
    /// Which local address to use.
    pub source: Option<IpAddr>,
    /// ECN bits.
    pub ecn: u8,
    /// Length of each datagram in `bytes` except perhaps the last (GSO); `None`: one datagram.
    pub segment: Option<usize>,
    /// What to send.
    pub bytes: Vec<u8>,
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SendReport {
    /// UDP datagrams handed to the kernel.
    pub datagrams: u64,
    /// Bytes of UDP payload handed to the kernel.
    pub bytes: u64,
    /// Messages dropped: the kernel's buffer stayed full, or it refused the message.
    pub dropped: u64,
    /// System calls.
    pub calls: u64,
}

/// A non-blocking UDP socket set up for QUIC.
#[derive(Debug)]
pub struct Socket {
    fd: OwnedFd,
    local: SocketAddr,
    segmentation: bool,
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Socket {
    /// Binds. With `share`, several sockets may have the same port and the kernel spreads peers over them (`SO_REUSEPORT`).
    ///
    /// # Errors
    /// What the kernel says of `socket` or `bind`; options that only improve matters may be missing.
    pub fn bind(address: SocketAddr, share: bool) -> io::Result<Self> {
        let family = if address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
        // SAFETY: no pointers; the result is checked before it is owned.
        let raw = unsafe { libc::socket(family, libc::SOCK_DGRAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC, 0) };
        if raw < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: `raw` is a fresh descriptor that nobody else owns.
        let fd = unsafe { OwnedFd::from_raw_fd(raw) };
        if share {
            set(&fd, libc::SOL_SOCKET, libc::SO_REUSEPORT, 1)?;
        }
        // The forced variants need CAP_NET_ADMIN; the plain ones are cut to the system's limit.
        for (force, plain) in [(libc::SO_RCVBUFFORCE, libc::SO_RCVBUF), (libc::SO_SNDBUFFORCE, libc::SO_SNDBUF)] {
            set(&fd, libc::SOL_SOCKET, force, KERNEL_BUFFER)
                .or_else(|_| set(&fd, libc::SOL_SOCKET, plain, KERNEL_BUFFER))?;
        }
        // Without any of these the connection still works: no known local address, no trains.
        // ECN marks of what comes in are not asked for: to tell one takes the kernel 0.1 µs, a sixth of what it takes to hand out an
        // acknowledgement, and speech does not slow down for them. Who hears of no counts stops marking (RFC 9000 §13.4.2).
        // A socket bound to one address sends from it and receives at it: nothing to ask, and nothing to say with each packet.
        let anywhere = address.ip().is_unspecified();
        if anywhere {
            let _ = set(&fd, libc::IPPROTO_IP, libc::IP_PKTINFO, 1);
        }
        let _ = set(&fd, libc::IPPROTO_UDP, libc::UDP_GRO, 1);
        if address.is_ipv6() {
            let _ = set(&fd, libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, 0);
            if anywhere {
                let _ = set(&fd, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1);
            }
            let _ = set(&fd, libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_PROBE);
        }
        // Path MTU discovery is QUIC's (RFC 8899): never fragment, and ignore the kernel's own estimate.
        let _ = set(&fd, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_PROBE);

        let (name, length) = to_sockaddr(address);
        // SAFETY: `name` is a valid address of `length` bytes that lives across the call.
        if unsafe { libc::bind(fd.as_raw_fd(), (&raw const name).cast(), length) } != 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: all-zero bytes are a valid sockaddr_storage.
        let mut name: sockaddr_storage = unsafe { zeroed() };
        let mut length = size_of::<sockaddr_storage>() as socklen_t;
        // SAFETY: `name` has room for `length` bytes.
        if unsafe { libc::getsockname(fd.as_raw_fd(), (&raw mut name).cast(), &raw mut length) } != 0 {
            return Err(io::Error::last_os_error());
        }
        let local = from_sockaddr(&name).ok_or_else(|| io::Error::other("socket has no IP address"))?;
        // Setting segment size 0 changes nothing and fails on kernels without UDP_SEGMENT.
        let segmentation = set(&fd, libc::IPPROTO_UDP, libc::UDP_SEGMENT, 0).is_ok();
        Ok(Self { fd, local, segmentation })
    }

    /// The address bound to.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Further sockets may be bound to this one's address from now on, with `share` (only by this user's processes).
    ///
    /// # Errors
    /// What the kernel says.
    pub fn let_others_in(&self) -> io::Result<()> {
        set(&self.fd, libc::SOL_SOCKET, libc::SO_REUSEPORT, 1)
    }

    /// Has the kernel choose by this program among all sockets that share the address, in place of the one before.
    ///
    /// # Errors
    /// The kernel does not, or the socket is alone.
    pub fn steer(&self, program: &[libc::sock_filter]) -> io::Result<()> {
        let length = u16::try_from(program.len()).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
        let program = libc::sock_fprog { len: length, filter: program.as_ptr().cast_mut() };
        // SAFETY: the kernel reads `length` instructions from `program`, which lives across the call, and writes nothing.
        let result = unsafe {
            libc::setsockopt(
                self.fd.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_ATTACH_REUSEPORT_CBPF,
                (&raw const program).cast::<c_void>(),
                size_of::<libc::sock_fprog>() as socklen_t,
            )
        };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// Datagrams that one message may carry to one peer (GSO).
    #[must_use]
    pub fn max_segments(&self) -> usize {
        if self.segmentation { 10 } else { 1 }
    }

    /// Receives what is there, at most [`BATCH`] messages. 0: nothing.
    ///
    /// # Errors
    /// What the kernel says; errors of earlier sends to dead peers are swallowed.
    pub fn receive(&self, batch: &mut ReceiveBatch) -> io::Result<usize> {
        batch.filled = 0;
        let mut vectors: [iovec; BATCH] = [iovec { iov_base: std::ptr::null_mut(), iov_len: 0 }; BATCH];
        // SAFETY: all-zero bytes are a valid mmsghdr.
        let mut headers: [mmsghdr; BATCH] = unsafe { zeroed() };
        let slots = vectors.iter_mut().zip(&mut headers);
        let memory = batch.buffers.iter_mut().zip(&mut batch.names).zip(&mut batch.controls);
        for ((vector, header), ((buffer, name), control)) in slots.zip(memory) {
            vector.iov_base = buffer.as_mut_ptr().cast();
            vector.iov_len = buffer.len();
            header.msg_hdr.msg_name = (&raw mut *name).cast();
            header.msg_hdr.msg_namelen = size_of::<sockaddr_storage>() as socklen_t;
            header.msg_hdr.msg_iov = vector;
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_control = control.0.as_mut_ptr().cast();
            header.msg_hdr.msg_controllen = CONTROL as _;
        }
        let count = loop {
            // SAFETY: BATCH headers, each pointing at buffers of `batch` and `vectors` that outlive the call.
            let count = unsafe {
                libc::recvmmsg(
                    self.fd.as_raw_fd(),
                    headers.as_mut_ptr(),
                    BATCH as _,
                    libc::MSG_DONTWAIT as _,
                    std::ptr::null_mut(),
                )
            };
            if count >= 0 {
                break count as usize;
            }
            let error = io::Error::last_os_error();
            match error.raw_os_error() {
                Some(libc::EAGAIN) => return Ok(0),
                // ICMP answers to earlier sends, and interruptions: the next call is a fresh one.
                Some(libc::EINTR | libc::ECONNREFUSED | libc::EHOSTUNREACH | libc::ENETUNREACH | libc::EMSGSIZE) => {}
                _ => return Err(error),
            }
        };
        for (meta, header) in batch.metas.iter_mut().zip(&headers).take(count) {
            *meta = Meta::read(header);
        }
        batch.filled = count;
        Ok(count)
    }

    /// Sends the whole batch and empties it. What the kernel does not take within 2 ms is dropped: late audio is worth nothing,
    /// and QUIC repairs the rest. So a batch never holds anything once this has returned.
    pub fn send(&mut self, batch: &mut SendBatch) -> SendReport {
        let mut report = SendReport::default();
        let mut start = 0;
        let mut patience = 2;
        while start < batch.used {
            report.calls += 1;
            match self.send_from(batch, start) {
                Ok(sent) => {
                    for out in batch.messages.iter().skip(start).take(sent) {
                        report.bytes += out.bytes.len() as u64;
                        report.datagrams += out.segment.map_or(1, |s| out.bytes.len().div_ceil(s.max(1))) as u64;
                    }
                    start += sent.max(1);
                }
                Err(error) => match error.raw_os_error() {
                    Some(libc::EINTR) => {}
                    Some(libc::EAGAIN | libc::ENOBUFS) if patience > 0 => {
                        patience -= 1;
                        self.wait_writable();
                    }
                    Some(libc::EAGAIN | libc::ENOBUFS) => {
                        report.dropped += (batch.used - start) as u64;
                        break;
                    }
                    // A device without checksum offload refuses trains: this one is lost, none is built again.
                    Some(libc::EIO | libc::EINVAL)
                        if batch.messages.get(start).is_some_and(|m| m.segment.is_some()) =>
                    {
                        self.segmentation = false;
                        report.dropped += 1;
                        start += 1;
                    }
                    // EMSGSIZE is an MTU probe that was too large; the others are this peer's path. The rest goes on.
                    _ => {
                        report.dropped += 1;
                        start += 1;
                    }
                },
            }
        }
        batch.clear();
        report
    }

    fn send_from(&self, batch: &mut SendBatch, start: usize) -> io::Result<usize> {
        // SAFETY: all-zero bytes are valid mmsghdr and sockaddr_storage values.
        let (mut headers, mut names): ([mmsghdr; BATCH], [sockaddr_storage; BATCH]) = unsafe { (zeroed(), zeroed()) };
        let mut vectors: [iovec; BATCH] = [iovec { iov_base: std::ptr::null_mut(), iov_len: 0 }; BATCH];
        let mut count = 0;
        let slots = headers.iter_mut().zip(&mut names).zip(&mut vectors).zip(&mut batch.controls);
        for ((((header, name), vector), control), out) in
            slots.zip(batch.messages.iter_mut().take(batch.used).skip(start))
        {
            let (address, length) = to_sockaddr(out.remote);
            *name = address;
            vector.iov_base = out.bytes.as_mut_ptr().cast();
            vector.iov_len = out.bytes.len();
            header.msg_hdr.msg_name = (&raw mut *name).cast();
            header.msg_hdr.msg_namelen = length;
            header.msg_hdr.msg_iov = vector;
            header.msg_hdr.msg_iovlen = 1;
            write_control(&mut header.msg_hdr, control, out);
            count += 1;
        }
        // SAFETY: `count` headers were filled above; all they point at outlives the call.
        let sent = unsafe {
            libc::sendmmsg(
                self.fd.as_raw_fd(),
                headers.as_mut_ptr(),
                count,
                (libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) as _,
            )
        };
        if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(sent as usize) }
    }

    fn wait_writable(&self) {
        let mut poll = libc::pollfd { fd: self.fd.as_raw_fd(), events: libc::POLLOUT, revents: 0 };
        // SAFETY: one pollfd that lives across the call.
        unsafe { libc::poll(&raw mut poll, 1, 1) };
    }
}

fn set(fd: &OwnedFd, level: c_int, name: c_int, value: c_int) -> io::Result<()> {
    // SAFETY: the option value is a c_int of the stated size that lives across the call.
    let result = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            level,
            name,
            (&raw const value).cast::<c_void>(),
            size_of::<c_int>() as socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Buffers of one receive call.
pub struct ReceiveBatch {
    buffers: Vec<Box<[u8]>>,
    names: Vec<sockaddr_storage>,
    controls: Vec<Control>,
    metas: Vec<Meta>,
    filled: usize,
}

impl Default for ReceiveBatch {
    fn default() -> Self {
        // SAFETY: all-zero bytes are a valid sockaddr_storage.
        let name: sockaddr_storage = unsafe { zeroed() };
        Self {
            buffers: (0..BATCH).map(|_| vec![0; RECEIVE_BUFFER].into_boxed_slice()).collect(),
            names: vec![name; BATCH],
            controls: vec![Control([0; CONTROL]); BATCH],
            metas: vec![Meta::default(); BATCH],
            filled: 0,
        }
    }
}

impl ReceiveBatch {
    /// What the last [`Socket::receive`] got.
    pub fn iter(&self) -> impl Iterator<Item = Received<'_>> {
        self.buffers.iter().zip(&self.names).zip(&self.metas).take(self.filled).filter_map(|((buffer, name), meta)| {
            let bytes = buffer.get(..meta.length).filter(|bytes| !bytes.is_empty() && !meta.truncated)?;
            let segment = if meta.segment == 0 { bytes.len() } else { meta.segment };
            Some(Received { remote: from_sockaddr(name)?, local: meta.local, segment, bytes })
        })
    }
}

#[derive(Clone, Copy, Default)]
struct Meta {
    length: usize,
    segment: usize,
    truncated: bool,
    local: Option<IpAddr>,
}

impl Meta {
    fn read(header: &mmsghdr) -> Self {
        let truncated = header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0;
        let mut meta = Self { length: header.msg_len as usize, truncated, ..Self::default() };
        // SAFETY: the kernel filled this header's control buffer, which lives in the batch; CMSG_* walk within its length, and
        // each payload is read unaligned in the type that the kernel documents for its level and type.
        unsafe {
            let mut control: *const cmsghdr = libc::CMSG_FIRSTHDR(&raw const header.msg_hdr);
            while let Some(head) = control.as_ref() {
                let data = libc::CMSG_DATA(control);
                match (head.cmsg_level, head.cmsg_type) {
                    (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                        let info = data.cast::<libc::in_pktinfo>().read_unaligned();
                        meta.local = Some(IpAddr::V4(Ipv4Addr::from(info.ipi_addr.s_addr.to_ne_bytes())));
                    }
                    (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                        let info = data.cast::<libc::in6_pktinfo>().read_unaligned();
                        meta.local = Some(IpAddr::V6(Ipv6Addr::from(info.ipi6_addr.s6_addr)));
                    }
                    (libc::IPPROTO_UDP, libc::UDP_GRO) => {
                        meta.segment = data.cast::<c_int>().read_unaligned().max(0) as usize;
                    }
                    _ => {}
                }
                control = libc::CMSG_NXTHDR(&raw const header.msg_hdr, control);
            }
        }
        meta
    }
}

/// Messages to be sent, and their memory, which is used again.
pub struct SendBatch {
    messages: Vec<Outgoing>,
    controls: Vec<Control>,
    used: usize,
}

impl Default for SendBatch {
    fn default() -> Self {
        let nowhere = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0));
        let empty = |_| Outgoing { remote: nowhere, source: None, ecn: 0, segment: None, bytes: Vec::new() };
        Self { messages: (0..BATCH).map(empty).collect(), controls: vec![Control([0; CONTROL]); BATCH], used: 0 }
    }
}

impl SendBatch {
    /// No room: send first.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.used == self.messages.len()
    }

    /// Nothing to send.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.used == 0
    }

    /// The next free message, with its bytes cleared; count it in with [`SendBatch::commit`].
    pub fn vacant(&mut self) -> Option<&mut Outgoing> {
        let message = self.messages.get_mut(self.used)?;
        message.bytes.clear();
        Some(message)
    }

    /// The message that [`SendBatch::vacant`] gave out last, as it was filled.
    pub(crate) fn current(&mut self) -> Option<&mut Outgoing> {
        self.messages.get_mut(self.used)
    }

    /// The message from [`SendBatch::vacant`] is complete.
    pub fn commit(&mut self) {
        self.used = (self.used + 1).min(self.messages.len());
    }

    fn clear(&mut self) {
        self.used = 0;
    }
}

fn write_control(header: &mut msghdr, control: &mut Control, out: &Outgoing) {
    header.msg_control = control.0.as_mut_ptr().cast();
    header.msg_controllen = CONTROL as _;
    let mut used = 0;
    // SAFETY: the buffer is CONTROL bytes, zeroed below before use, 8-aligned; the largest set (IPv6 packet info 40, ECN 24,
    // segment 24 bytes with their headers) is under CONTROL, so CMSG_NXTHDR never leaves it; a null header ends the chain.
    unsafe {
        control.0 = [0; CONTROL];
        let mut slot = libc::CMSG_FIRSTHDR(header);
        let mut put = |level: c_int, kind: c_int, data: *const u8, length: usize| {
            let Some(head) = slot.as_mut() else { return };
            head.cmsg_level = level;
            head.cmsg_type = kind;
            head.cmsg_len = libc::CMSG_LEN(length as u32) as _;
            std::ptr::copy_nonoverlapping(data, libc::CMSG_DATA(slot), length);
            used += libc::CMSG_SPACE(length as u32) as usize;
            slot = libc::CMSG_NXTHDR(header, slot);
        };
        if out.ecn != 0 {
            let tos = c_int::from(out.ecn);
            let v4 = match out.remote {
                SocketAddr::V4(_) => true,
                SocketAddr::V6(address) => address.ip().to_ipv4_mapped().is_some(),
            };
            let (level, kind) =
                if v4 { (libc::IPPROTO_IP, libc::IP_TOS) } else { (libc::IPPROTO_IPV6, libc::IPV6_TCLASS) };
            put(level, kind, (&raw const tos).cast(), size_of::<c_int>());
        }
        match out.source {
            Some(IpAddr::V4(ip)) => {
                let mut info: libc::in_pktinfo = zeroed();
                info.ipi_spec_dst.s_addr = u32::from_ne_bytes(ip.octets());
                put(libc::IPPROTO_IP, libc::IP_PKTINFO, (&raw const info).cast(), size_of::<libc::in_pktinfo>());
            }
            Some(IpAddr::V6(ip)) => {
                let mut info: libc::in6_pktinfo = zeroed();
                info.ipi6_addr.s6_addr = ip.octets();
                put(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, (&raw const info).cast(), size_of::<libc::in6_pktinfo>());
            }
            None => {}
        }
        if let Some(segment) = out.segment {
            let size = segment as u16;
            put(libc::IPPROTO_UDP, libc::UDP_SEGMENT, (&raw const size).cast(), size_of::<u16>());
        }
    }
    header.msg_controllen = used as _;
    if used == 0 {
        header.msg_control = std::ptr::null_mut();
    }
}

fn to_sockaddr(address: SocketAddr) -> (sockaddr_storage, socklen_t) {
    // SAFETY: all-zero bytes are a valid sockaddr_storage, which is large and aligned enough for both kinds written into it.
    unsafe {
        let mut storage: sockaddr_storage = zeroed();
        let length = match address {
            SocketAddr::V4(v4) => {
                let name = &mut *(&raw mut storage).cast::<libc::sockaddr_in>();
                name.sin_family = libc::AF_INET as _;
                name.sin_port = v4.port().to_be();
                name.sin_addr.s_addr = u32::from_ne_bytes(v4.ip().octets());
                size_of::<libc::sockaddr_in>()
            }
            SocketAddr::V6(v6) => {
                let name = &mut *(&raw mut storage).cast::<libc::sockaddr_in6>();
                name.sin6_family = libc::AF_INET6 as _;
                name.sin6_port = v6.port().to_be();
                name.sin6_flowinfo = v6.flowinfo();
                name.sin6_scope_id = v6.scope_id();
                name.sin6_addr.s6_addr = v6.ip().octets();
                size_of::<libc::sockaddr_in6>()
            }
        };
        (storage, length as socklen_t)
    }
}

fn from_sockaddr(storage: &sockaddr_storage) -> Option<SocketAddr> {
    // SAFETY: the family says which kind the storage holds; sockaddr_storage is large and aligned enough for both.
    unsafe {
        match c_int::from(storage.ss_family) {
            libc::AF_INET => {
                let name = &*(&raw const *storage).cast::<libc::sockaddr_in>();
                let ip = Ipv4Addr::from(name.sin_addr.s_addr.to_ne_bytes());
                Some(SocketAddr::V4(SocketAddrV4::new(ip, u16::from_be(name.sin_port))))
            }
            libc::AF_INET6 => {
                let name = &*(&raw const *storage).cast::<libc::sockaddr_in6>();
                let (ip, port) = (Ipv6Addr::from(name.sin6_addr.s6_addr), u16::from_be(name.sin6_port));
                Some(SocketAddr::V6(SocketAddrV6::new(ip, port, name.sin6_flowinfo, name.sin6_scope_id)))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn any() -> SocketAddr {
        "127.0.0.1:0".parse().unwrap()
    }

    fn queue(batch: &mut SendBatch, remote: SocketAddr, ecn: u8, segment: Option<usize>, bytes: &[u8]) {
        let out = batch.vacant().unwrap();
        (out.remote, out.source, out.ecn, out.segment) = (remote, None, ecn, segment);
        out.bytes.extend_from_slice(bytes);
        batch.commit();
    }

    fn receive_all(socket: &Socket, datagrams: usize) -> Vec<Vec<u8>> {
        let mut batch = ReceiveBatch::default();
        let mut got = Vec::new();
        for _ in 0..1_000 {
            socket.receive(&mut batch).unwrap();
            for train in batch.iter() {
                got.extend(train.bytes.chunks(train.segment).map(<[u8]>::to_vec));
            }
            if got.len() >= datagrams {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        got
    }

    #[test]
    fn one_batch_reaches_several_peers() {
        let mut from = Socket::bind(any(), false).unwrap();
        let to = [Socket::bind(any(), false).unwrap(), Socket::bind(any(), false).unwrap()];
        let mut batch = SendBatch::default();
        for (n, socket) in (1u8..).zip(&to) {
            queue(&mut batch, socket.local_addr(), 0, None, &[n; 300]);
        }
        let report = from.send(&mut batch);
        assert_eq!(report, SendReport { datagrams: 2, bytes: 600, dropped: 0, calls: 1 });
        assert!(batch.is_empty());
        for (n, socket) in (1u8..).zip(&to) {
            assert_eq!(receive_all(socket, 1), [vec![n; 300]]);
        }
    }

    #[test]
    fn packets_leave_with_their_ecn_bits() {
        let mut from = Socket::bind(any(), false).unwrap();
        let to = Socket::bind(any(), false).unwrap();
        set(&to.fd, libc::IPPROTO_IP, libc::IP_RECVTOS, 1).unwrap();
        let mut batch = SendBatch::default();
        for ecn in [2, 0, 1] {
            queue(&mut batch, to.local_addr(), ecn, None, b"marked");
        }
        from.send(&mut batch);
        assert_eq!([(); 3].map(|()| tos(&to)), [2, 0, 1]);
    }

    /// The type of service of the next datagram, as the kernel tells it who asks.
    fn tos(socket: &Socket) -> u8 {
        let mut control = Control([0; CONTROL]);
        // SAFETY: all-zero bytes are a valid msghdr, which then has room for control messages and none for bytes; the kernel fills
        // it within the call, and tells nothing but what this test asked for.
        unsafe {
            let mut header: msghdr = zeroed();
            header.msg_control = control.0.as_mut_ptr().cast();
            header.msg_controllen = CONTROL as _;
            assert!(libc::recvmsg(socket.fd.as_raw_fd(), &raw mut header, 0) >= 0, "{}", io::Error::last_os_error());
            libc::CMSG_DATA(libc::CMSG_FIRSTHDR(&raw const header)).read()
        }
    }

    #[test]
    fn a_train_arrives_as_its_datagrams() {
        let mut from = Socket::bind(any(), false).unwrap();
        if from.max_segments() == 1 {
            return;
        }
        let to = Socket::bind(any(), false).unwrap();
        let mut batch = SendBatch::default();
        let bytes: Vec<u8> = (0..2_500).map(|n| (n / 1_000) as u8).collect();
        queue(&mut batch, to.local_addr(), 0, Some(1_000), &bytes);
        assert_eq!(from.send(&mut batch).datagrams, 3);
        let got = receive_all(&to, 3);
        assert_eq!(got, [vec![0; 1_000], vec![1; 1_000], vec![2; 500]]);
    }

    #[test]
    fn one_refused_message_does_not_hold_up_the_others() {
        let mut from = Socket::bind(any(), false).unwrap();
        let to = Socket::bind(any(), false).unwrap();
        let mut batch = SendBatch::default();
        queue(&mut batch, to.local_addr(), 0, None, b"before");
        queue(&mut batch, "127.0.0.1:0".parse().unwrap(), 0, None, b"port 0 is invalid");
        queue(&mut batch, to.local_addr(), 0, None, b"after");
        let report = from.send(&mut batch);
        assert_eq!((report.datagrams, report.dropped), (2, 1));
        assert_eq!(receive_all(&to, 2), [b"before".to_vec(), b"after".to_vec()]);
    }

    #[test]
    fn addresses_survive_the_kernel_form() {
        for text in ["1.2.3.4:5", "[2001:db8::1]:443", "[::ffff:1.2.3.4]:9"] {
            let address: SocketAddr = text.parse().unwrap();
            assert_eq!(from_sockaddr(&to_sockaddr(address).0), Some(address));
        }
    }
}
