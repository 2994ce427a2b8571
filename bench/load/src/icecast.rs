//! Listeners of an Ogg Opus stream over HTTP, and the source that feeds it: what Icecast serves.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use ogg::PacketWriter;
use ogg::writing::PacketWriteEndInfo;

use crate::crowd::{Crowd, Id, Next};
use crate::plan::Plan;
use crate::run::{Failure, Transport};

/// Path of the stream.
pub const MOUNT: &str = "/bench.opus";
/// Samples of a frame, at 48 kHz.
const FRAME_SAMPLES: u64 = 960;
/// Largest head of an answer, and largest page (RFC 3533 §6: 27 + 255 + 255 × 255).
const LARGEST: usize = 65_307;

struct Reader {
    stream: TcpStream,
    id: Id,
    waiting: Vec<u8>,
    in_body: bool,
}

/// See the module.
pub struct Listeners {
    server: SocketAddr,
    epoll: Epoll,
    readers: Vec<Option<Reader>>,
    buffer: Vec<u8>,
}

impl Listeners {
    /// Nobody is connected yet.
    ///
    /// # Errors
    /// There is no epoll.
    pub fn new(plan: &Plan) -> Result<Self, Failure> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        Ok(Self { server: plan.server, epoll, readers: Vec::new(), buffer: vec![0; LARGEST] })
    }
}

impl Transport for Listeners {
    fn dial(&mut self, id: Id, _crowd: &mut Crowd) -> Result<(), Failure> {
        let mut stream = TcpStream::connect(self.server)?;
        stream.write_all(format!("GET {MOUNT} HTTP/1.0\r\nHost: localhost\r\n\r\n").as_bytes())?;
        stream.set_nonblocking(true)?;
        self.epoll.add(&stream, EpollEvent::new(EpollFlags::EPOLLIN, self.readers.len() as u64))?;
        self.readers.push(Some(Reader { stream, id, waiting: Vec::new(), in_body: false }));
        Ok(())
    }

