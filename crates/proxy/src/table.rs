//! What a worker looks things up in: the plan, with its names resolved and the living state of each thing beside it.
//!
//! A [`Table`] is immutable; a new plan makes a new one that shares the state of everything that stayed
//! ([`crate::apply`]). Counters are kept by worker and summed when read; only what pickers and loads
//! count is shared between workers.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use evenkeel_config::plan;
use evenkeel_http::answer::Reason;
use evenkeel_http::frames::Flood;
use evenkeel_http::grpc;
use evenkeel_traffic::agent;
use evenkeel_traffic::budget::Budget;
use evenkeel_traffic::load::{Load, PoolLoad, Running};
use evenkeel_traffic::name::Name;
use evenkeel_traffic::pick::{self, Balance, Picker, Request, Weight};
use evenkeel_traffic::route::{self, Facts};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::access_log::Log;
use crate::gate::{self, Gate, Wanted};
use crate::histogram::Histogram;
use crate::idle::IdleConnections;
use crate::queue::{Line, Rooms};
use crate::sticky::{Sticky, StickyCounters};
use crate::tls::acceptor::{Acceptor, Failure};
use crate::tls::connector::{self, Towards};
use crate::upstream::Multiplexed;
use crate::worker::Worker;

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
    /// How often these two were swapped: see [`crate::view`].
    pub(crate) changes: AtomicU64,
    /// Handshakes under way, all workers together.
    pub(crate) handshakes: AtomicU32,
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
    /// TLS to its clients, if they are to speak it.
    pub(crate) tls: Option<Arc<Acceptor>>,
    /// The name in the hello of a client decides which route it takes.
    pub(crate) routed_by_name: bool,
    /// Or which server it gets; TLS that ends here remembers it then.
    pub(crate) wants_name: bool,
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
    pub(crate) choice: ArcSwap<Choice>,
    /// Sticky sessions, if it has them.
    pub(crate) sticky: Option<Sticky>,
    /// What all its servers do, under all plans.
    pub(crate) load: Arc<PoolLoad>,
    pub(crate) state: Arc<PoolState>,
    /// Revision of the plan that made it what it is.
    pub(crate) version: u64,
    /// The number of what its servers are spoken to with over TLS; 0 without.
    pub(crate) connector: u64,
}

/// Who chooses among the servers of a pool, and what it was told of them: agents change both under a plan that stays.
#[derive(Debug)]
pub(crate) struct Choice {
    pub(crate) picker: Picker,
    /// Weight and bound of each server.
    told: Vec<(Weight, Option<NonZeroU32>)>,
}

impl Choice {
    /// With what agents want now. `before` is the choice that it takes the place of.
    pub(crate) fn new(plan: &plan::Pool, servers: &[Arc<Server>], before: Option<&Self>) -> Self {
        let told = wanted(servers);
        let to_pick: Vec<pick::Server> = servers
            .iter()
            .zip(&told)
            .map(|(server, &(weight, max_connections))| pick::Server {
                name: server.plan.name.clone(),
                weight,
                priority: server.plan.priority,
                max_connections,
                load: server.state.load.clone(),
            })
            .collect();
        let picker = Picker::new(&plan.balance, &to_pick);
        picker.attach(&plan.balance, before.map(|before| &before.picker));
        Self { picker, told }
    }
}

fn wanted(servers: &[Arc<Server>]) -> Vec<(Weight, Option<NonZeroU32>)> {
    let typed: Vec<_> =
        servers.iter().map(|server| (server.plan.weight, server.state.gate.percent())).collect();
    let most = servers.iter().map(|server| server.state.gate.most(&server.plan));
    agent::weights(&typed).into_iter().zip(most).collect()
}

/// The living part of a [`Pool`]: what outlives a change of its plan.
#[derive(Debug)]
pub(crate) struct PoolState {
    budget: Mutex<Budget>,
    ejecting: Mutex<()>,
    pub(crate) counters: PerWorker<PoolCounters>,
    /// Who waits while its servers are full.
    pub(crate) line: Arc<Line>,
}

/// Counters of a pool.
#[derive(Debug, Default)]
pub(crate) struct PoolCounters {
    pub(crate) requests_total: Counter,
    pub(crate) retries_total: Counter,
    pub(crate) retries_denied_total: Counter,
    pub(crate) sticky: StickyCounters,
    /// Calls of gRPC, by the place of their status.
    pub(crate) grpc_total: [Counter; grpc::NAMES.len()],
}

