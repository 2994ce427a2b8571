//! Counts what the heap is asked for while datagrams leave and acknowledgements come in: nothing.
#![allow(unsafe_code)] // an allocator cannot be written without; it hands everything on to the system's

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::UdpSocket;

use super::*;
use crate::outbox::Outbox;

struct Counting;

thread_local! {
    static ASKED: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    let _ = ASKED.try_with(|asked| asked.set(asked.get() + 1)); // a thread that ends counts no more
}

// SAFETY: every call is the system allocator's own, with the arguments that the caller vouches for.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn a_datagram_and_its_acknowledgement_ask_the_heap_for_nothing() {
    let start = Instant::now();
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut outbox = Outbox::bind("127.0.0.1:0".parse().unwrap(), false).unwrap();
    let lane = lane(start);
    lane.lock().numbers.take_for(0); // of quinn-proto's, never acknowledged
    let mut scratch = BytesMut::with_capacity(2_048);
    let mut round = |n: u64| {
        let now = start + Duration::from_millis(20 * n);
        outbox.make_room();
        let out = outbox.vacant().unwrap();
        assert_eq!(lane.seal(now, &[7; 300], &mut out.bytes), Sealed::Yes);
        (out.remote, out.source, out.ecn, out.segment) = (peer.local_addr().unwrap(), None, 0, None);
        outbox.commit();
        lane.lock().fed = true; // quinn-proto gets its packet a second elsewhere
        let newest = lane.lock().flight.newest();
        let mut ack = [2, 0x80, 0, 0, 0, 0, 0, 0];
        ack[1..5].copy_from_slice(&(newest as u32 | 0x8000_0000).to_be_bytes());
        let header = [0x41, b'o', b'u', b'r', b' ', b'c', b'i', b'd', b'.', (n >> 8) as u8, n as u8];
        let mut packet = [0; 11 + 8 + TAG];
        packet[..11].copy_from_slice(&header);
        packet[11..19].copy_from_slice(&ack);
        assert!(lane.open(now, &packet, &mut scratch));
    };
    // The batch's memory grows once.
    (0..200).for_each(&mut round);
    let before = ASKED.get();
    (200..10_200).for_each(&mut round);
    assert_eq!(ASKED.get() - before, 0);
    drop(vec![0u8; 64]);
    assert_eq!(ASKED.get() - before, 1, "the counter counts");
}
