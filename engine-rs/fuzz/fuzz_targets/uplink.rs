//! A speaker's object: refused, or encoded as it came.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use spaces_core::uplink::{UplinkFrame, packet_samples};

fuzz_target!(|data: &[u8]| {
    if let Ok(frame) = UplinkFrame::decode(7, Bytes::copy_from_slice(data)) {
        assert_eq!(frame.encode(), data);
        assert_eq!(packet_samples(&frame.opus), Some(960));
    }
});