impl PoolState {
    pub(crate) fn new(workers: usize, budget: u8, version: u64) -> Self {
        Self {
            budget: Mutex::new(Budget::new(budget, Instant::now().into_std())),
            ejecting: Mutex::new(()),
            counters: PerWorker::new(workers),
            line: Arc::new(Line::new(workers, version)),
        }
    }

    /// Held by whoever decides whether one more server may be ejected, until that is to be seen.
    pub(crate) fn one_ejection(&self) -> MutexGuard<'_, ()> {
        self.ejecting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a retry out of the budget, if one is left, and counts what came of it.
    pub(crate) fn may_retry(&self, worker: usize, now: std::time::Instant) -> bool {
        let requests = self.counters.sum(|counters| &counters.requests_total);
        let may = self.budget.lock().is_ok_and(|mut budget| budget.withdraw(requests, now));
        let counters = self.counters.of(worker);
        let counted = if may { &counters.retries_total } else { &counters.retries_denied_total };
        counted.add(1);
        may
    }

    /// Tells the budget how many requests there were; to be called once a second.
    pub(crate) fn observe(&self, now: std::time::Instant) {
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

/// A server that was picked, and the count that says so.
#[derive(Debug)]
pub(crate) struct Picked {
    pub(crate) index: usize,
    pub(crate) running: Running,
}

/// Picks that may fail because another worker took the last room meanwhile, before no server counts as free.
const MOST_RACES: usize = 8;

impl Pool {
    /// The server for the next request or connection, other than those that were `tried`. It counts as running there
    /// from now on, so that others see it while a connection is being opened. `key` is what [`Balance::key`] found.
    /// `None` as well while others wait: nobody takes a place before them.
    pub(crate) fn pick(&self, key: Option<u64>, tried: &[usize], worker: &Worker) -> Option<Picked> {
        if self.load.is_waited() { None } else { self.take(key, tried, worker) }
    }

    /// The same for one whose turn it is.
    pub(crate) fn take(&self, key: Option<u64>, tried: &[usize], worker: &Worker) -> Option<Picked> {
        let request = Request { key, tried, now: self.time(worker) };
        let seek = || (0..MOST_RACES).find_map(|_| self.begin(self.choose(request, worker)?));
        seek().or_else(|| {
            // A look may have missed what became free a moment ago.
            self.has_room().then(|| self.forget()).and_then(|()| seek())
        })
    }

    /// The server that the algorithm prefers among those whose gate is open, or else among the next best.
    fn choose(&self, request: Request<'_>, worker: &Worker) -> Option<usize> {
        gate::choose(&self.plan, &self.servers, request.tried, |wanted| {
            let choice = self.choice.load();
            if wanted != Wanted::Open {
                // More servers are wanted than the look before has seen as usable.
                choice.picker.forget();
            }
            let fits =
                |index: usize| self.servers.get(index).is_some_and(|server| server.state.gate.fits(wanted));
            choice.picker.pick(request, &worker.chance, fits)
        })
    }

    /// What is said of the servers has changed.
    pub(crate) fn forget(&self) {
        self.choice.load().picker.forget();
    }

    /// Follows what agents want now. Only the health thread may, so that no newer wish is undone.
    pub(crate) fn follow_agents(&self) {
        let before = self.choice.load();
        if wanted(&self.servers) != before.told {
            self.choice.store(Arc::new(Choice::new(&self.plan, &self.servers, Some(&before))));
            // More may fit than those in line have seen.
            self.state.line.changed(&self.load);
        }
    }

    /// A place at this server, if it has room; asks nothing else.
    pub(crate) fn begin(&self, index: usize) -> Option<Picked> {
        let server = self.servers.get(index)?;
        let most = server.state.gate.most(&server.plan).map_or(u32::MAX, u32::from);
        server.state.load.begin(most).map(|running| Picked { index, running })
    }

    /// The time for latencies; nobody reads the clock when nobody compares them.
    fn time(&self, worker: &Worker) -> Duration {
        if self.plan.balance == Balance::PeakEwma { worker.began.elapsed() } else { Duration::ZERO }
    }

    /// A server has answered after this time.
    pub(crate) fn answered(&self, server: &Server, since: Instant, worker: &Worker) {
        if self.plan.balance == Balance::PeakEwma {
            server.state.load.answered(since.elapsed(), self.time(worker));
        }
    }

    /// A server has failed, or asked to be left alone for `wish`.
    pub(crate) fn slowed(&self, server: &Server, wish: Option<Duration>, worker: &Worker) {
        if self.plan.balance == Balance::PeakEwma {
            server.state.load.failed(wish, self.time(worker));
        }
    }
}

/// A server; lives on through plans while its pool, name and address stay the same.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) plan: plan::Server,
    /// The address as text: `Host` of a request that has none.
    pub(crate) host: String,
    /// TLS to it, if that is spoken.
    pub(crate) tls: Option<Arc<Towards>>,
    pub(crate) state: Arc<ServerState>,
}

/// The living part of a [`Server`].
#[derive(Debug)]
pub(crate) struct ServerState {
    pub(crate) counters: PerWorker<ServerCounters>,
    /// Requests or connections running now, all workers together, and how fast it answers.
    pub(crate) load: Arc<Load>,
    pub(crate) idle: IdleConnections,
    /// Those that carry many requests at once.
    pub(crate) multiplexed: Multiplexed,
    /// Whether it takes traffic, and why not.
    pub(crate) gate: Gate,
    last_failure: Mutex<Option<String>>,
}

impl Server {
    /// How connections to it are opened now: those that were opened otherwise are not used again.
    pub(crate) fn manner(&self) -> u64 {
        self.tls.as_ref().map_or(0, |tls| tls.connector.number)
    }

