//! The sessions of one shard, by the caller's key.

use crate::admission::Claims;
use crate::audience::Kind;
use crate::budget::Budget;
use crate::ids::{SeatNo, SessionKey, SpaceId};
use crate::reactions::Temper;
use crate::time::Time;

/// Keys are indices of slots; beyond this they are a mistake.
const MOST: usize = 1 << 22;

/// A session that publishes.
#[derive(Clone, Debug)]
pub(crate) struct Publishing {
    pub(crate) seat: SeatNo,
    pub(crate) generation: u32,
    pub(crate) since: Time,
    pub(crate) budget: Budget,
}

/// A session that was let in.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) space: SpaceId,
    pub(crate) claims: Claims,
    /// When its peer began to connect.
    pub(crate) begun: Time,
    /// Its slot in the audience.
    pub(crate) slot: usize,
    pub(crate) temper: Temper,
    pub(crate) publishing: Option<Box<Publishing>>,
}

impl Session {
    pub(crate) const fn kind(&self) -> Kind {
        if self.claims.service {
            return Kind::Service;
        }
        match (self.claims.account, self.claims.anonymous) {
            (None, _) => Kind::Guest,
            (Some(_), true) => Kind::Anonymous,
            (Some(_), false) => Kind::Named,
        }
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    slots: Vec<Option<Box<Session>>>,
}

impl Sessions {
    pub(crate) fn get(&self, key: SessionKey) -> Option<&Session> {
        self.slots.get(key.0 as usize)?.as_deref()
    }

    pub(crate) fn get_mut(&mut self, key: SessionKey) -> Option<&mut Session> {
        self.slots.get_mut(key.0 as usize)?.as_deref_mut()
    }

    /// Whether a session of this key could be kept.
    pub(crate) const fn fits(key: SessionKey) -> bool {
        (key.0 as usize) < MOST
    }

    pub(crate) fn insert(&mut self, key: SessionKey, session: Session) {
        let index = key.0 as usize;
        if index >= self.slots.len() && Self::fits(key) {
            self.slots.resize_with(index + 1, || None);
        }
        if let Some(slot) = self.slots.get_mut(index) {
            *slot = Some(Box::new(session));
        }
    }

    pub(crate) fn remove(&mut self, key: SessionKey) -> Option<Session> {
        self.slots.get_mut(key.0 as usize)?.take().map(|session| *session)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (SessionKey, &Session)> {
        (0u32..).zip(&self.slots).filter_map(|(key, slot)| Some((SessionKey(key), slot.as_deref()?)))
    }
}
