//! What the parts of the hot path cost, each by itself: `make bench-kernels`.
#![allow(clippy::unwrap_used, missing_docs, reason = "a measurement: it may fail")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use spaces_core::admission::Claims;
use spaces_core::bundle::{self, Entry};
use spaces_core::codec::{Encoder, EncoderConfig, MixEncoder, OpusDecoder};
use spaces_core::command::{Command, MixFor, Role, SpaceTable, StageRow};
use spaces_core::engine::{Config, Engine, Object, Purge, Sent, Sink, Track};
use spaces_core::ids::{AccountId, SeatNo, SessionKey, Sid, SpaceId};
use spaces_core::mix::{self, Mixer};
use spaces_core::mix_bundle;
use spaces_core::record::RecordedFrame;
use spaces_core::time::Time;
use spaces_core::uplink::{Level, Spurt, UplinkFrame};

const SPACE: SpaceId = SpaceId(6);
const TICK: Duration = Duration::from_millis(20);
/// 32 kbit/s.
const OPUS: usize = 80;
const SPEAKERS: [u8; 3] = [1, 4, 10];

fn seat(number: u8) -> SeatNo {
    SeatNo::new(number).unwrap()
}

fn opus(number: u8) -> Bytes {
    Bytes::from(vec![number; OPUS])
}

/// A bundle of so many, written, read, and sealed as a QUIC packet would be.
fn bundles(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("bundle");
    let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &[7; 16]).unwrap());
    for speakers in SPEAKERS {
        let frames: Vec<Bytes> = (0..speakers).map(opus).collect();
        let entries: Vec<Entry<'_>> = (0..)
            .zip(&frames)
            .map(|(number, opus)| Entry {
                seat: seat(number),
                level: Level(40),
                spurt: Spurt::default(),
                redundant: false,
                opus,
            })
            .collect();
        let written = bundle::encode(entries.iter().copied()).remove(0);
        group.throughput(Throughput::Elements(1));
        group.bench_with_input(BenchmarkId::new("write", speakers), &entries, |bench, entries| {
            bench.iter(|| bundle::encode(black_box(entries).iter().copied()));
        });
        group.bench_with_input(BenchmarkId::new("read", speakers), &written, |bench, written| {
            bench.iter(|| bundle::entries(black_box(written)).filter(Result::is_ok).count());
        });
        let mut packet = [&[0x40; 11][..], &written].concat();
        let mut number = 0u64;
        group.bench_function(BenchmarkId::new("seal AES-128-GCM", speakers), |bench| {
            bench.iter(|| {
                number += 1;
                let mut nonce = [0; 12];
                nonce.iter_mut().skip(4).zip(number.to_be_bytes()).for_each(|(to, from)| *to = from);
                let (header, body) = packet.split_at_mut(11);
                key.seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(&*header), body).unwrap()
            });
        });
    }
    group.finish();
}

/// Takes everything.
#[derive(Default)]
struct Everybody {
    objects: u32,
}

impl Sink for Everybody {
    fn send(&mut self, _session: SessionKey, object: &Object) -> Sent {
        self.objects += u32::from(!black_box(&object.payload).is_empty());
        Sent::Yes
    }
    fn purge(&mut self, _session: SessionKey, _space: SpaceId, _purge: Purge) {}
}

struct House {
    engine: Engine,
    now: Time,
    speakers: u8,
    sequence: u64,
}

impl House {
    fn new(listeners: u32, speakers: u8) -> Self {
        let now = Time(1_000_000_000);
        let mut engine = Engine::new(Config::default());
        let row = |number: u8| StageRow {
            seat: seat(number),
            account: AccountId(100 + u64::from(number)),
            role: if number == 0 { Role::Host } else { Role::Speaker },
            muted: false,
            generation: 1,
            caption: false,
        };
        let table = SpaceTable {
            live: true,
            record: false,
            guests: true,
            ticketed: false,
            mic_open: true,
            mix: false,
            mix_for: MixFor::Nobody,
            started_at_ms: now.0 / 1_000,
            stage: (0..speakers).map(row).collect(),
        };
        engine.apply(now, &Command::UpsertSpace { space: SPACE, version: 1, table }).unwrap();
        let claims = |account: u64, sid: u64| Claims {
            account: Some(AccountId(account)),
            sid: Sid(sid),
            epoch: 1,
            anonymous: false,
            service: false,
        };
        for number in 0..u32::from(speakers) {
            let account = 100 + u64::from(number);
            engine.admit(now, now, SessionKey(number), SPACE, &claims(account, account)).unwrap();
            engine.publish(now, SessionKey(number), seat(number as u8)).unwrap();
        }
        for number in 0..listeners {
            let (key, account) = (SessionKey(100 + number), 10_000 + u64::from(number));
            engine.admit(now, now, key, SPACE, &claims(account, account)).unwrap();
            engine.subscribe(now, key, Track::Stage { part: 0 }).unwrap();
        }
        Self { engine, now, speakers, sequence: 0 }
    }

