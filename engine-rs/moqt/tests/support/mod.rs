//! A transport in memory, and two sessions joined by it.

#![allow(dead_code, reason = "each test binary uses its part")]

use std::collections::{BTreeMap, VecDeque};

use bytes::{Bytes, BytesMut};
use spaces_moqt::seam::*;
use spaces_moqt::session::Session;

/// What a session did to its transport.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    Write { stream: StreamId, data: Vec<u8>, fin: bool },
    Reset { stream: StreamId, code: u64 },
    Stop { stream: StreamId, code: u64 },
    Close { code: u64, reason: String },
}

/// A transport that writes down what is asked of it.
#[derive(Debug)]
pub(crate) struct Port {
    next_bi: u64,
    next_uni: u64,
    pub(crate) bi_credit: usize,
    pub(crate) uni_credit: usize,
    pub(crate) acts: VecDeque<Act>,
}

impl Port {
    pub(crate) fn new(end: End) -> Self {
        let initiator = u64::from(end == End::Server);
        Self { next_bi: initiator, next_uni: initiator | 2, bi_credit: 64, uni_credit: 64, acts: VecDeque::new() }
    }

    /// All bytes written to `stream` so far.
    pub(crate) fn written(&self, wanted: StreamId) -> Vec<u8> {
        let mut all = Vec::new();
        for act in &self.acts {
            if let Act::Write { stream, data, .. } = act
                && *stream == wanted
            {
                all.extend_from_slice(data);
            }
        }
        all
    }

    pub(crate) fn finished(&self, wanted: StreamId) -> bool {
        self.acts.iter().any(|act| matches!(act, Act::Write { stream, fin: true, .. } if *stream == wanted))
    }
}

impl Transport for Port {
    fn open_bi(&mut self) -> Option<StreamId> {
        self.bi_credit = self.bi_credit.checked_sub(1)?;
        self.next_bi += 4;
        Some(StreamId(self.next_bi - 4))
    }
    fn open_uni(&mut self) -> Option<StreamId> {
        self.uni_credit = self.uni_credit.checked_sub(1)?;
        self.next_uni += 4;
        Some(StreamId(self.next_uni - 4))
    }
    fn write(&mut self, stream: StreamId, data: &[u8], fin: bool) {
        self.acts.push_back(Act::Write { stream, data: data.to_vec(), fin });
    }
    fn reset(&mut self, stream: StreamId, code: u64) {
        self.acts.push_back(Act::Reset { stream, code });
    }
    fn stop(&mut self, stream: StreamId, code: u64) {
        self.acts.push_back(Act::Stop { stream, code });
    }
    fn close(&mut self, code: u64, reason: &str) {
        self.acts.push_back(Act::Close { code, reason: reason.to_owned() });
    }
}

/// SplitMix64: seeded and the same everywhere.
#[derive(Clone, Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }
}

/// One direction of one stream on its way.
#[derive(Debug, Default)]
struct Flight {
    data: VecDeque<u8>,
    fin: bool,
    reset: Option<u64>,
    /// The receiver wants no more: data is dropped.
    stopped: bool,
    /// STOP_SENDING on its way back to the sender.
    stop: Option<u64>,
    /// FIN or RESET has been delivered, or the sender has reset: nothing more is told.
    over: bool,
    /// The sender has reset it: it hears of no stop.
    abandoned: bool,
}

/// One end of a pair.
#[derive(Debug)]
pub(crate) struct Side {
    pub(crate) session: Session,
    pub(crate) port: Port,
    pub(crate) closed: Option<(u64, String)>,
    sent: BTreeMap<StreamId, Flight>,
    datagrams: VecDeque<Bytes>,
}

impl Side {
    pub(crate) fn new(protocol: Protocol, end: End, setup: Setup) -> Self {
        Self {
            session: Session::new(protocol, end, setup),
            port: Port::new(end),
            closed: None,
            sent: BTreeMap::new(),
            datagrams: VecDeque::new(),
        }
    }

    pub(crate) fn datagram(&mut self, id: SubscriptionId, header: &ObjectHeader, payload: &[u8]) -> bool {
        let mut out = BytesMut::new();
        if !self.session.datagram_header(id, header, &mut out) {
            return false;
        }
        out.extend_from_slice(payload);
        self.datagrams.push_back(out.freeze());
        true
    }

    pub(crate) fn events(&mut self) -> Vec<SessionEvent> {
        std::iter::from_fn(|| self.session.poll_event()).collect()
    }

