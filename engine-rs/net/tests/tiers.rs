//! Listeners who follow what they are told to hear, over real sockets.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a test: its helpers may fail as they may

mod common;

use std::time::{Duration, Instant};

use bytes::Bytes;
use common::{SPACE, World, now_ms};
use spaces_core::codec::EncoderConfig;
use spaces_core::command::{Command, MixFor};
use spaces_core::engine::Tier;
use spaces_core::ids::SeatNo;
use spaces_core::playout::PlayoutConfig;
use spaces_moqt::seam::Protocol;
use spaces_net::client::listener::{Heard, Listener, ListenerConfig};
use spaces_net::client::speaker::{Speaker, SpeakerConfig};
use spaces_net::client::{Destination, State, Via};
use spaces_net::quic::Trust;
use spaces_net::token::TokenSpec;

fn destination(world: &World, spec: Option<TokenSpec>, protocol: Protocol) -> Destination {
    let url = format!("https://127.0.0.1:{}/spaces/{SPACE}", world.server.local_addr().port());
    let mut to = Destination::new(url, Trust::Hashes(vec![world.server.certificate_sha256()]));
    (to.via, to.protocol) = (Via::Quic, protocol);
    to.token = spec.map(|spec| world.signer.mint(&TokenSpec { expires_at: now_ms() / 1_000 + 60, ..spec }));
    to
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !done() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn world(shards: u16) -> World {
    let mut world = World::new(shards);
    world.upsert();
    let state = Command::SetState { space: SPACE, version: 1, snapshot: Bytes::from_static(b"{}") };
    world.server.apply(&state).unwrap();
    world
}

fn speaker(world: &World, dtx: bool) -> Speaker {
    let spec = TokenSpec { account: Some(100), sid: 100, ..TokenSpec::default() };
    let encoder = EncoderConfig { complexity: 5, dtx, ..EncoderConfig::default() };
    let destination = destination(world, Some(spec), Protocol::Moqt18);
    let speaker = Speaker::connect(SpeakerConfig { destination, seat: SeatNo::new(0).unwrap(), encoder }).unwrap();
    until("on air", || speaker.state() == State::Live);
    speaker
}

fn listener(world: &World, heard: Heard, protocol: Protocol) -> Listener {
    let destination = destination(world, None, protocol);
    let config = ListenerConfig { destination, playout: PlayoutConfig::default(), heard, captions: false };
    let listener = Listener::connect(&config).unwrap();
    until("subscribed", || listener.state() == State::Live);
    listener
}

fn tone(seconds: usize) -> Vec<i16> {
    let sample = |n: usize| (6_000.0 * (n as f64 * 440.0 * std::f64::consts::TAU / 48_000.0).sin()) as i16;
    (0..seconds * 48_000).map(sample).collect()
}

fn rms(pcm: &[i16]) -> f64 {
    (pcm.iter().map(|&s| f64::from(s).powi(2)).sum::<f64>() / pcm.len() as f64).sqrt()
}

#[test]
fn listeners_are_moved_to_the_mix_and_back_while_they_hear_on() {
    for (shards, protocol) in [(1, Protocol::Moqt18), (2, Protocol::Lite05)] {
        let mut world = world(shards);
        let ears: Vec<_> = (0..3).map(|_| listener(&world, Heard::Told { save_data: false }, protocol)).collect();
        let stays = listener(&world, Heard::Stage, protocol);
        let speaker = speaker(&world, false);
        speaker.push_pcm(tone(30), true).unwrap();
        ears.iter().for_each(|ear| assert!(ear.blocks().is_empty()));
        let everybody = |tier: Tier| ears.iter().all(|ear| ear.stats().tier == tier);
        let mut heard: Vec<Vec<i16>> = vec![Vec::new(); ears.len()];
        let hear = |heard: &mut Vec<Vec<i16>>| {
            for (ear, heard) in ears.iter().zip(heard) {
                heard.extend(ear.blocks().concat());
            }
        };
        until("the tone is heard", || ears.iter().all(|ear| ear.stats().playout.decoded_samples > 48_000));
        hear(&mut heard);
        heard.iter_mut().for_each(Vec::clear);
        for (mix_for, tier) in [(MixFor::Everybody, Tier::Mix), (MixFor::Nobody, Tier::Stage)] {
            world.mix_for = mix_for;
            world.upsert();
            until("all have changed", || {
                hear(&mut heard);
                everybody(tier)
            });
            // The old subscription is given up: nothing more than the one track comes.
            let before: Vec<_> = ears.iter().map(|ear| ear.stats().frames).collect();
            std::thread::sleep(Duration::from_millis(1_500));
            hear(&mut heard);
            for (ear, before) in ears.iter().zip(before) {
                let came = ear.stats().frames - before;
                assert!(if tier == Tier::Mix { (10..45).contains(&came) } else { came > 45 }, "{tier:?}: {came}");
            }
        }
        for (ear, heard) in ears.iter().zip(&heard) {
            let stats = ear.stats();
            assert_eq!((stats.changes, stats.refused, stats.playout.restarts), (2, 0, 0), "{stats:?}");
            // What the machine itself was too busy to play is made up for, not silent.
            let quiet = heard.chunks_exact(960).filter(|block| rms(block) < 1_500.0).count();
            assert!(quiet as u64 <= 10 * stats.playout.stalls, "{quiet} quiet blocks: {stats:?}");
        }
        assert_eq!((stays.stats().tier, stays.stats().changes), (Tier::Stage, 0));
    }
}

#[test]
fn who_saves_data_hears_the_mix_where_there_is_one_and_the_stage_elsewhere() {
    let mut world = world(1);
    let saver = listener(&world, Heard::Told { save_data: true }, Protocol::Moqt18);
    let speaker = speaker(&world, false);
    speaker.push_pcm(tone(20), true).unwrap();
    until("the mix", || saver.stats().tier == Tier::Mix);
    saver.save_data(false);
    until("the stage", || saver.stats().tier == Tier::Stage);
    world.mix = false;
    world.upsert();
    let without = listener(&world, Heard::Told { save_data: true }, Protocol::Lite05);
    let frames = without.stats().frames;
    until("the stage, as there is no mix", || without.stats().frames > frames + 10);
    assert_eq!(without.stats().tier, Tier::Stage);
}

#[test]
fn a_second_of_silence_costs_a_listener_less_than_a_packet_on_either_tier() {
    for heard in [Heard::Stage, Heard::Mix, Heard::Told { save_data: false }] {
        let world = world(1);
        let _listeners: Vec<_> = (0..10).map(|_| listener(&world, heard, Protocol::Moqt18)).collect();
        let speaker = speaker(&world, true);
        speaker.push_pcm(tone(1), true).unwrap();
        until("said", || speaker.queued() == 0);
        std::thread::sleep(Duration::from_millis(2_000));
        let sent =
            || world.server.stats().unwrap().shards.iter().map(|shard| shard.endpoint.sent.datagrams).sum::<u64>();
        let before = sent();
        std::thread::sleep(Duration::from_secs(10));
        let each = (sent() - before) as f64 / 10.0 / 11.0;
        println!("{heard:?}: {each} packets a second and session");
        assert!(each < 1.0, "{heard:?}: {each}");
    }
}