    /// 20 ms: every speaker's frame in, the tick out to every cursor.
    fn tick(&mut self, sink: &mut Everybody) {
        self.now = self.now + TICK;
        self.sequence += 1;
        for number in 0..self.speakers {
            let frame = UplinkFrame {
                sequence: self.sequence,
                level: Level(0x80 | 30),
                spurt: Spurt { start: self.sequence == 1, end: false },
                opus: opus(number),
            };
            self.engine.uplink(self.now, SessionKey(number.into()), frame);
        }
        for _ in 0..2 {
            self.engine.advance(self.now);
            self.engine.deliver(self.now, sink);
            self.now = self.now + TICK / 2;
        }
        self.now = Time(self.now.0 - TICK.as_micros() as u64);
        while self.engine.poll_output().is_some() {}
    }
}

/// One tick through jitter buffers, selection, ring and cursors to everybody.
fn cursors(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("tick through ring and cursors");
    for listeners in [100u32, 1_000, 10_000] {
        for speakers in SPEAKERS {
            let (mut house, mut sink) = (House::new(listeners, speakers), Everybody::default());
            (0..50).for_each(|_| house.tick(&mut sink));
            assert!(sink.objects >= 48 * listeners, "{} objects: not everybody heard every tick", sink.objects);
            group.throughput(Throughput::Elements(listeners.into()));
            group.bench_function(BenchmarkId::new(format!("{speakers} speakers"), listeners), |bench| {
                bench.iter(|| house.tick(&mut sink));
            });
        }
    }
    group.finish();
}

/// A tone, encoded.
fn frames(number: u8) -> Vec<RecordedFrame> {
    let mut encoder = Encoder::new(EncoderConfig { dtx: false, ..EncoderConfig::default() }).unwrap();
    let hertz = 200.0 + 70.0 * f64::from(number);
    let wave = |sample: usize| (8_000.0 * (sample as f64 / 48_000.0 * hertz * std::f64::consts::TAU).sin()) as i16;
    (0..150)
        .map(|tick| {
            let pcm = std::array::from_fn(|sample| wave(tick * 960 + sample));
            let frame = encoder.encode(&pcm).unwrap().unwrap();
            RecordedFrame {
                seat: seat(number),
                generation: 1,
                level: frame.level,
                spurt: frame.spurt,
                opus: frame.opus,
            }
        })
        .collect()
}

/// Three seconds of so many voices, mixed into 60 ms packets.
fn mixes(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("mix");
    group.sample_size(20);
    for speakers in [1u8, 4] {
        let voices: Vec<_> = (0..speakers).map(frames).collect();
        let ticks: Vec<Arc<[RecordedFrame]>> =
            (0..150).map(|tick| voices.iter().filter_map(|voice| voice.get(tick).cloned()).collect()).collect();
        group.throughput(Throughput::Elements(50));
        group.bench_function(BenchmarkId::new("packets of 60 ms", speakers), |bench| {
            let make = || {
                let encoder = MixEncoder::new(32_000, 5).unwrap();
                let config = mix::Config { ticks: 3, ..mix::Config::default() };
                Mixer::new(config, encoder, || OpusDecoder::new().ok())
            };
            bench.iter_batched(
                make,
                |mut mixer| {
                    let mut bytes = 0;
                    for (group, frames) in (0..).zip(&ticks) {
                        mixer.tick(group, frames);
                        mixer.advance(group);
                        while let Some(packet) = mixer.poll() {
                            bytes += mix_bundle::encode(&packet).len();
                        }
                    }
                    bytes
                },
                BatchSize::LargeInput,
            );
        });
    }
    group.finish();
}

criterion_group!(kernels, bundles, cursors, mixes);
criterion_main!(kernels);
