//! The mix, captions and services on their way through shards: who gets what, and what is dropped.

use std::time::Duration;

use crate::sim::*;
use spaces_core::command::{Command, SpaceTable};
use spaces_core::engine::{Config, Object, Track};
use spaces_core::event::EventKind;
use spaces_core::ids::SessionKey;
use spaces_core::mix_bundle;
use spaces_core::record::RecordItem;
use spaces_core::refusal::Refusal;

fn got(world: &World, shard: usize, key: u32, track: Track) -> Vec<&Object> {
    let all = world.nets[shard].others.get(&SessionKey(key));
    all.into_iter().flatten().filter(|object| object.track == track).collect()
}

/// Two speakers in three shards; `mix` and `mix.groups` everywhere.
fn world(mixing: Duration) -> World {
    let mut world = World::new(5, 3, Config::default());
    world.mixing = mixing;
    world.upsert(1, SpaceTable { record: true, ..table(2) });
    for shard in 0..3 {
        world.join(shard, 100, 900 + shard as u64, &[Track::Mix, Track::MixGroups]).unwrap();
    }
    for number in 0..2u8 {
        let speaker = Speaker { frames: 150, ..Speaker::new(usize::from(number), number.into(), number) };
        world.speak(&speaker);
    }
    world
}

#[test]
fn every_shard_gets_every_packet_once_and_groups_are_seconds_without_holes() {
    let mut world = world(Duration::ZERO);
    world.run_ms(4_000);
    let recorded = world.records.iter().filter(|item| matches!(item, RecordItem::Mix { .. })).count();
    for shard in 0..3 {
        let (mix, groups) = (got(&world, shard, 100, Track::Mix), got(&world, shard, 100, Track::MixGroups));
        assert!(mix.len() >= 149, "{}", mix.len());
        assert_eq!((mix.len(), groups.len()), (recorded, recorded));
        let packets: Vec<_> = mix.iter().map(|o| mix_bundle::parse(o.group, &o.payload).unwrap()).collect();
        assert!(packets.iter().filter(|packet| packet.seats() == 0b11).count() > 140);
        let mut last = None;
        for (datagram, object) in mix.iter().zip(groups) {
            assert_eq!((datagram.timestamp, datagram.object), (object.timestamp, 0));
            assert_eq!((object.group, object.timestamp), (datagram.group / 50, datagram.group * 960));
            let number = last.filter(|(group, _)| *group == object.group).map_or(0, |(_, number)| number + 1);
            assert_eq!(object.object, number);
            last = Some((object.group, number));
            assert_eq!(object.end_of_group, datagram.group % 50 == 49);
        }
    }
}

#[test]
fn a_third_of_the_audience_is_served_in_each_tick_and_everybody_hears_all() {
    const LISTENERS: u32 = 30;
    let mut world = World::new(6, 2, Config { mix_ticks: 3, ..Config::default() });
    world.upsert(1, SpaceTable { record: true, ..table(1) });
    for shard in 0..2 {
        for key in 0..LISTENERS {
            world.join(shard, 100 + key, 900 + u64::from(key) * 2 + shard as u64, &[Track::Mix]).unwrap();
        }
        world.join(shard, 99, 800 + shard as u64, &[Track::MixGroups]).unwrap();
    }
    world.speak(&Speaker { frames: 151, ..Speaker::new(0, 0, 0) });
    world.run_ms(4_000);
    let recorded: Vec<_> = world
        .records
        .iter()
        .filter_map(|item| match item {
            RecordItem::Mix { packet, .. } => Some((packet.group, packet.ticks)),
            _ => None,
        })
        .collect();
    for shard in 0..2 {
        let mut served = std::collections::BTreeMap::<u64, u32>::new();
        for key in 100..100 + LISTENERS {
            let packets: Vec<_> = got(&world, shard, key, Track::Mix)
                .iter()
                .map(|object| mix_bundle::parse(object.group, &object.payload).unwrap())
                .collect();
            let ticks: Vec<_> = packets.iter().flat_map(|it| it.group..it.group + u64::from(it.ticks)).collect();
            assert!(ticks.len() >= 150 - 2, "{}", ticks.len());
            assert!(ticks.is_sorted_by(|one, next| one + 1 == *next));
            packets.iter().for_each(|it| *served.entry(it.last_group()).or_default() += 1);
        }
        let even = served.values().filter(|number| **number == LISTENERS / 3).count();
        assert!(even >= 145, "{served:?}");
        // Who gets them on streams, and the recording, have those of the first phase.
        let groups = got(&world, shard, 99, Track::MixGroups);
        assert_eq!(groups.len(), recorded.len());
        assert!(recorded.iter().filter(|(_, ticks)| *ticks == 3).count() >= 48, "{recorded:?}");
    }
}

