//! What a virtual router tracks: what must be well for it to hold its addresses.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use evenkeel_traffic::name::Name;
use serde::{Deserialize, Serialize};

use super::Plan;

/// One tracked thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Track {
    /// Which.
    pub what: Tracked,
    /// What it does to the router.
    pub bearing: Bearing,
}

/// What a tracked thing does to a virtual router.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bearing {
    /// Ill: any other router that is well shall be active instead.
    Yield,
    /// Ill: it may not be active.
    Fault,
    /// `priority`: changes the priority, when negative while ill and when positive while well.
    Priority(i16),
}

/// What can be tracked. Two that are equal are looked at once.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tracked {
    /// The proxy role runs and knows how its servers are.
    Proxy,
    /// A listener has a pool with a server.
    Listener(Name),
    /// A pool has servers enough.
    Pool(Name, Least),
    /// An interface can be used.
    Interface(String),
    /// A program says so.
    Script(Script),
    /// The number in a file is 0.
    File(PathBuf, Duration),
    /// Processes run.
    Process(ProcessTrack),
}

/// How many servers of a pool must take traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Least {
    /// So many.
    Servers(u32),
    /// So many of 100.
    Share(u32),
}

impl Least {
    /// The number of servers, of `all`.
    #[must_use]
    pub fn of(self, all: u32) -> u32 {
        match self {
            Self::Servers(least) => least,
            Self::Share(share) => {
                let needed = (u64::from(all) * u64::from(share)).div_ceil(100);
                u32::try_from(needed).unwrap_or(u32::MAX).max(1)
            }
        }
    }
}

/// A program that is run again and again.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Script {
    /// The program and its arguments.
    pub command: Vec<String>,
    /// From the start of a run to the start of the next.
    pub interval: Duration,
    /// How long a run may take.
    pub timeout: Duration,
    /// Good results in a row that make it well.
    pub rise: u32,
    /// Bad results in a row that make it ill.
    pub fall: u32,
    /// Whom it runs as; `None` is the user of the roles.
    pub user: Option<String>,
}

/// Processes of one name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ProcessTrack {
    /// As the kernel knows it.
    pub name: String,
    /// How many must run.
    pub least: u32,
    /// How often is looked.
    pub interval: Duration,
    /// Good results in a row that make it well.
    pub rise: u32,
    /// Bad results in a row that make it ill.
    pub fall: u32,
}

/// The name in status, metrics and events, such as `pool website`.
impl fmt::Display for Tracked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Proxy => f.write_str("proxy role"),
            Self::Listener(name) => write!(f, "listener {name}"),
            Self::Pool(name, Least::Servers(1)) => write!(f, "pool {name}"),
            Self::Pool(name, Least::Servers(least)) => write!(f, "pool {name} (at least {least} servers)"),
            Self::Pool(name, Least::Share(share)) => write!(f, "pool {name} (at least {share} %)"),
            Self::Interface(name) => write!(f, "interface {name}"),
            Self::Script(script) => write!(f, "script {}", script.command.join(" ")),
            Self::File(path, _) => write!(f, "file {}", path.display()),
            Self::Process(process) => write!(f, "process {}", process.name),
        }
    }
}

impl Plan {
    /// Everything that some virtual router tracks, each once.
    #[must_use]
    pub fn tracked(&self) -> Vec<&Tracked> {
        let mut all: Vec<&Tracked> =
            self.virtual_routers.iter().flat_map(|router| &router.track).map(|track| &track.what).collect();
        all.sort();
        all.dedup();
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_rounded_up_to_whole_servers() {
        assert_eq!([Least::Share(50).of(4), Least::Share(50).of(3), Least::Share(1).of(3)], [2, 2, 1]);
        assert_eq!([Least::Share(100).of(3), Least::Share(50).of(0), Least::Servers(2).of(1)], [3, 1, 2]);
    }
}
