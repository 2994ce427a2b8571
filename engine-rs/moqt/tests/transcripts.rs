//! Sessions of real clients and relays, replayed: we answer their bytes with the bytes that they accepted.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "helpers of tests fail by panicking")]

mod support;

use std::collections::{BTreeMap, VecDeque};

use bytes::{Buf, BytesMut};
use moqtap_codec::draft18::data_stream::{DatagramHeader, SubgroupHeader};
use moqtap_codec::draft18::message::ControlMessage;
use moqtap_codec::varint::{Moqt18, VarInt};
use spaces_moqt::seam::*;
use spaces_moqt::session::Session;
use support::{Act, Port, Random, hex, namespace};

/// What to announce and to say in SETUP so that it was the prototype's.
struct Scene {
    end: End,
    protocol: Protocol,
    setup: Setup,
    announce: &'static str,
}

/// A session under test, its owner (who accepts everything) and what it has written.
struct Replay {
    scene: Scene,
    session: Session,
    port: Port,
    random: Random,
    /// Messages on request streams of the peer and on our control stream, oldest first.
    written: VecDeque<Vec<u8>>,
    /// Bytes on unidirectional streams after the first one.
    groups: BTreeMap<StreamId, Vec<u8>>,
    /// Requests that a server makes of its own: for the peer's namespaces.
    solicited: usize,
    tracks: BTreeMap<String, SubscriptionId>,
    cancelled: Vec<SubscriptionId>,
    last: BTreeMap<String, ObjectHeader>,
}

fn vi64(bytes: &mut &[u8]) -> u64 {
    VarInt::decode_moqt::<Moqt18>(bytes).unwrap().into_inner()
}

fn varint(bytes: &mut &[u8]) -> u64 {
    VarInt::decode(bytes).unwrap().into_inner()
}

impl Replay {
    fn new(scene: Scene, seed: u64) -> Self {
        let mut port = Port::new(scene.end);
        let mut session = Session::new(scene.protocol, scene.end, scene.setup.clone());
        session.start(&mut port);
        session.announce(&mut port, namespace(scene.announce));
        let mut replay = Self {
            scene,
            session,
            port,
            random: Random(seed),
            written: VecDeque::new(),
            groups: BTreeMap::new(),
            solicited: 0,
            tracks: BTreeMap::new(),
            cancelled: Vec::new(),
            last: BTreeMap::new(),
        };
        replay.owner();
        replay
    }

    /// The owner accepts what is asked; what was written is sorted.
    fn owner(&mut self) {
        while let Some(event) = self.session.poll_event() {
            match event {
                SessionEvent::SubscribeRequested { id, name } => {
                    assert_eq!(name.namespace, namespace(self.scene.announce));
                    self.tracks.insert(String::from_utf8(name.track.to_vec()).unwrap(), id);
                    self.session.accept_subscribe(&mut self.port, id);
                }
                SessionEvent::SubscribeCancelled(id) => self.cancelled.push(id),
                SessionEvent::Ready(_) | SessionEvent::Announced(_) => {}
                other => panic!("{other:?}"),
            }
        }
        let first_uni = 2 | u64::from(self.scene.end == End::Server);
        for act in std::mem::take(&mut self.port.acts) {
            match act {
                Act::Write { stream, data, .. } if stream.0 & 2 != 0 && stream.0 != first_uni => {
                    self.groups.entry(stream).or_default().extend(data);
                }
                Act::Write { stream, .. } if stream.0 & 3 == 1 && self.scene.end == End::Server => self.solicited += 1,
                Act::Write { data, .. } => self.push_messages(data),
                Act::Reset { .. } | Act::Stop { .. } => {}
                Act::Close { code, reason } => panic!("closed: {code} {reason}"),
            }
        }
    }

    fn push_messages(&mut self, data: Vec<u8>) {
        if data.is_empty() {
            return;
        }
        let mut rest = &data[..];
        match self.scene.protocol {
            Protocol::Moqt18 => {
                while !rest.is_empty() {
                    let before = rest;
                    vi64(&mut rest);
                    let length = usize::from(rest.get_u16());
                    rest.advance(length);
                    self.written.push_back(before[..before.len() - rest.len()].to_vec());
                }
            }
            // SETUP; the answer to SUBSCRIBE; otherwise messages one after another.
            Protocol::Lite05 if data.starts_with(&[1]) || data.starts_with(&[0]) => self.written.push_back(data),
            Protocol::Lite05 => {
                while !rest.is_empty() {
                    let before = rest;
                    let length = varint(&mut rest) as usize;
                    rest.advance(length);
                    self.written.push_back(before[..before.len() - rest.len()].to_vec());
                }
            }
        }
    }

