//! A QUIC client whose frames lie: under each 1-RTT packet that it seals, what stands in it is replaced.

#![allow(unreachable_pub)] // part of one test

use std::any::Any;
use std::collections::VecDeque;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use bytes::BytesMut;
use quinn_proto::crypto::{
    ClientConfig as Crypto, CryptoError, ExportKeyingMaterialError, HeaderKey, KeyPair, Keys, PacketKey, Session,
};
use quinn_proto::transport_parameters::TransportParameters;
use quinn_proto::{
    ClientConfig, ConnectError, Connection, ConnectionError, ConnectionHandle, ConnectionId, DatagramEvent, Dir,
    Endpoint, EndpointConfig, Event, Side, TransportConfig, TransportError,
};

/// What is said instead of the truth, once [`Liar::begin`] was called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// Nothing but PING: acknowledges nothing.
    Silent,
    /// Acknowledges all packets up to this number, whatever came.
    Optimist(u64),
    /// The truth.
    None,
}

/// Room for the longest lie, taken from the tag.
const ROOM: usize = 16;

struct Lying {
    inner: Arc<dyn Crypto>,
    lie: Lie,
    begun: Arc<AtomicBool>,
}

impl Crypto for Lying {
    fn start_session(
        self: Arc<Self>,
        version: u32,
        server_name: &str,
        params: &TransportParameters,
    ) -> Result<Box<dyn Session>, ConnectError> {
        let inner = Arc::clone(&self.inner).start_session(version, server_name, params)?;
        Ok(Box::new(LyingSession { inner, lie: self.lie, begun: Arc::clone(&self.begun), levels: 0 }))
    }
}

struct LyingSession {
    inner: Box<dyn Session>,
    lie: Lie,
    begun: Arc<AtomicBool>,
    levels: u8,
}

impl LyingSession {
    fn key(&self, inner: Box<dyn PacketKey>) -> Box<dyn PacketKey> {
        Box::new(LyingKey { inner, lie: self.lie, begun: Arc::clone(&self.begun) })
    }
}

impl Session for LyingSession {
    fn initial_keys(&self, dst_cid: &ConnectionId, side: Side) -> Keys {
        self.inner.initial_keys(dst_cid, side)
    }
    fn handshake_data(&self) -> Option<Box<dyn Any>> {
        self.inner.handshake_data()
    }
    fn peer_identity(&self) -> Option<Box<dyn Any>> {
        self.inner.peer_identity()
    }
    fn early_crypto(&self) -> Option<(Box<dyn HeaderKey>, Box<dyn PacketKey>)> {
        self.inner.early_crypto()
    }
    fn early_data_accepted(&self) -> Option<bool> {
        self.inner.early_data_accepted()
    }
    fn is_handshaking(&self) -> bool {
        self.inner.is_handshaking()
    }
    fn read_handshake(&mut self, buf: &[u8]) -> Result<bool, TransportError> {
        self.inner.read_handshake(buf)
    }
    fn transport_parameters(&self) -> Result<Option<TransportParameters>, TransportError> {
        self.inner.transport_parameters()
    }
    fn write_handshake(&mut self, buf: &mut Vec<u8>) -> Option<Keys> {
        let mut keys = self.inner.write_handshake(buf)?;
        self.levels += 1;
        if self.levels == 2 {
            keys.packet.local = self.key(keys.packet.local);
        }
        Some(keys)
    }
    fn next_1rtt_keys(&mut self) -> Option<KeyPair<Box<dyn PacketKey>>> {
        let keys = self.inner.next_1rtt_keys()?;
        Some(KeyPair { local: self.key(keys.local), remote: keys.remote })
    }
    fn is_valid_retry(&self, orig_dst_cid: &ConnectionId, header: &[u8], payload: &[u8]) -> bool {
        self.inner.is_valid_retry(orig_dst_cid, header, payload)
    }
    fn export_keying_material(
        &self,
        output: &mut [u8],
        label: &[u8],
        context: &[u8],
    ) -> Result<(), ExportKeyingMaterialError> {
        self.inner.export_keying_material(output, label, context)
    }
}

struct LyingKey {
    inner: Box<dyn PacketKey>,
    lie: Lie,
    begun: Arc<AtomicBool>,
}

