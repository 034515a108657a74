//! When another process takes over: what this one leaves, what that one begins with, and whether it could at all.

use std::sync::Arc;
use std::time::Instant;

use evenkeel_config::plan::Plan;

use super::Role;
use crate::message::{Event, Known, Legacy};
use crate::table::Table;
use crate::tls::connector;
use crate::{apply, snapshot};

impl Role {
    /// Says whether a plan could be put in force. Nobody serves, checks or looks for anything because of it.
    pub(super) fn rehearse(&self, revision: u64, plan: &Plan) -> Result<(), String> {
        let mut plan = plan.clone();
        for listener in &mut plan.listeners {
            listener.binds.clear();
            listener.access_log = None;
        }
        self.check(&plan)?;
        let acceptors = self.acceptors(&plan)?;
        let connectors = connector::of_plan(&plan, &self.certificates, |pool| self.connectors.get(pool))?;
        let (keys, workers) = (self.keys.as_ref(), self.workers.len());
        let tls = (&acceptors, &connectors);
        apply::next_table(None, revision, &plan, keys, tls, workers, &Arc::default());
        Ok(())
    }

    /// What is left to whoever takes over.
    pub(super) fn retire(&self) -> Event {
        let (table, now) = (self.table.as_deref(), Instant::now());
        let mut servers = Vec::new();
        for pool in table.into_iter().flat_map(|table| &table.pools) {
            for server in &pool.servers {
                let health = server.state.gate.bequeath(now);
                if health != Default::default() {
                    servers.push(Known {
                        pool: pool.plan.name.clone(),
                        server: server.plan.name.clone(),
                        address: server.plan.address.clone(),
                        health,
                    });
                }
            }
        }
        let snapshot = snapshot::take(table, &self.logs, &self.connections, self.workers.len());
        Event::Retired { legacy: Legacy::of(servers), snapshot }
    }
}

/// Begins with what the process before knew, before any worker sees the table.
pub(super) fn inherit(table: &Table, legacy: &Legacy) {
    if legacy.servers.is_empty() {
        return;
    }
    let (now, servers) = (Instant::now(), legacy.by_server());
    let left = now.checked_sub(legacy.age()).unwrap_or(now);
    for pool in &table.pools {
        for server in &pool.servers {
            if let Some(known) = servers.get(&(&pool.plan.name, &server.plan.name, &server.plan.address)) {
                server.state.gate.inherit(known, left, pool.plan.slow_start, now);
            }
        }
    }
}
