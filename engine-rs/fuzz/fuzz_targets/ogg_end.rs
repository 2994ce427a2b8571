//! The end of a track's file, of any bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use spaces_core::ogg::track_end;

fuzz_target!(|data: &[u8]| {
    if let Some(end) = track_end(data, data) {
        assert!(end.groups <= u64::MAX / 960);
        assert!(data.windows(4).any(|window| window == b"OggS"));
    }
});
