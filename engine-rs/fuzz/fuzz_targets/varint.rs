//! Integers of payloads: what is read is written again, in its shortest form.
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use spaces_core::varint;

fuzz_target!(|data: &[u8]| {
    let mut input = data;
    while let Some(value) = varint::read(&mut input) {
        let mut out = BytesMut::new();
        varint::write(&mut out, value);
        assert_eq!(out.len(), varint::size(value));
        assert_eq!(varint::read(&mut &out[..]), Some(value));
    }
    assert!(input.len() < 8, "only a cut integer is left");
});
