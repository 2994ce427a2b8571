//! What the drafts forbid, and what ends with it: the request, the stream or the session, with the draft's code.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "helpers of tests fail by panicking")]

mod support;

use bytes::Bytes;
use spaces_moqt::seam::*;
use spaces_moqt::session::Session;
use support::{Act, Port, hex, namespace, track};

const PROTOCOL_VIOLATION: u64 = 0x3;
const INVALID_REQUEST_ID: u64 = 0x4;
const DUPLICATE_TRACK_ALIAS: u64 = 0x5;
const KEY_VALUE_FORMATTING_ERROR: u64 = 0x6;
/// SETUP without options, behind the type of its stream.
const SETUP: &str = "af000000";
/// Namespace spaces/7, track stage.
const NAME: &str = "02 06737061636573 0137 057374616765";

/// A draft-18 message around `body`.
fn message(kind: &str, body: &str) -> String {
    format!("{kind} {:04x} {body}", hex(body).len())
}

/// The peer's SUBSCRIBE of spaces/7 stage, without parameters.
fn subscribe(request_id: u8) -> String {
    message("03", &format!("{request_id:02x} {NAME} 00"))
}

/// A moq-lite message around `body`, behind the type of its stream.
fn lite(kind: &str, body: &str) -> String {
    format!("{kind} {:02x} {body}", hex(body).len())
}

/// The peer's moq-lite SUBSCRIBE of spaces/7 stage, id 0.
fn lite_subscribe(last_group: &str) -> String {
    lite("02", &format!("00 087370616365732f37 057374616765 00 00 00 00 {last_group}"))
}

struct Bench {
    session: Session,
    port: Port,
    end: End,
}

impl Bench {
    fn new(protocol: Protocol, end: End) -> Self {
        let mut port = Port::new(end);
        let mut session = Session::new(protocol, end, Setup::default());
        session.start(&mut port);
        Self { session, port, end }
    }

    fn moqt(end: End) -> Self {
        Self::new(Protocol::Moqt18, end)
    }

    /// One whose peer's SETUP is in.
    fn ready(end: End) -> Self {
        let mut bench = Self::moqt(end);
        bench.uni(0, SETUP);
        assert!(matches!(bench.events()[..], [SessionEvent::Ready(_)]));
        bench
    }

    /// The peer's n-th stream of a kind.
    fn peer(&self, number: u64, uni: bool) -> StreamId {
        let initiator = u64::from(self.end == End::Client);
        StreamId((number * 4) | (u64::from(uni) << 1) | initiator)
    }

    fn bidi(&mut self, number: u64, bytes: &str) -> StreamId {
        let stream = self.peer(number, false);
        self.session.on_stream(&mut self.port, stream, true, &hex(bytes), false);
        stream
    }

    fn uni(&mut self, number: u64, bytes: &str) -> StreamId {
        let stream = self.peer(number, true);
        self.session.on_stream(&mut self.port, stream, false, &hex(bytes), false);
        stream
    }

    fn datagram(&mut self, bytes: &str) {
        self.session.on_datagram(&mut self.port, hex(bytes).into());
    }

    fn events(&mut self) -> Vec<SessionEvent> {
        std::iter::from_fn(|| self.session.poll_event()).collect()
    }

    fn closed(&self) -> Option<u64> {
        self.port.acts.iter().find_map(|act| match act {
            Act::Close { code, .. } => Some(*code),
            _ => None,
        })
    }

    fn closes_with(mut self, code: u64) {
        assert_eq!(self.closed(), Some(code));
        assert!(self.session.is_closed());
        let events = self.events();
        let Some(SessionEvent::Failed { code: told, reason }) = events.last() else { panic!("{events:?}") };
        assert_eq!(*told, code);
        assert!(!reason.is_empty());
        // Nothing happens any more.
        let acts = self.port.acts.len();
        self.bidi(9, &subscribe(8));
        self.session.announce(&mut self.port, namespace("a"));
        self.session.subscribe(&mut self.port, track("a", "b"));
        assert_eq!((self.events(), self.port.acts.len()), (vec![], acts));
    }

