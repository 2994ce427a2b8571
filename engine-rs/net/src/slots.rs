//! When a thread turns and when it sleeps: packets are handled in slots, not one by one.
//!
//! ```text
//!            a packet came within the slot
//! Sparse ──────────────────────────────────→ Dense
//!        ←──────────────────────────────────
//!            LULLS slots in a row without one
//! ```
//! Each time a thread sleeps costs as much as several packets do, on virtual machines a dozen, so it does so once if it can: where
//! packets come in every slot, it waits for the slot's end first, and where they do not, for packets.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use crate::wake::{Waker, wait_readable};

/// The least time between two turns: handled in slots of 1 ms, packets cost half of what they do one by one.
pub(crate) const SLOT: Duration = Duration::from_millis(1);
/// How late the kernel may wake a thread (its timer slack): not worth a sleep.
const LATE: Duration = Duration::from_micros(50);
/// Slots in a row in which nothing has come, after which the next one is not expected to bring anything.
const LULLS: u8 = 2;

/// See the module.
pub(crate) struct Slots {
    /// When the slot began: the last turn.
    begun: Instant,
    /// Slots in a row without a packet.
    lulls: u8,
}

impl Slots {
    pub(crate) const fn new(now: Instant) -> Self {
        Self { begun: now, lulls: 0 }
    }

    /// When the slot began.
    pub(crate) const fn begun(&self) -> Instant {
        self.begun
    }

    /// A turn begins, and a slot with it. How long the one before was.
    pub(crate) fn next(&mut self, now: Instant) -> Duration {
        let since = now.saturating_duration_since(self.begun);
        self.begun = now;
        since
    }

    /// Waits for packets, commands or `until`, and for the slot's end; during that for commands only. `beside` is waited for as
    /// packets are, but says nothing of how dense they come.
    pub(crate) fn wait(
        &mut self,
        waker: &Waker,
        socket: BorrowedFd<'_>,
        beside: Option<BorrowedFd<'_>>,
        until: Instant,
    ) -> io::Result<()> {
        let end = self.begun + SLOT;
        let first = self.lulls < LULLS || until <= end;
        if first && sit_out(waker, end)? {
            return Ok(());
        }
        let begun = Instant::now();
        let patience = until.saturating_duration_since(begun);
        let packets = match beside {
            Some(beside) => wait_readable([waker.as_fd(), socket, beside], patience)?[1],
            None => wait_readable([waker.as_fd(), socket], patience)?[1],
        };
        // If the slot was sat out, what came meanwhile is there now.
        let in_slot = packets && Instant::now() < if first { begun + LATE } else { end };
        self.lulls = if in_slot { 0 } else { self.lulls.saturating_add(1) };
        sit_out(waker, end)?;
        Ok(())
    }
}

/// Waits for the end of a slot, or for a command. True: there is one.
fn sit_out(waker: &Waker, end: Instant) -> io::Result<bool> {
    let rest = end.saturating_duration_since(Instant::now());
    Ok(rest > LATE && wait_readable([waker.as_fd()], rest)?[0])
}
