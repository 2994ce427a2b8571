//! What the targets share.

pub mod input;
pub mod session;
pub mod sound;
