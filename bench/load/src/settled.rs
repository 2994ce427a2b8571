//! Listeners who have settled: their connections, without quinn-proto. See [`crate::ear`].

use std::hint::black_box;
use std::time::Instant;

use bytes::BytesMut;
use rustc_hash::FxHashMap;

use crate::batch::Outbox;
use crate::crowd::Id;
use crate::ear::{Ear, Opened, own_id};
use crate::plan::Tier;
use crate::wheel::Wheel;

/// So many acknowledge at a time.
const CHUNK: usize = 64;

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
    by_id: FxHashMap<u64, usize>,
    /// Whose the packets are that come next.
    soon: Vec<Option<usize>>,
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
            by_id: FxHashMap::default(),
            soon: Vec::new(),
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

    /// These packets come next. What is known of those whom they are for is read once, one behind the other, so that the memory
    /// of all is fetched at the same time: in a crowd it is in no cache.
    pub fn expect<'a>(&mut self, packets: impl Iterator<Item = &'a [u8]>) {
        let Self { by_id, soon, places, .. } = self;
        soon.clear();
        soon.extend(packets.map(|packet| by_id.get(&own_id(packet)?).copied()));
        let seated = || soon.iter().filter_map(|index| Some(&places.get((*index)?)?.as_ref()?.ear));
        black_box(seated().map(Ear::read).sum::<u64>());
        black_box(seated().map(Ear::read_opening_keys).sum::<u64>());
    }

    /// Opens a packet, if it is for one of these: the one with this `number` of those that were expected. `heard` gets each datagram
    /// in it; in the end `over` is told whose connection goes no further, and why.
    pub fn open(
        &mut self,
        now: Instant,
        number: usize,
        packet: &mut [u8],
        mut heard: impl FnMut(Seated, &[u8]),
        over: impl FnOnce(Seated, &'static str),
    ) -> Option<()> {
        let index = (*self.soon.get(number)?)?;
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
        for chunk in dirty.chunks(CHUNK) {
            let seated = || chunk.iter().filter_map(|index| Some(&places.get(*index)?.as_ref()?.ear));
            black_box(seated().map(Ear::read).sum::<u64>());
            let due = || seated().filter(|ear| ear.due().is_some_and(|at| at <= now));
            black_box(due().map(Ear::read_sealing_keys).sum::<u64>());
            for &index in chunk {
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
        dirty.clear();
    }
}
