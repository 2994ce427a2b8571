//! The native clients against the server, over real sockets.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // tests may fail

use std::time::{Duration, Instant};

use bytes::Bytes;
use spaces_core::codec::EncoderConfig;
use spaces_core::command::{Command, MixFor, Role, SpaceTable, StageRow};
use spaces_core::ids::{AccountId, SeatNo, SpaceId};
use spaces_core::playout::PlayoutConfig;
use spaces_core::uplink::{Level, Spurt};
use spaces_moqt::seam::Protocol;
use spaces_net::client::ledger::frame_hash;
use spaces_net::client::listener::{Heard, HeardFrame, Listener, ListenerConfig};
use spaces_net::client::load::{ListenerLoad, LoadConfig};
use spaces_net::client::speaker::{Sent, Speaker, SpeakerConfig};
use spaces_net::client::{ClientError, Destination, State, Via};
use spaces_net::identity::Identity;
use spaces_net::quic::Trust;
use spaces_net::server::{Server, ServerConfig};
use spaces_net::token::{TokenSigner, TokenSpec};

const SPACE: SpaceId = SpaceId(81_985_529_216);

struct World {
    server: Server,
    signer: TokenSigner,
    hash: [u8; 32],
    version: u64,
    started_at_ms: u64,
}

fn unix() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

impl World {
    fn new() -> Self {
        let identity = Identity::development(["localhost"]).unwrap();
        let signer = TokenSigner::generate("issuer", "audience").unwrap();
        let hash = identity.sha256();
        let server =
            Server::start(ServerConfig::new("127.0.0.1:0".parse().unwrap(), identity, signer.verifier())).unwrap();
        let mut world = Self { server, signer, hash, version: 0, started_at_ms: unix() * 1_000 - 60_000 };
        world.table(true);
        world
    }

    fn table(&mut self, guests: bool) {
        self.version += 1;
        let row = |seat: u8| StageRow {
            seat: SeatNo::new(seat).unwrap(),
            account: AccountId(100 + u64::from(seat)),
            role: Role::Speaker,
            muted: false,
            generation: 1,
            caption: false,
        };
        let table = SpaceTable {
            live: true,
            record: false,
            guests,
            ticketed: false,
            mic_open: true,
            mix: true,
            mix_for: MixFor::Nobody,
            started_at_ms: self.started_at_ms,
            stage: (0..3).map(row).collect(),
        };
        self.server.apply(&Command::UpsertSpace { space: SPACE, version: self.version, table }).unwrap();
    }

    fn destination(&self, via: Via, protocol: Protocol, account: Option<u64>) -> Destination {
        let port = self.server.local_addr().port();
        let mut to =
            Destination::new(format!("https://127.0.0.1:{port}/spaces/{SPACE}"), Trust::Hashes(vec![self.hash]));
        let spec = TokenSpec { account, sid: account.unwrap_or(7), expires_at: unix() + 60, ..TokenSpec::default() };
        (to.via, to.protocol, to.token) = (via, protocol, account.map(|_| self.signer.mint(&spec)));
        to
    }

    fn speaker(&self, via: Via, protocol: Protocol, seat: u8) -> Speaker {
        let destination = self.destination(via, protocol, Some(100 + u64::from(seat)));
        let encoder = EncoderConfig { complexity: 5, ..EncoderConfig::default() };
        let config = SpeakerConfig { destination, seat: SeatNo::new(seat).unwrap(), encoder };
        let speaker = Speaker::connect(config).unwrap();
        until(|| speaker.state() != State::Connecting);
        assert_eq!(speaker.state(), State::Live);
        speaker
    }

    fn listener(&self, via: Via, protocol: Protocol) -> Listener {
        let destination = self.destination(via, protocol, None);
        let listener = Listener::connect(&ListenerConfig {
            destination,
            playout: PlayoutConfig::default(),
            heard: Heard::Stage,
            captions: false,
        })
        .unwrap();
        until(|| listener.state() != State::Connecting);
        assert_eq!(listener.state(), State::Live);
        assert!(listener.frames().is_empty());
        listener
    }
}

fn until(mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(20), "it does not happen");
        std::thread::sleep(Duration::from_millis(2));
    }
}

const EVERY_WAY: [(Via, Protocol); 4] = [
    (Via::WebTransport, Protocol::Moqt18),
    (Via::WebTransport, Protocol::Lite05),
    (Via::Quic, Protocol::Moqt18),
    (Via::Quic, Protocol::Lite05),
];

