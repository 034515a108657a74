//! Tells the supervisor which servers take traffic no more, or again, and which pools have none left that does.
//!
//! It compares what is with what was told: a change that nobody could be told of is told with the next look, with the state of then. So
//! the last state always arrives, and what came and went between two looks is left out. Invariants: nothing waits for
//! the supervisor; after something was told the next look is [`PAUSE`] later; one message has at most [`MOST_NEWS`] servers
//! and pools, the others follow with the next.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use evenkeel_config::plan::WhenAllDown;
use evenkeel_traffic::duty::Duty;
use evenkeel_traffic::name::Name;
use evenkeel_traffic::usability::Usability;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::message::Event;
use crate::table::{Pool, Server, Table};

/// The shortest time from one message to the next.
const PAUSE: Duration = Duration::from_secs(1);
/// Servers, and pools, in one message.
pub(crate) const MOST_NEWS: usize = 256;

/// Whether a server takes traffic, as far as nobody has ordered it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Condition {
    /// It does, or an operator has ordered that it does not.
    Up,
    /// Nobody knows yet.
    Checking,
    /// Its check fails.
    Down,
    /// Live traffic failed.
    Ejected,
    /// Its agent wants no traffic.
    Away,
}

/// A server that is in another condition than told before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerNews {
    /// Its pool.
    pub pool: Name,
    /// Its name.
    pub server: Name,
    /// What was told before; for a server that is new, [`Condition::Up`] or [`Condition::Checking`].
    pub before: Condition,
    /// What it is now.
    pub now: Condition,
    /// Why, for the operator.
    pub why: String,
}

/// A pool of which all servers are down, or are not any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolNews {
    /// Its name.
    pub pool: Name,
    /// They are, and what becomes of its traffic.
    pub down: Option<String>,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct RollCall {
    told: HashMap<Name, HashMap<Name, Condition>>,
    down: BTreeSet<Name>,
    not_before: Option<Instant>,
}

impl RollCall {
    /// Tells what is different, unless it is too early or the way is full. When to look again, if something is left.
    pub(crate) fn look(
        &mut self,
        table: Option<&Table>,
        events: &mpsc::Sender<Event>,
        now: Instant,
    ) -> Option<Instant> {
        let table = table?;
        if let Some(at) = self.not_before.filter(|at| now < *at) {
            return Some(at);
        }
        self.not_before = None;
        self.forget_others(table);
        let (servers, more_servers) = self.servers(table, now);
        let (pools, more_pools) = self.pools(table);
        if servers.is_empty() && pools.is_empty() {
            return None;
        }
        self.not_before = Some(now + PAUSE);
        match events.try_send(Event::Conditions { servers: servers.clone(), pools: pools.clone() }) {
            Ok(()) => {
                for ServerNews { pool, server, now, .. } in servers {
                    self.told.entry(pool).or_default().insert(server, now);
                }
                for PoolNews { pool, down } in pools {
                    match down {
                        Some(_) => drop(self.down.insert(pool)),
                        None => drop(self.down.remove(&pool)),
                    }
                }
                (more_servers || more_pools).then_some(now + PAUSE)
            }
            Err(mpsc::error::TrySendError::Full(_)) => self.not_before,
            Err(mpsc::error::TrySendError::Closed(_)) => None,
        }
    }

    /// Servers and pools that are gone are told no more, and are new when they come back.
    fn forget_others(&mut self, table: &Table) {
        let pools: HashMap<&Name, &Pool> =
            table.pools.iter().map(|pool| (&pool.plan.name, &**pool)).collect();
        self.down.retain(|name| pools.contains_key(name));
        self.told.retain(|name, told| {
            let Some(pool) = pools.get(name) else { return false };
            if told.len() > pool.servers.len() {
                let names: BTreeSet<&Name> = pool.servers.iter().map(|server| &server.plan.name).collect();
                told.retain(|name, _| names.contains(name));
            }
            true
        });
    }

    /// What is different of servers, and whether there is more than that.
    fn servers(&mut self, table: &Table, now: Instant) -> (Vec<ServerNews>, bool) {
        let mut news = Vec::new();
        for pool in &table.pools {
            for server in &pool.servers {
                let (condition, why) = condition(pool, server, now);
                let known = self.told.get(&pool.plan.name).and_then(|told| told.get(&server.plan.name));
                let before = known.copied().unwrap_or(match condition {
                    Condition::Checking => Condition::Checking,
                    _ => Condition::Up,
                });
                // A server that begins well, or waits for its first check, is no news; its check may be.
                let is_news = before != condition && condition != Condition::Checking;
                if !is_news {
                    if known != Some(&condition) {
                        let told = self.told.entry(pool.plan.name.clone()).or_default();
                        told.insert(server.plan.name.clone(), condition);
                    }
                    continue;
                }
                if news.len() == MOST_NEWS {
                    return (news, true);
                }
                news.push(ServerNews {
                    pool: pool.plan.name.clone(),
                    server: server.plan.name.clone(),
                    before,
                    now: condition,
                    why: why.unwrap_or_else(|| back(before).to_owned()),
                });
            }
        }
        (news, false)
    }

    fn pools(&self, table: &Table) -> (Vec<PoolNews>, bool) {
        let mut news = Vec::new();
        for pool in &table.pools {
            let is_down = pool.all_down();
            if is_down == self.down.contains(&pool.plan.name) {
                continue;
            }
            if news.len() == MOST_NEWS {
                return (news, true);
            }
            let down = is_down.then(|| traffic(pool.plan.when_all_down).to_owned());
            news.push(PoolNews { pool: pool.plan.name.clone(), down });
        }
        (news, false)
    }
}

/// What becomes of the traffic of a pool of which all servers are down.
pub(crate) fn traffic(when_all_down: WhenAllDown) -> &'static str {
    match when_all_down {
        WhenAllDown::Refuse => "its traffic is refused",
        WhenAllDown::TryAll => "its traffic is spread over all of them",
    }
}

fn condition(pool: &Pool, server: &Server, now: Instant) -> (Condition, Option<String>) {
    match server.state.gate.usability(pool.plan.slow_start, now) {
        Usability::Up { .. } | Usability::SlowStart { .. } => (Condition::Up, None),
        Usability::Checking { .. } => (Condition::Checking, None),
        Usability::Down { why, .. } => (Condition::Down, Some(why)),
        Usability::Ejected { why, .. } | Usability::Probation { why, .. } => (Condition::Ejected, Some(why)),
        // Whoever ordered it knows.
        Usability::Drain { .. } | Usability::Maintenance { .. } if server.plan.duty != Duty::Ready => {
            (Condition::Up, None)
        }
        Usability::Drain { why, .. } | Usability::Maintenance { why, .. } => (Condition::Away, Some(why)),
    }
}

/// Why a server takes traffic again.
fn back(before: Condition) -> &'static str {
    match before {
        Condition::Down | Condition::Checking => "its check passes",
        Condition::Ejected => "a request on trial succeeded",
        Condition::Away => "its agent wants traffic again",
        Condition::Up => "it takes traffic",
    }
}

#[cfg(test)]
mod tests;
