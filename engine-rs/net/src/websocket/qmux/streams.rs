//! The streams of a QMux connection: limits and credit (RFC 9000 §2 to §4, as QMux has them), what waits, whose turn it is.

use bytes::{Bytes, BytesMut};
use spaces_moqt::seam::{End, StreamId, Transport};

use super::{Qmux, RECORD, STREAM_WINDOW, Told, WINDOW};
use crate::connection::RESET_SLOW_PEER;
use crate::notice::{Closed, Incoming, Phase};
use crate::websocket::frames::{Frame, STREAM_HEAD, Violation, index, put_stream};
use crate::websocket::halves::{Half, Receiving, Sending};

/// Bytes of one stream that wait for a slow peer; over it the stream is reset. Fits a `state` snapshot.
const STREAM_BOUND: usize = 96 * 1_024;
/// The same for all streams together; over it the oldest is reset.
const CONNECTION_BOUND: usize = 256 * 1_024;

impl Qmux {
    /// Is this stream one whose half may be spoken of? Opens what the peer opens by it.
    pub(super) fn known(&mut self, id: u64, half: Half) -> Result<(), Violation> {
        let bidi = id & 2 == 0;
        let ours = (id & 1 == 1) == (self.end == End::Server);
        if !bidi && ours == (half == Half::Receive) {
            return Err(Violation::StreamState);
        }
        if ours {
            let opened = index(id) < self.ours.of(bidi).opened;
            return if opened { Ok(()) } else { Err(Violation::StreamState) };
        }
        let count = self.theirs.of(bidi);
        if index(id) >= count.allowed {
            return Err(Violation::StreamLimit);
        }
        // A stream opens all of its kind below it (RFC 9000 §3.2).
        while count.opened <= index(id) {
            let id = count.opened << 2 | id & 3;
            count.opened += 1;
            self.receiving.push(Receiving { id, received: 0, granted: STREAM_WINDOW, stopped: false });
            if bidi {
                let most = self.peer.as_ref().map_or(0, |peer| peer.bidi_local);
                self.sending.push(Sending::new(id, most));
            }
        }
        Ok(())
    }

    pub(super) fn on_stream(&mut self, id: u64, offset: u64, data: Bytes, fin: bool) -> Result<(), Violation> {
        self.known(id, Half::Receive)?;
        let stream = self.receiving.iter_mut().find(|stream| stream.id == id).ok_or(Violation::StreamState)?;
        if offset != stream.received {
            return Err(Violation::Protocol); // QMux §4.1: in order, without holes
        }
        let length = data.len() as u64;
        stream.received += length;
        self.received += length;
        if stream.received > stream.granted || self.received > self.granted {
            return Err(Violation::FlowControl);
        }
        // Everything goes to the session at once; what it keeps, it bounds.
        if !fin && stream.granted - stream.received < STREAM_WINDOW / 2 && !stream.stopped {
            stream.granted = stream.received + STREAM_WINDOW;
            Frame::MaxStreamData { id, most: stream.granted }.put(&mut self.answers);
        }
        if !stream.stopped && (length > 0 || fin) {
            let incoming = Incoming::Stream { id: StreamId(id), bidi: id & 2 == 0, data, fin };
            self.told.push_back(Told::Incoming(incoming));
        }
        self.grant();
        if fin {
            self.received_all(id);
        }
        Ok(())
    }

    pub(super) fn on_reset(&mut self, id: u64, code: u64, size: u64) -> Result<(), Violation> {
        self.known(id, Half::Receive)?;
        let stream = self.receiving.iter().find(|stream| stream.id == id).ok_or(Violation::StreamState)?;
        // What the peer gave up unsent counts as sent (RFC 9000 §4.5).
        let unsent = size.checked_sub(stream.received).ok_or(Violation::Protocol)?;
        self.received = self.received.saturating_add(unsent);
        if size > stream.granted || self.received > self.granted {
            return Err(Violation::FlowControl);
        }
        if !stream.stopped {
            self.told.push_back(Told::Incoming(Incoming::Reset { id: StreamId(id), code }));
        }
        self.grant();
        self.received_all(id);
        Ok(())
    }

    pub(super) fn on_stop(&mut self, id: u64, code: u64) -> Result<(), Violation> {
        self.known(id, Half::Send)?;
        if self.abandon(id, code) {
            self.told.push_back(Told::Incoming(Incoming::Stopped { id: StreamId(id), code }));
        }
        Ok(())
    }

    fn grant(&mut self) {
        if self.granted - self.received < WINDOW / 2 {
            self.granted = self.received + WINDOW;
            Frame::MaxData(self.granted).put(&mut self.answers);
        }
    }

    fn received_all(&mut self, id: u64) {
        self.receiving.retain(|stream| stream.id != id);
        self.settle(id);
    }

