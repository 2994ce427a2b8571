//! The codec and the jitter buffer with speech-like sound: voiced and unvoiced stretches, short and long pauses.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

mod playout_support;

use bytes::Bytes;
use playout_support::sound::{SECOND, clicks, speech};
use playout_support::{Network, Outcome, Rng, play};
use spaces_core::codec::{Encoder, EncoderConfig, MixEncoder, OpusDecoder};
use spaces_core::ids::SeatNo;
use spaces_core::mix::{self, Config, Mixer};
use spaces_core::playout::{DecodeError, Decoder, FRAME, Frame, Packet};
use spaces_core::record::RecordedFrame;
use spaces_core::uplink::{Level, UplinkFrame, packet_samples};

fn frames(pcm: &[i16]) -> impl Iterator<Item = &Frame> {
    pcm.chunks_exact(FRAME).map(|chunk| chunk.try_into().unwrap())
}

fn encode(pcm: &[i16], config: EncoderConfig) -> Vec<UplinkFrame> {
    let mut encoder = Encoder::new(config).unwrap();
    let mut sent: Vec<UplinkFrame> = frames(pcm).filter_map(|frame| encoder.encode(frame).unwrap()).collect();
    sent.extend(encoder.skip());
    sent
}

fn packets(frames: &[UplinkFrame]) -> Vec<(u64, Packet)> {
    frames
        .iter()
        .map(|f| {
            let opus = f.opus.clone();
            (f.sequence, Packet { tick: f.sequence, level: f.level, spurt: f.spurt, redundant: false, opus })
        })
        .collect()
}

fn run(pcm: &[i16], network: &Network, config: EncoderConfig) -> Outcome {
    let packets = packets(&encode(pcm, config));
    play(OpusDecoder::new().unwrap(), &network.carry(&packets), (pcm.len() / FRAME) as u64, 480)
}

/// RMS of each 20 ms.
fn envelope(pcm: &[i16]) -> Vec<f64> {
    frames(pcm).map(|f| (f.iter().map(|&s| f64::from(s).powi(2)).sum::<f64>() / FRAME as f64).sqrt()).collect()
}

fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let mean = |x: &[f64]| x.iter().sum::<f64>() / x.len() as f64;
    let (ma, mb) = (mean(a), mean(b));
    let dot = |f: &dyn Fn(f64, f64) -> f64| a.iter().zip(b).map(|(x, y)| f(x - ma, y - mb)).sum::<f64>();
    dot(&|x, y| x * y) / (dot(&|x, _| x * x) * dot(&|_, y| y * y)).sqrt().max(1e-9)
}

/// Correlation of the loudness of `heard` with that of `said`: the mean of pieces of 3 s, each at the best of all delays
/// up to 220 ms.
fn likeness(said: &[i16], heard: &[i16]) -> f64 {
    let piece = 3 * SECOND;
    // The sound card began half a second before the speaker.
    let best = |at: usize, said: &[i16]| {
        let said = envelope(said);
        let delays = (26 * FRAME..36 * FRAME).step_by(FRAME / 2);
        delays.map(|delay| correlation(&said, &envelope(&heard[at + delay..][..piece]))).fold(0.0, f64::max)
    };
    let likeness: Vec<f64> = said.chunks_exact(piece).enumerate().map(|(n, said)| best(n * piece, said)).collect();
    likeness.iter().sum::<f64>() / likeness.len() as f64
}

#[test]
fn talkspurts_come_from_dtx() {
    let pcm = speech(60, 1);
    let sent = encode(&pcm, EncoderConfig::default());
    let share = sent.len() as f64 * FRAME as f64 / pcm.len() as f64;
    assert!((0.5..0.9).contains(&share), "{share}");
    let mut talking = false;
    let mut spurts = Vec::new();
    for (at, frame) in sent.iter().enumerate() {
        assert_eq!(frame.spurt.start, !talking, "frame {}", frame.sequence);
        assert!(!(frame.spurt.start && frame.spurt.end));
        if frame.spurt.start {
            spurts.push(0);
        } else {
            assert_eq!(frame.sequence, sent[at - 1].sequence + 1, "a gap within a talkspurt");
        }
        *spurts.last_mut().unwrap() += 1;
        talking = !frame.spurt.end;
        assert_eq!(frame.spurt.end, frame.opus.len() <= 2);
        assert_eq!(packet_samples(&frame.opus), Some(960));
        assert_eq!(UplinkFrame::decode(frame.sequence, frame.encode()).as_ref(), Ok(frame));
    }
    // libopus waits 200 ms before it stops; its refresh packets would be talkspurts of two.
    assert!(spurts.len() > 10 && spurts.iter().all(|&length| length > 10), "{spurts:?}");
    assert!(sent.iter().any(|frame| frame.level.voice()) && sent.iter().any(|frame| !frame.level.voice()));
}

