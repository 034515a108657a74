//! Active checks: one thread with a runtime of its own asks the servers and their agents, and keeps the clocks of their
//! judgements.
//!
//! It decides nothing: [`evenkeel_traffic::health`] does. Invariants: one check of a server at a time, and at most
//! [`MOST_PROBES`] of all servers over the network, [`MOST_QUESTIONS`] to agents and [`MOST_SCRIPTS`] by programs, so that
//! none holds up another kind; workers never wait for any of it; the checks of servers that a new table leaves as they were go on undisturbed.

mod agent;
mod exec;
mod grpc;
mod http;
mod probe;
mod tcp;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use evenkeel_config::plan::{self, Probe, ProbeKind};
use evenkeel_traffic::address::Address;
use evenkeel_traffic::duty::Duty;
use evenkeel_traffic::name::Name;
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio::task::AbortHandle;

use crate::message::Event;
use crate::rollcall::{self, RollCall};
use crate::table::{Pool, Server, ServerState, Table};

/// Checks under way at once; further ones wait for one of them to end. The supervisor keeps files free for them.
const MOST_PROBES: usize = 32;
/// Questions to agents under way at once; further ones wait. The supervisor keeps files free for them.
const MOST_QUESTIONS: usize = 32;
/// Programs that run at once; further ones wait. The supervisor keeps files free for them.
const MOST_SCRIPTS: usize = 8;
/// When nothing is due.
const FAR: Duration = Duration::from_secs(3600);

/// The running health thread.
#[derive(Debug)]
pub(crate) struct Handle {
    tables: mpsc::UnboundedSender<Arc<Table>>,
    bell: Arc<Notify>,
    thread: JoinHandle<()>,
}

impl Handle {
    pub(crate) fn start(events: mpsc::Sender<Event>) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        let (tables, receiver) = mpsc::unbounded_channel();
        let bell = Arc::new(Notify::new());
        let rung = bell.clone();
        let thread = std::thread::Builder::new()
            .name("health".into())
            .spawn(move || runtime.block_on(follow(receiver, rung, events)))?;
        Ok(Self { tables, bell, thread })
    }

    /// Rung when a deadline of a judgement has changed.
    pub(crate) fn bell(&self) -> &Arc<Notify> {
        &self.bell
    }

    /// From now on the servers of this table are checked.
    pub(crate) fn watch(&self, table: &Arc<Table>) {
        // A thread that has panicked hears nothing; what it found stays and traffic goes on.
        let _ended = self.tables.send(table.clone());
    }

    /// Ends all checks.
    pub(crate) fn stop(self) {
        drop(self.tables);
        if self.thread.join().is_err() {
            tracing::error!("the health thread has panicked");
        }
    }
}

/// The checks of one server.
struct Watched {
    server: Arc<Server>,
    what: What,
    task: AbortHandle,
}

/// All that is asked.
#[derive(Default)]
struct Watching {
    watched: HashMap<Asked, Watched>,
    /// Pools as their checks see them, swapped when a plan changes something about one.
    pools: HashMap<Name, Arc<ArcSwap<Pool>>>,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq)]
enum What {
    Server(Probe, Address),
    Agent(plan::Agent, Address),
}

/// Which server is asked, by where its state is, and whether its agent is. What is kept below it holds the state, so that
/// no other can be there.
type Asked = (*const ServerState, bool);

