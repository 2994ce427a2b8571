//! One timeline: everything is kept, people are tracks, silence takes its time, restarts are marked.

use spaces_core::ogg::TrackEnd;
use spaces_core::record::RecordItem;
use spaces_core::segment::GapCause;
use spaces_net::recorder::{ExportLog, FileKind, FsyncPolicy, export, files};

use super::feed::{Desk, SPACE, Voice, end, read, seat, sits, start, track_end};
use super::memory::Memory;
use super::tools;

#[test]
fn everything_handed_in_is_in_the_log_and_every_track_spans_the_part() {
    let (voice, mut desk, mut given) = (Voice::new(), Desk::new(FsyncPolicy::Never), Vec::new());
    let mut give = |desk: &mut Desk, group, item: RecordItem| {
        desk.at(group, &item);
        given.push(item);
    };
    give(&mut desk, 100, start(100));
    give(&mut desk, 100, sits(100, 0, 1, 11));
    give(&mut desk, 100, sits(100, 5, 1, 55));
    for group in 100..1_600 {
        let mut seats = Vec::new();
        if group % 300 < 120 {
            seats.push((0, 1));
        }
        if group > 900 && group % 7 > 0 {
            seats.push((5, 1));
        }
        give(&mut desk, group, voice.tick(group, &seats));
    }
    give(&mut desk, 1_600, end(1_599));
    desk.pass(1_610);
    let log = read(&desk.memory.log(1));
    assert_eq!(log.items, given);
    assert_eq!((log.gaps.len(), log.torn, desk.events.len()), (0, 0, 0));
    assert_eq!(desk.worker.stats().recording, 0);
    for name in ["part-0001.seat-00.account-11.opus", "part-0001.seat-05.account-55.opus"] {
        let bytes = desk.memory.file(name);
        assert_eq!(track_end(&bytes), Some(TrackEnd { groups: 1_500, finished: true }));
        let file = tools::file(name, &bytes);
        let report = tools::opusinfo(&file);
        assert_eq!(report.problems, Vec::<String>::new(), "{}", report.text);
        assert_eq!((tools::ffmpeg(&file).len(), tools::opusdec(&file).len()), (1_500 * 960, 1_500 * 960));
    }
}

#[test]
fn a_person_is_a_track_also_after_leaving_the_seat_and_coming_back() {
    let (voice, mut desk) = (Voice::new(), Desk::new(FsyncPolicy::Never));
    desk.at(0, &start(0));
    for (from, generation, account) in [(0, 1, 7), (100, 2, 8), (200, 3, 7)] {
        desk.at(from, &sits(from, 4, generation, account));
        for group in from..from + 100 {
            desk.at(group, &voice.tick(group, &[(4, generation)]));
        }
    }
    // A frame of the sitting before, come late, still goes to its person.
    desk.at(300, &voice.tick(300, &[(4, 2)]));
    desk.at(301, &end(300));
    desk.pass(310);
    assert_eq!(desk.memory.tracks(), ["part-0001.seat-04.account-7.opus", "part-0001.seat-04.account-8.opus"]);
    for account in [7, 8] {
        let bytes = desk.memory.file(&format!("part-0001.seat-04.account-{account}.opus"));
        assert_eq!(track_end(&bytes), Some(TrackEnd { groups: 301, finished: true }));
        let loud: Vec<bool> = tools::opusdec(&tools::file("person.opus", &bytes))
            .chunks(960 * 100)
            .take(3)
            .map(|second| second[960 * 20..].iter().any(|sample| sample.unsigned_abs() > 500))
            .collect();
        assert_eq!(loud, if account == 7 { [true, false, true] } else { [false, true, false] });
    }
}

#[test]
fn a_track_ends_when_its_person_leaves_the_seat() {
    let (voice, mut desk) = (Voice::new(), Desk::new(FsyncPolicy::Never));
    desk.at(0, &start(0));
    (0..4u8).for_each(|number| desk.at(0, &sits(0, number, 1, 10 + u64::from(number))));
    for group in 0..1_000 {
        match group {
            100 => desk.at(group, &sits(group, 1, 1, 0)),  // vacated
            200 => desk.at(group, &sits(group, 2, 2, 22)), // given to somebody else, who says nothing
            300 => desk.at(group, &sits(group, 3, 1, 0)),  // vacated, and taken again by the same person
            600 => desk.at(group, &sits(group, 3, 2, 13)),
            _ => {}
        }
        let speaks = [true, group < 100, group < 200, !(300..600).contains(&group)];
        let seats: Vec<_> = (0u8..).zip(speaks).filter(|(_, speaks)| *speaks).map(|(number, _)| number).collect();
        let generation = |number| if number == 3 && group >= 600 { 2 } else { 1 };
        let seats: Vec<_> = seats.into_iter().map(|number| (number, generation(number))).collect();
        desk.at(group, &voice.tick(group, &seats));
    }
    desk.at(1_000, &end(999));
    desk.pass(1_010);
    for (number, groups) in [(0, 1_000), (1, 100), (2, 200), (3, 1_000)] {
        let bytes = desk.memory.file(&format!("part-0001.seat-0{number}.account-1{number}.opus"));
        assert_eq!(track_end(&bytes), Some(TrackEnd { groups, finished: true }), "seat {number}");
    }
    assert_eq!(desk.memory.tracks().len(), 4, "who said nothing has no track: {:?}", desk.memory.tracks());
}

