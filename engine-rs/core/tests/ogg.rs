//! Tracks decoded by the tools that people have: opusinfo (no warning), ffmpeg and opusdec (length to the sample, sound
//! where it was said and silence elsewhere).

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests, too, fail by panicking"
)]

mod tools;

use spaces_core::ids::{SeatNo, SpaceId};
use spaces_core::ogg::{CONCEALED, FrameError, Source, TrackEnd, TrackInfo, TrackWriter, track_end};

const START: u64 = 1_000;
/// Samples of a group.
const GROUP: usize = 960;

fn info(channels: u8) -> TrackInfo {
    TrackInfo {
        space: SpaceId(123_456_789),
        source: Source::Person { seat: SeatNo::new(3).unwrap(), account: 42 },
        part: 2,
        start_group: START,
        started_at_ms: 1_700_000_000_000,
        channels,
        serial: 0x5eed,
    }
}

/// A track of 40 groups of voice from each of `spurts` on, ended with group `last`; advanced tick by tick as when live.
fn live(spurts: &[u64], last: u64) -> Vec<u8> {
    let voice = tools::voice();
    let mut track = TrackWriter::new(&info(1));
    let mut file = Vec::new();
    for group in START..=last {
        for from in spurts {
            if let Some(opus) =
                group.checked_sub(*from).and_then(|at| voice.get(at as usize)).filter(|_| group < from + 40)
            {
                track.frame(group, opus).unwrap();
            }
        }
        track.advance(group + 1);
        file.extend(track.take());
        assert!(group + 1 - track.next_group() < 18, "no more than 360 ms of silence is owed");
    }
    track.finish(last);
    file.extend(track.take());
    file
}

/// Level of each group of decoded samples.
fn levels(samples: &[i16]) -> Vec<f64> {
    let rms = |group: &[i16]| (group.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>() / group.len() as f64).sqrt();
    samples.chunks(GROUP).map(rms).collect()
}

#[test]
fn a_finished_track_is_as_long_as_the_time_it_spans_and_sounds_where_it_was_said() {
    let (spurts, last) = ([1_010, 1_200, 1_700], 2_499);
    let file = tools::file("finished.opus", &live(&spurts, last));
    let report = tools::opusinfo(&file);
    assert_eq!(report.problems, Vec::<String>::new(), "{}", report.text);
    assert!(
        report.text.contains("SPACE=8M0kX") && report.text.contains("ACCOUNT=42") && report.text.contains("SEAT=3")
    );
    assert!(report.text.contains("Playback length: 0m:30.000s"), "{}", report.text);
    for (tool, samples) in [("ffmpeg", tools::ffmpeg(&file)), ("opusdec", tools::opusdec(&file))] {
        assert_eq!(samples.len(), 1_500 * GROUP, "{tool}");
        for (group, level) in (START..).zip(levels(&samples)) {
            let near = |from: &u64| (from + 1..from + 40).contains(&group);
            let far = |from: &u64| group + 1 < *from || group > from + 40 + CONCEALED + 2;
            if spurts.iter().any(near) {
                assert!(level > 300.0, "{tool}: voice of group {group} is {level}");
            } else if spurts.iter().all(far) {
                assert!(level < 8.0, "{tool}: silence of group {group} is {level}");
            }
        }
    }
}

#[test]
fn a_track_cut_anywhere_plays_to_its_last_whole_page() {
    let whole = live(&[1_010, 1_080], 1_149);
    let mut lengths = std::collections::BTreeSet::new();
    for cut in (0..whole.len()).step_by(97) {
        let end = track_end(&whole, &whole[..cut]);
        let Some(end) = end.filter(|end| end.groups > 0) else { continue };
        if !lengths.insert(end.groups) {
            continue;
        }
        let file = tools::file("cut.opus", &whole[..cut]);
        let report = tools::opusinfo(&file);
        assert!(report.only_unfinished(), "cut at {cut}: {}", report.text);
        assert_eq!(tools::ffmpeg(&file).len() as u64, end.groups * GROUP as u64, "cut at {cut}");
    }
    assert!(lengths.len() >= 9, "the cuts covered pages: {lengths:?}");
}

#[test]
fn an_hour_before_the_first_word_cost_little_and_still_count() {
    let hour = 60 * 60 * 50;
    let mut track = TrackWriter::new(&info(1));
    for (group, opus) in (START + hour..).zip(tools::voice().iter().take(50)) {
        track.frame(group, opus).unwrap();
    }
    track.finish(START + hour + 49);
    let bytes = track.take();
    assert!(bytes.len() < 200_000, "{} bytes for an hour of silence", bytes.len());
    let file = tools::file("late.opus", &bytes);
    let report = tools::opusinfo(&file);
    assert_eq!(report.problems, Vec::<String>::new(), "{}", report.text);
    assert_eq!(tools::ffmpeg(&file).len() as u64, (hour + 50) * GROUP as u64);
}

