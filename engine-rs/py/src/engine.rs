//! The running server as one Python object.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use spaces_core::command::Applied;
use spaces_core::event::{Event, EventKind};
use spaces_core::ids::{AccountId, SeatNo, SpaceId};
use spaces_net::crowd::CrowdSpec;
use spaces_net::identity::{Identity, IdentityError};
use spaces_net::recorder::{FileKind, FsyncPolicy, RecorderConfig};
use spaces_net::server::{Server, ServerConfig, ServerError, StartError};
use spaces_net::token::TokenVerifier;
use spaces_net::websocket::WebSocketConfig;

use crate::errors::{self, EngineError, detached};
use crate::{commands, stats};

/// People in a page of the roster: more would hold up a shard, and the interpreter.
const MOST_LISTED: usize = 10_000;
/// How long a file of the log may be, in milliseconds: a file has some hundred bytes of its own, and is what a broken disk
/// takes at once.
const SEGMENT_MS: RangeInclusive<u64> = 200..=60_000;

/// A running engine. `spaces_ctl.engine.Engine` is its face.
#[pyclass(frozen, module = "spaces_ctl._engine")]
pub(crate) struct NativeEngine {
    /// Taken by `stop`; calls in flight keep it alive until they return.
    server: Mutex<Option<Arc<Server>>>,
    address: SocketAddr,
    websocket: Option<SocketAddr>,
}

impl NativeEngine {
    fn server(&self) -> PyResult<Arc<Server>> {
        let server = self.server.lock().unwrap_or_else(PoisonError::into_inner);
        server.clone().ok_or_else(|| EngineError::new_err("the engine is closed"))
    }
}

/// Issuer, audience and public keys by id.
type Keys = (String, String, Vec<(String, [u8; 32])>);

fn verifier((issuer, audience, keys): Keys) -> TokenVerifier {
    TokenVerifier::new(issuer, audience, keys)
}

fn socket_address(host: &str, port: u16) -> PyResult<SocketAddr> {
    let address = host.parse().map_err(|_| errors::value(format!("{host:?} is not an IP address")))?;
    Ok(SocketAddr::new(address, port))
}

/// From PEM of certificate chain and key, or a development certificate for `names`.
fn identity(tls: Option<(Vec<u8>, Vec<u8>)>, names: Vec<String>) -> Result<Identity, IdentityError> {
    match tls {
        Some((chain, key)) => Identity::from_pem(&chain, &key),
        None => Identity::development(names),
    }
}

