//! Thin Python binding.
