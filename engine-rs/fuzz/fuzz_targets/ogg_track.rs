//! A track that is handed any packets at any groups: every page is whole, and the granule position is the group.
#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use ogg::PacketReader;
use spaces_core::ids::{SeatNo, SpaceId};
use spaces_core::ogg::{Source, TrackInfo, TrackWriter, track_end};
use spaces_core::uplink::packet_samples;

fuzz_target!(|data: &[u8]| {
    let start_group = 40;
    let mut track = TrackWriter::new(&TrackInfo {
        space: SpaceId(1),
        source: Source::Person { seat: SeatNo::new(0).unwrap(), account: 1 },
        part: 1,
        start_group,
        started_at_ms: 0,
        channels: 1,
        serial: data.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)),
    });
    let (mut file, mut rest, mut group) = (track.take(), data, start_group);
    while let [step, length, tail @ ..] = rest {
        let (packet, tail) = tail.split_at(tail.len().min(usize::from(*length)));
        group = group.saturating_add(u64::from(step >> 2)).saturating_sub(u64::from(step & 1));
        let next = track.next_group();
        if step & 2 == 0 {
            let done = track.frame(group, packet);
            assert!(done.is_err() || packet_samples(packet) == Some(960) && group >= next);
        } else {
            track.advance(group);
        }
        assert!(track.next_group() >= next);
        file.extend(track.take());
        rest = tail;
    }
    let last = track.next_group().max(group);
    track.finish(last);
    file.extend(track.take());
    assert_eq!(track_end(&file, &file).map(|end| (end.groups, end.finished)), Some((last + 1 - start_group, true)));
    let (mut reader, mut samples, mut granule) = (PacketReader::new(Cursor::new(&file)), 0, 0);
    for number in 0.. {
        let Some(packet) = reader.read_packet().unwrap() else { break };
        if number >= 2 {
            samples += u64::from(packet_samples(&packet.data).unwrap());
        }
        if packet.last_in_page() {
            granule = packet.absgp_page();
            assert!(granule == samples || packet.last_in_stream() && granule + 960 == samples);
        }
    }
    assert_eq!(granule, 960 * (last + 2 - start_group));
});
