//! Subscribes to tracks of a Space with moqtap-client over raw QUIC and prints what comes: `track group object hex`, a line an
//! object.
//!
//! Usage: `moqtap-listener HOST:PORT SPACE COUNT TRACK...`, with `=stream` behind the tracks that come as streams. Ends once
//! every datagram track gave COUNT objects and every stream track one. The join token, if any, is in `SPACES_TOKEN`.

use std::collections::HashMap;
use std::error::Error;
use std::time::Duration;

use moqtap_client::draft18::connection::{ClientConfig, Connection, TransportType};
use moqtap_codec::dispatch::{AnyDatagramHeader, AnySubgroupHeader};
use moqtap_codec::draft18::message::ControlMessage;
use moqtap_codec::kvp::{KeyValuePair, KvpValue};
use moqtap_codec::types::TrackNamespace;
use moqtap_codec::varint::VarInt;
use moqtap_codec::version::DraftVersion;

type Failure = Box<dyn Error>;

/// How far a track's subscription is.
struct Track {
    name: String,
    stream: bool,
    left: usize,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let (Some(address), Some(space), Some(count)) = (arguments.next(), arguments.next(), arguments.next()) else {
        return Err("usage: moqtap-listener HOST:PORT SPACE COUNT TRACK[=stream]...".into());
    };
    let tracks = arguments.map(|track| wanted(&track, count.parse().unwrap_or(1))).collect();
    let _ = rustls::crypto::ring::default_provider().install_default();
    tokio::time::timeout(Duration::from_secs(20), listen(&address, &space, tracks)).await?
}

fn wanted(argument: &str, count: usize) -> Track {
    match argument.strip_suffix("=stream") {
        Some(name) => Track { name: name.to_owned(), stream: true, left: 1 },
        None => Track { name: argument.to_owned(), stream: false, left: count },
    }
}

async fn listen(address: &str, space: &str, tracks: Vec<Track>) -> Result<(), Failure> {
    let path = match std::env::var("SPACES_TOKEN") {
        Ok(token) => format!("/spaces/{space}?jwt={token}"),
        Err(_) => format!("/spaces/{space}"),
    };
    let option = |key, text: &str| KeyValuePair { key: VarInt::from_usize(key), value: KvpValue::Bytes(text.into()) };
    let config = ClientConfig {
        draft: DraftVersion::Draft18,
        transport: TransportType::Quic,
        skip_cert_verification: true,
        ca_certs: Vec::new(),
        setup_parameters: vec![option(1, &path), option(5, "localhost")],
    };
    let mut connection = Connection::connect(address, config).await?;
    let namespace = TrackNamespace(vec![b"spaces".to_vec(), space.as_bytes().to_vec()]);

    let mut open = HashMap::new();
    let mut requests = Vec::new();
    for track in tracks {
        let mut request = connection.subscribe(namespace.clone(), track.name.clone().into(), Vec::new()).await?;
        match connection.recv_on_request_stream(&mut request).await? {
            ControlMessage::SubscribeOk(ok) => open.insert(ok.track_alias.into_inner(), track),
            other => return Err(format!("{}: {other:?}", track.name).into()),
        };
        requests.push(request); // dropping one would cancel it
    }
    while open.values().any(|track| track.left > 0) {
        tokio::select! {
            datagram = connection.recv_datagram() => {
                let (AnyDatagramHeader::Draft18(header), payload) = datagram?;
                print(&mut open, header.track_alias, header.group_id, header.object_id, &payload, false);
            }
            stream = connection.accept_subgroup_stream() => {
                let (AnySubgroupHeader::Draft18(header), mut objects) = stream?;
                let object = objects.read_subgroup_object().await?;
                print(&mut open, header.track_alias, header.group_id, object.object_id, &object.payload, true);
            }
        }
    }
    connection.close(0, b"enough");
    Ok(())
}

fn print(open: &mut HashMap<u64, Track>, alias: VarInt, group: VarInt, object: VarInt, payload: &[u8], stream: bool) {
    let Some(track) = open.get_mut(&alias.into_inner()).filter(|track| track.stream == stream && track.left > 0) else {
        return;
    };
    track.left -= 1;
    let hex: String = payload.iter().map(|byte| format!("{byte:02x}")).collect();
    println!("{} {} {} {hex}", track.name, group.into_inner(), object.into_inner());
}
