//! Live-audio rooms as a state machine.
//!
//! Nothing here opens a socket, reads a clock, starts a thread or touches a file: time and packets are handed in,
//! results are drained. So a year of audio over any network runs in a test, and the same code serves one shard or many.
//!
//! The path of a packet, file by file: [`uplink`] (what a speaker sends) → [`budget`] (is it too much?) → [`seat`] (may it be
//! heard?) → `jitter` (in which tick?) → `stage` (the tick) → `selection` (who is heard) → [`bundle`] (the bytes that everybody
//! gets) → `ring` (the last ticks, shared) → `cursor` (one listener's place in it) → the caller's [`engine::Sink`].

#![forbid(unsafe_code)]

pub mod admission;
mod apply;
mod audience;
pub mod budget;
pub mod bundle;
mod cadence;
pub mod captions;
#[cfg(feature = "opus")]
pub mod codec;
pub mod command;
mod cursor;
pub mod engine;
pub mod event;
pub mod growth;
mod headcount;
pub mod ids;
mod jitter;
mod limiter;
mod messages;
pub mod mix;
pub mod mix_bundle;
pub mod mix_feed;
mod mix_forward;
mod mix_packer;
pub mod mix_receiver;
mod mix_ring;
pub mod ogg;
mod path;
pub mod playout;
mod pulse;
pub mod reactions;
pub mod receiver;
pub mod record;
pub mod refusal;
mod ring;
mod round;
pub mod seat;
pub mod segment;
mod selection;
mod session;
mod shard;
mod space;
mod stage;
mod stats;
mod table;
pub mod tier_receiver;
pub mod time;
mod tombstones;
mod transit;
pub mod uplink;
pub mod varint;
