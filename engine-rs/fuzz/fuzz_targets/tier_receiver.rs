//! A listener of both tracks: any bundles and packets at any time, any changes of mind. It neither panics nor forgets that its
//! sound has an end.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use spaces_core::engine::Tier;
use spaces_core::playout::PlayoutConfig;
use spaces_core::tier_receiver::TierReceiver;
use spaces_core::time::Time;
use spaces_fuzz::input::Input;
use spaces_fuzz::sound::{Steady, packet};

fuzz_target!(|data: &[u8]| {
    let mut receiver = TierReceiver::new(PlayoutConfig::default(), Tier::Stage, || Some(Steady), Some(Steady));
    let mut input = Input(data);
    let mut now = Time::from_millis(1_000_000);
    let mut out = [0i16; 960];
    while let (Some(how), Some(what)) = (input.byte(), input.byte()) {
        now = Time(now.0 + u64::from(how & 0x1f) * 1_000);
        let group = if how & 0x40 == 0 { now.0 / 20_000 + u64::from(what >> 4) } else { input.number().unwrap_or(0) };
        match (how >> 5 & 1, what & 0x0f) {
            (0, 0x0f) => receiver.want(if what & 0x80 == 0 { Tier::Stage } else { Tier::Mix }),
            (0, seat) => {
                let bytes = [seat | how & 0x10, what, 4, 0xf8, 1, 2, 3];
                receiver.push_stage(now, group, &Bytes::copy_from_slice(&bytes));
            }
            _ => {
                receiver.push_mix(now, packet(group, how, what));
            }
        }
        if how & 0x80 != 0 {
            receiver.pull(now, &mut out);
        }
    }
    for _ in 0..600 {
        now = Time(now.0 + 20_000);
        receiver.pull(now, &mut out);
    }
    assert!(out.iter().all(|sample| *sample == 0), "it goes on for ever");
    assert_eq!(receiver.stats().pulled_samples % 960, 0);
});