    /// Gives up our half; false: it was over.
    fn abandon(&mut self, id: u64, code: u64) -> bool {
        let Some(index) = self.sending.iter().position(|stream| stream.id == id) else { return false };
        let stream = self.sending.remove(index);
        Frame::Reset { id, code, size: stream.sent }.put(&mut self.answers);
        self.settle(id);
        true
    }

    /// A stream of the peer's that is over makes room for another.
    fn settle(&mut self, id: u64) {
        let ours = (id & 1 == 1) == (self.end == End::Server);
        let over =
            !self.sending.iter().any(|stream| stream.id == id) && !self.receiving.iter().any(|stream| stream.id == id);
        if !ours && over {
            let bidi = id & 2 == 0;
            let count = self.theirs.of(bidi);
            count.allowed += 1;
            Frame::MaxStreams { bidi, most: count.allowed }.put(&mut self.answers);
        }
    }

    /// Opens a stream of ours; `None`: the peer allows no more now.
    pub(super) fn open(&mut self, bidi: bool) -> Option<StreamId> {
        let peer = self.peer.as_ref().filter(|_| self.phase == Phase::Open)?;
        let most = if bidi { peer.bidi_remote } else { peer.uni };
        let count = self.ours.of(bidi);
        if count.opened >= count.allowed {
            return None;
        }
        let id = count.opened << 2 | u64::from(!bidi) << 1 | u64::from(self.end == End::Server);
        count.opened += 1;
        self.sending.push(Sending::new(id, most));
        if bidi {
            self.receiving.push(Receiving { id, received: 0, granted: STREAM_WINDOW, stopped: false });
        }
        Some(StreamId(id))
    }

    fn drop_slow(&mut self, id: u64) {
        self.reset(StreamId(id), RESET_SLOW_PEER);
        self.told.push_back(Told::Incoming(Incoming::Stopped { id: StreamId(id), code: RESET_SLOW_PEER }));
    }

    /// Bytes of streams that wait.
    pub(crate) fn backlog(&self) -> usize {
        self.sending.iter().map(|stream| stream.waiting.len()).sum()
    }

    /// Streams' data as far as the record has room, each stream in its turn.
    pub(super) fn put_streams(&mut self, out: &mut BytesMut) {
        let mut over = Vec::new();
        for _ in 0..self.sending.len() {
            let room = RECORD.saturating_sub(out.len() + STREAM_HEAD);
            if room < 64 {
                break;
            }
            let credit = self.most.saturating_sub(self.sent);
            let ready = |stream: &Sending| stream.sendable(credit) > 0 || stream.fin && stream.waiting.is_empty();
            let Some(index) = self.sending.iter().position(ready) else { break };
            let mut stream = self.sending.remove(index);
            let (offset, data, last) = stream.take(stream.sendable(credit).min(room));
            self.sent += data.len() as u64;
            put_stream(out, stream.id, offset, &data, last);
            if last {
                over.push(stream.id);
            } else {
                self.sending.push(stream);
            }
        }
        over.into_iter().for_each(|id| self.settle(id));
    }
}

impl Transport for Qmux {
    fn open_bi(&mut self) -> Option<StreamId> {
        self.open(true)
    }

    fn open_uni(&mut self) -> Option<StreamId> {
        self.open(false)
    }

    fn write(&mut self, id: StreamId, data: &[u8], fin: bool) {
        if self.phase != Phase::Open {
            return;
        }
        let Some(stream) = self.sending.iter_mut().find(|stream| stream.id == id.0 && !stream.fin) else { return };
        stream.waiting.extend_from_slice(data);
        stream.fin = fin;
        if stream.waiting.len() > STREAM_BOUND {
            self.drop_slow(id.0);
        } else if self.backlog() > CONNECTION_BOUND
            && let Some(oldest) = self.sending.iter().find(|stream| !stream.waiting.is_empty()).map(|stream| stream.id)
        {
            self.drop_slow(oldest);
        }
    }

    fn reset(&mut self, id: StreamId, code: u64) {
        self.forsaken.push((id.0, Half::Send));
        self.abandon(id.0, code);
    }

    fn stop(&mut self, id: StreamId, code: u64) {
        self.forsaken.push((id.0, Half::Receive));
        if let Some(stream) = self.receiving.iter_mut().find(|stream| stream.id == id.0 && !stream.stopped) {
            stream.stopped = true;
            Frame::Stop { id: id.0, code }.put(&mut self.answers);
        }
    }

    fn close(&mut self, code: u64, reason: &str) {
        if matches!(self.phase, Phase::Opening | Phase::Open) {
            self.say_last(&Frame::Close { application: true, code, reason: reason.to_owned() });
            self.end_with(Closed::Local);
        }
    }
}
