//! The only I/O of the engine.

mod congestion;
pub mod connection;
pub mod endpoint;
pub mod quic;
pub mod recorder;
mod timers;
pub mod udp;
mod webtransport;