    /// A subscription of ours that the peer has accepted under alias 7, timescale 48000.
    fn subscribed() -> (Self, SubscriptionId) {
        let mut bench = Self::ready(End::Client);
        let id = bench.session.subscribe(&mut bench.port, track("spaces/7", "stage"));
        bench.session.on_stream(&mut bench.port, StreamId(0), true, &hex("040006070008c0bb80"), false);
        assert_eq!(bench.events(), [SessionEvent::Subscribed(id)]);
        (bench, id)
    }
}

#[test]
fn a_server_closes_for_what_the_draft_forbids_on_requests() {
    let named = |after: &str| message("03", &format!("00 {NAME} {after}"));
    for (bytes, code, why) in [
        (message("40", ""), PROTOCOL_VIOLATION, "unknown message"),
        (message("07", "00"), PROTOCOL_VIOLATION, "an answer without a request"),
        (message("af00", ""), PROTOCOL_VIOLATION, "SETUP on a request stream"),
        (message("10", "00 00 00"), PROTOCOL_VIOLATION, "GOAWAY before a request"),
        (message("0a", ""), PROTOCOL_VIOLATION, "UNSUBSCRIBE before a request"),
        (subscribe(1), INVALID_REQUEST_ID, "odd id from a client"),
        (named("00") + "03", 0, "the next message's first byte"),
        (named("00 00"), PROTOCOL_VIOLATION, "longer than its fields"),
        (named(""), PROTOCOL_VIOLATION, "shorter than its fields"),
        (named("01 01 01"), PROTOCOL_VIOLATION, "unknown parameter"),
        (named("01 08 01"), PROTOCOL_VIOLATION, "EXPIRES in SUBSCRIBE"),
        (named("01 10 01"), 0, "FORWARD 1"),
        (named("01 10 02"), PROTOCOL_VIOLATION, "FORWARD 2"),
        (named("02 10 01 00 01"), PROTOCOL_VIOLATION, "FORWARD twice"),
        (named("02 10 01 ffffffffffffffffff 01"), PROTOCOL_VIOLATION, "a type over 64 bits"),
        (named("01 22 03"), PROTOCOL_VIOLATION, "group order 3"),
        (named("01 21 01 02"), 0, "filter 2"),
        (named("01 21 01 05"), PROTOCOL_VIOLATION, "filter 5"),
        (named("01 21 02 02 00"), PROTOCOL_VIOLATION, "filter too long"),
        (named("01 21 0c 04 ffffffffffffffffff 00 01"), PROTOCOL_VIOLATION, "filter beyond the last group"),
        (named("01 03 02 03 00"), 0, "a token"),
        (named("02 03 02 03 00 00 02 03 01"), 0, "two tokens"),
        (named("01 03 01 09"), KEY_VALUE_FORMATTING_ERROR, "token of unknown form"),
        (named("01 03 02 02 01"), 0x17, "token by an alias that nobody registered"),
        (named("01 03 03 01 01 00"), 0x13, "a token to be kept"),
        (message("06", "00 01 00 00"), PROTOCOL_VIOLATION, "empty namespace field"),
        (message("06", &format!("00 21 {} 00", "0161".repeat(33))), PROTOCOL_VIOLATION, "33 namespace fields"),
        (message("06", &format!("00 20 {} 00", "0161".repeat(32))), 0, "32 namespace fields"),
    ] {
        let mut bench = Bench::ready(End::Server);
        bench.bidi(0, &bytes);
        assert_eq!(bench.closed(), (code != 0).then_some(code), "{why}");
        if code != 0 {
            bench.closes_with(code);
        }
    }
}

#[test]
fn a_request_id_is_used_once() {
    let mut bench = Bench::ready(End::Server);
    bench.bidi(0, &subscribe(0));
    bench.bidi(1, &subscribe(0));
    bench.closes_with(INVALID_REQUEST_ID);
}