    /// Says whether it takes turns: the file gives it a weight, and its agent leaves it some.
    pub(crate) fn has_weight(&self) -> bool {
        self.plan.weight.value() > 0 && self.state.gate.percent() > 0
    }
}

impl ServerState {
    pub(crate) fn new(workers: usize, pool: Arc<PoolLoad>, bell: Arc<Notify>) -> Self {
        Self {
            counters: PerWorker::new(workers),
            load: Arc::new(Load::new(pool)),
            idle: IdleConnections::new(workers),
            multiplexed: Multiplexed::new(workers),
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

    pub(crate) fn value(&self) -> u64 {
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
    /// By [`STATUS_CLASSES`].
    pub(crate) responses_total: [Counter; STATUS_CLASSES.len()],
    /// By the number of the reason.
    pub(crate) answers_total: [Counter; Reason::ALL.len()],
    pub(crate) bytes_in_total: Counter,
    pub(crate) bytes_out_total: Counter,
    pub(crate) latency: Histogram,
    pub(crate) durations: Histogram,
    /// Connections whose PROXY header was missing or broken.
    pub(crate) proxy_headers_refused_total: Counter,
    /// Connections that ended because not a byte came over them.
    pub(crate) silent_total: Counter,
    /// Responses that were broken off because the client took nothing, or too little.
    pub(crate) slow_readers_total: Counter,
    pub(crate) handshakes_total: Counter,
    pub(crate) resumed_total: Counter,
    /// By the number of the failure.
    pub(crate) handshake_failures_total: [Counter; Failure::ALL.len()],
    /// Connections and requests of HTTP/2.
    pub(crate) http2_total: Counter,
    pub(crate) http2_streams_total: Counter,
    /// Connections that were cut, by the number of the flood.
    pub(crate) http2_floods_total: [Counter; Flood::ALL.len()],
}

// The number of a reason is its place among all.
const _: () = {
    let mut place = 0;
    while place < Reason::ALL.len() {
        assert!(Reason::ALL[place] as usize == place);
        place += 1;
    }
};

/// What answers are counted by: the first digit of their status.
pub(crate) const STATUS_CLASSES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", "other"];

impl ListenerCounters {
    /// What a request or a connection has come to, at its end.
    pub(crate) fn ended(&self, bytes_in: u64, bytes_out: u64, reason: Option<Reason>) {
        self.bytes_in_total.add(bytes_in);
        self.bytes_out_total.add(bytes_out);
        if let Some(counter) = reason.and_then(|reason| self.answers_total.get(reason as usize)) {
            counter.add(1);
        }
    }

    /// An answer of this status was begun. It has taken `took` from the head of the request to its last byte; `None`
    /// when there was no head.
    pub(crate) fn answered(&self, status: u16, took: Option<Duration>) {
        let class = usize::from(status / 100).wrapping_sub(1).min(STATUS_CLASSES.len() - 1);
        self.responses_total[class].add(1);
        // A tunnel is no answer that anybody waits for.
        if let Some(took) = took.filter(|_| status != 101) {
            self.latency.record(took);
        }
    }
}

/// Counters of a server.
#[derive(Debug, Default)]
pub(crate) struct ServerCounters {
    pub(crate) total: Counter,
    pub(crate) connect_failures_total: Counter,
    pub(crate) failures_total: Counter,
    pub(crate) opened_total: Counter,
    pub(crate) reused_total: Counter,
    pub(crate) handshakes_total: Counter,
    pub(crate) resumed_total: Counter,
    /// By the number of the failure.
    pub(crate) handshake_failures_total: [Counter; connector::Failure::ALL.len()],
    pub(crate) first_byte: Histogram,
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
