//! Arbitrary input at every entry point: no panic, bounded memory, and a transport that is used as its contract says.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "helpers of tests fail by panicking")]

mod support;

use std::collections::{BTreeMap, BTreeSet};

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use spaces_moqt::seam::*;
use spaces_moqt::session::Session;
use support::{Act, Port, Random, hex, namespace, track};

/// What a peer may say, by protocol and by the stream that it belongs on. `RR` is a fresh request or subscribe id.
struct Phrases {
    requests: &'static [&'static str],
    followups: &'static [&'static str],
    answers: &'static [&'static str],
    control: &'static [&'static str],
    data: &'static [&'static str],
    datagrams: &'static [&'static str],
}

const MOQT: Phrases = Phrases {
    requests: &[
        "03 0012 RR 02 06737061636573 0137 057374616765 00",
        "03 0012 RR 02 06737061636573 0137 057374617465 00",
        "03 0016 RR 02 06737061636573 0137 057374616765 02 1000 1001",
        "06 000c RR 02 06737061636573 0137 00",
        "50 0003 RR 0000",
        "50 000a RR 01 06737061636573 00",
        "16 0005 RR 02 00 01 00",
    ],
    followups: &["02 0004 RR 01 10 00", "02 0004 RR 01 10 01", "0a0000", "1000020000"],
    answers: &[
        "04 0006 01 00 08c0bb80",
        "04 0006 02 00 08c0bb80",
        "04 0009 07 01 09 0105 08c0bb80",
        "04 0006 07 00 c0400000",
        "07 0001 00",
        "05 0004 03 00 01 61",
        "0b 0004 02 00 01 61",
        "08 0003 01 01 37",
        "0e 0003 01 01 37",
    ],
    control: &["10 0003 00 00 00", "10 0003 00 00 01", "10 0005 02 6162 00 01"],
    data: &[
        "79 01 05 00 0410c05a00 03616263 00 0410c05a01 0161",
        "38 01 06 00 026162 00 00 00",
        "79 02 05 00 0410c05a00 03616263",
        "f0132b3e28 00",
    ],
    datagrams: &["0f 01 05 0410c05a00 aabb", "0f 02 05 0410c05a00 aabb", "2c 01 05 03", "0b 07 01 00 02 aa"],
};

const LITE: Phrases = Phrases {
    requests: &[
        "01 02 0000",
        "01 08 06737061636573 00",
        "02 16 RR 097370616365732f3737 057374616765 00 00 00 00 00",
        "02 16 RR 097370616365732f3737 057374617465 00 00 00 00 00",
        "06 10 097370616365732f3737 057374616765",
        "05 03 02 6162",
        "03",
    ],
    followups: &["05 00 00 00 00 00"],
    answers: &[
        "08 80 00 5388 8000bb80",
        "00 01 05",
        "01 01 09",
        "02 03 01 02 00",
        "02 00 01",
        "02 00 01 0b 01 087370616365732f37 00",
        "0b 01 087370616365732f37 00",
        "0b 00 087370616365732f37 00",
    ],
    control: &[""],
    data: &["00 02 00 05 8000bb80 03616263 02 0161", "00 02 01 05 8000bb80 03616263"],
    datagrams: &["00 05 8000bb80 aabb", "01 05 8000bb80 aabb"],
};

/// What a session may do to a stream, checked on every act.
#[derive(Default)]
struct Contract {
    finished: BTreeSet<StreamId>,
    closed: bool,
}

impl Contract {
    /// `known`: streams of the peer that it has shown. Everything else must have been opened.
    fn check(&mut self, acts: &mut std::collections::VecDeque<Act>, ours: u64, known: &BTreeSet<StreamId>) {
        for act in acts.drain(..) {
            assert!(!self.closed, "{act:?} after close");
            let stream = match act {
                Act::Write { stream, fin, .. } => {
                    assert!(!self.finished.contains(&stream), "write on ended {stream:?}");
                    if fin {
                        self.finished.insert(stream);
                    }
                    stream
                }
                Act::Reset { stream, .. } => {
                    self.finished.insert(stream);
                    stream
                }
                Act::Stop { stream, .. } => stream,
                Act::Close { .. } => {
                    self.closed = true;
                    continue;
                }
            };
            assert!(stream.0 & 1 == ours || known.contains(&stream), "stream {stream:?} is nobody's");
        }
    }
}

