//! The module in node, as a page runs it: what libopus encoded must sound as in the native receiver.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may panic"
)]

#[path = "../../core/tests/playout_support/mod.rs"]
mod playout_support;

use std::path::{Path, PathBuf};
use std::process::Command;

use bytes::Bytes;
use playout_support::sound::{SECOND, speech};
use playout_support::{Network, ORIGIN_US, Rng};
use spaces_core::bundle::{Entry, encode};
use spaces_core::codec::{Encoder, EncoderConfig, OpusDecoder};
use spaces_core::ids::SeatNo;
use spaces_core::playout::{Decoder, FRAME, PlayoutConfig, PlayoutStats};
use spaces_core::receiver::Receiver;
use spaces_core::time::Time;
use spaces_wasm::RopusDecoder;

/// A step of a listener's life.
enum Step {
    Push(u64, u64, Bytes),
    Pull(u64, usize),
}

/// Two people talk, now and then at the same time; the network carries their bundles.
fn steps(network: &Network, seconds: usize) -> Vec<Step> {
    let voices = [speech(seconds, 21), speech(seconds, 22)];
    let mut encoders = [0, 1].map(|_| Encoder::new(EncoderConfig::default()).unwrap());
    let mut bundles = Vec::new();
    for tick in 0..seconds * 50 {
        let frames = [0, 1].map(|who| {
            let pcm = voices[who][tick * FRAME..][..FRAME].try_into().unwrap();
            encoders[who].encode(pcm).unwrap()
        });
        let entries = [3, 9].into_iter().zip(&frames).filter_map(|(seat, frame)| {
            let frame = frame.as_ref()?;
            let seat = SeatNo::new(seat).unwrap();
            Some(Entry { seat, level: frame.level, spurt: frame.spurt, redundant: false, opus: &frame.opus })
        });
        bundles.extend(encode(entries).into_iter().map(|payload| (tick as u64, (tick as u64, payload))));
    }
    let arrivals = network.carry(&bundles);
    let mut arrivals = arrivals.into_iter().peekable();
    let mut steps = Vec::new();
    // An AudioWorklet asks for 128 samples at a time; four of them together.
    for pull in 0..(seconds + 1) as u64 * 48_000 / 512 {
        let now = ORIGIN_US + pull * 512_000 / 48;
        while let Some((at, (group, payload))) = arrivals.next_if(|(at, _)| at.0 <= now) {
            steps.push(Step::Push(at.0, group, payload));
        }
        steps.push(Step::Pull(now, 512));
    }
    steps
}

fn native<D: Decoder>(steps: &[Step], make: impl FnMut() -> Option<D> + Send + 'static) -> (Vec<f32>, PlayoutStats) {
    let mut receiver = Receiver::new(PlayoutConfig::default(), make);
    let mut pcm = Vec::new();
    for step in steps {
        match step {
            Step::Push(at, group, payload) => receiver.push(Time(*at), *group, payload),
            Step::Pull(at, samples) => {
                let mut block = vec![0.0; *samples];
                receiver.pull_f32(Time(*at), &mut block);
                pcm.extend(block);
            }
        }
    }
    (pcm, receiver.stats())
}

/// The module: that of `SPACES_WASM`, or built here.
fn module() -> PathBuf {
    if let Some(path) = std::env::var_os("SPACES_WASM") {
        return path.into();
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--profile", "wasm", "--target", "wasm32-unknown-unknown", "-p", "spaces-wasm"])
        .args(["--target-dir", "target"])
        .current_dir(&root)
        .status()
        .unwrap();
    assert!(built.success(), "the module does not build: `rustup target add wasm32-unknown-unknown`?");
    root.join("target/wasm32-unknown-unknown/wasm/spaces_wasm.wasm")
}

/// Samples and numbers that `run.mjs` leaves.
fn in_node(steps: &[Step], name: &str) -> (Vec<f32>, Vec<f64>) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).unwrap();
    let mut script = Vec::new();
    for step in steps {
        match step {
            Step::Push(at, group, payload) => {
                script.push(0);
                script.extend((*at as f64).to_le_bytes());
                script.extend((*group as f64).to_le_bytes());
                script.extend((payload.len() as u32).to_le_bytes());
                script.extend(payload);
            }
            Step::Pull(at, samples) => {
                script.push(1);
                script.extend((*at as f64).to_le_bytes());
                script.extend((*samples as u32).to_le_bytes());
            }
        }
    }
    let [script_file, pcm, stats] = ["script", "pcm", "stats"].map(|file| folder.join(file));
    std::fs::write(&script_file, script).unwrap();
    let run = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/run.mjs");
    let node = Command::new("node").arg(run).arg(module()).args([&script_file, &pcm, &stats]).output();
    let node = node.expect("node is needed for this test");
    assert!(node.status.success(), "{}", String::from_utf8_lossy(&node.stderr));
    let pcm = std::fs::read(pcm).unwrap();
    let pcm = pcm.chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect();
    let stats = std::fs::read_to_string(stats).unwrap();
    (pcm, stats.lines().map(|line| line.parse().unwrap()).collect())
}

