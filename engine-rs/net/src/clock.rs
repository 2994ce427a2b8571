//! The engine's time from the system's clocks: one origin for all shards and the recorder.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use spaces_core::time::Time;

/// A monotonic clock whose zero is known in wall-clock time.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: Instant,
    unix_origin_us: u64,
}

impl Clock {
    /// Begins now.
    #[must_use]
    pub fn start() -> Self {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { origin: Instant::now(), unix_origin_us: u64::try_from(unix.as_micros()).unwrap_or_default() }
    }

    /// Wall-clock microseconds since 1970 at [`Time`] 0.
    #[must_use]
    pub fn unix_origin_us(&self) -> u64 {
        self.unix_origin_us
    }

    /// As the engine counts.
    #[must_use]
    pub fn time(&self, at: Instant) -> Time {
        Time(u64::try_from(at.saturating_duration_since(self.origin).as_micros()).unwrap_or(u64::MAX))
    }

    /// As the system counts, rounded up: who waits until then finds the time come. `None`: never.
    #[must_use]
    pub fn instant(&self, at: Time) -> Option<Instant> {
        self.origin.checked_add(Duration::from_micros(at.0))
    }

    /// Now, as the engine counts.
    #[must_use]
    pub fn now(&self) -> Time {
        self.time(Instant::now())
    }
}

/// Seconds since 1970 by the wall clock, as tokens count.
pub(crate) fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