    fn peer(&mut self, stream: StreamId, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(1 + self.random.below(rest.len()));
            self.session.on_stream(&mut self.port, stream, stream.0 & 2 == 0, piece, false);
            rest = after;
            self.owner();
        }
    }

    /// Our next message means what the prototype's meant. Aliases are our own, except those of tracks that kept theirs.
    fn ours(&mut self, expected: &[u8]) {
        let ours = self.written.pop_front().unwrap_or_else(|| panic!("nothing written, expected {expected:02x?}"));
        match self.scene.protocol {
            Protocol::Moqt18 => {
                let read = |mut bytes: &[u8]| ControlMessage::decode(&mut bytes).unwrap();
                let (mut ours, expected) = (read(&ours), read(expected));
                if let (ControlMessage::SubscribeOk(ours), ControlMessage::SubscribeOk(expected)) =
                    (&mut ours, &expected)
                {
                    ours.track_alias = expected.track_alias;
                }
                assert_eq!(ours, expected);
            }
            // ANNOUNCE_OK: the hop id is each publisher's own; the number of broadcasts is not.
            Protocol::Lite05 if expected == [0x03, 0x40, 0x4d, 0x01] => assert_eq!(ours, [0x02, 0x00, 0x01]),
            Protocol::Lite05 => assert_eq!(ours, expected),
        }
    }

    /// The header that we would write for the object that `expected` is the header of.
    fn datagram(&mut self, name: &str, expected: &[u8]) {
        let id = self.tracks[name];
        let mut ours = BytesMut::new();
        let header = match self.scene.protocol {
            Protocol::Moqt18 => {
                let (mut theirs, payload) = DatagramHeader::decode_object(&mut &expected[..]).unwrap();
                assert!(payload.is_empty());
                let header = ObjectHeader {
                    group: theirs.group_id.into_inner(),
                    object: theirs.object_id.into_inner(),
                    end_of_group: theirs.is_end_of_group(),
                    timestamp: vi64(&mut theirs.properties.strip_prefix(&[0x10]).unwrap()),
                };
                assert!(self.session.datagram_header(id, &header, &mut ours));
                let (written, _) = DatagramHeader::decode_object(&mut &ours[..]).unwrap();
                theirs.track_alias = written.track_alias;
                let mut again = BytesMut::new();
                theirs.encode(&mut again);
                assert_eq!(ours, again);
                return;
            }
            Protocol::Lite05 => {
                let mut rest = expected;
                varint(&mut rest);
                let (group, timestamp) = (varint(&mut rest), varint(&mut rest));
                ObjectHeader { group, object: 0, end_of_group: true, timestamp }
            }
        };
        assert!(self.session.datagram_header(id, &header, &mut ours));
        assert_eq!(&ours[..], expected);
    }

    /// The first bytes of a group's stream, or of a further object on it, as the prototype sent them.
    fn group(&mut self, name: &str, expected: &[u8]) {
        let id = self.tracks[name];
        let text = expected.len() - 3;
        assert_eq!(&expected[text..], b"mix");
        let first = !self.last.contains_key(name);
        let mut rest = expected;
        let mut header = ObjectHeader { group: 0, object: 0, end_of_group: false, timestamp: 0 };
        let length = match self.scene.protocol {
            Protocol::Moqt18 => {
                if first {
                    let subgroup = SubgroupHeader::decode(&mut rest).unwrap();
                    header.group = subgroup.group_id.into_inner();
                } else {
                    header.group = self.last[name].group;
                    header.object = self.last[name].object + 1;
                }
                assert_eq!((rest.get_u8(), rest.get_u8(), rest.get_u8()), (0, 4, 0x10));
                header.timestamp = vi64(&mut rest);
                vi64(&mut rest)
            }
            Protocol::Lite05 => {
                let mut from = 0;
                if first {
                    assert_eq!((rest.get_u8(), rest.get_u8()), (0, 2));
                    varint(&mut rest);
                    header.group = varint(&mut rest);
                } else {
                    let last = self.last[name];
                    (header.group, header.object, from) = (last.group, last.object + 1, last.timestamp);
                }
                header.timestamp = from + varint(&mut rest) / 2;
                varint(&mut rest)
            }
        };
        let mut payload = vec![9; length as usize];
        payload[..3].copy_from_slice(b"mix");
        let before: BTreeMap<_, _> = self.groups.iter().map(|(id, bytes)| (*id, bytes.len())).collect();
        assert!(self.session.send_object(&mut self.port, id, &header, &payload));
        self.owner();
        self.last.insert(name.to_owned(), header);
        let (stream, bytes) = self.groups.last_key_value().unwrap();
        let new = &bytes[before.get(stream).copied().unwrap_or(0)..];
        assert_eq!(new.len(), text + payload.len());
        assert_eq!(&new[..expected.len()], expected);
    }

    fn run(&mut self, script: &str) -> usize {
        let mut steps = 0;
        for line in script.lines().filter(|line| !line.starts_with('#')) {
            let mut words = line.split(' ');
            let verb = words.next().unwrap();
            let arguments: Vec<&str> = words.collect();
            let stream = |name: &str| StreamId(name.trim_start_matches(|c: char| c.is_alphabetic()).parse().unwrap());
            match (verb, &arguments[..]) {
                ("peer", [name, bytes]) => {
                    let id = self.number(name, stream(name));
                    self.peer(id, &hex(bytes));
                }
                ("ours", [bytes]) => self.ours(&hex(bytes)),
                ("accepted", []) => {
                    // A lower bound is all that can be said before the first group is sent.
                    assert_eq!(self.written.pop_front().as_deref(), Some(&[0, 1, 0][..]));
                }
                ("stop", [name]) => {
                    let id = self.number(name, stream(name));
                    self.session.on_stopped(&mut self.port, id, 0);
                    self.owner();
                }
                ("reset", [name]) => {
                    let id = self.number(name, stream(name));
                    self.session.on_reset(&mut self.port, id, 0);
                    self.owner();
                }
                ("datagram", [name, bytes]) => self.datagram(name, &hex(bytes)),
                ("group", [name, bytes]) => self.group(name, &hex(bytes)),
                _ => panic!("{line}"),
            }
            steps += 1;
        }
        assert!(self.written.is_empty(), "unexpected: {:02x?}", self.written);
        steps
    }

    /// Transcripts number streams as QUIC does.
    fn number(&self, name: &str, id: StreamId) -> StreamId {
        assert_eq!(id.0 & 2 != 0, name.starts_with("uni"), "{name}");
        id
    }
}