/// The engine says nothing while nobody speaks; a kill then may still cost less than a second.
#[test]
fn silence_is_carried_on_by_the_clock() {
    let (voice, mut desk) = (Voice::new(), Desk::new(FsyncPolicy::Never));
    desk.at(50, &start(50));
    desk.at(50, &sits(50, 1, 1, 9));
    for group in 50..100 {
        desk.at(group, &voice.tick(group, &[(1, 1)]));
    }
    for group in 100..3_000 {
        desk.pass(group);
        let track = track_end(&desk.memory.file("part-0001.seat-01.account-9.opus"));
        let behind = group + 1 - 50 - track.unwrap().groups;
        assert!(behind <= 43, "group {group}: the track is {behind} groups behind");
        assert!(group - read(&desk.memory.log(1)).last <= 25, "group {group}");
    }
    // A tick that is up to 400 ms late finds its place free.
    desk.at(3_000, &voice.tick(2_981, &[(1, 1)]));
    desk.at(3_001, &end(3_000));
    desk.pass(3_010);
    assert_eq!(desk.worker.stats().odd_frames, 0);
    let bytes = desk.memory.file("part-0001.seat-01.account-9.opus");
    assert_eq!(track_end(&bytes), Some(TrackEnd { groups: 2_951, finished: true }));
    let samples = tools::opusdec(&tools::file("carried.opus", &bytes));
    let loud = |group: usize| samples[(group - 50) * 960..][..960].iter().any(|sample| sample.unsigned_abs() > 200);
    assert!(loud(99) && !loud(2_980) && loud(2_981));
}

#[test]
fn a_restart_is_another_part_and_the_gap_before_it_is_marked() {
    let (voice, memory) = (Voice::new(), Memory::default());
    let mut desk = Desk::on(memory.clone(), FsyncPolicy::Never);
    desk.at(0, &start(0));
    desk.at(0, &sits(0, 2, 1, 3));
    for group in 0..100 {
        desk.at(group, &voice.tick(group, &[(2, 1)]));
    }
    desk.pass(101);
    // Killed here: no stop.
    let killed = read(&memory.log(1));
    assert_eq!(killed.last, 99);
    let mut desk = Desk::on(memory.clone(), FsyncPolicy::Never);
    desk.at(500, &start(500));
    desk.at(500, &sits(500, 2, 1, 3));
    for group in 500..600 {
        desk.at(group, &voice.tick(group, &[(2, 1)]));
    }
    desk.stop(601);
    assert_eq!(desk.gaps(), [(100, 400)]);
    let second = read(&memory.log(2));
    assert_eq!(second.gaps, [(100, 400, GapCause::Restart)]);
    assert_eq!(second.ticks, (500..600).collect());
    let track = memory.file("part-0002.seat-02.account-3.opus");
    assert_eq!(track_end(&track), Some(TrackEnd { groups: 100, finished: true }));
    // Stopped in order, and started once more, and ended: what was ended on purpose leaves no gap behind.
    let mut desk = Desk::on(memory.clone(), FsyncPolicy::Never);
    desk.at(700, &start(700));
    desk.at(701, &end(700));
    desk.pass(710);
    desk.at(800, &start(800));
    desk.stop(810);
    assert_eq!(desk.gaps(), [(600, 100)]);
    assert_eq!(read(&memory.log(4)).gaps, []);
}

/// Groups 100 to 104 are refused, a seat is given at 105, then the process is killed before it marks the gap.
#[test]
fn a_seat_given_after_a_lost_group_does_not_hide_it_from_the_restart() {
    let (voice, memory) = (Voice::new(), Memory::default());
    let mut desk = Desk::on(memory.clone(), FsyncPolicy::Never);
    desk.at(0, &start(0));
    for group in 0..100 {
        desk.at(group, &voice.tick(group, &[(2, 1)]));
    }
    desk.worker.lost(SPACE, 100, 104);
    desk.at(105, &sits(105, 3, 1, 4));
    desk.pass(110);
    let mut desk = Desk::on(memory.clone(), FsyncPolicy::Never);
    desk.at(500, &start(500));
    assert_eq!(read(&memory.log(2)).gaps, [(100, 400, GapCause::Restart)]);
}

