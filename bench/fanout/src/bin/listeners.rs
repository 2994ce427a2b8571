//! The load that every server under test sees: N listeners of plain quinn clients, and speakers for the plain server.
//!
//! It shares no code with our engine but the bundle's layout. Each frame carries its sender's CLOCK_MONOTONIC in
//! microseconds; a listener counts frames and the time they took. Prints one JSON line.
//!
//! Usage: `listeners MODE ADDRESS LISTENERS SPEAKERS SECONDS [SPACE]`, MODE `plain` or `moqt`. In `moqt` mode
//! somebody else speaks in the Space; in `plain` mode this process does.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connection, Endpoint, TransportConfig};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use spaces_core::bundle;
use tokio::time::{Instant, MissedTickBehavior};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Where the timestamp lies in an Opus packet of the bench: behind the TOC byte.
const STAMP: std::ops::Range<usize> = 1..9;
/// 32 kbit/s in 20 ms.
const OPUS_BYTES: usize = 80;
/// 0.1 ms buckets up to one second.
const BUCKETS: usize = 10_000;
/// Connections to a socket: enough for distinct 4-tuples, few enough for the kernel's receive buffers.
const CONNECTIONS_PER_SOCKET: usize = 100;

struct Tally {
    /// Frames are counted while this is 1.
    counting: AtomicU64,
    frames: AtomicU64,
    latency: Vec<AtomicU64>,
}

fn now_us() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    (now.tv_sec as u64).saturating_mul(1_000_000).saturating_add(now.tv_nsec as u64 / 1_000)
}

