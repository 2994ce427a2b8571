//! The connections of an endpoint, by key.

use std::time::Instant;

use spaces_core::engine::{Soon, Track};

use crate::connection::Connection;
use crate::express::Express;
use crate::prefetch::prefetch;

/// How the last object left as a datagram: what its header depends on. Holds until the connection is touched, for whoever
/// changes a session touches its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) track: Track,
    /// See [`spaces_moqt::session::Session::datagram_key`].
    pub(crate) key: u64,
    /// See [`Connection::quarter`].
    pub(crate) quarter: Option<u64>,
}

/// One connection and what its application keeps with it.
pub(crate) struct Slot<S> {
    pub(crate) route: Option<Route>,
    pub(crate) connection: Connection,
    pub(crate) state: Option<S>,
    /// Is in the list of those to be asked for transmits.
    pub(crate) dirty: bool,
}

/// The connections of an endpoint.
pub struct Connections<S> {
    slots: Vec<Option<Box<Slot<S>>>>,
    /// Touched in this turn.
    pub(crate) dirty: Vec<u32>,
    count: usize,
    /// This turn's time.
    pub(crate) now: Instant,
}

impl<S> Connections<S> {
    pub(crate) fn new(now: Instant) -> Self {
        Self { slots: Vec::new(), dirty: Vec::new(), count: 0, now }
    }

    pub(crate) fn insert(&mut self, connection: Connection, state: Option<S>) -> u32 {
        let key = connection.key();
        let index = key as usize;
        if self.slots.len() <= index {
            self.slots.resize_with(index + 1, || None);
        }
        if let Some(slot) = self.slots.get_mut(index) {
            *slot = Some(Box::new(Slot { route: None, connection, state, dirty: false }));
            self.count += 1;
        }
        self.touch(key);
        key
    }

    pub(crate) fn remove(&mut self, key: u32) {
        if self.slots.get_mut(key as usize).and_then(Option::take).is_some() {
            self.count -= 1;
        }
    }

    pub(crate) fn slot(&mut self, key: u32) -> Option<&mut Slot<S>> {
        self.slots.get_mut(key as usize)?.as_deref_mut()
    }

    /// The slot, whose connection may have something to send or to say from now on.
    pub(crate) fn touch(&mut self, key: u32) -> Option<&mut Slot<S>> {
        let slot = self.slots.get_mut(key as usize)?.as_deref_mut()?;
        slot.connection.now = self.now;
        slot.route = None;
        if !std::mem::replace(&mut slot.dirty, true) {
            self.dirty.push(key);
        }
        Some(slot)
    }

    /// Fetches what a datagram to `key` needs, or an acknowledgement from it, which is to be opened; see
    /// [`spaces_core::engine::Sink::expect`].
    pub(crate) fn expect(&self, key: u32, soon: Soon, open: bool) {
        let Some(Some(slot)) = self.slots.get(key as usize) else { return };
        match soon {
            Soon::Soon => {
                prefetch(&slot.route);
                prefetch(&slot.connection.express);
                prefetch(&slot.connection.phase);
            }
            Soon::VerySoon => {
                if let Some(express) = &slot.connection.express {
                    express.fetch();
                }
            }
            Soon::Next => {
                if let Some(express) = &slot.connection.express {
                    express.fetch_keys(open);
                }
            }
        }
    }

    /// Where in memory `key`'s connection lies, and its lane.
    pub(crate) fn addresses(&self, key: u32) -> Option<[usize; 2]> {
        let slot = self.slots.get(key as usize)?.as_deref()?;
        let own = std::ptr::from_ref(slot).addr();
        Some([own, slot.connection.express.as_ref().map_or(own, Express::address)])
    }

    /// Touches all.
    pub(crate) fn touch_all(&mut self) {
        for index in 0..self.slots.len() {
            self.touch(u32::try_from(index).unwrap_or(u32::MAX));
        }
    }

    /// The connection and its state, to be used: what it has to send leaves at the end of this turn.
    pub fn get_mut(&mut self, key: u32) -> Option<(&mut Connection, &mut S)> {
        let slot = self.touch(key)?;
        Some((&mut slot.connection, slot.state.as_mut()?))
    }

    /// The same to look at only.
    #[must_use]
    pub fn get(&self, key: u32) -> Option<(&Connection, &S)> {
        let slot = self.slots.get(key as usize)?.as_deref()?;
        Some((&slot.connection, slot.state.as_ref()?))
    }

    /// The connection, not to be used, and its state: nothing new is sent because of it.
    pub fn peek_mut(&mut self, key: u32) -> Option<(&Connection, &mut S)> {
        let slot = self.slots.get_mut(key as usize)?.as_deref_mut()?;
        Some((&slot.connection, slot.state.as_mut()?))
    }

    /// Of `parts` equal parts of all keys that may be in use, the one of this number.
    pub fn part(&self, part: usize, parts: usize) -> impl Iterator<Item = u32> + use<S> {
        (part..self.slots.len()).step_by(parts.max(1)).map(|index| u32::try_from(index).unwrap_or(u32::MAX))
    }

    /// Keys of all that have a state.
    pub fn keys(&self) -> impl Iterator<Item = u32> + '_ {
        let with_state = |slot: &Option<Box<Slot<S>>>| slot.as_deref().is_some_and(|slot| slot.state.is_some());
        (0u32..).zip(&self.slots).filter(move |(_, slot)| with_state(slot)).map(|(key, _)| key)
    }

    /// How many, half-open ones included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// None?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}
