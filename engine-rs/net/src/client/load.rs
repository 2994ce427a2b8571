//! Thousands of listeners on one thread and one socket, which only count what comes.

use std::os::fd::RawFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use spaces_core::bundle::entries;
use spaces_moqt::seam::SessionEvent;

use super::destination::{Destination, Resolved};
use super::driver::{Peer, Role, spawn};
use super::ledger::{Ledger, LedgerStats};
use super::{ClientError, Monotonic};
use crate::connection::Connection;
use crate::endpoint::{Endpoint, Waker};

/// Connections that are being opened at once: few enough that none waits in the server's queue until it is stale.
const OPENING: u32 = 64;
/// How often it is looked whether more may be dialled.
const DIALLING: Duration = Duration::from_millis(2);
/// How long the closes have to leave.
const FAREWELL: Duration = Duration::from_secs(1);

/// How a load is set up.
#[derive(Clone, Debug)]
pub struct LoadConfig {
    /// Where, as whom. A token stands for one session, so listeners are guests.
    pub destination: Destination,
    /// How many.
    pub listeners: u32,
    /// How many join a second at most.
    pub joins_per_second: u32,
}

/// What a load has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadStats {
    /// Listeners dialled.
    pub dialled: u32,
    /// Listeners subscribed, now.
    pub joined: u32,
    /// Listeners whose connection ended or never opened.
    pub failed: u32,
    /// Why the first of these did.
    pub first_failure: Option<ClientError>,
    /// Objects that are no bundle.
    pub refused: u64,
    /// Times from dialling to subscription: half within this, in microseconds.
    pub join_p50_us: u64,
    /// The same, 99 of 100.
    pub join_p99_us: u64,
    /// Frames and latencies.
    pub ledger: LedgerStats,
}

struct Inner {
    ledger: Ledger,
    dialled: u32,
    joined: u32,
    failed: u32,
    refused: u64,
    first_failure: Option<ClientError>,
    /// Microseconds from dialling to subscription, of each that joined.
    joins: Vec<u32>,
    over: bool,
    closing: bool,
}

struct Shared {
    inner: Mutex<Inner>,
    bell: Waker,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The handle. Dropping it closes all connections.
pub struct ListenerLoad {
    shared: Arc<Shared>,
    waker: Waker,
}

impl ListenerLoad {
    /// Begins to dial.
    ///
    /// # Errors
    /// What can be known at once: URL, name, trust, sockets.
    pub fn start(config: &LoadConfig) -> Result<Self, ClientError> {
        let resolved = Arc::new(Resolved::new(&config.destination)?);
        let bell = Waker::new().map_err(|error| ClientError::Io(error.to_string()))?;
        let inner = Inner {
            ledger: Ledger::new(config.listeners as usize),
            dialled: 0,
            joined: 0,
            failed: 0,
            refused: 0,
            first_failure: None,
            joins: Vec::new(),
            over: false,
            closing: false,
        };
        let shared = Arc::new(Shared { inner: Mutex::new(inner), bell });
        let (listeners, rate) = (config.listeners, config.joins_per_second.max(1));
        let waker = spawn("spaces-load", Arc::clone(&resolved), |_| {
            Ok(Load {
                shared: Arc::clone(&shared),
                resolved: Arc::clone(&resolved),
                clock: Monotonic::now(),
                listeners,
                rate,
                began: Instant::now(),
                started: vec![None; listeners as usize],
                dialled: 0,
                settled: 0,
                next_dial: Some(Instant::now()),
                deadline: None,
            })
        })?;
        Ok(Self { shared, waker })
    }

    /// An eventfd that becomes readable when listeners joined or failed, or the load is over.
    #[must_use]
    pub fn bell_fd(&self) -> RawFd {
        self.shared.bell.raw_fd()
    }

    /// Makes it unreadable again. Call this before looking.
    pub fn clear_bell(&self) {
        let _ = self.shared.bell.take();
    }

    /// All connections are closed.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.shared.lock().over
    }

    /// Speakers' entries: hash and time of sending.
    pub fn add_sent(&self, sent: impl IntoIterator<Item = (u64, u64)>) {
        let mut inner = self.shared.lock();
        for (hash, sent_at_us) in sent {
            inner.ledger.sent(hash, sent_at_us);
        }
    }

    /// What it has done.
    #[must_use]
    pub fn stats(&self) -> LoadStats {
        let inner = self.shared.lock();
        let mut joins = inner.joins.clone();
        let mut stats = LoadStats {
            dialled: inner.dialled,
            joined: inner.joined,
            failed: inner.failed,
            first_failure: inner.first_failure.clone(),
            refused: inner.refused,
            join_p50_us: 0,
            join_p99_us: 0,
            ledger: inner.ledger.stats(),
        };
        drop(inner);
        joins.sort_unstable();
        let at = |percent: usize| joins.get((joins.len() * percent).div_ceil(100).saturating_sub(1)).copied();
        stats.join_p50_us = at(50).unwrap_or_default().into();
        stats.join_p99_us = at(99).unwrap_or_default().into();
        stats
    }

    /// Joined and failed listeners; cheaper than [`ListenerLoad::stats`].
    #[must_use]
    pub fn progress(&self) -> (u32, u32) {
        let inner = self.shared.lock();
        (inner.joined, inner.failed)
    }

