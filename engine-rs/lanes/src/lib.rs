//! How shards talk to each other: a *lane* from each to each.
//!
//! A lane carries two kinds of items in the one order in which they were sent. **Perishable** ones (audio) lie in a bounded
//! ring without locks and without allocation; what does not fit is given back at once, because audio that has to wait is worth
//! nothing. **Lasting** ones (control) are rare and always taken. Sending never waits, whatever the other end does.
//!
//! ```text
//! shard a ── Sender ──[ ring: perishable ]──┐
//!                  └──[ list: lasting    ]──┴─ Receiver ── shard b          Bell: "there is something", one wake-up a turn
//! ```
//! Built with `--cfg loom` the same code runs on loom's primitives: see `tests/model.rs`.

pub mod bell;
pub mod lane;
pub mod ring;
mod sync;
