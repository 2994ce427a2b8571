//! The only I/O of the engine.

mod addressees;
mod application;
pub mod client;
pub mod clock;
mod commands;
mod congestion;
pub mod connection;
mod connections;
pub mod crowd;
pub mod downlink;
pub mod endpoint;
pub mod events;
mod express;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod handshakes;
pub mod identity;
mod lean;
pub mod mixer;
mod notice;
mod outbox;
mod peer;
mod prefetch;
pub mod quic;
pub mod recorder;
pub mod server;
mod session;
mod shard;
pub mod stats;
mod streams;
mod timers;
pub mod token;
pub mod udp;
mod visitors;
mod wake;
mod webtransport;
