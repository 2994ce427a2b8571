//! The mix, captions and services over real sockets.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a test: its helpers may fail as they may

mod common;

use std::time::{Duration, Instant};

use bytes::Bytes;
use common::{EVERY_WAY, SPACE, Via, World, now_ms, packet, row};
use spaces_core::codec::EncoderConfig;
use spaces_core::ids::SeatNo;
use spaces_core::mix_bundle;
use spaces_core::playout::PlayoutConfig;
use spaces_core::refusal::Refusal;
use spaces_core::uplink::packet_samples;
use spaces_moqt::seam::Protocol;
use spaces_net::client::listener::{Heard, Listener, ListenerConfig};
use spaces_net::client::speaker::{Speaker, SpeakerConfig};
use spaces_net::client::tap::SeatTap;
use spaces_net::client::{ClientError, Destination, State, Via as ClientVia};
use spaces_net::quic::Trust;
use spaces_net::server::ServerError;
use spaces_net::token::TokenSpec;

fn seat(number: u8) -> SeatNo {
    SeatNo::new(number).unwrap()
}

fn destination(world: &World, spec: Option<TokenSpec>) -> Destination {
    let url = format!("https://127.0.0.1:{}/spaces/{SPACE}", world.server.local_addr().port());
    let mut to = Destination::new(url, Trust::Hashes(vec![world.server.certificate_sha256()]));
    to.via = ClientVia::Quic;
    to.token = spec.map(|spec| world.signer.mint(&TokenSpec { expires_at: now_ms() / 1_000 + 60, ..spec }));
    to
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(15);
    while !done() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn speaker(world: &World, number: u8) -> Speaker {
    let account = 100 + u64::from(number);
    let spec = TokenSpec { account: Some(account), sid: account, ..TokenSpec::default() };
    let encoder = EncoderConfig { complexity: 5, dtx: false, ..EncoderConfig::default() };
    let config = SpeakerConfig { destination: destination(world, Some(spec)), seat: seat(number), encoder };
    let speaker = Speaker::connect(config).unwrap();
    until("on air", || speaker.state() == State::Live);
    speaker
}

fn listener(world: &World, heard: Heard, captions: bool) -> Listener {
    let config =
        ListenerConfig { destination: destination(world, None), playout: PlayoutConfig::default(), heard, captions };
    let listener = Listener::connect(&config).unwrap();
    until("subscribed", || listener.state() != State::Connecting);
    listener
}

fn service(sid: u64) -> TokenSpec {
    TokenSpec { sid, service: true, ..TokenSpec::default() }
}

const TONES: [f64; 4] = [400.0, 700.0, 1_100.0, 1_600.0];

fn tone(hz: f64, seconds: usize) -> Vec<i16> {
    let sample = |n: usize| (4_000.0 * (n as f64 * hz * std::f64::consts::TAU / 48_000.0).sin()) as i16;
    (0..seconds * 48_000).map(sample).collect()
}

/// The amplitude of `hz` in `pcm`.
fn amplitude(hz: f64, pcm: &[i16]) -> f64 {
    let turn = |n: usize| n as f64 * hz * std::f64::consts::TAU / 48_000.0;
    let sum = |f: &dyn Fn(f64) -> f64| pcm.iter().enumerate().map(|(n, &s)| f64::from(s) * f(turn(n))).sum::<f64>();
    2.0 * sum(&f64::sin).hypot(sum(&f64::cos)) / pcm.len() as f64
}

#[test]
fn a_listener_of_the_mix_hears_four_speakers_and_one_of_them_no_more_when_he_is_muted() {
    for shards in [1, 3] {
        let mut world = World::new(shards);
        world.stage = (0..4).map(|number| row(number, 100 + u64::from(number), false)).collect();
        world.upsert();
        let ears: Vec<_> = (0..if shards == 1 { 1 } else { 6 }).map(|_| listener(&world, Heard::Mix, false)).collect();
        let speakers: Vec<_> = (0..4).map(|number| speaker(&world, number)).collect();
        ears.iter().for_each(|ear| assert!(ear.packets().is_empty() && ear.blocks().is_empty()));
        for (speaker, hz) in speakers.iter().zip(TONES) {
            speaker.push_pcm(tone(hz, 4), true).unwrap();
        }
        std::thread::sleep(Duration::from_millis(2_000));
        world.stage[2].muted = true;
        let fence = world.upsert().fence_group;
        let answered = ears.iter().map(Listener::blocks).collect::<Vec<_>>();
        std::thread::sleep(Duration::from_millis(1_500));
        for (ear, before) in ears.iter().zip(answered) {
            let sound = |blocks: &[Vec<i16>]| blocks.concat();
            let (before, after) = (sound(&before[before.len() - 50..]), ear.blocks());
            let after = sound(&after[after.len() - 50..]);
            for (number, hz) in TONES.into_iter().enumerate() {
                let (was, is) = (amplitude(hz, &before), amplitude(hz, &after));
                assert!((2_500.0..5_000.0).contains(&was), "{shards} shards, speaker {number} before: {was}");
                let heard = if number == 2 { is < 40.0 } else { (2_500.0..5_000.0).contains(&is) };
                assert!(heard, "{shards} shards, speaker {number} after: {is}");
            }
            let packets = ear.packets();
            assert!(packets.iter().filter(|heard| heard.packet.seats() == 0b1111).count() > 10);
            assert!(packets.iter().filter(|heard| heard.packet.seats() == 0b1011).count() > 10);
            for heard in packets {
                assert!(heard.packet.seats() & 0b100 == 0 || heard.packet.group <= fence, "after the fence");
            }
            let stats = ear.stats();
            assert!(stats.frames > 45 && stats.refused == 0, "{stats:?}");
            // What was under way at the mute is a hole of a packet or two.
            assert!(stats.lost <= 9, "{stats:?}");
            assert!(stats.playout.decoded_samples > 100_000, "{stats:?}");
        }
        let stats = world.server.stats().unwrap();
        assert!(stats.mixers[0].packets > 50 && stats.mixers[0].dropped == 0, "{stats:#?}");
    }
}

#[test]
fn a_mixer_with_nothing_to_do_does_nothing() {
    let world = World::new(1);
    let speaker = speaker(&world, 0);
    speaker.push_pcm(tone(400.0, 1), true).unwrap();
    speaker.finish().unwrap();
    until("said", || speaker.queued() == 0);
    let mixer = || world.server.stats().unwrap().mixers[0];
    std::thread::sleep(Duration::from_millis(1_000));
    let before = mixer();
    assert!(before.packets > 15 && before.spaces == 1);
    std::thread::sleep(Duration::from_millis(1_000));
    assert_eq!(mixer(), before);
}

#[test]
fn plain_players_get_opus_packets_on_streams_and_ours_datagrams_over_every_transport() {
    let mut world = World::new(1);
    let keys = EVERY_WAY.map(|via| (via, world.listener(via, &["mix", "mix.groups"])));
    let speaker = world.speaker(Via::Raw(Protocol::Moqt18), 0);
    world.talk(120, |world, n| world.say(speaker, n, &packet(0, n)));
    world.turn_for(Duration::from_millis(400));
    for (via, key) in keys {
        let got = world.peer(key).got.clone();
        let (mix, groups): (Vec<_>, Vec<_>) = got.iter().partition(|got| got.track == "mix");
        assert!(mix.len() >= 38 && mix.iter().all(|got| got.datagram), "{via:?}: {}", mix.len());
        assert!(groups.len() >= 38 && groups.iter().all(|got| !got.datagram), "{via:?}: {}", groups.len());
        let mut decoder = spaces_core::codec::OpusDecoder::new().unwrap();
        let mut talked = 0;
        for datagram in mix {
            let packet = mix_bundle::parse(datagram.header.group, &datagram.payload).unwrap();
            talked += u64::from(packet.ticks) * u64::from(packet.seats() == 1);
            let same = groups.iter().find(|got| got.header.timestamp == datagram.header.timestamp);
            // Where sound begins packets of different phases begin together, and are not as long.
            let same = same.filter(|same| packet_samples(&same.payload) == packet_samples(&packet.opus));
            assert!(same.is_none_or(|same| same.payload == packet.opus), "{via:?}");
            let mut pcm = vec![0; usize::from(packet.ticks) * 960];
            spaces_core::mix_receiver::MixDecoder::decode(&mut decoder, &packet.opus, &mut pcm).unwrap();
        }
        assert!(talked >= 110, "{via:?}: {talked}");
    }
}

#[test]
fn a_seat_holder_and_a_service_get_no_mix_and_a_space_may_have_none() {
    let mut world = World::new(1);
    let token = world.token(Some(100));
    let holder = world.dial(Via::Raw(Protocol::Moqt18), Some(&token), &["mix"], Some(0));
    let tapped = world.signer.mint(&TokenSpec { expires_at: now_ms() / 1_000 + 60, ..service(9) });
    let tap = world.dial(Via::Raw(Protocol::Moqt18), Some(&tapped), &["mix", "stage", "captions", "state"], None);
    world.until("on air", |world| world.on_air(holder));
    world.talk(50, |world, n| world.say(holder, n, &packet(0, n)));
    assert!(world.peer(holder).got.is_empty() && world.peer(holder).subscribed == ["mix"]);
    assert_eq!(world.peer(tap).subscribed, ["state"]);
    assert!(world.peer(tap).refused.iter().all(|(_, _, reason)| reason == Refusal::RoleForbidden.code()));
    assert_eq!(world.peer(tap).refused.len(), 3);
    world.mix = false;
    world.upsert();
    let token = world.token(Some(7));
    let late = world.dial(Via::Raw(Protocol::Moqt18), Some(&token), &["mix.groups"], None);
    world.until("refused", |world| world.peer(late).refused.len() == 1);
    assert_eq!(world.peer(late).refused[0].2, Refusal::TrackNotFound.code());
}

#[test]
fn captions_reach_everybody_everywhere_until_the_consent_is_withdrawn() {
    let mut world = World::new(3);
    world.stage[1].caption = true;
    world.upsert();
    let mut keys = Vec::new();
    for via in EVERY_WAY.into_iter().chain(EVERY_WAY) {
        world.another_address();
        keys.push((via, world.listener(via, &["captions"])));
    }
    let native = listener(&world, Heard::Mix, true);
    let line = |n: u64| Bytes::from(format!("{{\"seat\":1,\"text\":\"line {n}\"}}"));
    let say = |world: &World, number: u8, generation: u32, n: u64| {
        world.server.caption(SPACE, seat(number), generation, line(n))
    };
    for n in 0..6 {
        say(&world, 1, 1, n).unwrap();
        world.turn_for(Duration::from_millis(20));
    }
    for (via, key) in keys.clone() {
        world.until("the lines", |world| world.peer(key).got.len() == 6);
        let got = world.peer(key).got.clone();
        let lines: Vec<_> = got.iter().map(|got| got.payload.clone()).collect();
        assert_eq!(lines, (0..6).map(line).collect::<Vec<_>>(), "{via:?}");
        assert!(got.iter().all(|got| !got.datagram && got.header.object == 0));
    }
    let mut read = Vec::new();
    until("read", || {
        read.extend(native.lines());
        read.len() == 6
    });
    assert!(read.is_sorted_by(|one, next| one.group < next.group));
    let denied = |refusal| Err(ServerError::Denied(refusal));
    assert_eq!(say(&world, 0, 1, 0), denied(Refusal::CaptionsNoConsent));
    assert_eq!(say(&world, 1, 2, 0), denied(Refusal::CaptionsNoConsent));
    assert!(matches!(world.server.caption(SPACE, seat(1), 1, vec![b'x'; 4_097].into()), Err(ServerError::Refused(_))));
    world.stage[1].caption = false;
    world.upsert();
    assert_eq!(say(&world, 1, 1, 0), denied(Refusal::CaptionsNoConsent));
    // The table of the stage's shard decides; a line that it took is dropped elsewhere once that shard has the newer table.
    let late = world.listener(Via::Raw(Protocol::Moqt18), &["captions"]);
    world.turn_for(Duration::from_millis(100));
    assert!(world.peer(late).got.is_empty());
    for (_, key) in keys {
        assert_eq!(world.peer(key).got.len(), 6);
    }
}

#[test]
fn a_tap_gets_the_consenting_seats_and_is_nobody() {
    for shards in [1, 3] {
        let mut world = World::new(shards);
        world.guests = false;
        world.stage[1].caption = true;
        world.upsert();
        let tap = SeatTap::connect(&destination(&world, Some(service(5)))).unwrap();
        until("tapped", || tap.state() == State::Live);
        assert_eq!(world.server.counts(SPACE).unwrap().map(|c| c.named + c.anonymous + c.guests), Some(0));
        let speakers: Vec<_> = (0..2).map(|number| speaker(&world, number)).collect();
        speakers.iter().for_each(|speaker| speaker.push_pcm(tone(500.0, 4), true).unwrap());
        std::thread::sleep(Duration::from_millis(600));
        let heard = tap.frames();
        assert!(heard.len() > 20, "{}", heard.len());
        assert!(
            heard.iter().all(|frame| (frame.seat, frame.generation) == (seat(1), 1) && frame.level.minus_dbov() < 60)
        );
        // Withdrawn here, given there, and a seat that changes hands.
        world.stage[1].caption = false;
        world.stage[0].caption = true;
        let fence = world.upsert().fence_group;
        std::thread::sleep(Duration::from_millis(600));
        let heard = tap.frames();
        assert!(heard.iter().all(|frame| frame.seat == seat(0) || frame.group <= fence), "after the fence");
        assert!(heard.iter().filter(|frame| frame.seat == seat(0)).count() > 20);
        world.stage[0].generation = 2;
        let fence = world.upsert().fence_group;
        std::thread::sleep(Duration::from_millis(400));
        let heard = tap.frames();
        assert!(heard.iter().all(|frame| frame.generation == if frame.group <= fence { 1 } else { 2 }));
        assert_eq!(world.server.counts(SPACE).unwrap().map(|c| c.named), Some(2));
    }
}

#[test]
fn a_tap_needs_a_service_token() {
    let mut world = World::new(1);
    world.guests = false;
    world.upsert();
    let tap = SeatTap::connect(&destination(&world, None)).unwrap();
    until("refused", || tap.state() == State::Over(ClientError::Refused(Refusal::AuthTokenMissing.code().into())));
}
