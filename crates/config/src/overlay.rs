//! Runtime changes: what was changed while the program ran, laid over the plan of the file.
//!
//! ```text
//!   file ──load──▶ Plan ──┐
//!                         ├── Overlay::over ──▶ Plan in force
//!   API ──edit──▶ Overlay ┘
//! ```
//!
//! Each changed server is one [`Entry`]. Invariants: an overlay laid over a plan makes a plan, with at least one server in
//! each pool and no more than [`MOST_SERVERS`]; what fits no plan any more has no effect and is kept, because the file may
//! bring its pool back; what the file says by now itself is dropped ([`Overlay::settle`]).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;

use evenkeel_traffic::address::Address;
use evenkeel_traffic::duty::Duty;
use evenkeel_traffic::name::Name;
use evenkeel_traffic::pick::{Priority, Weight};
use serde::{Deserialize, Serialize};

use crate::plan::{MOST_SERVERS, Plan, Pool, Server};

mod edit;

pub use edit::{Cause, Conditions, Edit, NotDone, tag};

/// The most servers that may be changed at run time.
pub const MOST_CHANGES: usize = 8192;
/// The longest text that says who changed something, in characters.
pub const LONGEST_ORIGIN: usize = 200;

/// All runtime changes, in the order in which their servers were first changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Overlay {
    /// Shared: each edit makes a new overlay, of which all but one entry are those of the one before.
    entries: Vec<Arc<Entry>>,
}

/// What is different about one server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its pool.
    pub pool: Name,
    /// Its name.
    pub server: Name,
    /// When it was changed last, in seconds since 1970-01-01T00:00:00Z.
    pub at: u64,
    /// Who did.
    pub by: String,
    /// What.
    pub change: Change,
    /// It is being removed: it drains until then.
    #[serde(default)]
    pub leaving: bool,
}

/// How a server differs from the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// It is this one: added, or in place of the one in the file.
    Set(Server),
    /// It is the one of the file but for this.
    Adjusted(Adjustment),
    /// It is not there.
    Removed,
}

/// Settings in place of those of the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Adjustment {
    /// Its share, 0 to 256.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<Weight>,
    /// Requests or connections running on it at once, at least 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_connections: Option<NonZeroU32>,
    /// What is wanted of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<Duty>,
}

/// A server as the API takes it. What is not said is as in a file that does not say it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewServer {
    /// Where it answers.
    pub address: Address,
    /// Where checks ask instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check_address: Option<Address>,
    /// Its share, 0 to 256.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<Weight>,
    /// Its rank, 0 to 255.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<u8>,
    /// Requests or connections running on it at once, at least 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_connections: Option<NonZeroU32>,
    /// What is wanted of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<Duty>,
}

impl NewServer {
    /// With this name, and all defaults filled in.
    #[must_use]
    pub fn named(self, name: Name) -> Server {
        Server {
            name,
            address: self.address,
            check_address: self.check_address,
            weight: self.weight.unwrap_or(Weight::ONE),
            priority: self.priority.map_or(Priority::USUAL, Priority),
            max_connections: self.max_connections,
            duty: self.state.unwrap_or_default(),
        }
    }
}

impl Adjustment {
    fn apply(self, server: &mut Server) {
        server.weight = self.weight.unwrap_or(server.weight);
        server.max_connections = self.max_connections.or(server.max_connections);
        server.duty = self.state.unwrap_or(server.duty);
    }

    /// This, and what `later` says in its place.
    fn and(self, later: Self) -> Self {
        Self {
            weight: later.weight.or(self.weight),
            max_connections: later.max_connections.or(self.max_connections),
            state: later.state.or(self.state),
        }
    }

    /// Says nothing at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// In words for the operator: `weight 3, state drain`.
impl fmt::Display for Adjustment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words = Vec::new();
        words.extend(self.weight.map(|weight| format!("weight {}", weight.value())));
        words.extend(self.max_connections.map(|most| format!("max-connections {most}")));
        words.extend(self.state.map(|state| format!("state {}", state.word())));
        f.write_str(&words.join(", "))
    }
}

/// A server in words for the operator: `192.0.2.1:80, weight 1, state drain`.
#[must_use]
pub fn described(server: &Server) -> String {
    let mut words = vec![server.address.to_string(), format!("weight {}", server.weight.value())];
    words.extend(server.check_address.iter().map(|address| format!("check-address {address}")));
    if server.priority != Priority::USUAL {
        words.push(format!("priority {}", server.priority.0));
    }
    words.extend(server.max_connections.map(|most| format!("max-connections {most}")));
    if server.duty != Duty::Ready {
        words.push(format!("state {}", server.duty.word()));
    }
    words.join(", ")
}

impl Entry {
    /// The server that this makes of the one in the file.
    fn over(&self, file: Option<&Server>) -> Option<Server> {
        let mut server = match &self.change {
            Change::Set(server) => server.clone(),
            Change::Adjusted(adjustment) => {
                let mut server = file?.clone();
                adjustment.apply(&mut server);
                server
            }
            Change::Removed => return None,
        };
        if self.leaving {
            server.duty = Duty::Drain;
        }
        Some(server)
    }

    /// In words, when the file has its pool and when it has the server.
    fn told(&self, in_pool: bool, in_file: bool) -> Told<'_> {
        let idle = match &self.change {
            _ if !in_pool => Some("the file has no such pool"),
            Change::Set(_) => None,
            Change::Adjusted(_) | Change::Removed if in_file => None,
            _ => Some("the file has no such server"),
        };
        let what = match &self.change {
            _ if self.leaving => "is being removed: it drains".to_owned(),
            Change::Set(server) if in_file => format!("replaced ({})", described(server)),
            Change::Set(server) => format!("added ({})", described(server)),
            Change::Adjusted(adjustment) => adjustment.to_string(),
            Change::Removed => "removed".to_owned(),
        };
        Told { entry: self, what, idle }
    }
}

