//! MoQT draft-18 and moq-lite-05 sessions without I/O, behind one seam.
//!
//! A [`seam::Transport`] is what a session needs of QUIC or WebTransport; a [`session::Session`] turns streams and
//! datagrams into [`seam::SessionEvent`]s and requests into bytes. Both ends are the same type: a server announces and
//! answers subscriptions, a speaker's client announces its seat and is subscribed to by the server.

#![forbid(unsafe_code)]

mod alias;
pub mod catalog;
mod common;
mod error;
mod events;
mod framing;
mod groups;
mod limits;
mod lite;
mod moqt;
mod names;
mod publication;
pub mod seam;
pub mod session;
mod small_map;
mod timescale;
mod wire;
