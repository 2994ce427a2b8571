//! Ticks of the mix, coded one by one, put together into longer packets without coding them anew (RFC 6716 §3.2.5).
//!
//! A packet of 60 ms costs a listener a third of the packets, but if everybody's began with the same tick, all of a large
//! audience would have to be served at once and then nobody for 60 ms. So there are as many *phases* as a packet has ticks,
//! and each listener is in one of them:
//! ```text
//! ticks    0 1 2 3 4 5 6 7 8 9
//! phase 0  └─────┘└─────┘└─────┘
//! phase 1  └┘└─────┘└─────┘└───
//! phase 2  └──┘└─────┘└─────┘└─
//! ```
//! In each tick one phase's packet is whole. What cannot go on (sound ends, somebody is silenced, the encoder changes its
//! mode) makes a shorter packet in all phases, and they begin again as above.

use bytes::{BufMut, Bytes, BytesMut};

use crate::ids::SeatMask;
use crate::mix::{MAX_TICKS, MixPacket};
use crate::mix_bundle::MAX_OPUS;
use crate::uplink::{Level, Spurt, packet_samples};

/// One phase's. See the module.
#[derive(Debug)]
pub(crate) struct Packer {
    /// Ticks a packet.
    ticks: u8,
    /// Ticks of the first one.
    first: u8,
    /// Ticks of the next one.
    next: u8,
    held: Vec<MixPacket>,
}

impl Packer {
    /// `ticks` a packet, 1 to [`MAX_TICKS`]; `phase` below that.
    pub(crate) fn new(ticks: u8, phase: u8) -> Self {
        let ticks = ticks.clamp(1, MAX_TICKS as u8);
        let first = if phase == 0 { ticks } else { phase.min(ticks) };
        Self { ticks, first, next: first, held: Vec::with_capacity(MAX_TICKS) }
    }

    /// Takes a tick's packet, or a longer one, which goes as it is. `last`: nothing follows for a while, so what is held must
    /// not wait. What is whole now: what was held before it, and what it belongs to.
    pub(crate) fn push(&mut self, packet: &MixPacket, last: bool) -> [Option<MixPacket>; 2] {
        let breaks = self.held.last().is_some_and(|before| !follows(before, packet)) || !self.fits(packet);
        let before = if breaks { self.cut() } else { None };
        let goes_on = packet.ticks == 1 && !packet.spurt.end && !last;
        self.held.push(packet.clone());
        if !goes_on {
            return [before, self.cut()];
        }
        if self.held.len() < usize::from(self.next) {
            return [before, None];
        }
        self.next = self.ticks;
        [before, Some(self.take())]
    }

    /// Drops what is held with one of `seats` in it: voices cannot be taken out of a mix.
    pub(crate) fn silence(&mut self, seats: SeatMask) {
        let held = self.held.len();
        self.held.retain(|packet| packet.seats() & seats == 0);
        if self.held.len() < held {
            self.next = self.first;
        }
    }

    /// What is held goes as it is.
    fn cut(&mut self) -> Option<MixPacket> {
        self.next = self.first;
        (!self.held.is_empty()).then(|| self.take())
    }

    fn fits(&self, packet: &MixPacket) -> bool {
        let held: usize = self.held.iter().map(|packet| packet.opus.len()).sum();
        // Behind each other, with a count and two lengths.
        held + packet.opus.len() + 5 <= MAX_OPUS
    }

    fn take(&mut self) -> MixPacket {
        let held = core::mem::take(&mut self.held);
        let packet = join(&held);
        self.held = held;
        self.held.clear();
        packet
    }
}

/// Whether `packet` can be behind `before` in one packet: the next tick, of the same mode, bandwidth and channels.
fn follows(before: &MixPacket, packet: &MixPacket) -> bool {
    let one = |packet: &MixPacket| packet.ticks == 1 && packet_samples(&packet.opus) == Some(960);
    let same_toc = before.opus.first() == packet.opus.first() && packet.opus.first().is_some_and(|toc| toc & 0b11 == 0);
    packet.group == before.group.saturating_add(1) && !packet.spurt.start && same_toc && one(before) && one(packet)
}

