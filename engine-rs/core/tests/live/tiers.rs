//! Every listener after its own path: how old a tick may get, who is told to hear the mix, and what silence costs.

use bytes::Bytes;

use crate::sim::*;
use spaces_core::command::{Command, MixFor, SpaceTable, StageRow};
use spaces_core::engine::{Config, Feedback, Track};
use spaces_core::ids::SessionKey;
use spaces_core::time::Time;

fn report(world: &mut World, shard: usize, key: u32, sent: u32, lost: u32, rtt_ms: u32) {
    let feedback = Feedback { sent, lost, rtt_us: rtt_ms * 1_000 };
    world.engines[shard].feedback(world.now, SessionKey(key), feedback);
    world.settle(shard);
}

/// The tier that the newest object on `state` names, and how many objects came since the last call.
fn told(world: &mut World, shard: usize, key: u32) -> (String, usize) {
    let Some(player) = world.nets[shard].players.get_mut(&SessionKey(key)) else { return (String::new(), 0) };
    let states = std::mem::take(&mut player.states);
    let texts = states.into_iter().map(|(_, payload)| String::from_utf8(payload.to_vec()).unwrap());
    let tiers: Vec<_> =
        texts.filter_map(|text| Some(text.strip_prefix("{\"tier\":\"")?.split_once('"')?.0.to_owned())).collect();
    (tiers.last().cloned().unwrap_or_default(), tiers.len())
}

fn with_state(seed: u64, shards: u16, mix_for: MixFor) -> World {
    let mut world = World::new(seed, shards, Config::default());
    world.upsert(1, SpaceTable { mix_for, ..table(2) });
    world.apply(&Command::SetState { space: SPACE, version: 2, snapshot: Bytes::from_static(b"{}") });
    world
}

#[test]
fn a_blocked_listener_is_waited_for_as_long_as_its_own_path_takes() {
    // What each heard of 300 ticks after blocks of 190 ms: round trip, loss → whether any tick was skipped.
    for (rtt_ms, lost, skips) in [(2, 0, true), (40, 0, true), (60, 0, false), (150, 0, false), (40, 3, false)] {
        let mut world = World::with_seats(31, 1);
        world.listen(0, 1);
        for _ in 0..6 {
            report(&mut world, 0, 1, 100, lost, rtt_ms);
        }
        world.speak(&Speaker { frames: 300, ..Speaker::new(0, 0, 0) });
        for _ in 0..5 {
            world.run_ms(600);
            world.nets[0].blocked.insert(SessionKey(1));
            world.run_ms(190);
            world.nets[0].blocked.clear();
        }
        world.run_ms(4_000);
        let skipped = world.engines[0].stats().skipped;
        assert_eq!(skipped > 0, skips, "round trip {rtt_ms} ms, loss {lost} %: {skipped}");
        assert_eq!(world.player(0, 1).frames == 300, !skips);
    }
}

#[test]
fn a_weak_listener_is_told_to_hear_the_mix_and_back_only_after_a_long_calm() {
    let mut world = with_state(32, 3, MixFor::Weak);
    for shard in 0..3 {
        world.join(shard, 50, 700 + shard as u64, &[Track::State]).unwrap();
        world.join(shard, 51, 710 + shard as u64, &[Track::State]).unwrap();
    }
    world.run_ms(2_000);
    for shard in 0..3 {
        assert_eq!(told(&mut world, shard, 50).0, "stage");
        assert_eq!(told(&mut world, shard, 51).0, "stage");
    }
    let mut changes = Vec::new();
    let mut now = "stage".to_owned();
    // 20 s of good, 20 s of bad, 20 s of wavering, then good again; one report a second.
    for second in 0..120u32 {
        let lost = match second {
            20..40 => 8,
            40..60 => 2,
            _ => 0,
        };
        for shard in 0..3 {
            report(&mut world, shard, 50, 50, lost, 80);
            report(&mut world, shard, 51, 50, u32::from(second % 10 == 0) * 5, 80);
        }
        world.run_ms(1_000);
        let answers: Vec<_> = (0..3).map(|shard| told(&mut world, shard, 50).0).collect();
        if let Some(changed) = answers.iter().find(|tier| !tier.is_empty() && **tier != now) {
            assert!(answers.iter().all(|tier| tier == changed), "{answers:?}");
            now.clone_from(changed);
            changes.push((second, now.clone()));
        }
        for shard in 0..3 {
            assert_ne!(told(&mut world, shard, 51).0, "mix", "its neighbour is not weak");
        }
    }
    assert_eq!(changes, [(24, "mix".to_owned()), (69, "stage".to_owned())]);
}

