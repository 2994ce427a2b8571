//! How often one address may begin connections.
//!
//! An address that has not been proved may be somebody else's: what it spends is counted apart from what the proved one
//! spends, so that a flood under a stranger's name only makes the stranger prove itself (Retry, RFC 9000 §8.1.2).

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Addresses remembered; past it those who came long ago are forgotten.
const MOST: usize = 65_536;
/// Attempts that may come at once, as so many seconds' worth.
const BURST_SECONDS: u32 = 2;

/// What to do with an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Welcome {
    /// Let it in.
    Yes,
    /// Have it prove its address first.
    Prove,
    /// Too many.
    No,
}

/// A token bucket in millionths of an attempt.
#[derive(Clone, Copy)]
struct Bucket {
    parts: u64,
    at: Instant,
}

/// See the module.
pub(crate) struct Visitors {
    /// Attempts a second; 0: as many as they like.
    per_second: u32,
    buckets: HashMap<(u64, bool), Bucket>,
}

impl Visitors {
    pub(crate) fn new(per_second: u32) -> Self {
        Self { per_second, buckets: HashMap::new() }
    }

    /// So many a second from now on.
    pub(crate) fn set_rate(&mut self, per_second: u32) {
        self.per_second = per_second;
    }

    /// An attempt of `address`, which is `proved` or only says so.
    pub(crate) fn attempt(&mut self, now: Instant, address: IpAddr, proved: bool, may_prove: bool) -> Welcome {
        if self.per_second == 0 || self.take(now, (key(address), proved)) {
            return Welcome::Yes;
        }
        if !proved && may_prove { Welcome::Prove } else { Welcome::No }
    }

    fn take(&mut self, now: Instant, key: (u64, bool)) -> bool {
        let full = u64::from(self.per_second) * u64::from(BURST_SECONDS) * 1_000_000;
        if self.buckets.len() >= MOST && !self.buckets.contains_key(&key) {
            let idle = Duration::from_secs(BURST_SECONDS.into());
            self.buckets.retain(|_, bucket| now.saturating_duration_since(bucket.at) < idle);
            if self.buckets.len() >= MOST {
                return false; // so many addresses at once are a flood
            }
        }
        let bucket = self.buckets.entry(key).or_insert(Bucket { parts: full, at: now });
        let micros = now.saturating_duration_since(bucket.at).as_micros().min(u128::from(u32::MAX)) as u64;
        bucket.parts = (bucket.parts + micros * u64::from(self.per_second)).min(full);
        bucket.at = now;
        let taken = bucket.parts >= 1_000_000;
        bucket.parts -= if taken { 1_000_000 } else { 0 };
        taken
    }
}

/// An IPv4 address, or the /64 of an IPv6 one, which is what one subscriber has.
fn key(address: IpAddr) -> u64 {
    match address.to_canonical() {
        IpAddr::V4(address) => u64::from(address.to_bits()),
        IpAddr::V6(address) => (address.to_bits() >> 64) as u64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tries(visitors: &mut Visitors, now: Instant, address: &str, proved: bool) -> [usize; 3] {
        let mut outcomes = [0; 3];
        for _ in 0..100 {
            outcomes[visitors.attempt(now, address.parse().unwrap(), proved, true) as usize] += 1;
        }
        outcomes
    }

    #[test]
    fn each_address_has_its_rate_and_a_flood_under_its_name_costs_it_a_proof_only() {
        let (mut visitors, start) = (Visitors::new(10), Instant::now());
        assert_eq!(tries(&mut visitors, start, "192.0.2.1", false), [20, 80, 0]);
        assert_eq!(tries(&mut visitors, start, "192.0.2.1", true), [20, 0, 80]);
        assert_eq!(tries(&mut visitors, start, "192.0.2.2", true), [20, 0, 80], "another one");
        assert_eq!(tries(&mut visitors, start, "::ffff:192.0.2.2", true), [0, 0, 100], "the same one");
        assert_eq!(tries(&mut visitors, start, "2001:db8::1", true), [20, 0, 80]);
        assert_eq!(tries(&mut visitors, start, "2001:db8::2:1", true), [0, 0, 100], "of the same network");
        assert_eq!(tries(&mut visitors, start, "2001:db8:0:1::1", true), [20, 0, 80]);
        let later = start + Duration::from_secs(1);
        assert_eq!(tries(&mut visitors, later, "192.0.2.1", true), [10, 0, 90]);
        assert_eq!(tries(&mut Visitors::new(0), start, "192.0.2.1", true), [100, 0, 0], "no limit");
    }

    #[test]
    fn memory_is_bounded_and_old_visitors_make_room() {
        let (mut visitors, start) = (Visitors::new(1), Instant::now());
        for n in 0..MOST as u32 + 10 {
            let welcome = visitors.attempt(start, IpAddr::V4(n.into()), true, false);
            assert_eq!(welcome == Welcome::Yes, (n as usize) < MOST);
        }
        let later = start + Duration::from_secs(3);
        assert_eq!(visitors.attempt(later, IpAddr::V4(u32::MAX.into()), true, false), Welcome::Yes);
        assert!(visitors.buckets.len() < 10);
    }
}