/// One packet of all, which follow each other.
fn join(held: &[MixPacket]) -> MixPacket {
    let levels = core::array::from_fn(|seat| middle_level(held, seat));
    let (start, end) = (held.first().is_some_and(|it| it.spurt.start), held.last().is_some_and(|it| it.spurt.end));
    MixPacket {
        group: held.first().map_or(0, |packet| packet.group),
        ticks: held.iter().map(|packet| packet.ticks).sum(),
        spurt: Spurt { start, end },
        levels,
        opus: frames(held),
    }
}

/// The level of a seat in the middle one of these packets by loudness; of two the louder one. So who begins or ends within a packet
/// is told of where most of it is. `None`: nothing of it is in any.
fn middle_level(held: &[MixPacket], seat: usize) -> Option<Level> {
    let of = |packet: &MixPacket| packet.levels.get(seat).copied().flatten();
    held.iter().find_map(of)?;
    let mut levels = [Level::SILENCE; MAX_TICKS];
    for (level, packet) in levels.iter_mut().zip(held) {
        *level = of(packet).unwrap_or(Level::SILENCE);
    }
    let levels = levels.get_mut(..held.len().min(MAX_TICKS))?;
    levels.sort_unstable_by_key(|level| level.minus_dbov());
    levels.get(levels.len().saturating_sub(1) / 2).copied()
}

/// RFC 6716 §3.2.5: code 3, variable lengths.
fn frames(held: &[MixPacket]) -> Bytes {
    if let [packet] = held {
        return packet.opus.clone();
    }
    let bodies = || held.iter().filter_map(|packet| packet.opus.split_first());
    let mut out = BytesMut::with_capacity(2 + held.iter().map(|packet| packet.opus.len() + 1).sum::<usize>());
    out.put_u8(bodies().next().map_or(0, |(toc, _)| *toc) | 0b11);
    out.put_u8(0x80 | held.len() as u8);
    for (_, body) in bodies().take(held.len().saturating_sub(1)) {
        put_length(&mut out, body.len());
    }
    for (_, body) in bodies() {
        out.put_slice(body);
    }
    out.freeze()
}

