//! The plain path: a clean network, everything arrives once and at once.

use std::time::Duration;

use crate::sim::*;
use spaces_core::engine::Verdict;
use spaces_core::event::EventKind;

#[test]
fn one_speaker_on_a_clean_network_is_heard_whole_and_at_once() {
    let mut world = World::with_seats(1, 1);
    world.listen(0, 1);
    world.speak(&Speaker::new(0, 0, 0));
    world.run(START + Duration::from_secs(12));
    let player = world.player(0, 1);
    assert_eq!((player.frames, player.concealed, player.skipped, player.starts), (500, 0, 0, 1));
    assert_eq!(world.verdict(0, Verdict::Accepted), 500);
    // Captured at 100 ms, 30 ms under way, nothing held.
    assert_eq!(player.first_at, Some(START + Duration::from_millis(130)));
    assert_eq!(player.last_group, Some(6 + 499));
    let speaking = world.events.iter().filter(|(_, kind)| matches!(kind, EventKind::SeatSpeaking { .. })).count();
    assert_eq!(speaking, 1);
}

#[test]
fn thirteen_seats_at_once_are_all_heard_in_every_tick() {
    let mut world = World::with_seats(2, 13);
    world.listen(0, 100);
    for number in 0..13 {
        let mut speaker = Speaker::new(0, u32::from(number), number);
        speaker.network.delay = Duration::from_micros(20_000 + 1_500 * u64::from(number));
        world.speak(&speaker);
    }
    world.run(START + Duration::from_secs(12));
    let player = world.player(0, 100);
    assert_eq!((player.frames, player.concealed, player.skipped), (13 * 500, 0, 0));
    assert!(player.bundles <= 502, "{} bundles", player.bundles);
}

/// A page that is loaded again counts its frames from 0 again: they are not the ones that came before.
#[test]
fn a_speaker_who_connects_again_and_counts_from_zero_is_heard_at_once() {
    let mut world = World::with_seats(3, 1);
    world.listen(0, 9);
    world.speak(&Speaker::new(0, 0, 0));
    world.run_ms(400);
    world.engines[0].leave(world.now, Speaker::new(0, 0, 0).key, true);
    world.run_ms(20);
    let before = world.player(0, 9).frames;
    let begins = START + Duration::from_millis(420);
    world.speak(&Speaker { frames: 40, begins, ..Speaker::new(0, 1, 0) });
    world.run_ms(1_500);
    assert_eq!((before, world.player(0, 9).frames), (14, 54));
    assert_eq!(world.verdict(0, Verdict::Duplicate), 0);
}
