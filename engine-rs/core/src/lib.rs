//! Live-audio rooms as a state machine.
//!
//! Nothing here opens a socket, reads a clock, starts a thread or touches a file: time and packets are handed in,
//! results are drained. So a year of audio over any network runs in a test, and the same code serves one shard or many.
//!
//! The path of a packet, in file order: [`uplink`] (what a speaker sends) → [`seat`] (may it be heard?) → [`jitter`]
//! (in which tick?) → [`space`] (the tick) → [`selection`] (who is heard) → [`bundle`] (the bytes that everybody gets)
//! → [`cursor`] (one listener's place in the ring) → the caller's [`engine::Sink`].

#![forbid(unsafe_code)]

pub mod admission;
pub mod bundle;
#[cfg(feature = "opus")]
pub mod codec;
pub mod command;
pub mod cursor;
pub mod engine;
pub mod event;
pub mod ids;
pub mod jitter;
pub mod ogg;
pub mod playout;
pub mod receiver;
pub mod record;
pub mod refusal;
pub mod seat;
pub mod segment;
pub mod selection;
pub mod space;
pub mod time;
pub mod uplink;
pub mod varint;