#[test]
fn silence_and_a_muted_microphone_send_one_end_marker_while_the_counter_runs_on() {
    let pcm = speech(2, 3);
    let mut encoder = Encoder::new(EncoderConfig { first_sequence: 1_000, ..EncoderConfig::default() }).unwrap();
    assert_eq!(encoder.skip(), None);
    let said: Vec<UplinkFrame> = frames(&pcm).take(20).filter_map(|frame| encoder.encode(frame).unwrap()).collect();
    assert_eq!(said.first().map(|frame| (frame.sequence, frame.spurt.start)), Some((1_001, true)));
    let end = encoder.skip().unwrap();
    assert_eq!((end.sequence, end.spurt.end, end.opus.len(), end.level), (1_021, true, 1, Level::SILENCE));
    assert_eq!(packet_samples(&end.opus), Some(960));
    assert!((0..50).all(|_| encoder.skip().is_none()));
    let again = frames(&pcm).find_map(|frame| encoder.encode(frame).unwrap()).unwrap();
    assert_eq!((again.sequence, again.spurt.start), (1_072, true));

    let mut silent = Encoder::new(EncoderConfig::default()).unwrap();
    let sent = (0..500).filter(|_| silent.encode(&[0; FRAME]).unwrap().is_some()).count();
    assert!(sent < 20, "{sent}");
    assert_eq!(silent.next_sequence(), 500);
}

#[test]
fn speech_is_understood_through_any_network_and_never_clicks() {
    let pcm = speech(30, 2);
    let sent = packets(&encode(&pcm, EncoderConfig::default()));
    let n = Network::default;
    // The largest share made up, and the least likeness of the loudness.
    for (name, network, most, least) in [
        ("clean", n(), 0.0, 0.98),
        ("2 % loss", Network { loss: 0.02, ..n() }, 0.01, 0.98),
        ("5 % loss", Network { loss: 0.05, ..n() }, 0.02, 0.98),
        ("10 % loss", Network { loss: 0.10, ..n() }, 0.04, 0.97),
        ("20 % loss", Network { loss: 0.20, ..n() }, 0.09, 0.95),
        ("bursts", Network { loss: 0.05, burst: 4, ..n() }, 0.05, 0.93),
        ("40 ms jitter", Network { jitter_us: 40_000, ..n() }, 0.003, 0.98),
        ("step up", Network { steps: vec![(500, 100_000)], ..n() }, 0.004, 0.95),
        ("step down", Network { steps: vec![(0, 100_000), (500, 0)], ..n() }, 0.0, 0.95),
        ("stall", Network { stall: Some((500, 100, true)), ..n() }, 0.005, 0.9),
        ("outage", Network { stall: Some((500, 100, false)), ..n() }, 0.005, 0.9),
        ("drift", Network { drift_ppm: 200, jitter_us: 10_000, ..n() }, 0.0, 0.98),
        ("all", Network { loss: 0.05, jitter_us: 60_000, duplicates: 0.1, drift_ppm: -200, ..n() }, 0.04, 0.95),
    ] {
        let outcome = play(OpusDecoder::new().unwrap(), &network.carry(&sent), 1_500, 480);
        let concealed = outcome.stats.concealed_samples as f64 / pcm.len() as f64;
        assert!(concealed <= most, "{name}: {concealed}");
        // libopus's own repairs jump once in two thousand; holes are heard nearly all.
        let repaired = (outcome.stats.concealed_samples + outcome.stats.fec_samples) as usize / FRAME;
        assert!(clicks(&outcome.pcm).len() * 50 <= repaired, "{name}: {:?} of {repaired}", clicks(&outcome.pcm));
        let likeness = likeness(&pcm, &outcome.pcm);
        assert!(likeness >= least, "{name}: {likeness}");
    }
}

/// Fills losses with zeros.
struct Holes(OpusDecoder);

