//! How a pool chooses among its servers, as the file says it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::key::Key;
use super::source::WHOLE_ADDRESS;
use crate::route::Facts;

/// The smallest `bounded-load`, in hundredths: with 1.00 every server would have to have exactly its share.
pub const LEAST_FACTOR: u16 = 101;
/// The largest `bounded-load`, in hundredths.
pub const LARGEST_FACTOR: u16 = 1000;

/// An algorithm with its settings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Balance {
    /// In turn, smoothly interleaved by weight.
    #[default]
    RoundRobin,
    /// The fewest running relative to weight.
    LeastConnections,
    /// By a key, consistently.
    Hash {
        /// What decides.
        key: Key,
        /// How many hundredths of its share of what runs a server may have, [`LEAST_FACTOR`] to
        /// [`LARGEST_FACTOR`]; `None` sets no bound.
        bounded_load: Option<u16>,
    },
    /// Two at random, the one with fewer running relative to weight.
    RandomTwo,
    /// Two at random, the one that is expected to answer sooner.
    PeakEwma,
    /// The first with room.
    First,
}

impl Balance {
    /// `"source"`: the client's address decides.
    pub const SOURCE: Self =
        Self::Hash { key: Key::Source { ipv6_prefix: WHOLE_ADDRESS }, bounded_load: None };

    /// Says whether the TLS hello of a client decides, so that it must be read first.
    #[must_use]
    pub fn needs_hello(&self) -> bool {
        matches!(self, Self::Hash { key: Key::Sni, .. })
    }

    /// The hash of what decides where something with these facts goes; `None` when nothing of it does.
    #[must_use]
    pub fn key(&self, facts: &impl Facts) -> Option<u64> {
        match self {
            Self::Hash { key, .. } => key.hash(facts),
            Self::RoundRobin | Self::LeastConnections | Self::RandomTwo | Self::PeakEwma | Self::First => {
                None
            }
        }
    }
}

/// As the file writes it, without the quotes of a single word.
impl fmt::Display for Balance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self {
            Self::RoundRobin => "round-robin",
            Self::LeastConnections => "least-connections",
            Self::RandomTwo => "random-two",
            Self::PeakEwma => "peak-ewma",
            Self::First => "first",
            source if *source == Self::SOURCE => "source",
            Self::Hash { key, bounded_load } => {
                write!(f, "{{ hash = {key}")?;
                match key {
                    Key::Source { ipv6_prefix } if *ipv6_prefix < WHOLE_ADDRESS => {
                        write!(f, ", ipv6-prefix = {ipv6_prefix}")?;
                    }
                    _ => {}
                }
                if let Some(percent) = bounded_load {
                    write!(f, ", bounded-load = {}.{:02}", percent / 100, percent % 100)?;
                }
                " }"
            }
        };
        f.write_str(word)
    }
}
