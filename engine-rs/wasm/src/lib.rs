//! The receiver for browsers: [`spaces_core::receiver`] with a decoder in Rust, behind plain WebAssembly exports.
//!
//! A page has no concealment and no FEC in its own decoder; this module brings them, in 300 KB. It imports nothing.
//! [`abi`] tells how to call it.

pub mod abi;
mod decoder;

pub use decoder::RopusDecoder;
