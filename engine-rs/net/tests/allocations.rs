//! What a shard's thread asks of the allocator while everybody just listens: nothing for a packet delivered, nothing for an
//! acknowledgement received, a little for a tick, which all share.
//!
//! Counted in a real server with listeners over loopback. The one clock in it is the speaker's 20 ms: what is asserted are counts.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::expect_used, unreachable_pub)] // a test: its helpers may fail as they may

mod common;
#[path = "allocations/counting.rs"]
mod counting;

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use common::{Key, Via, World, packet};
use counting::{Allocations, Party, Watch, threads};
use spaces_moqt::seam::Protocol;

const TICK: Duration = Duration::from_millis(20);
/// Long enough for the queues of all parts to have found their size, and for all once-a-second duties to have been done.
const WARM: u64 = 100;
const WINDOW: u64 = 100;
const FEW: usize = 40;
const MANY: usize = 200;
/// The most that a tick may cost, for all listeners together: its frames, bundle, objects and framings, the uplink packet.
const A_TICK: u64 = 20;

/// Servers start one after the other, so that each test finds its own threads.
static STARTING: Mutex<()> = Mutex::new(());

struct Hall {
    world: World,
    shard: i32,
    speaker: Key,
    said: u64,
    track: &'static str,
    listeners: Vec<Key>,
}

/// What a window saw.
#[derive(Debug)]
struct Seen {
    packets: u64,
    acknowledgements: u64,
    allocations: Allocations,
}

impl Hall {
    fn new(track: &'static str) -> Self {
        let starting = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
        let before = threads("spaces-shard-0");
        let mut world = World::new(1);
        let shard = threads("spaces-shard-0").into_iter().find(|thread| !before.contains(thread)).unwrap();
        drop(starting);
        let speaker = world.speaker(Via::Raw(Protocol::Moqt18), 0);
        Self { world, shard, speaker, said: 0, track, listeners: Vec::new() }
    }

    /// There are so many listeners from now on, and all of them hear.
    fn fill(&mut self, listeners: usize) {
        while self.listeners.len() < listeners {
            let token = self.world.token(Some(1_000 + self.listeners.len() as u64));
            let key = self.world.dial(Via::Raw(Protocol::Moqt18), Some(&token), &[self.track], None);
            self.listeners.push(key);
        }
        let keys = self.listeners.clone();
        self.world.until("subscribed", |world| keys.iter().all(|key| !world.peer(*key).subscribed.is_empty()));
        self.talk(WARM);
        for key in keys {
            assert!(!self.world.peer(key).got.is_empty(), "{key:?} hears nothing");
        }
    }

    fn talk(&mut self, ticks: u64) {
        let start = Instant::now();
        for n in 0..ticks {
            self.world.say(self.speaker, self.said, &packet(0, self.said));
            self.said += 1;
            while start.elapsed() < TICK * (n as u32 + 1) {
                self.world.turn();
            }
        }
    }

    fn counts(&self) -> (u64, u64) {
        let shard = &self.world.server.stats().unwrap().shards[0];
        (shard.downlink.datagrams, shard.endpoint.lean)
    }

    fn window(&mut self) -> Seen {
        let (packets, acknowledgements) = self.counts();
        let watch = Watch::begin(self.shard);
        self.talk(WINDOW);
        let allocations = watch.end();
        let after = self.counts();
        Seen { packets: after.0 - packets, acknowledgements: after.1 - acknowledgements, allocations }
    }
}

/// `ticks_each`: ticks in a packet.
fn nothing_is_asked_for_a_packet(track: &'static str, ticks_each: u64) {
    let mut hall = Hall::new(track);
    let seen = [FEW, MANY].map(|listeners| {
        hall.fill(listeners);
        let seen = hall.window();
        let ours = seen.allocations.of(|party| *party == Party::Ours);
        let each = |count: u64| count as f64 / seen.packets as f64;
        println!(
            "{track}, {listeners} listeners, {WINDOW} ticks: {} packets, {} acknowledgements; ours {ours} ({:.2} a tick, \
             {:.4} a packet), with dependencies {} ({:.4} a packet)\n{}",
            seen.packets,
            seen.acknowledgements,
            ours as f64 / WINDOW as f64,
            each(ours),
            seen.allocations.all(),
            each(seen.allocations.all()),
            seen.allocations.places()
        );
        assert_eq!(seen.allocations.of(|party| *party == Party::Unknown), 0, "{}", seen.allocations.places());
        // The window did see what it is about.
        assert!(seen.packets * 10 > listeners as u64 * WINDOW / ticks_each * 8, "{} packets", seen.packets);
        assert!(seen.acknowledgements > listeners as u64, "{} acknowledgements", seen.acknowledgements);
        assert!(ours <= WINDOW * A_TICK, "{ours} in {WINDOW} ticks:\n{}", seen.allocations.places());
        (seen, ours)
    });
    let [(_, few), (_, many)] = seen;
    // Five times the packets and acknowledgements: the same, give or take what ticks differ by, and the new keys of a few (each
    // connection has them once in its first minute, and then after millions of packets).
    assert!(many <= few + WINDOW, "{few} for {FEW} listeners, {many} for {MANY}");
}

#[test]
fn on_the_stage_nothing_is_asked_for_a_packet_or_an_acknowledgement() {
    nothing_is_asked_for_a_packet("stage", 1);
}

#[test]
fn on_the_mix_nothing_is_asked_for_a_packet_or_an_acknowledgement() {
    nothing_is_asked_for_a_packet("mix", 3);
}
