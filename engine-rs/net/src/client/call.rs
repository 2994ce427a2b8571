//! A client with one connection: the state that its handle and its thread share, and the connection's life from dialling
//! until it is over.

use std::ops::{ControlFlow, Deref, DerefMut};
use std::os::fd::RawFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::destination::Resolved;
use super::driver::{PATIENCE, Peer, Role, spawn};
use super::{ClientError, Monotonic, State};
use crate::connection::Connection;
use crate::endpoint::{Endpoint, Waker};

/// How long a close has to leave.
const FAREWELL: Duration = Duration::from_secs(1);

/// What handle and thread share: a client's own, and how it stands.
pub(super) struct Held<T> {
    pub(super) state: State,
    /// The owner wants it to end.
    pub(super) closing: bool,
    own: T,
}

impl<T> Deref for Held<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.own
    }
}

impl<T> DerefMut for Held<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.own
    }
}

pub(super) struct Shared<T> {
    held: Mutex<Held<T>>,
    /// Rung when something changed.
    pub(super) bell: Waker,
    pub(super) clock: Monotonic,
}

impl<T> Shared<T> {
    pub(super) fn lock(&self) -> MutexGuard<'_, Held<T>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The owner's end. Dropping it closes the connection.
pub(super) struct Handle<T> {
    pub(super) shared: Arc<Shared<T>>,
    waker: Waker,
}

impl<T: Send + 'static> Handle<T> {
    /// Dials and starts the thread `name` with the role that `make` makes.
    pub(super) fn connect<R: Role>(
        name: &str,
        resolved: &Arc<Resolved>,
        own: T,
        make: impl FnOnce(Call<T>) -> R,
    ) -> Result<Self, ClientError> {
        let bell = Waker::new().map_err(|error| ClientError::Io(error.to_string()))?;
        let held = Mutex::new(Held { state: State::Connecting, closing: false, own });
        let shared = Arc::new(Shared { held, bell, clock: Monotonic::now() });
        let waker = spawn(name, Arc::clone(resolved), |endpoint| {
            let key = Some(resolved.dial(endpoint, Peer::default())?);
            Ok(make(Call { shared: Arc::clone(&shared), key, deadline: Some(Instant::now() + PATIENCE) }))
        })?;
        Ok(Self { shared, waker })
    }
}

impl<T> Handle<T> {
    pub(super) fn lock(&self) -> MutexGuard<'_, Held<T>> {
        self.shared.lock()
    }

    /// Turns the thread.
    pub(super) fn wake(&self) {
        self.waker.wake();
    }

    pub(super) fn bell_fd(&self) -> RawFd {
        self.shared.bell.raw_fd()
    }

    pub(super) fn clear_bell(&self) {
        let _ = self.shared.bell.take();
    }

    pub(super) fn state(&self) -> State {
        self.lock().state.clone()
    }

    pub(super) fn close(&self) {
        self.lock().closing = true;
        self.wake();
    }
}

impl<T> Drop for Handle<T> {
    fn drop(&mut self) {
        self.close();
    }
}

/// The thread's end: the connection, while there is one.
pub(super) struct Call<T> {
    pub(super) shared: Arc<Shared<T>>,
    key: Option<u32>,
    /// When connecting, or closing, has taken too long.
    deadline: Option<Instant>,
}

impl<T> Call<T> {
    pub(super) const fn key(&self) -> Option<u32> {
        self.key
    }

    pub(super) const fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    pub(super) fn is_late(&self, now: Instant) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= now)
    }

    /// What was asked for was granted.
    pub(super) fn live(&mut self) {
        self.deadline = None;
        self.shared.lock().state = State::Live;
        self.shared.bell.wake();
    }

    /// Nothing more will come, for the first reason given.
    pub(super) fn over(&self, why: ClientError) {
        self.over_and(why, |_| {});
    }

    /// The same, and what is held is changed before anybody can see it.
    pub(super) fn over_and(&self, why: ClientError, change: impl FnOnce(&mut T)) {
        let mut held = self.shared.lock();
        if !matches!(held.state, State::Over(_)) {
            held.state = State::Over(if held.closing { ClientError::NotOpen } else { why });
        }
        change(&mut held);
        drop(held);
        self.shared.bell.wake();
    }

    /// The connection is gone; the endpoint may have something to send still.
    pub(super) fn gone(&mut self) {
        self.key = None;
        self.deadline = Some(Instant::now() + FAREWELL);
    }

    /// Closes the connection.
    pub(super) fn leave(&mut self, connection: &mut Connection, peer: &mut Peer) {
        peer.close(connection);
        self.gone();
    }

    /// Gives up what takes too long, and leaves if the owner wants it. Goes on with the connection's key, or breaks with
    /// whether the thread has to turn again.
    pub(super) fn turn(&mut self, endpoint: &mut Endpoint<Peer>) -> ControlFlow<bool, u32> {
        let late = self.is_late(Instant::now());
        let Some(key) = self.key else {
            return ControlFlow::Break(!endpoint.connections.is_empty() && !late);
        };
        if late {
            self.over(ClientError::Timeout);
        }
        if late || self.shared.lock().closing {
            match endpoint.connections.get_mut(key) {
                Some((connection, peer)) => self.leave(connection, peer),
                None => self.gone(),
            }
            return ControlFlow::Break(true);
        }
        ControlFlow::Continue(key)
    }
}
