//! The recorder: on any storage under virtual time, on the real disk, and killed.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests, too, fail by panicking"
)]

mod bad_disk;
mod faults;
mod feed;
mod kill;
mod memory;
mod mix;
mod power;
mod queue;
mod rotation;
mod storm;
mod timeline;
mod tmpfs;
#[path = "../../../core/tests/tools/mod.rs"]
mod tools;
