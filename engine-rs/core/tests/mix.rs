//! The live mix: ticks of many seats in, one stream of packets out. The encoder here keeps the sound as it is, so that a
//! sample says which seat and which tick it came from; `speech.rs` runs libopus.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may panic")]

mod playout_support;

use bytes::Bytes;
use playout_support::{Rng, Ruler, ruler, ruler_packet};
use spaces_core::ids::SeatNo;
use spaces_core::mix::{Config, EncodeError, Encoder, MixPacket, Mixer};
use spaces_core::playout::FRAME;
use spaces_core::record::RecordedFrame;
use spaces_core::uplink::{Level, Spurt};

/// Samples as they are, little endian.
#[derive(Default)]
struct Raw {
    fails: bool,
}

impl Encoder for Raw {
    fn encode(&mut self, pcm: &[i16]) -> Result<Bytes, EncodeError> {
        if self.fails { Err(EncodeError) } else { Ok(pcm.iter().flat_map(|s| s.to_le_bytes()).collect()) }
    }
    fn restart(&mut self, _: &[i16]) {}
}

fn samples(packet: &MixPacket) -> Vec<i16> {
    packet.opus.chunks_exact(2).map(|b| i16::from_le_bytes([b[0], b[1]])).collect()
}

fn mixer(ticks: u8) -> Mixer<Ruler, Raw> {
    Mixer::new(Config { ticks, ..Config::default() }, Raw::default(), || Some(Ruler::default()))
}

fn frame(seat: u8, tick: u64, fec: bool, spurt: Spurt) -> RecordedFrame {
    let opus = ruler_packet(tick, fec).opus;
    RecordedFrame { seat: SeatNo::new(seat).unwrap(), generation: 1, level: Level(seat), spurt, opus }
}

/// The value of the middle of each tick in order, and its group.
fn middles(packets: &[MixPacket]) -> Vec<(u64, i16)> {
    let of = |p: &MixPacket| {
        let pcm = samples(p);
        assert_eq!(pcm.len(), FRAME * usize::from(p.ticks));
        (p.group..).zip(pcm.chunks_exact(FRAME).map(|tick| tick[FRAME / 2]).collect::<Vec<_>>()).collect::<Vec<_>>()
    };
    packets.iter().flat_map(of).collect()
}

fn drain(mixer: &mut Mixer<Ruler, Raw>) -> Vec<MixPacket> {
    std::iter::from_fn(|| mixer.poll()).collect()
}

const TALK: Spurt = Spurt { start: false, end: false };

#[test]
fn two_seats_are_added_at_their_tick_for_every_packet_length() {
    for ticks in 1..=3 {
        let mut mixer = mixer(ticks);
        let mut packets = Vec::new();
        for tick in 600..660 {
            let both = [frame(2, tick, false, TALK), frame(7, tick, false, TALK)];
            mixer.tick(tick, if tick < 630 { &both[..1] } else { &both });
            mixer.advance(tick);
            packets.extend(drain(&mut mixer));
        }
        let heard = middles(&packets);
        // One tick waits for the one behind it, and a packet until it is full.
        assert!(heard.len() > 60 - 1 - usize::from(ticks), "{}", heard.len());
        for (tick, value) in heard {
            assert_eq!(value, if tick < 630 { ruler(tick) } else { 2 * ruler(tick) }, "tick {tick}");
        }
        assert_eq!(packets[0].seats(), 1 << 2);
        assert_eq!(packets.last().unwrap().seats(), 1 << 2 | 1 << 7);
        assert!(packets[0].spurt.start && packets[1..].iter().all(|p| p.spurt == TALK));
    }
}

#[test]
fn a_lost_tick_comes_from_the_next_ones_fec_or_is_concealed() {
    let mut mixer = mixer(1);
    for tick in 100..140 {
        let frames = [frame(0, tick, tick == 111, TALK)];
        let lost = tick == 110 || tick == 120;
        mixer.tick(tick, if lost { &[] } else { &frames });
        mixer.advance(tick);
    }
    let heard: std::collections::BTreeMap<_, _> = middles(&drain(&mut mixer)).into_iter().collect();
    assert_eq!(heard[&110], ruler(110), "from the FEC");
    assert_eq!(heard[&120], ruler(119), "concealed");
    assert_eq!(heard[&121], ruler(121));
}

#[test]
fn silence_ends_the_stream_and_speech_begins_it_again() {
    let mut mixer = mixer(1);
    for tick in 0..50 {
        mixer.tick(tick, &[frame(0, tick, false, Spurt { start: tick == 0, end: tick == 49 })]);
        mixer.advance(tick);
    }
    for tick in 50..500 {
        mixer.advance(tick);
    }
    let first = drain(&mut mixer);
    assert!(first.last().unwrap().spurt.end);
    assert!((60..=62).contains(&first.len()), "{}", first.len());
    mixer.tick(500, &[frame(0, 500, false, Spurt { start: true, end: false })]);
    mixer.advance(500);
    mixer.advance(501);
    let second = drain(&mut mixer);
    assert_eq!((second[0].group, second[0].spurt.start), (500, true));
    assert_eq!(middles(&second[..1])[0].1, ruler(500));
}

