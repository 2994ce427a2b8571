//! Soft limiter of the mix: quick to turn down, slow to turn up, never over full scale.

use crate::playout::{FRAME, Frame};

/// Peaks are held below this: −1 dBFS.
const CEILING: i32 = 29_205;
/// Unity gain.
const UNITY: i32 = 1 << 14;
/// Samples over which the gain falls, at the beginning of a tick: 2.5 ms.
const ATTACK: usize = 120;
/// Share of the missing gain that comes back in a tick: a time constant of 320 ms.
const RELEASE: i32 = 16;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limiter {
    gain: i32,
}

impl Default for Limiter {
    fn default() -> Self {
        Self { gain: UNITY }
    }
}

impl Limiter {
    /// Brings the sum of up to 13 seats into 16 bits.
    pub(crate) fn apply(&mut self, sum: &[i32; FRAME], out: &mut Frame) {
        let peak = sum.iter().map(|sample| sample.unsigned_abs()).max().unwrap_or(0).min(1 << 20) as i32;
        let wanted =
            if peak > CEILING { (i64::from(CEILING) * i64::from(UNITY) / i64::from(peak)) as i32 } else { UNITY };
        let from = self.gain;
        let (to, over) =
            if wanted < from { (wanted, ATTACK) } else { (from + (wanted - from + RELEASE - 1) / RELEASE, FRAME) };
        self.gain = to;
        for (at, (&sample, out)) in (0..).zip(sum.iter().zip(out.iter_mut())) {
            let gain = from + (to - from) * at.min(over as i32) / over as i32;
            *out = soft((i64::from(sample) * i64::from(gain) / i64::from(UNITY)) as i32);
        }
    }
}

/// Identity up to the ceiling, above it ever flatter up to full scale: what is left of a peak while the gain still falls.
fn soft(sample: i32) -> i16 {
    let size = i64::from(sample.unsigned_abs());
    let over = size - i64::from(CEILING);
    let room = i64::from(i16::MAX) - i64::from(CEILING);
    let size = if over <= 0 { size } else { i64::from(CEILING) + over * room / (over + room) };
    let size = size as i16;
    if sample < 0 { -size } else { size }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(amplitude: i32) -> [i32; FRAME] {
        core::array::from_fn(|i| (f64::from(amplitude) * (i as f64 * core::f64::consts::TAU / 96.0).sin()) as i32)
    }

    #[test]
    fn what_fits_passes_unchanged() {
        let mut out = [0; FRAME];
        Limiter::default().apply(&tone(CEILING), &mut out);
        assert!(tone(CEILING).iter().zip(&out).all(|(sum, out)| *sum == i32::from(*out)));
    }

    #[test]
    fn thirteen_full_scale_seats_stay_below_full_scale_and_recover() {
        let (mut limiter, mut out) = (Limiter::default(), [0; FRAME]);
        limiter.apply(&[13 * i32::from(i16::MIN); FRAME], &mut out);
        assert!(out.iter().all(|&sample| sample < -20_000 && sample > i16::MIN));
        limiter.apply(&tone(13 * 32_767), &mut out);
        assert!(i32::from(*out.iter().max().unwrap()) <= CEILING);
        for _ in 0..200 {
            limiter.apply(&tone(1_000), &mut out);
        }
        assert!(tone(1_000).iter().zip(&out).all(|(sum, out)| *sum == i32::from(*out)));
    }

    #[test]
    fn the_gain_moves_without_steps() {
        let (mut limiter, mut out) = (Limiter::default(), [0; FRAME]);
        let mut all = Vec::new();
        for amplitude in [10_000, 10_000, 60_000, 60_000, 10_000, 120_000, 10_000] {
            limiter.apply(&tone(amplitude), &mut out);
            all.extend(out);
        }
        // The steepest step of the unlimited 120,000 tone is 7,850; of a clean tone at the ceiling 1,911.
        let steepest = all.windows(2).map(|pair| pair[0].abs_diff(pair[1])).max().unwrap();
        assert!(steepest < 5_000, "{steepest}");
    }
}
