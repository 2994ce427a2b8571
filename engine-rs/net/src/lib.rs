//! The engine's I/O: sockets, clocks, threads and files around the pure core.

pub mod identity;
pub mod token;
