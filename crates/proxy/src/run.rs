//! The proxy role: takes the wanted state from the supervisor and makes the workers follow it.

mod listening;
mod retire;

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use evenkeel_config::plan::{MOST_WORKERS, Plan};
use evenkeel_sys::channel::{Channel, Receiver, Sender};
use tokio::sync::mpsc;

use crate::access_log::Logs;
use crate::connections::Connections;
use crate::message::{Certificates, Change, Event, Keys, Legacy};
use crate::pulse::Pulse;
use crate::table::Table;
use crate::tls::acceptor::{self, Acceptor, Acceptors};
use crate::tls::connector::{self, Connectors};
use crate::tls::tickets::Tickets;
use crate::worker::{Command, Handle};
use crate::{apply, check, discover, snapshot, sticky};
use listening::Listening;
pub(crate) use listening::Slot;

/// How long connections may take to end when the supervisor is gone and nobody said how long.
const ORPHAN_DRAIN: Duration = Duration::from_secs(30);
/// Runs the role until it has drained, or the supervisor is gone and it has drained.
///
/// # Errors
/// When the channel or the operating system fails in a way that no message can tell.
pub fn run(channel: Channel) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    runtime.block_on(follow(channel))
}

async fn follow(channel: Channel) -> io::Result<()> {
    let (mut sender, mut receiver) = channel.split();
    let mut role: Option<Role> = None;
    let (events, mut found) = mpsc::channel(discover::MOST_EVENTS);
    let mut pulse = Pulse::default();
    let mut linger = Duration::ZERO;
    // Another process takes over: nothing is said unasked.
    let mut retired = false;
    loop {
        let received = tokio::select! {
            received = receiver.receive::<Change>() => received?,
            () = pulse.turn(), if !retired => {
                let table = role.as_ref().and_then(|role| role.table.as_deref());
                if let Some(event) = pulse.look(table)
                    && sender.send(&event, &[]).await.is_err()
                {
                    // Its end is read as well.
                    pulse.want(false);
                }
                continue;
            }
            Some(event) = found.recv(), if !retired => {
                // That nobody reads any more is read as well.
                let _gone = sender.send(&event, &[]).await;
                continue;
            }
        };
        let Some((change, descriptors)) = received else { break };
        retired &=
            matches!(change, Change::Snapshot { .. } | Change::Departing { .. } | Change::Drain { .. });
        match (change, &mut role) {
            (Change::Start { workers, max_connections }, None) => {
                let workers = usize::from(workers.clamp(1, MOST_WORKERS));
                role = Some(Role::start(workers, max_connections.get().into(), events.clone())?);
            }
            (Change::Sockets { bind }, Some(role)) => role.listening.take(bind, descriptors),
            (Change::LogFile { path }, Some(role)) => {
                if let Some(file) = descriptors.into_iter().next() {
                    role.logs.take_file(path, file);
                }
            }
            (Change::Keys { keys }, Some(role)) => role.keys = Some(keys),
            (Change::Certificates { certificates }, Some(role)) => {
                role.tickets.replace(&certificates.tickets);
                role.certificates = certificates;
            }
            (Change::Apply { revision, plan }, Some(role)) => {
                let event = match role.apply(revision, &plan).await {
                    Ok(()) => Event::Applied { revision },
                    Err(why) => Event::Refused { revision, why },
                };
                sender.send(&event, &[]).await?;
            }
            (Change::Departing { addresses }, Some(role)) => {
                role.connections.departing.follow(addresses);
                tell(&role.workers, || Command::Ring);
            }
            (Change::Inherit { legacy }, Some(role)) => role.legacy = legacy,
            (Change::Rehearse { revision, plan }, Some(role)) => {
                let event = match role.rehearse(revision, &plan) {
                    Ok(()) => Event::Applied { revision },
                    Err(why) => Event::Refused { revision, why },
                };
                sender.send(&event, &[]).await?;
            }
            (Change::Retire, Some(role)) => {
                (retired, role.has_retired) = (true, true);
                sender.send(&role.retire(), &[]).await?;
            }
            (Change::Pulse { linger: wanted }, Some(_)) => {
                linger = wanted.unwrap_or_default();
                pulse.want(wanted.is_some());
            }
            (Change::Snapshot { id }, Some(role)) => sender.send(&role.snapshot(id), &[]).await?,
            (Change::Drain { within }, Some(_)) => {
                let Some(role) = role else { break };
                let cut = role.drain(within, Some((&mut sender, &mut receiver))).await;
                // The supervisor may be gone by now; there is nobody else to tell.
                let _gone = sender.send(&Event::Drained { cut }, &[]).await;
                return Ok(());
            }
            (Change::Start { .. }, Some(_)) | (_, None) => {
                return Err(io::Error::other("the supervisor's messages are out of order"));
            }
        }
    }
    if let Some(role) = role {
        tracing::warn!("the supervisor is gone: draining, then ending");
        tokio::time::sleep(linger).await;
        role.drain(ORPHAN_DRAIN, None).await;
    }
    Ok(())
}

