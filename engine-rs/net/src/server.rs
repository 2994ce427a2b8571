//! The server: its shards' threads, and what its owner may ask of them.
//!
//! Every method may be called from any thread. Those that wait do so for the shards' threads only, never for a peer.

use std::io;
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, RwLockReadGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use spaces_core::budget::Rates;
use spaces_core::captions::MOST_CAPTION;
use spaces_core::command::ApplyError;
use spaces_core::engine::{Config, Listed};
use spaces_core::event::Counts;
use spaces_core::ids::{AccountId, SeatNo, SpaceId};
use spaces_core::mix_feed::Mixed;
use spaces_core::refusal::Refusal;

use crate::clock::Clock;
use crate::crowd::CrowdSpec;
use crate::endpoint::{EndpointError, Waker};
use crate::events::{Drained, EventQueue};
use crate::group::Loads;
use crate::identity::Identity;
use crate::mail::{Door, Mail, Neighbour};
use crate::mixer::{MixConfig, Mixers};
use crate::quic::{SetupError, server_crypto};
use crate::recorder::{Recorder, RecorderConfig, RecordingFile};
use crate::shard::Order;
use crate::shards::{Certified, Plan, Shards, Shared};
use crate::stats::{ServerStats, ShardStats};
use crate::token::TokenVerifier;
use crate::websocket::{WebSocketConfig, server_tls};

/// How long a shard may take to answer. A turn takes milliseconds; past this its thread is stuck.
const PATIENCE: Duration = Duration::from_secs(10);

/// How a server is set up.
pub struct ServerConfig {
    /// Where to bind; port 0 takes any.
    pub bind: SocketAddr,
    /// Threads, each with its own part of the audience.
    pub shards: u16,
    /// Core of each shard's thread, in order; shards without one go where the system likes.
    pub pin_to: Vec<usize>,
    /// Have the kernel give each packet to the shard that it names. Where it cannot, shards pass packets on; `false`: as there.
    pub steer: bool,
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
            steer: true,
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
    /// One of the shards that were there does not answer.
    #[error(transparent)]
    Server(#[from] ServerError),
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
    /// For lanes that lead to it.
    pub(crate) door: Door,
    pub(crate) orders: Sender<Order>,
    pub(crate) waker: Waker,
    pub(crate) failure: Arc<OnceLock<String>>,
    pub(crate) thread: Mutex<Option<JoinHandle<()>>>,
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
    /// Written while a shard is added: whatever else is asked of the server waits.
    shards: RwLock<Shards>,
    plan: Plan,
    /// Commands reach all shards in one order.
    pub(crate) applying: Mutex<()>,
    /// One new certificate at a time.
    renewing: Mutex<()>,
    /// Its SHA-256 too.
    certificate: Mutex<(Certified, [u8; 32])>,
    events: EventQueue,
    recorder: Option<Recorder>,
    mixers: Option<Mixers>,
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
        let certificate = Mutex::new((certified(&config.identity)?, config.identity.sha256()));
        let recorder = match config.recordings {
            Some(mut recordings) => {
                recordings.clock = Arc::new(move || clock.now());
                let events = events.clone();
                Some(Recorder::start(recordings, move |gap| events.push(gap))?)
            }
            None => None,
        };
        let from_mixers = Arc::<Mutex<Vec<Neighbour>>>::default();
        let ways = Arc::clone(&from_mixers);
        let mixers = Mixers::start(config.mix, clock, move |shard, mixed: Mixed| {
            let mut ways = ways.lock().unwrap_or_else(PoisonError::into_inner);
            // Where the mail is full the shard has worse to do than to mix.
            let _ = ways.get_mut(usize::from(shard)).map(|way| way.send(clock.now(), Mail::Mixed(mixed)));
        })?;
        let engine = Config {
            max_heard: config.max_heard,
            unix_origin_us: clock.unix_origin_us(),
            rates: config.rates,
            reactions: config.reactions,
            reaction_rate: config.reaction_rate,
            mix_ticks: config.mix.ticks,
            ..Config::default()
        };
        let plan = Plan {
            bind: config.bind,
            steer: config.steer,
            clock,
            engine,
            verifier: Arc::new(config.verifier),
            origins: config.origins.into(),
            max_sessions: config.max_sessions,
            connects_per_address: config.connects_per_address,
            idle_timeout: config.idle_timeout,
            admission_timeout: config.admission_timeout,
            websocket: config.websocket,
            loads: Loads::default(),
            from_mixers,
        };
        let server = Self {
            shards: RwLock::default(),
            plan,
            applying: Mutex::new(()),
            renewing: Mutex::new(()),
            certificate,
            events,
            recorder,
            mixers: Some(mixers),
        };
        for number in 0..usize::from(count) {
            server.add_shard(config.pin_to.get(number).copied())?;
        }
        Ok(server)
    }

