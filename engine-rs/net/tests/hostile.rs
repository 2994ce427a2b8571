//! Listeners who never acknowledge, who acknowledge what was never sent, who grant next to no flow control, or who just stop
//! reading: the others hear on, and what each of them costs is bounded. Over real sockets.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a test: its helpers may fail as they may

mod common;
#[path = "hostile/liar.rs"]
mod liar;

use std::time::{Duration, Instant};

use common::{Key, SPACE, Via, World, packet};
use liar::Liar;
use quinn_proto::{ConnectionError, TransportConfig, VarInt};
use spaces_liar::Lie;
use spaces_moqt::seam::Protocol;
use spaces_net::quic::{Trust, client_crypto};

/// PROTOCOL_VIOLATION (RFC 9000 §20.1).
const PROTOCOL_VIOLATION: u64 = 0x0a;

struct Room {
    world: World,
    honest: Vec<Key>,
    speaker: Key,
    said: u64,
}

impl Room {
    fn new() -> Self {
        let mut world = World::new(1);
        let ways = [Via::Raw(Protocol::Moqt18), Via::Web(Protocol::Lite05), Via::Web(Protocol::Moqt18)];
        let honest = ways.map(|via| world.listener(via, &["stage"])).to_vec();
        let speaker = world.speaker(Via::Web(Protocol::Moqt18), 0);
        Self { world, honest, speaker, said: 0 }
    }

    /// A listener who tells the truth until it is subscribed.
    fn liar(&mut self, lie: Lie, transport: TransportConfig, tracks: &[&str]) -> Liar {
        let hash = self.world.server.certificate_sha256();
        let crypto = client_crypto(&Trust::Hashes(vec![hash]), Protocol::Moqt18.name().as_bytes()).unwrap();
        let mut liar = Liar::dial(crypto, self.world.server.local_addr(), lie, transport);
        let end = Instant::now() + Duration::from_secs(10);
        let mut asked = false;
        let before = self.sessions();
        while self.sessions() == before {
            assert!(Instant::now() < end, "the liar does not get in: {:?}", liar.lost);
            liar.turn();
            self.world.turn();
            if liar.is_connected() && !asked {
                liar.subscribe(&SPACE.to_string(), tracks);
                asked = true;
            }
        }
        for _ in 0..50 {
            liar.turn();
            self.world.turn();
        }
        liar
    }

    fn sessions(&self) -> u64 {
        self.world.server.stats().unwrap().shards[0].sessions
    }

    /// UDP datagrams that the server sends while so many frames are said, and no liar turns.
    fn packets(&mut self, frames: u64) -> u64 {
        let before = self.world.server.stats().unwrap().shards[0].endpoint.sent.datagrams;
        self.talk(frames, &mut []);
        self.world.server.stats().unwrap().shards[0].endpoint.sent.datagrams - before
    }

    /// Somebody talks, the liars do as they do, and every honest listener hears it.
    fn talk(&mut self, frames: u64, liars: &mut [Liar]) {
        let before: Vec<usize> = self.honest.iter().map(|key| self.world.heard(*key, 0).len()).collect();
        let (speaker, said) = (self.speaker, self.said);
        self.world.talk(frames, |world, n| {
            world.say(speaker, said + n, &packet(0, said + n));
            for liar in liars.iter_mut() {
                liar.turn();
            }
        });
        self.said += frames;
        self.world.receive_all();
        for (key, before) in self.honest.iter().zip(before) {
            let heard = self.world.heard(*key, 0).len() - before;
            assert!(heard as u64 * 100 >= frames * 93, "heard {heard} of {frames}: {:#?}", self.world.server.stats());
        }
    }
}

#[test]
fn who_never_acknowledges_gets_less_and_less_and_the_others_all() {
    let mut room = Room::new();
    let mut liars: Vec<Liar> = (0..5).map(|_| room.liar(Lie::Silent, TransportConfig::default(), &["stage"])).collect();
    liars.iter().for_each(Liar::begin);
    room.talk(350, &mut liars);
    let early: Vec<u64> = liars.iter().map(|liar| liar.datagrams).collect();
    room.talk(150, &mut liars);
    for (liar, early) in liars.iter().zip(early) {
        // Seven seconds on, the circuit breaker has taken the floor away: a probe now and then is left.
        assert!(early > 30, "{early}");
        assert!(liar.datagrams - early <= 75, "{} of 150 to somebody who never answers", liar.datagrams - early);
    }
    assert!(room.world.server.stats().unwrap().shards[0].downlink.blocked > 0);
}

#[test]
fn who_acknowledges_what_was_never_sent_is_closed_and_the_others_hear_on() {
    let mut room = Room::new();
    let numbers = [500_000, 1 << 29, (1 << 30) - 1];
    let mut liars: Vec<Liar> = numbers
        .iter()
        .map(|number| room.liar(Lie::Optimist(*number), TransportConfig::default(), &["stage"]))
        .collect();
    liars.iter().for_each(Liar::begin);
    room.talk(100, &mut liars);
    for liar in &liars {
        match &liar.lost {
            Some(ConnectionError::ConnectionClosed(close)) => {
                assert_eq!(u64::from(close.error_code), PROTOCOL_VIOLATION, "{close:?}");
            }
            other => panic!("not closed: {other:?}"),
        }
    }
    assert_eq!(room.sessions(), 4);
}

#[test]
fn who_grants_next_to_nothing_gets_next_to_nothing_and_the_others_all() {
    let mut room = Room::new();
    let narrow = || {
        let mut transport = TransportConfig::default();
        transport
            .stream_receive_window(VarInt::from_u32(16))
            .receive_window(VarInt::from_u32(64))
            .max_concurrent_uni_streams(VarInt::from_u32(3))
            .datagram_receive_buffer_size(Some(64));
        transport
    };
    let tracks = ["stage", "stage.groups", "state", "mix.groups"];
    let mut liars: Vec<Liar> = (0..5).map(|_| room.liar(Lie::None, narrow(), &tracks)).collect();
    room.talk(250, &mut liars);
    for liar in &liars {
        assert!(liar.bytes < 250_000, "{} bytes to somebody who takes 64", liar.bytes);
    }
}

#[test]
fn who_stops_reading_costs_next_to_nothing_and_the_others_hear_on() {
    let mut room = Room::new();
    room.talk(50, &mut []);
    let alone = room.packets(100);
    let mut liars: Vec<Liar> = (0..5).map(|_| room.liar(Lie::None, TransportConfig::default(), &["stage"])).collect();
    room.talk(50, &mut liars);
    assert!(liars.iter().all(|liar| liar.datagrams >= 40));
    room.talk(250, &mut []);
    let packets = room.packets(100);
    // Five who take everything would be 500 more.
    assert!(packets <= alone + 5 * 45, "{packets} packets in two seconds, {alone} without them");
}
