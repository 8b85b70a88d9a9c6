//! Anything may come in.
