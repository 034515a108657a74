//! What a proxy role leaves to the one that takes over.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

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
    /// When it was left, in microseconds since 1970-01-01T00:00:00Z: what it says of ages was right then.
    pub at: Option<u64>,
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

/// A takeover that seems to have taken longer is a clock that was set.
const LONGEST_TAKEOVER: Duration = Duration::from_secs(60);

fn micros_since_epoch() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

impl Legacy {
    /// Left at this moment.
    pub(crate) fn of(servers: Vec<Known>) -> Self {
        Self { servers, at: Some(micros_since_epoch()) }
    }

    /// How long ago it was left.
    pub(crate) fn age(&self) -> Duration {
        let ago = self.at.map_or(0, |at| micros_since_epoch().saturating_sub(at));
        let ago = Duration::from_micros(ago);
        if ago > LONGEST_TAKEOVER { Duration::ZERO } else { ago }
    }

    /// The same, to look servers up in.
    pub(crate) fn by_server(&self) -> BTreeMap<(&Name, &Name, &Address), &legacy::Legacy> {
        let servers = self.servers.iter();
        servers.map(|known| ((&known.pool, &known.server, &known.address), &known.health)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_left_ages_until_it_is_taken_up_and_no_clock_makes_it_old() {
        let of = |at| Legacy { servers: Vec::new(), at };
        let ago = |seconds: u64| of(Some(micros_since_epoch() - seconds * 1_000_000)).age();
        assert!(ago(3) >= Duration::from_secs(3) && ago(3) < Duration::from_secs(30));
        let ahead = of(Some(micros_since_epoch() + 3_600_000_000));
        for unknown in [ago(3600), ahead.age(), of(None).age()] {
            assert_eq!(unknown, Duration::ZERO);
        }
    }
}
