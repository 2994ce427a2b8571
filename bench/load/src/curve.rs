//! When who joins.

use serde::Deserialize;

/// How listeners arrive. Times are what was intended; a load that dials late is seen in the join times.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Curve {
    /// So many a second, evenly.
    Linear {
        /// Joins a second.
        per_second: f64,
    },
    /// Crowds of `size` at once, every so often: a link that is shared and shared again.
    Steps {
        /// Listeners at once.
        size: u32,
        /// Seconds between them.
        every_s: f64,
    },
    /// Like a room that becomes known: slow, then fast, then slow again (logistic), the middle 98 % within `seconds`.
    Logistic {
        /// Seconds from the first hundredth to the last.
        seconds: f64,
    },
}

impl Curve {
    /// Microseconds from the start until listener `index` of `count` joins.
    #[must_use]
    pub fn due_us(&self, index: u32, count: u32) -> u64 {
        let seconds = match *self {
            Self::Linear { per_second } => f64::from(index) / per_second.max(1e-3),
            Self::Steps { size, every_s } => f64::from(index / size.max(1)) * every_s,
            Self::Logistic { seconds } => {
                let share = (f64::from(index) + 0.5) / f64::from(count.max(1));
                // ln(p / (1 − p)) is ∓4.595 at 1 % and 99 %.
                let at = |share: f64| (share / (1.0 - share)).ln() / (2.0 * 4.595) * seconds;
                at(share) - at(0.5 / f64::from(count.max(1)))
            }
        };
        (seconds.max(0.0) * 1e6) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_storm_is_even_to_the_microsecond() {
        let storm = Curve::Linear { per_second: 1_000.0 };
        assert_eq!((storm.due_us(0, 10_000), storm.due_us(9_999, 10_000)), (0, 9_999_000));
    }

    #[test]
    fn steps_come_together() {
        let steps = Curve::Steps { size: 100, every_s: 2.0 };
        assert_eq!(steps.due_us(99, 300), 0);
        assert_eq!(steps.due_us(100, 300), 2_000_000);
        assert_eq!(steps.due_us(299, 300), 4_000_000);
    }

    #[test]
    fn a_logistic_curve_rises_throughout_and_is_fastest_in_the_middle() {
        let curve = Curve::Logistic { seconds: 10.0 };
        let due: Vec<u64> = (0..1_000).map(|index| curve.due_us(index, 1_000)).collect();
        assert!(due.windows(2).all(|pair| pair[0] <= pair[1]));
        assert_eq!(due[0], 0);
        let (hundredth, last_hundredth) = (due[10], due[989]);
        assert!((9_500_000..10_500_000).contains(&(last_hundredth - hundredth)));
        assert!(due[550] - due[450] < due[150] - due[50]);
    }
}
