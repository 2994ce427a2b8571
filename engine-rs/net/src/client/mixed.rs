//! Packets of the mix and captions as a listener gets them: each once, counted, kept for the owner.

use std::collections::{BTreeSet, VecDeque};

use bytes::Bytes;
use spaces_core::mix::MixPacket;
use spaces_core::mix_bundle;

use super::listener::ListenerStats;

/// Packets that wait for the owner; the oldest are dropped over it. Half a minute at least.
const PACKETS: usize = 1_536;
/// Lines that wait for the owner, likewise.
const LINES: usize = 256;
/// Groups remembered, to know what comes twice.
const REMEMBERED: usize = 64;

/// One packet of the mix, once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeardMix {
    /// The packet.
    pub packet: MixPacket,
    /// When, in microseconds of CLOCK_MONOTONIC.
    pub received_at_us: u64,
}

/// One line of captions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadLine {
    /// Its group: the tick at which it came, or a little later.
    pub group: u64,
    /// What the deployment's captioner wrote.
    pub line: Bytes,
    /// When, in microseconds of CLOCK_MONOTONIC.
    pub received_at_us: u64,
}

/// See the module.
#[derive(Default)]
pub(super) struct Mixed {
    packets: VecDeque<HeardMix>,
    pub(super) want_packets: bool,
    lines: VecDeque<ReadLine>,
    seen: BTreeSet<u64>,
    /// The tick behind the newest packet, in sound.
    next: Option<u64>,
}

impl Mixed {
    /// An object of the track `mix`. The packet, if it is new.
    pub(super) fn object(
        &mut self,
        group: u64,
        payload: &Bytes,
        received_at_us: u64,
        stats: &mut ListenerStats,
    ) -> Option<MixPacket> {
        let Ok(packet) = mix_bundle::parse(group, payload) else {
            stats.refused += 1;
            return None;
        };
        let old = self.seen.len() >= REMEMBERED && self.seen.first().is_some_and(|first| group < *first);
        if old || !self.seen.insert(group) {
            stats.duplicates += 1;
            return None;
        }
        if self.seen.len() > REMEMBERED {
            self.seen.pop_first();
        }
        stats.frames += 1;
        let end = packet.last_group().saturating_add(1);
        match self.next {
            // Came out of order, after it had been counted as lost.
            Some(next) if group < next => stats.lost = stats.lost.saturating_sub(u64::from(packet.ticks)),
            Some(next) if !packet.spurt.start => stats.lost += group - next,
            _ => {}
        }
        self.next = if packet.spurt.end { None } else { Some(self.next.map_or(end, |next| next.max(end))) };
        if self.want_packets {
            keep(&mut self.packets, PACKETS, HeardMix { packet: packet.clone(), received_at_us }, stats);
        }
        Some(packet)
    }

    /// An object of the track `captions`.
    pub(super) fn line(&mut self, group: u64, line: Bytes, received_at_us: u64, stats: &mut ListenerStats) {
        keep(&mut self.lines, LINES, ReadLine { group, line, received_at_us }, stats);
    }

    pub(super) fn take_packets(&mut self) -> Vec<HeardMix> {
        self.want_packets = true;
        self.packets.drain(..).collect()
    }

    pub(super) fn take_lines(&mut self) -> Vec<ReadLine> {
        self.lines.drain(..).collect()
    }
}

fn keep<T>(queue: &mut VecDeque<T>, most: usize, item: T, stats: &mut ListenerStats) {
    if queue.len() >= most {
        queue.pop_front();
        stats.overflowed += 1;
    }
    queue.push_back(item);
}

#[cfg(test)]
mod tests {
    use super::*;
    use spaces_core::uplink::Spurt;

    fn payload(group: u64, start: bool, end: bool) -> Bytes {
        let (spurt, opus) = (Spurt { start, end }, Bytes::from_static(&[0xfb, 3, 1, 1, 1]));
        mix_bundle::encode(&MixPacket { group, ticks: 3, spurt, levels: [None; 13], opus })
    }

    #[test]
    fn packets_count_once_and_holes_within_sound_are_losses() {
        let (mut mixed, mut stats) = (Mixed::default(), ListenerStats::default());
        assert!(mixed.take_packets().is_empty());
        let mut take = |group, start, end| {
            let _ = mixed.object(group, &payload(group, start, end), 0, &mut stats);
            (stats.frames, stats.duplicates, stats.lost)
        };
        assert_eq!(take(100, true, false), (1, 0, 0));
        assert_eq!(take(103, false, false), (2, 0, 0));
        assert_eq!(take(103, false, false), (2, 1, 0));
        assert_eq!(take(109, false, false), (3, 1, 3), "one is missing");
        assert_eq!(take(106, false, false), (4, 1, 0), "it was late");
        assert_eq!(take(112, false, true), (5, 1, 0));
        assert_eq!(take(200, true, false), (6, 1, 0), "a pause is no loss");
        assert!(mixed.object(1, &Bytes::from_static(b"x"), 0, &mut stats).is_none());
        assert_eq!((stats.refused, mixed.take_packets().len()), (1, 6));
    }
}