#[test]
fn a_frame_of_nobody_goes_to_account_0() {
    let (voice, mut desk) = (Voice::new(), Desk::new(FsyncPolicy::Never));
    desk.at(0, &start(0));
    desk.at(0, &voice.tick(0, &[(6, 9)]));
    desk.at(1, &end(0));
    desk.pass(5);
    assert_eq!(desk.memory.tracks(), ["part-0001.seat-06.account-0.opus"]);
}

#[test]
fn items_of_a_space_that_is_not_recorded_are_counted() {
    let (voice, mut desk) = (Voice::new(), Desk::new(FsyncPolicy::Never));
    desk.at(0, &voice.tick(0, &[(0, 1)]));
    desk.at(0, &sits(0, 0, 1, 1));
    desk.at(0, &end(0));
    assert_eq!((desk.worker.stats().unknown, desk.memory.names().len()), (3, 0));
}

#[test]
fn the_files_of_a_recording_are_listed() {
    let (voice, mut desk) = (Voice::new(), Desk::new(FsyncPolicy::Never));
    desk.at(10, &start(10));
    desk.at(10, &sits(10, 3, 1, 4_000_000_000_000));
    for group in 10..60 {
        desk.at(group, &voice.tick(group, &[(3, 1)]));
    }
    desk.stop(60);
    let mut killed = Desk::on(desk.memory.clone(), FsyncPolicy::Never);
    killed.at(200, &start(200));
    for group in 200..231 {
        killed.at(group, &voice.tick(group, &[(12, 1)]));
    }
    let root = tools::file("listing", b"").with_file_name("root");
    let directory = root.join(SPACE.0.to_string());
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::write(directory.join("notes.txt"), "not ours").unwrap();
    for name in desk.memory.names() {
        std::fs::write(directory.join(&name), desk.memory.file(&name)).unwrap();
    }
    let listed = files(&root, SPACE).unwrap();
    let short: Vec<_> = listed
        .iter()
        .map(|file| (file.part, file.kind, file.start_group, file.duration.as_millis(), file.finished))
        .collect();
    let track = |number, account| FileKind::Track { seat: seat(number), account };
    assert_eq!(
        short,
        [
            (1, FileKind::Log { sequence: 0 }, 10, 1_000, true),
            (1, track(3, 4_000_000_000_000), 10, 1_000, true),
            (2, FileKind::Log { sequence: 0 }, 200, 600, false),
            (2, track(12, 0), 200, 600, false),
        ]
    );
    assert!(listed.iter().all(|file| file.space == SPACE && file.bytes == file.path.metadata().unwrap().len()));
    assert_eq!(files(&root, spaces_core::ids::SpaceId(1)).unwrap(), []);
}

/// The wall clock is read once by the process that starts a Space again, for the group at which it goes on. If it was set back
/// or forth meanwhile, nothing of what was written moves: the timeline has a hole, or what was said twice at a time is
/// there once.
#[test]
fn a_wall_clock_that_jumps_between_processes_moves_nothing() {
    for (again, gaps) in [(20_000, vec![(300, 19_700)]), (150, vec![])] {
        let (voice, memory) = (Voice::new(), Memory::default());
        let mut logs = Vec::new();
        for (part, first, started_at_ms) in [(1, 0, 5_000), (2, again, 7_777_777)] {
            let mut desk = Desk::on(memory.clone(), FsyncPolicy::Never);
            let start = RecordItem::Start { space: SPACE, started_at_ms, group: first };
            desk.at(first, &start);
            desk.at(first, &sits(first, 2, 1, 3));
            (first..first + 300).for_each(|group| desk.at(group, &voice.tick(group, &[(2, 1)])));
            if part == 2 {
                desk.at(first + 300, &end(first + 299));
            }
            desk.pass(first + 310);
            logs.extend(memory.log(part));
        }
        assert_eq!(
            read(&memory.log(2)).gaps.iter().map(|(from, groups, _)| (*from, *groups)).collect::<Vec<_>>(),
            gaps
        );
        let to = tools::file("jump", b"").with_file_name(format!("jump-{again}"));
        let files = export(&logs.into_iter().map(ExportLog::Bytes).collect::<Vec<_>>(), &to, 0.0).unwrap();
        assert_eq!(files, [to.join("account-3.opus")]);
        assert_eq!(tools::opusinfo(&files[0]).problems, Vec::<String>::new());
        assert_eq!(tools::ffmpeg(&files[0]).len() as u64, (again + 300) * 960);
    }
}
