//! Wakes a thread that has many senders once, not once an item.
//!
//! A sender puts its item down and rings; the owner answers the bell and then looks. Both are read-modify-writes of one flag,
//! so one comes first. If it is the ring, the answer acquires what was put down before it, and the look finds it. If it is the
//! answer, the ring finds the flag cleared, and the owner is woken again.

use crate::sync::{AtomicBool, Ordering};

/// See the module.
#[derive(Debug)]
pub struct Bell(AtomicBool);

impl Default for Bell {
    fn default() -> Self {
        Self(AtomicBool::new(false))
    }
}

impl Bell {
    /// Something was put down. True: its owner has to be woken; else somebody has seen to it.
    #[must_use]
    pub fn ring(&self) -> bool {
        !self.0.swap(true, Ordering::AcqRel)
    }

    /// The owner is about to look.
    pub fn answer(&self) {
        self.0.swap(false, Ordering::AcqRel);
    }
}
