//! Servers that were found by sources, laid over the plan of the file.
//!
//! ```text
//!   file ──load──▶ Plan ──┐
//!                         ├── Findings::over ──▶ Plan ── Overlay::over ──▶ Plan in force
//!   source ──▶ List ──take┘
//! ```
//!
//! Invariants: what a source said last and well stays until it says something else well; a list that is empty, too long
//! or missing never takes a server away unless the source may be empty; a server that is not in a new list drains and
//! is there until [`Findings::finished`] says that it can go; the order of a list is the order of the servers.

pub mod document;
mod named;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;

use evenkeel_traffic::address::Address;
use evenkeel_traffic::duty::Duty;
use evenkeel_traffic::name::Name;
use evenkeel_traffic::pick::{Priority, Weight};
use serde::{Deserialize, Serialize};

use crate::plan::{MOST_SERVERS, Plan, Pool, Server, Source, Template};

/// The most servers that drain because a source does not name them any more, in all pools; beyond it the ones that have
/// drained longest go at once.
const MOST_LEAVING: usize = 4096;

/// Whether a server can answer at this address: names that are blocked often point to 0.0.0.0, which is this machine.
#[must_use]
pub fn is_of_a_server(ip: IpAddr) -> bool {
    !ip.is_multicast() && !ip.is_unspecified()
}

/// One server as its source describes it. What is not said is as the file has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Found {
    /// Where it answers.
    pub address: SocketAddr,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// Its share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<Weight>,
    /// Its rank.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<Priority>,
    /// Requests or connections running on it at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_connections: Option<NonZeroU32>,
}

impl Found {
    /// A server of which only the address is known.
    #[must_use]
    pub fn at(address: SocketAddr) -> Self {
        Self { address, name: None, weight: None, priority: None, max_connections: None }
    }

    fn server(&self, template: &Template) -> Option<Server> {
        let named = || named::after(template.prefix.as_ref(), self.address).ok();
        Some(Server {
            name: self.name.clone().or_else(named)?,
            address: Address::Tcp(self.address),
            check_address: None,
            weight: self.weight.unwrap_or(template.weight),
            priority: self.priority.unwrap_or(template.priority),
            max_connections: self.max_connections.or(template.max_connections),
            duty: template.duty,
        })
    }
}

/// What a source says at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct List {
    /// The servers.
    pub servers: Vec<Found>,
    /// A part of the answer is missing: nobody is gone because he is not named.
    pub partial: bool,
}

/// What is different after a source has spoken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Servers that are new, or back.
    pub added: Vec<Server>,
    /// Servers that drain from now on.
    pub leaving: Vec<Server>,
    /// Servers that are described differently.
    pub changed: Vec<(Server, Server)>,
}

impl Difference {
    /// Nothing is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.leaving.is_empty() && self.changed.is_empty()
    }
}

/// All that was found, by pool and source.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Findings {
    sources: Vec<Known>,
}

/// What is known from one source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Known {
    pool: Name,
    source: Name,
    servers: Vec<Found>,
    /// Not named any more, the longest first.
    #[serde(skip)]
    leaving: Vec<Server>,
}

