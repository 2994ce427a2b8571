//! A full house in one process.

use std::time::Duration;

use crate::sim::*;
use spaces_core::ids::SessionKey;

#[test]
fn ten_thousand_listeners_each_get_every_frame_unaltered() {
    const LISTENERS: u32 = 10_000;
    let mut world = World::with_seats(1, 3);
    (100..100 + LISTENERS).for_each(|key| world.listen(0, key));
    for number in 0..3u8 {
        let mut speaker = Speaker { frames: 200, ..Speaker::new(0, number.into(), number) };
        speaker.network.jitter = Duration::from_millis(2);
        speaker.network.delay = Duration::from_millis(20 + 5 * u64::from(number));
        world.speak(&speaker);
    }
    let mut rng = Rng(77);
    let mut disturbed = std::collections::BTreeSet::new();
    while world.now < START + Duration::from_secs(6) {
        world.run_ms(20);
        // A few connections stall for up to 60 ms, a few come and go.
        let chosen: Vec<_> = (0..20).map(|_| SessionKey(100 + rng.below(LISTENERS.into()) as u32)).collect();
        if rng.chance(300) {
            world.nets[0].blocked.clear();
        }
        world.nets[0].blocked.extend(chosen.iter().take(10));
        for key in chosen.iter().skip(18) {
            disturbed.insert(*key);
            world.engines[0].leave(world.now, *key, true);
            world.nets[0].players.remove(key);
            world.listen(0, key.0);
        }
    }
    world.nets[0].blocked.clear();
    world.run_ms(500);
    let (mut whole, mut frames) = (0, 0);
    for key in (100..100 + LISTENERS).map(SessionKey) {
        let Some(player) = world.nets[0].players.get(&key) else { continue };
        frames += player.frames;
        if !disturbed.contains(&key) && player.frames == 600 && player.concealed == 0 {
            whole += 1;
        }
    }
    assert!(whole >= LISTENERS - disturbed.len() as u32 - 300, "{whole} heard everything");
    assert!(frames > 5_700_000, "{frames} frames");
    let stats = world.engines[0].stats();
    assert!(stats.objects > 1_900_000 && stats.skipped < 20_000, "{stats:?}");
    assert_eq!(world.engines[0].counts(SPACE).unwrap().named, LISTENERS + 3);
}