impl Decoder for Holes {
    fn decode(&mut self, opus: &[u8], pcm: &mut Frame) -> Result<(), DecodeError> {
        self.0.decode(opus, pcm)
    }
    fn decode_fec(&mut self, _: &[u8], _: &mut Frame) -> Result<(), DecodeError> {
        Err(DecodeError)
    }
    fn conceal(&mut self, pcm: &mut Frame) -> Result<(), DecodeError> {
        pcm.fill(0);
        Ok(())
    }
}

#[test]
fn the_click_detector_hears_holes() {
    let pcm = speech(60, 2);
    assert!(clicks(&pcm).is_empty(), "{:?}", clicks(&pcm));
    let network = Network { loss: 0.05, ..Network::default() };
    let arrivals = network.carry(&packets(&encode(&pcm, EncoderConfig::default())));
    let outcome = play(Holes(OpusDecoder::new().unwrap()), &arrivals, 3_000, 480);
    let holes = outcome.stats.concealed_samples as usize / FRAME;
    assert!(clicks(&outcome.pcm).len() * 2 > holes, "{} of {holes}", clicks(&outcome.pcm).len());
}

#[test]
fn fec_comes_closer_than_concealment() {
    let pcm = speech(30, 5);
    let sent = encode(&pcm, EncoderConfig { dtx: false, ..EncoderConfig::default() });
    let mut whole = OpusDecoder::new().unwrap();
    let (mut fec_error, mut plc_error, mut repaired) = (0.0, 0.0, 0);
    let (mut fec, mut plc) = (OpusDecoder::new().unwrap(), OpusDecoder::new().unwrap());
    let [mut a, mut b, mut c] = [[0; FRAME]; 3];
    for (at, pair) in sent.windows(2).enumerate() {
        whole.decode(&pair[0].opus, &mut a).unwrap();
        let lost = at % 10 == 9 && fec.decode_fec(&pair[1].opus, &mut b).is_ok();
        if !lost {
            fec.decode(&pair[0].opus, &mut b).unwrap();
            plc.decode(&pair[0].opus, &mut c).unwrap();
            continue;
        }
        plc.conceal(&mut c).unwrap();
        let loud = envelope(&a)[0];
        if loud > 300.0 {
            repaired += 1;
            fec_error += (envelope(&b)[0] / loud).max(0.01).log10().abs();
            plc_error += (envelope(&c)[0] / loud).max(0.01).log10().abs();
        }
    }
    assert!(repaired > 50, "{repaired}");
    assert!(fec_error < plc_error * 0.6, "{fec_error} {plc_error}");
}

#[test]
fn without_expected_loss_there_is_no_fec() {
    let pcm = speech(20, 6);
    let network = Network { loss: 0.1, ..Network::default() };
    let none = run(&pcm, &network, EncoderConfig { expected_loss: 0, ..EncoderConfig::default() }).stats;
    let some = run(&pcm, &network, EncoderConfig::default()).stats;
    assert_eq!(none.fec_samples, 0);
    assert!(some.concealed_samples * 2 < none.concealed_samples, "{some:?} {none:?}");
}

#[test]
fn any_bytes_leave_libopus_able_to_go_on() {
    let pcm = speech(20, 7);
    let packets = packets(&encode(&pcm, EncoderConfig::default()));
    let mut rng = Rng(8);
    let garbled: Vec<_> = packets
        .iter()
        .map(|(tick, packet)| {
            let mut bytes = packet.opus.to_vec();
            if *tick < 500 && rng.chance(0.5) {
                for _ in 0..1 + rng.below(8) {
                    let at = rng.below(bytes.len() as u64) as usize;
                    bytes[at] = rng.next() as u8;
                }
            }
            (*tick, Packet { opus: bytes.into(), ..packet.clone() })
        })
        .collect();
    let play =
        |packets: &[(u64, Packet)]| play(OpusDecoder::new().unwrap(), &Network::default().carry(packets), 1_000, 480);
    let (clean, garbled) = (play(&packets), play(&garbled));
    assert!(garbled.stats.refused_packets > 0);
    // Two seconds after the last bad packet the sound is the same again.
    let tail = |outcome: &Outcome| envelope(&outcome.pcm[13 * SECOND..20 * SECOND]);
    assert!(correlation(&tail(&clean), &tail(&garbled)) > 0.98);
}

/// Keeps the samples, little endian.
struct Raw;