fn name(event: &SessionEvent) -> &'static str {
    match event {
        SessionEvent::Ready(_) => "Ready",
        SessionEvent::Announced(_) => "Announced",
        SessionEvent::Unannounced(_) => "Unannounced",
        SessionEvent::SubscribeRequested { .. } => "SubscribeRequested",
        SessionEvent::SubscribeCancelled(_) => "SubscribeCancelled",
        SessionEvent::Subscribed(_) => "Subscribed",
        SessionEvent::SubscribeRefused { .. } => "SubscribeRefused",
        SessionEvent::SubscriptionEnded(_) => "SubscriptionEnded",
        SessionEvent::Object { .. } => "Object",
        SessionEvent::GoAway { .. } => "GoAway",
        SessionEvent::Failed { .. } => "Failed",
    }
}

/// One of `phrases`, mostly; sometimes another one, cut or changed, or noise.
fn input(random: &mut Random, all: &Phrases, phrases: &[&str], fresh: &mut u8) -> Vec<u8> {
    let others = [all.requests, all.followups, all.answers, all.control, all.data, all.datagrams];
    let phrases = if random.below(16) == 0 { others[random.below(6)] } else { phrases };
    let id = format!("{fresh:02x}");
    let mut data = hex(&phrases[random.below(phrases.len())].replace("RR", &id));
    *fresh = (*fresh + 2) % 0x40;
    if random.below(24) == 0 {
        data.extend((0..random.below(40)).map(|_| random.next() as u8));
    }
    if random.below(24) == 0 && !data.is_empty() {
        let at = random.below(data.len());
        data[at] = random.next() as u8;
    }
    if random.below(24) == 0 {
        data.truncate(random.below(data.len() + 1));
    }
    data
}

fn header(random: &mut Random) -> ObjectHeader {
    let wide = random.next() >> random.below(64);
    ObjectHeader {
        group: if random.below(4) == 0 { wide } else { random.below(9) as u64 },
        object: random.below(3) as u64,
        end_of_group: random.next() & 1 == 0,
        timestamp: random.next() >> random.below(64),
    }
}

