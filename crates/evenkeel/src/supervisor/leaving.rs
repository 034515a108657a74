//! Servers that drain before they are removed: when is the last request over, or the time?
//!
//! Invariants: a server that leaves goes when nothing runs on it any more, and in a sticky pool once none of its clients
//! has come for a while; at the latest when its time is over. What runs on it then is not cut.

use std::collections::BTreeMap;
use std::time::Duration;

use evenkeel_proxy::message::{Change, PoolSnapshot, ServerSnapshot, Snapshot};
use evenkeel_traffic::name::Name;
use tokio::time::Instant;

use super::Supervisor;

/// Time from one look at what still runs to the next.
const PAUSE: Duration = Duration::from_millis(200);
/// How long clients that are bound to a server must have stayed away before it goes.
const QUIET: Duration = Duration::from_secs(10);

/// All servers that leave.
#[derive(Debug, Default)]
pub(super) struct Leaving {
    servers: BTreeMap<(Name, Name), One>,
    next_look: Option<Instant>,
    /// The snapshot that was asked for.
    asked: Option<u64>,
}

#[derive(Debug)]
struct One {
    deadline: Instant,
    within: Duration,
    /// What it had got in all at the last look, and since when that is so.
    last: Option<(u64, Instant)>,
    /// It was told that it can go.
    told: bool,
}

impl Leaving {
    /// From now on the server leaves, or does not any more.
    pub(super) fn follow(
        &mut self,
        (pool, server): (&Name, &Name),
        leaves: bool,
        within: Option<Duration>,
        now: Instant,
    ) {
        let key = (pool.clone(), server.clone());
        if !leaves {
            self.servers.remove(&key);
            return;
        }
        if let Some(within) = within {
            self.servers.insert(key, One { deadline: now + within, within, last: None, told: false });
            self.next_look = Some(self.next_look.unwrap_or(now + PAUSE).min(now + PAUSE));
        }
    }

    /// Those that leave at the wish of somebody, and how long each may take yet.
    pub(super) fn rest(&self, now: Instant) -> Vec<(Name, Name, Duration)> {
        let rest = |((pool, server), one): (&(Name, Name), &One)| {
            (pool.clone(), server.clone(), one.deadline.saturating_duration_since(now))
        };
        self.servers.iter().map(rest).collect()
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let over = self.servers.values().filter(|one| !one.told).map(|one| one.deadline).min();
        self.next_look.filter(|_| !self.servers.is_empty()).into_iter().chain(over).min()
    }

    pub(super) fn has(&self, pool: &Name, server: &Name) -> bool {
        self.servers.contains_key(&(pool.clone(), server.clone()))
    }

    pub(super) fn left_behind(&self, pool: &Name, server: &Name) -> Option<String> {
        let one = self.servers.get(&(pool.clone(), server.clone()))?;
        Some(format!(
            "it is removed when its last request has ended, at the latest in {} s",
            one.within.as_secs()
        ))
    }

    /// Those that can go by what was seen, and why.
    fn seen(&mut self, snapshot: &Snapshot, now: Instant) -> Vec<(Name, Name, String)> {
        let mut gone = Vec::new();
        let pools: BTreeMap<&Name, &PoolSnapshot> =
            snapshot.pools.iter().map(|pool| (&pool.name, pool)).collect();
        let servers: BTreeMap<(&Name, &Name), &ServerSnapshot> = snapshot
            .pools
            .iter()
            .flat_map(|pool| pool.servers.iter().map(|server| ((&pool.name, &server.name), server)))
            .collect();
        for ((pool, server), one) in self.servers.iter_mut().filter(|(_, one)| !one.told) {
            let found = pools.get(pool);
            let seen = servers.get(&(pool, server));
            let why = match (found, seen) {
                (Some(pool), Some(seen)) => {
                    let since = match one.last {
                        Some((total, since)) if total == seen.total => since,
                        _ => now,
                    };
                    one.last = Some((seen.total, since));
                    let waits = if pool.sticky.is_some() { QUIET } else { Duration::ZERO };
                    if seen.running == 0 && now.duration_since(since) >= waits {
                        Some("nothing runs on it any more".to_owned())
                    } else if one.deadline <= now {
                        Some(over(one.within, seen.running))
                    } else {
                        None
                    }
                }
                _ => Some("the file has no such pool any more".to_owned()),
            };
            if let Some(why) = why {
                one.told = true;
                gone.push((pool.clone(), server.clone(), why));
            }
        }
        gone
    }

    /// Those whose time is over while nobody can say what runs.
    fn overdue(&mut self, now: Instant) -> Vec<(Name, Name, String)> {
        let late = |one: &One| !one.told && one.deadline + 2 * PAUSE <= now;
        let mut gone = Vec::new();
        for ((pool, server), one) in self.servers.iter_mut().filter(|(_, one)| late(one)) {
            one.told = true;
            let why = format!("{} s are over", one.within.as_secs());
            gone.push((pool.clone(), server.clone(), why));
        }
        gone
    }
}

fn over(within: Duration, running: u64) -> String {
    let seconds = within.as_secs();
    match running {
        0 => format!("{seconds} s are over"),
        1 => format!("{seconds} s are over; 1 request still runs on it and goes on until it ends"),
        _ => format!("{seconds} s are over; {running} requests still run on it and go on until they end"),
    }
}

impl Supervisor {
    pub(super) fn tick_leaving(&mut self, now: Instant) {
        if self.leaving.servers.is_empty() || self.ending.is_some() {
            (self.leaving.next_look, self.leaving.asked) = (None, None);
            return;
        }
        let gone = self.leaving.overdue(now);
        if !gone.is_empty() {
            self.let_go(gone, now);
        }
        if self.leaving.next_look.is_none_or(|at| at <= now) {
            self.leaving.next_look = Some(now + PAUSE);
            if self.proxy.is_ready() {
                let id = self.queries.next_id();
                self.leaving.asked = Some(id);
                self.proxy.tell(Change::Snapshot { id }, Vec::new());
            }
        }
    }

    /// Says whether the snapshot was for those that leave, and lets go who can.
    pub(super) fn leaving_seen(&mut self, id: u64, snapshot: &Snapshot, now: Instant) -> bool {
        if self.leaving.asked != Some(id) {
            return false;
        }
        self.leaving.asked = None;
        let gone = self.leaving.seen(snapshot, now);
        if !gone.is_empty() {
            self.let_go(gone, now);
        }
        true
    }
}

#[cfg(test)]
mod tests;
