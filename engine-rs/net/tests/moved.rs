//! A listener whose address changes while somebody talks (RFC 9000 §9): datagrams go where quinn-proto says that the peer is, and
//! nobody notices. Over real sockets.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a test: its helpers may fail as they may

mod common;

use common::{Key, Via, World, packet};
use spaces_moqt::seam::Protocol;

/// Somebody talks, and `listener` hears all but what a move may swallow.
fn hear(world: &mut World, speaker: Key, listener: Key, from: u64, frames: u64) {
    let before = world.heard(listener, 0).len() as u64;
    world.talk(frames, |world, n| world.say(speaker, from + n, &packet(0, from + n)));
    world.until("heard", |world| (world.heard(listener, 0).len() as u64 - before) * 100 >= frames * 90);
}

#[test]
fn who_moves_leaves_the_lean_path_and_hears_on() {
    for via in [Via::Raw(Protocol::Moqt18), Via::Web(Protocol::Lite05)] {
        let mut world = World::new(1);
        let listener = world.listener(via, &["stage"]);
        world.another_address();
        let speaker = world.speaker(Via::Web(Protocol::Moqt18), 0);
        let lean = |world: &World| world.server.stats().unwrap().shards[0].endpoint.lean;
        hear(&mut world, speaker, listener, 0, 50);
        assert!(lean(&world) > 5, "{via:?}: {}", lean(&world));
        world.move_first();
        hear(&mut world, speaker, listener, 50, 25);
        let before = lean(&world);
        hear(&mut world, speaker, listener, 75, 50);
        assert_eq!(lean(&world) - before, 0, "{via:?}: an address that only quinn-proto knows");
        assert_eq!(world.server.stats().unwrap().shards[0].sessions, 2);
    }
}
