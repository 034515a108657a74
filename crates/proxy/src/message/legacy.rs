//! What a proxy role leaves to the one that takes over.

use std::collections::BTreeMap;

use evenkeel_traffic::address::Address;
use evenkeel_traffic::legacy;
use evenkeel_traffic::name::Name;
use serde::{Deserialize, Serialize};

/// What is known of the servers of all pools. Those of which nothing is known are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Legacy {
    /// In any order.
    pub servers: Vec<Known>,
}

/// What is known of one server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// Its pool.
    pub pool: Name,
    /// Its name.
    pub server: Name,
    /// Where it answers: at another address it is another server.
    pub address: Address,
    /// What is known.
    pub health: legacy::Legacy,
}

impl Legacy {
    /// The same, to look servers up in.
    pub(crate) fn by_server(&self) -> BTreeMap<(&Name, &Name, &Address), &legacy::Legacy> {
        let servers = self.servers.iter();
        servers.map(|known| ((&known.pool, &known.server, &known.address), &known.health)).collect()
    }
}
