//! The Virtual Router Redundancy Protocol: RFC 9568 (version 3), RFC 3768 (version 2), and what keepalived adds.
//!
//! [`machine::Machine`] decides for one virtual router, [`group::Group`] for several that move together. Bytes are found by
//! [`datagram`] and [`packet`] and judged by [`validate`]. "Active" is "Master" in older texts.

pub mod action;
pub mod authentication;
mod check;
pub mod datagram;
pub mod group;
pub mod hmac;
pub mod interval;
pub mod machine;
pub mod note;
pub mod packet;
pub mod params;
pub mod refusal;
#[cfg(test)]
mod scene;
pub mod status;
pub mod timers;
pub mod validate;
