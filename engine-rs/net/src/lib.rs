//! The only I/O of the engine.

pub mod client;
pub mod clock;
mod congestion;
pub mod connection;
pub mod downlink;
pub mod endpoint;
pub mod events;
pub mod identity;
pub mod quic;
pub mod recorder;
pub mod server;
mod session;
mod shard;
pub mod stats;
mod timers;
pub mod token;
pub mod udp;
mod webtransport;
