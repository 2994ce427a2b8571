//! Perishable items cost no allocation.
#![cfg(not(loom))]
#![allow(unsafe_code)] // reviewed: an allocator that counts and hands everything on
#![allow(clippy::unwrap_used)] // a test may fail

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use spaces_lanes::bell::Bell;
use spaces_lanes::lane::lane;

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: everything is the system's allocator's doing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// One test in this file: another's allocations would be counted in.
#[test]
fn a_shared_item_on_its_way_to_three_shards_costs_no_allocation() {
    let bundle = Arc::new([7u8; 200]);
    let mut lanes: Vec<_> = (0..3).map(|_| (lane(64), Bell::default())).collect();
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    let mut taken = 0;
    for _ in 0..10_000 {
        for ((sender, receiver), bell) in &mut lanes {
            sender.send_perishable(Arc::clone(&bundle)).unwrap();
            let _ = bell.ring();
            bell.answer();
            receiver.look();
            taken += receiver.take().iter().len();
        }
    }
    assert_eq!(taken, 30_000);
    assert_eq!(ALLOCATIONS.load(Ordering::Relaxed), before);
}
