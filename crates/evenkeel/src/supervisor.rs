//! The supervisor: reads the configuration, holds the listening sockets, starts and watches the roles, decides what a
//! command may do.
//!
//! It parses no network bytes: commands come as typed messages from the admin role. Everything happens in one loop on
//! one thread, one event after the other, so there is nothing to lock.
//!
//! Invariants:
//! 1. Nothing is started, opened or changed while the configuration has an error.
//! 2. The sockets of a bind in the plan stay open from the start to the stop, whatever happens to the roles.
//! 3. At most one plan is on its way to the proxy role. Until it is in force the one before holds: a role that is
//!    started again in between gets that one.
//! 4. Every command is answered, and every wait has a deadline.

mod availability;
mod backoff;
mod capacity;
mod certificates;
mod conditions;
mod consequences;
mod discovery;
mod events;
mod keeper;
mod keys;
mod leaving;
mod live;
mod logs;
mod pair;
mod past;
mod priorities;
mod process;
mod programs;
mod reload;
mod save;
mod sockets;
mod start;
mod status;
mod steering;
mod stop;
mod store;
mod telling;
mod tracking;
mod trial;
mod upgrade;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use evenkeel_admin::message::{Answer, Blame, Command, EventKind, LastReload, Order, Refusal, Token, Word};
use evenkeel_config::overlay::Overlay;
use evenkeel_config::plan::Plan;
use evenkeel_ha::message as ha;
use evenkeel_pair::message as link;
use evenkeel_proxy::message::{Change, Event, Keys};
use evenkeel_sys::process::notify::{Notifier, State as Notice};
use tokio::time::Instant;

use crate::exit::Exit;
use availability::Availability;
use capacity::Capacity;
use consequences::Counting;
use discovery::Discovery;
use events::{Happened, History};
use keeper::Keeper;
use leaving::Leaving;
use live::{Edits, Wish};
use logs::LogFiles;
use past::Past;
use process::{News, Report};
use reload::Reloads;
use sockets::{Doors, Sockets};
pub(crate) use start::{run, run_for_ever};
use status::Queries;
use steering::Steering;
use stop::Ending;
use store::Store;
use telling::Telling;
use tracking::Tracking;
use trial::Trial;
use upgrade::Upgrades;
pub(crate) use upgrade::rehearse;

/// Ends of a role in a row before it was ready at all, after which the start as a whole has failed.
const MOST_FAILED_STARTS: u32 = 5;

/// Who gave a command: a request of one process of the admin role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Asker {
    generation: u64,
    id: u64,
}

/// The state of the supervisor.
struct Supervisor {
    config: PathBuf,
    started: Instant,
    since: SystemTime,
    /// How long programs before this one have run.
    earlier: Duration,
    capacity: Capacity,
    notifier: Notifier,
    watchdog_at: Option<Instant>,
    /// What the file says, without runtime changes and without servers that were found.
    file: Arc<Plan>,
    /// What differs from it.
    overlay: Overlay,
    store: Store,
    edits: Edits,
    leaving: Leaving,
    discovery: Discovery,
    history: History,
    /// What an operator should look at.
    alarms: Vec<String>,
    /// What lets somebody steer over TCP.
    token: Option<Token>,
    /// The plan in force, or that will be once the proxy role is ready.
    plan: Arc<Plan>,
    /// Its revision.
    revision: u64,
    /// The highest revision ever sent.
    last_revision: u64,
    sockets: Sockets,
    log_files: LogFiles,
    /// What signs the cookies of the plan in force.
    keys: Keys,
    /// What its TLS needs.
    read: certificates::Read,
    watch: certificates::Watch,
    doors: Option<Doors>,
    proxy: Keeper<Change, Event>,
    admin: Keeper<Order, Word>,
    ha: Availability,
    pair: pair::Link,
    /// All roles have been ready once.
    complete: bool,
    reloads: Reloads,
    last_reload: Option<LastReload>,
    /// What is in force may have to go back.
    trial: Option<Trial>,
    counting: Counting,
    queries: Queries,
    ending: Option<Ending>,
    tracking: Tracking,
    telling: Telling,
    steering: Steering,
    upgrades: Upgrades,
    past: Past,
}