/// RFC 6716 §3.2.1.
fn put_length(out: &mut BytesMut, length: usize) {
    if length < 252 {
        out.put_u8(length as u8);
    } else {
        let first = 252 + (length & 0b11);
        out.put_u8(first as u8);
        out.put_u8(((length - first) / 4) as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::MAX_SEATS;
    use crate::mix_bundle;
    use proptest::prelude::*;

    /// CELT, full band, 20 ms.
    const TOC: u8 = 0xf8;

    fn tick(group: u64, body: &[u8]) -> MixPacket {
        let mut levels = [None; MAX_SEATS];
        levels[0] = Some(Level(30));
        let opus = Bytes::from([&[TOC], body].concat());
        MixPacket { group, ticks: 1, spurt: Spurt::default(), levels, opus }
    }

    /// The bodies in a packet that [`frames`] made, or one of a single frame.
    fn bodies(opus: &[u8]) -> Vec<Vec<u8>> {
        let (toc, mut rest) = opus.split_first().unwrap();
        if toc & 0b11 == 0 {
            return vec![rest.to_vec()];
        }
        let (count, behind) = rest.split_first().unwrap();
        assert_eq!((toc & 0b11, count & !0x3f), (3, 0x80));
        rest = behind;
        let mut lengths = Vec::new();
        for _ in 1..*count & 0x3f {
            let first = usize::from(rest[0]);
            let second = if first < 252 { 0 } else { usize::from(rest[1]) };
            lengths.push(first + 4 * second);
            rest = &rest[1 + usize::from(first >= 252)..];
        }
        let mut bodies = Vec::new();
        for length in lengths {
            let (body, behind) = rest.split_at(length);
            bodies.push(body.to_vec());
            rest = behind;
        }
        bodies.push(rest.to_vec());
        bodies
    }

    fn pack(packer: &mut Packer, packet: &MixPacket, last: bool) -> Vec<MixPacket> {
        packer.push(packet, last).into_iter().flatten().collect()
    }

    #[test]
    fn in_every_tick_one_phase_has_a_packet() {
        let mut packers = [0, 1, 2].map(|phase| Packer::new(3, phase));
        let mut due = Vec::new();
        for group in 100..112 {
            for (phase, packer) in packers.iter_mut().enumerate() {
                due.extend(pack(packer, &tick(group, b"x"), false).iter().map(|it| (group, phase, it.group, it.ticks)));
            }
        }
        assert_eq!(due[..4], [(100, 1, 100, 1), (101, 2, 100, 2), (102, 0, 100, 3), (103, 1, 101, 3)]);
        let groups: Vec<_> = due.iter().map(|(group, ..)| *group).collect();
        assert_eq!(groups, (100..112).collect::<Vec<_>>());
    }

    #[test]
    fn what_cannot_go_on_goes_at_once_and_the_phases_begin_anew() {
        let other = MixPacket { opus: Bytes::from_static(&[0x78, 9]), ..tick(104, b"") };
        let spurt = |start, end| Spurt { start, end };
        let ended = MixPacket { spurt: spurt(false, true), ..tick(104, b"x") };
        let started = MixPacket { spurt: spurt(true, false), ..tick(104, b"x") };
        let long = MixPacket { ticks: 3, opus: Bytes::from_static(&[TOC | 3, 3, 1, 1, 1]), ..tick(104, b"") };
        let large = tick(104, &[7; MAX_OPUS - 10]);
        for (packet, last, ticks) in [
            (tick(104, b"x"), true, vec![2]),
            (ended, false, vec![2]),
            (started, false, vec![1]),
            (other, false, vec![1]),
            (tick(105, b"x"), false, vec![1]),
            (long, false, vec![1, 3]),
            (large, false, vec![1]),
        ] {
            let mut packer = Packer::new(3, 0);
            for group in 100..104 {
                let _ = pack(&mut packer, &tick(group, b"xyz-x"), false);
            }
            let made = pack(&mut packer, &packet, last);
            assert_eq!(made.iter().map(|it| it.ticks).collect::<Vec<_>>(), ticks, "{packet:?}");
        }
        let mut second = Packer::new(3, 1);
        let ticks = |made: Vec<MixPacket>| made.iter().map(|it| it.ticks).collect::<Vec<_>>();
        assert_eq!(ticks(pack(&mut second, &tick(100, b"x"), false)), [1]);
        assert_eq!(ticks(pack(&mut second, &tick(101, b"x"), true)), [1]);
        assert_eq!(ticks(pack(&mut second, &tick(102, b"x"), false)), [1]);
        assert_eq!(ticks(pack(&mut second, &tick(103, b"x"), false)), [0; 0]);
    }

    #[test]
    fn what_is_held_of_a_silenced_seat_is_dropped_and_nothing_else() {
        let mut packer = Packer::new(3, 0);
        let mut quiet = tick(101, b"b");
        quiet.levels = [None; MAX_SEATS];
        let _ = pack(&mut packer, &tick(100, b"a"), false);
        let _ = pack(&mut packer, &quiet, false);
        packer.silence(1);
        let made = pack(&mut packer, &MixPacket { levels: quiet.levels, ..tick(102, b"c") }, true);
        assert_eq!(made.iter().map(|it| (it.group, it.ticks, it.seats())).collect::<Vec<_>>(), [(101, 2, 0)]);
        assert_eq!(bodies(&made[0].opus), [b"b", b"c"]);
    }

    #[test]
    fn what_rings_out_does_not_hide_how_loud_somebody_was() {
        let mut packer = Packer::new(2, 0);
        let _ = pack(&mut packer, &tick(0, b"x"), false);
        let mut ringing = tick(1, b"x");
        ringing.levels[0] = Some(Level::SILENCE);
        ringing.levels[1] = Some(Level::SILENCE);
        let made = pack(&mut packer, &ringing, false);
        assert_eq!(made[0].levels[..3], [Some(Level(30)), Some(Level::SILENCE), None]);
    }

    #[test]
    fn a_packet_is_as_loud_as_most_of_it() {
        let (loud, quiet) = (Some(Level(0x80 | 20)), Some(Level(90)));
        let of = |levels: &[Option<Level>]| {
            let mut packer = Packer::new(3, 0);
            let made = (0..).zip(levels).flat_map(|(at, level)| {
                let mut packet = tick(at, b"x");
                packet.levels[0] = *level;
                pack(&mut packer, &packet, at as usize + 1 == levels.len())
            });
            made.collect::<Vec<_>>()[0].levels[0]
        };
        assert_eq!(of(&[quiet, quiet, loud]), quiet, "begins in its last tick");
        assert_eq!(of(&[loud, quiet, quiet]), quiet, "ends in its first one");
        assert_eq!([of(&[quiet, loud, loud]), of(&[loud, loud, None])], [loud; 2]);
        assert_eq!(of(&[None, None, loud]), Some(Level::SILENCE));
        assert_eq!([of(&[loud, quiet]), of(&[None, loud]), of(&[loud])], [loud; 3]);
        assert_eq!(of(&[None, None, None]), None);
    }

    #[cfg(feature = "opus")]
    #[test]
    fn a_listener_of_any_phase_decodes_the_very_same_sound() {
        use crate::codec::{MixEncoder, OpusDecoder};
        use crate::mix::Encoder as _;
        use crate::mix_receiver::MixDecoder;
        use crate::playout::FRAME;

        // From a hum to a hiss and back, so that libopus changes its mode now and then.
        let mut noise = 1u32;
        let mut sample = |n: usize| {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let (hum, hiss) = ((n as f64 * 0.02).sin() * 9_000.0, f64::from(noise >> 18));
            (if (n / (20 * FRAME)).is_multiple_of(2) { hum } else { hiss }) as i16
        };
        let mut encoder = MixEncoder::new(24_000, 9).unwrap();
        let coded: Vec<_> = (0..120)
            .map(|number| {
                let pcm: Vec<i16> = (0..FRAME).map(|n| sample(number * FRAME + n)).collect();
                MixPacket { opus: encoder.encode(&pcm).unwrap(), ..tick(number as u64, b"") }
            })
            .collect();
        let decoded = |packets: &[MixPacket]| {
            let mut decoder = OpusDecoder::new().unwrap();
            let mut sound = Vec::new();
            for packet in packets {
                let mut pcm = vec![0; FRAME * usize::from(packet.ticks)];
                MixDecoder::decode(&mut decoder, &packet.opus, &mut pcm).unwrap();
                sound.extend(pcm);
            }
            sound
        };
        let wanted = decoded(&coded);
        for phase in 0..3 {
            let mut packer = Packer::new(3, phase);
            let last = coded.len() - 1;
            let packed: Vec<_> =
                coded.iter().enumerate().flat_map(|(n, packet)| pack(&mut packer, packet, n == last)).collect();
            assert!(packed.iter().filter(|packet| packet.ticks == 3).count() >= 30, "phase {phase}");
            assert_eq!(decoded(&packed), wanted, "phase {phase}");
        }
    }

    proptest! {
        #[test]
        fn every_phase_says_all_that_was_said_in_order(
            ticks in 1..=3u8,
            said in prop::collection::vec((1..3u64, prop::collection::vec(any::<u8>(), 0..400), 0..20u8), 1..60),
        ) {
            for phase in 0..ticks {
                let (mut packer, mut group) = (Packer::new(ticks, phase), 0);
                let (mut wanted, mut got) = (Vec::new(), Vec::new());
                for (n, (gap, body, how)) in said.iter().enumerate() {
                    group += if *how < 3 { *gap } else { 1 };
                    let mut packet = tick(group, body);
                    packet.spurt = Spurt { start: *how == 4, end: *how == 5 };
                    wanted.push((group, body.clone()));
                    for made in pack(&mut packer, &packet, *how == 6 || n + 1 == said.len()) {
                        prop_assert_eq!(packet_samples(&made.opus), Some(960 * u32::from(made.ticks)));
                        prop_assert!(made.ticks <= ticks && made.opus.len() <= MAX_OPUS);
                        prop_assert_eq!(mix_bundle::parse(made.group, &mix_bundle::encode(&made)), Ok(made.clone()));
                        got.extend((made.group..).zip(bodies(&made.opus)));
                    }
                }
                prop_assert_eq!(wanted, got);
            }
        }
    }
}
