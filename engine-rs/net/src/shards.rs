//! How shards come into being: the first ones when the server starts, further ones while Spaces are live, by the same steps.
//!
//! 1. The new one's socket joins the port. Where the kernel steers it gets nothing yet.
//! 2. Every other shard gets a lane to and from it, and counts with it from then on: what it tells all, it tells the new one.
//! 3. One of them says what it knows (tables, lists, who publishes), having read all that the others told it before.
//! 4. The thread starts with that, reads what was told it since 2, and the kernel's program is replaced.
//!
//! No command comes in between: they wait for the lock. Stages stay where they are, so nobody who speaks or listens notices.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use spaces_core::engine::{Config, Engine};
use spaces_core::ids::SpaceId;

use crate::clock::Clock;
use crate::endpoint::{Answering, Endpoint, Settings};
use crate::events::EventQueue;
use crate::group::Loads;
use crate::handshakes::WAITING;
use crate::mail::{Door, Mailbox, Neighbour};
use crate::mixer::Mixers;
use crate::pages::Pages;
use crate::peer::Peer;
use crate::quic::ServerTls;
use crate::recorder::Recorder;
use crate::server::{Handle, StartError};
use crate::session::Desk;
use crate::shard::{Beside, Newcomer, Order, RecordPush, Shard, Shares};
use crate::token::TokenVerifier;
use crate::websocket::{Limits, WebSocketConfig, WebSockets, listen_too};

/// Connections beyond `max_sessions` on each shard, so that a peer that comes too late is told so in its own protocol.
const STANDING_ROOM: usize = 256;

/// What all shards have in common.
pub(crate) struct Plan {
    /// Where to bind; the port is 0 as long as any will do.
    pub(crate) bind: SocketAddr,
    pub(crate) steer: bool,
    pub(crate) clock: Clock,
    pub(crate) engine: Config,
    /// The first shard's; further ones learn what is in force.
    pub(crate) verifier: Arc<TokenVerifier>,
    pub(crate) origins: Arc<[String]>,
    pub(crate) max_sessions: usize,
    pub(crate) connects_per_address: u32,
    pub(crate) idle_timeout: Duration,
    pub(crate) admission_timeout: Duration,
    pub(crate) websocket: Option<WebSocketConfig>,
    pub(crate) loads: Loads,
    /// From the mixers' threads to each shard, by number.
    pub(crate) from_mixers: Arc<Mutex<Vec<Neighbour>>>,
}

impl Plan {
    fn shares(&self, shards: u8) -> Shares {
        let sessions = self.max_sessions.div_ceil(usize::from(shards.max(1)));
        let per_address = self.connects_per_address.div_ceil(u32::from(shards.max(1)));
        Shares { shards, sessions, connections: sessions + STANDING_ROOM, per_address }
    }
}

/// Certificate and key in force.
#[derive(Clone)]
pub(crate) struct Certified {
    pub(crate) quic: Arc<ServerTls>,
    pub(crate) tls: Arc<rustls::ServerConfig>,
}

/// What a shard uses that is not its own.
pub(crate) struct Shared<'a> {
    pub(crate) certified: Certified,
    pub(crate) events: &'a EventQueue,
    pub(crate) recorder: Option<&'a Recorder>,
    pub(crate) mixers: &'a Mixers,
}

/// All shards of a server.
#[derive(Default)]
pub(crate) struct Shards {
    pub(crate) handles: Vec<Handle>,
    /// Where stages are that would be elsewhere if they began now, because shards were added since. Of Spaces that have ended
    /// too, until the next one is added: they are asked for no more.
    placed: BTreeMap<SpaceId, u16>,
    /// Where QUIC is served, and WebSockets.
    pub(crate) local: Option<SocketAddr>,
    pub(crate) websocket: Option<SocketAddr>,
    /// The kernel gives each packet to the shard that it names.
    pub(crate) steered: bool,
}

impl Shards {
    /// The shard of a Space's stage.
    pub(crate) fn home(&self, space: SpaceId) -> u16 {
        let now = (space.0 % self.handles.len().max(1) as u64) as u16;
        self.placed.get(&space).copied().unwrap_or(now)
    }

