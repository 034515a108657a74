//! From the table in force and a new plan to the next table.
//!
//! What the plan leaves as it was keeps its state: a listener its connections and counters, a server of the same
//! pool, name and address its counters and open connections, a pool of the same servers its place in the round robin.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Instant;

use arc_swap::{ArcSwap, ArcSwapOption};
use evenkeel_config::plan::{self, Plan, SendProxy};
use evenkeel_traffic::load::PoolLoad;
use evenkeel_traffic::name::Name;
use tokio::sync::Notify;

use crate::sticky::{Keys, Sticky};
use crate::table::{Choice, Listener, ListenerSlot, PerWorker, Pool, PoolState, Server, ServerState, Table};
use crate::tls::acceptor::Acceptors;
use crate::tls::connector::{Connector, Connectors, Towards};

/// Builds the table of `plan` with cookies signed by `keys` and TLS by acceptors and connectors; `before` is the one in force. Marks listeners that are gone.
pub(crate) fn next_table(
    before: Option<&Table>,
    revision: u64,
    plan: &Plan,
    keys: Option<&Keys>,
    (acceptors, connectors): (&Acceptors, &Connectors),
    workers: usize,
    bell: &Arc<Notify>,
) -> Table {
    let old_pools: HashMap<&Name, &Arc<Pool>> =
        before.iter().flat_map(|table| &table.pools).map(|pool| (&pool.plan.name, pool)).collect();
    let old_slots: HashMap<&Name, &Arc<ListenerSlot>> =
        before.iter().flat_map(|table| &table.listeners).map(|slot| (&slot.name, slot)).collect();

    let pools: Vec<Arc<Pool>> = plan
        .pools
        .iter()
        .map(|pool| {
            let before = old_pools.get(&pool.name).copied();
            next_pool(before, pool, (keys, connectors.get(&pool.name)), revision, workers, bell)
        })
        .collect();
    let by_name: HashMap<&Name, &Arc<Pool>> = pools.iter().map(|pool| (&pool.plan.name, pool)).collect();

    let listeners: Vec<Arc<ListenerSlot>> = plan
        .listeners
        .iter()
        .map(|listener| {
            let current = resolve(listener, &by_name, acceptors);
            // A listener that changes its mode is another listener: its connections speak something else.
            let same_mode = |slot: &&&Arc<ListenerSlot>| {
                let now = &slot.current.load().plan.mode;
                std::mem::discriminant(now) == std::mem::discriminant(&listener.mode)
            };
            match old_slots.get(&listener.name).filter(same_mode) {
                Some(slot) => {
                    slot.publish(current);
                    (*slot).clone()
                }
                None => Arc::new(ListenerSlot {
                    name: listener.name.clone(),
                    current: ArcSwap::from_pointee(current),
                    counters: PerWorker::new(workers),
                    log: ArcSwapOption::empty(),
                    changes: AtomicU64::new(0),
                    handshakes: AtomicU32::new(0),
                    removed: AtomicBool::new(false),
                }),
            }
        })
        .collect();
    for slot in before.iter().flat_map(|table| &table.listeners) {
        if !listeners.iter().any(|kept| Arc::ptr_eq(kept, slot)) {
            slot.removed.store(true, Ordering::Relaxed);
        }
    }
    // After the listeners have their new pools: whoever waited looks for them there.
    for pool in before.iter().flat_map(|table| &table.pools) {
        if !pools.iter().any(|kept| Arc::ptr_eq(kept, pool)) {
            pool.state.line.moved(revision);
        }
    }
    Table { revision, listeners, pools }
}