/// One session's life among random input and random wishes of its owner. The names of its events are added to `seen`.
fn live(protocol: Protocol, end: End, seed: u64, seen: &mut BTreeMap<&'static str, usize>) {
    let mut random = Random(seed);
    let mut port = Port::new(end);
    port.bi_credit = random.below(20);
    port.uni_credit = random.below(20);
    let mut session = Session::new(protocol, end, Setup::default());
    let mut contract = Contract::default();
    let mut known = BTreeSet::new();
    let mut over = BTreeSet::new();
    let (ours, limit) = match end {
        End::Client => (0, 4 << 20),
        End::Server => (1, 256 << 10),
    };
    let (mut client, mut server) = (0, 0);
    let mut fresh = if end == End::Server { 0 } else { 1 };
    let all = if protocol == Protocol::Moqt18 { &MOQT } else { &LITE };
    session.start(&mut port);
    for step in 0..40 {
        // Streams of either end: the peer's appear, ours get their answers.
        let bidi = random.next() & 1 == 0;
        let own = bidi && random.next() & 1 == 0;
        let initiator = if own { ours } else { ours ^ 1 };
        let stream = StreamId((random.below(6) as u64 * 4) | (u64::from(!bidi) << 1) | initiator);
        let phrases = match (bidi, own) {
            (true, true) => all.answers,
            (true, false) if known.contains(&stream) => all.followups,
            (true, false) => all.requests,
            (false, _) if stream.0 < 4 => all.control,
            (false, _) => all.data,
        };
        let id = SubscriptionId(random.below(8) as u64);
        let choice = if step == 0 { 0 } else { random.below(24) };
        match choice {
            0 => {
                // Most peers begin as they should.
                let setup = StreamId(2 | (ours ^ 1));
                known.insert(setup);
                let bytes = if protocol == Protocol::Moqt18 { "af000000" } else { "010100" };
                if !over.contains(&setup) {
                    session.on_stream(&mut port, setup, false, &hex(bytes), false);
                }
            }
            1..=11 if !over.contains(&stream) => {
                known.insert(stream);
                let fin = random.below(6) == 0 && (bidi || stream.0 >= 4);
                let data = input(&mut random, all, phrases, &mut fresh);
                session.on_stream(&mut port, stream, bidi, &data, fin);
                if fin {
                    over.insert(stream);
                }
            }
            12 if known.contains(&stream) && over.insert(stream) => session.on_reset(&mut port, stream, random.next()),
            13 => {
                // The peer stops one of our groups, or our half of a request.
                let group = StreamId((random.below(6) as u64 * 4) | 2 | ours);
                let stopped = if random.next() & 1 == 0 { group } else { stream };
                known.insert(stopped);
                session.on_stopped(&mut port, stopped, random.next());
            }
            14 => {
                port.bi_credit += random.below(3);
                port.uni_credit += random.below(3);
                session.on_stream_credit(&mut port);
            }
            15 | 16 => {
                let datagram = input(&mut random, all, all.datagrams, &mut fresh);
                session.on_datagram(&mut port, datagram.into());
            }
            17 => {
                client += 1;
                session.subscribe(&mut port, track("spaces/7", ["stage", "audio", "x"][client % 3]));
            }
            18 => session.unsubscribe(&mut port, id),
            19 => {
                server += 1;
                match server % 3 {
                    0 => session.announce(&mut port, namespace("spaces/7")),
                    1 => session.solicit(&mut port, namespace("spaces")),
                    _ => session.unannounce(&mut port, &namespace("spaces/7")),
                }
            }
            20 => session.end_subscribe(&mut port, id),
            21 => session.purge_groups(&mut port, id),
            22 if random.below(10) == 0 => session.goaway(&mut port, "moqt://elsewhere"),
            _ => {
                session.send_object(&mut port, id, &header(&mut random), &[1, 2, 3]);
            }
        }
        // What was stopped delivers no more.
        over.extend(port.acts.iter().filter_map(|act| match act {
            Act::Stop { stream, .. } => Some(*stream),
            _ => None,
        }));
        while let Some(event) = session.poll_event() {
            *seen.entry(name(&event)).or_default() += 1;
            match event {
                SessionEvent::SubscribeRequested { id, .. } if random.below(5) > 0 => {
                    session.accept_subscribe(&mut port, id);
                }
                SessionEvent::SubscribeRequested { id, .. } => {
                    session.reject_subscribe(&mut port, id, RequestError::TooMany, "no");
                }
                SessionEvent::Failed { .. } => assert!(session.is_closed()),
                _ => {}
            }
        }
        contract.check(&mut port.acts, ours, &known);
        assert_eq!(contract.closed, session.is_closed());
        assert!(session.buffered() <= limit, "{} bytes held", session.buffered());
    }
}

#[test]
fn no_input_breaks_a_session_and_every_event_is_reached() {
    for protocol in [Protocol::Moqt18, Protocol::Lite05] {
        for end in [End::Client, End::Server] {
            let mut seen = BTreeMap::new();
            for seed in 0..12_000 {
                live(protocol, end, seed, &mut seen);
            }
            // A run that never gets anywhere proves nothing.
            assert_eq!(seen.len(), 11, "{protocol:?} {end:?}: {seen:?}");
            assert!(seen.values().all(|count| *count >= 10), "{protocol:?} {end:?}: {seen:?}");
        }
    }
}

#[test]
fn what_never_ends_is_not_kept() {
    for protocol in [Protocol::Moqt18, Protocol::Lite05] {
        let mut port = Port::new(End::Server);
        let mut session = Session::new(protocol, End::Server, Setup::default());
        // Messages that announce 60,000 bytes and go on for ever, on ever more streams.
        let start = if protocol == Protocol::Moqt18 { "03ea60" } else { "028000ea60" };
        for number in 0..100_000u64 {
            let stream = StreamId(number % 500 * 4);
            let data = if number < 500 { hex(start) } else { vec![0; 100] };
            session.on_stream(&mut port, stream, true, &data, false);
            assert!(session.buffered() <= (256 << 10) + 100);
            port.acts.retain(|act| matches!(act, Act::Close { .. }));
        }
        assert!(session.is_closed());
    }
}

