//! Whether a server takes traffic: one atomic that `pick` reads, and the whole judgement behind a lock.
//!
//! Invariants: the atomic is written only under the lock, so it never lags behind a later judgement; a success takes
//! the lock only when it changes something; whoever changes a deadline rings the bell of the health thread.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use evenkeel_config::plan;
use evenkeel_traffic::agent::{Agent, Answer};
use evenkeel_traffic::duty::Duty;
use evenkeel_traffic::health::{Check, Initial, Transition, phase_of};
use evenkeel_traffic::legacy::Legacy;
use evenkeel_traffic::outlier::{self, Event};
use evenkeel_traffic::usability::{FULL_SHARE, Health, Usability};
use tokio::sync::Notify;

use crate::table::Server;

/// Takes nothing, whatever becomes of the others: the operator or its agent wants it so.
const AWAY: u32 = 0;
const DOWN: u32 = 1;
const EJECTED: u32 = 2;
const PROBATION: u32 = 3;
/// Above it, the share of slow start is added.
const SHARES: u32 = 3;
/// The agent has not spoken of a bound.
const UNSAID: u64 = u64::MAX;
const FULL: u32 = SHARES + FULL_SHARE as u32;

/// See the module.
#[derive(Debug)]
pub(crate) struct Gate {
    access: AtomicU32,
    /// The same for clients that are bound to it, which draining does not keep away.
    own_access: AtomicU32,
    /// Sum of the shares that were asked for in slow start; a turn comes with each whole share.
    turns: AtomicU32,
    /// The part of its weight that its agent wants, in percent.
    percent: AtomicU16,
    /// What its agent wants to run on it at most (0: no bound), or [`UNSAID`].
    most: AtomicU64,
    /// A success would change something.
    doubted: AtomicBool,
    health: Mutex<Health>,
    bell: Arc<Notify>,
}

/// Which servers a pick may choose among: each step only when the one before has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Those that take their share, and those of which one request decides.
    Open,
    /// Those in slow start as well, beyond their share.
    Usable,
    /// Those that live traffic complained about as well: an ejected server is better than none.
    NotDown,
    /// All but those of which the operator or their agent wants that they take none.
    Any,
}

impl Gate {
    pub(crate) fn new(bell: Arc<Notify>) -> Self {
        Self {
            access: AtomicU32::new(FULL),
            own_access: AtomicU32::new(FULL),
            turns: AtomicU32::new(0),
            percent: AtomicU16::new(100),
            most: AtomicU64::new(UNSAID),
            doubted: AtomicBool::new(false),
            health: Mutex::default(),
            bell,
        }
    }

    /// Makes the checks those of the plan. What is known of the server stays. `added`: it comes to a pool that works
    /// already; like one that comes back from maintenance it takes traffic only once its check has passed.
    pub(crate) fn prepare(&self, pool: &plan::Pool, server: &plan::Server, added: bool, now: Instant) {
        let mut health = self.lock();
        let unknown = added || health.duty() == Duty::Maintenance;
        health.order(server.duty, now);
        let checked = server.duty != Duty::Maintenance;
        let phase = || phase_of(pool.name.as_str(), server.name.as_str());
        match (pool.health.as_ref().filter(|_| checked), health.check_mut()) {
            (Some(probe), Some(check)) => check.reconfigure(probe.timing, now),
            (Some(probe), None) => {
                let mut timing = probe.timing;
                if unknown && timing.initial == Initial::Up {
                    timing.initial = Initial::Checking;
                }
                health.set_check(Some(Check::new(timing, phase(), now)));
            }
            (None, _) => health.set_check(None),
        }
        match (pool.agent.as_ref().filter(|_| checked), health.agent_mut()) {
            (Some(agent), Some(asked)) => asked.reconfigure(agent.interval, now),
            (Some(agent), None) => health.set_agent(Some(Agent::new(agent.interval, phase(), now))),
            (None, _) => health.set_agent(None),
        }
        if pool.passive.is_none() {
            health.pardon();
        }
        self.publish(&health, pool.slow_start, now);
    }

    /// Begins with what another process knew when it left. The checks are those of the plan already.
    pub(crate) fn inherit(&self, legacy: &Legacy, left: Instant, slow_start: Duration, now: Instant) {
        let mut health = self.lock();
        health.inherit(legacy, left);
        self.publish(&health, slow_start, now);
    }

