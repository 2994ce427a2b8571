//! The server: its shards' threads, and what its owner may ask of them.
//!
//! Every method may be called from any thread. Those that wait do so for the shards' threads only, never for a peer.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::RawFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use spaces_core::budget::Rates;
use spaces_core::captions::MOST_CAPTION;
use spaces_core::command::ApplyError;
use spaces_core::engine::{Config, Engine, Listed};
use spaces_core::event::Counts;
use spaces_core::ids::{AccountId, SeatNo, SpaceId};
use spaces_core::mix_feed::Mixed;
use spaces_core::refusal::Refusal;

use crate::clock::Clock;
use crate::crowd::CrowdSpec;
use crate::endpoint::{Answering, Endpoint, EndpointError, Settings, Waker};
use crate::events::{Drained, EventQueue};
use crate::handshakes::WAITING;
use crate::identity::Identity;
use crate::mixer::{MixConfig, Mixers};
use crate::peer::Peer;
use crate::quic::{SetupError, server_crypto};
use crate::recorder::{Recorder, RecorderConfig, RecordingFile};
use crate::session::Desk;
use crate::shard::{Beside, Mail, Mailbox, Order, RecordPush, Shard};
use crate::stats::{ServerStats, ShardStats};
use crate::token::TokenVerifier;
use crate::websocket::{Limits, WebSocketConfig, WebSockets, server_tls};

/// How long a shard may take to answer. A turn takes milliseconds; past this its thread is stuck.
const PATIENCE: Duration = Duration::from_secs(10);
/// Connections beyond `max_sessions` on each shard, so that a peer that comes too late is told so in its own protocol.
const STANDING_ROOM: usize = 256;

/// How a server is set up.
pub struct ServerConfig {
    /// Where to bind; port 0 takes any.
    pub bind: SocketAddr,
    /// Threads, each with its own part of the audience.
    pub shards: u16,
    /// Core of each shard's thread, in order; shards without one go where the system likes.
    pub pin_to: Vec<usize>,
    /// Certificate and key.
    pub identity: Identity,
    /// Checks join tokens.
    pub verifier: TokenVerifier,
    /// Origins that pages may come from; empty: any.
    pub origins: Vec<String>,
    /// Where recordings are written; `None`: nowhere.
    pub recordings: Option<RecorderConfig>,
    /// Sessions at most, of all shards together.
    pub max_sessions: usize,
    /// Connections that one address (IPv6: a /64) may begin a second, twice as many at once; 0: any number. What is over
    /// is refused at its first packet.
    pub connects_per_address: u32,
    /// Without a packet for this long, a connection is lost.
    pub idle_timeout: Duration,
    /// How long a peer may be connected without having said who it is and what it wants.
    pub admission_timeout: Duration,
    /// Loudest seats heard at once.
    pub max_heard: u8,
    /// What one seat may send.
    pub rates: Rates,
    /// Kinds of reactions.
    pub reactions: u8,
    /// Reactions a second that one session may send; twice as many at once.
    pub reaction_rate: u16,
    /// Also over WebSockets; `None`: over QUIC only.
    pub websocket: Option<WebSocketConfig>,
    /// How Spaces with [`mix`](spaces_core::command::SpaceTable::mix) are mixed.
    pub mix: MixConfig,
}

impl ServerConfig {
    /// One shard, 100,000 sessions, no recordings, any origin.
    #[must_use]
    pub fn new(bind: SocketAddr, identity: Identity, verifier: TokenVerifier) -> Self {
        Self {
            bind,
            shards: 1,
            pin_to: Vec::new(),
            identity,
            verifier,
            origins: Vec::new(),
            recordings: None,
            max_sessions: 100_000,
            connects_per_address: 0,
            idle_timeout: Duration::from_secs(20),
            admission_timeout: Duration::from_secs(5),
            max_heard: Config::default().max_heard,
            rates: Rates::default(),
            reactions: Config::default().reactions,
            reaction_rate: Config::default().reaction_rate,
            websocket: None,
            mix: MixConfig::default(),
        }
    }