#[test]
fn streams_beyond_the_limit_are_refused_alone() {
    for protocol in [Protocol::Moqt18, Protocol::Lite05] {
        let mut port = Port::new(End::Server);
        let mut session = Session::new(protocol, End::Server, Setup::default());
        for number in 0..129 {
            session.on_stream(&mut port, StreamId(number * 4), true, &[3], false);
            session.on_stream(&mut port, StreamId(number * 4 + 2), false, &[0x10], false);
        }
        assert!(!session.is_closed());
        let stopped = port.acts.iter().filter(|act| matches!(act, Act::Stop { .. })).count();
        assert!(stopped >= 1, "{protocol:?}");
    }
}

#[test]
fn events_that_nobody_polls_end_the_session() {
    let mut port = Port::new(End::Server);
    let mut session = Session::new(Protocol::Moqt18, End::Server, Setup::default());
    session.on_stream(&mut port, StreamId(2), false, &hex("af000000"), false);
    let mut number = 0u64;
    while !session.is_closed() {
        let request = [
            &hex("03 0014 c0")[..],
            &(number as u16 * 2).to_be_bytes(),
            &hex("02 06737061636573 0137 057374616765 00"),
        ]
        .concat();
        session.on_stream(&mut port, StreamId(number * 4), true, &request, false);
        session.on_reset(&mut port, StreamId(number * 4), 0);
        number += 1;
        assert!(number < 10_000);
    }
    assert!(number > 2_000);
    let events = std::iter::from_fn(|| session.poll_event()).count();
    assert!(events <= 4_097, "{events}");
}

#[test]
fn objects_that_nobody_polls_are_dropped() {
    let mut port = Port::new(End::Server);
    let mut session = Session::new(Protocol::Moqt18, End::Server, Setup::default());
    session.on_stream(&mut port, StreamId(2), false, &hex("af000000"), false);
    session.subscribe(&mut port, track("spaces/7/seat/1", "audio"));
    session.on_stream(&mut port, StreamId(1), true, &hex("040006010008c0bb80"), false);
    let mut datagram = hex("0c0105");
    datagram.resize(1_000, 0);
    let datagram = Bytes::from(datagram);
    for _ in 0..10_000 {
        session.on_datagram(&mut port, datagram.clone());
    }
    assert!(!session.is_closed());
    let held: usize = std::iter::from_fn(|| session.poll_event())
        .map(|event| match event {
            SessionEvent::Object { payload, .. } => payload.len(),
            _ => 0,
        })
        .sum();
    assert!((1_000_000..=1 << 20).contains(&held), "{held}");
}

/// The subscription that a server has of a peer with these names, all accepted, in this order.
fn published(protocol: Protocol, ids: &[(u64, FullTrackName)]) -> (Session, Vec<SubscriptionId>) {
    let mut port = Port::new(End::Server);
    let mut session = Session::new(protocol, End::Server, Setup::default());
    let setup = if protocol == Protocol::Moqt18 { "af000000" } else { "010100" };
    session.on_stream(&mut port, StreamId(2), false, &hex(setup), false);
    let mut accepted = Vec::new();
    for (index, (id, name)) in ids.iter().enumerate() {
        let mut body = BytesMut::new();
        let mut out = match protocol {
            Protocol::Moqt18 => {
                body.extend_from_slice(&[index as u8 * 2, name.namespace.len() as u8]);
                for field in &name.namespace {
                    body.extend_from_slice(&[field.len() as u8]);
                    body.extend_from_slice(field);
                }
                vec![3, 0]
            }
            Protocol::Lite05 => {
                body.extend_from_slice(&(*id as u32 | 0x8000_0000).to_be_bytes());
                let path = name.namespace.join(&b'/');
                body.extend_from_slice(&[path.len() as u8]);
                body.extend_from_slice(&path);
                vec![2]
            }
        };
        body.extend_from_slice(&[name.track.len() as u8]);
        body.extend_from_slice(&name.track);
        body.extend_from_slice(if protocol == Protocol::Moqt18 { &[0][..] } else { &[0; 5][..] });
        assert!(body.len() < 64);
        out.push(body.len() as u8);
        out.extend_from_slice(&body);
        session.on_stream(&mut port, StreamId(index as u64 * 4), true, &out, false);
        while let Some(event) = session.poll_event() {
            if let SessionEvent::SubscribeRequested { id, .. } = event {
                session.accept_subscribe(&mut port, id);
                accepted.push(id);
            }
        }
    }
    assert_eq!(accepted.len(), ids.len());
    (session, accepted)
}

