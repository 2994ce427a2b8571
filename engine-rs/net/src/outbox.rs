//! What leaves an endpoint: its socket, the batch being filled for it, and what became of earlier ones.

use std::io;
use std::net::SocketAddr;

use quinn_proto::Transmit;

use crate::udp::{Outgoing, SendBatch, SendReport, Socket};

/// See the module.
pub(crate) struct Outbox {
    pub(crate) socket: Socket,
    batch: SendBatch,
    pub(crate) report: SendReport,
}

impl Outbox {
    /// Binds; see [`Socket::bind`].
    pub(crate) fn bind(address: SocketAddr, shared: bool) -> io::Result<Self> {
        let socket = Socket::bind(address, shared)?;
        Ok(Self { socket, batch: SendBatch::default(), report: SendReport::default() })
    }

    /// Makes sure that there is room for a message.
    pub(crate) fn make_room(&mut self) {
        if self.batch.is_full() {
            self.flush();
        }
    }

    /// The next message, empty; it counts once it is committed.
    pub(crate) fn vacant(&mut self) -> Option<&mut Outgoing> {
        self.batch.vacant()
    }

    /// The message from [`Outbox::vacant`] is filled.
    pub(crate) fn commit(&mut self) {
        self.batch.commit();
    }

    /// The same, filled by quinn-proto.
    pub(crate) fn commit_transmit(&mut self, transmit: &Transmit) {
        let Some(out) = self.batch.current() else { return };
        out.bytes.truncate(transmit.size);
        out.remote = transmit.destination;
        out.source = transmit.src_ip;
        out.ecn = transmit.ecn.map_or(0, |ecn| ecn as u8);
        out.segment = transmit.segment_size;
        self.batch.commit();
    }

    /// Hands the batch to the kernel. It is empty afterwards, whatever the kernel says.
    pub(crate) fn flush(&mut self) {
        if self.batch.is_empty() {
            return;
        }
        let report = self.socket.send(&mut self.batch);
        self.report.datagrams += report.datagrams;
        self.report.bytes += report.bytes;
        self.report.dropped += report.dropped;
        self.report.calls += report.calls;
    }
}
