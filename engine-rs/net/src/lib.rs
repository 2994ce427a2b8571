//! The only I/O of the engine.

pub mod recorder;
