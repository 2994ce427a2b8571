//! A server on loopback: speakers, listeners, and those who mean no good.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a test: its helpers may fail as they may

mod common;

use common::{EVERY_WAY, Via, World, packet, sequence_of};
use spaces_moqt::seam::Protocol;

#[test]
fn every_listener_hears_every_frame_as_it_was_spoken() {
    let mut world = World::new(1);
    let listeners: Vec<u32> = EVERY_WAY.into_iter().map(|via| world.listener(via, &["stage", "state"])).collect();
    let speaker = world.speaker(Via::Web(Protocol::Lite05), 0);
    world.talk(100, |world, n| world.say(speaker, n, &packet(0, n)));
    for (key, via) in listeners.into_iter().zip(EVERY_WAY) {
        let heard = world.heard(key, 0);
        assert!(heard.len() >= 95, "{via:?} heard {}: {:#?}", heard.len(), world.server.stats());
        for opus in heard {
            assert_eq!(opus, packet(0, sequence_of(&opus)));
        }
        assert!(world.peer(key).got.iter().filter(|got| got.track == "stage").all(|got| got.datagram));
    }
}
