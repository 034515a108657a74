//! Moves traffic: one worker per core.

pub mod message;