/// What happens.
enum Happening {
    Proxy(Report<Event>),
    Admin(Report<Word>),
    Ha(Report<ha::Event>),
    Pair(Report<link::Word>),
    Observed(ha::Finding),
    Told(telling::News),
    Rehearsed(Result<String, upgrade::Reason>),
    Past(past::News),
    Terminate(&'static str),
    Hangup,
    Upgrade,
    Deadline,
}

impl Supervisor {
    /// Lives until everything has ended.
    async fn live(mut self, mut reports: start::Reports, mut signals: start::Signals) -> Exit {
        let now = Instant::now();
        // First: the address may be here already, waiting for somebody who speaks for it.
        self.track_the_plan(now);
        self.tell_of_the_plan();
        self.start_ha(now);
        self.start_pair(now);
        self.start_proxy(now);
        self.start_admin(now);
        loop {
            if let Some(exit) = self.finished() {
                return exit;
            }
            let deadline = self.next_deadline();
            let happening = tokio::select! {
                // The senders live in the keepers, so there is always a next report.
                Some(report) = reports.proxy.recv() => Happening::Proxy(report),
                Some(report) = reports.admin.recv() => Happening::Admin(report),
                Some(report) = reports.ha.recv() => Happening::Ha(report),
                Some(report) = reports.pair.recv() => Happening::Pair(report),
                Some(finding) = reports.observations.recv() => Happening::Observed(finding),
                Some(news) = reports.tellings.recv() => Happening::Told(news),
                Some(verdict) = self.upgrades.verdict() => Happening::Rehearsed(verdict),
                Some(news) = self.past.news() => Happening::Past(news),
                Some(()) = signals.terminate.recv() => Happening::Terminate("SIGTERM"),
                Some(()) = signals.interrupt.recv() => Happening::Terminate("SIGINT"),
                Some(()) = signals.hangup.recv() => Happening::Hangup,
                Some(()) = signals.user2.recv() => Happening::Upgrade,
                () = sleep_until(deadline) => Happening::Deadline,
            };
            let now = Instant::now();
            match happening {
                Happening::Proxy(report) => self.hear_proxy(report, now),
                Happening::Admin(report) => self.hear_admin(report, now),
                Happening::Ha(report) => self.hear_ha(report, now),
                Happening::Pair(report) => self.hear_pair(report, now),
                Happening::Observed(finding) => self.observed(finding, now),
                Happening::Told(news) => self.told(news),
                Happening::Rehearsed(verdict) => self.rehearsed(verdict, now),
                Happening::Past(news) => self.hear_the_past(news, now),
                Happening::Terminate(signal) => self.stop_on_signal(signal, now),
                Happening::Hangup => self.reload_on_signal(now),
                Happening::Upgrade => self.upgrade_on_signal(now),
                Happening::Deadline => {}
            }
            self.tick(now);
        }
    }

    fn hear_proxy(&mut self, report: Report<Event>, now: Instant) {
        if !self.proxy.is_current(report.generation) {
            return;
        }
        match report.news {
            News::Said(Event::Applied { revision }) => {
                self.applied(revision, now);
                self.judge(now);
            }
            News::Said(Event::Pulse { pools }) => self.pulse_came(pools, now),
            News::Said(Event::Refused { revision, why }) => self.refused(revision, &why, now),
            News::Said(Event::Found { pool, source, news }) => self.found(&pool, &source, news, now),
            News::Said(Event::Conditions { servers, pools }) => self.conditions_changed(servers, pools),
            News::Said(Event::Drained { cut }) => Self::drained(cut),
            News::Said(Event::Retired { legacy, snapshot }) => self.proxy_retired(legacy, snapshot, now),
            News::Said(Event::Snapshot { id, snapshot }) => self.snapshot_came(id, snapshot, now),
            News::Ended { how } => self.proxy_ended(how, now),
        }
    }

    fn hear_admin(&mut self, report: Report<Word>, now: Instant) {
        if !self.admin.is_current(report.generation) {
            return;
        }
        match report.news {
            News::Said(Word::Serving) => {
                self.admin.ready();
                self.complete_start();
            }
            News::Said(Word::Request { id, by, command }) => {
                let asker = Asker { generation: report.generation, id };
                self.obey(asker, by, command, now);
            }
            News::Ended { how } => {
                if self.ending.is_some() || self.upgrades.is_handing_over() {
                    self.admin.retire();
                } else {
                    let what = format!("the admin role has ended: {how}");
                    self.admin.ended(how, now);
                    self.happened(Happened::new(EventKind::RoleEnded, what));
                    self.check_starts();
                }
            }
        }
    }