/// Energy of `a` over that of the difference, in dB.
fn likeness_db(a: &[f32], b: &[f32]) -> f64 {
    let energy = |x: &mut dyn Iterator<Item = f32>| x.map(|x| f64::from(x).powi(2)).sum::<f64>();
    10.0 * (energy(&mut a.iter().copied()) / energy(&mut a.iter().zip(b).map(|(a, b)| a - b)).max(1e-12)).log10()
}

#[test]
fn the_module_sounds_as_the_native_receiver() {
    let network =
        Network { loss: 0.05, jitter_us: 40_000, duplicates: 0.05, drift_ppm: 100, seed: 31, ..Network::default() };
    let steps = steps(&network, 20);
    let (pcm, numbers) = in_node(&steps, "lossy");
    let (same, stats) = native(&steps, RopusDecoder::new);
    assert!(pcm == same, "differs at sample {:?}", pcm.iter().zip(&same).position(|(a, b)| a != b));
    let counted = [
        stats.pulled_samples,
        stats.decoded_samples,
        stats.fec_samples,
        stats.concealed_samples,
        stats.removed_samples,
        stats.inserted_samples,
        stats.late_packets,
        stats.duplicate_packets,
        stats.redundant_packets,
        stats.refused_packets,
        stats.skipped_ticks,
        stats.stalls,
        stats.restarts,
        stats.target_ms.into(),
        stats.delay_ms.into(),
    ];
    assert_eq!(numbers[..15], counted.map(|n| n as f64));
    assert!(stats.fec_samples > 0 && stats.concealed_samples > 0 && stats.decoded_samples > 20 * 48_000);
    let [speaking, pulled, too_many, nowhere, last, full, again, memory] = numbers[15..].try_into().unwrap();
    assert!(speaking > 500.0);
    assert_eq!([pulled, too_many, nowhere, last, full, again], [0.0, 0.0, 0.0, 16.0, 0.0, 1.0]);
    assert!(memory < 8e6, "{memory} bytes");
}

#[test]
fn the_module_sounds_as_libopus() {
    // Five seconds, before the first stretch: from there on the two may choose another pitch period.
    let steps = steps(&Network::default(), 5);
    let (pcm, _) = in_node(&steps, "clean");
    let (libopus, stats) = native(&steps, || OpusDecoder::new().ok());
    assert_eq!((stats.removed_samples, stats.inserted_samples), (0, 0));
    let likeness = likeness_db(&libopus, &pcm);
    assert!(likeness > 30.0, "{likeness:.1} dB");
    assert!(pcm.iter().any(|sample| sample.abs() > 0.1) && pcm.len() == 6 * SECOND / 512 * 512);
}

#[test]
fn any_bytes_leave_the_decoder_able_to_go_on() {
    let mut rng = Rng(41);
    let voice = speech(10, 42);
    let mut encoder = Encoder::new(EncoderConfig { dtx: false, ..EncoderConfig::default() }).unwrap();
    let sent: Vec<Vec<u8>> = voice
        .chunks_exact(FRAME)
        .map(|pcm| encoder.encode(pcm.try_into().unwrap()).unwrap().unwrap().opus.to_vec())
        .collect();
    let (mut decoder, mut pcm, mut refused) = (RopusDecoder::new().unwrap(), [0; FRAME], 0);
    for round in 0..20_000 {
        let mut bytes = sent[rng.below(sent.len() as u64) as usize].clone();
        if round % 4 == 0 {
            bytes = (0..rng.below(60)).map(|_| rng.next() as u8).collect();
        }
        for _ in 0..rng.below(6) {
            let at = rng.below(bytes.len() as u64) as usize;
            if let Some(byte) = bytes.get_mut(at) {
                *byte = rng.next() as u8;
            }
        }
        let result = match rng.below(6) {
            0 => decoder.decode_fec(&bytes, &mut pcm),
            1 => decoder.conceal(&mut pcm),
            _ => decoder.decode(&bytes, &mut pcm),
        };
        refused += u32::from(result.is_err());
    }
    assert!(refused > 100);
    // The next good packets sound as they do in a fresh decoder, after a second.
    let mut fresh = RopusDecoder::new().unwrap();
    let (mut a, mut b) = (Vec::new(), Vec::new());
    for opus in &sent {
        decoder.decode(opus, &mut pcm).unwrap();
        a.extend(pcm.map(f32::from));
        fresh.decode(opus, &mut pcm).unwrap();
        b.extend(pcm.map(f32::from));
    }
    assert!(likeness_db(&b[SECOND..], &a[SECOND..]) > 20.0);
}
