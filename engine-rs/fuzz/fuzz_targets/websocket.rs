//! QMux of one connection: two ends of ours whose messages are delivered as they are, and messages that nobody of us would
//! send. What one end sends arrives at the other whole and in order; hostile messages end one connection, and nothing else.
#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use spaces_fuzz::input::Input;
use spaces_net::fuzzing::{Message, QmuxEnd, upgrade};

fuzz_target!(|data: &[u8]| {
    upgrade(data);
    let mut input = Input(data);
    let Some(hostile) = input.byte().map(|first| first & 1 == 1) else { return };
    let (mut server, mut client) = (QmuxEnd::new(true), QmuxEnd::new(false));
    let mut sent: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
    let mut got: BTreeMap<u64, (Vec<u8>, bool)> = BTreeMap::new();
    while let Some(operation) = input.byte() {
        match operation & 7 {
            0 | 1 => {
                let Some(bytes) = input.bytes() else { return };
                let reset = operation & 8 != 0;
                if let Some(id) = client.stream(operation & 1 == 1, bytes, reset)
                    && !reset
                {
                    sent.insert(id, bytes.to_vec());
                }
            }
            2 => {
                let Some(bytes) = input.bytes() else { return };
                client.datagram(bytes);
            }
            3 => {
                let Some(id) = input.byte() else { return };
                server.stop(id.into());
                sent.remove(&u64::from(id));
            }
            4 if hostile => {
                let Some(bytes) = input.bytes() else { return };
                if server.record(bytes).contains(&Message::Over) {
                    return;
                }
            }
            5 => {
                while let Some(message) = server.next() {
                    client.record(&message);
                }
            }
            _ => {
                while let Some(message) = client.next() {
                    for told in server.record(&message) {
                        match told {
                            Message::Stream { id, data, fin } => {
                                let (all, over) = got.entry(id).or_default();
                                assert!(!*over, "stream {id} goes on after its end");
                                all.extend_from_slice(&data);
                                *over = fin;
                                if fin
                                    && !hostile
                                    && let Some(sent) = sent.get(&id)
                                {
                                    assert_eq!(all, sent, "stream {id}");
                                }
                            }
                            Message::Over if hostile => return,
                            Message::Over => panic!("what we send is not what we take"),
                            Message::Datagram(_) | Message::Other => {}
                        }
                    }
                }
            }
        }
    }
});