    /// Does what somebody wants.
    fn obey(&mut self, asker: Asker, by: String, command: Command, now: Instant) {
        if self.upgrades.is_handing_over() {
            return self
                .answer(asker, refuse(Blame::Busy, "another program is taking over: ask again in a moment"));
        }
        match command {
            Command::Status => self.ask_snapshot(asker, now),
            Command::Reload => self.reload_on_command(asker, by, None, now),
            Command::TryReload { within } => self.reload_on_command(asker, by, Some(within), now),
            Command::ConfirmReload => {
                let answer = self.confirm_reload(&by);
                self.answer(asker, answer);
            }
            Command::RollBack => self.roll_back_on_command(asker, by, now),
            Command::Diff => self.diff_on_command(asker, now),
            Command::Failover { router } => self.fail_over(asker, &by, router, now),
            Command::ReleaseRouter { router } => self.release_router(asker, &by, router, now),
            Command::PrioritizeRouter { router, priority } => {
                let answer = self.prioritize_router(&by, &router, priority);
                self.answer(asker, answer);
            }
            Command::Stop => self.stop_on_command(asker, &by, now),
            Command::Upgrade { within } => self.upgrade_on_command(asker, by, within, now),
            Command::Server { pool, server } => self.answer(asker, self.settings(&pool, &server)),
            Command::EditServer { pool, server, edit, conditions, within } => {
                self.edit_on_command(Wish { asker, by, pool, server, edit, conditions, within }, now);
            }
            Command::SaveConfig => {
                let answer = self.save_config(&by);
                self.answer(asker, answer);
            }
        }
    }

    /// Starts the proxy role and tells it all it needs: the same for the first and for the hundredth.
    fn start_proxy(&mut self, now: Instant) {
        if !self.proxy.start(now) {
            return;
        }
        let Capacity { workers, max_connections, .. } = self.capacity;
        self.proxy.tell(Change::Start { workers, max_connections }, Vec::new());
        self.tell_who_departs();
        self.proxy_started();
        self.want_pulse();
        for bind in self.plan.listeners.iter().flat_map(|listener| &listener.binds) {
            self.proxy.tell(Change::Sockets { bind: bind.clone() }, self.sockets.of(bind));
        }
        self.send_log_files();
        self.send_keys(&self.keys);
        self.send_certificates(&self.read);
        if let Some(legacy) = self.past.legacy() {
            self.proxy.tell(Change::Inherit { legacy }, Vec::new());
        }
        let (revision, plan) = (self.revision, for_proxy(&self.plan));
        self.proxy.tell(Change::Apply { revision, plan }, Vec::new());
    }

    fn start_admin(&mut self, now: Instant) {
        if !self.admin.start(now) {
            return;
        }
        let Some(doors) = &self.doors else { return };
        let (doors, sockets) = doors.iter().map(|(bind, socket)| (sockets::door(bind), socket)).unzip();
        let (token, history) = (self.token.clone(), self.history.all());
        self.admin.tell(Order::Serve { doors, token, history }, sockets);
    }

    fn proxy_ended(&mut self, how: String, now: Instant) {
        self.queries_lost_the_proxy(now);
        self.tick_counting(now, true);
        if self.ending.is_some() {
            self.proxy_ended_while_stopping(&how, now);
            return;
        }
        self.happened(Happened::new(EventKind::RoleEnded, format!("the proxy role has ended: {how}")));
        self.proxy.ended(how, now);
        self.upgrade_lost_a_role(now);
        self.judge(now);
        self.reload_lost_the_proxy(now);
        self.check_starts();
    }

    /// The start as a whole is complete once every role has been ready.
    fn complete_start(&mut self) {
        let ready = self.proxy.is_ready() && self.admin.is_ready() && self.ha_is_ready();
        if self.complete || self.ending.is_some() || !ready {
            return;
        }
        self.complete = true;
        let count = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
        let mut what = count(self.plan.listeners.len(), "listener");
        if !self.plan.virtual_routers.is_empty() {
            what = format!("{what}, {}", count(self.plan.virtual_routers.len(), "virtual router"));
        }
        self.notify(&[Notice::Ready, Notice::Status(what.clone())]);
        tracing::info!("ready: {what}");
        self.complete_upgrade();
    }

