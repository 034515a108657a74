//! What is said about moves that keep connections: the link to the other node, and how a move stands.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Whether the connections to addresses that have moved go on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Kept {
    /// All of them: so many are left on this node, and the other one passes their packets on.
    Connections(usize),
    /// None, for this reason.
    Without(String),
    /// None: there is no `[pair]`.
    Nothing,
}

/// A move of the addresses of a virtual router that keeps connections.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HandoverSnapshot {
    /// Connections that are left here, and whose packets the other node passes on; `None`: there is no such move.
    pub giving: Option<usize>,
    /// Connections of the other node whose packets are passed on to it; `None`: there is no such move.
    pub passing: Option<usize>,
    /// Since when, in seconds since 1970-01-01T00:00:00Z.
    pub since: Option<u64>,
    /// When what is left is ended, in seconds since 1970-01-01T00:00:00Z.
    pub ends: Option<u64>,
    /// What came of the last move, with the reason when connections were not kept.
    pub last: Option<String>,
}