    /// Starts one more shard, while Spaces are live: new connections go there until it has as many as the others. Stages and
    /// connections stay where they are, and nobody loses a frame. Spaces that are made from now on may have their stage there.
    /// Its thread runs on `core` only, if one is named. Returns its number.
    ///
    /// `max_sessions` and `connects_per_address` are shared out anew: the whole stays what it was.
    ///
    /// # Errors
    /// [`StartError`], of which [`StartError::Shards`] where there are 255 already; those that there are go on.
    pub fn add_shard(&self, core: Option<usize>) -> Result<u16, StartError> {
        let mut shards = self.shards.write().unwrap_or_else(PoisonError::into_inner);
        let certified = self.certificate.lock().unwrap_or_else(PoisonError::into_inner).0.clone();
        let Some(mixers) = &self.mixers else { return Err(StartError::Shards) };
        shards.add(
            &self.plan,
            Shared { certified, events: &self.events, recorder: self.recorder.as_ref(), mixers },
            core,
        )
    }

    pub(crate) fn shards(&self) -> RwLockReadGuard<'_, Shards> {
        self.shards.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the kernel gives each packet to the shard that it names. If not, shards pass on what reaches them wrongly, as
    /// the packets of who has moved do, at some cost. One shard alone needs no steering.
    #[must_use]
    pub fn steered(&self) -> bool {
        let shards = self.shards();
        shards.steered || shards.handles.len() < 2
    }

    /// The address that peers dial.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.shards().local.unwrap_or(self.plan.bind)
    }

    /// The address that peers over TCP dial, if they may.
    #[must_use]
    pub fn websocket_addr(&self) -> Option<SocketAddr> {
        self.shards().websocket
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
        let certified = certified(&identity)?;
        // No shard is added meanwhile: the lock of the shards is held until the new one is what a further shard begins with.
        let shards = self.shards();
        let set = |reply| Order::SetCrypto(Arc::clone(&certified.quic), Arc::clone(&certified.tls), reply);
        ask_all(&shards, set)?;
        *self.certificate.lock().unwrap_or_else(PoisonError::into_inner) = (certified, sha256);
        Ok(())
    }

    /// [`Identity::sha256`] of the certificate in force.
    #[must_use]
    pub fn certificate_sha256(&self) -> [u8; 32] {
        self.certificate.lock().unwrap_or_else(PoisonError::into_inner).1
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
        let shards = u32::try_from(self.shards().handles.len().max(1)).unwrap_or(u32::MAX);
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
    /// [`ServerError::Denied`] as [`spaces_core::engine::Engine::react_as`] says.
    pub fn react(&self, space: SpaceId, account: AccountId, kind: u8) -> Result<(), ServerError> {
        for shard in &self.shards().handles {
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
    /// [`ApplyError::Invalid`] for a line over [`MOST_CAPTION`] bytes; [`ServerError::Denied`] as
    /// [`spaces_core::engine::Engine::caption`] says.
    pub fn caption(&self, space: SpaceId, seat: SeatNo, generation: u32, line: Bytes) -> Result<(), ServerError> {
        if line.len() > MOST_CAPTION {
            return Err(ServerError::Refused(ApplyError::Invalid("the caption is too large")));
        }
        let shards = self.shards();
        let shard =
            shards.handles.get(usize::from(shards.home(space))).ok_or(ServerError::Denied(Refusal::SpaceNotFound))?;
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
        page.sort_unstable_by_key(|listed| (listed.account, std::cmp::Reverse(listed.begun)));
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
        self.shards().handles.iter().try_for_each(|shard| shard.order(Order::GoAway(uri.to_owned())))
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
        let shards = self.shards.get_mut().unwrap_or_else(PoisonError::into_inner);
        for shard in &shards.handles {
            let _ = shard.order(Order::Stop); // one that has failed needs no order
        }
        for shard in &shards.handles {
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
        ask_all(&self.shards(), order)
    }
}

fn ask_all<T>(shards: &Shards, order: impl Fn(Sender<T>) -> Order) -> Result<Vec<T>, ServerError> {
    let answers: Vec<_> = shards.handles.iter().map(|shard| shard.ask(&order)).collect::<Result<_, _>>()?;
    shards.handles.iter().zip(&answers).map(|(shard, answer)| shard.wait(answer)).collect()
}

fn certified(identity: &Identity) -> Result<Certified, SetupError> {
    let tls = server_tls(identity.chain.clone(), identity.key.clone_key())?;
    let quic = server_crypto(identity.chain.clone(), identity.key.clone_key())?;
    Ok(Certified { quic, tls })
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
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
        server.shards().handles[1].order(Order::Panic).unwrap();
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