impl mix::Encoder for Raw {
    fn encode(&mut self, pcm: &[i16]) -> Result<Bytes, mix::EncodeError> {
        Ok(pcm.iter().flat_map(|sample| sample.to_le_bytes()).collect())
    }
    fn restart(&mut self, _: &[i16]) {}
}

/// Hands the seats' frames to a mixer, tick by tick, and lays what `decode` makes of its packets onto the timeline.
fn mix_of(
    sent: &[Vec<UplinkFrame>],
    ticks: u8,
    length: usize,
    encoder: impl mix::Encoder,
    mut decode: impl FnMut(&[u8]) -> Vec<i16>,
) -> Vec<i16> {
    let mut mixer = Mixer::new(Config { ticks, ..Config::default() }, encoder, || OpusDecoder::new().ok());
    let mut heard = vec![0i16; length + 4 * FRAME];
    for tick in 0..(length / FRAME) as u64 + 4 {
        let of = |(seat, sent): (u8, &Vec<UplinkFrame>)| {
            let frame = sent.iter().find(|frame| frame.sequence == tick)?;
            let (level, spurt, opus) = (frame.level, frame.spurt, frame.opus.clone());
            Some(RecordedFrame { seat: SeatNo::new(seat)?, generation: 1, level, spurt, opus })
        };
        let frames: Vec<RecordedFrame> = (0..).zip(sent).filter_map(of).collect();
        mixer.tick(tick, &frames);
        mixer.advance(tick);
        while let Some(packet) = mixer.poll() {
            let pcm = decode(&packet.opus);
            assert_eq!(pcm.len(), FRAME * usize::from(ticks));
            heard[packet.group as usize * FRAME..][..pcm.len()].copy_from_slice(&pcm);
        }
    }
    heard
}

#[test]
fn the_mix_of_two_speakers_is_their_sum_in_time_and_loudness() {
    let (one, two) = (speech(20, 4), speech(20, 9));
    let sent = [encode(&one, EncoderConfig::default()), encode(&two, EncoderConfig::default())];
    let sum: Vec<i16> = one.iter().zip(&two).map(|(a, b)| a.saturating_add(*b)).collect();
    // The delay in ms at which `heard` is most like `said`, and how like.
    let best = |said: &[i16], heard: &[i16]| {
        let at = |ms: usize| correlation(&envelope(said), &envelope(&heard[ms * 48..][..said.len()]));
        (0..40).map(|ms| (ms, at(ms))).max_by(|a, b| a.1.total_cmp(&b.1)).unwrap()
    };
    for ticks in 1..=3u8 {
        let raw = |bytes: &[u8]| bytes.chunks_exact(2).map(|b| i16::from_le_bytes([b[0], b[1]])).collect();
        let decoded = mix_of(&sent, ticks, sum.len(), Raw, raw);
        let mut decoder = opus::Decoder::new(48_000, opus::Channels::Mono).unwrap();
        let opus = |packet: &[u8]| {
            let mut pcm = vec![0; 3 * FRAME];
            let samples = decoder.decode(packet, &mut pcm, false).unwrap();
            pcm.truncate(samples);
            pcm
        };
        let heard = mix_of(&sent, ticks, sum.len(), MixEncoder::new(48_000, 9).unwrap(), opus);
        // The speakers' codec, of 32 kbit/s, looks 6.5 ms ahead, and so does the mix's.
        let (delay, likeness) = best(&sum, &decoded);
        assert!((5..=8).contains(&delay) && likeness > 0.93, "{ticks} ticks, decoded: {delay} ms, {likeness}");
        let (delay, likeness) = best(&decoded[..sum.len()], &heard);
        assert!((5..=8).contains(&delay) && likeness > 0.98, "{ticks} ticks, coded: {delay} ms, {likeness}");
        let (delay, _) = best(&sum, &heard);
        assert!((11..=15).contains(&delay), "{ticks} ticks: {delay} ms");
        assert_eq!(clicks(&heard), Vec::<usize>::new(), "{ticks} ticks");
    }
}

/// An encoder that does not forget.
struct Elephant(MixEncoder);

impl mix::Encoder for Elephant {
    fn encode(&mut self, pcm: &[i16]) -> Result<Bytes, mix::EncodeError> {
        self.0.encode(pcm)
    }
    fn restart(&mut self, _: &[i16]) {}
}