    /// Gives the start up when a role does not get on its feet.
    fn check_starts(&mut self) {
        if self.complete {
            return;
        }
        let starts = [
            ("proxy", self.proxy.failed_starts(), self.proxy.last_end()),
            ("admin", self.admin.failed_starts(), self.admin.last_end()),
            ("ha", self.ha.keeper.failed_starts(), self.ha.keeper.last_end()),
        ];
        let Some((name, failed, how)) =
            starts.into_iter().find(|(_, failed, _)| *failed >= MOST_FAILED_STARTS)
        else {
            return;
        };
        let how = how.unwrap_or("unknown");
        tracing::error!(
            "the {name} role failed {failed} times at the start, the last time: {how}; Evenkeel ends"
        );
        self.abandon(Exit::RoleFails);
    }

    /// Does what is due.
    fn tick(&mut self, now: Instant) {
        if self.proxy.tick(now) {
            self.start_proxy(now);
        }
        if self.admin.tick(now) {
            self.start_admin(now);
        }
        if self.ha.keeper.tick(now) {
            self.start_ha(now);
        }
        if self.pair.keeper.tick(now) {
            self.start_pair(now);
        }
        if self.watchdog_at.is_some_and(|at| at <= now) {
            self.notify(&[Notice::Watchdog]);
            self.watchdog_at = self.notifier.watchdog_interval().map(|interval| now + interval);
        }
        self.tick_upgrade(now);
        self.tick_the_past(now);
        if self.upgrades.is_handing_over() {
            // The next program does the rest.
            return;
        }
        self.tick_tracking(now);
        self.tick_steering(now);
        self.tick_certificates(now);
        self.tick_reload(now);
        self.tick_trial(now);
        self.tick_queries(now);
        self.tick_counting(now, false);
        self.tick_leaving(now);
        self.tick_discovery(now);
        self.tick_ending(now);
    }

    fn next_deadline(&self) -> Option<Instant> {
        let of_upgrade = self.upgrades.deadline().into_iter().chain(self.past.deadline()).min();
        if self.upgrades.is_handing_over() {
            return of_upgrade.into_iter().chain(self.watchdog_at).min();
        }
        [
            of_upgrade,
            self.proxy.deadline(),
            self.admin.deadline(),
            self.ha.keeper.deadline(),
            self.pair.keeper.deadline(),
            self.watchdog_at,
            self.watch.deadline(&self.plan).filter(|_| self.ending.is_none()),
            self.reloads.deadline(),
            self.trial.as_ref().and_then(Trial::deadline).filter(|_| self.may_send_a_plan()),
            self.queries.deadline(),
            self.counting.deadline(),
            self.tracking.deadline(),
            self.steering.deadline(),
            self.leaving.deadline(),
            self.discovery.deadline(),
            self.ending.as_ref().and_then(Ending::deadline),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Answers a command, unless the process that asked has ended.
    fn answer(&self, asker: Asker, answer: Answer) {
        if self.admin.generation() == asker.generation {
            self.admin.tell(Order::Answer { id: asker.id, answer }, Vec::new());
        }
    }

    fn notify(&self, notices: &[Notice]) {
        if let Err(error) = self.notifier.send(notices) {
            tracing::warn!("the service manager cannot be told how things are (NOTIFY_SOCKET): {error}");
        }
    }
}

/// The part of a plan that the proxy role needs: secrets of virtual routers and the other node are none of its business.
fn for_proxy(plan: &Arc<Plan>) -> Arc<Plan> {
    if plan.virtual_routers.is_empty() && plan.pair.is_none() {
        return Arc::clone(plan);
    }
    Arc::new(Plan { virtual_routers: Vec::new(), pair: None, ..Plan::clone(plan) })
}

/// An answer that says no.
fn refuse(blame: Blame, detail: impl Into<String>) -> Answer {
    Answer::Refused(Refusal { blame, detail: detail.into(), text: None, report: None })
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
