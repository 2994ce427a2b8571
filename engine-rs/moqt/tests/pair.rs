//! A client's session against a server's, over a network that splits and reorders: the whole life, in both protocols.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "helpers of tests fail by panicking")]

mod support;

use bytes::Bytes;
use spaces_moqt::seam::*;
use support::{Pair, namespace, track};

const SEEDS: u64 = 300;
const BOTH: [Protocol; 2] = [Protocol::Moqt18, Protocol::Lite05];

fn setup(path: Option<&str>) -> Setup {
    Setup { path: path.map(str::to_owned), ..Setup::default() }
}

fn pair(protocol: Protocol, seed: u64) -> Pair {
    Pair::new(protocol, seed, setup(Some("/spaces/7?jwt=x")), Setup::default())
}

fn header(group: u64, object: u64, end_of_group: bool) -> ObjectHeader {
    ObjectHeader { group, object, end_of_group, timestamp: group * 960 + object * 120 }
}

fn objects(events: &[SessionEvent], of: SubscriptionId, by_datagram: bool) -> Vec<(ObjectHeader, Bytes)> {
    events
        .iter()
        .filter_map(|event| match event {
            SessionEvent::Object { id, header, datagram, payload } if *id == of && *datagram == by_datagram => {
                Some((*header, payload.clone()))
            }
            _ => None,
        })
        .collect()
}

fn requested(events: &[SessionEvent]) -> Vec<(SubscriptionId, FullTrackName)> {
    events
        .iter()
        .filter_map(|event| match event {
            SessionEvent::SubscribeRequested { id, name } => Some((*id, name.clone())),
            _ => None,
        })
        .collect()
}

/// Subscribes the client to `name` and has the server accept. The ids of both sides.
fn subscribe(pair: &mut Pair, name: FullTrackName) -> (SubscriptionId, SubscriptionId) {
    let ours = pair.client.session.subscribe(&mut pair.client.port, name.clone());
    pair.settle();
    let events = pair.server.events();
    let [(theirs, asked)] = &requested(&events)[..] else { panic!("{events:?}") };
    assert_eq!(*asked, name);
    assert_eq!(pair.server.session.datagram_key(*theirs), None, "nothing may be sent before it is accepted");
    pair.server.session.accept_subscribe(&mut pair.server.port, *theirs);
    pair.settle();
    assert!(pair.client.events().contains(&SessionEvent::Subscribed(ours)));
    (ours, *theirs)
}