#[test]
fn names_have_bounds() {
    // One field of 4,097 bytes; and namespace and track that are too long only together.
    for (field, track) in [(4_097usize, 0usize), (4_000, 97)] {
        let mut body = vec![0x00, 0x01];
        body.extend((0x8000 | field as u16).to_be_bytes());
        body.extend(vec![b'a'; field]);
        body.push(track as u8);
        body.extend(vec![b'b'; track]);
        body.push(0);
        let mut bench = Bench::ready(End::Server);
        let mut message = vec![0x03];
        message.extend((body.len() as u16).to_be_bytes());
        message.extend(&body);
        bench.session.on_stream(&mut bench.port, StreamId(0), true, &message, false);
        bench.closes_with(PROTOCOL_VIOLATION);
    }
}

#[test]
fn control_streams_are_one_each_and_stay_open() {
    let mut bench = Bench::ready(End::Server);
    bench.uni(1, SETUP);
    bench.closes_with(PROTOCOL_VIOLATION);

    let mut bench = Bench::ready(End::Server);
    let control = bench.peer(0, true);
    bench.session.on_stream(&mut bench.port, control, false, &[], true);
    bench.closes_with(PROTOCOL_VIOLATION);

    let mut bench = Bench::ready(End::Server);
    let control = bench.peer(0, true);
    bench.session.on_reset(&mut bench.port, control, 0);
    bench.closes_with(PROTOCOL_VIOLATION);

    let mut bench = Bench::ready(End::Server);
    bench.session.on_stopped(&mut bench.port, StreamId(3), 0);
    bench.closes_with(PROTOCOL_VIOLATION);

    for more in [SETUP.to_owned(), subscribe(0)] {
        let mut bench = Bench::ready(End::Server);
        bench.uni(0, &more);
        bench.closes_with(PROTOCOL_VIOLATION);
    }
}

#[test]
fn setup_options_are_checked() {
    for (end, options, expected) in [
        (End::Server, "01022f61", None),
        (End::Client, "01022f61", Some(0x8)),
        (End::Client, "050161", Some(0x19)),
        (End::Server, "0101ff", Some(0x9)),
        (End::Server, "0501ff", Some(0x1a)),
        (End::Server, "03020200", Some(PROTOCOL_VIOLATION)),
        (End::Server, "030109", Some(KEY_VALUE_FORMATTING_ERROR)),
        // Registering is taken as giving: type 1, alias 5, token type 0.
        (End::Server, "030501050061 62", None),
        // Unknown ones, twice (grease).
        (End::Server, "809d0161000162", None),
        (End::Server, "0103", Some(PROTOCOL_VIOLATION)),
        (End::Server, "01ffffffffffffffffff", Some(PROTOCOL_VIOLATION)),
    ] {
        let mut bench = Bench::moqt(end);
        bench.uni(0, &format!("af00{:04x}{options}", hex(options).len()));
        assert_eq!(bench.closed(), expected, "{options} at {end:?}");
        if options.starts_with("0305") {
            let token = Some(Bytes::from_static(b"ab"));
            assert_eq!(bench.events(), [SessionEvent::Ready(Setup { token, ..Setup::default() })]);
        }
    }
}

#[test]
fn goaway_comes_once_and_a_client_gives_no_uri() {
    let mut bench = Bench::ready(End::Client);
    let goaway = message("10", "02 6162 00 00");
    bench.uni(0, &goaway);
    assert_eq!(bench.events(), [SessionEvent::GoAway { uri: "ab".into() }]);
    bench.uni(0, &goaway);
    bench.closes_with(PROTOCOL_VIOLATION);

    let mut bench = Bench::ready(End::Server);
    bench.uni(0, &message("10", "02 6162 00 01"));
    bench.closes_with(PROTOCOL_VIOLATION);

    // The request id is one of the receiver's.
    let mut bench = Bench::ready(End::Server);
    bench.uni(0, &message("10", "00 00 00"));
    bench.closes_with(INVALID_REQUEST_ID);
    let mut bench = Bench::ready(End::Server);
    bench.uni(0, &message("10", "00 00 01"));
    assert_eq!(bench.events(), [SessionEvent::GoAway { uri: String::new() }]);
}