/// After loud voice a decoder conceals empty frames with noise that does not end: the silence frames end it.
#[test]
fn concealment_does_not_hum_for_ever() {
    let file = tools::file("hum.opus", &live(&[1_000], 1_600));
    for (tool, samples) in [("ffmpeg", tools::ffmpeg(&file)), ("opusdec", tools::opusdec(&file))] {
        let tail = levels(&samples).split_off(60);
        assert!(tail.iter().all(|level| *level < 8.0), "{tool}");
    }
}

/// Two frames of 10 ms are a tick too; what conceals the next one must not be one frame of 10 ms.
#[test]
fn silence_after_packets_of_shorter_frames_takes_its_time() {
    let mut track = TrackWriter::new(&info(1));
    track.frame(START, &[0xf1, 0xff, 0xfe, 0xff, 0xfe]).unwrap();
    track.frame(START + 3, &[0xe3, 8]).unwrap();
    track.finish(START + 99);
    let file = tools::file("short-frames.opus", &track.take());
    assert_eq!(tools::opusinfo(&file).problems, Vec::<String>::new());
    assert_eq!(tools::ffmpeg(&file).len(), 100 * GROUP);
    assert_eq!(tools::opusdec(&file).len(), 100 * GROUP);
}

#[test]
fn a_stereo_track_opens_as_stereo() {
    let mut track = TrackWriter::new(&info(2));
    track.frame(START + 5, &[0xfc, 0xff, 0xfe]).unwrap();
    track.finish(START + 9);
    let report = tools::opusinfo(&tools::file("stereo.opus", &track.take()));
    assert_eq!(report.problems, Vec::<String>::new(), "{}", report.text);
    assert!(report.text.contains("Channels: 2"), "{}", report.text);
}

#[test]
fn an_empty_track_is_a_file_too() {
    let mut track = TrackWriter::new(&info(1));
    track.finish(START - 1);
    let bytes = track.take();
    assert_eq!(track_end(&bytes, &bytes), Some(TrackEnd { groups: 0, finished: true }));
    let report = tools::opusinfo(&tools::file("empty.opus", &bytes));
    assert_eq!(report.problems, Vec::<String>::new(), "{}", report.text);
}

#[test]
fn what_has_no_place_is_refused_and_changes_nothing() {
    let mut track = TrackWriter::new(&info(1));
    track.frame(START, &[0x78, 1]).unwrap();
    assert_eq!(track.frame(START, &[0x78, 1]), Err(FrameError::Late { group: START, next: START + 1 }));
    assert_eq!(track.frame(START + 1, &[0x70, 1]), Err(FrameError::Packet));
    assert_eq!(track.frame(START + 1, &[0xf1, 1]), Err(FrameError::Packet), "a decoder would stop at it");
    assert_eq!(track.frame(START + 1, &[]), Err(FrameError::Packet));
    assert_eq!(track.frame(u64::MAX, &[0x78]), Err(FrameError::Far { group: u64::MAX, next: START + 1 }));
    track.advance(0);
    assert_eq!(track.next_group(), START + 1);
}

/// A speaker may put the bytes of an Ogg page, checksum and all, into an Opus packet.
#[test]
fn a_page_inside_a_packet_does_not_tell_the_end_of_the_track() {
    let forged = {
        let mut other = TrackWriter::new(&TrackInfo { serial: 1, ..info(1) });
        other.take();
        other.finish(START + 100_000);
        other.take().split_off(20_000)
    };
    let page = forged.windows(4).position(|window| window == b"OggS").unwrap();
    let mut packet = vec![0x78];
    packet.extend_from_slice(&forged[page..page + 200]);
    let mut track = TrackWriter::new(&info(1));
    track.frame(START, &packet).unwrap();
    track.finish(START + 9);
    let file = track.take();
    assert_eq!(track_end(&file, &file), Some(TrackEnd { groups: 10, finished: true }));
}

#[test]
fn the_end_of_a_track_is_found_behind_torn_pages_only() {
    let whole = live(&[1_010], 1_099);
    assert_eq!(track_end(&whole, &whole), Some(TrackEnd { groups: 100, finished: true }));
    let torn = track_end(&whole, &whole[..whole.len() - 1]).unwrap();
    assert!(!torn.finished && (76..=100).contains(&torn.groups), "{torn:?}");
    assert_eq!(track_end(&whole, &[]), None);
    assert_eq!(track_end(&whole, b"OggSOggSOggSOggSOggSOggSOggSOggSOggS"), None);
}