fn server(protocol: Protocol) -> Scene {
    let implementation = (protocol == Protocol::Moqt18).then(|| "spike".to_owned());
    Scene { end: End::Server, protocol, setup: Setup { implementation, ..Setup::default() }, announce: "spaces/demo" }
}

fn client(path: &str, authority: &str, announce: &'static str) -> Scene {
    let setup = Setup {
        implementation: Some("spike".into()),
        path: Some(path.into()),
        authority: Some(authority.into()),
        token: None,
    };
    Scene { end: End::Client, protocol: Protocol::Moqt18, setup, announce }
}

/// Replays `script` split in many ways. Returns the last replay.
fn replay(scene: impl Fn() -> Scene, script: &str, steps: usize) -> Replay {
    let mut last = None;
    for seed in 0..200 {
        let mut replay = Replay::new(scene(), seed);
        assert_eq!(replay.run(script), steps);
        last = Some(replay);
    }
    last.unwrap()
}

#[test]
fn moq_rs_over_webtransport() {
    let replay = replay(|| server(Protocol::Moqt18), include_str!("vectors/moq-rs.moqt-18.txt"), 24);
    assert_eq!((replay.tracks.len(), replay.solicited), (5, 1));
}

#[test]
fn moq_rs_over_raw_quic() {
    let replay = replay(|| server(Protocol::Moqt18), include_str!("vectors/moq-rs-quic.moqt-18.txt"), 24);
    assert_eq!((replay.tracks.len(), replay.solicited), (5, 1));
}

#[test]
fn moq_net_in_a_browser() {
    let replay = replay(|| server(Protocol::Moqt18), include_str!("vectors/moq-net-js.moqt-18.txt"), 19);
    assert_eq!((replay.tracks.len(), replay.solicited), (3, 1));
}

#[test]
fn moqtap_client_over_raw_quic() {
    let replay = replay(|| server(Protocol::Moqt18), include_str!("vectors/moqtap-client.moqt-18.txt"), 10);
    assert_eq!((replay.tracks.len(), replay.solicited), (1, 0), "it did not ask to be asked");
}

/// It subscribes, cancels and subscribes again within milliseconds.
#[test]
fn moq_relay_dials_us() {
    let replay = replay(|| server(Protocol::Moqt18), include_str!("vectors/moq-relay-dials.moqt-18.txt"), 31);
    assert_eq!((replay.tracks.len(), replay.cancelled.len()), (3, 6));
}

#[test]
fn we_publish_to_moq_relay() {
    let scene = || client("/anon", "127.0.0.1:44601", "demo");
    let replay = replay(scene, include_str!("vectors/moq-relay.moqt-18.txt"), 48);
    assert_eq!((replay.tracks.len(), replay.cancelled.len()), (5, 10));
}

/// It cancels with the UNSUBSCRIBE of older drafts.
#[test]
fn we_publish_to_moq_relay_ietf() {
    let scene = || client("/demo", "127.0.0.1:44620", "spaces/demo");
    let replay = replay(scene, include_str!("vectors/moq-relay-ietf.moqt-18.txt"), 23);
    let cancelled: Vec<_> = ["bundle", "mix"].map(|name| replay.tracks[name]).to_vec();
    assert_eq!(replay.cancelled, cancelled);
}

#[test]
fn moq_rs_with_lite() {
    let replay = replay(|| server(Protocol::Lite05), include_str!("vectors/moq-rs.lite-05.txt"), 43);
    assert_eq!((replay.tracks.len(), replay.cancelled.len(), replay.solicited), (5, 5, 1));
}

#[test]
fn moq_net_in_a_browser_with_lite() {
    let replay = replay(|| server(Protocol::Lite05), include_str!("vectors/moq-net-js.lite-05.txt"), 21);
    assert_eq!((replay.tracks.len(), replay.cancelled.len(), replay.solicited), (3, 0, 1));
}
