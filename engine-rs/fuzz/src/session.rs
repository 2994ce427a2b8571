//! A session of either protocol at either end, with a peer that says anything and an owner that wants anything.
//!
//! Input: end, then steps until it is used up. A step is an operation, and for bytes on a stream `stream id | length | bytes`,
//! so that a recorded session is a readable seed (see `seeds/sessions.py`).

use std::collections::BTreeSet;

use bytes::{Bytes, BytesMut};
use spaces_moqt::seam::{
    End, FullTrackName, ObjectHeader, Protocol, RequestError, SessionEvent, Setup, StreamId, SubscriptionId, Transport,
};
use spaces_moqt::session::Session;

use crate::input::Input;

/// A transport that holds the session to the seam's contract.
struct Port {
    server: bool,
    next: [u64; 2],
    credit: [usize; 2],
    /// Streams that the peer has shown.
    shown: BTreeSet<u64>,
    /// Our send halves that have ended.
    ended: BTreeSet<u64>,
    /// Receive halves that have ended, or that the session has stopped.
    over: BTreeSet<u64>,
    closed: bool,
}

impl Port {
    fn open(&mut self, uni: bool) -> Option<StreamId> {
        assert!(!self.closed, "opens a stream after close");
        let index = usize::from(uni);
        self.credit[index] = self.credit[index].checked_sub(1)?;
        self.next[index] += 1;
        Some(StreamId((self.next[index] - 1) << 2 | u64::from(uni) << 1 | u64::from(self.server)))
    }

    fn is_known(&self, stream: StreamId) -> bool {
        let uni = stream.0 >> 1 & 1;
        let ours = stream.0 & 1 == u64::from(self.server);
        if ours { stream.0 >> 2 < self.next[uni as usize] } else { self.shown.contains(&stream.0) }
    }

    fn may_send(&self, stream: StreamId) {
        assert!(!self.closed, "sends after close");
        assert!(self.is_known(stream), "{stream:?} is nobody's");
        assert!(stream.0 & 2 == 0 || stream.0 & 1 == u64::from(self.server), "{stream:?} is the peer's alone");
    }
}

impl Transport for Port {
    fn open_bi(&mut self) -> Option<StreamId> {
        self.open(false)
    }
    fn open_uni(&mut self) -> Option<StreamId> {
        self.open(true)
    }
    fn write(&mut self, stream: StreamId, _: &[u8], fin: bool) {
        self.may_send(stream);
        assert!(!self.ended.contains(&stream.0), "writes on {stream:?}, which has ended");
        if fin {
            self.ended.insert(stream.0);
        }
    }
    fn reset(&mut self, stream: StreamId, _: u64) {
        self.may_send(stream);
        self.ended.insert(stream.0);
    }
    fn stop(&mut self, stream: StreamId, _: u64) {
        assert!(!self.closed && self.is_known(stream), "stops {stream:?}");
        self.over.insert(stream.0);
    }
    fn close(&mut self, _: u64, _: &str) {
        assert!(!self.closed, "closes twice");
        self.closed = true;
    }
}

fn namespace(number: u8) -> Vec<Bytes> {
    let space = Bytes::from_static(if number & 1 == 0 { b"7" } else { b"demo" });
    let mut fields = vec![Bytes::from_static(b"spaces"), space];
    if number & 2 != 0 {
        fields.extend([Bytes::from_static(b"seat"), Bytes::from_static(b"1")]);
    }
    fields
}

fn header(input: &mut Input<'_>) -> Option<ObjectHeader> {
    let flags = input.byte()?;
    let wide = if flags & 0x80 == 0 { 0 } else { u64::MAX << (flags & 0x3f) };
    let (group, object) = (input.number()? | wide, u64::from(flags >> 4 & 3));
    Some(ObjectHeader { group, object, end_of_group: flags & 1 != 0, timestamp: group.wrapping_mul(960) })
}

/// Most bytes that a session may hold for a peer: what its own limits say, per end.
fn limit(end: End) -> usize {
    match end {
        End::Client => 4 << 20,
        End::Server => 256 << 10,
    }
}