#[test]
fn after_our_goaway_requests_are_refused() {
    let mut bench = Bench::ready(End::Server);
    bench.session.goaway(&mut bench.port, "moqt://b");
    // The next request id that we have not seen is 0.
    assert!(bench.port.written(StreamId(3)).ends_with(&hex(&message("10", "08 6d6f71743a2f2f62 00 00"))));
    let stream = bench.bidi(0, &subscribe(0));
    assert_eq!(bench.port.written(stream)[3], 0x06);
    assert!(bench.port.finished(stream));
    assert_eq!(bench.events(), []);
}

#[test]
fn unknown_streams_and_datagrams_close_the_session() {
    for kind in ["05", "16", "17", "3e", "00", "01", "40", "8010", "af01"] {
        let mut bench = Bench::ready(End::Client);
        bench.uni(1, kind);
        assert_eq!(bench.closed(), (kind != "8010").then_some(PROTOCOL_VIOLATION), "{kind}");
    }
    for kind in ["10", "22", "23", "2e", "40", "af00"] {
        let (mut bench, _) = Bench::subscribed();
        bench.datagram(&format!("{kind}070100"));
        assert_eq!(bench.closed(), Some(PROTOCOL_VIOLATION), "{kind}");
    }
    for (datagram, why) in [
        ("090701", "cut short"),
        ("0d070100", "properties of length 0"),
        ("2d0701021001 03", "a status with properties"),
        ("2c070103ff", "a status with payload"),
        ("2c070101", "an unknown status"),
        ("0d070102100000ff", ""),
    ] {
        let (mut bench, _) = Bench::subscribed();
        bench.datagram(datagram);
        assert_eq!(bench.closed(), (!why.is_empty()).then_some(PROTOCOL_VIOLATION), "{why}");
    }
}

#[test]
fn padding_is_thrown_away() {
    let (mut bench, _) = Bench::subscribed();
    bench.datagram("f0132b3e290000");
    let stream = bench.uni(1, "f0132b3e28");
    for _ in 0..1_000 {
        bench.session.on_stream(&mut bench.port, stream, false, &[0; 10_000], false);
    }
    assert_eq!((bench.events(), bench.closed(), bench.session.buffered()), (vec![], None, 0));
}

#[test]
fn a_stream_that_ends_within_an_object_closes_the_session() {
    let (mut bench, _) = Bench::subscribed();
    let stream = bench.uni(1, "380701000261");
    bench.session.on_stream(&mut bench.port, stream, false, &[], true);
    bench.closes_with(PROTOCOL_VIOLATION);
    // A reset is no fault, nor an empty stream.
    let (mut bench, _) = Bench::subscribed();
    let stream = bench.uni(1, "380701000261");
    bench.session.on_reset(&mut bench.port, stream, 0);
    let stream = bench.uni(2, "380701");
    bench.session.on_stream(&mut bench.port, stream, false, &[], true);
    assert_eq!((bench.events(), bench.closed(), bench.session.buffered()), (vec![], None, 0));
}

#[test]
fn an_object_that_is_too_large_closes_the_session_before_it_is_held() {
    let mut bench = Bench::ready(End::Server);
    let id = bench.session.subscribe(&mut bench.port, track("spaces/7/seat/1", "audio"));
    bench.session.on_stream(&mut bench.port, StreamId(1), true, &hex("040006070008c0bb80"), false);
    assert_eq!(bench.events(), [SessionEvent::Subscribed(id)]);
    // 16 KiB plus one byte announced, nothing of it sent.
    bench.uni(1, "38070100c04001");
    bench.closes_with(0x1);
}

#[test]
fn two_tracks_may_not_share_an_alias() {
    let (mut bench, _) = Bench::subscribed();
    bench.session.subscribe(&mut bench.port, track("spaces/7", "state"));
    bench.session.on_stream(&mut bench.port, StreamId(4), true, &hex("040006070008c0bb80"), false);
    bench.closes_with(DUPLICATE_TRACK_ALIAS);
}

