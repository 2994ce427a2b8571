//! The only I/O of the engine.
