//! One QMux connection without I/O: streams and datagrams over messages that arrive whole and in order
//! (draft-ietf-quic-qmux-02, in the messages of a WebSocket as draft-lcurley-qmux-websocket-00 puts them).
//!
//! [`Qmux::on_record`] takes a message, [`Qmux::poll`] tells what came of it, [`Qmux::record`] makes the next one to send: only
//! when the socket takes it, so that what is sent is what is worth sending then, and what is silenced can be taken back.
//!
//! ```text
//! Opening -- the peer's parameters --> Open -- close, violation, the peer's close --> Gone
//! ```

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use spaces_moqt::seam::{End, StreamId};

use super::frames::{Frame, STREAM_HEAD, Violation, datagram_size, index, put_datagram, put_stream};
use super::halves::{Half, Receiving, Sending};
use super::parameters::Parameters;
use crate::connection::RESET_SLOW_PEER;
use crate::notice::{Closed, Incoming, Phase};

/// Streams of each kind that a peer may have open, as over QUIC.
const STREAMS: u64 = 16;
/// Bytes that a peer may send on a stream, and on all, before it hears of more.
const STREAM_WINDOW: u64 = 32 * 1_024;
const WINDOW: u64 = 128 * 1_024;
/// Largest DATAGRAM frame that is taken.
const DATAGRAM: u64 = 2 * 1_024;
/// Bytes of one stream that wait for a slow peer; over it the stream is reset. Fits a `state` snapshot.
const STREAM_BOUND: usize = 96 * 1_024;
/// The same for all streams together; over it the oldest is reset.
const CONNECTION_BOUND: usize = 256 * 1_024;
/// Bytes of datagrams that wait: the few ticks that a joiner gets at once.
const DATAGRAMS_BOUND: usize = 8 * 1_024;
/// Bytes of answers that wait. They are small and few; a peer that causes more of them than it reads is hostile.
const ANSWERS_BOUND: usize = 16 * 1_024;
/// Bytes of a record, about: what is late is dropped between records, not inside.
const RECORD: usize = 4 * 1_024;
/// Datagrams in a row before a stream has its turn.
const TURN: usize = 8;

/// What happened.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// The peer's parameters are in: streams may be opened.
    Open,
    Incoming(Incoming),
    Closed(Closed),
}

/// Streams of one kind and initiator.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    opened: u64,
    allowed: u64,
}

/// Streams of one initiator.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    uni: Count,
    bidi: Count,
}

