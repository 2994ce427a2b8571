//! Commands, admission and what the control plane is told.

use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use crate::sim::*;
use spaces_core::command::{AclKind, ApplyError, Command};
use spaces_core::engine::{Config, Track, Verdict};
use spaces_core::event::{Counts, EventKind};
use spaces_core::ids::{AccountId, SessionKey, Sid, SpaceId};
use spaces_core::record::RecordItem;
use spaces_core::refusal::Refusal;

fn acl(kind: AclKind, owner: u64, version: u64, accounts: &[u64]) -> Command {
    Command::SetAcl { space: SPACE, kind, owner: AccountId(owner), version, accounts: accounts.to_vec() }
}

fn upsert(version: u64, table: spaces_core::command::SpaceTable) -> Command {
    Command::UpsertSpace { space: SPACE, version, table }
}

fn state(version: u64, text: &'static str) -> Command {
    Command::SetState { space: SPACE, version, snapshot: Bytes::from_static(text.as_bytes()) }
}

#[test]
fn a_command_may_be_repeated_but_not_come_late() {
    let mut world = World::with_seats(1, 2);
    let now = world.now;
    let engine = &mut world.engines[0];
    let mut changed = table(2);
    changed.mic_open = false;
    assert!(engine.apply(now, &upsert(7, changed.clone())).is_ok());
    assert!(engine.apply(now, &upsert(7, changed)).is_ok(), "the same again");
    assert_eq!(engine.apply(now, &upsert(7, table(2))), Err(ApplyError::Stale { have: 7, got: 7 }));
    assert_eq!(engine.apply(now, &upsert(6, table(2))), Err(ApplyError::Stale { have: 7, got: 6 }));
    assert!(engine.apply(now, &acl(AclKind::Bar, 0, 3, &[1, 5])).is_ok());
    assert!(engine.apply(now, &acl(AclKind::Bar, 0, 3, &[1, 5])).is_ok());
    let stale = Err(ApplyError::Stale { have: 3, got: 3 });
    assert_eq!(engine.apply(now, &acl(AclKind::Bar, 0, 3, &[1])), stale);
    assert!(engine.apply(now, &acl(AclKind::Bar, 0, 4, &[])).is_ok());
    assert_eq!(
        engine.apply(now, &acl(AclKind::Bar, 0, 3, &[1, 5])),
        Err(ApplyError::Stale { have: 4, got: 3 }),
        "a dropped set keeps its version"
    );
    assert!(engine.apply(now, &acl(AclKind::Deny, 9, 1, &[1])).is_ok(), "each set counts for itself");
    assert!(engine.apply(now, &state(2, "{}")).is_ok());
    assert!(engine.apply(now, &state(2, "{}")).is_ok());
    assert_eq!(engine.apply(now, &state(2, "{ }")), Err(ApplyError::Stale { have: 2, got: 2 }));
    let revoke = |version, epoch| Command::SetRevoked { version, sids: vec![Sid(9)], min_epoch: epoch };
    assert!(engine.apply(now, &revoke(1, 0)).is_ok());
    assert!(engine.apply(now, &revoke(1, 0)).is_ok());
    assert_eq!(engine.apply(now, &revoke(1, 1)), Err(ApplyError::Stale { have: 1, got: 1 }));
    assert_eq!(
        engine.apply(now, &Command::EndSpace { space: SPACE, version: 7 }),
        Err(ApplyError::Stale { have: 7, got: 7 })
    );
    assert!(engine.apply(now, &Command::EndSpace { space: SPACE, version: 8 }).is_ok());
    assert!(engine.apply(now, &Command::EndSpace { space: SPACE, version: 8 }).is_ok());
    assert_eq!(engine.apply(now, &upsert(9, table(2))), Err(ApplyError::Ended));
    assert_eq!(engine.apply(now, &state(9, "{}")), Err(ApplyError::Ended));
    let unknown = Command::EndSpace { space: SpaceId(77), version: 1 };
    assert_eq!(engine.apply(now, &unknown), Err(ApplyError::UnknownSpace));
}

