//! The server that one would write in an afternoon: quinn on tokio, a task a connection, `send_datagram` for each listener.
//!
//! Whoever sends a datagram speaks, everybody else hears it. Prints quinn's version and its address, then runs until killed.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use quinn::{Endpoint, ServerConfig, TransportConfig, VarInt};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::sync::broadcast;

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let bind: SocketAddr = std::env::args().nth(1).as_deref().unwrap_or("127.0.0.1:0").parse()?;
    let endpoint = Endpoint::server(config()?, bind)?;
    println!("{} {}", quinn_version(), endpoint.local_addr()?);
    // Room for half a second of 13 speakers: who falls behind further misses packets, as in any live system.
    let (stage, _) = broadcast::channel::<(usize, Bytes)>(325);
    while let Some(incoming) = endpoint.accept().await {
        tokio::spawn(serve(incoming, stage.clone()));
    }
    Ok(())
}

/// As it was locked when this was built.
fn quinn_version() -> &'static str {
    let lock = include_str!("../../../../Cargo.lock");
    let version = lock.split_once("name = \"quinn\"\nversion = \"").and_then(|(_, rest)| rest.split('"').next());
    version.unwrap_or("unknown")
}

fn config() -> Result<ServerConfig, Failure> {
    let certificate = rcgen::generate_simple_self_signed(vec!["localhost".into(), "127.0.0.1".into()])?;
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(certificate.signing_key.serialize_der()));
    let mut tls = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.cert.der().clone()], key)?;
    tls.alpn_protocols = vec![b"plain".to_vec()];
    let mut config = ServerConfig::with_crypto(Arc::new(quinn::crypto::rustls::QuicServerConfig::try_from(tls)?));
    let mut transport = TransportConfig::default();
    // The same limits as in our own server, so that memory is compared like with like.
    transport
        .max_concurrent_bidi_streams(VarInt::from_u32(16))
        .max_concurrent_uni_streams(VarInt::from_u32(16))
        .datagram_send_buffer_size(16 * 1024)
        .max_idle_timeout(Some(Duration::from_secs(30).try_into()?));
    config.transport_config(Arc::new(transport));
    Ok(config)
}

async fn serve(incoming: quinn::Incoming, stage: broadcast::Sender<(usize, Bytes)>) -> Result<(), Failure> {
    let connection = incoming.await?;
    let me = connection.stable_id();
    let mut heard = stage.subscribe();
    let listener = connection.clone();
    tokio::spawn(async move {
        loop {
            match heard.recv().await {
                Ok((speaker, frame)) if speaker != me => {
                    if listener.send_datagram(frame).is_err() {
                        return;
                    }
                }
                Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return,
            }
        }
    });
    loop {
        let frame = connection.read_datagram().await?;
        let _ = stage.send((me, frame));
    }
}
