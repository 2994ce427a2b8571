//! A Space recorded end to end: native speakers, the server, the files.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests, too, fail by panicking"
)]

#[path = "../../core/tests/tools/mod.rs"]
mod tools;

use std::collections::BTreeSet;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use spaces_core::codec::EncoderConfig;
use spaces_core::command::{Applied, Command, MixFor, Role, SpaceTable, StageRow};
use spaces_core::ids::{AccountId, SeatNo, SpaceId};
use spaces_core::segment::{Reader, Record};
use spaces_core::uplink::{Level, Spurt};
use spaces_net::client::speaker::{Speaker, SpeakerConfig};
use spaces_net::client::{Destination, State};
use spaces_net::identity::Identity;
use spaces_net::quic::Trust;
use spaces_net::recorder::FileKind;
use spaces_net::server::{Server, ServerConfig};
use spaces_net::token::{TokenSigner, TokenSpec};

const SPACE: SpaceId = SpaceId(4_711_000_000_007);

fn seat(number: u8) -> SeatNo {
    SeatNo::new(number).unwrap()
}

fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
}

fn until(mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(20), "it does not happen");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn table(server: &Server, version: u64, started_at_ms: u64, muted: bool) -> Applied {
    let row = |number: u8, muted| StageRow {
        seat: seat(number),
        account: AccountId(100 + u64::from(number)),
        role: Role::Speaker,
        muted,
        generation: 1,
        caption: false,
    };
    let table = SpaceTable {
        live: true,
        record: true,
        guests: true,
        ticketed: false,
        mic_open: true,
        mix: true,
        mix_for: MixFor::Nobody,
        started_at_ms,
        stage: vec![row(0, muted), row(1, false)],
    };
    server.apply(&Command::UpsertSpace { space: SPACE, version, table }).unwrap()
}

#[test]
fn what_is_said_in_a_space_is_in_its_files_and_a_mute_is_kept() {
    let identity = Identity::development(["localhost"]).unwrap();
    let signer = TokenSigner::generate("issuer", "audience").unwrap();
    let (hash, root) = (identity.sha256(), tools::file("e2e", b"").with_file_name("recordings"));
    let config =
        ServerConfig { shards: 2, ..ServerConfig::new("127.0.0.1:0".parse().unwrap(), identity, signer.verifier()) };
    let server = Server::start(config.with_recordings(&root)).unwrap();
    let started_at_ms = unix_ms() - 60_000;
    table(&server, 1, started_at_ms, false);
    let speak = |number: u8| {
        let url = format!("https://127.0.0.1:{}/spaces/{SPACE}", server.local_addr().port());
        let account = 100 + u64::from(number);
        let spec = TokenSpec {
            account: Some(account),
            sid: account,
            expires_at: unix_ms() / 1_000 + 60,
            ..TokenSpec::default()
        };
        let mut destination = Destination::new(url, Trust::Hashes(vec![hash]));
        destination.token = Some(signer.mint(&spec));
        let speaker =
            Speaker::connect(SpeakerConfig { destination, seat: seat(number), encoder: EncoderConfig::default() })
                .unwrap();
        until(|| speaker.state() == State::Live);
        speaker
    };
    let speakers = [speak(0), speak(1)];
    let voice: Vec<Bytes> = tools::voice().into_iter().map(Bytes::from).collect();
    // Both speak for a second, one of them goes on for another after the first was muted.
    let say = |speaker: &Speaker, packets: &[Bytes], first: bool| {
        for (at, packet) in packets.iter().enumerate() {
            let spurt = Spurt { start: first && at == 0, end: false };
            speaker.push_opus(packet.clone(), Level(0x80 | 20), spurt, true).unwrap();
        }
    };
    speakers.iter().for_each(|speaker| say(speaker, &voice[..50], true));
    until(|| speakers.iter().all(|speaker| speaker.queued() == 0));
    let fence = table(&server, 2, started_at_ms, true).fence_group;
    speakers.iter().for_each(|speaker| say(speaker, &voice[50..100], false));
    until(|| speakers.iter().all(|speaker| speaker.queued() == 0));
    std::thread::sleep(Duration::from_millis(300));
    server.apply(&Command::EndSpace { space: SPACE, version: 3 }).unwrap();
    until(|| server.recordings(SPACE).unwrap().first().is_some_and(|log| log.finished));

    let files = server.recordings(SPACE).unwrap();
    let kinds: Vec<_> = files.iter().map(|file| file.kind).collect();
    let track = |number: u8| FileKind::Track { seat: seat(number), account: 100 + u64::from(number) };
    assert_eq!(kinds, [FileKind::Log { sequence: 0 }, FileKind::Mix, track(0), track(1)]);
    let log = std::fs::read(&files[0].path).unwrap();
    let mut heard = [BTreeSet::new(), BTreeSet::new()];
    let mut said = [Vec::new(), Vec::new()];
    let mut mixed = Vec::new();
    for record in Reader::new(&log).unwrap().1 {
        match record.unwrap() {
            Record::Tick { group, frames } => {
                for frame in frames {
                    heard[frame.seat.index()].insert(group);
                    said[frame.seat.index()].push(frame.opus);
                }
            }
            Record::Mix(packet) => mixed.push(packet),
            _ => {}
        }
    }
    assert!(mixed.is_sorted_by(|one, next| one.last_group() < next.group), "in order");
    let ticks = |seats: u16| mixed.iter().filter(|p| p.seats() == seats).map(|p| u64::from(p.ticks)).sum::<u64>();
    assert!((40..=55).contains(&ticks(0b11)) && (40..=60).contains(&ticks(0b10)), "{} {}", ticks(0b11), ticks(0b10));
    assert!(mixed.iter().all(|packet| packet.seats() & 1 == 0 || packet.group <= fence), "the mute is kept");
    assert_eq!(said[1], voice[..100], "everything said is there, in order");
    assert_eq!(said[0], voice[..said[0].len()]);
    assert!((40..=55).contains(&said[0].len()), "{} frames of the muted seat", said[0].len());
    assert!(heard[0].last().unwrap() <= &fence, "nothing of the muted seat after the fence");
    for file in &files[1..] {
        assert_eq!((file.start_group, file.duration, file.finished), (files[0].start_group, files[0].duration, true));
        let report = tools::opusinfo(&file.path);
        assert_eq!(report.problems, Vec::<String>::new(), "{}", report.text);
        assert_eq!(tools::ffmpeg(&file.path).len() as u128, file.duration.as_millis() * 48);
    }
    server.stop();
}
