//! Who talks alone goes past the mix's encoder: what those hear who decode it.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

mod playout_support;

use std::collections::BTreeMap;

use bytes::Bytes;
use playout_support::Rng;
use playout_support::sound::{SECOND, clicks, speech};
use spaces_core::codec::{Encoder, EncoderConfig, MixEncoder, OpusDecoder};
use spaces_core::ids::{SeatMask, SeatNo};
use spaces_core::mix::{Config, MixPacket, Mixer};
use spaces_core::playout::{FRAME, Frame};
use spaces_core::record::RecordedFrame;

/// RMS of what is quiet.
const ROOM: f64 = 400.0;

/// What one seat says, by tick.
type Said = BTreeMap<u64, RecordedFrame>;

fn say(seat: u8, pcm: &[i16], config: EncoderConfig) -> Said {
    let mut encoder = Encoder::new(config).unwrap();
    let frames =
        pcm.chunks_exact(FRAME).filter_map(|chunk| encoder.encode(<&Frame>::try_from(chunk).unwrap()).unwrap());
    let record = |frame: spaces_core::uplink::UplinkFrame| {
        let (level, spurt, opus) = (frame.level, frame.spurt, frame.opus);
        (frame.sequence, RecordedFrame { seat: SeatNo::new(seat).unwrap(), generation: 1, level, spurt, opus })
    };
    frames.map(record).collect()
}

fn mixer(forward_bytes: u16) -> Mixer<OpusDecoder, MixEncoder> {
    let encoder = MixEncoder::new(48_000, 9).unwrap();
    Mixer::new(Config { forward_bytes, ..Config::default() }, encoder, || OpusDecoder::new().ok())
}

fn mix(forward_bytes: u16, sent: &[Said], ticks: u64) -> Vec<MixPacket> {
    let mut mixer = mixer(forward_bytes);
    for tick in 0..ticks {
        let frames: Vec<_> = sent.iter().filter_map(|said| said.get(&tick).cloned()).collect();
        mixer.tick(tick, &frames);
        mixer.advance(tick);
    }
    std::iter::from_fn(|| mixer.poll()).collect()
}

/// Of each three seconds the second one, over whatever others say.
fn now_and_then(seconds: usize) -> Vec<i16> {
    let mut pcm = speech(seconds, 9);
    let silent = pcm.chunks_mut(SECOND).enumerate().filter(|(second, _)| second % 3 != 1);
    silent.for_each(|(_, sound)| sound.fill(0));
    pcm
}

/// As somebody hears it who plays what there is, and silence where there is nothing.
fn decode<'a>(packets: impl Iterator<Item = (u64, &'a Bytes)>, ticks: u64) -> Vec<i16> {
    let mut decoder = opus::Decoder::new(48_000, opus::Channels::Mono).unwrap();
    let mut heard = vec![0; ticks as usize * FRAME];
    for (group, opus) in packets {
        let at = group as usize * FRAME;
        assert_eq!(decoder.decode(opus, &mut heard[at..at + FRAME], false).unwrap(), FRAME);
    }
    heard
}

fn heard(packets: &[MixPacket], ticks: u64) -> Vec<i16> {
    decode(packets.iter().map(|packet| (packet.group, &packet.opus)), ticks)
}

/// Which packets are somebody's own.
fn forwarded(packets: &[MixPacket], sent: &[Said]) -> Vec<bool> {
    let is_own = |packet: &MixPacket| {
        sent.iter().any(|said| said.get(&packet.group).is_some_and(|frame| frame.opus == packet.opus))
    };
    packets.iter().map(is_own).collect()
}

/// Signal to difference in dB.
fn nearness(one: &[i16], two: &[i16]) -> f64 {
    let power = |of: &mut dyn Iterator<Item = f64>| of.map(|x| x * x).sum::<f64>().max(1.0);
    let signal = power(&mut one.iter().map(|s| f64::from(*s)));
    let difference = power(&mut one.iter().zip(two).map(|(a, b)| f64::from(*a) - f64::from(*b)));
    10.0 * (signal / difference).log10()
}

