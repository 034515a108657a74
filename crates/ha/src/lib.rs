//! Runs elections and applies their result.
//!
//! `failover` decides who owns an address; this crate is its eyes and hands on Linux: sockets, interfaces, addresses.
//! One thread, one loop ([`run`]), nothing that blocks on another program: the operator is told by messages to the
//! supervisor, which writes the log.
//!
//! Where something is decided here (what to do about an address, from where to send), the decision is a function of
//! what was seen and what is wanted, apart from the deed. [`outbox`] and [`desire`] decide what
//! programs of the operator are told and when; the supervisor runs them.

mod addresses;
mod announcer;
mod apply;
pub mod desire;
mod following;
mod ground;
mod handing;
pub mod message;
pub mod outbox;
mod reassertions;
mod router;
pub mod run;
mod sight;
mod snapshot;
mod speaker;
mod track;
mod virtual_mac;
mod words;
