//! A listener of the mix: any packets at any time. It neither panics nor forgets that its sound has an end.
#![no_main]

use libfuzzer_sys::fuzz_target;
use spaces_core::mix_receiver::MixReceiver;
use spaces_core::playout::PlayoutConfig;
use spaces_core::time::Time;
use spaces_fuzz::input::Input;
use spaces_fuzz::sound::{Steady, packet};

fuzz_target!(|data: &[u8]| {
    let mut receiver = MixReceiver::new(PlayoutConfig::default(), Steady);
    let mut input = Input(data);
    let mut now = Time::from_millis(1_000_000);
    let mut out = [0i16; 960];
    while let (Some(how), Some(what)) = (input.byte(), input.byte()) {
        now = Time(now.0 + u64::from(how & 0x3f) * 1_000);
        let group = if how & 0x40 == 0 { now.0 / 20_000 + u64::from(what >> 4) } else { input.number().unwrap_or(0) };
        receiver.push(now, packet(group, how, what));
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
