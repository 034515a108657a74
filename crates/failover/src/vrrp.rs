//! The Virtual Router Redundancy Protocol: RFC 9568 (version 3), RFC 3768 (version 2), and what keepalived adds.
//!
//! [`machine::Machine`] decides for one virtual router. "Active" is "Master" in older texts.

pub mod action;
pub mod authentication;
mod check;
pub mod interval;
pub mod machine;
pub mod note;
pub mod params;
pub mod refusal;
pub mod status;
