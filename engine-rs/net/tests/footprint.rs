//! What the server's heap holds for a listener, once it is in and hears.
#![allow(unsafe_code)] // an allocator cannot be written without; it hands everything on to the system's
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a test: its helpers may fail as they may

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicI64, Ordering};

use common::{Via, World, packet};
use spaces_moqt::seam::Protocol;

/// Counts what all threads hold but the one that plays the clients.
struct Counting;

static HELD: AtomicI64 = AtomicI64::new(0);

thread_local! {
    static IS_CLIENT: Cell<bool> = const { Cell::new(false) };
}

fn count(bytes: i64) {
    if !IS_CLIENT.try_with(Cell::get).unwrap_or(true) {
        HELD.fetch_add(bytes, Ordering::Relaxed);
    }
}

// SAFETY: every call is the system allocator's own, with the arguments that the caller vouches for.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as i64);
        // SAFETY: as above.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as i64));
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size as i64 - layout.size() as i64);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Bytes a listener, of so many who come when as many are there already.
fn each(via: Via, count: usize) -> i64 {
    let mut world = World::new(1);
    let speaker = world.speaker(Via::Raw(Protocol::Moqt18), 0);
    let mut said = 0;
    let mut held = [0, 0];
    for held in &mut held {
        for _ in 0..count {
            world.listener(via, &["stage"]);
        }
        // Everything of the handshake is acknowledged, and the first acknowledgements of sound are in.
        world.talk(75, |world, _| {
            world.say(speaker, said, &packet(0, said));
            said += 1;
        });
        *held = HELD.load(Ordering::Relaxed);
    }
    (held[1] - held[0]) / count as i64
}

#[test]
fn a_listener_costs_the_heap_a_bounded_number_of_bytes() {
    IS_CLIENT.set(true);
    let count = std::env::var("COUNT").map_or(128, |n| n.parse().unwrap());
    for via in common::EVERY_WAY {
        eprintln!("{via:?}: {}", each(via, count));
    }
}
