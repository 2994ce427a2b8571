//! A bad disk below a whole server: those who listen live notice nothing, and what is not recorded is marked.

use std::collections::BTreeSet;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use spaces_core::codec::EncoderConfig;
use spaces_core::command::{Command, MixFor, Role, SpaceTable, StageRow};
use spaces_core::ids::AccountId;
use spaces_core::playout::PlayoutConfig;
use spaces_core::segment::GapCause;
use spaces_core::uplink::{Level, Spurt};
use spaces_net::client::listener::{Heard, Listener, ListenerConfig};
use spaces_net::client::speaker::{Speaker, SpeakerConfig};
use spaces_net::client::{Destination, State};
use spaces_net::identity::Identity;
use spaces_net::quic::Trust;
use spaces_net::recorder::RecorderConfig;
use spaces_net::server::{Server, ServerConfig};
use spaces_net::token::{TokenSigner, TokenSpec};

use super::feed::{Log, SPACE, assert_accounted, read, seat};
use super::memory::Memory;
use super::tools;

const LISTENERS: usize = 20;
const SPEAKER: u64 = 100;
/// What one write takes on the slow disk, and one made durable.
const SLOW: Duration = Duration::from_millis(800);
const FULL_FOR: Duration = Duration::from_secs(2);

fn unix_ms() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !done() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A live Space that is recorded and mixed, with one speaker and many listeners.
struct Room {
    server: Server,
    speaker: Speaker,
    listeners: Vec<Listener>,
    voice: Vec<Bytes>,
}

impl Room {
    fn open(memory: &Memory, queue_items: usize) -> Self {
        let identity = Identity::development(["localhost"]).unwrap();
        let signer = TokenSigner::generate("issuer", "audience").unwrap();
        let mut config = ServerConfig::new("127.0.0.1:0".parse().unwrap(), identity, signer.verifier());
        let storage = memory.shared();
        config.recordings = Some(RecorderConfig { queue_items, storage, ..RecorderConfig::new("/recordings") });
        let server = Server::start(config).unwrap();
        let row = StageRow {
            seat: seat(0),
            account: AccountId(SPEAKER),
            role: Role::Speaker,
            muted: false,
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
            started_at_ms: unix_ms(),
            stage: vec![row],
        };
        server.apply(&Command::UpsertSpace { space: SPACE, version: 1, table }).unwrap();
        let url = format!("https://127.0.0.1:{}/spaces/{SPACE}", server.local_addr().port());
        let destination = Destination::new(url, Trust::Hashes(vec![server.certificate_sha256()]));
        let heard = ListenerConfig {
            destination: destination.clone(),
            playout: PlayoutConfig::default(),
            heard: Heard::Stage,
            captions: false,
        };
        let listeners: Vec<_> = (0..LISTENERS).map(|_| Listener::connect(&heard).unwrap()).collect();
        until("everybody listens", || listeners.iter().all(|listener| listener.state() == State::Live));
        // Frames are kept from the first time that somebody asks for them.
        assert!(listeners.iter().all(|listener| listener.frames().is_empty()));
        let expires_at = unix_ms() / 1_000 + 60;
        let spec = TokenSpec { account: Some(SPEAKER), sid: SPEAKER, expires_at, ..TokenSpec::default() };
        let destination = Destination { token: Some(signer.mint(&spec)), ..destination };
        let config = SpeakerConfig { destination, seat: seat(0), encoder: EncoderConfig::default() };
        let speaker = Speaker::connect(config).unwrap();
        until("on air", || speaker.state() == State::Live);
        Self { server, speaker, listeners, voice: tools::voice().into_iter().map(Bytes::from).collect() }
    }

    /// Says so many packets of 20 ms without a pause and waits until they are sent.
    fn say(&self, packets: usize, first: bool) {
        for (at, packet) in self.voice.iter().cycle().take(packets).enumerate() {
            let spurt = Spurt { start: first && at == 0, end: false };
            self.speaker.push_opus(packet.clone(), Level(0x80 | 20), spurt, true).unwrap();
        }
        until("said", || self.speaker.queued() == 0);
    }

    /// Nobody lacks what another has got: what was heard. The recording is finished, on a disk that is good by now.
    fn close(self, memory: &Memory, said: usize) -> (BTreeSet<u64>, Log) {
        // What the server heard of the last packet and of its repetition has arrived.
        std::thread::sleep(Duration::from_millis(500));
        let heard: Vec<BTreeSet<u64>> = (self.listeners.iter())
            .map(|listener| listener.frames().iter().map(|frame| frame.group).collect())
            .collect();
        let all: BTreeSet<u64> = heard.iter().flatten().copied().collect();
        for (listener, heard) in heard.iter().enumerate() {
            let lacks: Vec<_> = all.difference(heard).collect();
            assert!(lacks.is_empty(), "listener {listener} lacks {lacks:?}");
        }
        assert!(all.len() * 50 >= said * 49, "{} of {said} frames were heard", all.len());
        self.server.apply(&Command::EndSpace { space: SPACE, version: 2 }).unwrap();
        self.server.stop();
        (all, read(&memory.log(1)))
    }
}

/// Every group that was heard is in the recording or in one of its gaps. Returns what is in gaps of `cause`.
fn marked(heard: &BTreeSet<u64>, log: &Log, cause: GapCause) -> u64 {
    assert!(log.closed, "the recording is complete");
    assert_accounted(log, heard.iter().copied());
    log.gaps.iter().filter(|gap| gap.2 == cause).map(|gap| gap.1).sum()
}

#[test]
fn a_disk_that_takes_most_of_a_second_a_write_costs_no_listener_a_frame() {
    let memory = Memory::default();
    // So few that the disk cannot keep up: one write takes as long as forty ticks.
    let room = Room::open(&memory, 64);
    room.say(50, true);
    memory.with(|inner| inner.slow = SLOW);
    room.say(250, false);
    memory.with(|inner| inner.slow = Duration::ZERO);
    room.say(50, false);
    let (heard, log) = room.close(&memory, 350);
    assert!(marked(&heard, &log, GapCause::Queue) > 50, "{:?}", log.gaps);
    assert!(log.ticks.len() > 100, "{} ticks are there, too", log.ticks.len());
}

#[test]
fn a_disk_that_is_full_for_two_seconds_costs_no_listener_a_frame() {
    let memory = Memory::default();
    let room = Room::open(&memory, RecorderConfig::new("/recordings").queue_items);
    room.say(50, true);
    memory.with(|inner| inner.room = Some(100));
    room.say(FULL_FOR.as_millis() as usize / 20, false);
    memory.with(|inner| inner.room = None);
    // Until the recorder has tried again, and 3 s more.
    room.say(200, false);
    let (heard, log) = room.close(&memory, 50 + 100 + 200);
    assert!(marked(&heard, &log, GapCause::Storage) > 50, "{:?}", log.gaps);
    let last = heard.last().unwrap();
    assert!(log.ticks.range(last - 20..=*last).count() > 15, "it is recorded again");
}