#[test]
fn answers_come_once_and_where_they_belong() {
    for (answer, why) in [
        ("040006070008c0bb80", "second SUBSCRIBE_OK"),
        ("050003 000000", "REQUEST_ERROR after SUBSCRIBE_OK"),
        ("07000100", "REQUEST_OK to SUBSCRIBE"),
        ("08000100", "NAMESPACE to SUBSCRIBE"),
    ] {
        let (mut bench, _) = Bench::subscribed();
        bench.session.on_stream(&mut bench.port, StreamId(0), true, &hex(answer), false);
        assert_eq!(bench.closed(), Some(PROTOCOL_VIOLATION), "{why}");
    }
    // PUBLISH_DONE before SUBSCRIBE_OK; NAMESPACE before REQUEST_OK; NAMESPACE_DONE without NAMESPACE.
    let mut bench = Bench::ready(End::Client);
    bench.session.subscribe(&mut bench.port, track("a", "b"));
    bench.session.on_stream(&mut bench.port, StreamId(0), true, &hex("0b0003 020000"), false);
    bench.closes_with(PROTOCOL_VIOLATION);
    for early in ["08000100", "070001000e0003010161"] {
        let mut bench = Bench::ready(End::Client);
        bench.session.solicit(&mut bench.port, vec![]);
        bench.session.on_stream(&mut bench.port, StreamId(0), true, &hex(early), false);
        bench.closes_with(PROTOCOL_VIOLATION);
    }
}

#[test]
fn a_track_that_needs_more_than_we_know_is_given_up() {
    let mut bench = Bench::ready(End::Client);
    let id = bench.session.subscribe(&mut bench.port, track("a", "b"));
    // Mandatory track property 0x4000.
    bench.session.on_stream(&mut bench.port, StreamId(0), true, &hex("0400060700c0400000"), false);
    let events = bench.events();
    assert!(matches!(&events[..], [SessionEvent::SubscribeRefused { id: refused, code: 0x33, .. }] if *refused == id));
    assert!(bench.port.acts.contains(&Act::Stop { stream: StreamId(0), code: 1 }));

    // On an object it makes the track malformed.
    let (mut bench, id) = Bench::subscribed();
    bench.datagram("0d070104c0400000ff");
    assert_eq!(bench.events(), [SessionEvent::SubscriptionEnded(id)]);
    assert_eq!(bench.closed(), None);
}

#[test]
fn requests_are_refused_by_the_rule_they_break() {
    for (request, code, why) in [
        (message("03", &format!("00 {NAME} 01 21 04 04 00 00 01")), 0x11, "a range"),
        (message("03", "00 01 082e73657373696f6e 057374616765 00"), 0x10, "a track of the session itself"),
        (message("50", "00 01 082e73657373696f6e 00"), 0x10, "namespaces of the session itself"),
        (message("06", "00 01 082e73657373696f6e 00"), 0x10, "a namespace of the session itself"),
        (message("16", "00 02 00 01 00"), 0x3, "a joining fetch"),
    ] {
        let mut bench = Bench::ready(End::Server);
        let stream = bench.bidi(0, &request);
        assert_eq!(bench.closed(), None, "{why}");
        let written = bench.port.written(stream);
        assert_eq!((written[0], u64::from(written[3])), (0x05, code), "{why}");
        assert!(bench.port.finished(stream));
        assert_eq!(bench.events(), []);
    }
}

#[test]
fn overlapping_prefixes_are_refused() {
    let mut bench = Bench::ready(End::Server);
    bench.session.announce(&mut bench.port, namespace("spaces/7"));
    let first = bench.bidi(0, &message("50", "00 01 06737061636573 00"));
    assert_eq!(bench.port.written(first), hex("07000100080003010137"));
    for (number, request) in [(1, "02 02 06737061636573 0137 00"), (2, "04 00 00")] {
        let stream = bench.bidi(number, &message("50", request));
        let written = bench.port.written(stream);
        assert_eq!((written[0], written[3]), (0x05, 0x30), "{request}");
    }
    // Once the first one is gone, another may come.
    bench.session.on_reset(&mut bench.port, first, 0);
    let stream = bench.bidi(3, &message("50", "06 00 00"));
    assert_eq!(bench.port.written(stream)[..4], hex("07000100"));
    assert_eq!(bench.closed(), None);
}