    fn step(&mut self, now_us: u64, crowd: &mut Crowd) -> Result<(), Failure> {
        let mut ready = [EpollEvent::empty(); 1_024];
        loop {
            let count = self.epoll.wait(&mut ready, EpollTimeout::ZERO)?;
            for event in ready.iter().take(count) {
                let Some(place) = self.readers.get_mut(event.data() as usize) else { continue };
                let Some(reader) = place else { continue };
                match reader.stream.read(&mut self.buffer) {
                    Ok(0) => {
                        crowd.failed(reader.id, || "the server hung up".into());
                        *place = None;
                    }
                    Ok(length) => {
                        reader.waiting.extend_from_slice(self.buffer.get(..length).unwrap_or_default());
                        if reader.take(now_us, crowd) == Next::Leave {
                            *place = None;
                        }
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    Err(error) => {
                        crowd.failed(reader.id, || error.to_string());
                        *place = None;
                    }
                }
            }
            if count < ready.len() {
                return Ok(());
            }
        }
    }
}

impl Reader {
    fn take(&mut self, now_us: u64, crowd: &mut Crowd) -> Next {
        let mut used = 0;
        if !self.in_body {
            let Some(end) = self.waiting.windows(4).position(|four| four == b"\r\n\r\n") else {
                return if self.waiting.len() > LARGEST { Next::Leave } else { Next::Stay };
            };
            if !self.waiting.split(|byte| *byte == b'\r').next().is_some_and(|line| line.ends_with(b" 200 OK")) {
                crowd.failed(self.id, || "the answer is not 200".into());
                return Next::Leave;
            }
            self.in_body = true;
            used = end + 4;
            crowd.joined(self.id, now_us);
        }
        while let Some((page, length)) = page(self.waiting.get(used..).unwrap_or_default()) {
            used += length;
            for packet in page.filter(|packet| !packet.starts_with(b"Opus")) {
                if crowd.frame(self.id, packet, None, now_us) == Next::Leave {
                    return Next::Leave;
                }
            }
        }
        self.waiting.drain(..used);
        Next::Stay
    }
}

/// Packets of the page at the start of `bytes`, and the page's length; `None` while it is not whole (RFC 3533 §6). The
/// bench's packets never run over a page's end.
fn page(bytes: &[u8]) -> Option<(impl Iterator<Item = &[u8]>, usize)> {
    let segments = usize::from(*bytes.get(26)?);
    let table = bytes.get(27..27 + segments)?;
    let length: usize = table.iter().map(|size| usize::from(*size)).sum();
    let mut body = bytes.get(27 + segments..27 + segments + length)?;
    let packets = table.split_inclusive(|size| *size < 255).filter_map(move |sizes| {
        let (packet, rest) = body.split_at_checked(sizes.iter().map(|size| usize::from(*size)).sum())?;
        body = rest;
        Some(packet)
    });
    Some((packets, 27 + segments + length))
}

/// Feeds an Icecast server, one page a frame, as a live source with no delay of its own would.
pub struct Source {
    pages: PacketWriter<'static, TcpStream>,
    frames: u64,
}

impl Source {
    /// Connects to `server` as the source of [`MOUNT`]; `password` is the server's.
    ///
    /// # Errors
    /// What the kernel says, or that the server refused.
    pub fn connect(server: SocketAddr, password: &str) -> Result<Self, Failure> {
        let mut stream = TcpStream::connect(server)?;
        stream.set_nodelay(true)?;
        let secret = BASE64_STANDARD.encode(format!("source:{password}"));
        let head = format!(
            "PUT {MOUNT} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic {secret}\r\nContent-Type: application/ogg\r\n\
             Expect: 100-continue\r\n\r\n"
        );
        stream.write_all(head.as_bytes())?;
        let mut answer = [0; 512];
        let length = stream.read(&mut answer)?;
        let answer = String::from_utf8_lossy(answer.get(..length).unwrap_or_default()).into_owned();
        if !answer.contains(" 100 ") && !answer.contains(" 200 ") {
            return Err(format!("the server refused its source: {answer}").into());
        }
        let mut pages = PacketWriter::new(stream);
        // RFC 7845 §5.1: version 1, one channel, 312 samples of pre-skip, 48 kHz, no gain, mapping family 0.
        let head = b"OpusHead\x01\x01\x38\x01\x80\xbb\x00\x00\x00\x00\x00".to_vec();
        pages.write_packet(head, 1, PacketWriteEndInfo::EndPage, 0)?;
        pages.write_packet(
            b"OpusTags\x05\x00\x00\x00bench\x00\x00\x00\x00".to_vec(),
            1,
            PacketWriteEndInfo::EndPage,
            0,
        )?;
        Ok(Self { pages, frames: 0 })
    }

    /// Sends one packet.
    ///
    /// # Errors
    /// The connection is gone.
    pub fn send(&mut self, packet: Vec<u8>) -> Result<(), Failure> {
        self.frames += 1;
        self.pages.write_packet(packet, 1, PacketWriteEndInfo::EndPage, self.frames * FRAME_SAMPLES)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_read_whole_or_not_at_all() {
        let mut writer = PacketWriter::new(Vec::new());
        writer.write_packet(vec![1; 300], 1, PacketWriteEndInfo::NormalPacket, 0).unwrap();
        writer.write_packet(vec![2; 80], 1, PacketWriteEndInfo::EndPage, 960).unwrap();
        let bytes = writer.into_inner();
        for cut in 0..bytes.len() {
            assert!(page(&bytes[..cut]).is_none(), "{cut}");
        }
        let (packets, length) = page(&bytes).unwrap();
        assert_eq!(length, bytes.len());
        assert_eq!(packets.map(<[u8]>::len).collect::<Vec<_>>(), [300, 80]);
    }
}