struct Role {
    connections: Arc<Connections>,
    workers: Vec<Handle>,
    health: check::Handle,
    /// Runs once a plan has had a source of servers.
    discovery: Option<discover::Handle>,
    events: mpsc::Sender<Event>,
    table: Option<Arc<Table>>,
    logs: Logs,
    /// What signs the cookies of the next plan.
    keys: Option<Keys>,
    /// What TLS of the next plan needs.
    certificates: Certificates,
    /// What the process before knew of the servers of the next plan.
    legacy: Legacy,
    /// Another process takes over, which goes on with the counts.
    has_retired: bool,
    acceptors: Acceptors,
    connectors: Connectors,
    /// What documents that list servers are asked for with.
    documents: Connectors,
    tickets: Arc<Tickets>,
    listening: Listening,
}

impl Role {
    fn start(workers: usize, max_connections: u64, events: mpsc::Sender<Event>) -> io::Result<Self> {
        let connections = Arc::new(Connections::new(max_connections));
        let began = tokio::time::Instant::now();
        let workers = (0..workers)
            .map(|index| Handle::start(index, connections.clone(), began))
            .collect::<io::Result<_>>()?;
        Ok(Self {
            connections,
            workers,
            health: check::Handle::start(events.clone())?,
            discovery: None,
            events,
            table: None,
            logs: Logs::default(),
            keys: None,
            certificates: Certificates::default(),
            legacy: Legacy::default(),
            has_retired: false,
            acceptors: BTreeMap::new(),
            connectors: BTreeMap::new(),
            documents: BTreeMap::new(),
            tickets: Arc::default(),
            listening: Listening::default(),
        })
    }

    /// Puts a plan in force, or says why not and changes nothing. When it is done, the sockets of binds that the plan
    /// does not name are closed, so that they can be opened again.
    async fn apply(&mut self, revision: u64, plan: &Arc<Plan>) -> Result<(), String> {
        // Everything that may fail comes first. What it makes lies ready, and is dropped when a later step fails.
        self.check(plan)?;
        self.listening.check(plan)?;
        self.logs.check(plan)?;
        let acceptors = self.acceptors(plan)?;
        let connectors = connector::of_plan(plan, &self.certificates, |pool| self.connectors.get(pool))?;
        let documents = connector::of_documents(plan, &self.certificates, |pool| self.documents.get(pool))?;
        self.start_discovery(plan)?;
        let opened_logs = self.logs.open(plan, self.workers.len())?;
        let opened = self.listening.open(plan, &self.workers).await?;
        // From here on nothing fails.
        self.logs.follow(plan, opened_logs);
        let bell = self.health.bell();
        let before = self.table.as_deref();
        let (keys, workers) = (self.keys.as_ref(), self.workers.len());
        let table = Arc::new(apply::next_table(
            before,
            revision,
            plan,
            keys,
            (&acceptors, &connectors),
            workers,
            bell,
        ));
        retire::inherit(&table, &std::mem::take(&mut self.legacy));
        (self.acceptors, self.connectors) = (acceptors, connectors);
        for (slot, listener) in table.listeners.iter().zip(&plan.listeners) {
            slot.log_to(self.logs.of(listener.access_log.as_ref()));
        }
        let closing = self.listening.follow(plan, &table, opened, &self.workers);
        tell(&self.workers, || Command::Table(table.clone()));
        tell(&self.workers, || Command::Ring);
        self.health.watch(&table);
        self.table = Some(table);
        if let Some(discovery) = &self.discovery {
            discovery.watch(plan, &documents);
        }
        self.documents = documents;
        closing.wait().await;
        Ok(())
    }

