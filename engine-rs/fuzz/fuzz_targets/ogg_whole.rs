//! A whole file of any packets in any order, between any groups: every page is whole, and the file is as long as it should be.
#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use ogg::PacketReader;
use spaces_core::ogg::{LOOKAHEAD, WholeError, WholeInfo, WholeWriter};
use spaces_core::uplink::packet_samples;

fuzz_target!(|data: &[u8]| {
    let &[start, length, conceal, flags, ref rest @ ..] = data else { return };
    let (start_group, groups) = (u64::from(start), u64::from(length));
    let info = WholeInfo {
        start_group,
        end_group: start_group + groups,
        gain_db: 0.0,
        pre_skip: LOOKAHEAD,
        conceal: u64::from(conceal % 8),
        channels: 1 + (flags & 1),
        comments: vec![],
        serial: 0x5eed,
    };
    let (mut writer, mut rest, mut group, mut file) = (WholeWriter::new(info).unwrap(), rest, start_group, Vec::new());
    group = group.saturating_sub(4);
    while let [step, length, tail @ ..] = rest {
        let (packet, tail) = tail.split_at(tail.len().min(usize::from(*length)));
        group = group.saturating_add(u64::from(step >> 3)).saturating_sub(u64::from(step & 1));
        let done = writer.packet(group, step >> 1 & 3, packet);
        assert!(matches!(done, Ok(()) | Err(WholeError::Order { .. })), "{done:?}");
        if flags & 2 != 0 {
            file.extend(writer.take());
        }
        rest = tail;
    }
    file.extend(writer.take());
    file.extend(writer.finish());
    let (mut reader, mut samples, mut granule, mut skip, mut ended) =
        (PacketReader::new(Cursor::new(&file)), 0, 0, 0, false);
    for number in 0.. {
        let Some(packet) = reader.read_packet().unwrap() else { break };
        assert!(!ended, "nothing follows the end");
        match number {
            0 => skip = u64::from(u16::from_le_bytes([packet.data[10], packet.data[11]])),
            1 => {}
            _ => samples += u64::from(packet_samples(&packet.data).unwrap()),
        }
        if packet.last_in_page() {
            assert!(packet.absgp_page() >= granule);
            granule = packet.absgp_page();
            ended = packet.last_in_stream();
            assert!(granule == samples || ended && granule <= samples && samples < granule + 6 * 960);
        }
    }
    assert!(ended);
    assert_eq!(granule - skip, groups * 960);
});
