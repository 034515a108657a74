//! Addresses that move, between real programs in real networks: Evenkeel with itself and with keepalived.
//!
//! Needs root and `ip`; without them each test is skipped and says so.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends where it fails")]

mod faults;
mod groups;
mod interop;
mod kept;
mod moves;
mod pair;
mod planned;
mod reload;
mod reload_diff;
mod strangers;
mod telling;
mod tracking;
mod upgrade;
mod virtual_mac;
