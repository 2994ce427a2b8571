//! The load that every server under test sees.
//!
//! One thread on a core of its own holds thousands of listeners, whatever the server speaks: raw QUIC (ours, plain quinn,
//! moq-relay), TCP (Icecast), TLS and encrypted UDP (mumble-server). It decrypts everything, counts every frame once, checks
//! the contents of one in fifty and reports its own CPU. Of our engine it shares the layout of bundles, of varints and of QUIC's
//! frames, and nothing else.
//!
//! ```text
//! plan (JSON) → crowd: who joins when, what each heard → run: the loop ← transport: fleet (QUIC), icecast, mumble
//!                                                                        fleet: quinn-proto → settled: ears, acks
//! ```

#![forbid(unsafe_code)]

pub mod acks;
pub mod batch;
pub mod clock;
pub mod console;
pub mod crowd;
pub mod curve;
pub mod ear;
pub mod fleet;
pub mod icecast;
pub mod moqt;
pub mod mumble;
pub mod network;
pub mod plan;
pub mod run;
pub mod settled;
pub mod stamp;
pub mod tally;
pub mod tls;
pub mod wheel;