    /// Starts looking at sources of servers when a plan has any.
    fn start_discovery(&mut self, plan: &Plan) -> Result<(), String> {
        if self.discovery.is_none() && plan.pools.iter().any(|pool| !pool.sources.is_empty()) {
            let handle = discover::Handle::start(self.events.clone()).map_err(|error| {
                format!("servers cannot be looked for: no thread can be started: {error}")
            })?;
            self.discovery = Some(handle);
        }
        Ok(())
    }

    /// What the listeners of the plan shake hands with. What stays as it was is kept.
    fn acceptors(&self, plan: &Plan) -> Result<Acceptors, String> {
        let mut acceptors = BTreeMap::new();
        for listener in &plan.listeners {
            let Some(tls) = &listener.tls else { continue };
            let name = &listener.name;
            let Some(material) = self.certificates.listeners.get(name) else {
                return Err(format!("no certificate was given for listener {name}"));
            };
            let protocols = acceptor::protocols(listener);
            let kept = self.acceptors.get(name).filter(|kept| kept.is_of(tls, protocols, material));
            let acceptor = match kept {
                Some(kept) => kept.clone(),
                None => Acceptor::new(name, tls, protocols, material, &self.tickets)
                    .map(Arc::new)
                    .map_err(|why| format!("listener {name}: {why}"))?,
            };
            acceptors.insert(name.clone(), acceptor);
        }
        Ok(acceptors)
    }

    /// What must hold before anything is changed.
    fn check(&self, plan: &Plan) -> Result<(), String> {
        if let Some(pool) = sticky::keyless(plan, self.keys.as_ref()) {
            return Err(format!("no key was given for the cookie of pool {pool}"));
        }
        for listener in &plan.listeners {
            let named = listener.rules.iter().map(|rule| &rule.pool).chain(&listener.pool);
            for name in named {
                if plan.pool(name).is_none() {
                    return Err(format!(
                        "listener {} names the pool {name}, which is not there",
                        listener.name
                    ));
                }
            }
        }
        Ok(())
    }

    fn snapshot(&self, id: u64) -> Event {
        answer(id, self.table.as_deref(), &self.logs, &self.connections, self.workers.len())
    }

    /// Accepts nothing more, waits until the connections have ended or time is up, and ends the workers. Says how
    /// many connections it had to cut.
    async fn drain(mut self, within: Duration, mut link: Option<(&mut Sender, &mut Receiver)>) -> u64 {
        self.connections.drain();
        let closing = self.listening.leave(&self.workers);
        tell(&self.workers, || Command::Ring);
        // Nothing new comes; what runs keeps its server.
        let Self { connections, workers, health, discovery, table, logs, has_retired, .. } = self;
        health.stop();
        if let Some(discovery) = discovery {
            discovery.stop();
        }
        let deadline = tokio::time::sleep(within);
        tokio::pin!(deadline);
        // Whoever waits in a queue is a connection that nobody has counted yet.
        let ended = async {
            closing.wait().await;
            connections.drained().await;
        };
        tokio::pin!(ended);
        loop {
            let question = async {
                match &mut link {
                    Some((_, receiver)) => receiver.receive::<Change>().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = &mut ended => break,
                () = &mut deadline => break,
                question = question => match (question, &mut link) {
                    (Ok(Some((Change::Snapshot { id }, _))), Some((sender, _))) => {
                        let event = answer(id, table.as_deref(), &logs, &connections, workers.len());
                        let _gone = sender.send(&event, &[]).await;
                    }
                    // Told again, in a hurry.
                    (Ok(Some((Change::Drain { within }, _))), _) => {
                        let sooner = tokio::time::Instant::now() + within;
                        if sooner < deadline.deadline() {
                            deadline.as_mut().reset(sooner);
                        }
                    }
                    (Ok(Some(_)), _) => {}
                    (Ok(None) | Err(_), _) => link = None,
                },
            }
        }
        if let Some((sender, _)) = link.as_mut().filter(|_| has_retired) {
            let last = answer(0, table.as_deref(), &logs, &connections, workers.len());
            let _gone = sender.send(&last, &[]).await;
        }
        let cut = connections.count();
        for worker in workers {
            worker.stop();
        }
        logs.close();
        cut
    }
}

fn answer(id: u64, table: Option<&Table>, logs: &Logs, connections: &Connections, workers: usize) -> Event {
    Event::Snapshot { id, snapshot: snapshot::take(table, logs, connections, workers) }
}

fn tell(workers: &[Handle], command: impl Fn() -> Command) {
    for worker in workers {
        // A worker that has panicked hears nothing; its connections are gone and the others go on.
        let _ended = worker.commands.send(command());
    }
}