/// A voice, roughly: a tone of changing pitch and loudness.
fn voice(seconds: f32) -> Vec<i16> {
    let samples = (seconds * 48_000.0) as usize;
    let mut phase = 0.0f32;
    (0..samples)
        .map(|n| {
            let t = n as f32 / 48_000.0;
            phase += (180.0 + 40.0 * (t * 5.0).sin()) / 48_000.0 * std::f32::consts::TAU;
            let loud = 0.55 + 0.45 * (t * 12.0).sin();
            ((phase.sin() + 0.5 * (2.0 * phase).sin() + 0.3 * (3.0 * phase).sin()) * loud * 6_000.0) as i16
        })
        .collect()
}

fn names(seat: u8, frames: &[HeardFrame]) -> Vec<u64> {
    let seat = SeatNo::new(seat).unwrap();
    frames.iter().filter(|frame| frame.seat == seat).map(|frame| frame_hash(seat, &frame.opus)).collect()
}

#[test]
fn every_listener_hears_exactly_what_every_speaker_encoded() {
    let world = World::new();
    let listeners: Vec<_> = EVERY_WAY.iter().map(|(via, protocol)| world.listener(*via, *protocol)).collect();
    // Raw moq-lite has no room for a token, so nobody speaks over it.
    let speakers: Vec<_> =
        EVERY_WAY.iter().take(3).zip(0..).map(|((via, protocol), seat)| world.speaker(*via, *protocol, seat)).collect();
    let sound = voice(1.0);
    for speaker in &speakers {
        speaker.push_pcm(sound.iter().copied(), true).unwrap();
    }
    until(|| speakers.iter().all(|speaker| speaker.queued() == 0));
    let sent: Vec<Vec<Sent>> = speakers.iter().map(Speaker::sent_log).collect();
    let mut heard = vec![Vec::new(); listeners.len()];
    until(|| {
        for (listener, heard) in listeners.iter().zip(&mut heard) {
            heard.extend(listener.frames());
        }
        heard.iter().all(|heard| heard.len() >= sent.iter().map(Vec::len).sum())
    });
    for (heard, way) in heard.iter().zip(EVERY_WAY) {
        for (sent, seat) in sent.iter().zip(0..) {
            let expected: Vec<u64> = sent.iter().map(|sent| sent.hash).collect();
            assert!(expected.len() >= 49, "{}", expected.len());
            let mut got = names(seat, heard);
            got.truncate(expected.len()); // the end of the talkspurt may have come already
            assert_eq!(got, expected, "{way:?} seat {seat}");
        }
        assert!(heard.iter().all(|frame| frame.received_at_us >= sent[0][0].sent_at_us));
    }
    for listener in &listeners {
        let stats = listener.stats();
        assert_eq!((stats.duplicates, stats.refused, stats.overflowed), (0, 0, 0), "{stats:?}");
    }
}

#[test]
fn paced_frames_take_their_time_and_talkspurts_end() {
    let world = World::new();
    let listener = world.listener(Via::Quic, Protocol::Moqt18);
    let speaker = world.speaker(Via::Quic, Protocol::Moqt18, 0);
    for _ in 0..2 {
        speaker.push_pcm(voice(0.49), true).unwrap();
        speaker.finish().unwrap();
        until(|| speaker.queued() == 0);
        std::thread::sleep(Duration::from_millis(300));
    }
    let log = speaker.sent_log();
    // 25 frames and the end marker, twice; the frame counter has run on in the pause.
    assert_eq!(log.len(), 52, "{log:?}");
    let gap = log[26].sequence - log[25].sequence;
    assert!((10..200).contains(&gap), "{gap}");
    assert!(log.windows(2).all(|pair| pair[0].sequence < pair[1].sequence));
    let on_the_grid =
        |pair: &[Sent]| (pair[1].sent_at_us - pair[0].sent_at_us) / 20_000 == pair[1].sequence - pair[0].sequence;
    assert!(log.windows(2).all(on_the_grid), "{log:?}");
    let frames = listener.frames();
    let starts: Vec<usize> = (0..52).filter(|at| frames[*at].spurt.start).collect();
    let ends: Vec<usize> = (0..52).filter(|at| frames[*at].spurt.end).collect();
    assert_eq!((starts, ends), (vec![0, 26], vec![25, 51]));
}

