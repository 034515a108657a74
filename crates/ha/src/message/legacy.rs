//! What a virtual router leaves to the process that goes on with it.

use evenkeel_failover::vrrp::machine;
use evenkeel_failover::vrrp::params::Family;
use serde::{Deserialize, Serialize};

/// What is left of one virtual router. Interface, number and family are what it is on the link; its name may change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Legacy {
    /// Where it advertises.
    pub interface: String,
    /// Its number there.
    pub vrid: u8,
    /// Of which addresses it speaks.
    pub family: Family,
    /// How its election stood.
    pub machine: machine::Legacy,
}