#[pymethods]
impl NativeEngine {
    /// Binds and starts the shard threads. `tls`: PEM of certificate chain and key, or None for a development
    /// certificate of two weeks for `names`. `fsync_ms`: 0 never, else every so many milliseconds.
    #[staticmethod]
    #[expect(clippy::too_many_arguments, reason = "keyword arguments of a dataclass in engine.py, its only caller")]
    #[pyo3(signature = (*, host, port, shards, pin_to, tls, names, keys, origins, recordings, fsync_ms, segment_ms, recording_tracks, max_sessions, connects_per_address, idle_timeout_ms, max_heard, reactions, reaction_rate, mix_frame_ms, mix_bitrate, websocket))]
    fn start(
        py: Python<'_>,
        host: &str,
        port: u16,
        shards: u16,
        pin_to: Vec<usize>,
        tls: Option<(Vec<u8>, Vec<u8>)>,
        names: Vec<String>,
        keys: Keys,
        origins: Vec<String>,
        recordings: Option<PathBuf>,
        fsync_ms: u64,
        segment_ms: u64,
        recording_tracks: bool,
        max_sessions: usize,
        connects_per_address: u32,
        idle_timeout_ms: u64,
        max_heard: u8,
        reactions: u8,
        reaction_rate: u16,
        mix_frame_ms: u8,
        mix_bitrate: u32,
        websocket: Option<(Option<(String, u16)>, bool)>,
    ) -> PyResult<Self> {
        if !matches!(mix_frame_ms, 20 | 40 | 60) {
            return Err(errors::value(format!("mix_frame_ms {mix_frame_ms} is none of 20, 40, 60")));
        }
        let bind = socket_address(host, port)?;
        let websocket = websocket
            .map(|(bind, plain)| {
                let bind = bind.map(|(host, port)| socket_address(&host, port)).transpose()?;
                PyResult::Ok(WebSocketConfig { bind, plain })
            })
            .transpose()?;
        let identity = identity(tls, names).map_err(|error| errors::StartFailed::new_err(error.to_string()))?;
        let mut config = ServerConfig::new(bind, identity, verifier(keys));
        config.shards = shards;
        config.pin_to = pin_to;
        config.origins = origins;
        config.max_sessions = max_sessions;
        config.connects_per_address = connects_per_address;
        config.idle_timeout = Duration::from_millis(idle_timeout_ms);
        config.max_heard = max_heard;
        config.reactions = reactions;
        config.reaction_rate = reaction_rate;
        config.mix.ticks = mix_frame_ms / 20;
        config.mix.bitrate = mix_bitrate;
        config.websocket = websocket;
        if !SEGMENT_MS.contains(&segment_ms) {
            let (least, most) = (SEGMENT_MS.start(), SEGMENT_MS.end());
            return Err(errors::value(format!("segment_ms {segment_ms} is not in {least} to {most}")));
        }
        config.recordings = recordings.map(|directory| {
            let mut recorder = RecorderConfig::new(directory);
            recorder.fsync = match fsync_ms {
                0 => FsyncPolicy::Never,
                every => FsyncPolicy::Every(Duration::from_millis(every)),
            };
            recorder.segment = Duration::from_millis(segment_ms);
            recorder.tracks = recording_tracks;
            recorder
        });
        let server = detached(py, move || Server::start(config))?.map_err(|error| errors::start(&error))?;
        let (address, websocket) = (server.local_addr(), server.websocket_addr());
        Ok(Self { server: Mutex::new(Some(Arc::new(server))), address, websocket })
    }

    /// `(host, port)` that peers dial.
    #[getter]
    fn address(&self) -> (String, u16) {
        (self.address.ip().to_string(), self.address.port())
    }

    /// `(host, port)` that peers over TCP dial; None: they may not.
    #[getter]
    fn websocket_address(&self) -> Option<(String, u16)> {
        self.websocket.map(|address| (address.ip().to_string(), address.port()))
    }

    /// SHA-256 of the leaf certificate (DER), as `serverCertificateHashes` wants it.
    #[getter]
    fn certificate_sha256(&self) -> PyResult<[u8; 32]> {
        Ok(self.server()?.certificate_sha256())
    }

    /// Whether the kernel gives each packet to the shard that it names.
    #[getter]
    fn steered(&self) -> PyResult<bool> {
        Ok(self.server()?.steered())
    }

    /// Starts one more shard, on `core` only if that is not None; its number.
    #[pyo3(signature = (core))]
    fn add_shard(&self, py: Python<'_>, core: Option<usize>) -> PyResult<u16> {
        let server = self.server()?;
        detached(py, move || server.add_shard(core))?.map_err(|error| match error {
            StartError::Server(error) => errors::server(py, &error),
            error => errors::start(&error),
        })
    }

    /// Whether `stop` has been called.
    #[getter]
    fn closed(&self) -> bool {
        self.server.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    /// An eventfd, readable while events wait. It lives as long as the engine.
    #[getter]
    fn event_fd(&self) -> PyResult<i32> {
        Ok(self.server()?.event_fd())
    }

    /// Events since the last call as tuples `(kind, at_us, space, …)`, and whether some were lost.
    fn drain_events<'py>(&self, py: Python<'py>) -> PyResult<(Vec<Bound<'py, PyTuple>>, bool)> {
        let drained = self.server()?.drain_events();
        let events = drained.events.iter().map(|event| tuple(py, event)).collect::<PyResult<_>>()?;
        Ok((events, drained.overflowed))
    }

