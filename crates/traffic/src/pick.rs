//! Which server of a pool takes the next request or connection: one file an algorithm.
//!
//! Invariants of every algorithm: no allocation and no lock on a pick; a server of weight 0 or in `tried` is never
//! picked; the same calls in the same order give the same servers.

pub mod round_robin;

use serde::{Deserialize, Serialize};

/// A server's share of the traffic relative to the others of its pool: 0 (none) to 256.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct Weight(u16);

impl Weight {
    /// The largest weight.
    pub const MOST: u16 = 256;
    /// What a server has when the file says nothing.
    pub const ONE: Self = Self(1);

    /// The number.
    #[must_use]
    pub fn value(self) -> u16 {
        self.0
    }
}

/// The text or number is no weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidWeight;

impl std::fmt::Display for InvalidWeight {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "a weight is a whole number from 0 to {}", Weight::MOST)
    }
}

impl std::error::Error for InvalidWeight {}

impl TryFrom<u16> for Weight {
    type Error = InvalidWeight;

    fn try_from(value: u16) -> Result<Self, InvalidWeight> {
        if value <= Self::MOST { Ok(Self(value)) } else { Err(InvalidWeight) }
    }
}

impl From<Weight> for u16 {
    fn from(weight: Weight) -> Self {
        weight.0
    }
}

/// How a pool chooses among its servers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Balance {
    /// In turn, smoothly interleaved by weight.
    #[default]
    RoundRobin,
}
