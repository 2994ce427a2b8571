//! Listeners who have settled: their connections, without quinn-proto. See [`crate::ear`].

use std::collections::HashMap;
use std::time::Instant;

use bytes::BytesMut;

use crate::batch::Outbox;
use crate::crowd::Id;
use crate::ear::{Ear, Opened, own_id};
use crate::plan::Tier;
use crate::wheel::Wheel;

/// Who listens.
#[derive(Clone, Copy, Debug)]
pub struct Seated {
    /// In the crowd.
    pub id: Id,
    /// What is heard.
    pub tier: Tier,
    /// Number of the socket.
    pub socket: usize,
}

struct Place {
    who: Seated,
    ear: Ear,
    /// Slot of the wheel that counts, if any.
    armed: Option<u64>,
    dirty: bool,
}

/// See the module.
pub struct Settled {
    /// By the connection id that the server uses.
    by_id: HashMap<u64, usize>,
    places: Vec<Option<Place>>,
    wheel: Wheel,
    due: Vec<(usize, u64)>,
    dirty: Vec<usize>,
    scratch: BytesMut,
}

impl Settled {
    /// Nobody.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self {
            by_id: HashMap::new(),
            places: Vec::new(),
            wheel: Wheel::new(now),
            due: Vec::new(),
            dirty: Vec::new(),
            scratch: BytesMut::new(),
        }
    }

    /// Goes on with a connection whose packets come to `own`.
    pub fn add(&mut self, own: u64, ear: Ear, who: Seated) {
        self.by_id.insert(own, self.places.len());
        self.dirty.push(self.places.len());
        self.places.push(Some(Place { who, ear, armed: None, dirty: true }));
    }

    /// Opens a packet, if it is for one of these. `heard` gets each datagram in it; in the end `over` is told whose connection
    /// goes no further, and why.
    pub fn open(
        &mut self,
        now: Instant,
        packet: &mut [u8],
        mut heard: impl FnMut(Seated, &[u8]),
        over: impl FnOnce(Seated, &'static str),
    ) -> Option<()> {
        let id = own_id(packet)?;
        let index = *self.by_id.get(&id)?;
        let place = self.places.get_mut(index)?;
        let Some(Place { who, ear, dirty, .. }) = place else { return Some(()) };
        let who = *who;
        let why = match ear.open(now, packet, &mut self.scratch, |datagram| heard(who, datagram)) {
            Opened::Well => {
                if !std::mem::replace(dirty, true) {
                    self.dirty.push(index);
                }
                return Some(());
            }
            Opened::Ignored => return Some(()),
            Opened::Closed => "the server closed the connection",
            Opened::Beyond => "the server sent what a settled listener of this load does not understand",
        };
        *place = None;
        over(who, why);
        Some(())
    }

    /// Sends what is due by now.
    pub fn acknowledge(&mut self, now: Instant, outboxes: &mut [Outbox], spare: &mut Vec<Vec<u8>>) {
        let Self { places, wheel, due, dirty, .. } = self;
        wheel.advance(now, due);
        for (index, slot) in due.drain(..) {
            if let Some(Some(place)) = places.get_mut(index)
                && place.armed == Some(slot)
            {
                place.armed = None;
                if !std::mem::replace(&mut place.dirty, true) {
                    dirty.push(index);
                }
            }
        }
        for index in dirty.drain(..) {
            let Some(Some(place)) = places.get_mut(index) else { continue };
            place.dirty = false;
            let Some(at) = place.ear.due() else { continue };
            if at <= now {
                let mut packet = spare.pop().unwrap_or_default();
                place.ear.acknowledge(now, &mut packet);
                if let Some(outbox) = outboxes.get_mut(place.who.socket) {
                    outbox.push(packet);
                }
            } else if place.armed.is_none_or(|slot| wheel.time_of(slot) > at) {
                place.armed = Some(wheel.enter(index, at));
            }
        }
    }
}