#[test]
fn a_listener_lives_its_whole_life() {
    for protocol in BOTH {
        for seed in 0..SEEDS {
            let mut pair = pair(protocol, seed);
            pair.server.session.announce(&mut pair.server.port, namespace("spaces/7"));
            pair.client.session.solicit(&mut pair.client.port, Vec::new());
            pair.settle();
            let first = pair.server.events();
            assert_eq!(first, [SessionEvent::Ready(setup(Some("/spaces/7?jwt=x")))]);
            let heard = pair.client.events();
            assert!(heard.contains(&SessionEvent::Announced(namespace("spaces/7"))), "{heard:?}");

            let (ours, theirs) = subscribe(&mut pair, track("spaces/7", "stage"));
            let key = pair.server.session.datagram_key(theirs);
            assert!(key.is_some());
            for group in 100..110 {
                assert!(pair.server.datagram(theirs, &header(group, 0, true), &[group as u8; 40]));
            }
            for group in 200..204 {
                for object in 0..5 {
                    let sent = header(group, object, object == 4 && group % 2 == 0);
                    let payload = vec![object as u8; object as usize * 70];
                    assert!(pair.server.session.send_object(&mut pair.server.port, theirs, &sent, &payload));
                }
            }
            pair.settle();
            let events = pair.client.events();
            let by_datagram = objects(&events, ours, true);
            assert_eq!(by_datagram.len(), 10);
            for (index, (got, payload)) in by_datagram.iter().enumerate() {
                let group = 100 + index as u64;
                assert_eq!((*got, &payload[..]), (header(group, 0, true), &[group as u8; 40][..]));
            }
            let mut by_stream = objects(&events, ours, false);
            // The last group is still open: its objects are there, its streams are in any order, each one is in order.
            for group in 200..204 {
                let of_group: Vec<_> = by_stream.extract_if(.., |(got, _)| got.group == group).collect();
                assert_eq!(of_group.len(), 5, "group {group} of {events:?}");
                for (object, (got, payload)) in of_group.iter().enumerate() {
                    let object = object as u64;
                    assert_eq!(*got, header(group, object, false));
                    assert_eq!(payload.len(), object as usize * 70);
                }
            }
            assert!(by_stream.is_empty());

            pair.client.session.unsubscribe(&mut pair.client.port, ours);
            pair.settle();
            assert_eq!(pair.server.events(), [SessionEvent::SubscribeCancelled(theirs)]);
            assert!(!pair.server.datagram(theirs, &header(300, 0, true), b"late"));
            assert!(!pair.server.session.send_object(&mut pair.server.port, theirs, &header(300, 0, true), b"late"));

            let (again, theirs) = subscribe(&mut pair, track("spaces/7", "stage"));
            if protocol == Protocol::Moqt18 {
                assert_eq!(pair.server.session.datagram_key(theirs), key, "the alias stays with the track");
            }
            assert!(pair.server.datagram(theirs, &header(301, 0, true), b"again"));
            pair.settle();
            assert_eq!(objects(&pair.client.events(), again, true).len(), 1);

            pair.server.session.end_subscribe(&mut pair.server.port, theirs);
            pair.server.session.goaway(&mut pair.server.port, "https://other.example/spaces/7");
            pair.settle();
            let events = pair.client.events();
            assert!(events.contains(&SessionEvent::SubscriptionEnded(again)), "{events:?}");
            assert!(events.contains(&SessionEvent::GoAway { uri: "https://other.example/spaces/7".into() }));
            let refused = pair.client.session.subscribe(&mut pair.client.port, track("spaces/7", "stage"));
            pair.settle();
            let events = pair.client.events();
            assert!(matches!(&events[..], [SessionEvent::SubscribeRefused { id, .. }] if *id == refused), "{events:?}");
            pair.assert_open();
            assert_eq!(pair.client.session.buffered() + pair.server.session.buffered(), 0);
        }
    }
}

#[test]
fn a_speaker_announces_is_subscribed_to_and_leaves() {
    for protocol in BOTH {
        for seed in 0..SEEDS {
            let mut pair = pair(protocol, seed);
            let seat = namespace("spaces/7/seat/3");
            pair.client.session.announce(&mut pair.client.port, seat.clone());
            pair.settle();
            let events = pair.server.events();
            assert!(matches!(events[0], SessionEvent::Ready(_)), "the token comes before what it permits: {events:?}");
            assert_eq!(events[1..], [SessionEvent::Announced(seat.clone())]);

            let ours = pair.server.session.subscribe(&mut pair.server.port, track("spaces/7/seat/3", "audio"));
            pair.settle();
            let events = pair.client.events();
            let [(theirs, _)] = requested(&events)[..] else { panic!("{events:?}") };
            pair.client.session.accept_subscribe(&mut pair.client.port, theirs);
            // Objects overtake the answer, and must not be lost for it.
            for group in 0..4 {
                assert!(pair.client.datagram(theirs, &header(group, 0, true), &[1; 60]));
            }
            assert!(pair.client.session.send_object(&mut pair.client.port, theirs, &header(9, 0, true), b"by stream"));
            pair.settle();
            let events = pair.server.events();
            assert!(events.contains(&SessionEvent::Subscribed(ours)), "{events:?}");
            assert_eq!(objects(&events, ours, true).len(), 4, "{events:?}");
            let streamed = objects(&events, ours, false);
            assert_eq!(streamed.len(), 1, "{events:?}");
            assert_eq!((streamed[0].0.group, streamed[0].0.timestamp), (9, 8_640));

            pair.client.session.unannounce(&mut pair.client.port, &seat);
            pair.client.session.end_subscribe(&mut pair.client.port, theirs);
            pair.settle();
            let events = pair.server.events();
            assert!(events.contains(&SessionEvent::Unannounced(seat.clone())), "{events:?}");
            assert!(events.contains(&SessionEvent::SubscriptionEnded(ours)), "{events:?}");
            pair.assert_open();
        }
    }
}