    /// What is known, for another process.
    pub(crate) fn bequeath(&self, now: Instant) -> Legacy {
        self.lock().bequeath(now)
    }

    /// Says whether the server is among those that are wanted.
    pub(crate) fn fits(&self, wanted: Wanted) -> bool {
        self.fits_with(self.access.load(Ordering::Relaxed), wanted)
    }

    /// The same for a client that is bound to the server.
    pub(crate) fn fits_its_own(&self, wanted: Wanted) -> bool {
        self.fits_with(self.own_access.load(Ordering::Relaxed), wanted)
    }

    fn fits_with(&self, access: u32, wanted: Wanted) -> bool {
        match wanted {
            Wanted::Open => access == FULL || access == PROBATION || self.has_turn(access),
            Wanted::Usable => access > SHARES,
            Wanted::NotDown => access > DOWN,
            Wanted::Any => access != AWAY,
        }
    }

    /// Says whether the server is of this kind, or better, whatever its share.
    pub(crate) fn is_of(&self, wanted: Wanted) -> bool {
        let access = self.access.load(Ordering::Relaxed);
        match wanted {
            Wanted::Open | Wanted::Usable => access > EJECTED,
            Wanted::NotDown => access > DOWN,
            Wanted::Any => access != AWAY,
        }
    }

    /// In slow start every so many picks pass, as many as the share says.
    fn has_turn(&self, access: u32) -> bool {
        if access <= SHARES {
            return false;
        }
        let share = access - SHARES;
        let whole = u32::from(FULL_SHARE);
        let before = self.turns.fetch_add(share, Ordering::Relaxed);
        before % whole + share >= whole
    }

    /// Whoever picked the server sends to it now; `false` when it is on trial with another request.
    pub(crate) fn enter(&self, slow_start: Duration, now: impl FnOnce() -> Instant) -> bool {
        if self.own_access.load(Ordering::Relaxed) != PROBATION {
            return true;
        }
        let mut health = self.lock();
        let now = now();
        let entered = health.try_one(now);
        self.publish(&health, slow_start, now);
        self.bell.notify_one();
        entered
    }

    pub(crate) fn is_down(&self) -> bool {
        self.access.load(Ordering::Relaxed) == DOWN
    }

    /// The operator or its agent wants no traffic for it.
    pub(crate) fn is_away(&self) -> bool {
        self.access.load(Ordering::Relaxed) == AWAY
    }

    pub(crate) fn is_ejected(&self) -> bool {
        matches!(self.access.load(Ordering::Relaxed), EJECTED | PROBATION)
    }

    pub(crate) fn usability(&self, slow_start: Duration, now: Instant) -> Usability {
        self.lock().usability(slow_start, now)
    }

    /// When the next active check begins; `None` when there is none.
    pub(crate) fn next_probe(&self) -> Option<Instant> {
        self.lock().check().map(Check::next_probe)
    }

    /// When the agent is asked next; `None` when there is none.
    pub(crate) fn next_question(&self) -> Option<Instant> {
        self.lock().agent().map(Agent::next_question)
    }

    /// Why the server is not as the file says, in its agent's words.
    pub(crate) fn agent_why(&self) -> Option<String> {
        self.lock().agent()?.why()
    }

    /// The part of its weight that its agent wants, in percent.
    pub(crate) fn percent(&self) -> u16 {
        self.percent.load(Ordering::Relaxed)
    }

    /// What may run on the server at once: what its agent says, else what the file says.
    pub(crate) fn most(&self, plan: &plan::Server) -> Option<NonZeroU32> {
        match self.most.load(Ordering::Relaxed) {
            UNSAID => plan.max_connections,
            most => u32::try_from(most).ok().and_then(NonZeroU32::new),
        }
    }

    pub(crate) fn agent_answered(
        &self,
        answer: Result<Answer, String>,
        started: Instant,
        slow_start: Duration,
        now: Instant,
    ) -> Option<String> {
        let mut health = self.lock();
        let sentence = health.agent_answered(answer, started, now);
        self.publish(&health, slow_start, now);
        if sentence.is_some() {
            self.bell.notify_one();
        }
        sentence
    }

