//! A listener whose frames lie.

#![allow(unreachable_pub)] // part of one test

use std::collections::VecDeque;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use bytes::BytesMut;
use quinn_proto::crypto::ClientConfig as Crypto;
use quinn_proto::{
    ClientConfig, Connection, ConnectionError, ConnectionHandle, DatagramEvent, Dir, Endpoint, EndpointConfig, Event,
    TransportConfig,
};
use spaces_liar::{Lie, Lying};

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
        let lying = Lying::new(lie);
        let begun = lying.begin();
        let mut config = ClientConfig::new(lying.crypto(crypto));
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