impl PacketKey for LyingKey {
    fn encrypt(&self, packet: u64, buf: &mut [u8], header_len: usize) {
        let end = buf.len() - self.inner.tag_len();
        let payload = &mut buf[header_len..end];
        // What lies in the room is PADDING in front of the frames.
        payload.rotate_right(ROOM);
        if self.begun.load(Ordering::Relaxed) {
            match self.lie {
                Lie::None => {}
                Lie::Silent => {
                    payload.fill(0);
                    payload[0] = 1;
                }
                Lie::Optimist(number) => {
                    payload.fill(0);
                    payload[0] = 2;
                    payload[1..9].copy_from_slice(&(number | 3 << 62).to_be_bytes());
                    // The first range reaches down to the connection's first packets.
                    payload[11..15].copy_from_slice(&(number as u32 | 2 << 30).to_be_bytes());
                }
            }
        }
        self.inner.encrypt(packet, buf, header_len);
    }
    fn decrypt(&self, packet: u64, header: &[u8], payload: &mut BytesMut) -> Result<(), CryptoError> {
        self.inner.decrypt(packet, header, payload)
    }
    fn tag_len(&self) -> usize {
        self.inner.tag_len() + ROOM
    }
    fn confidentiality_limit(&self) -> u64 {
        self.inner.confidentiality_limit()
    }
    fn integrity_limit(&self) -> u64 {
        self.inner.integrity_limit()
    }
}

/// A listener over raw moqt-18.
pub struct Liar {
    endpoint: Endpoint,
    handle: ConnectionHandle,
    connection: Connection,
    socket: UdpSocket,
    server: SocketAddr,
    begun: Arc<AtomicBool>,
    connected: bool,
    pub datagrams: u64,
    pub bytes: u64,
    pub lost: Option<ConnectionError>,
}

impl Liar {
    pub fn dial(crypto: Arc<dyn Crypto>, server: SocketAddr, lie: Lie, transport: TransportConfig) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_nonblocking(true).unwrap();
        let begun = Arc::<AtomicBool>::default();
        let crypto = Lying { inner: crypto, lie, begun: Arc::clone(&begun) };
        let mut config = ClientConfig::new(Arc::new(crypto));
        config.transport_config(Arc::new(transport));
        let mut endpoint = Endpoint::new(Arc::new(EndpointConfig::default()), None, true, None);
        let (handle, connection) = endpoint.connect(Instant::now(), config, server, "localhost").unwrap();
        let (connected, lost) = (false, None);
        Self { endpoint, handle, connection, socket, server, begun, connected, datagrams: 0, bytes: 0, lost }
    }

    pub fn is_connected(&self) -> bool {
        self.connected
    }

    /// Lies from now on.
    pub fn begin(&self) {
        self.begun.store(true, Ordering::Relaxed);
    }

    /// SETUP with PATH, then a SUBSCRIBE for each track (draft-ietf-moq-transport-18); reads no answer.
    pub fn subscribe(&mut self, space: &str, tracks: &[&str]) {
        let path = format!("/spaces/{space}");
        let mut setup = vec![0xaf, 0x00, 0, path.len() as u8 + 2, 1, path.len() as u8];
        setup.extend_from_slice(path.as_bytes());
        self.write(Dir::Uni, &setup);
        for (index, track) in tracks.iter().enumerate() {
            let mut body = vec![index as u8 * 2, 2, 6];
            body.extend_from_slice(b"spaces");
            body.push(space.len() as u8);
            body.extend_from_slice(space.as_bytes());
            body.push(track.len() as u8);
            body.extend_from_slice(track.as_bytes());
            body.push(0);
            self.write(Dir::Bi, &[&[3, 0, body.len() as u8][..], &body].concat());
        }
    }

    fn write(&mut self, dir: Dir, bytes: &[u8]) {
        let id = self.connection.streams().open(dir).unwrap();
        assert_eq!(self.connection.send_stream(id).write(bytes).unwrap(), bytes.len());
    }

    /// Receives and sends what there is.
    pub fn turn(&mut self) {
        let mut buffer = [0; 2_000];
        let mut answer = Vec::new();
        while let Ok((length, _)) = self.socket.recv_from(&mut buffer) {
            self.bytes += length as u64;
            let data = BytesMut::from(&buffer[..length]);
            let now = Instant::now();
            if let Some(DatagramEvent::ConnectionEvent(_, event)) =
                self.endpoint.handle(now, self.server, None, None, data, &mut answer)
            {
                self.connection.handle_event(event);
            }
        }
        let now = Instant::now();
        if self.connection.poll_timeout().is_some_and(|at| at <= now) {
            self.connection.handle_timeout(now);
        }
        while let Some(event) = self.connection.poll_endpoint_events() {
            if let Some(event) = self.endpoint.handle_event(self.handle, event) {
                self.connection.handle_event(event);
            }
        }
        while let Some(event) = self.connection.poll() {
            match event {
                Event::Connected => self.connected = true,
                Event::ConnectionLost { reason } => self.lost = Some(reason),
                Event::DatagramReceived => {
                    while self.connection.datagrams().recv().is_some() {
                        self.datagrams += 1;
                    }
                }
                _ => {}
            }
        }
        let mut packets = VecDeque::new();
        let mut packet = Vec::new();
        while let Some(transmit) = self.connection.poll_transmit(now, 1, &mut packet) {
            packets.push_back(packet[..transmit.size].to_vec());
            packet.clear();
        }
        for packet in packets {
            let _ = self.socket.send_to(&packet, self.server); // as lossy as any network
        }
    }
}
