//! Who is told about a virtual router, and who else moves its addresses, as status shows them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Somebody who is told of changes of state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NotifySnapshot {
    /// Who, such as `script /usr/local/bin/on-change`.
    pub target: String,
    /// Notices that wait, with the one that is being told.
    pub waiting: u64,
    /// Notices that were confirmed.
    pub delivered_total: u64,
    /// Attempts that failed.
    pub failed_total: u64,
    /// Notices that were left out because newer ones came too fast or too many attempts had failed.
    pub dropped_total: u64,
    /// Why the last attempt failed; `None` when it did not.
    pub failure: Option<String>,
    /// Since when attempts fail, in seconds since 1970-01-01T00:00:00Z.
    pub failing_since: Option<u64>,
}

/// A program that moves addresses beside the interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProviderSnapshot {
    /// The program with its arguments.
    pub program: String,
    /// `own` or `release`; `None` while it is not known which.
    pub wanted: Option<String>,
    /// What it has confirmed last; `None` when that was nothing, or is not wanted any more.
    pub confirmed: Option<String>,
    /// Calls that were confirmed.
    pub confirmed_total: u64,
    /// Calls that failed.
    pub failed_total: u64,
    /// Why the last call failed; `None` when it did not.
    pub failure: Option<String>,
    /// Since when calls fail, in seconds since 1970-01-01T00:00:00Z.
    pub failing_since: Option<u64>,
}
