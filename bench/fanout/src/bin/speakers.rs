//! Speakers for our own server: each sends an 80-byte Opus packet every 20 ms that carries its CLOCK_MONOTONIC in
//! microseconds.
//!
//! Usage: `speakers URL CERTIFICATE_SHA256_HEX TOKEN…`, seat n for the n-th token. Prints `speaking`; runs until killed.

use std::error::Error;
use std::thread::sleep;
use std::time::{Duration, Instant};

use bytes::Bytes;
use spaces_core::codec::EncoderConfig;
use spaces_core::ids::SeatNo;
use spaces_core::uplink::{Level, Spurt};
use spaces_net::client::speaker::{Speaker, SpeakerConfig};
use spaces_net::client::{Destination, State};
use spaces_net::quic::Trust;

/// TOC of a 20 ms CELT fullband mono packet, one frame (RFC 6716 §3.1).
const TOC: u8 = 0xf8;
const OPUS_BYTES: usize = 80;
const LOUD: Level = Level(0x80 | 20);

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [url, hash, tokens @ ..] = args.as_slice() else {
        return Err("usage: speakers URL CERTIFICATE_SHA256_HEX TOKEN...".into());
    };
    let trust = Trust::Hashes(vec![certificate_hash(hash)?]);
    let mut speakers = Vec::new();
    for (seat, token) in (0..).zip(tokens) {
        let mut destination = Destination::new(url, trust.clone());
        destination.token = Some(token.clone());
        let seat = SeatNo::new(seat).ok_or("more than 13 tokens")?;
        speakers.push(Speaker::connect(SpeakerConfig { destination, seat, encoder: EncoderConfig::default() })?);
    }
    while speakers.iter().any(|speaker| speaker.state() == State::Connecting) {
        sleep(Duration::from_millis(5));
    }
    println!("speaking");
    let mut due = Instant::now();
    let mut start = true;
    loop {
        for speaker in &speakers {
            let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
            let stamp = (now.tv_sec as u64) * 1_000_000 + now.tv_nsec as u64 / 1_000;
            let mut packet = vec![TOC];
            packet.extend_from_slice(&stamp.to_be_bytes());
            packet.resize(OPUS_BYTES, 0);
            speaker.push_opus(Bytes::from(packet), LOUD, Spurt { start, end: false }, false)?;
        }
        start = false;
        due += Duration::from_millis(20);
        sleep(due.saturating_duration_since(Instant::now()));
    }
}

fn certificate_hash(hex: &str) -> Result<[u8; 32], Box<dyn Error>> {
    let mut hash = [0u8; 32];
    for (index, byte) in hash.iter_mut().enumerate() {
        let digits = hex.get(index * 2..index * 2 + 2).ok_or("the certificate's hash has 64 hexadecimal digits")?;
        *byte = u8::from_str_radix(digits, 16)?;
    }
    Ok(hash)
}