/// Lives the session that `data` describes.
pub fn run(protocol: Protocol, data: &[u8]) {
    let mut input = Input(data);
    let Some(first) = input.byte() else { return };
    let end = if first & 1 == 0 { End::Server } else { End::Client };
    let server = end == End::Server;
    let (shown, ended, over) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let mut port = Port { server, next: [0; 2], credit: [8, 8], shown, ended, over, closed: false };
    let mut session = Session::new(protocol, end, Setup::default());
    session.start(&mut port);
    if first & 2 != 0 {
        session.announce(&mut port, namespace(first >> 2));
    }
    let mut subscriptions = 0;
    while step(&mut session, &mut port, &mut input, &mut subscriptions).is_some() {
        while let Some(event) = session.poll_event() {
            match event {
                SessionEvent::SubscribeRequested { id, .. } if id.0 % 5 == 4 => {
                    session.reject_subscribe(&mut port, id, RequestError::TooMany, "no");
                }
                SessionEvent::SubscribeRequested { id, .. } => session.accept_subscribe(&mut port, id),
                SessionEvent::Failed { .. } => assert!(session.is_closed()),
                _ => {}
            }
        }
        assert_eq!(port.closed, session.is_closed());
        assert!(session.buffered() <= limit(end), "{} bytes held", session.buffered());
    }
}

fn step(session: &mut Session, port: &mut Port, input: &mut Input<'_>, subscriptions: &mut u64) -> Option<()> {
    let operation = input.byte()?;
    let id = SubscriptionId(u64::from(operation >> 4));
    match operation & 0x0f {
        fin @ 0..=5 => {
            let stream = u64::from(input.byte()?);
            let bytes = input.bytes()?;
            let (ours, uni) = (stream & 1 == u64::from(port.server), stream & 2 != 0);
            if port.closed || port.over.contains(&stream) || ours && (uni || !port.is_known(StreamId(stream))) {
                return Some(());
            }
            port.shown.insert(stream);
            let fin = fin == 5;
            if fin {
                port.over.insert(stream);
            }
            session.on_stream(port, StreamId(stream), !uni, bytes, fin);
        }
        6 => {
            let stream = u64::from(input.byte()?);
            let receives = stream & 2 == 0 || stream & 1 != u64::from(port.server);
            if receives && port.is_known(StreamId(stream)) && port.over.insert(stream) {
                session.on_reset(port, StreamId(stream), u64::from(operation));
            }
        }
        7 => {
            let stream = u64::from(input.byte()?);
            let sends = stream & 2 == 0 || stream & 1 == u64::from(port.server);
            if sends && port.is_known(StreamId(stream)) {
                session.on_stopped(port, StreamId(stream), u64::from(operation));
            }
        }
        8 => {
            port.credit[usize::from(operation >> 4 & 1)] += 1;
            session.on_stream_credit(port);
        }
        9 => session.on_datagram(port, Bytes::copy_from_slice(input.bytes()?)),
        10 => {
            if *subscriptions < 64 {
                *subscriptions += 1;
                let name = FullTrackName { namespace: namespace(operation >> 5), track: Bytes::from_static(b"audio") };
                session.subscribe(port, name);
            }
        }
        11 => session.unsubscribe(port, id),
        12 => match operation >> 6 {
            0 => session.announce(port, namespace(operation >> 4)),
            1 => session.unannounce(port, &namespace(operation >> 4)),
            2 => session.solicit(port, vec![Bytes::from_static(b"spaces")]),
            _ if operation == 0xfc => session.close(port, 3, "enough"),
            _ => session.goaway(port, "https://elsewhere"),
        },
        13 => session.end_subscribe(port, id),
        14 => session.purge_groups(port, id),
        _ => {
            let (header, payload) = (header(input)?, input.bytes()?);
            session.send_object(port, id, &header, payload);
            let mut out = BytesMut::new();
            let known = session.datagram_header(id, &header, &mut out);
            assert!(known || out.is_empty());
            assert!(out.len() <= 64, "a datagram's header of {} bytes", out.len());
            if known {
                assert!(session.datagram_key(id).is_some());
            }
        }
    }
    Some(())
}
