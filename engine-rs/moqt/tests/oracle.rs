//! `moqtap-codec`, an independent draft-18 codec, as the oracle: it reads what we write as what we meant, and we read what
//! it writes as what it meant.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "helpers of tests fail by panicking")]

mod support;

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use moqtap_codec::draft18::data_stream::*;
use moqtap_codec::draft18::message::*;
use moqtap_codec::draft18::types::ObjectStatus;
use moqtap_codec::kvp::{KeyValuePair, KvpValue};
use moqtap_codec::types::TrackNamespace;
use moqtap_codec::varint::{Moqt18, VarInt};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use spaces_moqt::seam;
use spaces_moqt::seam::{End, FullTrackName, ObjectHeader, Protocol, SessionEvent, StreamId, SubscriptionId};
use spaces_moqt::session::Session;
use support::{Act, Port, Random};

fn vi(value: u64) -> VarInt {
    VarInt::from_u64_moqt(value)
}

fn put_vi(out: &mut Vec<u8>, value: u64) {
    vi(value).encode_moqt::<Moqt18>(out);
}

fn number(key: u64, value: u64) -> KeyValuePair {
    KeyValuePair { key: vi(key), value: KvpValue::Varint(vi(value)) }
}

fn bytes(key: u64, value: Vec<u8>) -> KeyValuePair {
    KeyValuePair { key: vi(key), value: KvpValue::Bytes(value) }
}

fn namespace_of(fields: &[Vec<u8>]) -> Vec<Bytes> {
    fields.iter().cloned().map(Bytes::from).collect()
}

fn encoded(message: &ControlMessage) -> Vec<u8> {
    let mut out = Vec::new();
    message.encode(&mut out).unwrap_or_else(|error| panic!("{error}: {message:?}"));
    out
}

fn decoded(mut bytes: &[u8]) -> Vec<ControlMessage> {
    let mut messages = Vec::new();
    while !bytes.is_empty() {
        messages.push(ControlMessage::decode(&mut bytes).unwrap_or_else(|error| panic!("{error}: {bytes:02x?}")));
    }
    messages
}

/// A session and what came of it.
struct Bench {
    session: Session,
    port: Port,
    random: Random,
}

impl Bench {
    fn new(end: End, setup: seam::Setup, seed: u64) -> Self {
        let mut port = Port::new(end);
        let mut session = Session::new(Protocol::Moqt18, end, setup);
        session.start(&mut port);
        Self { session, port, random: Random(seed) }
    }

    /// One whose peer's SETUP is in.
    fn ready(end: End, seed: u64) -> Self {
        let mut bench = Self::new(end, seam::Setup::default(), seed);
        let control = StreamId(if end == End::Server { 2 } else { 3 });
        bench.feed(control, &encoded(&ControlMessage::Setup(Setup { options: vec![] })), false);
        assert!(matches!(bench.events()[..], [SessionEvent::Ready(_)]));
        bench
    }

    /// Delivers `data` in random pieces.
    fn feed(&mut self, stream: StreamId, data: &[u8], fin: bool) {
        let bidi = stream.0 & 2 == 0;
        let mut rest = data;
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(1 + self.random.below(rest.len()));
            self.session.on_stream(&mut self.port, stream, bidi, piece, false);
            rest = after;
        }
        if fin {
            self.session.on_stream(&mut self.port, stream, bidi, &[], true);
        }
    }

    fn events(&mut self) -> Vec<SessionEvent> {
        std::iter::from_fn(|| self.session.poll_event()).collect()
    }

    /// Bytes written so far by stream.
    fn written(&self) -> BTreeMap<u64, Vec<u8>> {
        let mut streams = BTreeMap::<u64, Vec<u8>>::new();
        for act in &self.port.acts {
            if let Act::Write { stream, data, .. } = act {
                streams.entry(stream.0).or_default().extend(data);
            }
        }
        streams
    }

    /// A subscription of ours that the peer has accepted under `alias`.
    fn subscribed(alias: u64, timescale: Option<u64>, seed: u64) -> (Self, SubscriptionId) {
        let mut bench = Self::ready(End::Client, seed);
        let id = bench.session.subscribe(&mut bench.port, support::track("spaces/7", "stage"));
        let track_properties = timescale.map(|units| number(8, units)).into_iter().collect();
        let ok = SubscribeOk { track_alias: vi(alias), parameters: vec![], track_properties };
        bench.feed(StreamId(0), &encoded(&ControlMessage::SubscribeOk(ok)), false);
        assert_eq!(bench.events(), [SessionEvent::Subscribed(id)]);
        (bench, id)
    }

    /// A subscription of the peer that the owner has accepted, and its alias.
    fn publishing(seed: u64) -> (Self, SubscriptionId, u64) {
        let mut bench = Self::ready(End::Server, seed);
        let name = TrackNamespace(vec![b"spaces".to_vec(), b"7".to_vec()]);
        let subscribe =
            Subscribe { request_id: vi(0), track_namespace: name, track_name: b"mix".to_vec(), parameters: vec![] };
        bench.feed(StreamId(0), &encoded(&ControlMessage::Subscribe(subscribe)), false);
        let events = bench.events();
        let [SessionEvent::SubscribeRequested { id, .. }] = events[..] else { panic!("{events:?}") };
        bench.session.accept_subscribe(&mut bench.port, id);
        let messages = decoded(&bench.written()[&0]);
        let [ControlMessage::SubscribeOk(ok)] = &messages[..] else { panic!("{messages:?}") };
        assert_eq!(ok.track_properties, [number(8, 48_000)]);
        (bench, id, ok.track_alias.into_inner())
    }
}

