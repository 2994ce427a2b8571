//! The ceiling of any encrypted fan-out on this machine: seal with AES-128-GCM, hand 64 packets to `sendmmsg`, nothing else.
//!
//! Usage: `limit ADDRESS…`; a line `SIZE SEGMENTS SECONDS` on standard input is a measurement, answered with one JSON
//! line. Packets go round the addresses, sockets that somebody else drains, as often as can be; no timer, no state, no ACKs.
//! SEGMENTS over 1 is segmentation offload, several packets to one peer in one message: what a server could do
//! only if it had several packets for the same listener at once.

#![forbid(unsafe_code)]

use std::error::Error;
use std::io::{BufRead, IoSlice};
use std::net::{SocketAddr, SocketAddrV4, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::socket::sockopt::{SndBuf, SndBufForce};
use nix::sys::socket::{ControlMessage, MsgFlags, MultiHeaders, SockaddrIn, sendmmsg, setsockopt};
use nix::sys::time::TimeValLike;
use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

/// Messages a system call.
const BATCH: usize = 64;
/// Short header of QUIC: flags, connection id, packet number (RFC 9000 §17.3).
const HEADER: usize = 11;
/// AES-GCM's tag.
const TAG: usize = 16;

fn main() -> Result<(), Box<dyn Error>> {
    let addresses: Result<Vec<SocketAddrV4>, _> = std::env::args().skip(1).map(|address| address.parse()).collect();
    let addresses = addresses?;
    if addresses.is_empty() {
        return Err("usage: limit ADDRESS… (IPv4 sockets that somebody drains)".into());
    }
    let socket = UdpSocket::bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
    setsockopt(&socket, SndBufForce, &(8 << 20)).or_else(|_| setsockopt(&socket, SndBuf, &(8 << 20)))?;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let numbers: Result<Vec<u64>, _> = line.split_whitespace().map(str::parse).collect();
        let [size, segments, seconds] = numbers?.try_into().map_err(|_| "a line is: SIZE SEGMENTS SECONDS")?;
        let limit = Limit::new(&socket, &addresses, size as usize, segments as usize)?;
        let (packets, cpu) = limit.run(Duration::from_secs(seconds))?;
        println!(
            "{{\"size\": {size}, \"segments\": {segments}, \"packets\": {packets}, \"cpu_seconds\": {cpu:.4}, \
             \"packets_per_core_second\": {:.0}}}",
            packets as f64 / cpu
        );
    }
    Ok(())
}

struct Limit<'a> {
    socket: &'a UdpSocket,
    addresses: &'a [SocketAddrV4],
    key: LessSafeKey,
    plain: Vec<u8>,
    size: usize,
    segments: usize,
}

impl<'a> Limit<'a> {
    fn new(
        socket: &'a UdpSocket,
        addresses: &'a [SocketAddrV4],
        size: usize,
        segments: usize,
    ) -> Result<Self, Box<dyn Error>> {
        if size <= HEADER + TAG || segments == 0 || size * segments > 65_000 {
            return Err("a packet has 28 bytes at least, a message 65,000 at most".into());
        }
        let key = UnboundKey::new(&AES_128_GCM, &[7; 16]).map_err(|_| "no AES-128-GCM")?;
        let plain = vec![0x5a; size - HEADER - TAG];
        Ok(Self { socket, addresses, key: LessSafeKey::new(key), plain, size, segments })
    }

    /// Packets sent, and the processor time that it took.
    fn run(&self, time: Duration) -> Result<(u64, f64), Box<dyn Error>> {
        // Room for control messages that is not used is taken for a message, and refused.
        let room = (self.segments > 1).then(|| nix::cmsg_space!(u16));
        let mut headers = MultiHeaders::<SockaddrIn>::preallocate(BATCH, room);
        let mut messages: Vec<Vec<u8>> = (0..BATCH).map(|_| Vec::with_capacity(self.size * self.segments)).collect();
        let mut targets = self.addresses.iter().cycle().map(|address| Some(SockaddrIn::from(*address)));
        let segment = self.size as u16;
        let offload = [ControlMessage::UdpGsoSegments(&segment)];
        let controls = if self.segments > 1 { &offload[..] } else { &[] };
        let (mut sent, mut number) = (0u64, 0u64);
        let end = Instant::now() + time;
        let before = cpu_seconds()?;
        while Instant::now() < end {
            for message in &mut messages {
                message.clear();
                for _ in 0..self.segments {
                    self.seal(message, number)?;
                    number += 1;
                }
            }
            let names: Vec<Option<SockaddrIn>> = targets.by_ref().take(BATCH).collect();
            let slices: Vec<[IoSlice<'_>; 1]> = messages.iter().map(|message| [IoSlice::new(message)]).collect();
            match sendmmsg(self.socket.as_raw_fd(), &mut headers, slices.iter(), &names, controls, MsgFlags::empty()) {
                Ok(results) => sent += results.count() as u64 * self.segments as u64,
                Err(Errno::EINTR | Errno::ECONNREFUSED) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok((sent, cpu_seconds()? - before))
    }

    fn seal(&self, out: &mut Vec<u8>, number: u64) -> Result<(), Box<dyn Error>> {
        let start = out.len();
        out.extend_from_slice(&[0x40; HEADER]);
        out.extend_from_slice(&self.plain);
        let mut nonce = [0; 12];
        nonce.iter_mut().skip(4).zip(number.to_be_bytes()).for_each(|(to, from)| *to = from);
        let (header, body) =
            out.get_mut(start..).and_then(|packet| packet.split_at_mut_checked(HEADER)).ok_or("empty")?;
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = self.key.seal_in_place_separate_tag(nonce, Aad::from(&*header), body).map_err(|_| "cannot seal")?;
        out.extend_from_slice(tag.as_ref());
        Ok(())
    }
}

fn cpu_seconds() -> Result<f64, Errno> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    Ok((usage.user_time().num_microseconds() + usage.system_time().num_microseconds()) as f64 / 1e6)
}