#[test]
fn a_table_that_contradicts_itself_changes_nothing() {
    let mut world = World::with_seats(2, 1);
    let now = world.now;
    let mut twice = table(2);
    twice.stage[1].seat = seat(0);
    let mut double = table(2);
    double.stage[1].account = account(0);
    let mut nobody = table(1);
    nobody.stage[0].account = AccountId(0);
    let mut moved = table(1);
    moved.started_at_ms += 1;
    for bad in [twice, double, nobody, moved] {
        assert!(matches!(world.engines[0].apply(now, &upsert(2, bad)), Err(ApplyError::Invalid(_))));
    }
    for bad in [acl(AclKind::Bar, 0, 1, &[2, 1]), acl(AclKind::Bar, 0, 1, &[2, 2])] {
        assert!(matches!(world.engines[0].apply(now, &bad), Err(ApplyError::Invalid(_))));
    }
    let big = Command::SetState { space: SPACE, version: 1, snapshot: Bytes::from(vec![b' '; 65 * 1024]) };
    assert!(matches!(world.engines[0].apply(now, &big), Err(ApplyError::Invalid(_))));
    assert!(world.engines[0].apply(now, &upsert(2, table(2))).is_ok(), "version 2 is still free");
    let mut paused = table(1);
    paused.live = false;
    assert!(world.engines[0].apply(now, &upsert(3, paused.clone())).is_ok());
    paused.started_at_ms += 1;
    let again = world.engines[0].apply(now, &upsert(4, paused));
    assert!(matches!(again, Err(ApplyError::Invalid(_))), "groups that were sent would come again");
}

#[test]
fn the_first_reason_in_the_policys_order_is_the_one_given() {
    let mut world = World::with_seats(3, 1);
    let (host, barred, denied, holder, other) = (account(0).0, 11, 12, 13, 14);
    world.apply(&acl(AclKind::Bar, 0, 1, &[barred]));
    world.apply(&acl(AclKind::Deny, host, 1, &[barred, denied]));
    world.apply(&acl(AclKind::Allow, 0, 1, &[barred, denied, holder]));
    world.apply(&Command::SetRevoked { version: 1, sids: vec![Sid(500)], min_epoch: 1 });
    let mut ticketed = table(1);
    ticketed.ticketed = true;
    let mut closed = table(1);
    closed.guests = false;
    let mut scheduled = ticketed.clone();
    scheduled.live = false;
    let mut key = 0;
    let mut ask = |world: &mut World, account: u64, sid: u64, epoch: u64| {
        key += 1;
        let claims = spaces_core::admission::Claims { epoch, ..claims(account, sid) };
        world.engines[0].admit(world.now, world.now, SessionKey(key), SPACE, &claims).map(|_| ())
    };
    assert_eq!(ask(&mut world, other, 1, 1), Ok(()));
    assert_eq!(ask(&mut world, 0, 2, 1), Ok(()), "guests are welcome");
    assert_eq!(ask(&mut world, barred, 500, 0), Err(Refusal::AuthSessionRevoked));
    assert_eq!(ask(&mut world, barred, 3, 0), Err(Refusal::AuthTokenExpired));
    assert_eq!(ask(&mut world, barred, 3, 1), Err(Refusal::ParticipantRemoved));
    assert_eq!(ask(&mut world, denied, 3, 1), Err(Refusal::ParticipantBlockedByHost));
    world.upsert(2, ticketed);
    assert_eq!(ask(&mut world, other, 4, 1), Err(Refusal::TicketRequired));
    assert_eq!(ask(&mut world, 0, 5, 1), Err(Refusal::TicketRequired));
    assert_eq!(ask(&mut world, holder, 6, 1), Ok(()));
    assert_eq!(ask(&mut world, host, 7, 1), Ok(()), "the stage needs no ticket");
    world.upsert(3, closed);
    assert_eq!(ask(&mut world, 0, 8, 1), Err(Refusal::AuthTokenMissing));
    world.upsert(4, scheduled);
    assert_eq!(ask(&mut world, barred, 500, 0), Err(Refusal::StateScheduled));
    world.apply(&Command::EndSpace { space: SPACE, version: 5 });
    assert_eq!(ask(&mut world, barred, 500, 0), Err(Refusal::StateEnded));
    let unknown = world.engines[0].admit(world.now, world.now, SessionKey(99), SpaceId(9), &claims(1, 1));
    assert_eq!(unknown, Err(Refusal::SpaceNotFound));
}

