//! The clock that speakers stamp frames with and listeners read.

use std::sync::atomic::{AtomicBool, Ordering};

use rustix::time::{ClockId, clock_gettime};

static BETWEEN_HOSTS: AtomicBool = AtomicBool::new(false);

/// From now on times are of CLOCK_REALTIME, for speakers and listeners on several hosts whose clocks are disciplined (PTP,
/// chrony). To be called before anything else.
pub fn share_between_hosts() {
    BETWEEN_HOSTS.store(true, Ordering::Relaxed);
}

/// Microseconds of CLOCK_MONOTONIC, which all processes of a machine share; see [`share_between_hosts`].
#[must_use]
pub fn now_us() -> u64 {
    let now = clock_gettime(if BETWEEN_HOSTS.load(Ordering::Relaxed) { ClockId::Realtime } else { ClockId::Monotonic });
    (now.tv_sec as u64).saturating_mul(1_000_000).saturating_add(now.tv_nsec as u64 / 1_000)
}