#[test]
fn requests_cross_cancels_in_any_order() {
    for protocol in BOTH {
        for seed in 0..SEEDS {
            let mut pair = pair(protocol, seed);
            let mut live: Vec<SubscriptionId> = Vec::new();
            let mut accepted = 0;
            for round in 0..40 {
                let name = track("spaces/7", ["stage", "state", "seat/1"][pair.random.below(3)]);
                match pair.random.below(3) {
                    0 if live.len() < 5 => {
                        live.push(pair.client.session.subscribe(&mut pair.client.port, name));
                    }
                    1 if !live.is_empty() => {
                        let at = pair.random.below(live.len());
                        let id = live.swap_remove(at);
                        pair.client.session.unsubscribe(&mut pair.client.port, id);
                    }
                    _ => {}
                }
                for _ in 0..pair.random.below(20) {
                    pair.step();
                }
                for (id, _) in requested(&pair.server.events()) {
                    if pair.random.below(4) == 0 {
                        pair.server.session.reject_subscribe(
                            &mut pair.server.port,
                            id,
                            RequestError::DoesNotExist,
                            "no such track",
                        );
                    } else {
                        accepted += 1;
                        pair.server.session.accept_subscribe(&mut pair.server.port, id);
                        pair.server.session.send_object(&mut pair.server.port, id, &header(round, 0, false), &[7; 99]);
                    }
                }
                for event in pair.client.events() {
                    if let SessionEvent::SubscribeRefused { id, .. } | SessionEvent::SubscriptionEnded(id) = event {
                        live.retain(|other| *other != id);
                    }
                }
                pair.assert_open();
            }
            assert!(accepted > 0);
            for id in live {
                pair.client.session.unsubscribe(&mut pair.client.port, id);
            }
            pair.settle();
            pair.assert_open();
            assert_eq!(pair.client.session.buffered() + pair.server.session.buffered(), 0);
        }
    }
}

#[test]
fn a_refusal_names_its_reason() {
    for protocol in BOTH {
        let codes = match protocol {
            Protocol::Moqt18 => [0x0, 0x1, 0x2, 0x3, 0x10, 0x9],
            Protocol::Lite05 => [24, 6, 3, 17, 13, 73],
        };
        use RequestError::{DoesNotExist, Internal, NotSupported, Timeout, TooMany, Unauthorized};
        let errors = [Internal, Unauthorized, Timeout, NotSupported, DoesNotExist, TooMany];
        for (error, code) in errors.into_iter().zip(codes) {
            let mut pair = pair(protocol, code);
            let ours = pair.client.session.subscribe(&mut pair.client.port, track("spaces/7", "stage"));
            pair.settle();
            let (theirs, _) = requested(&pair.server.events())[0].clone();
            pair.server.session.reject_subscribe(&mut pair.server.port, theirs, error, "because");
            pair.server.session.accept_subscribe(&mut pair.server.port, theirs);
            pair.settle();
            let reason = if protocol == Protocol::Moqt18 { "because".to_owned() } else { String::new() };
            let events = pair.client.events();
            assert_eq!(events.last(), Some(&SessionEvent::SubscribeRefused { id: ours, code, reason }), "{events:?}");
        }
    }
}

#[test]
fn a_flood_of_subscriptions_is_refused() {
    for protocol in BOTH {
        let mut pair = pair(protocol, 1);
        pair.client.port.bi_credit = 1_000;
        for number in 0..40 {
            pair.client.session.subscribe(&mut pair.client.port, track("spaces/7", &number.to_string()));
        }
        pair.settle();
        assert_eq!(requested(&pair.server.events()).len(), 32);
        let too_many = if protocol == Protocol::Moqt18 { 0x9 } else { 73 };
        let refused = pair
            .client
            .events()
            .into_iter()
            .filter(|event| matches!(event, SessionEvent::SubscribeRefused { code, .. } if *code == too_many));
        assert_eq!(refused.count(), 8);
        pair.assert_open();
    }
}