#[test]
fn those_who_may_not_stay_are_closed_and_nobody_else() {
    let mut world = World::with_seats(4, 2);
    for key in 1..=6 {
        world.join(0, key, 1_000 + u64::from(key), &[Track::Stage { part: 0 }]).unwrap();
    }
    world.join(0, 7, 0, &[]).unwrap();
    world.join(0, 8, account(1).0, &[]).unwrap();
    world.apply(&acl(AclKind::Bar, 0, 1, &[1_001, 5_000]));
    let million: Vec<u64> = (0..1_000_000).map(|n| n * 2).collect();
    world.apply(&acl(AclKind::Deny, account(0).0, 1, &million));
    world.apply(&Command::SetRevoked { version: 1, sids: vec![Sid(4)], min_epoch: 0 });
    let mut stricter = table(2);
    stricter.guests = false;
    world.upsert(2, stricter.clone());
    world.apply(&acl(AclKind::Allow, 0, 1, &[1_005]));
    stricter.ticketed = true;
    world.upsert(3, stricter.clone());
    stricter.stage.pop();
    world.upsert(4, stricter.clone());
    world.apply(&acl(AclKind::Allow, 0, 2, &[1_009]));
    let closed: Vec<_> = world.closed.iter().map(|(_, key, why)| (key.0, *why)).collect();
    // 1,002 to 1,006 are even or odd: the even ones stand in the deny set.
    let expected = [
        (1, Refusal::ParticipantRemoved),
        (2, Refusal::ParticipantBlockedByHost),
        (4, Refusal::ParticipantBlockedByHost),
        (6, Refusal::ParticipantBlockedByHost),
        (7, Refusal::AuthTokenMissing),
        (3, Refusal::AuthSessionRevoked),
        (8, Refusal::TicketRequired),
        (5, Refusal::TicketRequired),
    ];
    let sorted = |list: &[(u32, Refusal)]| {
        let mut list: Vec<_> = list.iter().map(|(key, why)| (*key, why.code())).collect();
        list.sort_unstable();
        list
    };
    assert_eq!(sorted(&closed), sorted(&expected));
    assert_eq!(world.engines[0].counts(SPACE).unwrap(), Counts { peak: 8, ..Counts::default() });
    world.run_ms(2_000);
    let told = world.events.iter().filter_map(|(_, kind)| match kind {
        EventKind::Counts(counts) => Some(*counts),
        _ => None,
    });
    assert_eq!(told.collect::<Vec<_>>().last().copied(), Some(Counts { peak: 8, ..Counts::default() }));
}

#[test]
fn a_revoked_session_and_an_old_epoch_are_closed_where_they_are() {
    let mut world = World::with_seats(5, 1);
    (1..=3).for_each(|key| world.listen(0, key));
    world.apply(&Command::SetRevoked { version: 1, sids: vec![Sid(3)], min_epoch: 1 });
    assert_eq!(world.closed, [(0, SessionKey(2), Refusal::AuthSessionRevoked)]);
    world.apply(&Command::SetRevoked { version: 2, sids: vec![], min_epoch: 2 });
    assert_eq!(world.closed.len(), 3);
    assert!(world.closed.iter().skip(1).all(|(_, _, why)| *why == Refusal::AuthTokenExpired));
}

#[test]
fn the_newest_connection_of_a_sid_wins_and_guests_without_one_do_not_fight() {
    let mut world = World::with_seats(6, 1);
    let mut admit = |key, account, sid| {
        let admitted = world.engines[0].admit(START, START, SessionKey(key), SPACE, &claims(account, sid));
        admitted.unwrap().supersedes
    };
    assert_eq!(admit(1, 50, 9), None);
    assert_eq!(admit(2, 50, 9), Some(SessionKey(1)));
    assert_eq!(admit(3, 50, 10), None);
    assert_eq!(admit(4, 0, 0), None);
    assert_eq!(admit(5, 0, 0), None);
    let counts = world.engines[0].counts(SPACE).unwrap();
    assert_eq!((counts.named, counts.guests), (2, 2));
    world.engines[0].leave(START, SessionKey(1), true);
    assert_eq!(world.engines[0].counts(SPACE).unwrap().named, 2, "it had left already");
}