#[test]
fn who_pauses_without_a_word_is_silent_soon() {
    let world = World::new();
    let listener = world.listener(Via::Quic, Protocol::Lite05);
    let speaker = world.speaker(Via::Quic, Protocol::Moqt18, 0);
    for _ in 0..2 {
        speaker.push_pcm(voice(0.2), true).unwrap();
        until(|| speaker.queued() == 0);
        std::thread::sleep(Duration::from_millis(300));
    }
    let log = speaker.sent_log();
    assert_eq!(log.len(), 20, "the markers are not owed to listeners: {log:?}");
    let mut frames = listener.frames();
    frames.retain(|frame| !frame.spurt.end);
    let starts: Vec<usize> = (0..20).filter(|at| frames[*at].spurt.start).collect();
    assert_eq!(starts, [0, 10]);
    assert_eq!(names(0, &frames), log.iter().map(|sent| sent.hash).collect::<Vec<_>>());
}

#[test]
fn opus_goes_through_untouched_and_what_is_none_is_refused() {
    let world = World::new();
    let listener = world.listener(Via::WebTransport, Protocol::Lite05);
    let speaker = world.speaker(Via::WebTransport, Protocol::Moqt18, 2);
    let packet = |n: u8| Bytes::from(vec![0xf8, n, 1, 2, 3]);
    for n in 0..10 {
        speaker.push_opus(packet(n), Level(0x80 | 33), Spurt { start: false, end: n == 9 }, true).unwrap();
    }
    let mut heard = Vec::new();
    until(|| {
        heard.extend(listener.frames());
        heard.len() == 10
    });
    assert!((0..10).all(|n| heard[n as usize].opus == packet(n) && heard[n as usize].level == Level(0x80 | 33)));
    assert!(heard[0].spurt.start && heard[9].spurt.end);
    for bad in [&b""[..], &[0x70, 1], &[0xf8; 600]] {
        let refused = speaker.push_opus(Bytes::copy_from_slice(bad), Level(0), Spurt::default(), false);
        assert!(matches!(refused, Err(ClientError::Codec(_))));
    }
    let full = speaker.push_pcm(std::iter::repeat_n(0, 3_001 * 960), true);
    assert!(matches!(full, Err(ClientError::Io(_))));
}

#[test]
fn the_mixed_sound_is_the_voice() {
    let world = World::new();
    let listener = world.listener(Via::WebTransport, Protocol::Moqt18);
    let speaker = world.speaker(Via::WebTransport, Protocol::Lite05, 1);
    assert!(listener.blocks().is_empty());
    speaker.push_pcm(voice(1.0), true).unwrap();
    let mut sound = Vec::new();
    until(|| {
        sound.extend(listener.blocks().into_iter().flatten());
        sound.len() >= 48_000 * 3 / 2
    });
    let energy = |samples: &[i16]| samples.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>();
    let spoken = energy(&voice(1.0));
    assert!((0.6..1.4).contains(&(energy(&sound) / spoken)), "{}", energy(&sound) / spoken);
    let mut now = vec![1i16; 960];
    listener.pull(&mut now);
    assert!(listener.stats().playout.decoded_samples >= 40_000);
}

#[test]
fn refusals_carry_the_policys_code() {
    let mut world = World::new();
    let state = |destination: Destination, seat: Option<u8>| match seat {
        Some(seat) => {
            let seat = SeatNo::new(seat).unwrap();
            let speaker =
                Speaker::connect(SpeakerConfig { destination, seat, encoder: EncoderConfig::default() }).unwrap();
            until(|| speaker.state() != State::Connecting);
            speaker.state()
        }
        None => {
            let listener = Listener::connect(&ListenerConfig {
                destination,
                playout: PlayoutConfig::default(),
                heard: Heard::Stage,
                captions: false,
            })
            .unwrap();
            until(|| listener.state() != State::Connecting);
            listener.state()
        }
    };
    let refused = |code: &str| State::Over(ClientError::Refused(code.into()));
    for (via, protocol) in EVERY_WAY.into_iter().take(3) {
        let to = |account| world.destination(via, protocol, account);
        assert_eq!(state(to(Some(101)), Some(0)), refused("role.forbidden"), "another's seat {via:?} {protocol:?}");
        assert_eq!(state(to(None), Some(0)), refused("role.forbidden"));
        let mut bad = to(None);
        bad.token = Some("no.token.atall".into());
        assert_eq!(state(bad, None), refused("auth.token_invalid"));
        let mut elsewhere = to(None);
        elsewhere.url = elsewhere.url.replace(&SPACE.to_string(), "nobody");
        assert_eq!(state(elsewhere, None), refused("space.not_found"));
        let mut pinned = to(None);
        pinned.trust = Trust::Hashes(vec![[7; 32]]);
        assert!(matches!(state(pinned, None), State::Over(ClientError::Protocol(_))));
    }
    world.table(false);
    for (via, protocol) in EVERY_WAY {
        assert_eq!(state(world.destination(via, protocol, None), None), refused("auth.token_missing"));
    }
}