/// The share of a 1 kHz tone in `pcm`, as the largest amplitude in any 20 ms: whole periods of 150 Hz.
fn tone_in(pcm: &[i16]) -> f64 {
    let amplitude = |chunk: &[i16]| {
        let turn = |n: usize| n as f64 * std::f64::consts::TAU / 48.0;
        let sum =
            |f: &dyn Fn(f64) -> f64| chunk.iter().enumerate().map(|(n, &s)| f64::from(s) * f(turn(n))).sum::<f64>();
        2.0 * sum(&f64::sin).hypot(sum(&f64::cos)) / chunk.len() as f64
    };
    pcm.windows(FRAME).step_by(240).map(amplitude).fold(0.0, f64::max)
}

/// A tone after 200 ms of silence.
fn tone(hz: f64, loud: f64) -> Vec<i16> {
    let sample = |n: usize| (loud * (n as f64 * hz * std::f64::consts::TAU / 48_000.0).sin()) as i16;
    (0..2 * SECOND).map(|n| if n < 10 * FRAME { 0 } else { sample(n) }).collect()
}

/// One seat has a loud tone of `hz`, another one hums at 150 Hz, or says nothing. The tone is silenced; what there is of 1 kHz in the packets
/// made since, as somebody hears them who has heard nothing before. With `forward_bytes` the tone goes past the encoder
/// until the hum begins.
fn tone_after_silencing(
    encoder: impl mix::Encoder + 'static,
    (ticks, forward_bytes): (u8, u16),
    at: u64,
    hz: f64,
    company: bool,
) -> f64 {
    let config = EncoderConfig { dtx: false, ..EncoderConfig::default() };
    let sent = [encode(&tone(hz, 12_000.0), config), encode(&tone(150.0, 6_000.0), config)];
    let config = Config { ticks, forward_bytes, ..Config::default() };
    let mut mixer = Mixer::new(config, encoder, || OpusDecoder::new().ok());
    let mut decoder = opus::Decoder::new(48_000, opus::Channels::Mono).unwrap();
    let mut heard = Vec::new();
    for tick in 0..at + 30 {
        let frame = |seat: u8| {
            let UplinkFrame { level, spurt, opus, .. } = sent[usize::from(seat)][tick as usize].clone();
            RecordedFrame { seat: SeatNo::new(seat).unwrap(), generation: 1, level, spurt, opus }
        };
        let hums = company && (forward_bytes == 0 || tick >= 28);
        let talking: Vec<_> = (0..2).filter(|seat| if *seat == 0 { tick < at } else { hums }).map(frame).collect();
        if tick == at {
            mixer.silence(1);
            while mixer.poll().is_some() {}
        }
        mixer.tick(tick, &talking);
        mixer.advance(tick);
        while let Some(packet) = mixer.poll().filter(|_| tick >= at) {
            assert_eq!(packet.seats() & 1, 0);
            let mut pcm = vec![0; 3 * FRAME];
            let samples = decoder.decode(&packet.opus, &mut pcm, false).unwrap();
            heard.extend_from_slice(&pcm[..samples]);
        }
    }
    assert!(!company || heard.len() > 20 * FRAME, "{}", heard.len());
    tone_in(&heard)
}

#[test]
fn nothing_of_a_silenced_person_is_in_any_packet_that_is_made_later() {
    let mix = || MixEncoder::new(48_000, 9).unwrap();
    for (ticks, forward) in [(1, 0), (2, 0), (3, 0), (1, 160)] {
        for at in 30..42 {
            let place = format!("{ticks} ticks, forwarded to {forward} bytes, silenced at {at}");
            let ticks = (ticks, forward);
            // What a codec makes of the beginning of the hum has a little of every frequency in it.
            let other = tone_after_silencing(mix(), ticks, at, 3_000.0, true);
            let clean = tone_after_silencing(mix(), ticks, at, 1_000.0, true);
            assert!(clean < 1.3 * other, "{place}: {clean}, {other} without the tone");
            let alone = tone_after_silencing(mix(), ticks, at, 1_000.0, false);
            assert!(alone < 2.0, "{place}, alone: {alone}");
            // The measurement hears what an encoder keeps.
            let kept = tone_after_silencing(Elephant(mix()), ticks, at, 1_000.0, true);
            assert!(kept > 2.0 * clean, "{place}: {kept} without a reset, {clean} with one");
            // What goes past an encoder it cannot keep.
            let kept = tone_after_silencing(Elephant(mix()), ticks, at, 1_000.0, false);
            assert!(kept > 200.0 || forward > 0, "{place}, alone: {kept} without a reset");
        }
    }
}
