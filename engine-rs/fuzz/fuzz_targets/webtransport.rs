//! HTTP/3 and WebTransport of one connection, either end: the peer's streams in any order and any pieces. The bytes of the
//! session's streams come out as they went in.
#![no_main]

use std::collections::{BTreeMap, BTreeSet};

use libfuzzer_sys::fuzz_target;
use spaces_core::varint;
use spaces_fuzz::input::Input;
use spaces_net::fuzzing::{Step, WebTransport};

fuzz_target!(|data: &[u8]| {
    let mut input = Input(data);
    let Some(first) = input.byte() else { return };
    let server = first & 1 == 0;
    let mut http = WebTransport::new(server);
    let mut sent: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
    let mut got: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
    let mut ended = BTreeSet::new();
    while let Some(operation) = input.byte() {
        let Some(id) = input.byte().map(u64::from) else { return };
        // Our own unidirectional streams receive nothing; of our own others only the CONNECT is there, once it is sent.
        let ours = (id & 1 == 1) == server;
        if ended.contains(&id) || ours && (id != 0 || !http.is_connecting()) {
            continue;
        }
        let steps = if operation & 7 == 7 {
            ended.insert(id);
            http.reset(id)
        } else {
            let Some(bytes) = input.bytes() else { return };
            let fin = operation & 7 == 6;
            if fin {
                ended.insert(id);
            }
            sent.entry(id).or_default().extend_from_slice(bytes);
            http.stream(id, bytes, fin)
        };
        for step in steps {
            match step {
                Step::Stream { id, data } => {
                    let got = got.entry(id).or_default();
                    got.extend_from_slice(&data);
                    let mut whole = &sent[&id][..];
                    assert!(varint::read(&mut whole).is_some() && varint::read(&mut whole).is_some(), "stream {id}");
                    assert_eq!(whole, &got[..], "stream {id}");
                }
                Step::Over => return,
                Step::Opened | Step::Other => {}
            }
        }
    }
});
