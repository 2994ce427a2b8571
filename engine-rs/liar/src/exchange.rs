//! A client's TLS whose 1-RTT keys are exchanged for others on their way to quinn-proto.

use std::any::Any;
use std::sync::Arc;

use quinn_proto::crypto::{
    ClientConfig as Crypto, ExportKeyingMaterialError, HeaderKey, KeyPair, Keys, PacketKey, Session,
};
use quinn_proto::transport_parameters::TransportParameters;
use quinn_proto::{ConnectError, ConnectionId, Side, TransportError};

/// What comes of a connection's 1-RTT keys.
pub trait Exchange: Send + Sync + 'static {
    /// The first ones.
    fn first(&self, keys: Keys) -> Keys;

    /// Those of a key phase behind the first (RFC 9001 §6). quinn-proto asks for them long before it uses them.
    fn next(&self, keys: KeyPair<Box<dyn PacketKey>>) -> KeyPair<Box<dyn PacketKey>>;
}

/// See the module.
pub struct Exchanged {
    inner: Arc<dyn Crypto>,
    exchange: Arc<dyn Exchange>,
}

impl Exchanged {
    /// For one connection, unless `exchange` can keep several apart.
    #[must_use]
    pub fn new(inner: Arc<dyn Crypto>, exchange: Arc<dyn Exchange>) -> Self {
        Self { inner, exchange }
    }
}

impl Crypto for Exchanged {
    fn start_session(
        self: Arc<Self>,
        version: u32,
        server_name: &str,
        params: &TransportParameters,
    ) -> Result<Box<dyn Session>, ConnectError> {
        let inner = Arc::clone(&self.inner).start_session(version, server_name, params)?;
        Ok(Box::new(ExchangedSession { inner, exchange: Arc::clone(&self.exchange), levels: 0 }))
    }
}

struct ExchangedSession {
    inner: Box<dyn Session>,
    exchange: Arc<dyn Exchange>,
    /// Sets of keys handed out: handshake, then 1-RTT.
    levels: u8,
}

impl Session for ExchangedSession {
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
        let keys = self.inner.write_handshake(buf)?;
        self.levels = self.levels.saturating_add(1);
        Some(if self.levels == 2 { self.exchange.first(keys) } else { keys })
    }
    fn next_1rtt_keys(&mut self) -> Option<KeyPair<Box<dyn PacketKey>>> {
        self.inner.next_1rtt_keys().map(|keys| self.exchange.next(keys))
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
