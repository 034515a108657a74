//! One thread that moves traffic: a single-threaded runtime with all its connections.
//!
//! A connection lives and dies on the worker whose socket accepted it. Workers share nothing that is written per
//! request but what pickers and loads count and, when their own is empty, each other's idle connections.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use evenkeel_config::plan::Protocol;
use evenkeel_traffic::address::Address;
use evenkeel_traffic::chance::Chance;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::Instant;

use crate::clock;
use crate::connections::Connections;
use crate::listener::{self, Stop};
use crate::run::Slot;
use crate::table::Table;

/// How often unused connections to servers are looked through.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// What all connections of a worker share.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) index: usize,
    pub(crate) connections: Arc<Connections>,
    /// What is drawn at random.
    pub(crate) chance: Chance,
    /// The moment from which all workers count the time of latencies.
    pub(crate) began: Instant,
    /// Rung when idle connections should look whether they are to end.
    pub(crate) bell: Notify,
}

/// What a worker is told.
#[derive(Debug)]
pub(crate) enum Command {
    /// Open this socket, say whether that went well, and accept from it once `begin` names the listener.
    Listen {
        bind: Address,
        socket: OwnedFd,
        begin: watch::Receiver<Option<Slot>>,
        opened: mpsc::Sender<Result<(), String>>,
    },
    /// Take what already waits on this bind's socket, then close it; `stop` is dropped when that is done.
    Unlisten { bind: Address, stop: Stop },
    /// The pools, for keeping house.
    Table(Arc<Table>),
    /// Idle connections look whether they are to end.
    Ring,
}

/// A running worker.
#[derive(Debug)]
pub(crate) struct Handle {
    pub(crate) commands: mpsc::UnboundedSender<Command>,
    thread: JoinHandle<()>,
}

impl Handle {
    /// Starts a worker.
    pub(crate) fn start(
        index: usize,
        connections: Arc<Connections>,
        began: Instant,
    ) -> std::io::Result<Self> {
        // Seeds of hash tables come from the operating system.
        let seed = RandomState::new().hash_one(index);
        tracing::info!(worker = index, seed, "random choices follow from this seed");
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = clock::each_turn(builder.enable_io().enable_time()).build()?;
        let (commands, receiver) = mpsc::unbounded_channel();
        let thread = std::thread::Builder::new().name(format!("worker-{index}")).spawn(move || {
            let worker = Arc::new(Worker {
                index,
                connections,
                chance: Chance::seeded(seed),
                began,
                bell: Notify::new(),
            });
            runtime.block_on(follow(worker, receiver));
        })?;
        Ok(Self { commands, thread })
    }

    /// Ends the worker with all its connections.
    pub(crate) fn stop(self) {
        drop(self.commands);
        if self.thread.join().is_err() {
            tracing::error!("a worker has panicked");
        }
    }
}

/// Does what it is told until the commands end.
async fn follow(worker: Arc<Worker>, mut commands: mpsc::UnboundedReceiver<Command>) {
    let mut listening: BTreeMap<Address, oneshot::Sender<Stop>> = BTreeMap::new();
    let mut table: Option<Arc<Table>> = None;
    let mut sweep = tokio::time::interval(SWEEP_INTERVAL);
    loop {
        tokio::select! {
            command = commands.recv() => match command {
                None => return,
                Some(Command::Listen { bind, socket, begin, opened }) => {
                    let (stop, stopped) = oneshot::channel();
                    let outcome = match listener::open(&bind, socket) {
                        Ok(socket) => {
                            tokio::spawn(listener::accept(worker.clone(), socket, begin, stopped));
                            listening.insert(bind, stop);
                            Ok(())
                        }
                        Err(error) => Err(format!("a worker cannot use the listening socket {bind}: {error}")),
                    };
                    // There is room for every outcome.
                    let _nobody_waits_any_more = opened.try_send(outcome);
                }
                Some(Command::Unlisten { bind, stop }) => {
                    if let Some(listening) = listening.remove(&bind) {
                        // A task that is gone already has closed its socket.
                        let _gone = listening.send(stop);
                    }
                }
                Some(Command::Table(new)) => table = Some(new),
                Some(Command::Ring) => worker.bell.notify_waiters(),
            },
            _ = sweep.tick() => if let Some(table) = &table {
                keep_house(&worker, table);
            },
        }
    }
}

/// Closes unused connections that are too old or too many: the files that they may take are reserved, one for each client.
fn keep_house(worker: &Worker, table: &Table) {
    let now = Instant::now();
    let (mut kept, mut most) = (0, usize::MAX);
    for pool in &table.pools {
        if worker.index == 0 {
            pool.state.observe(now.into_std());
        }
        for server in &pool.servers {
            let idle = &server.state.idle;
            kept += idle.sweep(worker.index, pool.plan.keep_alive, now);
            let manner = (pool.plan.protocol != Protocol::H1).then(|| server.manner());
            server.state.multiplexed.sweep(worker.index, pool.plan.keep_alive, manner, now);
            most = usize::try_from(worker.connections.most()).unwrap_or(usize::MAX) / idle.workers();
        }
    }
    let excess = kept.saturating_sub(most);
    let mut left = excess;
    for server in table.pools.iter().flat_map(|pool| &pool.servers) {
        if left == 0 {
            break;
        }
        left -= server.state.idle.trim(worker.index, (excess, kept), left);
    }
}