/// An entry and whether it does anything, for `status` and `diff`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told<'a> {
    /// The entry.
    pub entry: &'a Entry,
    /// In words: `added (192.0.2.1:80, weight 1)`.
    pub what: String,
    /// Why it has no effect, when it has none.
    pub idle: Option<&'static str>,
}

impl Overlay {
    /// In the order in which servers were first changed.
    #[must_use]
    pub fn entries(&self) -> impl ExactSizeIterator<Item = &Entry> {
        self.entries.iter().map(|entry| &**entry)
    }

    /// Nothing was changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The entry of this server.
    #[must_use]
    pub fn entry(&self, pool: &Name, server: &Name) -> Option<&Entry> {
        self.entries().find(|entry| entry.pool == *pool && entry.server == *server)
    }

    /// The plan in force: `file` with all changes.
    #[must_use]
    pub fn over(&self, file: &Plan) -> Plan {
        let mut plan = file.clone();
        let mut by_pool: BTreeMap<&Name, Vec<&Entry>> = BTreeMap::new();
        for entry in &self.entries {
            by_pool.entry(&entry.pool).or_default().push(entry);
        }
        for pool in &mut plan.pools {
            if let Some(entries) = by_pool.get(&pool.name) {
                lay_over(pool, entries);
            }
        }
        plan
    }

    /// Every entry in words.
    #[must_use]
    pub fn told(&self, file: &Plan) -> Vec<Told<'_>> {
        let pools: BTreeMap<&Name, &Pool> = file.pools.iter().map(|pool| (&pool.name, pool)).collect();
        let servers: BTreeSet<(&Name, &Name)> = file
            .pools
            .iter()
            .flat_map(|pool| pool.servers.iter().map(|server| (&pool.name, &server.name)))
            .collect();
        self.entries()
            .map(|entry| {
                let in_pool = pools.contains_key(&entry.pool);
                entry.told(in_pool, servers.contains(&(&entry.pool, &entry.server)))
            })
            .collect()
    }

    /// The entry of one server in words.
    #[must_use]
    pub fn told_of(&self, file: &Plan, pool: &Name, server: &Name) -> Option<Told<'_>> {
        let known = file.pool(pool);
        let in_file = known.is_some_and(|pool| pool.servers.iter().any(|one| one.name == *server));
        Some(self.entry(pool, server)?.told(known.is_some(), in_file))
    }

    /// Without what makes no difference to `file` any more, because the file says the same.
    #[must_use]
    pub fn settle(&self, file: &Plan) -> Self {
        let servers: BTreeMap<(&Name, &Name), &Server> = file
            .pools
            .iter()
            .flat_map(|pool| pool.servers.iter().map(|server| ((&pool.name, &server.name), server)))
            .collect();
        let differs = |entry: &&Arc<Entry>| {
            let known = servers.get(&(&entry.pool, &entry.server)).copied();
            match &entry.change {
                _ if entry.leaving => true,
                Change::Set(server) => known != Some(server),
                // Without a server it is idle; the file may bring that back.
                Change::Adjusted(_) => known.is_none() || entry.over(known).as_ref() != known,
                Change::Removed => known.is_some() || file.pool(&entry.pool).is_none(),
            }
        };
        Self { entries: self.entries.iter().filter(differs).cloned().collect() }
    }

    /// With every removal that has begun done: whoever was waited for is gone.
    #[must_use]
    pub fn without_leaving(&self, file: &Plan) -> Self {
        let leaving: BTreeSet<(&Name, &Name)> =
            self.entries().filter(|entry| entry.leaving).map(|entry| (&entry.pool, &entry.server)).collect();
        self.finished(file, &leaving)
    }

    /// Without those of these servers that were being removed.
    #[must_use]
    pub fn finished(&self, file: &Plan, gone: &BTreeSet<(&Name, &Name)>) -> Self {
        let in_file = |entry: &Entry| {
            file.pool(&entry.pool).is_some_and(|pool| pool.servers.iter().any(|one| one.name == entry.server))
        };
        let after = |entry: &Arc<Entry>| {
            if !entry.leaving || !gone.contains(&(&entry.pool, &entry.server)) {
                return Some(entry.clone());
            }
            let removed = || Entry { change: Change::Removed, leaving: false, ..Entry::clone(entry) };
            in_file(entry).then(|| Arc::new(removed()))
        };
        Self { entries: self.entries.iter().filter_map(after).collect() }
    }

    fn place(&self, pool: &Name, server: &Name) -> Option<usize> {
        self.entries.iter().position(|entry| entry.pool == *pool && entry.server == *server)
    }
}

/// Lays the entries of one pool over it.
fn lay_over(pool: &mut Pool, entries: &[&Entry]) {
    let mut changed: BTreeMap<&Name, &Entry> = entries.iter().map(|entry| (&entry.server, *entry)).collect();
    let mut servers: Vec<Server> = pool
        .servers
        .iter()
        .filter_map(|server| match changed.remove(&server.name) {
            Some(entry) => entry.over(Some(server)),
            None => Some(server.clone()),
        })
        .collect();
    for entry in entries.iter().filter(|entry| changed.contains_key(&entry.server)) {
        if servers.len() < MOST_SERVERS {
            servers.extend(entry.over(None));
        }
    }
    // The file has lost the servers that were to remain: it is newer than the removals, so it is right.
    if !servers.is_empty() {
        pool.servers = servers;
    }
}

#[cfg(test)]
mod tests;