    /// Adds a shard, whose thread runs on `core` only. Returns its number.
    ///
    /// # Errors
    /// [`StartError`]. Those that were there go on.
    pub(crate) fn add(&mut self, plan: &Plan, shared: Shared<'_>, core: Option<usize>) -> Result<u16, StartError> {
        let shard = u8::try_from(self.handles.len()).map_err(|_| StartError::Shards)?;
        let count = shard.checked_add(1).ok_or(StartError::Shards)?;
        let (number, first, shares) = (u16::from(shard), shard == 0, plan.shares(count));
        let mut endpoint = Endpoint::new(Settings {
            bind: self.local.unwrap_or(plan.bind),
            shard,
            shared: !first,
            idle_timeout: plan.idle_timeout,
            answering: Some(Answering {
                crypto: shared.certified.quic,
                max_connections: shares.connections,
                per_address: shares.per_address,
            }),
        })?;
        if first {
            endpoint.let_others_in()?;
        }
        endpoint.join(shard, count, plan.loads.clone());
        let local = endpoint.local_addr();
        let listener = match (&plan.websocket, self.websocket) {
            (Some(_), Some(bound)) => Some(listen_too(bound)?),
            (Some(config), None) => Some(config.listen(local, plan.bind.port() == 0)?),
            (None, _) => None,
        };
        let websocket = listener.as_ref().map(TcpListener::local_addr).transpose()?;
        let limits = Limits {
            idle: plan.idle_timeout,
            plain: plan.websocket.as_ref().is_some_and(|websocket| websocket.plain),
            connections: shares.connections,
            per_address: shares.per_address,
        };
        // Below are the keys of QUIC's connections, those whose handshakes wait included.
        let above = u32::try_from(limits.connections + 2 * WAITING).unwrap_or(u32::MAX);
        let websockets = WebSockets::new(listener, shared.certified.tls, limits, above)?;

        let door = Door::new(endpoint.waker());
        let mut mail = Mailbox::new(&door);
        let neighbours = self.introduce(&door, &mut mail, shares)?;
        let mut engine = Engine::new(Config { shard: number, shards: count.into(), ..plan.engine.clone() });
        let lesson = match self.handles.first() {
            Some(teacher) => Some(teacher.wait(&teacher.ask(Order::Teach)?)?),
            None => None,
        };
        let (mut verifier, mut draining, mut placed) = (Arc::clone(&plan.verifier), false, BTreeMap::new());
        if let Some(lesson) = lesson {
            (verifier, draining) = (lesson.verifier, lesson.draining);
            placed = lesson.knowledge.homes().filter(|(space, home)| engine.home(*space) != *home).collect();
            engine.learn(plan.clock.now(), lesson.knowledge);
        }
        let mut desk = Desk::new(engine, plan.clock, verifier, Arc::clone(&plan.origins), shares.sessions);
        desk.draining = draining;
        let record = shared.recorder.map(|recorder| {
            let handle = recorder.handle();
            Arc::new(move |item| handle.push(item)) as RecordPush
        });
        let beside = Beside { websockets, record, mixer: shared.mixers.handle(number), pages: Pages::start(number)? };
        let (orders, inbox) = channel();
        let (from_mixers, mixed) = door.lane();
        mail.add(mixed);
        let mut shard = Shard::new(number, desk, inbox, mail, neighbours, shared.events.clone(), beside);
        shard.admission_timeout = plan.admission_timeout;
        // A kernel that does not steer chooses by addresses, and shards pass on what they get wrongly.
        self.steered = plan.steer && count > 1 && endpoint.steer(count).is_ok();
        let (waker, failure) = (endpoint.waker(), Arc::<OnceLock<String>>::default());
        let (told, loads) = (Arc::clone(&failure), plan.loads.clone());
        let thread = std::thread::Builder::new()
            .name(format!("spaces-shard-{number}"))
            .spawn(move || run(shard, endpoint, core, &told, &loads))?;
        plan.from_mixers.lock().unwrap_or_else(PoisonError::into_inner).push(from_mixers);
        self.handles.push(Handle { number, door, orders, waker, failure, thread: Mutex::new(Some(thread)) });
        (self.local, self.placed) = (Some(local), placed);
        self.websocket = self.websocket.or(websocket);
        Ok(number)
    }

    /// Lanes between all shards and the new one, and its own ends of them.
    fn introduce(&self, door: &Door, mail: &mut Mailbox, shares: Shares) -> Result<Vec<Option<Neighbour>>, StartError> {
        let (mut neighbours, mut answers) = (Vec::new(), Vec::new());
        for handle in &self.handles {
            let ((to_them, theirs), (to, ours)) = (handle.door.lane(), door.lane());
            neighbours.push(Some(to_them));
            mail.add(ours);
            let newcomer = Box::new(Newcomer { to, from: theirs, shares });
            answers.push((handle, handle.ask(|reply| Order::Meet(newcomer, reply))?));
        }
        answers.iter().try_for_each(|(handle, answer)| handle.wait(answer))?;
        neighbours.push(None);
        Ok(neighbours)
    }
}

/// A shard's thread. Whatever happens in it ends here: the next call to the server tells.
fn run(mut shard: Shard, mut endpoint: Endpoint<Peer>, core: Option<usize>, failure: &OnceLock<String>, loads: &Loads) {
    if let Some(core) = core {
        let mut set = rustix::thread::CpuSet::new();
        if core < rustix::thread::CpuSet::MAX_CPU {
            set.set(core);
        }
        shard.pinned = rustix::thread::sched_setaffinity(None, &set).is_ok();
    }
    // Nothing that the panic may have left half done is looked at again.
    let result = catch_unwind(AssertUnwindSafe(|| shard.run(&mut endpoint)));
    loads.retire(u8::try_from(shard.number).unwrap_or(u8::MAX));
    let reason = match result {
        Ok(Ok(())) => return,
        Ok(Err(error)) => error.to_string(),
        Err(panic) => match panic.downcast_ref::<&str>() {
            Some(text) => (*text).to_owned(),
            None => panic.downcast_ref::<String>().cloned().unwrap_or_else(|| "panic".to_owned()),
        },
    };
    let _ = failure.set(reason); // set once, here
}