#[test]
fn nothing_of_a_silenced_seat_is_in_any_later_packet() {
    let mut rng = Rng(5);
    for round in 0..300 {
        let mut mixer = mixer(1 + (round % 3) as u8);
        let stop = 20 + rng.below(20);
        for tick in 0..=stop {
            mixer.tick(tick, &[frame(4, tick, false, TALK)]);
            mixer.advance(tick);
        }
        drain(&mut mixer);
        mixer.silence(1 << 4);
        for tick in stop + 1..stop + 30 {
            mixer.advance(tick);
        }
        assert!(drain(&mut mixer).iter().all(|p| samples(p).iter().all(|&s| s == 0) && p.seats() == 0));
    }
}

#[test]
fn the_last_words_do_not_wait_for_the_next_ones() {
    for ticks in 1..=3 {
        for said in 1..8 {
            let mut mixer = mixer(ticks);
            for tick in 0..said {
                mixer.tick(tick, &[frame(0, tick, false, Spurt { start: tick == 0, end: tick + 1 == said })]);
                mixer.advance(tick);
            }
            mixer.flush(said - 1);
            let packets = drain(&mut mixer);
            assert_eq!(middles(&packets).len() as u64, said, "whole");
            assert!(packets.iter().all(|packet| packet.ticks <= ticks && !packet.opus.is_empty()));
            assert_eq!(middles(&packets).last(), Some(&(said - 1, ruler(said - 1))));
            assert!(!mixer.idle());
            let mut last = said - 1;
            while let Some(due) = mixer.due() {
                mixer.advance(due);
                for packet in drain(&mut mixer) {
                    assert_eq!(packet.group, last + 1);
                    last = packet.last_group();
                }
            }
            assert!(mixer.idle() && last >= said + 9);
        }
    }
}

#[test]
fn a_packet_names_every_seat_of_which_there_is_sound_in_it() {
    // The seat's last packet, the fade behind it, and what the encoder's overlap carries over.
    let mut mixer = mixer(1);
    for tick in 0..10 {
        mixer.tick(tick, &[frame(5, tick, false, Spurt { start: tick == 0, end: tick == 9 })]);
        mixer.advance(tick);
    }
    mixer.advance(20);
    let packets = drain(&mut mixer);
    for (at, packet) in packets.iter().enumerate() {
        let sound = samples(packet).iter().any(|&sample| sample != 0);
        assert_eq!(packet.seats() != 0, at < 12, "packet {at}");
        assert!(!sound || packet.seats() == 1 << 5);
    }
    assert_eq!(packets[11].levels[5], Some(Level::SILENCE));
}

#[test]
fn a_group_jump_costs_no_packets_in_between() {
    let mut mixer = mixer(3);
    mixer.tick(10, &[frame(0, 10, false, Spurt { start: true, end: true })]);
    mixer.advance(10);
    mixer.advance(10_000_000);
    let packets = drain(&mut mixer);
    assert!(packets.len() <= 6, "{}", packets.len());
    mixer.tick(10_000_000, &[frame(0, 7, false, Spurt { start: true, end: false })]);
    mixer.advance(10_000_003);
    assert_eq!(drain(&mut mixer)[0].group, 10_000_000);
}

#[test]
fn packets_that_cannot_be_encoded_are_counted_and_the_mix_goes_on() {
    let mut mixer = Mixer::new(Config::default(), Raw { fails: true }, || Some(Ruler::default()));
    for tick in 0..10 {
        mixer.tick(tick, &[frame(0, tick, false, TALK)]);
        mixer.advance(tick);
    }
    assert!(mixer.poll().is_none());
    assert_eq!(mixer.stats().1, 9);
}

#[test]
fn any_order_of_calls_keeps_groups_rising_and_lengths_whole() {
    let mut rng = Rng(11);
    for _ in 0..500 {
        let mut mixer = mixer(1 + rng.below(3) as u8);
        let mut now = rng.below(1 << 40);
        let mut last = None;
        for _ in 0..200 {
            now += [0, 1, 1, 1, 1, 2, 40, 5_000][rng.below(8) as usize];
            let spurt = Spurt { start: rng.chance(0.1), end: rng.chance(0.1) };
            match rng.below(5) {
                0 => mixer.silence(rng.below(1 << 13) as u16),
                1 => {}
                _ => mixer.tick(now, &[frame(rng.below(13) as u8, now, rng.chance(0.5), spurt)]),
            }
            mixer.advance(now);
            for packet in drain(&mut mixer) {
                assert!(last.is_none_or(|last| packet.group >= last), "{packet:?} after {last:?}");
                assert!(packet.group <= now);
                last = Some(packet.group + u64::from(packet.ticks));
            }
        }
    }
}
