//! The program as its operator has it: real files, real servers, real load, and things that go wrong meanwhile.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends where it fails")]

mod big_bodies;
mod body;
mod deaths;
mod discovery;
mod discovery_sources;
mod examples;
mod live;
mod memory;
mod reload;
mod removed_binds;
mod site;
mod slow_peers;
mod stop;
mod trial;
mod troubles;
mod upgrade;
