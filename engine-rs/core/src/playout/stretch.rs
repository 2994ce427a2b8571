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
