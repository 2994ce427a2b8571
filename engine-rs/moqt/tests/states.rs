//! Every request stream's state against every message: what comes of it, as a table.
//!
//! `states.txt` is the table; after a change that is meant, run with `UPDATE=1` and read the difference.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "helpers of tests fail by panicking")]

mod support;

use std::fmt::Write;

use spaces_moqt::seam::*;
use spaces_moqt::session::Session;
use support::{Act, Port, hex, namespace, track};

const NAME: &str = "02 06737061636573 0137 057374616765";

fn message(kind: &str, body: &str) -> Vec<u8> {
    hex(&format!("{kind} {:04x} {body}", hex(body).len()))
}

/// The messages of draft-18, each as a peer of either end would send it after its first request.
fn messages(end: End) -> Vec<(&'static str, Vec<u8>)> {
    let id = if end == End::Server { "02" } else { "03" };
    let request = |kind: &str, rest: &str| message(kind, &format!("{id} {rest}"));
    vec![
        ("SETUP", message("af00", "")),
        ("GOAWAY", message("10", if end == End::Server { "00 00 01" } else { "00 00 00" })),
        ("REQUEST_UPDATE", request("02", "00")),
        ("SUBSCRIBE", request("03", &format!("{NAME} 00"))),
        ("SUBSCRIBE_OK", message("04", "07 00 08c0bb80")),
        ("REQUEST_ERROR", message("05", "03 00 00")),
        ("PUBLISH_NAMESPACE", request("06", "01 0161 00")),
        ("REQUEST_OK", message("07", "00")),
        ("NAMESPACE", message("08", "01 0162")),
        ("NAMESPACE_DONE", message("0e", "01 0163")),
        ("UNSUBSCRIBE (old)", message("0a", "")),
        ("PUBLISH_DONE", message("0b", "02 00 00")),
        ("TRACK_STATUS", request("0d", &format!("{NAME} 00"))),
        ("FETCH", request("16", "02 00 00 00")),
        ("PUBLISH", request("1d", &format!("{NAME} 07 00"))),
        ("SUBSCRIBE_NAMESPACE", request("50", "00 00")),
        ("SUBSCRIBE_TRACKS", request("51", "00 00")),
        ("unknown", message("3f", "")),
        ("FIN", vec![]),
        ("RESET", vec![]),
        ("STOP_SENDING", vec![]),
    ]
}

/// A session with one stream in some state.
struct Scene {
    session: Session,
    port: Port,
    stream: StreamId,
    bidi: bool,
}

impl Scene {
    fn new(end: End, setup: bool) -> Self {
        let mut port = Port::new(end);
        let mut session = Session::new(Protocol::Moqt18, end, Setup::default());
        session.start(&mut port);
        let control = StreamId(if end == End::Server { 2 } else { 3 });
        if setup {
            session.on_stream(&mut port, control, false, &message("af00", ""), false);
        }
        Self { session, port, stream: control, bidi: false }
    }

    fn feed(mut self, stream: u64, bytes: &[u8]) -> Self {
        self.stream = StreamId(stream);
        self.bidi = true;
        self.session.on_stream(&mut self.port, self.stream, true, bytes, false);
        self
    }

    /// The owner accepts or refuses what is asked.
    fn answer(mut self, accept: bool) -> Self {
        while let Some(event) = self.session.poll_event() {
            let SessionEvent::SubscribeRequested { id, .. } = event else { continue };
            if accept {
                self.session.accept_subscribe(&mut self.port, id);
            } else {
                self.session.reject_subscribe(&mut self.port, id, RequestError::DoesNotExist, "");
            }
        }
        self
    }
}

