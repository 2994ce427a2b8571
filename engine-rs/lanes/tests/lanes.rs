//! The lanes as they are built, between real threads.
#![cfg(not(loom))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test may fail

use std::sync::Arc;
use std::thread;

use spaces_lanes::lane::{Sender, lane};
use spaces_lanes::ring::ring;

#[test]
fn a_ring_holds_as_much_as_was_asked_for_and_gives_back_the_rest() {
    let (mut producer, mut consumer) = ring(4);
    for round in 0..10 {
        for number in 0..4 {
            producer.push(round * 10 + number).unwrap();
        }
        assert_eq!(producer.push(99), Err(99));
        for number in 0..4 {
            assert_eq!(consumer.pop(), Some(round * 10 + number));
        }
        assert_eq!(consumer.pop(), None);
    }
}

#[test]
fn what_is_left_in_a_lane_is_dropped_with_it() {
    let item = Arc::new(());
    let (mut sender, mut receiver) = lane(8);
    for _ in 0..6 {
        sender.send_perishable(Arc::clone(&item)).unwrap();
        sender.send_lasting(Arc::clone(&item)).unwrap();
    }
    receiver.look();
    assert!(receiver.take().is_some());
    drop(sender);
    drop(receiver);
    assert_eq!(Arc::strong_count(&item), 1);
}

#[test]
fn nothing_that_was_sent_after_a_look_is_taken() {
    let (mut sender, mut receiver) = lane(8);
    sender.send_perishable(1).unwrap();
    assert!(receiver.look());
    sender.send_perishable(2).unwrap();
    sender.send_lasting(3).unwrap();
    assert_eq!((receiver.take(), receiver.take()), (Some(1), None));
    assert!(receiver.look() && !receiver.look());
    assert_eq!((receiver.take(), receiver.take(), receiver.take()), (Some(2), Some(3), None));
}

#[test]
fn a_receiver_that_is_gone_takes_nothing_that_lasts() {
    let (mut sender, receiver) = lane(8);
    drop(receiver);
    assert_eq!(sender.send_lasting(1), Err(1));
}

#[test]
fn a_million_items_of_both_kinds_come_in_order() {
    const ITEMS: u64 = 1_000_000;
    let send = |mut sender: Sender<u64>| {
        let mut refused = 0u64;
        for number in 0..ITEMS {
            if number % 97 == 0 {
                sender.send_lasting(number).unwrap();
            } else if sender.send_perishable(number).is_err() {
                refused += 1;
                thread::yield_now();
            }
        }
        refused
    };
    let (sender, mut receiver) = lane(256);
    let writer = thread::spawn(move || send(sender));
    let (mut taken, mut lasting, mut last) = (0, 0, None);
    loop {
        let over = writer.is_finished();
        receiver.look();
        while let Some(number) = receiver.take() {
            assert!(last.is_none_or(|last| number > last), "{number} after {last:?}");
            last = Some(number);
            taken += 1;
            lasting += u64::from(number % 97 == 0);
        }
        if over {
            break;
        }
        thread::yield_now();
    }
    assert_eq!(taken + writer.join().unwrap(), ITEMS);
    assert_eq!(lasting, ITEMS.div_ceil(97));
}