impl Findings {
    /// Nothing was found yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sources.is_empty()
    }

    /// How many servers are known from this source; `None` when it has never said anything.
    #[must_use]
    pub fn count(&self, pool: &Name, source: &Name) -> Option<usize> {
        self.known(pool, source).map(|known| known.servers.len())
    }

    /// Takes what a source of `plan` says.
    ///
    /// # Errors
    /// When it is not believed; the words say why. Everything stays as it was.
    pub fn take(
        &mut self,
        plan: &Plan,
        pool: &Name,
        source: &Name,
        list: List,
    ) -> Result<Difference, String> {
        let Some((in_pool, asked)) = find(plan, pool, source) else { return Ok(Difference::default()) };
        let before: Vec<Found> =
            self.known(pool, source).map(|known| known.servers.clone()).unwrap_or_default();
        let after = Self::believed(asked, &before, list)?;
        self.names_are_free(in_pool, source, &after)?;
        let place = self.sources.iter().position(|known| known.pool == *pool && known.source == *source);
        let place = place.unwrap_or_else(|| {
            let new = Known {
                pool: pool.clone(),
                source: source.clone(),
                servers: Vec::new(),
                leaving: Vec::new(),
            };
            self.sources.push(new);
            self.sources.len() - 1
        });
        let made = |list: &[Found]| -> Vec<Server> {
            list.iter().filter_map(|found| found.server(&asked.template)).collect()
        };
        let (old, new) = (made(&before), made(&after));
        let same = |one: &Server, other: &Server| one.name == other.name && one.address == other.address;
        let mut difference = Difference::default();
        for server in &new {
            match old.iter().find(|known| same(known, server)) {
                None => difference.added.push(server.clone()),
                Some(known) if known != server => difference.changed.push((known.clone(), server.clone())),
                Some(_) => {}
            }
        }
        difference.leaving =
            old.into_iter().filter(|server| !new.iter().any(|known| same(known, server))).collect();
        if let Some(known) = self.sources.get_mut(place) {
            known.servers = after;
            known.leaving.retain(|server| !new.iter().any(|one| same(one, server)));
            known.leaving.extend(difference.leaving.iter().cloned());
        }
        self.bound_leaving();
        Ok(difference)
    }

    /// The servers of the list, unless there is a reason to doubt it.
    fn believed(asked: &Source, before: &[Found], list: List) -> Result<Vec<Found>, String> {
        let List { servers, partial } = list;
        let mut seen = BTreeSet::new();
        let mut after: Vec<Found> = servers.into_iter().filter(|found| seen.insert(found.address)).collect();
        if partial {
            after.extend(before.iter().filter(|found| !seen.contains(&found.address)).cloned());
        }
        if after.is_empty() && !partial && !asked.may_be_empty {
            return Err(if before.is_empty() {
                "it names no server".into()
            } else {
                "it names no server any more, which is taken for a mistake: the last ones stay; `may-be-empty = true` in \
                 `servers-from` believes it"
                    .into()
            });
        }
        if after.len() > asked.most {
            return Err(format!(
                "it names {} servers and `max-servers` allows {}: raise it if so many are meant",
                after.len(),
                asked.most
            ));
        }
        Ok(after)
    }

    /// A name that a document gives must be nobody else's: one of the two would be left out without a word.
    fn names_are_free(&self, pool: &Pool, source: &Name, list: &[Found]) -> Result<(), String> {
        let others = self.sources.iter().filter(|known| known.pool == pool.name && known.source != *source);
        let theirs: BTreeMap<&Name, Address> = others
            .flat_map(|known| &known.servers)
            .filter_map(|found| Some((found.name.as_ref()?, Address::Tcp(found.address))))
            .chain(pool.servers.iter().map(|server| (&server.name, server.address.clone())))
            .collect();
        let named = list.iter().filter_map(|found| Some((found.name.as_ref()?, Address::Tcp(found.address))));
        for (name, address) in named {
            if let Some(other) = theirs.get(name).filter(|other| **other != address) {
                return Err(format!(
                    "it calls {address} {name}, which is the name of {other} in this pool already: give one of them another"
                ));
            }
        }
        Ok(())
    }

    fn bound_leaving(&mut self) {
        let mut over =
            self.sources.iter().map(|known| known.leaving.len()).sum::<usize>().saturating_sub(MOST_LEAVING);
        for known in &mut self.sources {
            let gone = over.min(known.leaving.len());
            known.leaving.drain(..gone);
            over -= gone;
        }
    }

    /// The plan with all servers that were found.
    #[must_use]
    pub fn over(&self, file: &Plan) -> Plan {
        let mut plan = file.clone();
        let by_source: BTreeMap<(&Name, &Name), &Known> =
            self.sources.iter().map(|known| ((&known.pool, &known.source), known)).collect();
        for pool in plan.pools.iter_mut().filter(|pool| !pool.sources.is_empty()) {
            let known: Vec<_> = pool
                .sources
                .iter()
                .filter_map(|source| Some((source.clone(), *by_source.get(&(&pool.name, &source.name))?)))
                .collect();
            let named = known.iter().flat_map(|(source, known)| {
                known.servers.iter().filter_map(|found| found.server(&source.template))
            });
            let leaving = known
                .iter()
                .flat_map(|(_, known)| &known.leaving)
                .map(|server| Server { duty: Duty::Drain, ..server.clone() });
            let servers: Vec<Server> = named.chain(leaving).collect();
            add(pool, servers);
        }
        plan
    }

    /// Says whether this server is there only until nothing runs on it any more.
    #[must_use]
    pub fn is_leaving(&self, pool: &Name, server: &Name) -> bool {
        self.leaving().any(|(in_pool, leaving)| in_pool == pool && leaving.name == *server)
    }

    /// Servers that drain because their source does not name them any more.
    pub fn leaving(&self) -> impl Iterator<Item = (&Name, &Server)> {
        self.sources.iter().flat_map(|known| known.leaving.iter().map(|server| (&known.pool, server)))
    }

    /// A server that was leaving can go. Says whether there was one.
    pub fn finished(&mut self, pool: &Name, server: &Name) -> bool {
        let mut any = false;
        for known in self.sources.iter_mut().filter(|known| known.pool == *pool) {
            known.leaving.retain(|leaving| {
                any |= leaving.name == *server;
                leaving.name != *server
            });
        }
        any
    }

    /// Without what comes from sources that `plan` does not have.
    #[must_use]
    pub fn settle(&self, plan: &Plan) -> Self {
        let is_there = |known: &&Known| find(plan, &known.pool, &known.source).is_some();
        Self { sources: self.sources.iter().filter(is_there).cloned().collect() }
    }

    fn known(&self, pool: &Name, source: &Name) -> Option<&Known> {
        self.sources.iter().find(|known| known.pool == *pool && known.source == *source)
    }
}

fn find<'p>(plan: &'p Plan, pool: &Name, source: &Name) -> Option<(&'p Pool, &'p Source)> {
    let pool = plan.pool(pool)?;
    Some((pool, pool.sources.iter().find(|known| known.name == *source)?))
}

/// Adds servers whose name and address no other has yet: one server has one name.
fn add(pool: &mut Pool, servers: Vec<Server>) {
    let mut names: BTreeSet<Name> = pool.servers.iter().map(|server| server.name.clone()).collect();
    let mut addresses: BTreeSet<Address> = pool.servers.iter().map(|server| server.address.clone()).collect();
    for server in servers {
        if pool.servers.len() < MOST_SERVERS
            && !names.contains(&server.name)
            && addresses.insert(server.address.clone())
        {
            names.insert(server.name.clone());
            pool.servers.push(server);
        }
    }
}

#[cfg(test)]
mod tests;
