//! What a worker looks things up in: the plan, with its names resolved and the living state of each thing beside it.
//!
//! A [`Table`] is immutable; a new plan makes a new one that shares the state of everything that stayed
//! ([`crate::apply`]). Counters are kept by worker and summed when read; only running counts and the round robin are
//! shared between workers.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use arc_swap::{ArcSwap, ArcSwapOption};
use evenkeel_config::plan;
use evenkeel_traffic::budget::Budget;
use evenkeel_traffic::name::Name;
use evenkeel_traffic::pick::round_robin::RoundRobin;
use evenkeel_traffic::route::{self, Facts};
use tokio::sync::Notify;

use crate::access_log::Log;
use crate::gate::{self, Gate};
use crate::idle::IdleConnections;

/// Everything, under one revision.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) revision: u64,
    pub(crate) listeners: Vec<Arc<ListenerSlot>>,
    pub(crate) pools: Vec<Arc<Pool>>,
}

/// A listener as its connections hold it: what it means now can be swapped below them.
#[derive(Debug)]
pub(crate) struct ListenerSlot {
    pub(crate) name: Name,
    pub(crate) current: ArcSwap<Listener>,
    pub(crate) counters: PerWorker<ListenerCounters>,
    /// Its access log, if it has one.
    pub(crate) log: ArcSwapOption<Log>,
    /// The listener is gone from the plan; its connections end when they next can.
    pub(crate) removed: AtomicBool,
}

/// What a listener means under one plan.
#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) plan: plan::Listener,
    /// The pool of each rule, in their order.
    pub(crate) rule_pools: Vec<Arc<Pool>>,
    pub(crate) pool: Option<Arc<Pool>>,
}

impl Listener {
    /// Where something with these facts goes.
    pub(crate) fn route(&self, facts: &impl Facts) -> Option<(Place, &Arc<Pool>)> {
        let place = route::find(&self.plan.rules, facts).map_or(Place::Own, Place::Rule);
        Some((place, self.pool_at(place)?))
    }

    /// The pool at a place of this listener.
    pub(crate) fn pool_at(&self, place: Place) -> Option<&Arc<Pool>> {
        match place {
            Place::Rule(index) => self.rule_pools.get(index),
            Place::Own => self.pool.as_ref(),
        }
    }
}

/// Which of a listener's pools: remembered without counting who holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// That of a rule.
    Rule(usize),
    /// The one for what no rule takes.
    Own,
}

/// A pool under one plan.
#[derive(Debug)]
pub(crate) struct Pool {
    pub(crate) plan: plan::Pool,
    /// In the order of the plan.
    pub(crate) servers: Vec<Arc<Server>>,
    pub(crate) round_robin: RoundRobin,
    pub(crate) state: Arc<PoolState>,
}

/// The living part of a [`Pool`]: what outlives a change of its plan.
#[derive(Debug)]
pub(crate) struct PoolState {
    budget: Mutex<Budget>,
    pub(crate) counters: PerWorker<PoolCounters>,
}

/// Counters of a pool.
#[derive(Debug, Default)]
pub(crate) struct PoolCounters {
    pub(crate) requests_total: Counter,
    pub(crate) retries_total: Counter,
    pub(crate) retries_denied_total: Counter,
}

impl PoolState {
    pub(crate) fn new(workers: usize, budget: u8) -> Self {
        Self { budget: Mutex::new(Budget::new(budget)), counters: PerWorker::new(workers) }
    }

    /// Takes a retry out of the budget, if one is left, and counts what came of it.
    pub(crate) fn may_retry(&self, worker: usize, now: Instant) -> bool {
        let requests = self.counters.sum(|counters| &counters.requests_total);
        let may = self.budget.lock().is_ok_and(|mut budget| budget.withdraw(requests, now));
        let counters = self.counters.of(worker);
        let counted = if may { &counters.retries_total } else { &counters.retries_denied_total };
        counted.add(1);
        may
    }

    /// Tells the budget how many requests there were; to be called once a second.
    pub(crate) fn observe(&self, now: Instant) {
        let requests = self.counters.sum(|counters| &counters.requests_total);
        if let Ok(mut budget) = self.budget.lock() {
            budget.observe(requests, now);
        }
    }

