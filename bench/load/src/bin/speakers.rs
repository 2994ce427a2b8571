//! The speakers of every server under test: each sends an 80-byte Opus packet every 20 ms that says when it was due.
//!
//! ```text
//! speakers plain ADDRESS COUNT
//! speakers icecast ADDRESS PASSWORD
//! speakers mumble ADDRESS COUNT
//! speakers spaces CERTIFICATE_SHA256_HEX (URL TOKEN)…   seat n for the nth token of a URL
//! ```
//! Prints `speaking`; runs until killed. `SPACES_BENCH_CLOCK=realtime` stamps by a clock that other hosts share.

use std::net::SocketAddr;
use std::thread::sleep;
use std::time::Duration;

use bytes::Bytes;
use spaces_bench_load::clock::{now_us, share_between_hosts};
use spaces_bench_load::icecast::Source;
use spaces_bench_load::mumble::client::{Client, State};
use spaces_bench_load::mumble::tls_config;
use spaces_bench_load::run::Failure;
use spaces_bench_load::stamp::{Schedule, Stamp, TICK_US};
use spaces_bench_load::tls;
use spaces_core::codec::EncoderConfig;
use spaces_core::ids::SeatNo;
use spaces_core::uplink::{Level, Spurt};
use spaces_net::client::speaker::{Speaker, SpeakerConfig};
use spaces_net::client::{Destination, State as Connection};
use spaces_net::quic::Trust;

const LOUD: Level = Level(0x80 | 20);
/// Longest that a server may take to let a speaker in.
const PATIENCE_US: u64 = 20_000_000;

fn main() -> Result<(), Failure> {
    if std::env::var_os("SPACES_BENCH_CLOCK").is_some_and(|clock| clock == "realtime") {
        share_between_hosts();
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["plain", address, count] => plain(address.parse()?, count.parse()?),
        ["icecast", address, password] => icecast(address.parse()?, password),
        ["mumble", address, count] => mumble(address.parse()?, count.parse()?),
        ["spaces", hash, pairs @ ..] => spaces(hash, pairs),
        _ => Err("usage: speakers plain|icecast|mumble|spaces … (see the source)".into()),
    }
}

/// Calls `send` with every frame of every speaker when it is due, and `idle` in between.
fn speak(
    count: usize,
    mut send: impl FnMut(usize, Vec<u8>, bool) -> Result<(), Failure>,
    mut idle: impl FnMut() -> Result<(), Failure>,
) -> Result<(), Failure> {
    println!("speaking");
    let mut schedule = Schedule::new(now_us() / TICK_US * TICK_US + TICK_US);
    loop {
        while let Some((sequence, due_us)) = schedule.take(now_us()) {
            for speaker in 0..count {
                let stamp = Stamp { due_us, speaker: speaker as u8, sequence };
                send(speaker, stamp.packet(), sequence == 0)?;
            }
        }
        idle()?;
        let wait_us = schedule.next_us().saturating_sub(now_us());
        sleep(Duration::from_micros(wait_us.min(5_000)));
    }
}

fn plain(server: SocketAddr, count: usize) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut connections = Vec::new();
    let mut endpoints = Vec::new();
    for _ in 0..count {
        let connection = runtime.block_on(async {
            let mut endpoint = quinn::Endpoint::client(SocketAddr::from(([127, 0, 0, 1], 0)))?;
            endpoint.set_default_client_config(tls::listener(tls::quic(b"plain", false)?, false));
            let connection = endpoint.connect(server, "localhost")?.await?;
            endpoints.push(endpoint);
            Ok::<_, Failure>(connection)
        })?;
        connections.push(connection);
    }
    speak(
        count,
        |speaker, packet, _| {
            connections.get(speaker).map(|connection| connection.send_datagram(Bytes::from(packet))).transpose()?;
            Ok(())
        },
        || {
            runtime.block_on(async { tokio::time::sleep(Duration::from_millis(1)).await });
            Ok(())
        },
    )
}

fn icecast(server: SocketAddr, password: &str) -> Result<(), Failure> {
    let mut source = Source::connect(server, password)?;
    speak(1, |_, packet, _| source.send(packet), || Ok(()))
}

fn mumble(server: SocketAddr, count: usize) -> Result<(), Failure> {
    let tls = tls_config()?;
    let mut clients = Vec::new();
    for speaker in 0..count {
        clients.push(Client::connect(server, &tls, &format!("speaker{speaker}"))?);
    }
    let patience_us = now_us() + PATIENCE_US;
    loop {
        let mut joining = 0;
        for client in &mut clients {
            joining += usize::from(client.turn(|_| {})? == State::Joining);
        }
        if joining == 0 {
            break;
        }
        if now_us() > patience_us {
            return Err("the server lets no speaker in".into());
        }
        sleep(Duration::from_millis(5));
    }
    let clients = std::cell::RefCell::new(clients);
    let mut pinged_us = now_us();
    speak(
        count,
        |speaker, packet, _| {
            if let Some(client) = clients.borrow_mut().get_mut(speaker) {
                client.speak(&packet);
            }
            Ok(())
        },
        || {
            let ping = now_us().saturating_sub(pinged_us) > 8_000_000;
            for client in clients.borrow_mut().iter_mut() {
                client.turn(|_| {})?;
                if ping {
                    client.ping();
                    pinged_us = now_us();
                }
            }
            Ok(())
        },
    )
}

fn spaces(hash: &str, pairs: &[&str]) -> Result<(), Failure> {
    let trust = Trust::Hashes(vec![certificate_hash(hash)?]);
    let mut speakers: Vec<(Speaker, u8)> = Vec::new();
    let mut last = "";
    let mut seat = 0;
    for pair in pairs.chunks(2) {
        let &[url, token] = pair else { return Err("a URL without a token".into()) };
        seat = if url == last { seat + 1 } else { 0 };
        last = url;
        let mut destination = Destination::new(url, trust.clone());
        destination.token = Some(token.to_owned());
        let seat_no = SeatNo::new(seat).ok_or("more than 13 tokens for a Space")?;
        let config = SpeakerConfig { destination, seat: seat_no, encoder: EncoderConfig::default() };
        speakers.push((Speaker::connect(config)?, seat));
    }
    let patience_us = now_us() + PATIENCE_US;
    while speakers.iter().any(|(speaker, _)| speaker.state() == Connection::Connecting) {
        if now_us() > patience_us {
            return Err("the server lets no speaker in".into());
        }
        sleep(Duration::from_millis(5));
    }
    let send = |index: usize, packet: Vec<u8>, start| {
        let Some((speaker, seat)) = speakers.get(index) else { return Ok(()) };
        // Every Space counts its own speakers from 0.
        let Some(stamp) = Stamp::read(&packet) else { return Ok(()) };
        let packet = Stamp { speaker: *seat, ..stamp }.packet();
        speaker.push_opus(Bytes::from(packet), LOUD, Spurt { start, end: false }, false)?;
        Ok(())
    };
    speak(speakers.len(), send, || Ok(()))
}

fn certificate_hash(hex: &str) -> Result<[u8; 32], Failure> {
    let mut hash = [0u8; 32];
    for (index, byte) in hash.iter_mut().enumerate() {
        let digits = hex.get(index * 2..index * 2 + 2).ok_or("the certificate's hash has 64 hexadecimal digits")?;
        *byte = u8::from_str_radix(digits, 16)?;
    }
    Ok(hash)
}