type State = (&'static str, End, fn() -> Scene);

/// Every state that a stream may be in, by name.
fn states() -> Vec<State> {
    vec![
        ("control stream, no SETUP yet", End::Server, || Scene::new(End::Server, false)),
        ("control stream", End::Server, || Scene::new(End::Server, true)),
        ("new request", End::Server, || Scene::new(End::Server, true).feed(0, &[])),
        ("their SUBSCRIBE", End::Server, || {
            Scene::new(End::Server, true).feed(0, &message("03", &format!("00 {NAME} 00")))
        }),
        ("their SUBSCRIBE, accepted", End::Server, || {
            Scene::new(End::Server, true).feed(0, &message("03", &format!("00 {NAME} 00"))).answer(true)
        }),
        ("their SUBSCRIBE, refused", End::Server, || {
            Scene::new(End::Server, true).feed(0, &message("03", &format!("00 {NAME} 00"))).answer(false)
        }),
        ("their SUBSCRIBE_NAMESPACE", End::Server, || {
            Scene::new(End::Server, true).feed(0, &message("50", "00 00 00"))
        }),
        ("their PUBLISH_NAMESPACE", End::Server, || {
            Scene::new(End::Server, true).feed(0, &message("06", "00 01 0161 00"))
        }),
        ("our SUBSCRIBE", End::Client, || {
            let mut scene = Scene::new(End::Client, true);
            scene.session.subscribe(&mut scene.port, track("spaces/7", "stage"));
            scene.feed(0, &[])
        }),
        ("our SUBSCRIBE, accepted", End::Client, || {
            let mut scene = Scene::new(End::Client, true);
            scene.session.subscribe(&mut scene.port, track("spaces/7", "stage"));
            scene.feed(0, &message("04", "07 00 08c0bb80"))
        }),
        ("our PUBLISH_NAMESPACE", End::Client, || {
            let mut scene = Scene::new(End::Client, true);
            scene.session.announce(&mut scene.port, namespace("a"));
            scene.feed(0, &[])
        }),
        ("our PUBLISH_NAMESPACE, accepted", End::Client, || {
            let mut scene = Scene::new(End::Client, true);
            scene.session.announce(&mut scene.port, namespace("a"));
            scene.feed(0, &message("07", "00"))
        }),
        ("our SUBSCRIBE_NAMESPACE", End::Client, || {
            let mut scene = Scene::new(End::Client, true);
            scene.session.solicit(&mut scene.port, vec![]);
            scene.feed(0, &[])
        }),
        ("our SUBSCRIBE_NAMESPACE, accepted, with c", End::Client, || {
            let mut scene = Scene::new(End::Client, true);
            scene.session.solicit(&mut scene.port, vec![]);
            scene.feed(0, &[message("07", "00"), message("08", "01 0163")].concat())
        }),
    ]
}

/// What a session did, in short.
fn told(event: &SessionEvent) -> String {
    match event {
        SessionEvent::Failed { reason, .. } => format!("Failed: {reason}"),
        SessionEvent::SubscribeRefused { code, .. } => format!("SubscribeRefused {code:#x}"),
        event => format!("{event:?}").split(&[' ', '(', '{'][..]).next().unwrap().to_owned(),
    }
}

fn done(act: &Act) -> String {
    match act {
        Act::Write { data, fin, .. } => {
            let fin = if *fin { " FIN" } else { "" };
            match data.first() {
                Some(kind) if *kind == 5 => format!("REQUEST_ERROR {:#x}{fin}", data[3]),
                Some(kind) => format!("{kind:#04x}{fin}"),
                None => fin.trim_start().to_owned(),
            }
        }
        Act::Reset { code, .. } => format!("RESET {code}"),
        Act::Stop { code, .. } => format!("STOP {code}"),
        Act::Close { code, .. } => format!("close {code:#x}"),
    }
}

#[test]
fn each_message_in_each_state() {
    let mut table = String::new();
    for (state, end, scene) in states() {
        writeln!(table, "{state}").unwrap();
        for (name, bytes) in messages(end) {
            let mut scene = scene();
            while scene.session.poll_event().is_some() {}
            scene.port.acts.clear();
            let Scene { mut session, mut port, stream, bidi } = scene;
            match name {
                "FIN" => session.on_stream(&mut port, stream, bidi, &[], true),
                "RESET" => session.on_reset(&mut port, stream, 0),
                "STOP_SENDING" => session.on_stopped(&mut port, stream, 0),
                _ => session.on_stream(&mut port, stream, bidi, &bytes, false),
            }
            let mut outcome: Vec<String> =
                std::iter::from_fn(|| session.poll_event()).map(|event| told(&event)).collect();
            outcome.extend(port.acts.iter().map(done));
            writeln!(table, "    {name:<20} {}", outcome.join("; ")).unwrap();
        }
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/states.txt");
    let lines: Vec<&str> = table.lines().map(str::trim_end).collect();
    let table = lines.join("\n") + "\n";
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, &table).unwrap();
    }
    assert_eq!(std::fs::read_to_string(path).unwrap(), table);
}