    pub(crate) fn probed(
        &self,
        result: Result<(), String>,
        started: Instant,
        slow_start: Duration,
        now: Instant,
    ) -> Option<Transition> {
        let mut health = self.lock();
        let transition = health.probed(result, started, now);
        self.publish(&health, slow_start, now);
        if transition.is_some() {
            self.bell.notify_one();
        }
        transition
    }

    pub(crate) fn failed(
        &self,
        why: &str,
        settings: &outlier::Settings,
        may_eject: impl FnOnce() -> bool,
        slow_start: Duration,
        now: Instant,
    ) -> Option<Event> {
        let mut health = self.lock();
        let event = health.failed(why, settings, may_eject, now);
        self.publish(&health, slow_start, now);
        if event.is_some() {
            self.bell.notify_one();
        }
        event
    }

    /// Says whether a success would change anything.
    pub(crate) fn is_doubted(&self) -> bool {
        self.doubted.load(Ordering::Relaxed)
    }

    pub(crate) fn succeeded(&self, slow_start: Duration, now: Instant) -> Option<Event> {
        let mut health = self.lock();
        let event = health.succeeded(now);
        self.publish(&health, slow_start, now);
        if event.is_some() {
            self.bell.notify_one();
        }
        event
    }

    /// Does what is due; says what happened, and when to come again.
    pub(crate) fn tick(&self, slow_start: Duration, now: Instant) -> (Option<Event>, Option<Instant>) {
        let mut health = self.lock();
        let event = health.tick(slow_start, now);
        self.publish(&health, slow_start, now);
        (event, health.next_deadline(slow_start, now))
    }

    fn publish(&self, health: &Health, slow_start: Duration, now: Instant) {
        self.access.store(access_of(&health.usability(slow_start, now)), Ordering::Relaxed);
        self.own_access.store(access_of(&health.usability_for_its_own(slow_start, now)), Ordering::Relaxed);
        self.percent.store(health.agent().map_or(100, Agent::percent), Ordering::Relaxed);
        let most = health.agent().and_then(Agent::most).map_or(UNSAID, u64::from);
        self.most.store(most, Ordering::Relaxed);
        self.doubted.store(health.outlier().wants_success(), Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, Health> {
        // A judgement is whole after every step, so one that a panic left behind can be used.
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the atomics say of this.
fn access_of(usability: &Usability) -> u32 {
    match usability {
        Usability::Drain { .. } | Usability::Maintenance { .. } => AWAY,
        Usability::Down { .. } | Usability::Checking { .. } => DOWN,
        Usability::Ejected { .. } | Usability::Probation { on_trial: true, .. } => EJECTED,
        Usability::Probation { on_trial: false, .. } => PROBATION,
        Usability::SlowStart { share, .. } => SHARES + u32::from(*share),
        Usability::Up { .. } => FULL,
    }
}

/// The server for the next request or connection; `pick` chooses among those that fit what is wanted and were not
/// `tried`. While a server is usable, one that is not gets nothing, however full the usable ones are.
pub(crate) fn choose(
    plan: &plan::Pool,
    servers: &[Arc<Server>],
    tried: &[usize],
    mut pick: impl FnMut(Wanted) -> Option<usize>,
) -> Option<usize> {
    if let Some(index) = pick(Wanted::Open)
        && servers.get(index)?.state.gate.enter(plan.slow_start, Instant::now)
    {
        return Some(index);
    }
    if let Some(index) = pick(Wanted::Usable) {
        return Some(index);
    }
    let left = |(index, server): (usize, &Arc<Server>)| {
        server.has_weight() && server.state.gate.is_of(Wanted::Usable) && !tried.contains(&index)
    };
    if servers.iter().enumerate().any(left) {
        return None;
    }
    pick(Wanted::NotDown).or_else(|| {
        let try_all = plan.when_all_down == plan::WhenAllDown::TryAll && all_down(servers);
        if try_all { pick(Wanted::Any) } else { None }
    })
}

/// Says whether every server that has a weight and whose agent does not keep it away is down. A pool without such a
/// server is not down, it is empty.
pub(crate) fn all_down(servers: &[Arc<Server>]) -> bool {
    let could = |server: &&Arc<Server>| server.has_weight() && !server.state.gate.is_away();
    let mut weighty = servers.iter().filter(could).peekable();
    weighty.peek().is_some() && weighty.all(|server| server.state.gate.is_down())
}
