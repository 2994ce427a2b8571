//! A listener's jitter buffer: any bundles at any groups and times. It never panics, always fills what is pulled, and
//! holds little.
#![no_main]

use std::time::Duration;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use spaces_core::playout::{DecodeError, Decoder, FRAME, Frame, PlayoutConfig};
use spaces_core::receiver::Receiver;
use spaces_core::time::Time;
use spaces_fuzz::input::Input;

/// Decodes by the packet's bytes: some fail, the others are loud or quiet.
struct Fake;

impl Decoder for Fake {
    fn decode(&mut self, opus: &[u8], pcm: &mut Frame) -> Result<(), DecodeError> {
        let last = opus.last().copied().unwrap_or_default();
        pcm.fill(i16::from(last) * 128);
        if last == 13 { Err(DecodeError) } else { Ok(()) }
    }
    fn decode_fec(&mut self, next: &[u8], pcm: &mut Frame) -> Result<(), DecodeError> {
        self.decode(next, pcm)
    }
    fn conceal(&mut self, pcm: &mut Frame) -> Result<(), DecodeError> {
        pcm.fill(7);
        Ok(())
    }
}

fuzz_target!(|data: &[u8]| {
    let mut input = Input(data);
    let Some(first) = input.byte() else { return };
    let config = PlayoutConfig {
        min_ms: u16::from(first & 7) * 20,
        max_ms: u16::from(first) * 4,
        start_ms: u16::from(first >> 4) * 20,
    };
    let mut receiver = Receiver::new(config, || Some(Fake));
    let (mut now, mut group, mut pulled) = (Time::from_millis(5_000), 1_000u64, 0);
    let mut out = [0; 2 * FRAME];
    while let Some(operation) = input.byte() {
        match operation & 7 {
            0..=2 => {
                let samples = [FRAME, FRAME / 2, 128, 2 * FRAME][usize::from(operation >> 3 & 3)];
                receiver.pull(now, &mut out[..samples]);
                pulled += samples as u64;
                now = now + Duration::from_micros(samples as u64 * 1_000_000 / 48_000);
            }
            3 => now = now + Duration::from_millis(u64::from(operation)),
            4 => {
                let Some(step) = input.number() else { break };
                group = if operation & 8 == 0 { group.wrapping_add(step) } else { group.wrapping_sub(step) };
                if operation & 0xf0 == 0xf0 {
                    group = u64::MAX - step;
                }
            }
            _ => {
                // Some whole bundles, so that the fuzzer need not find the layout.
                let Some(bytes) = input.bytes() else { break };
                let payload = if operation & 8 == 0 {
                    Bytes::copy_from_slice(bytes)
                } else {
                    let mut whole = vec![operation >> 4 & 0x0f | (bytes.len() as u8) << 4 & 0x70, 0x80, 2, 0x78];
                    whole.push(bytes.first().copied().unwrap_or(1));
                    whole.into()
                };
                receiver.push(now, group, &payload);
                group = group.wrapping_add(1);
            }
        }
    }
    let stats = receiver.stats();
    assert_eq!(stats.pulled_samples, pulled);
    assert!(stats.target_ms <= 500 + 20, "{stats:?}");
    assert!(receiver.speaking().count() <= 13);
});