#[test]
fn packets_that_were_under_way_when_somebody_was_silenced_are_dropped_also_by_a_kick() {
    for kick in [false, true] {
        let mut world = world(Duration::from_millis(200));
        world.run_ms(1_000);
        let before = got(&world, 2, 100, Track::Mix).len();
        if kick {
            let reason = Refusal::ParticipantRemoved;
            world.apply(&Command::Kick { space: SPACE, account: account(1), sid: None, reason });
        } else {
            let mut muted = SpaceTable { record: true, ..table(2) };
            muted.stage[1].muted = true;
            world.upsert(2, muted);
        }
        world.run_ms(1_500);
        for shard in 0..3 {
            let mix = got(&world, shard, 100, Track::Mix);
            let after = mix.get(before..).unwrap();
            assert!(after.len() > 30, "the other one is heard");
            for object in after {
                assert_eq!(mix_bundle::parse(object.group, &object.payload).unwrap().seats() & 0b10, 0, "kick: {kick}");
            }
        }
        assert!(world.engines.iter().map(|engine| engine.stats().mix_dropped).sum::<u64>() > 0, "none was under way");
    }
}

#[test]
fn who_sits_on_stage_gets_no_mix_while_there() {
    let mut world = World::with_seats(3, 2);
    world.join(0, 100, account(1).0, &[Track::Mix, Track::MixGroups]).unwrap();
    world.speak(&Speaker { frames: 200, ..Speaker::new(0, 0, 0) });
    world.run_ms(1_000);
    assert_eq!(got(&world, 0, 100, Track::Mix).len() + got(&world, 0, 100, Track::MixGroups).len(), 0);
    world.upsert(2, table(1));
    world.run_ms(1_000);
    assert!((45..=52).contains(&got(&world, 0, 100, Track::Mix).len()), "from now on, without what was before");
    world.upsert(3, table(2));
    let sent = got(&world, 0, 100, Track::Mix).len();
    world.run_ms(1_000);
    assert_eq!(got(&world, 0, 100, Track::Mix).len(), sent);
}

#[test]
fn a_space_that_is_not_mixed_has_no_such_track_and_one_that_stops_is_silent_at_once() {
    let mut world = World::new(7, 1, Config::default());
    world.upsert(1, SpaceTable { mix: false, ..table(1) });
    assert_eq!(world.join(0, 100, 900, &[Track::Mix]), Err(Refusal::TrackNotFound));
    assert_eq!(world.join(0, 100, 900, &[Track::MixGroups]), Err(Refusal::TrackNotFound));
    world.upsert(2, table(1));
    world.mixing = Duration::from_millis(100);
    world.join(0, 100, 900, &[Track::Mix]).unwrap();
    world.speak(&Speaker { frames: 400, ..Speaker::new(0, 0, 0) });
    world.run_ms(1_000);
    world.upsert(3, SpaceTable { mix: false, ..table(1) });
    let sent = got(&world, 0, 100, Track::Mix).len();
    world.run_ms(500);
    assert_eq!(got(&world, 0, 100, Track::Mix).len(), sent);
    assert!(sent > 20);
    world.upsert(4, table(1));
    world.run_ms(500);
    assert!(got(&world, 0, 100, Track::Mix).len() > sent + 15);
}

#[test]
fn captions_are_taken_from_who_consents_alone_and_latecomers_get_the_last_lines() {
    let mut world = World::new(9, 3, Config::default());
    let mut consenting = table(3);
    consenting.stage[1].caption = true;
    world.upsert(1, consenting.clone());
    (0..3).for_each(|shard| world.join(shard, 100, 900 + shard as u64, &[Track::Captions]).unwrap());
    assert_eq!(world.caption(0, 1), Err(Refusal::CaptionsNoConsent));
    assert_eq!(world.caption(1, 2), Err(Refusal::CaptionsNoConsent), "the next one's seat");
    assert_eq!(world.caption(5, 1), Err(Refusal::CaptionsNoConsent), "nobody's");
    (0..20).for_each(|_| world.caption(1, 1).unwrap());
    world.run_ms(100);
    world.join(2, 101, 950, &[Track::Captions]).unwrap();
    for (shard, key, lines) in [(0, 100, 8..=20), (1, 100, 20..=20), (2, 100, 20..=20), (2, 101, 8..=8)] {
        let groups: Vec<_> = got(&world, shard, key, Track::Captions).iter().map(|object| object.group).collect();
        assert!(lines.contains(&groups.len()), "shard {shard}: {}", groups.len());
        assert!(groups.is_sorted_by(|one, next| one < next), "{groups:?}");
    }
    consenting.stage[1].caption = false;
    world.upsert(2, consenting);
    world.join(1, 102, 960, &[Track::Captions]).unwrap();
    assert_eq!(got(&world, 1, 102, Track::Captions).len(), 0, "what was said before is gone, too");
    assert_eq!(world.caption(1, 1), Err(Refusal::CaptionsNoConsent));
    world.apply(&Command::EndSpace { space: SPACE, version: 9 });
    assert_eq!(world.caption(1, 1), Err(Refusal::StateEnded));
}