    /// Everything that is still to be delivered from here.
    fn collect(&mut self) {
        while let Some(act) = self.port.acts.pop_front() {
            match act {
                Act::Write { stream, data, fin } => {
                    let flight = self.sent.entry(stream).or_default();
                    assert!(!flight.fin, "write after FIN on {stream:?}");
                    if flight.abandoned {
                        continue;
                    }
                    flight.fin = fin;
                    if !flight.stopped {
                        flight.data.extend(data);
                    }
                }
                Act::Reset { stream, code } => {
                    let flight = self.sent.entry(stream).or_default();
                    flight.abandoned = true;
                    if !flight.over {
                        flight.reset = Some(code);
                        flight.data.clear();
                    }
                }
                Act::Stop { .. } => unreachable!("taken by the pair"),
                Act::Close { code, reason } => self.closed = Some((code, reason)),
            }
        }
    }
}

/// Two sessions and the network between them.
pub(crate) struct Pair {
    pub(crate) client: Side,
    pub(crate) server: Side,
    pub(crate) random: Random,
}

impl Pair {
    pub(crate) fn new(protocol: Protocol, seed: u64, client_setup: Setup, server_setup: Setup) -> Self {
        let mut pair = Self {
            client: Side::new(protocol, End::Client, client_setup),
            server: Side::new(protocol, End::Server, server_setup),
            random: Random(seed),
        };
        pair.client.session.start(&mut pair.client.port);
        pair.server.session.start(&mut pair.server.port);
        pair
    }

    /// Delivers all that is on its way, in random pieces and in a random order of streams, until nothing is.
    pub(crate) fn settle(&mut self) {
        while self.step() {}
    }

    /// Delivers one piece. False if there was none.
    pub(crate) fn step(&mut self) -> bool {
        exchange(&mut self.client, &mut self.server);
        let from_client = self.random.next() & 1 == 0;
        let (first, second) =
            if from_client { (&mut self.client, &mut self.server) } else { (&mut self.server, &mut self.client) };
        deliver(&mut self.random, first, second) || deliver(&mut self.random, second, first)
    }

    pub(crate) fn assert_open(&self) {
        assert_eq!(self.client.closed, None);
        assert_eq!(self.server.closed, None);
    }
}

/// Puts what both sides did on its way. STOP_SENDING concerns the other side's half.
fn exchange(left: &mut Side, right: &mut Side) {
    take_stops(left, right);
    take_stops(right, left);
    left.collect();
    right.collect();
}

fn take_stops(side: &mut Side, other: &mut Side) {
    let acts = std::mem::take(&mut side.port.acts);
    for act in acts {
        match act {
            Act::Stop { stream, code } => {
                let flight = other.sent.entry(stream).or_default();
                flight.stopped = true;
                flight.data.clear();
                if !flight.abandoned {
                    flight.stop = Some(code);
                }
            }
            act => side.port.acts.push_back(act),
        }
    }
}

fn deliver(random: &mut Random, from: &mut Side, to: &mut Side) -> bool {
    let mut ready: Vec<StreamId> = from
        .sent
        .iter()
        .filter(|(_, flight)| {
            flight.stop.is_some()
                || !flight.over && !flight.stopped && (!flight.data.is_empty() || flight.fin || flight.reset.is_some())
        })
        .map(|(id, _)| *id)
        .collect();
    ready.sort_unstable();
    let datagrams = usize::from(!from.datagrams.is_empty());
    if ready.len() + datagrams == 0 {
        return false;
    }
    let pick = random.below(ready.len() + datagrams);
    let Some(id) = ready.get(pick).copied() else {
        let datagram = from.datagrams.pop_front().unwrap();
        to.session.on_datagram(&mut to.port, datagram);
        return true;
    };
    let bidi = id.0 & 2 == 0;
    let flight = from.sent.get_mut(&id).unwrap();
    if let Some(code) = flight.stop.take() {
        if !flight.abandoned {
            from.session.on_stopped(&mut from.port, id, code);
        }
        return true;
    }
    if let Some(code) = flight.reset {
        flight.over = true;
        to.session.on_reset(&mut to.port, id, code);
        return true;
    }
    let most = if random.below(4) == 0 { flight.data.len() } else { 1 + random.below(9) };
    let piece: Vec<u8> = flight.data.drain(..most.min(flight.data.len())).collect();
    let fin = flight.fin && flight.data.is_empty() && (piece.is_empty() || random.next() & 1 == 0);
    flight.over = fin;
    to.session.on_stream(&mut to.port, id, bidi, &piece, fin);
    true
}

pub(crate) fn namespace(path: &str) -> Vec<Bytes> {
    path.split('/').map(|field| Bytes::copy_from_slice(field.as_bytes())).collect()
}

pub(crate) fn track(path: &str, track: &str) -> FullTrackName {
    FullTrackName { namespace: namespace(path), track: Bytes::copy_from_slice(track.as_bytes()) }
}

/// Bytes from hex; blanks are for the reader.
pub(crate) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<char> = text.chars().filter(|digit| *digit != ' ').collect();
    assert!(digits.len().is_multiple_of(2), "odd hex: {text}");
    digits.chunks(2).map(|pair| u8::from_str_radix(&String::from_iter(pair), 16).unwrap()).collect()
}