#[test]
fn the_end_of_a_space_and_of_a_server_is_told() {
    let world = World::new();
    let listener = world.listener(Via::WebTransport, Protocol::Moqt18);
    let speaker = world.speaker(Via::Quic, Protocol::Moqt18, 0);
    world.server.apply(&Command::EndSpace { space: SPACE, version: 9 }).unwrap();
    let ended = State::Over(ClientError::Refused("state.ended".into()));
    until(|| listener.state() == ended && speaker.state() == ended);
    assert_eq!(speaker.push_silence(false), Err(ClientError::Refused("state.ended".into())));
    let closed = world.speaker_closed();
    assert_eq!(closed, State::Over(ClientError::NotOpen));
}

impl World {
    fn speaker_closed(&self) -> State {
        let other = SpaceId(SPACE.0 + 1);
        let table = SpaceTable {
            live: true,
            record: false,
            guests: true,
            ticketed: false,
            mic_open: true,
            mix: true,
            mix_for: MixFor::Nobody,
            started_at_ms: unix() * 1_000,
            stage: Vec::new(),
        };
        self.server.apply(&Command::UpsertSpace { space: other, version: 1, table }).unwrap();
        let mut destination = self.destination(Via::WebTransport, Protocol::Moqt18, None);
        destination.url = destination.url.replace(&SPACE.to_string(), &other.to_string());
        let listener = Listener::connect(&ListenerConfig {
            destination,
            playout: PlayoutConfig::default(),
            heard: Heard::Stage,
            captions: false,
        })
        .unwrap();
        until(|| listener.state() == State::Live);
        listener.close();
        until(|| listener.state() != State::Live);
        until(|| self.server.stats().unwrap().shards[0].sessions == 0);
        listener.state()
    }
}

#[test]
fn a_load_of_listeners_loses_nothing_and_knows_when_everything_came() {
    let world = World::new();
    let destination = world.destination(Via::Quic, Protocol::Moqt18, None);
    let load = ListenerLoad::start(&LoadConfig { destination, listeners: 50, joins_per_second: 1_000 }).unwrap();
    until(|| load.progress() == (50, 0));
    let speakers =
        [world.speaker(Via::Quic, Protocol::Moqt18, 0), world.speaker(Via::WebTransport, Protocol::Lite05, 1)];
    for speaker in &speakers {
        speaker.push_pcm(voice(1.0), true).unwrap();
        speaker.finish().unwrap();
    }
    until(|| speakers.iter().all(|speaker| speaker.queued() == 0));
    std::thread::sleep(Duration::from_millis(300));
    let sent: Vec<Sent> = speakers.iter().flat_map(Speaker::sent_log).collect();
    assert_eq!(load.stats().ledger.delivered, 0);
    load.add_sent(sent.iter().map(|sent| (sent.hash, sent.sent_at_us)));
    let stats = load.stats();
    let owed = sent.len() as u64 * 50;
    assert!(sent.len() >= 100);
    let ledger = &stats.ledger;
    assert_eq!(
        (ledger.expected, ledger.delivered, ledger.duplicates, ledger.unmatched, ledger.corrupt),
        (owed, owed, 0, 0, 0)
    );
    assert_eq!(ledger.latency.iter().map(|(_, frames)| frames).sum::<u64>(), owed);
    assert!(ledger.p50_us > 0 && ledger.p50_us <= ledger.p99_us && ledger.p99_us < 2_000_000, "{ledger:?}");
    assert!(stats.join_p50_us > 0 && stats.join_p50_us <= stats.join_p99_us);
    assert!(load.received().iter().all(|received| *received == sent.len() as u64));
    load.close();
    until(|| load.is_over());
    until(|| world.server.stats().unwrap().shards[0].sessions == 2);
}