#[test]
fn an_update_is_answered_after_the_request_it_updates() {
    let mut bench = Bench::ready(End::Server);
    let stream = bench.bidi(0, &subscribe(0));
    bench.bidi(0, &message("02", "02 01 10 00"));
    assert_eq!(bench.port.written(stream), []);
    let [SessionEvent::SubscribeRequested { id, .. }] = bench.events()[..] else { panic!() };
    bench.session.accept_subscribe(&mut bench.port, id);
    assert_eq!(bench.port.written(stream), hex("040006010008c0bb8007000100"));
    assert_eq!(bench.session.datagram_key(id), None, "paused");
    assert!(!bench.session.send_object(
        &mut bench.port,
        id,
        &ObjectHeader { group: 1, object: 0, end_of_group: false, timestamp: 0 },
        b"x"
    ));
}

#[test]
fn requests_wait_for_the_setup_that_says_who_asks() {
    for protocol in [Protocol::Moqt18, Protocol::Lite05] {
        let mut bench = Bench::new(protocol, End::Server);
        let (request, setup) = match protocol {
            Protocol::Moqt18 => (subscribe(0), message("af00", "01 02 2f61")),
            Protocol::Lite05 => (lite_subscribe("00"), lite("01", "01 02 02 2f61")),
        };
        bench.bidi(0, &request);
        assert_eq!(bench.events(), []);
        bench.uni(0, &setup);
        let events = bench.events();
        assert_eq!(events[0], SessionEvent::Ready(Setup { path: Some("/a".into()), ..Setup::default() }));
        assert!(
            matches!(&events[1], SessionEvent::SubscribeRequested { name, .. } if *name == track("spaces/7", "stage"))
        );
    }
}

#[test]
fn lite_closes_for_what_its_draft_forbids() {
    for (uni, bidi, why) in [
        (Some("0100"), None, "SETUP without a count"),
        (Some("01050201000100"), None, "a parameter twice"),
        (Some("010501020201ff"), None, "a path that is not text, and short"),
        (Some("01 ffffffffffffffff"), None, "a message without measure"),
        (None, Some("010100"), "ANNOUNCE_REQUEST without a hop"),
        (None, Some("0103000000"), "ANNOUNCE_REQUEST too long"),
        (None, Some("0201 00"), "SUBSCRIBE without anything"),
        (None, Some("060100"), "TRACK without a name"),
    ] {
        let mut bench = Bench::new(Protocol::Lite05, End::Server);
        uni.map(|bytes| bench.uni(0, bytes));
        bidi.map(|bytes| bench.bidi(0, bytes));
        assert!(matches!(bench.closed(), Some(15 | 11)), "{why}");
    }
    let mut bench = Bench::new(Protocol::Lite05, End::Server);
    bench.uni(0, "010100");
    bench.uni(1, "010100");
    bench.closes_with(15);
    // A client is told no path.
    let mut bench = Bench::new(Protocol::Lite05, End::Client);
    bench.uni(0, "01050102022f61");
    bench.closes_with(15);
}

#[test]
fn lite_refuses_streams_that_it_does_not_know_and_lives_on() {
    let mut bench = Bench::new(Protocol::Lite05, End::Server);
    // Fetch, Probe, an extension.
    for (number, kind) in ["03", "04", "3f"].into_iter().enumerate() {
        let stream = bench.bidi(number as u64, kind);
        assert!(bench.port.acts.contains(&Act::Reset { stream, code: 17 }), "{kind}");
    }
    let stream = bench.uni(0, "09");
    assert!(bench.port.acts.contains(&Act::Stop { stream, code: 17 }));
    // A datagram or a group of no subscription.
    bench.datagram("050102ff");
    let stream = bench.uni(1, "00020501");
    assert!(bench.port.acts.contains(&Act::Stop { stream, code: 0 }));
    assert_eq!((bench.closed(), bench.events()), (None, vec![]));
    // A range.
    bench.uni(2, "010100");
    let stream = bench.bidi(7, &lite_subscribe("09"));
    assert!(bench.port.acts.contains(&Act::Reset { stream, code: 17 }));
    assert!(matches!(bench.events()[..], [SessionEvent::Ready(_)]));
}

