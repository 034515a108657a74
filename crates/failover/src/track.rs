//! The effective priority: what the operator gave, and what the tracked things add, take, or forbid.
//!
//! Every part stays visible, so that `status` can say why a router has the priority that it has. It knows no interface,
//! listener or pool: whoever tracks them says how each is.

use serde::{Deserialize, Serialize};

use crate::vrrp::params::Priority;

/// What one tracked thing says at the moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// The name for the operator: `listener website`, `interface eth1`.
    pub name: String,
    /// What it does to the priority.
    pub effect: Effect,
}

/// What a tracked thing does to the priority.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// Nothing at the moment.
    None,
    /// Adds this, or takes it away when negative.
    Weight(i16),
    /// Forbids to be active.
    Fault,
}

/// With what a router stands for election.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effective {
    /// With this priority.
    Priority(Priority),
    /// Not at all.
    Withdrawn,
}
