//! The clock that speakers stamp frames with and listeners read.

use rustix::time::{ClockId, clock_gettime};

/// Microseconds of CLOCK_MONOTONIC, which all processes of a machine share; with `SPACES_BENCH_CLOCK=realtime` of
/// CLOCK_REALTIME, for speakers and listeners on several hosts whose clocks are disciplined (PTP, chrony).
#[must_use]
pub fn now_us() -> u64 {
    let now = clock_gettime(if shared_between_hosts() { ClockId::Realtime } else { ClockId::Monotonic });
    (now.tv_sec as u64).saturating_mul(1_000_000).saturating_add(now.tv_nsec as u64 / 1_000)
}

fn shared_between_hosts() -> bool {
    static CHOSEN: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
    *CHOSEN.get_or_init(|| std::env::var_os("SPACES_BENCH_CLOCK").is_some_and(|value| value == "realtime"))
}