#[test]
fn a_broadcaster_hears_the_mix_as_everybody_does_and_no_seat() {
    let mut world = World::new(11, 2, Config::default());
    let closed = SpaceTable { guests: false, ..table(2) };
    world.upsert(1, closed.clone());
    for refused in [Track::Stage { part: 0 }, Track::MixGroups, Track::Captions, Track::Seat(seat(0))] {
        assert_eq!(world.broadcast(1, 99, &[refused]), Err(Refusal::RoleForbidden));
    }
    world.broadcast(1, 100, &[Track::Mix]).unwrap();
    world.join(1, 101, 950, &[Track::Mix]).unwrap();
    world.speak(&Speaker { frames: 500, ..Speaker::new(0, 0, 0) });
    world.run_ms(1_000);
    let payloads = |world: &World, key| {
        got(world, 1, key, Track::Mix).iter().map(|object| object.payload.clone()).collect::<Vec<_>>()
    };
    let heard = payloads(&world, 100);
    assert!(heard.len() > 10, "{}", heard.len());
    assert_eq!(heard, payloads(&world, 101));
    let mut muted = closed;
    muted.stage[0].muted = true;
    world.upsert(2, muted);
    let before = payloads(&world, 100).len();
    world.run_ms(1_000);
    assert_eq!(payloads(&world, 100).len(), before, "nothing of who was muted");
    assert_eq!(world.engines[1].counts(SPACE).unwrap().named, 1, "the listener alone is counted");
}

#[test]
fn a_service_hears_who_consents_under_his_generation_and_nobody_knows_it_is_there() {
    let mut world = World::new(11, 2, Config::default());
    let mut table = SpaceTable { guests: false, ticketed: true, ..table(3) };
    table.stage[1].caption = true;
    world.upsert(1, table.clone());
    let seats = [0, 1, 2].map(|number| Track::Seat(seat(number)));
    for refused in [Track::Stage { part: 0 }, Track::StageGroups, Track::Mix, Track::MixGroups, Track::Captions] {
        assert_eq!(world.serve(0, 99, &[refused]), Err(Refusal::RoleForbidden));
    }
    world.serve(0, 100, &seats).unwrap();
    world.serve(1, 100, &seats).unwrap();
    assert!(world.engines[0].publish(world.now, SessionKey(100), seat(0)).is_err());
    assert!(world.engines[0].react(world.now, SessionKey(100), 0).is_err());
    for number in 0..3u8 {
        world.speak(&Speaker { frames: 500, ..Speaker::new(0, number.into(), number) });
    }
    world.run_ms(1_000);
    let heard = |world: &World, shard| {
        let of = |number: u8| {
            let objects = got(world, shard, 100, Track::Seat(seat(number)));
            assert!(objects.iter().all(|object| u32::from(object.payload[0]) == 1), "the generation");
            objects.len()
        };
        [of(0), of(1), of(2)]
    };
    for shard in 0..2 {
        let [first, second, third] = heard(&world, shard);
        assert_eq!((first, third), (0, 0));
        assert!(second > 40, "{second}");
    }
    // The seat changes hands; then somebody else consents.
    table.stage[1].account = account(7);
    table.stage[1].generation = 2;
    table.stage[2].caption = true;
    let before = heard(&world, 1);
    world.upsert(2, table);
    world.run_ms(1_000);
    let after = heard(&world, 1);
    assert_eq!((after[0], after[1]), (0, before[1]));
    assert!(after[2] > 40);
    let counts = world.engines.iter().filter_map(|engine| engine.counts(SPACE));
    // Two of the three: who lost the seat has no ticket.
    assert_eq!(counts.map(|counts| counts.named + counts.anonymous + counts.guests).sum::<u32>(), 2);
    assert!(!world.events.iter().any(|(_, kind)| matches!(kind, EventKind::Joined { account, .. } if account.0 < 100)));
}