#[test]
fn requests_wait_for_streams() {
    for protocol in BOTH {
        let mut pair = Pair::new(protocol, 5, Setup::default(), Setup::default());
        pair.client.port.bi_credit = 0;
        let ours = pair.client.session.subscribe(&mut pair.client.port, track("spaces/7", "stage"));
        let gone = pair.client.session.subscribe(&mut pair.client.port, track("spaces/7", "state"));
        pair.client.session.unsubscribe(&mut pair.client.port, gone);
        pair.settle();
        assert!(requested(&pair.server.events()).is_empty());
        pair.client.port.bi_credit = 10;
        pair.client.session.on_stream_credit(&mut pair.client.port);
        pair.settle();
        let events = pair.server.events();
        let [(theirs, _)] = requested(&events)[..] else { panic!("{events:?}") };
        pair.server.session.accept_subscribe(&mut pair.server.port, theirs);
        // No stream for the group: the newest group waits, the older one is given up.
        pair.server.port.uni_credit = 0;
        for group in 1..4 {
            assert!(pair.server.session.send_object(&mut pair.server.port, theirs, &header(group, 0, true), b"a"));
        }
        pair.settle();
        assert!(objects(&pair.client.events(), ours, false).is_empty());
        pair.server.port.uni_credit = 10;
        pair.server.session.on_stream_credit(&mut pair.server.port);
        pair.settle();
        let events = pair.client.events();
        let groups: Vec<_> = objects(&events, ours, false).iter().map(|(header, _)| header.group).collect();
        assert_eq!(groups, [3]);
        pair.assert_open();
    }
}

#[test]
fn a_purge_takes_back_what_is_not_delivered() {
    for protocol in BOTH {
        let mut pair = pair(protocol, 3);
        let (ours, theirs) = subscribe(&mut pair, track("spaces/7", "mix"));
        for group in 1..4 {
            for object in 0..2 {
                let sent = header(group, object, false);
                assert!(pair.server.session.send_object(&mut pair.server.port, theirs, &sent, &[0; 50]));
            }
        }
        pair.server.session.purge_groups(&mut pair.server.port, theirs);
        // The rest of the purged group goes nowhere, the next group comes.
        pair.server.session.send_object(&mut pair.server.port, theirs, &header(3, 2, false), b"rest");
        pair.server.session.send_object(&mut pair.server.port, theirs, &header(4, 0, true), b"next");
        pair.settle();
        let events = pair.client.events();
        let got: Vec<_> = objects(&events, ours, false).iter().map(|(header, _)| header.group).collect();
        assert_eq!(got, [4], "{events:?}");
        pair.assert_open();
    }
}

#[test]
fn objects_out_of_place_are_not_sent() {
    for protocol in BOTH {
        let mut pair = pair(protocol, 4);
        let (_, theirs) = subscribe(&mut pair, track("spaces/7", "state"));
        let mut send = |group, object, end| {
            pair.server.session.send_object(&mut pair.server.port, theirs, &header(group, object, end), b"x")
        };
        assert!(send(5, 0, false));
        assert!(!send(4, 0, false), "an earlier group");
        assert!(!send(5, 0, false), "the same object");
        assert!(send(5, 1, true));
        assert!(!send(5, 2, false), "after the group's end");
        assert!(send(6, 0, false));
        pair.settle();
        pair.assert_open();
    }
}

#[test]
fn a_client_that_stops_reading_a_group_loses_only_that() {
    for protocol in BOTH {
        let mut pair = pair(protocol, 6);
        let (ours, theirs) = subscribe(&mut pair, track("spaces/7", "mix"));
        pair.server.session.send_object(&mut pair.server.port, theirs, &header(1, 0, false), b"a");
        pair.settle();
        pair.client.events();
        // The server's first unidirectional stream has its SETUP, the second one the group.
        let stream = StreamId(7);
        pair.server.session.on_stopped(&mut pair.server.port, stream, 0);
        assert!(pair.server.session.send_object(&mut pair.server.port, theirs, &header(1, 1, false), b"lost"));
        assert!(pair.server.session.send_object(&mut pair.server.port, theirs, &header(2, 0, true), b"b"));
        pair.settle();
        let events = pair.client.events();
        let got: Vec<_> = objects(&events, ours, false).iter().map(|(header, _)| header.group).collect();
        assert_eq!(got, [2], "{events:?}");
        pair.assert_open();
    }
}
