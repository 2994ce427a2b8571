//! Time-stretch of one tick: a pitch period less, or one more, by overlap and add where the signal repeats itself
//! (the idea of WSOLA). In integers, so that it sounds the same everywhere.
//!
//! With L the period and W the overlap: shorter is `fade(x[0..W] → x[L..L+W])` and then `x[L+W..]`; longer is `x[0..L]`,
//! then `fade(x[L..L+W] → x[0..W])`, then `x[W..]`. Either way the first and the last sample are those of the tick, so that
//! it fits to its neighbours as before.

use super::{FRAME, Frame};

/// Shortest and longest period, in samples: 400 Hz and 67 Hz.
const SHORTEST: usize = 120;
const LONGEST: usize = 720;
/// Samples compared.
const COMPARED: usize = 240;
/// The search runs at 8 kHz first.
const COARSE: usize = 6;
/// Mean square of a tick below which any period will do: −54 dBov.
const QUIET: i64 = 66 * 66;

/// How much the signal must repeat itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// Correlation 0.9: only where nobody hears it.
    Relaxed,
    /// 0.6: the delay is far off.
    Urgent,
}

/// What to do to the tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Shorter,
    Longer,
}

/// Appends `frame` to `out`, a period shorter or longer. `None`, and nothing appended, where the signal does not allow it;
/// else the period in samples.
pub(crate) fn stretch(frame: &Frame, change: Change, need: Need, out: &mut impl Extend<i16>) -> Option<usize> {
    let period = period(frame, need)?;
    let overlap = period.min(FRAME - period);
    let (head, tail) = (frame.get(..period)?, frame.get(period..)?);
    match change {
        Change::Shorter => {
            out.extend(cross_fade(frame, tail, overlap));
            out.extend(tail.iter().skip(overlap).copied());
        }
        Change::Longer => {
            out.extend(head.iter().copied());
            out.extend(cross_fade(tail, frame, overlap));
            out.extend(frame.iter().skip(overlap).copied());
        }
    }
    Some(period)
}

fn cross_fade(from: &[i16], to: &[i16], overlap: usize) -> impl Iterator<Item = i16> {
    let length = overlap.max(1) as i64;
    (0i64..)
        .zip(from.iter().zip(to))
        .take(overlap)
        .map(move |(at, (&from, &to))| ((i64::from(from) * (length - at) + i64::from(to) * at) / length) as i16)
}

/// The period with which the tick's beginning repeats itself best, if well enough.
fn period(frame: &Frame, need: Need) -> Option<usize> {
    let coarse: Vec<i64> = frame.chunks_exact(COARSE).map(|chunk| chunk.iter().map(|&s| i64::from(s)).sum()).collect();
    let fine: Vec<i64> = frame.iter().map(|&sample| i64::from(sample)).collect();
    let quiet = energy(&fine) < QUIET * FRAME as i64;
    let (best, _) = search(&coarse, COMPARED / COARSE, SHORTEST / COARSE..=LONGEST / COARSE)?;
    let around = (best * COARSE).saturating_sub(COARSE).max(SHORTEST)..=(best * COARSE + COARSE).min(LONGEST);
    let (best, likeness) = search(&fine, COMPARED, around)?;
    let wanted = match need {
        _ if quiet => return Some(best),
        Need::Relaxed => 9_000,
        Need::Urgent => 6_000,
    };
    (likeness >= wanted).then_some(best)
}

/// The lag with the highest normalized correlation, and that in 1/10,000.
fn search(signal: &[i64], length: usize, lags: core::ops::RangeInclusive<usize>) -> Option<(usize, i64)> {
    let head = signal.get(..length)?;
    let own = energy(head);
    lags.filter_map(|lag| {
        let other = signal.get(lag..)?.get(..length)?;
        let product: i64 = head.iter().zip(other).map(|(a, b)| a * b).sum();
        let norm = (own as u128 * energy(other) as u128).isqrt() as i64;
        Some((lag, if norm == 0 { 0 } else { product * 10_000 / norm }))
    })
    // The first of equals: the shortest period.
    .reduce(|best, next| if next.1 > best.1 { next } else { best })
}

fn energy(signal: &[i64]) -> i64 {
    signal.iter().map(|sample| sample * sample).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wave(f: impl Fn(usize) -> f64) -> Frame {
        core::array::from_fn(|at| f(at) as i16)
    }

    fn voiced(hertz: f64) -> Frame {
        let tone = |at: usize, n: f64| (at as f64 * n * hertz * core::f64::consts::TAU / 48_000.0).sin();
        wave(|at| 4_000.0 * tone(at, 1.0) + 2_000.0 * tone(at, 2.0) + 1_500.0 * tone(at, 5.0))
    }

    fn steepest(pcm: &[i16]) -> u16 {
        pcm.windows(2).map(|pair| pair[0].abs_diff(pair[1])).max().unwrap()
    }

    #[test]
    fn a_whole_period_goes_or_comes_and_the_ends_stay() {
        for hertz in [80.0, 100.0, 131.0, 220.0, 350.0] {
            let frame = voiced(hertz);
            let whole = 48_000.0 / hertz;
            for change in [Change::Shorter, Change::Longer] {
                let mut out = Vec::new();
                let period = stretch(&frame, change, Need::Relaxed, &mut out).unwrap();
                // Any multiple of the period will do.
                let turns = (period as f64 / whole).round().max(1.0);
                assert!((period as f64 - turns * whole).abs() < 4.0, "{hertz} Hz: {period}");
                let expected = if change == Change::Shorter { FRAME - period } else { FRAME + period };
                assert_eq!(out.len(), expected);
                assert_eq!(out[0], frame[0]);
                assert!(out[out.len() - 1].abs_diff(frame[FRAME - 1]) <= 2);
                assert!(steepest(&out) <= steepest(&frame) + 200, "{hertz} Hz: {}", steepest(&out));
            }
        }
    }

    #[test]
    fn what_does_not_repeat_itself_is_left_alone() {
        let mut state = 1u32;
        let noise: Frame = core::array::from_fn(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 18) as i16 - 8_192
        });
        let mut out = Vec::new();
        assert_eq!(stretch(&noise, Change::Shorter, Need::Urgent, &mut out), None);
        let click = wave(|at| if at == 100 { 30_000.0 } else { 0.0 });
        assert_eq!(stretch(&click, Change::Longer, Need::Relaxed, &mut out), None);
        assert!(out.is_empty());
    }

    #[test]
    fn silence_and_faint_noise_stretch_freely_and_full_scale_does_not_overflow() {
        let mut out = Vec::new();
        assert!(stretch(&[0; FRAME], Change::Shorter, Need::Relaxed, &mut out).is_some());
        assert!(stretch(&wave(|at| (at * 7 % 13) as f64), Change::Longer, Need::Relaxed, &mut out).is_some());
        assert!(stretch(&[i16::MIN; FRAME], Change::Longer, Need::Relaxed, &mut out).is_some());
        let square = wave(|at| if at % 240 < 120 { 32_767.0 } else { -32_768.0 });
        assert!(stretch(&square, Change::Shorter, Need::Relaxed, &mut out).is_some());
    }
}
