//! A packet of the mix: what is read is written again as it stood there.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use spaces_core::bundle::MAX_PAYLOAD;
use spaces_core::mix_bundle;

fuzz_target!(|data: &[u8]| {
    let payload = Bytes::copy_from_slice(data);
    let Ok(packet) = mix_bundle::parse(u64::MAX, &payload) else { return };
    assert!((1..=3).contains(&packet.ticks) && !packet.opus.is_empty());
    let again = mix_bundle::encode(&packet);
    assert!(again == payload && again.len() <= MAX_PAYLOAD);
});
