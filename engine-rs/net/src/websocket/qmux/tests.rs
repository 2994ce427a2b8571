//! Two ends joined by nothing but their records.

use std::collections::BTreeMap;

use spaces_moqt::seam::{StreamId, Transport};

use super::*;
use crate::connection::RESET_SLOW_PEER;

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
