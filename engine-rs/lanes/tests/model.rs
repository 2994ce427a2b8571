//! The lanes in every interleaving and every reordering that the memory model allows: `make test-lanes`.
#![cfg(loom)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test may fail

use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;
use spaces_lanes::bell::Bell;
use spaces_lanes::{lane, ring};

/// Everything, with one more interruption of each thread than it takes to find a missing release or acquire.
fn model(run: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(run);
}

#[test]
fn a_ring_gives_each_item_once_in_order_whole_and_drops_what_is_left() {
    model(|| {
        let held = Arc::new(AtomicUsize::new(0));
        let (mut producer, mut consumer) = ring::ring(2);
        let counted = Arc::clone(&held);
        let writer = thread::spawn(move || {
            let mut refused = Vec::new();
            for number in 1..=4 {
                if let Err(item) = producer.push(Item::new(number, &counted)) {
                    refused.push(item.number());
                }
            }
            refused
        });
        let mut taken = Vec::new();
        for _ in 0..3 {
            taken.extend(consumer.pop().map(|item| item.number()));
        }
        let refused = writer.join().unwrap();
        // One more than that may lie in the ring still; it is dropped with it.
        let left = consumer.pop().map(|item| item.number());
        let mut all: Vec<usize> = taken.iter().copied().chain(left).collect();
        assert!(all.is_sorted(), "{all:?}");
        all.extend(&refused);
        drop(consumer);
        all.sort_unstable();
        all.dedup();
        assert!(all.len() >= 3 && all.iter().all(|number| (1..=4).contains(number)), "{all:?}");
        assert_eq!(held.load(Ordering::Relaxed), 0, "an item was lost or dropped twice");
    });
}

/// Counts those of its kind that live; holds its number on the heap, so that a torn or early read is seen.
struct Item {
    number: Box<usize>,
    living: Arc<AtomicUsize>,
}

impl Item {
    fn new(number: usize, living: &Arc<AtomicUsize>) -> Self {
        living.fetch_add(1, Ordering::Relaxed);
        Self { number: Box::new(number), living: Arc::clone(living) }
    }

    fn number(&self) -> usize {
        *self.number
    }
}

impl Drop for Item {
    fn drop(&mut self) {
        self.living.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What is sent, in this order: `true` perishes. What lasts arrives always, and all in the order of sending.
fn in_order(kinds: &'static [bool], capacity: usize) {
    model(move || {
        let (mut sender, mut receiver) = lane::lane(capacity);
        let writer = thread::spawn(move || {
            let mut refused = Vec::new();
            for (number, perishable) in kinds.iter().enumerate() {
                let sent = if *perishable { sender.send_perishable(number) } else { sender.send_lasting(number) };
                refused.extend(sent.err());
            }
            (sender, refused)
        });
        let mut taken = Vec::new();
        for _ in 0..2 {
            receiver.look();
            while let Some(number) = receiver.take() {
                taken.push(number);
            }
        }
        let (sender, refused) = writer.join().unwrap();
        receiver.look();
        while let Some(number) = receiver.take() {
            taken.push(number);
        }
        assert!(taken.is_sorted(), "{taken:?}");
        assert!(refused.iter().all(|number| kinds[*number]), "something that lasts was refused: {refused:?}");
        assert_eq!(taken.len() + refused.len(), kinds.len(), "{taken:?} and {refused:?}");
        drop(sender);
    });
}

#[test]
fn what_lasts_and_what_perishes_come_in_one_order() {
    in_order(&[true, false, true], 2);
    in_order(&[false, true, false], 1);
}

#[test]
fn a_full_lane_refuses_what_perishes_and_nothing_else() {
    in_order(&[true, true, false], 1);
}

/// What a command's answer rests on: whoever is told by other ways that something was sent finds it by looking.
#[test]
fn what_was_sent_before_somebody_said_so_is_found() {
    model(|| {
        let (mut sender, mut receiver) = lane::lane(2);
        let said = Arc::new(AtomicUsize::new(0));
        let told = Arc::clone(&said);
        let writer = thread::spawn(move || {
            sender.send_perishable(1).unwrap();
            sender.send_lasting(2).unwrap();
            told.store(1, Ordering::Release);
            sender
        });
        if said.load(Ordering::Acquire) == 1 {
            receiver.look();
            assert_eq!((receiver.take(), receiver.take(), receiver.take()), (Some(1), Some(2), None));
        }
        drop(writer.join().unwrap());
    });
}

#[test]
fn nobody_sleeps_while_something_waits() {
    model(|| {
        let (mut sender, mut receiver) = lane::lane(2);
        // The eventfd that a thread sleeps on: a number that grows when it is written and is 0 when it was read.
        let (bell, woken) = (Arc::new(Bell::default()), Arc::new(AtomicUsize::new(0)));
        let (rung, waker) = (Arc::clone(&bell), Arc::clone(&woken));
        let writer = thread::spawn(move || {
            for number in 0..2 {
                sender.send_perishable(number).unwrap();
                if rung.ring() {
                    waker.fetch_add(1, Ordering::SeqCst);
                }
            }
            sender
        });
        let mut taken = 0;
        let mut turn = |taken: &mut usize| {
            bell.answer();
            receiver.look();
            while receiver.take().is_some() {
                *taken += 1;
            }
        };
        if woken.swap(0, Ordering::SeqCst) > 0 {
            turn(&mut taken);
        }
        drop(writer.join().unwrap());
        // All is sent. Either everything was taken, or the thread is woken.
        if woken.swap(0, Ordering::SeqCst) > 0 {
            turn(&mut taken);
        }
        assert_eq!(taken, 2);
    });
}
