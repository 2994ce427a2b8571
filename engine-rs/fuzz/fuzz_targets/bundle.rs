//! A stage bundle: every entry read is written again as it stood there.
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use spaces_core::bundle;

fuzz_target!(|data: &[u8]| {
    let read: Result<Vec<_>, _> = bundle::entries(data).collect();
    let Ok(entries) = read else { return };
    let mut again = BytesMut::new();
    for entry in &entries {
        entry.write(&mut again);
    }
    let shortest = again.len() == data.len();
    assert!(!shortest || again == data);
    let parts = bundle::encode(entries.iter().copied());
    assert!(parts.iter().all(|part| part.len() <= bundle::MAX_PAYLOAD));
    let split: Vec<_> = parts.iter().flat_map(|part| bundle::entries(part)).collect::<Result<_, _>>().unwrap();
    assert_eq!(split, entries);
});
