//! One exchange of request and response between two connections, without the connections.
//!
//! [`exchange`] decides what a response means for both sides, [`transfer`] moves a body from one to the other.

pub mod exchange;
pub mod transfer;
