//! A connection's streams: opening, writing within bounds, giving up.
//!
//! quinn-proto buffers up to its send window; what a slow peer leaves over waits here, up to a bound. Over it the stream is
//! reset, because old audio is worth nothing and memory is not endless.

use bytes::{Buf, Bytes, BytesMut};
use quinn_proto::{Dir, VarInt, WriteError};
use spaces_moqt::seam::{StreamId, Transport};
use web_transport_proto::{error_from_http3, error_to_http3};

use crate::connection::{Connection, Layer};
use crate::notice::{Closed, Incoming, Notice, Phase};

/// Bytes of one stream that wait outside quinn-proto for a slow peer; over it the stream is reset. Fits a `state` snapshot.
const STREAM_BOUND: usize = 96 * 1_024;
/// The same for all streams of a connection together; over it the oldest is reset.
const CONNECTION_BOUND: usize = 256 * 1_024;
/// The code of such a reset (ours; both drafts leave the range to applications).
pub const RESET_SLOW_PEER: u64 = 0x53f0;

/// A stream's direction, from us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Half {
    Receive,
    Send,
}

/// What waits for one stream.
pub(crate) struct Pending {
    pub(crate) id: u64,
    bytes: BytesMut,
    fin: bool,
}

impl Connection {
    /// Bytes of stream data that wait for a slow peer outside QUIC's own windows.
    #[must_use]
    pub fn backlog(&self) -> usize {
        self.pending.iter().map(|pending| pending.bytes.len()).sum()
    }

    /// Our application codes are mapped into HTTP/3's space (draft-ietf-webtrans-http3 §4.4) and back.
    pub(crate) fn code_out(&self, code: u64) -> VarInt {
        let code = if self.is_web() { error_to_http3(u32::try_from(code).unwrap_or(u32::MAX)) } else { code };
        VarInt::from_u64(code).unwrap_or(VarInt::MAX)
    }

    pub(crate) fn code_in(&self, code: u64) -> u64 {
        if self.is_web() { error_from_http3(code).map_or(0, u64::from) } else { code }
    }

    pub(crate) fn open(&mut self, dir: Dir) -> Option<StreamId> {
        if self.phase != Phase::Open {
            return None;
        }
        let id = u64::from(self.quic.streams().open(dir)?);
        if let Layer::Web(http) = &self.layer {
            let prefix = http.stream_prefix(dir == Dir::Bi);
            self.write_bytes(id, &prefix, false);
        }
        Some(StreamId(id))
    }

    /// Has our send half of `id` any meaning? quinn-proto asserts it.
    pub(crate) fn quic_id(&self, id: u64, sending: bool) -> Option<quinn_proto::StreamId> {
        let id = quinn_proto::StreamId::from(VarInt::from_u64(id).ok()?);
        let local = id.initiator() == self.quic.side();
        (id.dir() == Dir::Bi || local == sending).then_some(id)
    }

    pub(crate) fn write_bytes(&mut self, id: u64, data: &[u8], fin: bool) {
        let Some(stream) = self.quic_id(id, true) else { return };
        let mut written = 0;
        if !self.pending.iter().any(|pending| pending.id == id) {
            while written < data.len() {
                match self.quic.send_stream(stream).write(data.get(written..).unwrap_or_default()) {
                    Ok(bytes) => written += bytes,
                    Err(WriteError::Blocked) => break,
                    Err(WriteError::Stopped(_) | WriteError::ClosedStream) => return,
                }
            }
            if written == data.len() {
                if fin {
                    let _ = self.quic.send_stream(stream).finish(); // fails only on a stream that the peer stopped
                }
                return;
            }
            self.pending.push(Pending { id, bytes: BytesMut::new(), fin: false });
        }
        let Some(pending) = self.pending.iter_mut().find(|pending| pending.id == id) else { return };
        pending.bytes.extend_from_slice(data.get(written..).unwrap_or_default());
        pending.fin |= fin;
        if pending.bytes.len() > STREAM_BOUND {
            self.drop_slow(id);
        } else if self.backlog() > CONNECTION_BOUND
            && let Some(oldest) = self.pending.first().map(|pending| pending.id)
        {
            self.drop_slow(oldest);
        }
    }

    pub(crate) fn drop_slow(&mut self, id: u64) {
        Transport::reset(self, StreamId(id), RESET_SLOW_PEER);
        self.late.push(Notice::Incoming(Incoming::Stopped { id: StreamId(id), code: RESET_SLOW_PEER }));
    }

    /// The peer can take more of this stream.
    pub(crate) fn flush(&mut self, id: u64) {
        let Some(index) = self.pending.iter().position(|pending| pending.id == id) else { return };
        // Its place among the others stays: the first is the oldest.
        let (Some(stream), Some(pending)) = (self.quic_id(id, true), self.pending.get_mut(index)) else { return };
        while !pending.bytes.is_empty() {
            match self.quic.send_stream(stream).write(&pending.bytes) {
                Ok(written) => pending.bytes.advance(written),
                Err(WriteError::Blocked) => return,
                Err(WriteError::Stopped(_) | WriteError::ClosedStream) => {
                    self.pending.remove(index);
                    return;
                }
            }
        }
        if self.pending.remove(index).fin {
            let _ = self.quic.send_stream(stream).finish(); // fails only on a stream that the peer stopped
        }
    }
}

impl Transport for Connection {
    fn open_bi(&mut self) -> Option<StreamId> {
        self.open(Dir::Bi)
    }

    fn open_uni(&mut self) -> Option<StreamId> {
        self.open(Dir::Uni)
    }

    fn write(&mut self, stream: StreamId, data: &[u8], fin: bool) {
        if self.phase == Phase::Open {
            self.write_bytes(stream.0, data, fin);
        }
    }

    fn reset(&mut self, stream: StreamId, code: u64) {
        self.pending.retain(|pending| pending.id != stream.0);
        self.forsaken.push((stream.0, Half::Send));
        let code = self.code_out(code);
        if let Some(id) = self.quic_id(stream.0, true) {
            let _ = self.quic.send_stream(id).reset(code); // already over is as good
        }
    }

    fn stop(&mut self, stream: StreamId, code: u64) {
        self.forsaken.push((stream.0, Half::Receive));
        let code = self.code_out(code);
        if let Some(id) = self.quic_id(stream.0, false) {
            let _ = self.quic.recv_stream(id).stop(code); // already over is as good
        }
    }

    fn close(&mut self, code: u64, reason: &str) {
        if !matches!(self.phase, Phase::Opening | Phase::Open) {
            return;
        }
        let mut capsule = None;
        if let (Phase::Open, Layer::Web(http)) = (self.phase, &mut self.layer) {
            let bytes = http.close(u32::try_from(code).unwrap_or(u32::MAX), reason);
            capsule = http.connect_stream().map(|id| (id, bytes));
        }
        match capsule {
            Some((id, bytes)) => {
                self.write_bytes(id, &bytes, true);
                self.linger();
            }
            None => self.close_quic(code, Bytes::copy_from_slice(reason.as_bytes())),
        }
        self.finish(Closed::Local);
    }
}