/// Values of every length on the wire that the oracle's object readers take (it stops at 62 bits there).
fn value() -> impl Strategy<Value = u64> {
    prop_oneof![0..3u64, 0..200u64, 0..70_000u64, (0u32..62).prop_map(|bits| (1 << bits) - 1), 0..1u64 << 62]
}

fn fields() -> impl Strategy<Value = Vec<Vec<u8>>> {
    vec(vec(any::<u8>(), 1..20), 1..5).prop_filter("ours alone", |fields| fields[0] != b".session")
}

/// Every valid combination of what SUBSCRIBE may carry.
fn parameters() -> impl Strategy<Value = Vec<KeyValuePair>> {
    let filter = prop_oneof![
        Just(vec![1u64]),
        Just(vec![2]),
        (value(), value()).prop_map(|(group, object)| vec![3, group, object]),
    ];
    let token = (vec(any::<u8>(), 0..40), value());
    (
        (option::of(value()), option::of(token), option::of(value()), option::of(value())),
        (option::of(0..2u64), option::of(0..256u64), option::of(filter), option::of(1..3u64), option::of(value())),
    )
        .prop_map(
            |((object_timeout, token, rendezvous, subgroup_timeout), (forward, priority, filter, order, new_group))| {
                let token = token.map(|(token, kind)| {
                    let mut value = vec![3];
                    put_vi(&mut value, kind);
                    value.extend(token);
                    bytes(0x03, value)
                });
                let filter = filter.map(|numbers| {
                    let mut value = Vec::new();
                    numbers.into_iter().for_each(|number| put_vi(&mut value, number));
                    bytes(0x21, value)
                });
                [
                    object_timeout.map(|value| number(0x02, value)),
                    token,
                    rendezvous.map(|value| number(0x04, value)),
                    subgroup_timeout.map(|value| number(0x06, value)),
                    forward.map(|value| number(0x10, value)),
                    priority.map(|value| number(0x20, value)),
                    filter,
                    order.map(|value| number(0x22, value)),
                    new_group.map(|value| number(0x32, value)),
                ]
                .into_iter()
                .flatten()
                .collect()
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, rng_seed: RngSeed::Fixed(18), ..ProptestConfig::default() })]

    #[test]
    fn it_reads_our_requests(
        names in vec((fields(), vec(any::<u8>(), 0..20)), 1..5),
        announced in fields(),
        prefix in vec(vec(any::<u8>(), 1..9), 0..4),
        path in option::of("[a-z/?=&]{0,200}"),
        authority in option::of("[a-z.:0-9]{0,40}"),
        implementation in option::of("\\PC{0,40}"),
        token in option::of(vec(any::<u8>(), 0..900)),
    ) {
        let setup = seam::Setup {
            implementation: implementation.clone(),
            path: path.clone(),
            authority: authority.clone(),
            token: token.clone().map(Bytes::from),
        };
        let mut bench = Bench::new(End::Client, setup, 0);
        for (namespace, track) in &names {
            let name = FullTrackName { namespace: namespace_of(namespace), track: track.clone().into() };
            bench.session.subscribe(&mut bench.port, name);
        }
        bench.session.announce(&mut bench.port, namespace_of(&announced));
        bench.session.solicit(&mut bench.port, namespace_of(&prefix));
        bench.session.goaway(&mut bench.port, "https://a.client/has/nowhere/to/send/a/server");
        let written = bench.written();

        let expected: Vec<_> = [
            path.map(|path| bytes(1, path.into_bytes())),
            token.map(|token| bytes(3, [&[3, 0][..], &token].concat())),
            authority.map(|authority| bytes(5, authority.into_bytes())),
            implementation.map(|name| bytes(7, name.into_bytes())),
        ].into_iter().flatten().collect();
        let goaway = GoAway { new_session_uri: vec![], timeout: vi(0), request_id: Some(vi(1)) };
        prop_assert_eq!(
            decoded(&written[&2]),
            [
                ControlMessage::Setup(Setup { options: expected }),
                ControlMessage::GoAway(goaway),
            ]
        );
        for (index, (namespace, track)) in names.iter().enumerate() {
            let subscribe = Subscribe {
                request_id: vi(index as u64 * 2),
                track_namespace: TrackNamespace(namespace.clone()),
                track_name: track.clone(),
                parameters: vec![number(0x10, 1), bytes(0x21, vec![2]), number(0x22, 2)],
            };
            prop_assert_eq!(decoded(&written[&(index as u64 * 4)]), [ControlMessage::Subscribe(subscribe)]);
        }
        let next = names.len() as u64;
        let publish = PublishNamespace { request_id: vi(next * 2), track_namespace: TrackNamespace(announced), parameters: vec![] };
        prop_assert_eq!(decoded(&written[&(next * 4)]), [ControlMessage::PublishNamespace(publish)]);
        let next = next + 1;
        let want = SubscribeNamespace { request_id: vi(next * 2), namespace_prefix: TrackNamespace(prefix), parameters: vec![] };
        prop_assert_eq!(decoded(&written[&(next * 4)]), [ControlMessage::SubscribeNamespace(want)]);
    }

    #[test]
    fn it_reads_our_datagrams(group in value(), object in value(), end_of_group: bool, timestamp in value(), payload in vec(any::<u8>(), 0..50)) {
        let (bench, id, alias) = Bench::publishing(1);
        let mut out = BytesMut::new();
        let header = ObjectHeader { group, object, end_of_group, timestamp };
        prop_assert!(bench.session.datagram_header(id, &header, &mut out));
        prop_assert!(out.len() <= 34);
        out.extend_from_slice(&payload);
        let (read, body) = DatagramHeader::decode_object(&mut &out[..]).unwrap();
        prop_assert_eq!(body, payload);
        prop_assert_eq!(read.track_alias.into_inner(), alias);
        prop_assert_eq!((read.group_id.into_inner(), read.object_id.into_inner()), (group, object));
        prop_assert_eq!((read.is_end_of_group(), read.object_status, read.publisher_priority), (end_of_group, None, None));
        let mut property = vec![0x10];
        put_vi(&mut property, timestamp);
        prop_assert_eq!(read.properties, property);
    }

    #[test]
    fn it_reads_our_groups(
        groups in vec((1..1_000u64, vec((0..300u64, value(), vec(any::<u8>(), 0..300)), 1..6), any::<bool>()), 1..5),
    ) {
        let (mut bench, id, alias) = Bench::publishing(1);
        let mut sent = Vec::new();
        let mut sequence = 0;
        for (step, objects, end) in groups {
            sequence += step;
            let mut object = 0;
            let last = objects.len() - 1;
            let mut expected = Vec::new();
            for (index, (skip, timestamp, payload)) in objects.into_iter().enumerate() {
                object += skip + u64::from(index > 0);
                let header = ObjectHeader { group: sequence, object, end_of_group: end && index == last, timestamp };
                prop_assert!(bench.session.send_object(&mut bench.port, id, &header, &payload));
                expected.push((object, timestamp, payload));
            }
            sent.push((sequence, expected));
        }
        bench.session.end_subscribe(&mut bench.port, id);
        let mut written = bench.written();
        let done = PublishDone { status_code: vi(2), stream_count: vi(sent.len() as u64), reason_phrase: b"track ended".to_vec() };
        let answers = decoded(&written.remove(&0).unwrap());
        prop_assert_eq!(answers.last(), Some(&ControlMessage::PublishDone(done)));
        written.remove(&3).unwrap();
        prop_assert_eq!(written.len(), sent.len());
        for ((stream, bytes), (sequence, objects)) in written.into_iter().zip(sent) {
            prop_assert!(bench.port.finished(StreamId(stream)));
            let mut rest = &bytes[..];
            let header = SubgroupHeader::decode(&mut rest).unwrap();
            prop_assert_eq!((header.track_alias.into_inner(), header.group_id.into_inner()), (alias, sequence));
            prop_assert_eq!(header.subgroup_id.into_inner(), 0);
            prop_assert!(header.is_end_of_group());
            prop_assert_eq!(header.is_first_object(), objects[0].0 == 0);
            let mut reader = SubgroupObjectReader::new(&header);
            for (object, timestamp, payload) in objects {
                let read = reader.read_object(&mut rest).unwrap();
                let mut property = vec![0x10];
                put_vi(&mut property, timestamp);
                prop_assert_eq!(read.object_id.into_inner(), object);
                prop_assert_eq!(read.status(), ObjectStatus::Normal);
                prop_assert_eq!((read.extension_headers, read.payload), (property, payload));
            }
            prop_assert!(rest.is_empty());
        }
    }

    #[test]
    fn it_reads_our_refusals(reason in "\\PC{0,2000}") {
        let mut bench = Bench::ready(End::Server, 1);
        let name = TrackNamespace(vec![b"spaces".to_vec()]);
        let subscribe = Subscribe { request_id: vi(0), track_namespace: name, track_name: vec![], parameters: vec![] };
        bench.feed(StreamId(0), &encoded(&ControlMessage::Subscribe(subscribe)), false);
        let events = bench.events();
        let [SessionEvent::SubscribeRequested { id, .. }] = events[..] else { panic!("{events:?}") };
        bench.session.reject_subscribe(&mut bench.port, id, seam::RequestError::DoesNotExist, &reason);
        prop_assert!(bench.port.finished(StreamId(0)));
        let messages = decoded(&bench.written()[&0]);
        let [ControlMessage::RequestError(error)] = &messages[..] else { panic!("{messages:?}") };
        prop_assert_eq!((error.error_code.into_inner(), error.retry_interval.into_inner()), (0x10, 0));
        let said = std::str::from_utf8(&error.reason_phrase).unwrap();
        prop_assert!(reason.starts_with(said) && (said == reason || said.len() > 1_020));
        prop_assert!(said.len() <= 1_024);
    }

    #[test]
    fn we_read_its_subscribe(namespace in fields(), track in vec(any::<u8>(), 0..30), parameters in parameters(), request in 0..1_000u64, seed: u64) {
        let mut bench = Bench::ready(End::Server, seed);
        let forward = parameters.iter().all(|parameter| *parameter != number(0x10, 0));
        let subscribe = Subscribe {
            request_id: vi(request * 2),
            track_namespace: TrackNamespace(namespace.clone()),
            track_name: track.clone(),
            parameters,
        };
        bench.feed(StreamId(0), &encoded(&ControlMessage::Subscribe(subscribe)), false);
        let events = bench.events();
        let [SessionEvent::SubscribeRequested { id, name }] = &events[..] else { panic!("{events:?}") };
        prop_assert_eq!((&name.namespace, &name.track[..]), (&namespace_of(&namespace), &track[..]));
        bench.session.accept_subscribe(&mut bench.port, *id);
        prop_assert_eq!(bench.session.datagram_key(*id).is_some(), forward);
        // FORWARD may be turned at any time.
        let update = RequestUpdate { request_id: vi(request * 2 + 2), parameters: vec![number(0x10, u64::from(!forward))] };
        bench.feed(StreamId(0), &encoded(&ControlMessage::RequestUpdate(update)), false);
        prop_assert_eq!(bench.session.datagram_key(*id).is_some(), !forward);
        let messages = decoded(&bench.written()[&0]);
        prop_assert!(matches!(&messages[..], [ControlMessage::SubscribeOk(_), ControlMessage::RequestOk(_)]), "{messages:?}");
    }

    #[test]
    fn we_read_its_answers(code in value(), retry in value(), reason in "\\PC{0,200}", redirect: bool, seed: u64) {
        let mut bench = Bench::ready(End::Client, seed);
        let id = bench.session.subscribe(&mut bench.port, support::track("spaces/7", "stage"));
        let code = if redirect { 0x34 } else { code.max(0x35) };
        let target = Redirect { connect_uri: b"moqt://else.where".to_vec(), track_namespace: TrackNamespace(vec![]), track_name: vec![] };
        let error = RequestError {
            error_code: vi(code),
            retry_interval: vi(retry),
            reason_phrase: reason.clone().into_bytes(),
            redirect: redirect.then_some(target),
        };
        bench.feed(StreamId(0), &encoded(&ControlMessage::RequestError(error)), true);
        prop_assert_eq!(bench.events(), [SessionEvent::SubscribeRefused { id, code, reason }]);
    }

    #[test]
    fn we_read_its_datagrams(
        (kind, status) in (0..0x10u8).prop_map(|kind| (kind, None)).boxed()
            .prop_union((0..16u8).prop_map(|kind| ((kind & !2) | 0x20, Some(ObjectStatus::Normal))).boxed())
            .or((0..8u8).prop_map(|kind| (((kind << 1) & !2) | 0x20, Some(ObjectStatus::EndOfGroup))).boxed()),
        alias in value(), group in value(), object in value(), priority: u8,
        timestamp in option::of(value()), others in vec((0x80..0x3f00u64, value(), vec(any::<u8>(), 0..9)), 0..3),
        timescale in option::of(prop_oneof![Just(48_000u64), Just(1_000_000), Just(1_000), 1..1u64 << 40]),
        payload in vec(any::<u8>(), 0..60),
    ) {
        let (mut bench, id) = Bench::subscribed(alias, timescale, 0);
        let with_properties = kind & 1 != 0;
        let mut properties = Vec::new();
        if with_properties {
            let mut last = 0;
            if let Some(timestamp) = timestamp {
                put_vi(&mut properties, 0x10);
                put_vi(&mut properties, timestamp);
                last = 0x10;
            }
            for (step, number, value) in &others {
                put_vi(&mut properties, *step);
                last += step;
                if last & 1 == 0 {
                    put_vi(&mut properties, *number);
                } else {
                    put_vi(&mut properties, value.len() as u64);
                    properties.extend(value);
                }
            }
            prop_assume!(!properties.is_empty() && last < 0x4000);
        }
        let header = DatagramHeader {
            datagram_type: kind,
            track_alias: vi(alias),
            group_id: vi(group),
            object_id: vi(if kind & 4 != 0 { 0 } else { object }),
            publisher_priority: (kind & 8 == 0).then_some(priority),
            properties,
            object_status: status,
        };
        let mut datagram = Vec::new();
        header.encode_checked(&mut datagram).unwrap();
        if status.is_none() {
            datagram.extend(&payload);
        }
        bench.session.on_datagram(&mut bench.port, datagram.into());
        let events = bench.events();
        if status == Some(ObjectStatus::EndOfGroup) {
            prop_assert_eq!(events, []);
        } else {
            let scale = u128::from(timescale.unwrap_or(1_000_000));
            let time = timestamp.filter(|_| with_properties).map(|time| u128::from(time) * 48_000 / scale);
            let expected = ObjectHeader {
                group,
                object: if kind & 4 != 0 { 0 } else { object },
                end_of_group: kind & 2 != 0,
                timestamp: time.map_or(group.saturating_mul(960), |time| u64::try_from(time).unwrap_or(u64::MAX)),
            };
            let payload = if status.is_none() { Bytes::from(payload) } else { Bytes::new() };
            prop_assert_eq!(events, [SessionEvent::Object { id, header: expected, datagram: true, payload }]);
        }
        prop_assert!(!bench.session.is_closed());
    }

    #[test]
    fn we_read_its_groups(
        kind in (0..0x80u8).prop_map(|kind| kind | 0x10).prop_filter("mode 3 is reserved", |kind| kind & 6 != 6),
        alias in value(), group in value(), priority: u8,
        objects in vec((0..300u64, option::of(value()), vec(any::<u8>(), 0..300)), 0..6),
        early: bool, seed: u64,
    ) {
        let header = SubgroupHeader {
            header_type: kind,
            track_alias: vi(alias),
            group_id: vi(group),
            subgroup_id: vi(5),
            publisher_priority: (kind & 0x20 == 0).then_some(priority),
        };
        let mut stream = Vec::new();
        header.encode_checked(&mut stream).unwrap();
        let mut writer = SubgroupObjectReader::new(&header);
        let mut expected = Vec::new();
        let mut id = 0;
        for (index, (skip, timestamp, payload)) in objects.iter().enumerate() {
            id += skip + u64::from(index > 0);
            let mut extension_headers = Vec::new();
            if let Some(timestamp) = timestamp && kind & 1 != 0 {
                put_vi(&mut extension_headers, 0x10);
                put_vi(&mut extension_headers, *timestamp);
            }
            let object = SubgroupObject {
                object_id: vi(id),
                extension_headers,
                payload_length: vi(payload.len() as u64),
                object_status: payload.is_empty().then_some(ObjectStatus::Normal),
                payload: payload.clone(),
            };
            writer.write_object(&object, &mut stream).unwrap();
            let timestamp = timestamp.filter(|_| kind & 1 != 0).unwrap_or(group.saturating_mul(960));
            expected.push((ObjectHeader { group, object: id, end_of_group: false, timestamp }, payload.clone()));
        }
        // Before SUBSCRIBE_OK nobody knows whose the stream is: it waits.
        let (mut bench, subscription) = if early {
            let mut bench = Bench::ready(End::Client, seed);
            let id = bench.session.subscribe(&mut bench.port, support::track("spaces/7", "stage"));
            bench.feed(StreamId(7), &stream, true);
            prop_assert_eq!(bench.events(), []);
            let ok = SubscribeOk { track_alias: vi(alias), parameters: vec![], track_properties: vec![number(8, 48_000)] };
            bench.feed(StreamId(0), &encoded(&ControlMessage::SubscribeOk(ok)), false);
            (bench, id)
        } else {
            let (mut bench, id) = Bench::subscribed(alias, Some(48_000), seed);
            bench.feed(StreamId(7), &stream, true);
            (bench, id)
        };
        let got: Vec<_> = bench.events().into_iter().filter_map(|event| match event {
            SessionEvent::Object { id, header, datagram: false, payload } if id == subscription => Some((header, payload.to_vec())),
            _ => None,
        }).collect();
        prop_assert_eq!(got, expected);
        prop_assert!(!bench.session.is_closed());
        prop_assert_eq!(bench.session.buffered(), 0);
    }

    #[test]
    fn we_refuse_its_other_requests_and_live_on(namespace in fields(), track in vec(any::<u8>(), 0..30), which in 0..6, seed: u64) {
        let mut bench = Bench::ready(End::Server, seed);
        let track_namespace = TrackNamespace(namespace);
        let (request_id, zero) = (vi(0), vi(0));
        let message = match which {
            0 => ControlMessage::TrackStatus(TrackStatus { request_id, track_namespace, track_name: track, parameters: vec![] }),
            1 => ControlMessage::SubscribeTracks(SubscribeTracks { request_id, namespace_prefix: track_namespace, parameters: vec![] }),
            2 => ControlMessage::Publish(Publish {
                request_id, track_namespace, track_name: track, track_alias: zero, parameters: vec![], track_properties: vec![],
            }),
            3 => ControlMessage::Fetch(Fetch {
                request_id,
                fetch_type: FetchType::Standalone,
                fetch_payload: FetchPayload::Standalone {
                    track_namespace, track_name: track, start_group: zero, start_object: zero, end_group: vi(1), end_object: zero,
                },
                parameters: vec![],
            }),
            other => ControlMessage::Fetch(Fetch {
                request_id,
                fetch_type: if other == 4 { FetchType::RelativeJoining } else { FetchType::AbsoluteJoining },
                fetch_payload: FetchPayload::Joining { joining_request_id: vi(8), joining_start: zero },
                parameters: vec![],
            }),
        };
        bench.feed(StreamId(0), &encoded(&message), false);
        let messages = decoded(&bench.written()[&0]);
        prop_assert!(matches!(&messages[..], [ControlMessage::RequestError(error)] if error.error_code == vi(3)), "{messages:?}");
        prop_assert!(bench.port.finished(StreamId(0)) && !bench.session.is_closed());
        prop_assert_eq!(bench.events(), []);
    }
}