#[test]
fn a_connection_that_was_given_up_does_not_take_its_successors_place() {
    let mut world = World::with_seats(6, 1);
    let later = START + Duration::from_millis(30);
    let engine = &mut world.engines[0];
    engine.admit(later, later, SessionKey(2), SPACE, &claims(50, 9)).unwrap();
    let given_up = engine.admit(later, START, SessionKey(1), SPACE, &claims(50, 9));
    assert_eq!(given_up, Err(Refusal::SessionSuperseded));
    engine.subscribe(later, SessionKey(2), Track::State).unwrap();
    assert_eq!(engine.counts(SPACE).unwrap().named, 1);
    engine.leave(later, SessionKey(2), false);
    engine.admit(later, START, SessionKey(1), SPACE, &claims(50, 9)).unwrap();
    world.settle(0);
    assert_eq!(world.closed, [], "who has left is nobody's successor");
}

#[test]
fn only_the_seats_own_account_publishes_and_only_once() {
    let mut world = World::with_seats(7, 2);
    world.join(0, 1, account(0).0, &[]).unwrap();
    world.join(0, 2, account(0).0, &[]).unwrap();
    world.join(0, 3, 4_711, &[]).unwrap();
    let anonymous = spaces_core::admission::Claims { anonymous: true, ..claims(account(1).0, 70) };
    let guest = claims(0, 71);
    world.engines[0].admit(START, START, SessionKey(4), SPACE, &anonymous).unwrap();
    world.engines[0].admit(START, START, SessionKey(5), SPACE, &guest).unwrap();
    let mut publish = |key, number| world.engines[0].publish(START, SessionKey(key), seat(number));
    assert_eq!(publish(3, 0), Err(Refusal::RoleForbidden));
    assert_eq!(publish(1, 1), Err(Refusal::RoleForbidden));
    assert_eq!(publish(1, 5), Err(Refusal::RoleForbidden));
    assert_eq!(publish(4, 1), Err(Refusal::RoleForbidden), "anonymous people do not speak");
    assert_eq!(publish(5, 1), Err(Refusal::RoleForbidden));
    assert_eq!(publish(9, 0), Err(Refusal::RoleForbidden), "nobody");
    assert_eq!(publish(1, 0), Ok(()));
    assert_eq!(publish(1, 0), Ok(()));
    assert_eq!(publish(2, 0), Ok(()));
    world.settle(0);
    assert_eq!(world.closed, [(0, SessionKey(1), Refusal::SessionSuperseded)]);
    assert_eq!(world.engines[0].uplink(START, SessionKey(1), frame(0, 1)), Verdict::NoSeat);
    assert_eq!(world.engines[0].uplink(START, SessionKey(3), frame(0, 1)), Verdict::NoSeat);
    assert_eq!(world.engines[0].uplink(START, SessionKey(2), frame(0, 1)), Verdict::Accepted);
}

#[test]
fn the_control_plane_hears_of_the_stage_and_of_numbers_only() {
    let mut world = World::with_seats(8, 1);
    world.listen(0, 1);
    world.join(0, 2, 4_000, &[]).unwrap();
    world.speak(&Speaker { frames: 100, ..Speaker::new(0, 0, 0) });
    let mut second = table(1);
    second.stage.push(spaces_core::command::StageRow { account: AccountId(4_000), ..row(1) });
    world.upsert(2, second);
    world.run_ms(2_500);
    world.engines[0].leave(world.now, SessionKey(0), true);
    world.engines[0].leave(world.now, SessionKey(1), false);
    world.settle(0);
    world.run_ms(2_000);
    let kinds: Vec<_> = world.events.iter().map(|(_, kind)| *kind).collect();
    let without_counts: Vec<_> = kinds.iter().filter(|kind| !matches!(kind, EventKind::Counts(_))).copied().collect();
    assert_eq!(
        without_counts,
        [
            EventKind::Joined { account: account(0), sid: Sid(1) },
            EventKind::Joined { account: AccountId(4_000), sid: Sid(3) },
            EventKind::SeatSpeaking { seat: seat(0) },
            EventKind::Left { account: account(0), sid: Sid(1), lost: true },
        ]
    );
    let counts = kinds.iter().filter_map(|kind| match kind {
        EventKind::Counts(counts) => Some((counts.named, counts.peak)),
        _ => None,
    });
    assert_eq!(counts.collect::<Vec<_>>(), [(1, 1), (3, 3), (1, 3)], "once a second at most");
}

