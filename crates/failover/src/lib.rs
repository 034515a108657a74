//! Decides who owns an address.
//!
//! Pure: packets, times and facts come in as arguments, actions come out as values. No sockets, no clock, no entropy,
//! no threads.

pub mod announce;
mod checksum;
pub mod handover;
pub mod track;
pub mod vrrp;