    /// The same, writing recordings under `directory`.
    #[must_use]
    pub fn with_recordings(mut self, directory: impl Into<PathBuf>) -> Self {
        self.recordings = Some(RecorderConfig::new(directory));
        self
    }
}

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No shards, or more than 255.
    #[error("a server has 1 to 255 shards")]
    Shards,
    /// Sockets and transport.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// Certificate and key.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// Threads, descriptors, the recorder's directory.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Why a call was not answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServerError {
    /// The engine refused the command. Nothing changed.
    #[error(transparent)]
    Refused(#[from] ApplyError),
    /// A shard's thread has panicked, or its socket broke; its sessions are gone. The process lives.
    #[error("shard {shard} has failed: {reason}")]
    ShardFailed {
        /// Which.
        shard: u16,
        /// What it said last.
        reason: String,
    },
    /// What was asked for an account is not allowed to it.
    #[error("refused: {0}")]
    Denied(Refusal),
    /// A shard does not answer.
    #[error("shard {shard} does not answer")]
    Timeout {
        /// Which.
        shard: u16,
    },
}

/// Why a new certificate was not taken.
#[derive(Debug, thiserror::Error)]
pub enum RenewError {
    /// Certificate and key do not fit. Nothing changed.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// A shard did not answer; others may have taken it.
    #[error(transparent)]
    Server(#[from] ServerError),
}

pub(crate) struct Handle {
    pub(crate) number: u16,
    orders: Sender<Order>,
    waker: Waker,
    failure: Arc<OnceLock<String>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Handle {
    fn order(&self, order: Order) -> Result<(), ServerError> {
        self.orders.send(order).map_err(|_| self.failed())?;
        self.waker.wake();
        Ok(())
    }

    pub(crate) fn ask<T>(&self, order: impl FnOnce(Sender<T>) -> Order) -> Result<Receiver<T>, ServerError> {
        let (reply, answer) = channel();
        self.order(order(reply))?;
        Ok(answer)
    }

    pub(crate) fn wait<T>(&self, answer: &Receiver<T>) -> Result<T, ServerError> {
        answer.recv_timeout(PATIENCE).map_err(|error| match error {
            RecvTimeoutError::Timeout => ServerError::Timeout { shard: self.number },
            RecvTimeoutError::Disconnected => self.failed(),
        })
    }

    fn failed(&self) -> ServerError {
        // The thread sets the reason before it drops its queues, except when it was stopped.
        let reason = self.failure.get().cloned().unwrap_or_else(|| "it was stopped".to_owned());
        ServerError::ShardFailed { shard: self.number, reason }
    }
}

/// See the module.
pub struct Server {
    pub(crate) shards: Vec<Handle>,
    /// Commands reach all shards in one order.
    pub(crate) applying: Mutex<()>,
    /// One new certificate at a time.
    renewing: Mutex<()>,
    certificate: Mutex<[u8; 32]>,
    events: EventQueue,
    recorder: Option<Recorder>,
    mixers: Option<Mixers>,
    local: SocketAddr,
    websocket: Option<SocketAddr>,
}

impl Server {
    /// Binds, starts the threads, and serves.
    ///
    /// # Errors
    /// [`StartError`]; nothing is left running then.
    pub fn start(config: ServerConfig) -> Result<Self, StartError> {
        let count = u8::try_from(config.shards).ok().filter(|shards| *shards > 0).ok_or(StartError::Shards)?;
        let clock = Clock::start();
        let events = EventQueue::new()?;
        let certificate = Mutex::new(config.identity.sha256());
        let tls = server_tls(config.identity.chain.clone(), config.identity.key.clone_key())?;
        let crypto = server_crypto(config.identity.chain, config.identity.key)?;
        let recorder = match config.recordings {
            Some(mut recordings) => {
                recordings.clock = Arc::new(move || clock.now());
                let events = events.clone();
                Some(Recorder::start(recordings, move |gap| events.push(gap))?)
            }
            None => None,
        };
        let per_shard = config.max_sessions.div_ceil(usize::from(count));
        let mut bind = config.bind;
        let mut endpoints: Vec<Endpoint<Peer>> = Vec::new();
        for shard in 0..count {
            let answering = Answering {
                crypto: Arc::clone(&crypto),
                max_connections: per_shard + STANDING_ROOM,
                per_address: config.connects_per_address.div_ceil(count.into()),
            };
            let endpoint = Endpoint::new(Settings {
                bind,
                shard,
                shared: count > 1,
                idle_timeout: config.idle_timeout,
                answering: Some(answering),
            })?;
            bind = endpoint.local_addr();
            endpoints.push(endpoint);
        }
        let mut listeners = match &config.websocket {
            Some(websocket) => websocket.listen(bind, config.bind.port() == 0, count)?,
            None => Vec::new(),
        }
        .into_iter();
        let websocket = listeners.as_slice().first().map(TcpListener::local_addr).transpose()?;
        let (neighbours, mailboxes): (Vec<_>, Vec<_>) =
            endpoints.iter().map(|endpoint| Mailbox::new(endpoint.waker())).unzip();
        let homes = neighbours.clone();
        let mixers = Mixers::start(config.mix, clock, move |mixed: Mixed| {
            // Where the mail is full the shard has worse to do than to mix.
            let _ = homes.get((mixed.space.0 % homes.len() as u64) as usize).map(|home| home.send(Mail::Mixed(mixed)));
        })?;
        let mixing = mixers.handle();
        let verifier = Arc::new(config.verifier);
        let origins: Arc<[String]> = config.origins.into();
        let mut server = Self {
            shards: Vec::new(),
            applying: Mutex::new(()),
            renewing: Mutex::new(()),
            certificate,
            events,
            recorder,
            mixers: Some(mixers),
            local: bind,
            websocket,
        };
        for ((number, endpoint), mail) in (0u16..).zip(endpoints).zip(mailboxes) {
            let engine = Engine::new(Config {
                shard: number,
                shards: config.shards,
                max_heard: config.max_heard,
                unix_origin_us: clock.unix_origin_us(),
                rates: config.rates,
                reactions: config.reactions,
                reaction_rate: config.reaction_rate,
                ..Config::default()
            });
            let desk = Desk::new(engine, clock, Arc::clone(&verifier), Arc::clone(&origins), per_shard);
            let (orders, inbox) = channel();
            let record = server.recorder.as_ref().map(|recorder| {
                let handle = recorder.handle();
                Arc::new(move |item| handle.push(item)) as RecordPush
            });
            let limits = Limits {
                idle: config.idle_timeout,
                plain: config.websocket.as_ref().is_some_and(|websocket| websocket.plain),
                connections: per_shard + STANDING_ROOM,
                per_address: config.connects_per_address.div_ceil(config.shards.into()),
            };
            // Below are the keys of QUIC's connections, those whose handshakes wait included.
            let first = u32::try_from(limits.connections + 2 * WAITING).unwrap_or(u32::MAX);
            let websockets = WebSockets::new(listeners.next(), Arc::clone(&tls), limits, first)?;
            let beside = Beside { websockets, record, mixer: mixing.clone() };
            let (neighbours, events) = (neighbours.clone(), server.events.clone());
            let mut shard = Shard::new(number, desk, inbox, mail, neighbours, events, beside);
            shard.admission_timeout = config.admission_timeout;
            let (waker, failure) = (endpoint.waker(), Arc::new(OnceLock::new()));
            let core = config.pin_to.get(usize::from(number)).copied();
            let told = Arc::clone(&failure);
            let thread = std::thread::Builder::new()
                .name(format!("spaces-shard-{number}"))
                .spawn(move || run(shard, endpoint, core, &told))?;
            server.shards.push(Handle { number, orders, waker, failure, thread: Mutex::new(Some(thread)) });
        }
        Ok(server)
    }