#[test]
fn lite_drops_datagrams_over_1200_bytes() {
    let mut bench = Bench::new(Protocol::Lite05, End::Client);
    bench.uni(0, "010100");
    let id = bench.session.subscribe(&mut bench.port, track("spaces/7", "stage"));
    // TRACK_INFO with timescale 1000; SUBSCRIBE_OK.
    bench.session.on_stream(&mut bench.port, StreamId(0), true, &hex("058000 00 43e8"), true);
    bench.session.on_stream(&mut bench.port, StreamId(4), true, &hex("000105"), false);
    assert_eq!(bench.events()[1..], [SessionEvent::Subscribed(id)]);
    for (length, events) in [(1_200, 1), (1_201, 0)] {
        let mut datagram = hex("000514");
        datagram.resize(length, 7);
        bench.session.on_datagram(&mut bench.port, datagram.into());
        let got = bench.events();
        assert_eq!(got.len(), events);
        for event in got {
            let SessionEvent::Object { header, .. } = event else { panic!("{event:?}") };
            let expected = ObjectHeader { group: 5, object: 0, end_of_group: true, timestamp: 960 };
            assert_eq!(header, expected, "20 ms of a timescale of 1000");
        }
    }
    // Timescale 0 is a violation.
    bench.session.subscribe(&mut bench.port, track("spaces/7", "state"));
    bench.session.on_stream(&mut bench.port, StreamId(8), true, &hex("0480000000"), false);
    bench.closes_with(15);
}

/// A relay cancels and subscribes again within milliseconds; a lost packet turns the two around.
#[test]
fn a_second_subscription_to_a_track_replaces_the_first() {
    let mut bench = Bench::ready(End::Server);
    let first = bench.bidi(0, &subscribe(0));
    let [SessionEvent::SubscribeRequested { id: older, .. }] = bench.events()[..] else { panic!() };
    bench.session.accept_subscribe(&mut bench.port, older);
    let key = bench.session.datagram_key(older);
    let second = bench.bidi(1, &subscribe(2));
    let [SessionEvent::SubscribeCancelled(gone), SessionEvent::SubscribeRequested { id: newer, .. }] =
        bench.events()[..]
    else {
        panic!()
    };
    assert_eq!((gone, bench.session.datagram_key(older)), (older, None));
    bench.session.accept_subscribe(&mut bench.port, newer);
    assert_eq!(bench.session.datagram_key(newer), key, "under the same alias");
    // PUBLISH_DONE: SUBSCRIPTION_ENDED.
    assert!(bench.port.finished(first) && !bench.port.finished(second));
    assert_eq!(bench.port.written(first)[9..13], hex("0b 0013 03"));
    // The late cancel concerns only the first.
    bench.session.on_stopped(&mut bench.port, first, 0);
    bench.session.on_reset(&mut bench.port, first, 0);
    assert_eq!((bench.events(), bench.closed()), (vec![], None));

    let mut bench = Bench::new(Protocol::Lite05, End::Server);
    bench.uni(0, "010100");
    let first = bench.bidi(0, &lite_subscribe("00"));
    let Some(SessionEvent::SubscribeRequested { id: older, .. }) = bench.events().pop() else { panic!() };
    bench.session.accept_subscribe(&mut bench.port, older);
    bench.bidi(1, &lite("02", "01 087370616365732f37 057374616765 00 00 00 00 00"));
    let events = bench.events();
    assert_eq!(events[0], SessionEvent::SubscribeCancelled(older));
    assert!(matches!(events[1], SessionEvent::SubscribeRequested { .. }));
    assert!(bench.port.finished(first));
}

