//! The high availability role: there is one while the plan has virtual routers.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;

use evenkeel_admin::message::EventKind;
use evenkeel_config::plan::{Plan, VirtualRouter};
use evenkeel_ha::message::{Change, ChangedSetting, Event, Level, Transition};
use evenkeel_sys::process::rights;
use tokio::time::Instant;

use super::Supervisor;
use super::keeper::Keeper;
use super::process::{News, Report};

/// How long the role may take to give its addresses away.
pub(super) const LONGEST_RELEASE: Duration = Duration::from_secs(5);
/// The same when somebody is in a hurry.
pub(super) const SHORTEST_RELEASE: Duration = Duration::from_secs(1);
/// Transitions that are remembered for `status`.
const MOST_TRANSITIONS: usize = 64;

/// The role and what it has said.
pub(super) struct Availability {
    pub(super) keeper: Keeper<Change, Event>,
    /// The latest is the last.
    transitions: VecDeque<Transition>,
    /// What it has changed in the kernel's settings: a process that is killed cannot change it back, the next one can.
    changed: Vec<ChangedSetting>,
    /// Addresses that the other node has now, while connections to them go on here.
    silent: Vec<IpAddr>,
}

impl Availability {
    pub(super) fn new(keeper: Keeper<Change, Event>) -> Self {
        Self { keeper, transitions: VecDeque::new(), changed: Vec::new(), silent: Vec::new() }
    }

    /// What the program before remembered.
    pub(super) fn remember(&mut self, transitions: Vec<Transition>, changed: Vec<ChangedSetting>) {
        (self.transitions, self.changed) = (transitions.into(), changed);
    }

    /// What differs in the kernel's settings.
    pub(super) fn changed(&self) -> Vec<ChangedSetting> {
        self.changed.clone()
    }

    /// The latest transitions, the latest last.
    pub(super) fn transitions(&self) -> Vec<Transition> {
        self.transitions.iter().cloned().collect()
    }
}

impl Supervisor {
    /// Starts the role when there is something for it to do.
    pub(super) fn start_ha(&mut self, now: Instant) {
        if !self.wants_ha() {
            self.end_the_past_ha(now);
        } else if self.ha.keeper.start(now) {
            self.link_the_new_ha();
            if self.past.has_ha() {
                self.ask_whether_ha_is_there();
            } else {
                self.tell_ha_the_plan();
            }
        }
    }

    /// A new plan is in force.
    pub(super) fn ha_follows(&mut self, now: Instant) {
        self.track_the_plan(now);
        self.steering.priorities.settle(&self.plan.virtual_routers);
        self.tell_of_the_plan();
        match (self.wants_ha(), self.ha.keeper.is_alive()) {
            (true, true) => self.tell_ha_the_plan(),
            (true, false) if self.ha.keeper.has_ended() => self.start_ha(now),
            // It is started again in a moment, with this plan.
            (true, false) | (false, false) => {}
            (false, true) => self.ha.keeper.tell(Change::Stop, Vec::new()),
        }
        if !self.wants_ha() && !self.ha.keeper.is_alive() {
            self.ha.keeper.retire();
        }
        self.pair_follows(now);
    }

    pub(super) fn tell_ha_the_plan(&self) {
        let change = Change::Apply {
            revision: self.revision,
            routers: self.steering.priorities.over(&self.plan.virtual_routers).iter().map(for_ha).collect(),
            inherited: self.ha.changed.clone(),
            findings: self.tracking.findings(),
        };
        self.ha.keeper.tell(change, Vec::new());
    }

    /// Tells the role to give its addresses away and to end; `false` when there is none.
    pub(super) fn stop_ha(&mut self) -> bool {
        if !self.ha.keeper.is_alive() {
            self.ha.keeper.retire();
            return false;
        }
        self.ha.keeper.tell(Change::Stop, Vec::new());
        true
    }

    pub(super) fn wants_ha(&self) -> bool {
        !self.plan.virtual_routers.is_empty()
    }

    /// It does its work, or there is none.
    pub(super) fn ha_is_ready(&self) -> bool {
        !self.wants_ha() || self.ha.keeper.is_ready()
    }