/// How much may be under way at once.
#[derive(Clone)]
struct Permits {
    probes: Arc<Semaphore>,
    questions: Arc<Semaphore>,
    scripts: Arc<Semaphore>,
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn follow(
    mut tables: mpsc::UnboundedReceiver<Arc<Table>>,
    bell: Arc<Notify>,
    events: mpsc::Sender<Event>,
) {
    let permits = Permits {
        probes: Arc::new(Semaphore::new(MOST_PROBES)),
        questions: Arc::new(Semaphore::new(MOST_QUESTIONS)),
        scripts: Arc::new(Semaphore::new(MOST_SCRIPTS)),
    };
    let mut table: Option<Arc<Table>> = None;
    let mut watching = Watching::default();
    let mut all_down = BTreeSet::new();
    let mut roll_call = RollCall::default();
    let mut next = None;
    loop {
        let due = next.unwrap_or_else(|| Instant::now() + FAR);
        tokio::select! {
            new = tables.recv() => match new {
                None => return,
                Some(new) => {
                    watching = adopt(watching, &new, &permits);
                    table = Some(new);
                }
            },
            () = bell.notified() => {}
            () = tokio::time::sleep_until(due.into()) => {}
        }
        let pools = || table.iter().flat_map(|table| &table.pools);
        let now = Instant::now();
        pools().filter(|pool| pool.plan.agent.is_some()).for_each(|pool| pool.follow_agents());
        next = pools().filter_map(|pool| pool.tick(now)).min();
        all_down = tell_all_down(&all_down, pools());
        let again = roll_call.look(table.as_deref(), &events, Instant::now());
        next = next.into_iter().chain(again).min();
    }
}

/// Checks the servers of `table`; those that are checked in the same way already go on. Each is found by its state, so
/// that one change among thousands of servers does not compare each with each.
fn adopt(mut before: Watching, table: &Table, permits: &Permits) -> Watching {
    let mut after = Watching::default();
    after.watched.reserve(before.watched.len() + 1);
    for pool in &table.pools {
        let name = &pool.plan.name;
        let slot = before.pools.remove(name).unwrap_or_else(|| Arc::new(ArcSwap::new(pool.clone())));
        let old_pool = slot.swap(pool.clone());
        after.pools.insert(name.clone(), slot.clone());
        let rules_stay = old_pool.plan.health == pool.plan.health && old_pool.plan.agent == pool.plan.agent;
        let kinds = [pool.plan.health.is_some().then_some(false), pool.plan.agent.is_some().then_some(true)];
        for server in pool.servers.iter().filter(|server| server.plan.duty != Duty::Maintenance) {
            for of_agent in kinds.into_iter().flatten() {
                let key = (Arc::as_ptr(&server.state), of_agent);
                let old = before.watched.remove(&key);
                if let Some(old) = old.filter(|old| {
                    // TLS that has changed may change what checks find.
                    (rules_stay && Arc::ptr_eq(&old.server, server))
                        || (old.server.manner() == server.manner()
                            && what(pool, server, of_agent).as_ref() == Some(&old.what))
                }) {
                    after.watched.insert(key, old);
                    continue;
                }
                let Some(what) = what(pool, server, of_agent) else { continue };
                let task = match what.clone() {
                    What::Server(probe, address) => {
                        let work = watch(slot.clone(), server.clone(), probe, address, permits.clone());
                        tokio::spawn(work).abort_handle()
                    }
                    What::Agent(agent, address) => {
                        let work = listen(slot.clone(), server.clone(), agent, address, permits.clone());
                        tokio::spawn(work).abort_handle()
                    }
                };
                after.watched.insert(key, Watched { server: server.clone(), what, task });
            }
        }
    }
    after
}

/// What is asked of the server, or of its agent, if anything is.
fn what(pool: &Pool, server: &Server, of_agent: bool) -> Option<What> {
    if of_agent {
        let agent = pool.plan.agent.as_ref()?;
        return Some(What::Agent(agent.clone(), at(&server.plan.address, Some(agent.port))));
    }
    let probe = pool.plan.health.as_ref()?;
    let address = server.plan.check_address.clone();
    Some(What::Server(probe.clone(), address.unwrap_or_else(|| at(&server.plan.address, probe.port))))
}

/// The server's address with another port, which a unix socket does not have.
fn at(address: &Address, port: Option<u16>) -> Address {
    match (address, port) {
        (Address::Tcp(address), Some(port)) => Address::Tcp((address.ip(), port).into()),
        _ => address.clone(),
    }
}

/// Checks one server until it is told to stop.
async fn watch(
    pool: Arc<ArcSwap<Pool>>,
    server: Arc<Server>,
    probe: Probe,
    address: Address,
    permits: Permits,
) {
    while let Some(next) = server.state.gate.next_probe() {
        tokio::time::sleep_until(next.into()).await;
        let runs_a_program = matches!(probe.kind, ProbeKind::Exec(_));
        let kind = if runs_a_program { &permits.scripts } else { &permits.probes };
        let Ok(permit) = kind.clone().acquire_owned().await else { return };
        let started = Instant::now();
        let result = match &probe.kind {
            ProbeKind::Exec(exec) => {
                let names = (pool.load().plan.name.to_string(), server.plan.name.to_string());
                exec::ask(exec, names, &address, probe.timing.timeout, permit).await
            }
            _ => {
                let (announce, protocol) = {
                    let plan = &pool.load().plan;
                    (plan.send_proxy, plan.protocol)
                };
                probe::ask(&server, &probe, &address, announce, protocol).await
            }
        };
        pool.load().probed(&server, result, started);
    }
}

/// Asks the agent of one server until it is told to stop.
async fn listen(
    pool: Arc<ArcSwap<Pool>>,
    server: Arc<Server>,
    plan: plan::Agent,
    address: Address,
    permits: Permits,
) {
    while let Some(next) = server.state.gate.next_question() {
        tokio::time::sleep_until(next.into()).await;
        let Ok(_permit) = permits.questions.acquire().await else { return };
        let started = Instant::now();
        let answer = agent::ask(&plan, &address).await;
        pool.load().agent_answered(&server, answer, started);
    }
}

/// Logs the pools of which all servers are down since now, and those of which not any more.
fn tell_all_down<'a>(before: &BTreeSet<Name>, pools: impl Iterator<Item = &'a Arc<Pool>>) -> BTreeSet<Name> {
    let mut down = BTreeSet::new();
    for pool in pools {
        let name = &pool.plan.name;
        match (before.contains(name), pool.all_down()) {
            (false, true) => {
                let what = rollcall::traffic(pool.plan.when_all_down);
                tracing::error!("pool {name}: all servers are down: {what}");
                down.insert(name.clone());
            }
            (true, false) => tracing::info!("pool {name}: not all servers are down any more"),
            (true, true) => drop(down.insert(name.clone())),
            (false, false) => {}
        }
    }
    down
}
