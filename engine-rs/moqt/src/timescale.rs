//! Media time on the wire, in 48 kHz samples inside.

/// Units a second that we announce and count in.
pub(crate) const SAMPLES: u64 = 48_000;

/// Microseconds: what a timestamp without a timescale counts (draft-ietf-moq-loc).
pub(crate) const MICROSECONDS: u64 = 1_000_000;

/// Samples in a group whose objects carry no timestamps: one tick of 20 ms.
const SAMPLES_A_GROUP: u64 = 960;

/// `timestamp` in units of `timescale` a second, as samples. `None` for timescale 0, which has no timeline.
pub(crate) fn to_samples(timestamp: u64, timescale: u64) -> Option<u64> {
    match timescale {
        0 => None,
        SAMPLES => Some(timestamp),
        scale => {
            let samples = u128::from(timestamp) * u128::from(SAMPLES) / u128::from(scale);
            Some(u64::try_from(samples).unwrap_or(u64::MAX))
        }
    }
}

/// The time of an object that says none.
pub(crate) const fn of_group(group: u64) -> u64 {
    group.saturating_mul(SAMPLES_A_GROUP)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_timescales_become_samples() {
        assert_eq!(to_samples(960, 48_000), Some(960));
        assert_eq!(to_samples(20_000, 1_000_000), Some(960));
        assert_eq!(to_samples(20, 1_000), Some(960));
        assert_eq!(to_samples(u64::MAX, 1), Some(u64::MAX));
        assert_eq!(to_samples(1, 0), None);
        assert_eq!(of_group(3), 2_880);
    }
}