impl Counts {
    fn of(&mut self, bidi: bool) -> &mut Count {
        if bidi { &mut self.bidi } else { &mut self.uni }
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Qmux {
    end: End,
    phase: Phase,
    peer: Option<Parameters>,
    sending: Vec<Sending>,
    receiving: Vec<Receiving>,
    ours: Counts,
    theirs: Counts,
    sent: u64,
    most: u64,
    received: u64,
    granted: u64,
    /// Encoded frames that are neither streams' data nor datagrams.
    answers: BytesMut,
    /// The number of the latest ping that was not answered.
    ping: Option<u64>,
    datagrams: VecDeque<Bytes>,
    datagram_bytes: usize,
    /// Datagrams were left over by the last transmit.
    stuck: bool,
    told: VecDeque<Told>,
    /// Streams stopped or reset by us since the last record came.
    forsaken: Vec<(u64, Half)>,
    /// Datagrams that the peer cannot take.
    misfits: u64,
    /// The peer broke the rules.
    broken: bool,
}

impl Qmux {
    /// Its first record carries our parameters, with this idle timeout.
    pub(crate) fn new(end: End, idle: std::time::Duration) -> Self {
        let ours = Parameters {
            idle: u64::try_from(idle.as_millis()).unwrap_or(0),
            data: WINDOW,
            bidi_local: STREAM_WINDOW,
            bidi_remote: STREAM_WINDOW,
            uni: STREAM_WINDOW,
            streams_bidi: STREAMS,
            streams_uni: STREAMS,
            datagram: DATAGRAM,
            ..Parameters::default()
        };
        let granted = Count { opened: 0, allowed: STREAMS };
        let mut answers = BytesMut::new();
        Frame::Parameters(ours).put(&mut answers);
        Self {
            end,
            phase: Phase::Opening,
            peer: None,
            sending: Vec::new(),
            receiving: Vec::new(),
            ours: Counts::default(),
            theirs: Counts { uni: granted, bidi: granted },
            sent: 0,
            most: 0,
            received: 0,
            granted: WINDOW,
            answers,
            ping: None,
            datagrams: VecDeque::new(),
            datagram_bytes: 0,
            stuck: false,
            told: VecDeque::new(),
            forsaken: Vec::new(),
            misfits: 0,
            broken: false,
        }
    }

    pub(crate) fn phase(&self) -> Phase {
        self.phase
    }

    /// Did the peer break the rules?
    pub(crate) fn is_broken(&self) -> bool {
        self.broken
    }

    /// The next thing that happened.
    pub(crate) fn poll(&mut self) -> Option<Told> {
        loop {
            match self.told.pop_front()? {
                Told::Incoming(incoming) if self.phase != Phase::Open || !self.is_wanted(&incoming) => {}
                told => return Some(told),
            }
        }
    }

    /// We may have stopped or reset the stream after the record was read.
    fn is_wanted(&self, incoming: &Incoming) -> bool {
        let (id, half) = match incoming {
            Incoming::Stream { id, .. } | Incoming::Reset { id, .. } => (id, Half::Receive),
            Incoming::Stopped { id, code } if *code != RESET_SLOW_PEER => (id, Half::Send),
            _ => return true,
        };
        !self.forsaken.contains(&(id.0, half))
    }

    /// A message from the peer.
    pub(crate) fn on_record(&mut self, mut bytes: Bytes) {
        self.forsaken.clear();
        while !bytes.is_empty() && matches!(self.phase, Phase::Opening | Phase::Open) {
            let done = Frame::take(&mut bytes).and_then(|frame| self.on_frame(frame));
            if let Err(violation) = done {
                return self.fail(violation);
            }
        }
        if self.answers.len() > ANSWERS_BOUND {
            self.fail(Violation::Protocol);
        }
    }

    fn on_frame(&mut self, frame: Frame) -> Result<(), Violation> {
        if self.peer.is_none() != matches!(frame, Frame::Parameters(_)) {
            return Err(Violation::TransportParameter); // first, and only first
        }
        match frame {
            Frame::Parameters(peer) => {
                self.most = peer.data;
                self.ours.uni.allowed = peer.streams_uni;
                self.ours.bidi.allowed = peer.streams_bidi;
                self.peer = Some(peer);
                self.phase = Phase::Open;
                self.told.push_back(Told::Open);
            }
            Frame::Stream { id, offset, data, fin } => return self.on_stream(id, offset, data, fin),
            Frame::Reset { id, code, size } => return self.on_reset(id, code, size),
            Frame::Stop { id, code } => return self.on_stop(id, code),
            Frame::MaxData(most) => self.most = self.most.max(most),
            Frame::MaxStreamData { id, most } => {
                self.known(id, Half::Send)?;
                if let Some(stream) = self.sending.iter_mut().find(|stream| stream.id == id) {
                    stream.most = stream.most.max(most);
                }
            }
            Frame::MaxStreams { bidi, most } => {
                let count = self.ours.of(bidi);
                if most > count.allowed {
                    count.allowed = most;
                    self.told.push_back(Told::Incoming(Incoming::Credit));
                }
            }
            Frame::Datagram(data) => {
                if datagram_size(data.len()) as u64 > DATAGRAM {
                    return Err(Violation::Protocol);
                }
                self.told.push_back(Told::Incoming(Incoming::Datagram(data)));
            }
            Frame::Ping(number) => self.ping = self.ping.max(Some(number)),
            Frame::Close { application, code, reason } => {
                let closed = if application {
                    Closed::Peer { code, reason }
                } else {
                    Closed::Failed(format!("the peer says: {reason} ({code:#x})"))
                };
                self.end_with(closed);
            }
            Frame::Pong(_) | Frame::Nothing => {}
        }
        Ok(())
    }

    /// Is this stream one whose half may be spoken of? Opens what the peer opens by it.
    fn known(&mut self, id: u64, half: Half) -> Result<(), Violation> {
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

    fn on_stream(&mut self, id: u64, offset: u64, data: Bytes, fin: bool) -> Result<(), Violation> {
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

    fn on_reset(&mut self, id: u64, code: u64, size: u64) -> Result<(), Violation> {
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

    fn on_stop(&mut self, id: u64, code: u64) -> Result<(), Violation> {
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
    pub(crate) fn open(&mut self, bidi: bool) -> Option<StreamId> {
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

    /// Appends to our half of a stream.
    pub(crate) fn write(&mut self, id: StreamId, data: &[u8], fin: bool) {
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

    fn drop_slow(&mut self, id: u64) {
        self.reset(StreamId(id), RESET_SLOW_PEER);
        self.told.push_back(Told::Incoming(Incoming::Stopped { id: StreamId(id), code: RESET_SLOW_PEER }));
    }

    /// Bytes of streams that wait.
    pub(crate) fn backlog(&self) -> usize {
        self.sending.iter().map(|stream| stream.waiting.len()).sum()
    }

    /// Abandons our half: what waits of it is never sent.
    pub(crate) fn reset(&mut self, id: StreamId, code: u64) {
        self.forsaken.push((id.0, Half::Send));
        self.abandon(id.0, code);
    }

    /// Wants no more of the peer's half.
    pub(crate) fn stop(&mut self, id: StreamId, code: u64) {
        self.forsaken.push((id.0, Half::Receive));
        if let Some(stream) = self.receiving.iter_mut().find(|stream| stream.id == id.0 && !stream.stopped) {
            stream.stopped = true;
            Frame::Stop { id: id.0, code }.put(&mut self.answers);
        }
    }

    /// Queues a datagram. False: not now, because earlier ones still wait.
    pub(crate) fn send_datagram(&mut self, data: Bytes) -> bool {
        let Some(peer) = self.peer.as_ref().filter(|_| self.phase == Phase::Open) else { return false };
        let size = datagram_size(data.len());
        if size as u64 > peer.datagram || size > RECORD {
            self.misfits += 1;
            return true;
        }
        // What has waited since an earlier turn goes first: nothing stale piles up.
        if self.stuck && !self.datagrams.is_empty() || self.datagram_bytes + data.len() > DATAGRAMS_BOUND {
            return false;
        }
        self.datagram_bytes += data.len();
        self.datagrams.push_back(data);
        true
    }

    /// Takes back the datagrams that wait.
    pub(crate) fn drop_datagrams(&mut self) {
        self.datagrams.clear();
        self.datagram_bytes = 0;
    }

    /// The socket takes no more now.
    pub(crate) fn set_stuck(&mut self, stuck: bool) {
        self.stuck = stuck;
    }

    /// Datagrams that the peer could not take.
    pub(crate) fn misfits(&self) -> u64 {
        self.misfits
    }

    /// Ends the connection with the application's code.
    pub(crate) fn close(&mut self, code: u64, reason: &str) {
        if matches!(self.phase, Phase::Opening | Phase::Open) {
            self.say_last(&Frame::Close { application: true, code, reason: reason.to_owned() });
            self.end_with(Closed::Local);
        }
    }

    /// Ends the connection because the peer broke QMux.
    pub(crate) fn fail(&mut self, violation: Violation) {
        let reason = violation.words().to_owned();
        self.broken = true;
        self.say_last(&Frame::Close { application: false, code: violation.code(), reason: reason.clone() });
        self.end_with(Closed::Failed(reason));
    }

    /// The socket is gone, or said all it will.
    pub(crate) fn end_with(&mut self, closed: Closed) {
        if matches!(self.phase, Phase::Opening | Phase::Open) {
            self.phase = Phase::Gone;
            self.sending.clear();
            self.receiving.clear();
            self.drop_datagrams();
            self.told.push_back(Told::Closed(closed));
        }
    }

    fn say_last(&mut self, frame: &Frame) {
        // Parameters come first even then; other answers are of no interest any more.
        if self.peer.is_some() {
            self.answers.clear();
        }
        frame.put(&mut self.answers);
    }

    /// The next message to send.
    pub(crate) fn record(&mut self) -> Option<Bytes> {
        let mut out = self.answers.split();
        if let Some(ping) = self.ping.take().filter(|_| self.phase == Phase::Open) {
            Frame::Pong(ping).put(&mut out);
        }
        if self.phase == Phase::Open {
            for _ in 0..TURN {
                let size = self.datagrams.front().map(|data| datagram_size(data.len()));
                if size.is_none_or(|size| out.len() + size > RECORD) {
                    break;
                }
                if let Some(data) = self.datagrams.pop_front() {
                    self.datagram_bytes -= data.len();
                    put_datagram(&mut out, &data);
                }
            }
            self.put_streams(&mut out);
        }
        (!out.is_empty()).then(|| out.freeze())
    }

    /// Streams' data as far as the record has room, each stream in its turn.
    fn put_streams(&mut self, out: &mut BytesMut) {
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// Delivers everything both ways until nothing is left; what came out at each end.
    fn exchange(server: &mut Qmux, client: &mut Qmux) -> [Vec<Told>; 2] {
        let mut told = [Vec::new(), Vec::new()];
        loop {
            let records: Vec<_> = std::iter::from_fn(|| client.record()).collect();
            let answers: Vec<_> = std::iter::from_fn(|| server.record()).collect();
            if records.is_empty() && answers.is_empty() {
                return told;
            }
            assert!(records.iter().chain(&answers).all(|record| record.len() <= RECORD + 64));
            records.into_iter().for_each(|record| server.on_record(record));
            answers.into_iter().for_each(|record| client.on_record(record));
            told[0].extend(std::iter::from_fn(|| server.poll()));
            told[1].extend(std::iter::from_fn(|| client.poll()));
        }
    }

    fn open() -> (Qmux, Qmux) {
        let idle = std::time::Duration::from_secs(20);
        let (mut server, mut client) = (Qmux::new(End::Server, idle), Qmux::new(End::Client, idle));
        assert!(client.open(true).is_none(), "nothing before the peer has said what it allows");
        assert_eq!(exchange(&mut server, &mut client), [vec![Told::Open], vec![Told::Open]]);
        (server, client)
    }

    fn streams(told: &[Told]) -> BTreeMap<u64, (usize, bool)> {
        let mut found = BTreeMap::new();
        for told in told {
            if let Told::Incoming(Incoming::Stream { id, data, fin, .. }) = told {
                let entry: &mut (usize, bool) = found.entry(id.0).or_default();
                assert!(!entry.1, "stream {} goes on after its end", id.0);
                *entry = (entry.0 + data.len(), *fin);
            }
        }
        found
    }

    #[test]
    fn what_is_more_than_the_window_comes_as_credit_comes() {
        let (mut server, mut client) = open();
        let mut sent = BTreeMap::new();
        let mut got = BTreeMap::<u64, (usize, bool)>::new();
        // More than a stream's window each, than the connection's together, and than may be open at once.
        for n in 0..40 {
            let id = client.open(n % 2 == 0).unwrap();
            let length = 50_000 + n;
            client.write(id, &vec![7; length], true);
            sent.insert(id.0, (length, true));
            for (id, (length, fin)) in streams(&exchange(&mut server, &mut client)[0]) {
                let entry = got.entry(id).or_default();
                *entry = (entry.0 + length, fin);
                if id & 2 == 0 {
                    server.write(StreamId(id), b"thanks", true);
                }
            }
            exchange(&mut server, &mut client);
        }
        assert_eq!(got, sent);
    }

    #[test]
    fn what_is_reset_before_it_was_sent_is_never_sent() {
        let (mut server, mut client) = open();
        let id = server.open(false).unwrap();
        server.write(id, b"silenced", false);
        server.reset(id, 9);
        assert!(server.send_datagram(Bytes::from_static(b"silenced, too")));
        server.drop_datagrams();
        let told = exchange(&mut server, &mut client);
        assert_eq!(told[1], [Told::Incoming(Incoming::Reset { id, code: 9 })]);
    }

    #[test]
    fn datagrams_wait_for_a_socket_that_is_stuck_and_no_longer() {
        let (mut server, mut client) = open();
        let datagram = || Bytes::from(vec![1; 1_000]);
        let taken = (0..20).take_while(|_| server.send_datagram(datagram())).count();
        assert_eq!(taken, 8, "the few that a joiner gets at once");
        server.record();
        server.set_stuck(true);
        assert!(!server.send_datagram(datagram()), "earlier ones wait");
        exchange(&mut server, &mut client);
        assert!(server.send_datagram(datagram()));
        assert!(server.send_datagram(Bytes::from(vec![1; 3_000])), "what never fits is dropped");
        assert_eq!(server.misfits(), 1);
    }

    #[test]
    fn a_slow_peers_streams_are_given_up_oldest_first() {
        let (mut server, _) = open();
        let ids: Vec<_> = (0..4).map(|_| server.open(false).unwrap()).collect();
        for id in &ids {
            server.write(*id, &vec![1; 80_000], false);
        }
        let told: Vec<_> = std::iter::from_fn(|| server.poll()).collect();
        assert_eq!(told, [Told::Incoming(Incoming::Stopped { id: ids[0], code: RESET_SLOW_PEER })]);
        server.write(ids[1], &vec![1; 20_000], false);
        assert!(matches!(server.poll(), Some(Told::Incoming(Incoming::Stopped { id, .. })) if id == ids[1]));
    }

    #[test]
    fn whatever_comes_nothing_panics_and_it_is_told_once() {
        let mut state = 0x2545_f491_u32;
        let mut random = move || {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state as u8
        };
        for _ in 0..20_000 {
            let (mut server, _) = open();
            let mut closed = 0;
            for _ in 0..6 {
                let mut message: Vec<u8> = (0..random() % 24).map(|_| random()).collect();
                if random() % 2 == 0 {
                    let kinds = [0x04, 0x05, 0x0a, 0x0f, 0x10, 0x11, 0x12, 0x1d, 0x30, 0x31];
                    message.insert(0, kinds[usize::from(random()) % kinds.len()]);
                }
                server.on_record(message.into());
                closed += std::iter::from_fn(|| server.poll()).filter(|told| matches!(told, Told::Closed(_))).count();
                while server.record().is_some() {}
                if let Some(id) = server.open(random() % 2 == 0) {
                    server.write(id, &[1, 2, 3], random() % 2 == 0);
                    server.stop(StreamId(u64::from(random() % 16)), 1);
                    server.reset(StreamId(u64::from(random() % 16)), 1);
                }
            }
            assert_eq!(closed, usize::from(server.phase() == Phase::Gone));
        }
    }
}
