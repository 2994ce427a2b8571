//! A bounded queue between one producer and one consumer, without locks and without allocation after it was made.
//!
//! Memory order. `head` counts what was written, `tail` what was taken; both only grow (and wrap). Each is stored by one end
//! alone. The producer's release of `head` makes a slot's content visible to the consumer that acquires it; the consumer's
//! release of `tail` makes the slot's emptiness visible to the producer that acquires it before it writes there again. So no
//! slot is ever touched by both at once, which is all that the `unsafe` below rests on.
#![allow(unsafe_code)] // reviewed: slots without a lock; every access is checked by loom in tests/model.rs

use std::mem::MaybeUninit;

use crate::sync::{Arc, AtomicUsize, Ordering, UnsafeCell};

/// Alone in its cache lines (two, as processors fetch them in pairs): the ends do not slow each other down.
#[repr(align(128))]
struct Alone<T>(T);

struct Ring<T> {
    slots: Box<[UnsafeCell<MaybeUninit<T>>]>,
    head: Alone<AtomicUsize>,
    tail: Alone<AtomicUsize>,
}

// SAFETY: an item is written by the producer's thread and taken by the consumer's, never looked at by both: it has to be fit to
// be sent, no more. Which slot belongs to whom is what `head` and `tail` say, see the module.
unsafe impl<T: Send> Send for Ring<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Ring<T> {}

impl<T> Ring<T> {
    fn slot(&self, place: usize) -> Option<&UnsafeCell<MaybeUninit<T>>> {
        self.slots.get(place & self.slots.len().wrapping_sub(1))
    }
}

impl<T> Drop for Ring<T> {
    fn drop(&mut self) {
        // Both ends are gone, and the last of them has acquired what the other did (`Arc`).
        let (head, mut tail) = (self.head.0.load(Ordering::Relaxed), self.tail.0.load(Ordering::Relaxed));
        while tail != head {
            if let Some(slot) = self.slot(tail) {
                // SAFETY: slots from `tail` to `head` hold an item each, and nobody else is left.
                slot.with_mut(|item| unsafe { (*item).assume_init_drop() });
            }
            tail = tail.wrapping_add(1);
        }
    }
}

/// The writing end.
pub struct Producer<T> {
    ring: Arc<Ring<T>>,
    head: usize,
    /// `tail` as last seen: it is looked at again only when the ring seems full.
    seen: usize,
}

/// The reading end.
pub struct Consumer<T> {
    ring: Arc<Ring<T>>,
    tail: usize,
    /// `head` as last seen.
    seen: usize,
}

/// A ring for `capacity` items, rounded up to a power of two.
#[must_use]
pub fn ring<T>(capacity: usize) -> (Producer<T>, Consumer<T>) {
    let slots = (0..capacity.max(1).next_power_of_two()).map(|_| UnsafeCell::new(MaybeUninit::uninit())).collect();
    let (head, tail) = (Alone(AtomicUsize::new(0)), Alone(AtomicUsize::new(0)));
    let ring = Arc::new(Ring { slots, head, tail });
    (Producer { ring: Arc::clone(&ring), head: 0, seen: 0 }, Consumer { ring, tail: 0, seen: 0 })
}

impl<T> Producer<T> {
    /// Adds an item. Never waits.
    ///
    /// # Errors
    /// The ring is full; the item comes back.
    pub fn push(&mut self, item: T) -> Result<(), T> {
        if self.head.wrapping_sub(self.seen) >= self.ring.slots.len() {
            self.seen = self.ring.tail.0.load(Ordering::Acquire);
            if self.head.wrapping_sub(self.seen) >= self.ring.slots.len() {
                return Err(item);
            }
        }
        let Some(slot) = self.ring.slot(self.head) else { return Err(item) };
        // SAFETY: fewer than all slots are taken, so this one is empty, and the consumer does not look at it before it sees the
        // new `head`.
        slot.with_mut(|place| unsafe { (*place).write(item) });
        self.head = self.head.wrapping_add(1);
        self.ring.head.0.store(self.head, Ordering::Release);
        Ok(())
    }
}

impl<T> Consumer<T> {
    /// Takes the oldest item.
    pub fn pop(&mut self) -> Option<T> {
        if self.tail == self.seen {
            self.seen = self.ring.head.0.load(Ordering::Acquire);
            if self.tail == self.seen {
                return None;
            }
        }
        // SAFETY: `tail` is before `head`, so the slot holds an item, and the producer does not write to it before it sees the
        // new `tail`. It is read once: `tail` goes on.
        let item = self.ring.slot(self.tail)?.with(|item| unsafe { (*item).assume_init_read() });
        self.tail = self.tail.wrapping_add(1);
        self.ring.tail.0.store(self.tail, Ordering::Release);
        Some(item)
    }
}
