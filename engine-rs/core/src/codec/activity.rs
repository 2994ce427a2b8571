//! How loud a frame is, and whether somebody speaks in it.

use crate::uplink::Level;

/// Over the noise floor by this much is voice, in dB.
const OVER_FLOOR: u8 = 9;
/// Quieter than this is never voice, in −dBov.
const QUIETEST_VOICE: u8 = 55;
/// A digitally silent microphone does not take the floor below this, in −dBov: the next breath is not voice.
const QUIETEST_FLOOR: u8 = 75;
/// Frames of 20 ms for which voice outlasts itself: unvoiced endings and short pauses.
const HANG_OVER: u8 = 10;
/// Frames after which the noise floor may rise by 1 dB: 5 dB a second.
const FLOOR_RISE: u8 = 10;

/// Level in −dBov (RFC 6464 §3): 0 is the RMS of a full-scale square wave, 127 silence.
#[must_use]
pub fn level(pcm: &[i16]) -> u8 {
    let power: u64 = pcm.iter().map(|&sample| u64::from(sample.unsigned_abs()).pow(2)).sum();
    if power == 0 {
        return Level::SILENCE.0;
    }
    let mean = power as f64 / pcm.len().max(1) as f64 / (32_768.0 * 32_768.0);
    (-10.0 * mean.log10()).round().clamp(0.0, 127.0) as u8
}

/// Voice activity by energy over an adaptive noise floor.
#[derive(Clone, Copy, Debug)]
pub struct Activity {
    /// −dBov.
    floor: u8,
    since_rise: u8,
    hang_over: u8,
}

impl Default for Activity {
    fn default() -> Self {
        Self { floor: 70, since_rise: 0, hang_over: 0 }
    }
}

impl Activity {
    /// Level and voice bit of the next 20 ms.
    pub fn measure(&mut self, pcm: &[i16]) -> Level {
        let level = level(pcm);
        if level >= self.floor {
            self.floor = level.min(QUIETEST_FLOOR);
            self.since_rise = 0;
        } else {
            self.since_rise += 1;
            if self.since_rise >= FLOOR_RISE {
                self.floor -= 1;
                self.since_rise = 0;
            }
        }
        if level < QUIETEST_VOICE && level.saturating_add(OVER_FLOOR) < self.floor {
            self.hang_over = HANG_OVER;
        } else {
            self.hang_over = self.hang_over.saturating_sub(1);
        }
        Level(level | if self.hang_over > 0 { 0x80 } else { 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn square(amplitude: i16) -> [i16; 960] {
        core::array::from_fn(|i| if i % 96 < 48 { amplitude } else { -amplitude })
    }

    #[test]
    fn levels_are_those_of_rfc6464() {
        assert_eq!(level(&square(32_767)), 0);
        assert_eq!(level(&[i16::MIN; 960]), 0);
        assert_eq!(level(&square(3_277)), 20);
        assert_eq!(level(&square(33)), 60);
        assert_eq!(level(&[0; 960]), 127);
        assert_eq!(level(&[]), 127);
    }

    #[test]
    fn voice_stands_out_of_noise_and_hangs_over() {
        let mut activity = Activity::default();
        for _ in 0..200 {
            assert!(!activity.measure(&square(20)).voice());
        }
        assert!(activity.measure(&square(2_000)).voice());
        let after: Vec<bool> = (0..20).map(|_| activity.measure(&square(20)).voice()).collect();
        assert_eq!(after.iter().filter(|voice| **voice).count(), usize::from(HANG_OVER) - 1);
        assert!(after.first() == Some(&true) && after.last() == Some(&false));
    }

    #[test]
    fn a_steady_noise_stops_being_voice() {
        let mut activity = Activity::default();
        let voices = (0..500).filter(|_| activity.measure(&square(150)).voice()).count();
        assert!(voices < 450, "{voices}");
        assert!(!activity.measure(&square(150)).voice());
    }
}