    /// The address that peers dial.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// The address that peers over TCP dial, if they may.
    #[must_use]
    pub fn websocket_addr(&self) -> Option<SocketAddr> {
        self.websocket
    }

    /// Checks tokens with other keys from now on.
    ///
    /// # Errors
    /// [`ServerError`].
    pub fn set_verifier(&self, verifier: TokenVerifier) -> Result<(), ServerError> {
        let verifier = Arc::new(verifier);
        self.ask_all(|reply| Order::SetVerifier(Arc::clone(&verifier), reply)).map(|_| ())
    }

    /// Connections that begin from now on get this certificate, and no ticket of an earlier one is resumed; open ones go on.
    ///
    /// # Errors
    /// [`RenewError`].
    pub fn set_identity(&self, identity: Identity) -> Result<(), RenewError> {
        let _one_at_a_time = self.renewing.lock().unwrap_or_else(PoisonError::into_inner);
        let sha256 = identity.sha256();
        let tls = server_tls(identity.chain.clone(), identity.key.clone_key())?;
        let crypto = server_crypto(identity.chain, identity.key)?;
        self.ask_all(|reply| Order::SetCrypto(Arc::clone(&crypto), Arc::clone(&tls), reply))?;
        *self.certificate.lock().unwrap_or_else(PoisonError::into_inner) = sha256;
        Ok(())
    }