#[test]
fn everybody_but_the_stage_is_told_when_the_table_says_so_and_at_once_when_their_seat_changes() {
    let mut world = with_state(33, 2, MixFor::Nobody);
    for shard in 0..2 {
        world.join(shard, 60, 800 + shard as u64, &[Track::State]).unwrap();
    }
    world.join(1, 61, account(0).0, &[Track::State]).unwrap();
    for _ in 0..10 {
        report(&mut world, 1, 60, 50, 25, 80);
    }
    let tiers = |world: &mut World| [(0, 60), (1, 60), (1, 61)].map(|(shard, key)| told(world, shard, key).0);
    world.run_ms(2_000);
    assert_eq!(tiers(&mut world), ["stage", "stage", "stage-only"], "not even who is weak");

    world.upsert(3, SpaceTable { mix_for: MixFor::Weak, ..table(2) });
    world.run_ms(1_000);
    assert_eq!(tiers(&mut world), ["stage", "mix", "stage-only"]);

    world.upsert(4, SpaceTable { mix_for: MixFor::Everybody, ..table(2) });
    world.run_ms(1_000);
    assert_eq!(tiers(&mut world), ["mix", "mix", "stage-only"]);

    let raised = StageRow { account: spaces_core::ids::AccountId(800), ..row(2) };
    let mut stage = table(2);
    stage.stage.push(raised);
    world.upsert(5, SpaceTable { mix_for: MixFor::Everybody, ..stage.clone() });
    world.run_ms(1_000);
    assert_eq!(tiers(&mut world), ["stage-only", "mix", "stage-only"]);

    world.upsert(6, SpaceTable { mix_for: MixFor::Everybody, mix: false, ..stage });
    world.run_ms(1_000);
    assert_eq!(tiers(&mut world), ["stage-only", "stage-only", "stage-only"], "there is no mix any more");
}

#[test]
fn silence_sends_a_listener_nothing_on_either_tier() {
    for muted in [false, true] {
        let mut world = with_state(34, 2, MixFor::Weak);
        let stage = [Track::Stage { part: 0 }, Track::Stage { part: 1 }, Track::State];
        world.join(0, 70, 900, &stage).unwrap();
        world.join(1, 71, 901, &[Track::Mix, Track::State]).unwrap();
        // Two seconds of talk; then DTX, or a microphone that goes on sending and is muted.
        let frames = if muted { 4_000 } else { 100 };
        for number in 0..2u8 {
            world.speak(&Speaker { frames, ..Speaker::new(0, number.into(), number) });
        }
        world.run_ms(2_500);
        let mut table = table(2);
        table.stage.iter_mut().for_each(|row| row.muted = muted);
        world.upsert(5, SpaceTable { mix_for: MixFor::Weak, ..table });
        world.run_ms(2_000);
        let sent = |world: &World| world.engines.iter().map(|engine| engine.stats().objects).collect::<Vec<_>>();
        let before = sent(&world);
        assert!(before.iter().all(|&objects| objects > 90 / 3), "{before:?}");
        world.run_ms(60_000);
        assert_eq!(sent(&world), before, "a minute of silence, muted: {muted}");
        assert!(world.now > Time::from_millis(60_000));
    }
}