    pub(super) fn hear_ha(&mut self, report: Report<Event>, now: Instant) {
        if !self.ha.keeper.is_current(report.generation) {
            return;
        }
        match report.news {
            News::Said(event) => self.ha_said(event, now),
            News::Ended { how } => {
                self.queries_lost_the_ha(now);
                // What it has kept in silence ends by itself.
                if !std::mem::take(&mut self.ha.silent).is_empty() {
                    self.tell_who_departs();
                }
                self.steering_lost_the_ha();
                if self.ending.is_some() || !self.wants_ha() {
                    tracing::info!("the ha role has ended: {how}");
                    self.ha.keeper.retire();
                    self.telling.let_go();
                    self.ha_ended_while_stopping(now);
                } else {
                    self.ha.keeper.ended(how, now);
                    self.upgrade_lost_a_role(now);
                    self.check_starts();
                }
            }
        }
    }

    /// Lets the connections to addresses end that the other node has now. Nothing is counted where there is none.
    pub(super) fn tell_who_departs(&self) {
        if self.plan.pair.is_some() || !self.ha.silent.is_empty() {
            let addresses = self.ha.silent.clone();
            self.proxy.tell(evenkeel_proxy::message::Change::Departing { addresses }, Vec::new());
        }
    }

    /// The role has said something, or that of the program before.
    pub(super) fn ha_said(&mut self, event: Event, now: Instant) {
        match event {
            Event::Applied { revision } => {
                if revision == self.revision {
                    self.telling.let_go();
                    self.ha.keeper.ready();
                    self.complete_start();
                }
            }
            Event::Told { level, router, text } => log(level, &router, &text),
            Event::Holds { router, own } => self.telling.holds(&router, own),
            Event::Reasserted(transition) => {
                self.tell_of(EventKind::Reasserted, &transition);
                self.telling.doubt(&transition.router);
            }
            Event::Transition(transition) => {
                self.tell_of(EventKind::VirtualRouterChanged, &transition);
                if self.ha.transitions.len() == MOST_TRANSITIONS {
                    self.ha.transitions.pop_front();
                }
                self.ha.transitions.push_back(transition);
            }
            Event::HandedOver { id, outcome, kept } => self.handed_over(id, outcome, kept),
            Event::TakesPart { id, stood_by } => self.takes_part(id, stood_by),
            Event::Changed(changed) => self.ha.changed = changed,
            Event::Say { session, piece } => self.say_to_the_other(session, piece),
            Event::Silent { addresses } => {
                self.ha.silent = addresses;
                self.tell_who_departs();
            }
            Event::Released => {
                tracing::info!("all virtual addresses were given away");
                self.drain_proxy(now);
            }
            Event::Retired => self.ha_retired(now),
            // Only a role of a program before is asked to leave.
            Event::Left { .. } => {}
            Event::Snapshot { id, .. } if self.ha_is_there(id, now) => {}
            Event::Snapshot { id, snapshot } => self.ha_snapshot_came(id, snapshot, now),
        }
    }
}

/// What the role needs to know: whom programs tell is none of its business, and no reason to change anything there.
fn for_ha(router: &VirtualRouter) -> VirtualRouter {
    VirtualRouter { notify: Vec::new(), provider: None, ..router.clone() }
}

/// What is missing to run the virtual routers of this plan, if something is.
pub(super) fn rights_missing(plan: &Plan) -> Option<String> {
    (!plan.virtual_routers.is_empty() && !rights::has_network())
        .then(|| format!("{}: {}", rights::NETWORK_MISSING, rights::NETWORK_CURE))
}

/// Writes a line of the role, which never waits for a log itself.
fn log(level: Level, router: &str, text: &str) {
    let subject =
        if router.is_empty() { "virtual routers".to_owned() } else { format!("virtual router {router}") };
    match level {
        Level::Info => tracing::info!("{subject}: {text}"),
        Level::Warning => tracing::warn!("{subject}: {text}"),
        Level::Error => tracing::error!("{subject}: {text}"),
    }
}