    /// [`Identity::sha256`] of the certificate in force.
    #[must_use]
    pub fn certificate_sha256(&self) -> [u8; 32] {
        *self.certificate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An eventfd that is readable while events wait.
    #[must_use]
    pub fn event_fd(&self) -> RawFd {
        self.events.raw_fd()
    }

    /// Everything that the shards have told since the last call.
    #[must_use]
    pub fn drain_events(&self) -> Drained {
        self.events.drain()
    }

    /// People in a Space, on all shards; `None` if it is unknown.
    ///
    /// # Errors
    /// [`ServerError`].
    pub fn counts(&self, space: SpaceId) -> Result<Option<Counts>, ServerError> {
        let parts = self.ask_all(|reply| Order::Counts(space, reply))?;
        Ok(parts.into_iter().flatten().reduce(|sum, part| Counts {
            named: sum.named + part.named,
            anonymous: sum.anonymous + part.anonymous,
            guests: sum.guests + part.guests,
            peak: sum.peak + part.peak,
        }))
    }

    /// Which of these accounts are in a Space now, under their names or `unnamed`; ascending.
    ///
    /// # Errors
    /// [`ServerError`].
    pub fn present(&self, space: SpaceId, mut accounts: Vec<u64>, unnamed: bool) -> Result<Vec<u64>, ServerError> {
        accounts.sort_unstable();
        accounts.dedup();
        let accounts: Arc<[u64]> = accounts.into();
        let mut here = self.ask_all(|reply| Order::Present(space, Arc::clone(&accounts), unnamed, reply))?.concat();
        here.sort_unstable();
        here.dedup();
        Ok(here)
    }

    /// Puts an audience without connections into a Space, in the place of the one before: for benches and tests.
    ///
    /// # Errors
    /// [`ServerError`].
    pub fn inject(&self, space: SpaceId, spec: CrowdSpec) -> Result<(), ServerError> {
        let shards = u32::try_from(self.shards.len().max(1)).unwrap_or(u32::MAX);
        let part = |rate: u32| rate.div_ceil(shards);
        let spec = CrowdSpec {
            joins_per_second: part(spec.joins_per_second),
            churn_per_second: part(spec.churn_per_second),
            reactions_per_second: part(spec.reactions_per_second),
            ..spec
        };
        self.ask_all(|reply| Order::Inject(space, spec, reply)).map(|_| ())
    }

    /// Somebody in a Space reacts, by other ways than their session.
    ///
    /// # Errors
    /// [`ServerError::Denied`] as [`Engine::react_as`] says.
    pub fn react(&self, space: SpaceId, account: AccountId, kind: u8) -> Result<(), ServerError> {
        for shard in &self.shards {
            match shard.wait(&shard.ask(|reply| Order::React(space, account, kind, reply))?)? {
                Err(Refusal::ParticipantNotInSpace) => {} // perhaps on the next one
                Err(refusal) => return Err(ServerError::Denied(refusal)),
                Ok(()) => return Ok(()),
            }
        }
        Err(ServerError::Denied(Refusal::ParticipantNotInSpace))
    }

    /// A line of captions of who sits on a seat since `generation`, for the track `captions`. It is judged by the table that is
    /// in force at this moment; once a command that withdraws the consent was answered, no line of before is sent.
    ///
    /// # Errors
    /// [`ApplyError::Invalid`] for a line over [`MOST_CAPTION`] bytes; [`ServerError::Denied`] as [`Engine::caption`] says.
    pub fn caption(&self, space: SpaceId, seat: SeatNo, generation: u32, line: Bytes) -> Result<(), ServerError> {
        if line.len() > MOST_CAPTION {
            return Err(ServerError::Refused(ApplyError::Invalid("the caption is too large")));
        }
        let home = usize::from(self.home(space));
        let shard = self.shards.get(home).ok_or(ServerError::Denied(Refusal::SpaceNotFound))?;
        let said = shard.ask(|reply| Order::Caption(space, seat, generation, line, reply))?;
        shard.wait(&said)?.map_err(ServerError::Denied)
    }

    /// A page of the people who are in a Space under their names: accounts greater than `after`, ascending, at most `limit`;
    /// and the `after` of the next page, if there is one. Somebody who is there twice is listed once.
    ///
    /// # Errors
    /// [`ServerError`].
    pub fn roster(
        &self,
        space: SpaceId,
        after: AccountId,
        limit: usize,
    ) -> Result<(Vec<Listed>, Option<AccountId>), ServerError> {
        // One more than asked for tells whether there is more.
        let parts = self.ask_all(|reply| Order::Roster(space, after, limit.saturating_add(1), reply))?;
        let mut page = parts.concat();
        page.sort_unstable_by_key(|listed| (listed.account, std::cmp::Reverse(listed.since)));
        page.dedup_by_key(|listed| listed.account);
        let more = page.len() > limit;
        page.truncate(limit);
        let next = page.last().map(|listed| listed.account).filter(|_| more);
        Ok((page, next))
    }

    /// What every shard has counted.
    ///
    /// # Errors
    /// [`ServerError`].
    pub fn stats(&self) -> Result<ServerStats, ServerError> {
        let mixers = self.mixers.as_ref().map(Mixers::stats).unwrap_or_default();
        Ok(ServerStats { shards: self.ask_all(Order::Stats)?, mixers })
    }

    /// The files of a Space's recording, those still being written too.
    ///
    /// # Errors
    /// Of the file system.
    pub fn recordings(&self, space: SpaceId) -> io::Result<Vec<RecordingFile>> {
        self.recorder.as_ref().map_or(Ok(Vec::new()), |recorder| recorder.files(space))
    }

    /// Tells everybody to connect to `uri` (empty: here again), and lets nobody in any more.
    ///
    /// # Errors
    /// [`ServerError`].
    pub fn goaway(&self, uri: &str) -> Result<(), ServerError> {
        self.shards.iter().try_for_each(|shard| shard.order(Order::GoAway(uri.to_owned())))
    }

    /// [`Server::goaway`], then waits until everybody has gone or `patience` is over. Call [`Server::stop`] after it.
    /// Returns how many sessions are left.
    ///
    /// # Errors
    /// [`ServerError`].
    pub fn drain(&self, uri: &str, patience: Duration) -> Result<u64, ServerError> {
        self.goaway(uri)?;
        let until = Instant::now() + patience;
        loop {
            let left = self.ask_all(Order::Stats)?.iter().map(|shard: &ShardStats| shard.sessions).sum();
            if left == 0 || Instant::now() >= until {
                return Ok(left);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Closes every session, ends the threads and finishes the recordings. Dropping the server does the same.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        for shard in &self.shards {
            let _ = shard.order(Order::Stop); // one that has failed needs no order
        }
        for shard in &self.shards {
            let thread = shard.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(thread) = thread {
                let _ = thread.join(); // its panic was caught and told
            }
        }
        drop(self.mixers.take());
        if let Some(recorder) = self.recorder.take() {
            recorder.stop();
        }
    }

    fn ask_all<T>(&self, order: impl Fn(Sender<T>) -> Order) -> Result<Vec<T>, ServerError> {
        let answers: Vec<_> = self.shards.iter().map(|shard| shard.ask(&order)).collect::<Result<_, _>>()?;
        self.shards.iter().zip(&answers).map(|(shard, answer)| shard.wait(answer)).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

/// A shard's thread. Whatever happens in it ends here: the next call to the server tells.
fn run(mut shard: Shard, mut endpoint: Endpoint<Peer>, core: Option<usize>, failure: &OnceLock<String>) {
    if let Some(core) = core {
        let mut set = rustix::thread::CpuSet::new();
        if core < rustix::thread::CpuSet::MAX_CPU {
            set.set(core);
        }
        shard.pinned = rustix::thread::sched_setaffinity(None, &set).is_ok();
    }
    // Nothing that the panic may have left half done is looked at again.
    let reason = match catch_unwind(AssertUnwindSafe(|| shard.run(&mut endpoint))) {
        Ok(Ok(())) => return,
        Ok(Err(error)) => error.to_string(),
        Err(panic) => match panic.downcast_ref::<&str>() {
            Some(text) => (*text).to_owned(),
            None => panic.downcast_ref::<String>().cloned().unwrap_or_else(|| "panic".to_owned()),
        },
    };
    let _ = failure.set(reason); // set once, here
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::TokenSigner;
    use spaces_core::command::Command;

    #[test]
    fn a_server_may_be_used_from_any_thread() {
        fn is_shared<T: Send + Sync>() {}
        is_shared::<Server>();
    }

    #[test]
    fn a_panic_on_a_shard_is_the_next_callers_error_and_no_more() {
        let signer = TokenSigner::generate("issuer", "audience").unwrap();
        let identity = Identity::development(["localhost"]).unwrap();
        let mut config = ServerConfig::new("127.0.0.1:0".parse().unwrap(), identity, signer.verifier());
        config.shards = 2;
        let server = Server::start(config).unwrap();
        assert_eq!(server.stats().unwrap().shards.len(), 2);
        server.shards[1].order(Order::Panic).unwrap();
        let error = loop {
            // The order may still be in the queue.
            if let Err(error) = server.stats() {
                break error;
            }
        };
        assert_eq!(error, ServerError::ShardFailed { shard: 1, reason: "as the test wants".into() });
        assert!(server.apply(&Command::EndSpace { space: SpaceId(2), version: 1 }).is_err());
        server.stop();
    }
}