#[test]
fn a_muted_speaker_is_silent_at_once_and_starts_a_talkspurt_when_unmuted() {
    let mut world = World::with_seats(9, 1);
    world.listen(0, 1);
    world.speak(&Speaker { frames: 300, ..Speaker::new(0, 0, 0) });
    world.run_ms(2_000);
    let mut muted = table(1);
    muted.stage[0].muted = true;
    let fence = world.upsert(2, muted).fence_group;
    assert_eq!(world.player(0, 1).last_group, Some(fence), "exactly what was sent, not a tick more");
    world.run_ms(1_000);
    assert_eq!(world.player(0, 1).last_group, Some(fence));
    assert_eq!(world.verdict(0, Verdict::Silenced), 50);
    world.upsert(3, table(1));
    world.run_ms(5_000);
    let player = world.player(0, 1);
    assert_eq!(player.concealed, 0, "the hole is not loss: a talkspurt start stands behind it");
    assert_eq!((player.starts, player.frames + world.verdict(0, Verdict::Silenced)), (2, 300));
    let speaking = world.events.iter().filter(|(_, kind)| matches!(kind, EventKind::SeatSpeaking { .. })).count();
    assert_eq!(speaking, 2, "told again after unmuting");
}

#[test]
fn closing_the_mics_silences_speakers_but_not_the_host() {
    let mut world = World::with_seats(10, 3);
    world.listen(0, 9);
    (0..3).for_each(|number| world.speak(&Speaker { frames: 200, ..Speaker::new(0, number.into(), number) }));
    world.run_ms(1_000);
    world.nets[0].log = Some(Vec::new());
    world.upsert(2, spaces_core::command::SpaceTable { mic_open: false, ..table(3) });
    world.run_ms(1_000);
    let heard =
        world.nets[0].log.take().unwrap().iter().flat_map(Entry::frames).fold(0, |mask, (_, seat)| mask | 1 << seat);
    assert_eq!(heard, 0b001);
}

#[test]
fn the_end_closes_everybody_and_completes_the_recording() {
    let mut world = World::new(11, 1, Config::default());
    world.upsert(1, spaces_core::command::SpaceTable { record: true, ..table(2) });
    world.listen(0, 9);
    (0..2).for_each(|number| world.speak(&Speaker { frames: 100, ..Speaker::new(0, number.into(), number) }));
    world.run_ms(1_000);
    let mut third = spaces_core::command::SpaceTable { record: true, ..table(3) };
    third.stage[1].generation = 2;
    world.upsert(2, third.clone());
    world.run_ms(100);
    third.stage.remove(0);
    third.stage[1].account = AccountId(200);
    world.upsert(3, third);
    let fence = world.apply(&Command::EndSpace { space: SPACE, version: 4 }).fence_group;
    world.run_ms(3_000);
    assert_eq!(world.closed.len(), 3);
    assert!(world.closed.iter().all(|(_, _, why)| *why == Refusal::StateEnded));
    assert_eq!(world.engines[0].counts(SPACE), None);
    assert_eq!(world.engines[0].next_timeout(), None);
    let rows: Vec<_> = world
        .records
        .iter()
        .filter_map(|item| match item {
            RecordItem::Seat { seat, generation, account, .. } => Some((seat.get(), *generation, *account)),
            _ => None,
        })
        .collect();
    assert_eq!(
        rows,
        [(0, 1, 100), (1, 1, 101), (1, 2, 101), (2, 1, 102), (0, 1, 0), (2, 1, 200)],
        "vacated, given to another"
    );
    assert!(matches!(world.records.first(), Some(RecordItem::Start { group: 0, .. })));
    assert_eq!(world.records.last(), Some(&RecordItem::End { space: SPACE, group: fence }));
    let ticks: Vec<_> = world
        .records
        .iter()
        .filter_map(|item| match item {
            RecordItem::Tick { group, .. } => Some(*group),
            _ => None,
        })
        .collect();
    assert!(ticks.is_sorted_by(|one, next| one < next) && ticks.len() >= 45);
}

