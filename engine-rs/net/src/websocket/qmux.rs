//! One QMux connection without I/O: streams and datagrams over messages that arrive whole and in order
//! (draft-ietf-quic-qmux-02, in the messages of a WebSocket as draft-lcurley-qmux-websocket-00 puts them).
//!
//! [`Qmux::on_record`] takes a message, [`Qmux::poll`] tells what came of it, [`Qmux::record`] makes the next one to send: only
//! when the socket takes it, so that what is sent is what is worth sending then, and what is silenced can be taken back.
//!
//! ```text
//! Opening -- the peer's parameters --> Open -- close, violation, the peer's close --> Gone
//! ```

mod streams;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use spaces_moqt::seam::End;

use super::frames::{Frame, Violation, datagram_size, put_datagram};
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
}