impl Tally {
    fn frame(&self, opus: &[u8]) {
        let Some(stamp) = opus.get(STAMP).and_then(|bytes| bytes.try_into().ok()) else { return };
        if self.counting.load(Ordering::Relaxed) == 0 {
            return;
        }
        self.frames.fetch_add(1, Ordering::Relaxed);
        let bucket = (now_us().saturating_sub(u64::from_be_bytes(stamp)) / 100).min(BUCKETS as u64 - 1);
        if let Some(count) = self.latency.get(bucket as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn quantile_ms(&self, quantile: f64) -> f64 {
        let total: u64 = self.latency.iter().map(|count| count.load(Ordering::Relaxed)).sum();
        let rank = (total as f64 * quantile) as u64;
        let mut seen = 0;
        for (bucket, count) in self.latency.iter().enumerate() {
            seen += count.load(Ordering::Relaxed);
            if seen > rank {
                return bucket as f64 / 10.0;
            }
        }
        f64::NAN
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [mode, address, listeners, speakers, seconds, rest @ ..] = args.as_slice() else {
        return Err("usage: listeners plain|moqt ADDRESS LISTENERS SPEAKERS SECONDS [SPACE]".into());
    };
    let address: SocketAddr = address.parse()?;
    let (listeners, speakers, seconds): (usize, usize, u64) = (listeners.parse()?, speakers.parse()?, seconds.parse()?);
    let moqt = mode == "moqt";
    let space = rest.first().cloned().unwrap_or_default();
    let config = client_config(if moqt { "moqt-18" } else { "plain" })?;
    let tally = Arc::new(Tally {
        counting: AtomicU64::new(0),
        frames: AtomicU64::new(0),
        latency: (0..BUCKETS).map(|_| AtomicU64::new(0)).collect(),
    });

    let mut kept = Vec::new();
    let mut endpoint = client_endpoint(&config)?;
    for index in 0..listeners {
        if index % CONNECTIONS_PER_SOCKET == 0 && index > 0 {
            endpoint = client_endpoint(&config)?;
        }
        let connection = endpoint.connect(address, "localhost")?.await?;
        if moqt {
            kept.push(subscribe(&connection, &space).await?);
        }
        tokio::spawn(listen(connection, moqt, tally.clone()));
    }
    let mut talking = Vec::new();
    if !moqt {
        for _ in 0..speakers {
            talking.push(tokio::spawn(speak(client_endpoint(&config)?.connect(address, "localhost")?.await?)));
        }
    }
    println!("ready");
    tokio::time::sleep(Duration::from_secs(2)).await;
    // The server's CPU time is read by who started us, at these two lines.
    tally.counting.store(1, Ordering::Relaxed);
    println!("begin");
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    tally.counting.store(0, Ordering::Relaxed);
    println!("end");
    let delivered = tally.frames.load(Ordering::Relaxed);
    let expected = listeners as u64 * speakers as u64 * seconds * 50;
    println!(
        "{{\"delivered\": {delivered}, \"expected\": {expected}, \"loss\": {:.6}, \"p50_ms\": {:.1}, \"p99_ms\": {:.1}}}",
        1.0 - delivered as f64 / expected.max(1) as f64,
        tally.quantile_ms(0.5),
        tally.quantile_ms(0.99)
    );
    Ok(())
}

/// The least that subscribes in draft-ietf-moq-transport-18: SETUP with PATH, then SUBSCRIBE.
async fn subscribe(connection: &Connection, space: &str) -> Result<(quinn::SendStream, quinn::SendStream), Failure> {
    let path = format!("/spaces/{space}");
    let mut setup = vec![0xaf, 0x00, 0, path.len() as u8 + 2, 1, path.len() as u8];
    setup.extend_from_slice(path.as_bytes());
    let mut control = connection.open_uni().await?;
    control.write_all(&setup).await?;
    let mut body = vec![0, 2, 6];
    body.extend_from_slice(b"spaces");
    body.push(space.len() as u8);
    body.extend_from_slice(space.as_bytes());
    body.extend_from_slice(b"\x05stage\x00");
    let (mut request, mut answer) = connection.open_bi().await?;
    request.write_all(&[3, 0, body.len() as u8]).await?;
    request.write_all(&body).await?;
    let mut kind = [0u8; 1];
    answer.read_exact(&mut kind).await?;
    if kind != [4] {
        return Err(format!("SUBSCRIBE was answered with message {:#04x}", kind[0]).into());
    }
    tokio::spawn(async move { answer.read_to_end(4096).await });
    Ok((control, request))
}

async fn listen(connection: Connection, moqt: bool, tally: Arc<Tally>) -> Result<(), Failure> {
    loop {
        let datagram = connection.read_datagram().await?;
        if !moqt {
            tally.frame(&datagram);
            continue;
        }
        let Some(payload) = object_payload(&datagram) else { continue };
        for entry in bundle::entries(payload).map_while(Result::ok).filter(|entry| !entry.redundant) {
            tally.frame(entry.opus);
        }
    }
}

/// Skips the header of an OBJECT_DATAGRAM of type 0x0f: alias, group, properties.
fn object_payload(datagram: &[u8]) -> Option<&[u8]> {
    let (&0x0f, mut rest) = datagram.split_first()? else { return None };
    let (_alias, _group) = (vi64(&mut rest)?, vi64(&mut rest)?);
    let properties = vi64(&mut rest)?;
    rest.get(properties as usize..)
}

/// A draft-18 integer: as many leading ones as further bytes.
fn vi64(input: &mut &[u8]) -> Option<u64> {
    let (first, rest) = input.split_first()?;
    let more = first.leading_ones() as usize;
    let (tail, rest) = rest.split_at_checked(more)?;
    *input = rest;
    let head = u64::from(*first) & 0xffu64.checked_shr(more as u32 + 1).unwrap_or(0);
    Some(tail.iter().fold(head, |value, byte| value << 8 | u64::from(*byte)))
}

async fn speak(connection: Connection) -> Result<(), Failure> {
    let mut clock = tokio::time::interval_at(Instant::now(), Duration::from_millis(20));
    clock.set_missed_tick_behavior(MissedTickBehavior::Burst);
    loop {
        clock.tick().await;
        let mut opus = vec![0u8; OPUS_BYTES];
        if let Some(stamp) = opus.get_mut(STAMP) {
            stamp.copy_from_slice(&now_us().to_be_bytes());
        }
        connection.send_datagram(Bytes::from(opus))?;
    }
}

fn client_endpoint(config: &ClientConfig) -> Result<Endpoint, Failure> {
    let mut endpoint = Endpoint::client(SocketAddr::from(([127, 0, 0, 1], 0)))?;
    endpoint.set_default_client_config(config.clone());
    Ok(endpoint)
}

fn client_config(alpn: &str) -> Result<ClientConfig, Failure> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate))
        .with_no_client_auth();
    tls.alpn_protocols = vec![alpn.as_bytes().to_vec()];
    let mut config = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls)?));
    let mut transport = TransportConfig::default();
    transport.max_idle_timeout(Some(Duration::from_secs(30).try_into()?));
    config.transport_config(Arc::new(transport));
    Ok(config)
}

/// The bench talks to a server that it started itself on loopback.
#[derive(Debug)]
struct AnyCertificate;

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }
    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.3 only".into()))
    }
    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = rustls::crypto::ring::default_provider().signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, &algorithms)
    }
    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        rustls::crypto::ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}
