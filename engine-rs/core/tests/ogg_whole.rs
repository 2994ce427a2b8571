//! Whole files decoded by the tools that people have: as long as they should be to the sample, with the sound at its place,
//! whatever the length of packets and wherever they lie across the ends.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests, too, fail by panicking"
)]

mod tools;

use spaces_core::ogg::{CONCEALED, LOOKAHEAD, WholeError, WholeInfo, WholeWriter, silence};
use spaces_core::uplink::packet_samples;

const GROUP: usize = 960;
/// What opusdec adds to silence: dither.
const QUIET: f64 = 8.0;

fn info(start_group: u64, end_group: u64) -> WholeInfo {
    WholeInfo {
        start_group,
        end_group,
        gain_db: 0.0,
        pre_skip: LOOKAHEAD,
        conceal: 0,
        channels: 1,
        comments: vec![],
        serial: 7,
    }
}

/// Frames of one packet each as one packet (RFC 6716 §3.2.5, code 3 with lengths): the same sound.
fn join(packets: &[Vec<u8>]) -> Vec<u8> {
    let [first, ..] = packets else { panic!("no packets") };
    if packets.len() == 1 {
        return first.clone();
    }
    let mut joined = vec![first[0] | 0b11, 0x80 | packets.len() as u8];
    for packet in &packets[..packets.len() - 1] {
        assert!(packet[0] == first[0] && packet.len() <= 252, "frames of one kind and short");
        joined.push((packet.len() - 1) as u8);
    }
    packets.iter().for_each(|packet| joined.extend_from_slice(&packet[1..]));
    joined
}

/// Voice without end in packets of `ticks`.
fn voice(ticks: usize) -> Vec<Vec<u8>> {
    let one: Vec<_> = tools::voice().into_iter().filter(|packet| packet.len() <= 252).collect();
    assert!(one.len() > 90 && one.iter().all(|packet| packet[0] == one[0][0]), "the sample is of one kind");
    one.chunks_exact(ticks).map(join).collect()
}

fn build(info: WholeInfo, packets: &[(u64, u8, Vec<u8>)]) -> Vec<u8> {
    let mut writer = WholeWriter::new(info).unwrap();
    let mut file = Vec::new();
    for (group, ticks, opus) in packets {
        writer.packet(*group, *ticks, opus).unwrap();
        file.extend(writer.take());
    }
    file.extend(writer.finish());
    file
}

/// Both decoders' samples; neither they nor opusinfo complain.
fn decode(name: &str, file: &[u8]) -> [Vec<i16>; 2] {
    let path = tools::file(name, file);
    let report = tools::opusinfo(&path);
    assert_eq!(report.problems, Vec::<String>::new(), "{name}: {}", report.text);
    let both = [tools::ffmpeg(&path), tools::opusdec(&path)];
    assert_eq!(both[0].len(), both[1].len(), "{name}");
    both
}

fn rms(samples: &[i16]) -> f64 {
    (samples.iter().map(|sample| f64::from(*sample).powi(2)).sum::<f64>() / samples.len() as f64).sqrt()
}

#[test]
fn packets_of_every_length_make_a_file_of_exact_length_with_sound_at_its_place() {
    for ticks in 1..=3u8 {
        // Three spurts of 30 groups, the last across the end of the file.
        let packets: Vec<_> = [10u64, 100, 277]
            .into_iter()
            .flat_map(|from| {
                voice(ticks.into())
                    .into_iter()
                    .take(30 / usize::from(ticks))
                    .enumerate()
                    .map(move |(number, opus)| (1_000 + from + number as u64 * u64::from(ticks), ticks, opus))
            })
            .collect();
        for samples in decode(&format!("ticks-{ticks}.opus"), &build(info(1_000, 1_300), &packets)) {
            assert_eq!(samples.len(), 300 * GROUP);
            for (group, level) in (0..).zip(samples.chunks(GROUP).map(rms)) {
                let spoken = [10u64, 100, 277].iter().any(|from| (from + 1..from + 29).contains(&group));
                let near = [10u64, 100, 277].iter().any(|from| (from - 1..from + 33).contains(&group));
                assert!(!spoken || level > 200.0, "{ticks} ticks: voice of group {group} is {level}");
                assert!(near || level < QUIET, "{ticks} ticks: silence of group {group} is {level}");
            }
        }
    }
}

/// A cut of a file is what stands there in the whole, wherever it begins in a packet, to the sample.
#[test]
fn a_cut_is_the_same_sound_as_the_whole() {
    let packets: Vec<_> = voice(3).into_iter().enumerate().map(|(at, opus)| (at as u64 * 3, 3, opus)).collect();
    let [whole, _] = decode("cut-of.opus", &build(info(0, 90), &packets));
    for (start, end) in [(20u64, 60u64), (21, 61), (22, 59), (4, 90)] {
        let early = WholeInfo { pre_skip: LOOKAHEAD + 4 * 960, ..info(start - 4, end) };
        let [cut, _] = decode("cut.opus", &build(early, &packets));
        assert_eq!(cut.len() as u64, (end - start) * 960);
        // The decoder began somewhere else, and in a steady voice it remembers that for long: alike, but not the same.
        let from = start as usize * GROUP;
        let off = |by: usize| {
            let there = &whole[from + by - 1..][..cut.len() - 1];
            rms(&cut.iter().zip(there).map(|(a, b)| a.saturating_sub(*b)).collect::<Vec<_>>()) / rms(there)
        };
        let errors = [off(0), off(1), off(2)];
        assert!(errors[1] < 0.08 && errors[1] < errors[0] && errors[1] < errors[2], "{start}: {errors:?} by sample");
    }
}

