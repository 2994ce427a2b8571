//! The lean path of one connection: any packets and any frames from the peer, in between what both senders send.
#![no_main]

use libfuzzer_sys::fuzz_target;
use spaces_fuzz::input::Input;
use spaces_net::fuzzing::Lane;

fuzz_target!(|data: &[u8]| {
    let mut input = Input(data);
    let mut lane = Lane::default();
    while let Some(operation) = input.byte() {
        match operation & 7 {
            0 | 1 => drop(lane.seal(&[operation; 40])),
            2 => lane.quinn(),
            3 => lane.wait(u64::from(operation) << 8),
            4 => {
                let Some(bytes) = input.bytes() else { return };
                lane.rewrite(bytes);
            }
            5 => {
                let Some(bytes) = input.bytes() else { return };
                lane.open(bytes);
            }
            // A packet whose header and tag are sound.
            _ => {
                let Some(bytes) = input.bytes() else { return };
                lane.open(&[&[0x41][..], b"our cid.", &[0, operation], bytes, &[0; 16]].concat());
            }
        }
    }
});
