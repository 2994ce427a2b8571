//! Perishable and lasting items from one thread to another, in the order in which they were sent.
//!
//! Items are numbered. `sent` is the number of the last one; it is stored (release) after the item was put where it lies. A
//! receiver that has loaded it (acquire) therefore sees every item up to that number in both places, and merges them by
//! number. What is sent meanwhile waits for the next look, so that a look comes to an end however busy the sender is.

use std::sync::mpsc::SendError;

use crate::ring::{self, Consumer, Producer};
use crate::sync::{Arc, AtomicU64, Ordering, mpsc};

type Numbered<T> = (u64, T);

/// The writing end; one thread's.
pub struct Sender<T> {
    perishable: Producer<Numbered<T>>,
    lasting: mpsc::Sender<Numbered<T>>,
    sent: Arc<AtomicU64>,
    number: u64,
}

/// The reading end; one thread's.
pub struct Receiver<T> {
    perishable: Consumer<Numbered<T>>,
    lasting: mpsc::Receiver<Numbered<T>>,
    sent: Arc<AtomicU64>,
    /// What was sent by the last [`Receiver::look`].
    seen: u64,
    /// The first of either kind, taken out to compare them.
    fresh: Option<Numbered<T>>,
    kept: Option<Numbered<T>>,
}

/// A lane on which `capacity` perishable items may wait.
#[must_use]
pub fn lane<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    let (producer, consumer) = ring::ring(capacity);
    let (lasting, kept) = mpsc::channel();
    let sent = Arc::new(AtomicU64::new(0));
    let sender = Sender { perishable: producer, lasting, sent: Arc::clone(&sent), number: 0 };
    (sender, Receiver { perishable: consumer, lasting: kept, sent, seen: 0, fresh: None, kept: None })
}

impl<T> Sender<T> {
    /// Sends what is worth nothing if it has to wait. Allocates nothing.
    ///
    /// # Errors
    /// Too much waits already; the item comes back.
    pub fn send_perishable(&mut self, item: T) -> Result<(), T> {
        let number = self.number + 1;
        self.perishable.push((number, item)).map_err(|(_, item)| item)?;
        self.publish(number);
        Ok(())
    }

    /// Sends what must arrive.
    ///
    /// # Errors
    /// The other end is gone; the item comes back.
    pub fn send_lasting(&mut self, item: T) -> Result<(), T> {
        let number = self.number + 1;
        self.lasting.send((number, item)).map_err(|SendError((_, item))| item)?;
        self.publish(number);
        Ok(())
    }

    fn publish(&mut self, number: u64) {
        self.number = number;
        self.sent.store(number, Ordering::Release);
    }
}

impl<T> Receiver<T> {
    /// From now on [`Receiver::take`] gives everything that was sent before this call. False: there is nothing new.
    pub fn look(&mut self) -> bool {
        let sent = self.sent.load(Ordering::Acquire);
        let new = sent != self.seen;
        self.seen = sent;
        new
    }

    /// The next item that was sent before the last [`Receiver::look`].
    pub fn take(&mut self) -> Option<T> {
        self.fresh = self.fresh.take().or_else(|| self.perishable.pop());
        self.kept = self.kept.take().or_else(|| self.lasting.try_recv().ok());
        let first = match (&self.fresh, &self.kept) {
            (Some((fresh, _)), Some((kept, _))) if fresh < kept => &mut self.fresh,
            (_, Some(_)) => &mut self.kept,
            _ => &mut self.fresh,
        };
        Some(first.take_if(|(number, _)| *number <= self.seen)?.1)
    }
}