#[test]
fn the_gain_is_applied_by_players() {
    let packets: Vec<_> = voice(1).into_iter().enumerate().map(|(at, opus)| (at as u64, 1, opus)).collect();
    let levels: Vec<f64> = [0.0, -6.0206, 3.5]
        .into_iter()
        .map(|gain_db| {
            let file = build(WholeInfo { gain_db, ..info(0, 90) }, &packets);
            let report = tools::opusinfo(&tools::file("gain.opus", &file));
            assert_eq!(report.problems, Vec::<String>::new(), "{}", report.text);
            rms(&tools::opusdec(&tools::file("gain.opus", &file)))
        })
        .collect();
    assert!((levels[1] / levels[0] - 0.5).abs() < 0.01, "{levels:?}");
    assert!((levels[2] / levels[0] - 1.496).abs() < 0.03, "{levels:?}");
}

#[test]
fn pauses_are_concealed_only_when_asked_for() {
    let packets: Vec<_> = voice(1).into_iter().take(20).enumerate().map(|(at, opus)| (at as u64, 1, opus)).collect();
    let heard = |conceal| {
        let [_, samples] = decode("pause.opus", &build(WholeInfo { conceal, ..info(0, 60) }, &packets));
        (rms(&samples[21 * GROUP..22 * GROUP]), rms(&samples[30 * GROUP..]))
    };
    let ((silent, later), (concealed, much_later)) = (heard(0), heard(CONCEALED));
    assert!(silent < QUIET && concealed > 5.0 * QUIET, "{silent}, {concealed}");
    assert!(later < QUIET && much_later < QUIET, "{later}, {much_later}");
}

#[test]
fn nothing_and_minutes_of_nothing_are_files() {
    for (start, end) in [(0, 0), (5, 5), (0, 1), (7, 8), (0, 30_000)] {
        let file = build(info(start, end), &[]);
        let path = tools::file("nothing.opus", &file);
        assert_eq!(tools::opusinfo(&path).problems, Vec::<String>::new(), "{start} to {end}");
        assert_eq!(tools::opusdec(&path).len() as u64, (end - start) * 960, "{start} to {end}");
        // An empty output is a complaint of ffmpeg's.
        assert!(start == end || tools::ffmpeg(&path).len() as u64 == (end - start) * 960, "{start} to {end}");
        assert!(file.len() < 95_000, "{} bytes of ten minutes of silence", file.len());
    }
}

#[test]
fn silence_is_what_decoders_take_for_it() {
    for ticks in 1..=3u8 {
        let packet = silence(ticks).unwrap();
        assert_eq!(packet_samples(&packet), Some(960 * u32::from(ticks)));
        let packets: Vec<_> = (0..10).map(|at| (at * u64::from(ticks), ticks, packet.clone())).collect();
        let [samples, _] = decode("silence.opus", &build(info(0, 10 * u64::from(ticks)), &packets));
        assert!(samples.iter().all(|sample| *sample == 0));
    }
    assert_eq!((silence(0), silence(4)), (None, None));
}

#[test]
fn what_cannot_be_is_refused() {
    let new = |info| WholeWriter::new(info).map(drop);
    assert_eq!(new(info(2, 1)), Err(WholeError::Groups(2, 1)));
    assert_eq!(new(info(0, WholeWriter::MOST_GROUPS + 1)), Err(WholeError::Groups(0, WholeWriter::MOST_GROUPS + 1)));
    for gain_db in [128.0, -128.1, f64::NAN, f64::INFINITY] {
        assert_eq!(new(WholeInfo { gain_db, ..info(0, 1) }), Err(WholeError::Gain));
    }
    assert_eq!(new(WholeInfo { pre_skip: 1_300, ..info(0, 1) }), Err(WholeError::PreSkip(1_300)));
    let mut writer = WholeWriter::new(info(10, 20)).unwrap();
    writer.packet(12, 3, &silence(3).unwrap()).unwrap();
    assert_eq!(writer.packet(14, 1, &silence(1).unwrap()), Err(WholeError::Order { group: 14, next: 15 }));
    // What is no packet of that length is silence; what lies outside is left out.
    for (group, ticks, opus) in
        [(15, 1, &[0xf1, 1][..]), (15, 2, &[0x78]), (15, 0, &[0x78]), (3, 1, &[0x78]), (20, 1, &[0x78])]
    {
        writer.packet(group, ticks, opus).unwrap();
    }
    let path = tools::file("refused.opus", &{
        let mut file = writer.take();
        file.extend(writer.finish());
        file
    });
    assert!(tools::ffmpeg(&path).iter().all(|sample| *sample == 0));
}