    /// A new plan allows another share.
    pub(crate) fn set_budget(&self, percent: u8) {
        if let Ok(mut budget) = self.budget.lock() {
            budget.set_percent(percent);
        }
    }
}

impl Pool {
    /// The server for the next request or connection, other than those that were `tried`.
    pub(crate) fn pick(&self, tried: &[usize]) -> Option<usize> {
        gate::choose(&self.plan, &self.servers, |wanted| {
            self.round_robin.pick(|index| {
                !tried.contains(&index)
                    && self.servers.get(index).is_some_and(|server| server.state.gate.fits(wanted))
            })
        })
    }
}

/// A server; lives on through plans while its pool, name and address stay the same.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) plan: plan::Server,
    /// The address as text: `Host` of a request that has none.
    pub(crate) host: String,
    pub(crate) state: Arc<ServerState>,
}

/// The living part of a [`Server`].
#[derive(Debug)]
pub(crate) struct ServerState {
    pub(crate) counters: PerWorker<ServerCounters>,
    /// Requests or connections running now, all workers together.
    pub(crate) running: AtomicU64,
    pub(crate) idle: IdleConnections,
    /// Whether it takes traffic, and why not.
    pub(crate) gate: Gate,
    last_failure: Mutex<Option<String>>,
}

impl ServerState {
    pub(crate) fn new(workers: usize, bell: Arc<Notify>) -> Self {
        Self {
            counters: PerWorker::new(workers),
            running: AtomicU64::new(0),
            idle: IdleConnections::new(workers),
            gate: Gate::new(bell),
            last_failure: Mutex::new(None),
        }
    }

    /// Remembers what went wrong, for `status`.
    pub(crate) fn failed(&self, what: String) {
        if let Ok(mut last) = self.last_failure.lock() {
            *last = Some(what);
        }
    }

    pub(crate) fn last_failure(&self) -> Option<String> {
        self.last_failure.lock().ok()?.clone()
    }

    /// Counts one running request or connection until the guard is dropped.
    pub(crate) fn begin(self: &Arc<Self>, worker: usize) -> Running {
        self.running.fetch_add(1, Ordering::Relaxed);
        self.counters.of(worker).total.add(1);
        Running(self.clone())
    }
}

/// See [`ServerState::begin`].
#[derive(Debug)]
pub(crate) struct Running(Arc<ServerState>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A counter that one worker writes and anybody reads.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// Adds; only the worker that owns the counter may.
    pub(crate) fn add(&self, count: u64) {
        // No read-modify-write: there is only one writer.
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(count), Ordering::Relaxed);
    }

    /// Takes back what was added; only the worker that owns the counter may.
    pub(crate) fn subtract(&self, count: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_sub(count), Ordering::Relaxed);
    }

    fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Counters of a listener.
#[derive(Debug, Default)]
pub(crate) struct ListenerCounters {
    pub(crate) connections: Counter,
    pub(crate) connections_total: Counter,
    pub(crate) requests_total: Counter,
    pub(crate) refused_total: Counter,
}

/// Counters of a server.
#[derive(Debug, Default)]
pub(crate) struct ServerCounters {
    pub(crate) total: Counter,
    pub(crate) connect_failures_total: Counter,
    pub(crate) failures_total: Counter,
    pub(crate) opened_total: Counter,
    pub(crate) reused_total: Counter,
}

/// One block of counters a worker, each on cache lines of its own.
#[derive(Debug)]
pub(crate) struct PerWorker<T>(Box<[Aligned<T>]>);

/// Two cache lines: neighbouring lines are fetched in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Aligned<T>(T);

impl<T: Default> PerWorker<T> {
    pub(crate) fn new(workers: usize) -> Self {
        Self((0..workers.max(1)).map(|_| Aligned::default()).collect())
    }

    /// The block of one worker.
    pub(crate) fn of(&self, worker: usize) -> &T {
        &self.0[worker.min(self.0.len() - 1)].0
    }

    /// The blocks of all workers.
    pub(crate) fn all(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|block| &block.0)
    }

    /// Sums one counter over all workers.
    pub(crate) fn sum(&self, counter: impl Fn(&T) -> &Counter) -> u64 {
        self.0.iter().fold(0, |sum, block| sum.wrapping_add(counter(&block.0).value()))
    }
}