#[test]
fn unsubscribing_stops_the_answer_and_resets_the_request() {
    for protocol in [Protocol::Moqt18, Protocol::Lite05] {
        let mut bench = Bench::new(protocol, End::Client);
        let id = bench.session.subscribe(&mut bench.port, track("spaces/7", "stage"));
        bench.session.unsubscribe(&mut bench.port, id);
        let code = u64::from(protocol == Protocol::Moqt18);
        for number in 0..if protocol == Protocol::Moqt18 { 1 } else { 2 } {
            let stream = StreamId(number * 4);
            assert!(bench.port.acts.contains(&Act::Stop { stream, code }), "{protocol:?}");
            assert!(bench.port.acts.contains(&Act::Reset { stream, code }), "{protocol:?}");
        }
    }
}

#[test]
fn the_time_may_be_in_immutable_properties() {
    let mut bench = Bench::ready(End::Client);
    let id = bench.session.subscribe(&mut bench.port, track("spaces/7", "stage"));
    // IMMUTABLE_PROPERTIES (0x0b) with TIMESCALE 1000; on the object with TIMESTAMP 20.
    let ok = message("04", "07 00 0b 03 08 83e8");
    bench.session.on_stream(&mut bench.port, StreamId(0), true, &hex(&ok), false);
    bench.datagram("0d 07 05 04 0b 02 10 14 ff");
    let header = ObjectHeader { group: 5, object: 0, end_of_group: false, timestamp: 960 };
    let payload = Bytes::from_static(&[0xff]);
    assert_eq!(
        bench.events(),
        [SessionEvent::Subscribed(id), SessionEvent::Object { id, header, datagram: true, payload }]
    );
}

#[test]
fn datagrams_that_overtake_the_answer_are_kept_in_small_number() {
    for protocol in [Protocol::Moqt18, Protocol::Lite05] {
        let mut bench = Bench::new(protocol, End::Client);
        bench.uni(0, if protocol == Protocol::Moqt18 { SETUP } else { "010100" });
        let id = bench.session.subscribe(&mut bench.port, track("spaces/7", "stage"));
        for group in 0..20 {
            let datagram = match protocol {
                Protocol::Moqt18 => format!("0c 07 {group:02x} ff"),
                Protocol::Lite05 => format!("00 {group:02x} 00 ff"),
            };
            bench.datagram(&datagram);
        }
        assert!(matches!(bench.events()[..], [SessionEvent::Ready(_)]));
        let answer = if protocol == Protocol::Moqt18 { "040006070008c0bb80" } else { "0880005388 8000bb80" };
        bench.session.on_stream(&mut bench.port, StreamId(0), true, &hex(answer), false);
        let groups: Vec<_> = bench
            .events()
            .into_iter()
            .filter_map(|event| match event {
                SessionEvent::Object { id: of, header, .. } if of == id => Some(header.group),
                _ => None,
            })
            .collect();
        assert_eq!(groups, Vec::from_iter(4..20), "the newest 16");
    }
}

/// STOP_SENDING is not bound to the stream's order: it may overtake the request that it cancels.
#[test]
fn a_cancel_that_overtakes_its_request_is_not_lost() {
    for protocol in [Protocol::Moqt18, Protocol::Lite05] {
        let code = u64::from(protocol == Protocol::Moqt18);
        for partly in [false, true] {
            let mut bench = Bench::new(protocol, End::Server);
            let stream = bench.peer(0, false);
            if partly {
                bench.bidi(0, if protocol == Protocol::Moqt18 { "0300" } else { "0215" });
            }
            bench.session.on_stopped(&mut bench.port, stream, 0);
            assert!(bench.port.acts.contains(&Act::Stop { stream, code }), "no more of it is wanted");
            assert!(bench.port.acts.contains(&Act::Reset { stream, code }));
            assert_eq!(bench.session.buffered(), 0);
        }
        // Neither is a stop of a stream that is no request of the peer taken for one.
        let mut bench = Bench::new(protocol, End::Server);
        let before = bench.port.acts.len();
        for stream in [5, 2, 7] {
            bench.session.on_stopped(&mut bench.port, StreamId(stream), 0);
        }
        assert_eq!(bench.port.acts.len(), before);
    }
}
