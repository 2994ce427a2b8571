//! The only I/O of the engine.

mod congestion;
pub mod connection;
pub mod endpoint;
pub mod quic;
mod timers;
pub mod udp;
mod webtransport;
