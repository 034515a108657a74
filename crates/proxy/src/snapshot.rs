//! What `status` may show of the proxy role.

use evenkeel_config::plan::Mode;

use crate::connections::Connections;
use crate::message::{ListenerSnapshot, PoolSnapshot, ServerSnapshot, Snapshot};
use crate::table::{ListenerSlot, Pool, Server, Table};

/// Takes the state now. Counters of different workers are read one after the other, not at one instant.
pub(crate) fn take(table: Option<&Table>, connections: &Connections, workers: usize) -> Snapshot {
    Snapshot {
        revision: table.map_or(0, |table| table.revision),
        workers: u16::try_from(workers).unwrap_or(u16::MAX),
        connections: connections.count(),
        max_connections: connections.most(),
        listeners: table
            .map(|table| table.listeners.iter().map(|slot| listener(slot)).collect())
            .unwrap_or_default(),
        pools: table.map(|table| table.pools.iter().map(|p| pool(p)).collect()).unwrap_or_default(),
    }
}

fn listener(slot: &ListenerSlot) -> ListenerSnapshot {
    let current = slot.current.load();
    ListenerSnapshot {
        name: slot.name.clone(),
        binds: current.plan.binds.clone(),
        mode: match current.plan.mode {
            Mode::Http(_) => "http",
            Mode::Tcp(_) => "tcp",
        }
        .into(),
        connections: slot.counters.sum(|counters| &counters.connections),
        connections_total: slot.counters.sum(|counters| &counters.connections_total),
        requests_total: slot.counters.sum(|counters| &counters.requests_total),
        refused_total: slot.counters.sum(|counters| &counters.refused_total),
    }
}

fn pool(pool: &Pool) -> PoolSnapshot {
    PoolSnapshot {
        name: pool.plan.name.clone(),
        balance: pool.plan.balance.to_string(),
        servers: pool.servers.iter().map(|s| server(s)).collect(),
    }
}

fn server(server: &Server) -> ServerSnapshot {
    let state = &server.state;
    let sum =
        |counter: fn(&crate::table::ServerCounters) -> &crate::table::Counter| state.counters.sum(counter);
    ServerSnapshot {
        name: server.plan.name.clone(),
        address: server.plan.address.clone(),
        weight: server.plan.weight.value(),
        running: state.load.running().into(),
        total: sum(|counters| &counters.total),
        connect_failures_total: sum(|counters| &counters.connect_failures_total),
        failures_total: sum(|counters| &counters.failures_total),
        opened_total: sum(|counters| &counters.opened_total),
        reused_total: sum(|counters| &counters.reused_total),
        idle: state.idle.count() as u64,
        last_failure: state.last_failure(),
    }
}