fn names() -> impl Strategy<Value = Vec<(u64, FullTrackName)>> {
    const TRACKS: [&str; 9] = ["stage", "stage.1", "state", "seat/0", "seat/12", "seat/013", "audio", "other", "x"];
    let name = (prop_oneof![Just("spaces/7"), Just("spaces/8")], proptest::sample::select(&TRACKS[..]));
    proptest::collection::btree_map((0..1u64 << 29).prop_map(|id| id >> (id % 29)), name, 1..12).prop_map(|names| {
        let mut seen = BTreeSet::new();
        names
            .into_iter()
            .filter(|(_, name)| seen.insert(*name))
            .map(|(id, (path, name))| (id, track(path, name)))
            .collect()
    })
}

fn protocol() -> impl Strategy<Value = Protocol> {
    prop_oneof![Just(Protocol::Moqt18), Just(Protocol::Lite05)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, rng_seed: RngSeed::Fixed(5), ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_are_survived(
        protocol in protocol(),
        server: bool,
        inputs in proptest::collection::vec((0..40u64, proptest::collection::vec(any::<u8>(), 0..60), any::<bool>()), 0..40),
    ) {
        let end = if server { End::Server } else { End::Client };
        let mut port = Port::new(end);
        let mut session = Session::new(protocol, end, Setup::default());
        session.start(&mut port);
        for (stream, data, fin) in inputs {
            session.on_stream(&mut port, StreamId(stream), stream & 2 == 0, &data, fin);
            session.on_datagram(&mut port, data.into());
            prop_assert!(session.buffered() <= 4 << 20);
        }
    }

    #[test]
    fn equal_keys_have_equal_headers_in_all_sessions(
        sessions in proptest::collection::vec((protocol(), names()), 1..5),
        group in prop_oneof![0..1_000u64, 0..1u64 << 62], end_of_group: bool, timestamp in 0..1u64 << 62,
    ) {
        let header = ObjectHeader { group, object: 0, end_of_group, timestamp };
        let mut by_key = BTreeMap::<u64, BytesMut>::new();
        let mut by_name = BTreeMap::<Vec<u8>, u64>::new();
        for (protocol, names) in sessions {
            let (session, ids) = published(protocol, &names);
            for (id, (_, name)) in ids.into_iter().zip(&names) {
                let key = session.datagram_key(id).unwrap();
                let mut bytes = BytesMut::new();
                prop_assert!(session.datagram_header(id, &header, &mut bytes));
                let before = by_key.entry(key).or_insert_with(|| bytes.clone());
                prop_assert_eq!(&*before, &bytes);
                // Where only one namespace is in use, as in a listener's session, the track alone decides.
                if protocol == Protocol::Moqt18 && names.iter().all(|(_, other)| other.namespace == name.namespace)
                    && name.track != "other" && name.track != "x" && name.track != "seat/013" {
                    prop_assert_eq!(*by_name.entry(name.track.to_vec()).or_insert(key), key);
                }
            }
        }
        // And in a protocol different keys have different headers, or a cache would hold one thing twice.
        let distinct: BTreeSet<_> = by_key.iter().map(|(key, bytes)| (key & 1, bytes.to_vec())).collect();
        prop_assert_eq!(distinct.len(), by_key.len());
    }
}