#[test]
fn who_talks_alone_is_heard_as_they_were_coded() {
    let ticks = 1_000;
    for (dtx, bitrate) in [(false, 32_000), (true, 32_000), (true, 24_000), (true, 64_000)] {
        let config = EncoderConfig { dtx, bitrate, ..EncoderConfig::default() };
        let said = [say(3, &speech(20, 4), config)];
        let packets = mix(160, &said, ticks);
        let own = forwarded(&packets, &said);
        let share = own.iter().filter(|own| **own).count() as f64 / said[0].len() as f64;
        assert!(share > 0.8, "dtx {dtx}, {bitrate} bit/s: {share} of what was said went past the encoder");
        assert!(packets.iter().zip(&own).all(|(packet, own)| !own || packet.seats() == 1 << 3));
        let heard = heard(&packets, ticks);
        let as_coded = decode(said[0].iter().map(|(tick, frame)| (*tick, &frame.opus)), ticks);
        // At 24 kbit/s the speaker's own encoder makes some.
        assert_eq!(clicks(&heard), clicks(&as_coded), "dtx {dtx}, {bitrate} bit/s");
        if dtx {
            compare_loudness(&packets, &heard, &mix(0, &said, ticks), |at| packets[at].spurt.start);
        } else {
            let middle = 2 * SECOND..19 * SECOND;
            let near = nearness(&as_coded[middle.clone()], &heard[middle]);
            assert!(near > 40.0, "{near} dB");
        }
    }
}

/// The loudness of `heard` goes on where `is_change` says, as it does in a mix that was coded: nothing is missing, nothing blares. What
/// is as quiet as a room does not count: there the encoder lets ring on what the speaker's own one has ended.
fn compare_loudness(packets: &[MixPacket], heard: &[i16], coded: &[MixPacket], is_change: impl Fn(usize) -> bool) {
    let plain = crate::heard(coded, (heard.len() / FRAME) as u64);
    let loud = |pcm: &[i16]| (pcm.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>() / pcm.len() as f64).sqrt();
    let mut changes = 0;
    for at in (0..packets.len()).filter(|at| is_change(*at)) {
        changes += 1;
        let at = packets[at].group as usize * FRAME;
        let around = at.saturating_sub(2 * FRAME)..(at + 4 * FRAME).min(heard.len());
        let (with, without) = (loud(&heard[around.clone()]), loud(&plain[around]));
        let away = 20.0 * ((with + ROOM) / (without + ROOM)).log10();
        assert!(away.abs() < 4.0, "at {} ms: {away} dB", at / 48);
    }
    assert!(changes >= 5, "{changes} changes");
}

#[test]
fn who_joins_in_and_falls_silent_again_makes_no_click() {
    let ticks = 2_000;
    let config = EncoderConfig::default();
    let said = [say(0, &speech(40, 4), EncoderConfig { dtx: false, ..config }), say(1, &now_and_then(40), config)];
    let (passing, coded) = (mix(160, &said, ticks), mix(0, &said, ticks));
    let own = forwarded(&passing, &said);
    let changes = own.windows(2).filter(|pair| pair[0] != pair[1]).count();
    let share = own.iter().filter(|own| **own).count() as f64 / own.len() as f64;
    assert!(changes >= 16 && (0.2..0.8).contains(&share), "{changes} changes, {share} forwarded");
    assert!(forwarded(&coded, &said).iter().all(|own| !own));
    let heard = heard(&passing, ticks);
    assert_eq!(clicks(&heard), Vec::<usize>::new());
    compare_loudness(&passing, &heard, &coded, |at| at > 0 && own[at - 1] != own[at]);
}

#[test]
fn nothing_that_a_silenced_person_has_said_is_in_a_later_packet() {
    let config = EncoderConfig::default();
    let said = [say(0, &speech(12, 4), EncoderConfig { dtx: false, ..config }), say(1, &now_and_then(12), config)];
    let mut rng = Rng(3);
    let mut silenced_while_forwarded = 0;
    for round in 0..40 {
        let mut mixer = mixer(160);
        let at = 100 + rng.below(400);
        let who = u8::from(round % 4 == 3);
        let back = at + rng.below(40);
        let mut last = None;
        for tick in 0..at + 80 {
            let talks = |seat: u8| seat != who || tick < at || tick >= back;
            let frames: Vec<_> = (0..)
                .zip(&said)
                .filter(|(seat, _)| talks(*seat))
                .filter_map(|(_, said)| said.get(&tick).cloned())
                .collect();
            if tick == at {
                silenced_while_forwarded += u32::from(last.is_some_and(|seats: SeatMask| seats == 1 << who));
                mixer.silence(1 << who);
                while mixer.poll().is_some() {}
            }
            mixer.tick(tick, &frames);
            mixer.advance(tick);
            while let Some(packet) = mixer.poll() {
                let own = forwarded(std::slice::from_ref(&packet), &said)[0];
                last = own.then(|| packet.seats());
                if tick >= at {
                    // Who is back repairs the tick before with FEC, as on the stage.
                    assert!(packet.group + 1 >= back || packet.seats() >> who & 1 == 0, "{packet:?} of {at} to {back}");
                    assert!(!own || packet.group + 1 >= back || packet.seats() == 1 << (1 - who));
                }
            }
        }
    }
    assert!(silenced_while_forwarded >= 10, "{silenced_while_forwarded}");
}
