//! The load counts what a server is known to have sent: whole, lost, repeated, broken.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;

use bytes::Bytes;
use quinn::{Connection, Endpoint, ServerConfig};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};
use spaces_bench_load::stamp::{Stamp, TICK_US};

const LISTENERS: usize = 3;
/// Long enough that a stalled machine does not put frames past the measurement's end and grace.
const SECONDS: u64 = 4;
const FRAMES: u32 = SECONDS as u32 * 50;

/// A server that does nothing by itself.
fn server() -> Endpoint {
    let certificate = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(certificate.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.cert.der().clone()], key)
        .unwrap();
    tls.alpn_protocols = vec![b"plain".to_vec()];
    let crypto = quinn::crypto::rustls::QuicServerConfig::try_from(tls).unwrap();
    Endpoint::server(ServerConfig::with_crypto(Arc::new(crypto)), "127.0.0.1:0".parse().unwrap()).unwrap()
}

struct Load {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Drop for Load {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Load {
    fn start(server: SocketAddr, network: &Value) -> Self {
        let plan = json!({
            "server": server, "protocol": "plain", "speakers": 1, "spaces": ["all"], "path": "",
            "groups": [{"name": "listeners", "tier": "stage", "listeners": LISTENERS, "starts": "before",
                        "curve": {"kind": "linear", "per_second": 1000.0}, "stays": "always", "behaviour": "well"}],
            "network": network, "seed": 3, "connections_per_socket": 2,
        });
        let mut child = Command::new(env!("CARGO_BIN_EXE_load"))
            .arg(plan.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        Self { child, out }
    }

    fn told(&mut self, event: &str) -> Value {
        let mut line = String::new();
        self.out.read_line(&mut line).unwrap();
        let told: Value = serde_json::from_str(&line).expect(&line);
        assert_eq!(told["event"], event);
        told
    }

    fn begin(&mut self) -> u64 {
        writeln!(self.child.stdin.as_mut().unwrap(), "begin {SECONDS}").unwrap();
        self.told("begin")["at_us"].as_u64().unwrap()
    }
}

/// Connects a load, lets `send` send as it likes from the measurement's beginning on, and returns the listeners' report.
fn measured(network: &Value, send: impl Fn(usize, &Connection, u64)) -> Value {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let _guard = runtime.enter();
    let endpoint = server();
    let mut load = Load::start(endpoint.local_addr().unwrap(), network);
    let connections: Vec<Connection> = runtime.block_on(async {
        let mut connections = Vec::new();
        for _ in 0..LISTENERS {
            connections.push(endpoint.accept().await.unwrap().await.unwrap());
        }
        connections
    });
    load.told("ready");
    let begin_us = load.begin();
    for (index, connection) in connections.iter().enumerate() {
        send(index, connection, begin_us);
    }
    load.told("end");
    let report = load.told("report");
    report["groups"][0].clone()
}

fn packet(begin_us: u64, sequence: u32) -> Vec<u8> {
    Stamp { due_us: begin_us + u64::from(sequence) * TICK_US, speaker: 0, sequence }.packet()
}

#[test]
fn what_was_sent_is_what_is_counted() {
    let report = measured(&json!({}), |listener, connection, begin_us| {
        let send = |packet: Vec<u8>| connection.send_datagram(Bytes::from(packet)).unwrap();
        for sequence in 0..FRAMES {
            // The second listener loses ten frames, the third hears some twice.
            if listener == 1 && (20..30).contains(&sequence) {
                continue;
            }
            send(packet(begin_us, sequence));
            if listener == 2 && sequence < 7 {
                send(packet(begin_us, sequence));
            }
        }
        // Due before and after what is measured: heard, not counted.
        send(packet(begin_us - 1_000_000, 0));
        send(packet(begin_us, FRAMES));
    });
    let whole = u64::from(FRAMES) * LISTENERS as u64;
    assert_eq!(report["joined"], LISTENERS);
    assert_eq!(report["expected"], whole);
    assert_eq!(report["delivered"], whole - 10);
    assert_eq!(report["repeated"], 7);
    assert_eq!(report["broken"], 0);
    let worst = report["worst_listener_loss"].as_f64().unwrap();
    assert!((worst - 10.0 / f64::from(FRAMES)).abs() < 1e-9, "{worst}");
    let counted: u64 = report["latency_us"].as_array().unwrap().iter().map(|pair| pair[1].as_u64().unwrap()).sum();
    assert_eq!(counted, whole - 10);
    // One in fifty of all that came.
    assert_eq!(report["checked"].as_u64().unwrap(), (whole - 10 + 7 + 2 * LISTENERS as u64).div_ceil(50));
}

#[test]
fn a_payload_that_is_not_what_was_sent_is_broken_not_delivered() {
    let report = measured(&json!({}), |listener, connection, begin_us| {
        if listener > 0 {
            return;
        }
        let mut bad = packet(begin_us, 0);
        bad[60] ^= 1;
        connection.send_datagram(Bytes::from(bad)).unwrap();
        connection.send_datagram(Bytes::from_static(b"no frame at all")).unwrap();
        connection.send_datagram(Bytes::from(packet(begin_us, 1))).unwrap();
    });
    assert_eq!(report["broken"], 2);
    assert_eq!(report["delivered"], 1);
}

#[test]
fn the_emulated_network_loses_about_what_it_was_told_to_and_a_datagram_lost_stays_lost() {
    let report = measured(&json!({"loss": 0.1}), |_, connection, begin_us| {
        for sequence in 0..FRAMES {
            connection.send_datagram(Bytes::from(packet(begin_us, sequence))).unwrap();
        }
    });
    // Packets carry several of these small datagrams at once here, so the spread is wide.
    let loss = report["loss_ratio"].as_f64().unwrap();
    assert!((0.01..0.4).contains(&loss), "{loss}");
    assert_eq!(report["repeated"], 0);
}