    /// Frames that each listener received, repetitions not counted.
    #[must_use]
    pub fn received(&self) -> Vec<u64> {
        self.shared.lock().ledger.received()
    }

    /// Closes all connections, without waiting. [`ListenerLoad::is_over`] within about a second.
    pub fn close(&self) {
        self.shared.lock().closing = true;
        self.waker.wake();
    }
}

impl Drop for ListenerLoad {
    fn drop(&mut self) {
        self.close();
    }
}

/// What the load's thread does.
struct Load {
    shared: Arc<Shared>,
    resolved: Arc<Resolved>,
    clock: Monotonic,
    listeners: u32,
    rate: u32,
    began: Instant,
    /// When each was dialled, until it joined or failed.
    started: Vec<Option<Instant>>,
    dialled: u32,
    /// Joined or failed.
    settled: u32,
    next_dial: Option<Instant>,
    deadline: Option<Instant>,
}

impl Load {
    fn dial(&mut self, endpoint: &mut Endpoint<Peer>, now: Instant) {
        let allowed = now.saturating_duration_since(self.began).as_secs_f64() * f64::from(self.rate);
        while self.dialled < self.listeners
            && self.dialled - self.settled < OPENING
            && f64::from(self.dialled) <= allowed
        {
            let index = self.dialled;
            self.dialled += 1;
            if let Some(started) = self.started.get_mut(index as usize) {
                *started = Some(now);
            }
            if let Err(error) = self.resolved.dial(endpoint, Peer::numbered(index)) {
                self.failed(index, error.into());
            }
        }
        self.shared.lock().dialled = self.dialled;
        self.next_dial = (self.dialled < self.listeners).then(|| now + DIALLING);
    }

    fn settle(&mut self, index: u32) -> Option<Instant> {
        let started = self.started.get_mut(index as usize)?.take()?;
        self.settled += 1;
        Some(started)
    }

    fn failed(&mut self, index: u32, why: ClientError) {
        let joined = self.settle(index).is_none();
        let mut inner = self.shared.lock();
        if inner.closing {
            return;
        }
        inner.failed += 1;
        inner.joined = inner.joined.saturating_sub(u32::from(joined));
        inner.first_failure.get_or_insert(why);
        drop(inner);
        self.shared.bell.wake();
    }

    fn object(&self, listener: u32, group: u64, payload: &Bytes, now: Instant) {
        let at_us = self.clock.micros(now);
        let mut inner = self.shared.lock();
        for entry in entries(payload) {
            let Ok(entry) = entry else {
                inner.refused += 1;
                return;
            };
            let tick = group.saturating_sub(u64::from(entry.redundant));
            let opus = payload.slice_ref(entry.opus);
            inner.ledger.arrived(listener, tick, entry.seat, &opus, entry.redundant, at_us);
        }
    }
}

impl Role for Load {
    fn opened(&mut self, connection: &mut Connection, peer: &mut Peer) {
        let namespace = self.resolved.namespace.clone();
        peer.subscribe_stage(connection, &namespace);
    }

    fn event(&mut self, connection: &mut Connection, peer: &mut Peer, event: SessionEvent, now: Instant) {
        let [stage, overflow] = peer.stage;
        match event {
            SessionEvent::Object { id, header, payload, .. } if Some(id) == stage || Some(id) == overflow => {
                self.object(peer.index, header.group, &payload, now);
            }
            SessionEvent::Subscribed(id) if Some(id) == stage => {
                let started = self.settle(peer.index);
                let mut inner = self.shared.lock();
                inner.joined += 1;
                let took = now.saturating_duration_since(started.unwrap_or(now));
                inner.joins.push(u32::try_from(took.as_micros()).unwrap_or(u32::MAX));
                drop(inner);
                self.shared.bell.wake();
            }
            SessionEvent::SubscribeRefused { id, .. } if Some(id) == stage => peer.close(connection),
            _ => {}
        }
    }

    fn closed(&mut self, _key: u32, peer: &Peer, why: ClientError) {
        self.failed(peer.index, why);
    }

    fn turn(&mut self, endpoint: &mut Endpoint<Peer>) -> bool {
        let now = Instant::now();
        if let Some(deadline) = self.deadline {
            return deadline > now && !endpoint.connections.is_empty();
        }
        if self.shared.lock().closing {
            let keys: Vec<u32> = endpoint.connections.keys().collect();
            for key in keys {
                if let Some((connection, peer)) = endpoint.connections.get_mut(key) {
                    peer.close(connection);
                }
            }
            self.next_dial = None;
            self.deadline = Some(now + FAREWELL);
            return true;
        }
        if self.next_dial.is_some_and(|at| at <= now) {
            self.dial(endpoint, now);
        }
        true
    }

    fn next_timeout(&self) -> Option<Instant> {
        match (self.next_dial, self.deadline) {
            (Some(next), Some(deadline)) => Some(next.min(deadline)),
            (next, deadline) => next.or(deadline),
        }
    }

    fn ended(&mut self, why: ClientError) {
        let mut inner = self.shared.lock();
        inner.over = true;
        if !inner.closing {
            inner.failed = inner.dialled;
            inner.joined = 0;
            inner.first_failure.get_or_insert(why);
        }
        drop(inner);
        self.shared.bell.wake();
    }
}