#[test]
fn the_recording_keeps_every_seat_that_selection_leaves_out() {
    let mut world = World::new(12, 1, Config { max_heard: 2, ..Config::default() });
    world.upsert(1, spaces_core::command::SpaceTable { record: true, ..table(5) });
    world.listen(0, 9);
    for number in 0..5u8 {
        let level = 20 + 10 * number;
        world.speak(&Speaker { frames: 200, level, ..Speaker::new(0, number.into(), number) });
    }
    world.run_ms(6_000);
    let recorded: usize = world
        .records
        .iter()
        .map(|item| match item {
            RecordItem::Tick { frames, .. } => frames.len(),
            _ => 0,
        })
        .sum();
    assert_eq!(recorded, 1_000);
    let player = world.player(0, 9);
    assert!((400..420).contains(&player.frames), "two at once: {}", player.frames);
}

#[test]
fn subscribers_of_the_state_get_the_latest_and_each_new_one() {
    let mut world = World::with_seats(13, 1);
    world.join(0, 1, 50, &[Track::State, Track::Catalog]).unwrap();
    world.apply(&state(1, "a"));
    world.apply(&state(2, "b"));
    world.join(0, 2, 51, &[Track::State]).unwrap();
    world.nets[0].blocked.insert(SessionKey(1));
    world.apply(&state(3, "c"));
    world.apply(&state(9, "d"));
    world.nets[0].blocked.clear();
    world.settle(0);
    let versions = |key| world.player(0, key).states.iter().map(|(version, _)| *version).collect::<Vec<_>>();
    assert_eq!(versions(1), [1, 2, 9], "what was overtaken while it was blocked is not sent");
    assert_eq!(versions(2), [2, 3, 9]);
    assert_eq!(world.player(0, 1).catalogs, 1);
    let bare = Config { catalog: Bytes::new(), ..Config::default() };
    let mut world = World::new(14, 1, bare);
    world.upsert(1, table(1));
    assert_eq!(world.join(0, 1, 50, &[Track::Catalog]), Err(Refusal::TrackNotFound));
    assert_eq!(world.join(0, 1, 50, &[Track::Stage { part: 2 }]), Err(Refusal::TrackNotFound));
}

#[test]
fn groups_go_on_over_a_restart_of_the_engine() {
    let started = Config { unix_origin_us: 1_700_000_000_000_000, ..Config::default() };
    let mut world = World::new(15, 1, started);
    let mut old = table(1);
    old.started_at_ms = 1_700_000_000_000 + START.0 / 1_000 - 3_600_000;
    world.upsert(1, old);
    world.listen(0, 1);
    world.speak(&Speaker { frames: 50, ..Speaker::new(0, 0, 0) });
    world.run_ms(2_000);
    assert_eq!(world.player(0, 1).last_group, Some(3_600 * 50 + 6 + 49));
}

#[test]
fn a_thousand_tombstones_cost_nothing_and_old_ones_are_let_go() {
    let mut world = World::new(16, 1, Config::default());
    for id in 0..5_000 {
        let space = SpaceId(id);
        world.engines[0].apply(START, &Command::UpsertSpace { space, version: 1, table: table(1) }).unwrap();
        world.engines[0].apply(START, &Command::EndSpace { space, version: 2 }).unwrap();
    }
    let again = |id| Command::UpsertSpace { space: SpaceId(id), version: 3, table: table(1) };
    assert_eq!(world.engines[0].apply(START, &again(4_999)), Err(ApplyError::Ended));
    assert!(world.engines[0].apply(START, &again(0)).is_ok(), "ids are not used again, so this does not happen");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, rng_seed: RngSeed::Fixed(1), ..ProptestConfig::with_cases(64) })]

    /// The largest version wins in whatever order versions come, and all shards agree.
    #[test]
    fn the_order_of_commands_does_not_matter(order in Just((1..20u64).collect::<Vec<_>>()).prop_shuffle()) {
        let mut world = World::new(17, 1, Config::default());
        for version in order {
            let mut value = table(3);
            value.stage[1].muted = version % 2 == 0;
            value.stage[2].generation = version as u32;
            let _ = world.engines[0].apply(START, &upsert(version, value));
        }
        let mut last = table(3);
        last.stage[2].generation = 19;
        prop_assert!(world.engines[0].apply(START, &upsert(19, last)).is_ok(), "version 19 is in force");
        world.run(START + Duration::from_millis(5));
    }
}
