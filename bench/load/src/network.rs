//! A bad network between server and listeners, without the kernel's help and the same in every run: packets towards a
//! listener, and its own, are dropped by chance, and those towards it are held back.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use serde::Deserialize;

/// What the network does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Share of packets lost, in each direction.
    #[serde(default)]
    pub loss: f64,
    /// Packets towards a listener take up to so much longer, evenly distributed, in milliseconds. They may overtake.
    #[serde(default)]
    pub jitter_ms: f64,
}

/// A packet that is held back, ordered by when it is due, then by when it came.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Held {
    due_us: u64,
    number: u64,
    socket: usize,
    packet: Vec<u8>,
}

/// See the module.
pub struct Network {
    profile: Profile,
    chance: SmallRng,
    held: BinaryHeap<Reverse<Held>>,
    number: u64,
    /// Packets dropped so far.
    pub dropped: u64,
}

impl Network {
    /// The same `seed` makes the same decisions in the same order.
    #[must_use]
    pub fn new(profile: Profile, seed: u64) -> Self {
        Self { profile, chance: SmallRng::seed_from_u64(seed), held: BinaryHeap::new(), number: 0, dropped: 0 }
    }

    /// Whether it does anything at all.
    #[must_use]
    pub fn is_perfect(&self) -> bool {
        self.profile == Profile::default()
    }

    /// Decides whether a packet is lost.
    pub fn loses(&mut self) -> bool {
        let lost = self.profile.loss > 0.0 && self.chance.random::<f64>() < self.profile.loss;
        if lost {
            self.dropped += 1;
        }
        lost
    }

    /// Takes a packet towards a listener that was not lost.
    pub fn hold(&mut self, socket: usize, packet: &[u8], now_us: u64) {
        let delay_us = self.chance.random::<f64>() * self.profile.jitter_ms * 1_000.0;
        self.number += 1;
        let (due_us, number) = (now_us + delay_us as u64, self.number);
        self.held.push(Reverse(Held { due_us, number, socket, packet: packet.to_vec() }));
    }

    /// The next packet whose time has come, with its socket.
    pub fn release(&mut self, now_us: u64) -> Option<(usize, Vec<u8>)> {
        if self.held.peek().is_none_or(|Reverse(held)| held.due_us > now_us) {
            return None;
        }
        self.held.pop().map(|Reverse(held)| (held.socket, held.packet))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_loses_the_same_packets_and_about_as_many_as_asked() {
        let decide = |seed| {
            let mut network = Network::new(Profile { loss: 0.1, jitter_ms: 0.0 }, seed);
            (0..10_000).map(|_| network.loses()).collect::<Vec<_>>()
        };
        assert_eq!(decide(7), decide(7));
        assert_ne!(decide(7), decide(8));
        let lost = decide(7).into_iter().filter(|lost| *lost).count();
        assert!((900..1_100).contains(&lost), "{lost}");
    }

    #[test]
    fn what_is_held_comes_once_within_the_jitter() {
        let mut network = Network::new(Profile { loss: 0.0, jitter_ms: 40.0 }, 1);
        for packet in 0..100u8 {
            network.hold(3, &[packet], 1_000);
        }
        assert!(network.release(999).is_none());
        let mut seen: Vec<u8> = std::iter::from_fn(|| network.release(41_000)).map(|(_, packet)| packet[0]).collect();
        assert!(seen.windows(2).any(|pair| pair[0] > pair[1]), "nothing overtook");
        seen.sort_unstable();
        assert_eq!(seen, (0..100).collect::<Vec<_>>());
    }
}
