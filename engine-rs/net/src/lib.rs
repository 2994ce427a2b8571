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
pub mod frames;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod group;
mod handshakes;
mod mail;

pub mod identity;
mod lean;
mod link;
pub mod mixer;
mod notice;
mod outbox;
mod packets;
mod pages;
mod peer;
mod prefetch;
pub mod quic;
pub mod recorder;
pub mod server;
mod session;
mod shard;
mod shards;
mod slots;
pub mod stats;
mod steering;
mod streams;
mod timers;
pub mod token;
pub mod udp;
mod visitors;
mod wake;
pub mod websocket;
mod webtransport;