    /// Carries out commands as rows (`commands.rs`), in order. For each the fence group, or the exception that it earned.
    fn apply<'py>(&self, py: Python<'py>, rows: Vec<Bound<'py, PyTuple>>) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let server = self.server()?;
        let commands = rows.iter().map(commands::command).collect::<PyResult<Vec<_>>>()?;
        let answers = detached(py, move || server.apply_all(commands))?;
        let answer = |answer: Result<Applied, ServerError>| match answer {
            Ok(applied) => Ok(applied.fence_group.into_pyobject(py)?.into_any()),
            Err(error) => Ok(errors::server(py, &error).into_value(py).into_bound(py).into_any()),
        };
        answers.into_iter().map(answer).collect()
    }

    /// Which of the accounts (bytes of an `array('Q')`) are in a Space: under their names, or `unnamed`.
    fn present(&self, py: Python<'_>, space: u64, accounts: &[u8], unnamed: bool) -> PyResult<Vec<u64>> {
        let (server, accounts) = (self.server()?, commands::numbers(accounts)?);
        detached(py, move || server.present(SpaceId(space), accounts, unnamed))?
            .map_err(|error| errors::server(py, &error))
    }

    /// A page of the roster as `(account, sid)`, and the `after` of the next one.
    #[expect(clippy::type_complexity, reason = "a row that engine.py gives its names")]
    fn roster(&self, py: Python<'_>, space: u64, after: u64, limit: usize) -> PyResult<(Vec<(u64, u64)>, Option<u64>)> {
        if !(1..=MOST_LISTED).contains(&limit) {
            return Err(errors::value(format!("limit {limit} is not in 1 to {MOST_LISTED}")));
        }
        let server = self.server()?;
        let (page, next) = detached(py, move || server.roster(SpaceId(space), AccountId(after), limit))?
            .map_err(|error| errors::server(py, &error))?;
        let page = page.into_iter().map(|listed| (listed.account.0, listed.sid.0)).collect();
        Ok((page, next.map(|account| account.0)))
    }

    /// An audience without connections.
    #[expect(clippy::too_many_arguments, reason = "keyword arguments of engine.py, its only caller")]
    #[pyo3(signature = (*, space, named, anonymous, guests, first_account, joins_per_second, churn_per_second, reactions_per_second))]
    fn inject(
        &self,
        py: Python<'_>,
        space: u64,
        named: u32,
        anonymous: u32,
        guests: u32,
        first_account: u64,
        joins_per_second: u32,
        churn_per_second: u32,
        reactions_per_second: u32,
    ) -> PyResult<()> {
        let server = self.server()?;
        let spec = CrowdSpec {
            named,
            first_account,
            anonymous,
            guests,
            joins_per_second,
            churn_per_second,
            reactions_per_second,
        };
        detached(py, move || server.inject(SpaceId(space), spec))?.map_err(|error| errors::server(py, &error))
    }

    /// An account in a Space reacts. Raises `Refused`.
    fn react(&self, py: Python<'_>, space: u64, account: u64, kind: u8) -> PyResult<()> {
        let server = self.server()?;
        detached(py, move || server.react(SpaceId(space), AccountId(account), kind))?
            .map_err(|error| errors::server(py, &error))
    }

    /// A line of captions of who sits on a seat since `generation`. Raises `Refused`, `InvalidTable` (too long).
    fn caption(&self, py: Python<'_>, space: u64, seat: u8, generation: u32, payload: &[u8]) -> PyResult<()> {
        let (server, line) = (self.server()?, Bytes::copy_from_slice(payload));
        let seat = SeatNo::new(seat).ok_or_else(|| errors::value(format!("seat {seat} is not in 0 to 12")))?;
        detached(py, move || server.caption(SpaceId(space), seat, generation, line))?
            .map_err(|error| errors::server(py, &error))
    }

    /// Checks tokens with these keys from now on.
    fn set_keys(&self, py: Python<'_>, keys: Keys) -> PyResult<()> {
        let server = self.server()?;
        detached(py, move || server.set_verifier(verifier(keys)))?.map_err(|error| errors::server(py, &error))
    }

    /// Shows this certificate to new connections from now on. `tls`, `names`: as in `start`.
    fn set_certificate(&self, py: Python<'_>, tls: Option<(Vec<u8>, Vec<u8>)>, names: Vec<String>) -> PyResult<()> {
        let server = self.server()?;
        let identity = identity(tls, names).map_err(|error| errors::CertificateRefused::new_err(error.to_string()))?;
        detached(py, move || server.set_identity(identity))?.map_err(|error| errors::renew(py, &error))
    }

    /// `(named, anonymous, guests, peak)`, or None for an unknown Space.
    fn counts(&self, py: Python<'_>, space: u64) -> PyResult<Option<(u32, u32, u32, u32)>> {
        let server = self.server()?;
        let counts =
            detached(py, move || server.counts(SpaceId(space)))?.map_err(|error| errors::server(py, &error))?;
        Ok(counts.map(|counts| (counts.named, counts.anonymous, counts.guests, counts.peak)))
    }

    /// One dictionary of counters a shard, and one a mixer's thread.
    #[expect(clippy::type_complexity, reason = "two lists that engine.py gives their names")]
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<(Vec<Bound<'py, PyDict>>, Vec<Bound<'py, PyDict>>)> {
        let server = self.server()?;
        let all = detached(py, move || server.stats())?.map_err(|error| errors::server(py, &error))?;
        let shards = all.shards.iter().map(|shard| stats::shard(py, shard)).collect::<PyResult<_>>()?;
        Ok((shards, all.mixers.iter().map(|mixer| stats::mixer(py, mixer)).collect::<PyResult<_>>()?))
    }

    /// Files of a Space's recording: `(path, kind, seat, account, part, start_group, duration_ms, bytes, finished)`.
    #[expect(clippy::type_complexity, reason = "a row that engine.py gives its names")]
    fn recordings(
        &self,
        py: Python<'_>,
        space: u64,
    ) -> PyResult<Vec<(PathBuf, &'static str, Option<u8>, Option<u64>, u32, u64, u64, u64, bool)>> {
        let server = self.server()?;
        let files = detached(py, move || server.recordings(SpaceId(space)))?
            .map_err(|error| EngineError::new_err(error.to_string()))?;
        Ok(files
            .into_iter()
            .map(|file| {
                let (kind, seat, account) = match file.kind {
                    FileKind::Log { .. } => ("log", None, None),
                    FileKind::Mix => ("mix", None, None),
                    FileKind::Track { seat, account } => ("track", Some(seat.get()), Some(account)),
                };
                let millis = u64::try_from(file.duration.as_millis()).unwrap_or(u64::MAX);
                (file.path, kind, seat, account, file.part, file.start_group, millis, file.bytes, file.finished)
            })
            .collect())
    }

    /// GOAWAY to everybody, then waits up to `patience_ms`; returns how many sessions are left.
    fn drain(&self, py: Python<'_>, uri: String, patience_ms: u64) -> PyResult<u64> {
        let server = self.server()?;
        detached(py, move || server.drain(&uri, Duration::from_millis(patience_ms)))?
            .map_err(|error| errors::server(py, &error))
    }

    /// Closes every session, ends the threads, finishes the recordings. May be called again.
    fn stop(&self, py: Python<'_>) -> PyResult<()> {
        let server = self.server.lock().unwrap_or_else(PoisonError::into_inner).take();
        detached(py, move || {
            // The last holder stops it: a call that another thread is in the middle of ends first.
            if let Some(server) = server.and_then(Arc::into_inner) {
                server.stop();
            }
        })
    }
}

fn tuple<'py>(py: Python<'py>, event: &Event) -> PyResult<Bound<'py, PyTuple>> {
    let (at, space) = (event.at.0, event.space.0);
    match event.kind {
        EventKind::Joined { account, sid } => ("joined", at, space, account.0, sid.0).into_pyobject(py),
        EventKind::Left { account, sid, lost } => ("left", at, space, account.0, sid.0, lost).into_pyobject(py),
        EventKind::SeatSpeaking { seat } => ("speaking", at, space, seat.get()).into_pyobject(py),
        EventKind::SeatOverBudget { seat, dropped } => {
            ("over_budget", at, space, seat.get(), dropped).into_pyobject(py)
        }
        EventKind::Counts(counts) => {
            ("counts", at, space, counts.named, counts.anonymous, counts.guests, counts.peak).into_pyobject(py)
        }
        EventKind::Reactions(tally) => {
            ("reactions", at, space, PyTuple::new(py, tally.counts().collect::<Vec<_>>())?).into_pyobject(py)
        }
        EventKind::RecordingGap { from_group, groups } => {
            ("recording_gap", at, space, from_group, groups).into_pyobject(py)
        }
    }
}
