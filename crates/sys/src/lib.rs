//! Talks to Linux: sockets, processes, channels between them; the only unsafe code.
//!
//! Never decides: what to bind, whom to start and what to do about a failure is said by the callers. Every error names
//! the object and, where the operator can do something, what.

mod calls;
pub mod changes;
pub mod channel;
pub mod namespace;
pub mod netlink;
pub mod output;
pub mod process;
pub mod raw;
pub mod secret;
pub mod settings;
pub mod socket;
pub mod splice;