fn next_pool(
    before: Option<&Arc<Pool>>,
    plan: &plan::Pool,
    (keys, connector): (Option<&Keys>, Option<&Arc<Connector>>),
    revision: u64,
    workers: usize,
    bell: &Arc<Notify>,
) -> Arc<Pool> {
    let same_key = |pool: &Pool| pool.sticky.as_ref().is_none_or(|sticky| sticky.is_of(plan, keys));
    let number = connector.map_or(0, |connector| connector.number);
    if let Some(pool) = before.filter(|pool| pool.plan == *plan && same_key(pool) && pool.connector == number)
    {
        return pool.clone();
    }
    let old: HashMap<(&Name, &_), &Arc<Server>> = before
        .iter()
        .flat_map(|pool| &pool.servers)
        .map(|server| ((&server.plan.name, &server.plan.address), server))
        .collect();
    let state = match before {
        Some(pool) => {
            pool.state.set_budget(plan.retry_budget);
            pool.state.clone()
        }
        None => Arc::new(PoolState::new(workers, plan.retry_budget, revision)),
    };
    let load =
        before.map_or_else(|| Arc::new(PoolLoad::telling(state.line.clone())), |pool| pool.load.clone());
    let rules_stay = before.is_some_and(|pool| same_rules(&pool.plan, plan));
    let servers: Vec<Arc<Server>> = plan
        .servers
        .iter()
        .map(|server| {
            let same = old.get(&(&server.name, &server.address));
            // With thousands of servers, most of a change is what does not change.
            if let Some(old) = same
                && rules_stay
                && old.plan == *server
                && old.tls.as_ref().map(|tls| Arc::as_ptr(&tls.connector)) == connector.map(Arc::as_ptr)
            {
                return (*old).clone();
            }
            let state = same.map_or_else(
                || Arc::new(ServerState::new(workers, load.clone(), bell.clone())),
                |old| old.state.clone(),
            );
            // Before a worker sees the server: one that starts as down must take no traffic.
            let added = before.is_some() && same.is_none();
            state.gate.prepare(plan, server, added, Instant::now());
            let tls = connector.map(|connector| {
                let same = same.and_then(|old| old.tls.as_ref());
                match same.filter(|old| Arc::ptr_eq(&old.connector, connector)) {
                    Some(same) => same.clone(),
                    None => Arc::new(Towards::new(connector, &server.address)),
                }
            });
            Arc::new(Server { plan: server.clone(), host: host_of(server), tls, state })
        })
        .collect();
    let old = before.map(|pool| pool.choice.load());
    let choice = ArcSwap::from_pointee(Choice::new(plan, &servers, old.as_deref().map(Arc::as_ref)));
    let sticky = Sticky::new(plan, keys);
    Arc::new(Pool {
        plan: plan.clone(),
        servers,
        choice,
        sticky,
        load,
        state,
        version: revision,
        connector: number,
    })
}

/// Says whether both plans judge their servers alike: what a gate was prepared for holds then.
fn same_rules(before: &plan::Pool, after: &plan::Pool) -> bool {
    before.health == after.health
        && before.agent == after.agent
        && before.passive == after.passive
        && before.slow_start == after.slow_start
}

/// `Host` for a request that names none: the server's address, or `localhost` for a unix socket.
fn host_of(server: &plan::Server) -> String {
    match &server.address {
        evenkeel_traffic::address::Address::Tcp(address) => address.to_string(),
        evenkeel_traffic::address::Address::Unix(_) => "localhost".into(),
    }
}

fn resolve(plan: &plan::Listener, pools: &HashMap<&Name, &Arc<Pool>>, acceptors: &Acceptors) -> Listener {
    let pool = |name: &Name| pools.get(name).map(|pool| (*pool).clone());
    // A plan names only pools that it has; one that does not would lose its rule here, and `run` refuses it before.
    let rule_pools: Vec<Arc<Pool>> = plan.rules.iter().filter_map(|rule| pool(&rule.pool)).collect();
    let pool = plan.pool.as_ref().and_then(pool);
    let of_connections = matches!(plan.mode, plan::Mode::Tcp(_));
    let routed_by_name = of_connections && plan.rules.iter().any(|rule| rule.conditions.need_hello());
    let by_name = |pool: &Arc<Pool>| {
        let announced =
            matches!(pool.plan.send_proxy, Some(SendProxy::V2(extensions)) if extensions.authority);
        announced || (of_connections && pool.plan.balance.needs_hello())
    };
    Listener {
        routed_by_name,
        wants_name: routed_by_name || rule_pools.iter().chain(&pool).any(by_name),
        rule_pools,
        pool,
        plan: plan.clone(),
        tls: acceptors.get(&plan.name).filter(|_| plan.tls.is_some()).cloned(),
    }
}
