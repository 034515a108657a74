//! The link to the other node.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// `[pair]`: how the two nodes of a pair talk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair {
    /// `peer`: where the other node listens; never an unspecified or a virtual address.
    pub peer: SocketAddr,
    /// `bind`: where this one listens; of the family of `peer`.
    pub bind: SocketAddr,
    /// `key-file`: what both know and nobody else.
    pub key_file: PathBuf,
    /// `handover-timeout`: how long connections may go on where they are once their addresses have moved.
    pub handover_timeout: Duration,
}
