//! Keeps one role alive: starts it, starts it again when it ends, and slows down when it keeps ending.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use evenkeel_admin::message::{RoleState, RoleStatus};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::backoff::Backoff;
use super::process::{Launch, Process, Report};
use crate::role::Role;

/// How long a role may take from its start until it is ready; then it is killed and started again.
const LONGEST_START: Duration = Duration::from_secs(20);

/// A role and its process, while it has one.
#[derive(Debug)]
pub(super) struct Keeper<Order, Word> {
    role: Role,
    launch: Launch,
    reports: mpsc::Sender<Report<Word>>,
    /// Counts processes; tells late words of an ended one from those of the next.
    generation: u64,
    state: State<Order>,
    backoff: Backoff,
    /// Ends in a row before the role was ready.
    failed_starts: u32,
    last_end: Option<String>,
}

#[derive(Debug)]
enum State<Order> {
    /// A process runs. `ready_by` is set until it is ready.
    Alive { process: Process<Order>, since: Instant, ready_by: Option<Instant> },
    /// It ended and is started again then.
    Waiting { until: Instant },
    /// It ended, or has not been started, and nobody starts it.
    Ended,
}

impl<Order, Word> Keeper<Order, Word>
where
    Order: Serialize + Send + Sync + 'static,
    Word: DeserializeOwned + Send + 'static,
{
    pub(super) fn new(role: Role, launch: Launch, reports: mpsc::Sender<Report<Word>>) -> Self {
        Self {
            role,
            launch,
            reports,
            generation: 0,
            state: State::Ended,
            backoff: Backoff::default(),
            failed_starts: 0,
            last_end: None,
        }
    }

    /// Starts a process; `false` when even that fails, and it is tried again later.
    pub(super) fn start(&mut self, now: Instant) -> bool {
        self.generation += 1;
        match Process::start(self.role, &self.launch, self.generation, self.reports.clone()) {
            Ok(process) => {
                self.state = State::Alive { process, since: now, ready_by: Some(now + LONGEST_START) };
                true
            }
            Err(error) => {
                self.ended(format!("it cannot be started: {error}"), now);
                false
            }
        }
    }

    /// The process of `generation` is the one that runs now.
    pub(super) fn is_current(&self, generation: u64) -> bool {
        generation == self.generation && matches!(self.state, State::Alive { .. })
    }

    /// Its process, for the program that takes over; `None` when there is none that does its work.
    pub(super) fn grip(&self) -> Option<(u32, Arc<OwnedFd>)> {
        match &self.state {
            State::Alive { process, ready_by: None, .. } => process.grip(),
            _ => None,
        }
    }

    /// Whom its processes run as, when there is a choice.
    pub(super) fn user(&self) -> Option<&str> {
        self.launch.user.as_deref()
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    /// Tells the process something, if there is one. A process that does not read is killed.
    pub(super) fn tell(&self, order: Order, sockets: Vec<Arc<OwnedFd>>) {
        if let State::Alive { process, .. } = &self.state
            && !process.tell(order, sockets)
        {
            tracing::error!("the {} role does not read what it is told; it is killed", self.role);
            process.kill();
        }
    }

    /// The process does its work from now on. `true` when that is new.
    pub(super) fn ready(&mut self) -> bool {
        let State::Alive { process, ready_by, .. } = &mut self.state else { return false };
        let is_new = ready_by.take().is_some();
        if is_new {
            self.failed_starts = 0;
            let pid = process.pid.unwrap_or(0);
            match &self.last_end {
                None => tracing::info!("the {} role is ready: pid {pid}", self.role),
                Some(end) => tracing::info!("the {} role is back: pid {pid}; before, {end}", self.role),
            }
        }
        is_new
    }

    pub(super) fn is_ready(&self) -> bool {
        matches!(self.state, State::Alive { ready_by: None, .. })
    }

    pub(super) fn is_alive(&self) -> bool {
        matches!(self.state, State::Alive { .. })
    }

    pub(super) fn has_ended(&self) -> bool {
        matches!(self.state, State::Ended)
    }

    /// The process has ended: it will be started again when [`Self::deadline`] comes.
    pub(super) fn ended(&mut self, how: String, now: Instant) {
        let life = match self.state {
            State::Alive { since, ready_by, .. } => {
                self.failed_starts = if ready_by.is_some() { self.failed_starts + 1 } else { 0 };
                now.duration_since(since)
            }
            State::Waiting { .. } | State::Ended => {
                self.failed_starts += 1;
                Duration::ZERO
            }
        };
        let pause = self.backoff.after(life);
        if pause.is_zero() {
            tracing::error!("the {} role has ended: {how}; it is started again", self.role);
        } else {
            tracing::error!(
                "the {} role has ended again: {how}; it is started again in {} ms",
                self.role,
                pause.as_millis()
            );
        }
        self.last_end = Some(how);
        self.state = State::Waiting { until: now + pause };
    }

    /// The process has ended, and that is well.
    pub(super) fn retire(&mut self) {
        self.state = State::Ended;
    }

    /// Ends in a row before it was ready.
    pub(super) fn failed_starts(&self) -> u32 {
        self.failed_starts
    }

    pub(super) fn last_end(&self) -> Option<&str> {
        self.last_end.as_deref()
    }

    pub(super) fn kill(&self) {
        if let State::Alive { process, .. } = &self.state {
            process.kill();
        }
    }

    /// When [`Self::tick`] has something to do.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Alive { ready_by, .. } => ready_by,
            State::Waiting { until } => Some(until),
            State::Ended => None,
        }
    }

    /// Kills a process that does not get ready; `true` when it is time to start one.
    pub(super) fn tick(&mut self, now: Instant) -> bool {
        match &mut self.state {
            State::Alive { process, ready_by, .. } if ready_by.is_some_and(|by| by <= now) => {
                tracing::error!(
                    "the {} role was not ready after {} s; it is killed",
                    self.role,
                    LONGEST_START.as_secs()
                );
                process.kill();
                // Its end is on the way.
                *ready_by = Some(now + LONGEST_START);
                false
            }
            State::Waiting { until } => *until <= now,
            State::Alive { .. } | State::Ended => false,
        }
    }

    /// For `status`.
    pub(super) fn status(&self, now: Instant) -> RoleStatus {
        let (state, pid, uptime) = match &self.state {
            State::Alive { process, since, ready_by } => {
                let state = if ready_by.is_some() { RoleState::Starting } else { RoleState::Running };
                (state, process.pid, Some(now.duration_since(*since).as_secs()))
            }
            State::Waiting { .. } => (RoleState::Waiting, None, None),
            State::Ended => (RoleState::Ended, None, None),
        };
        RoleStatus {
            name: self.role.name().into(),
            state,
            pid,
            uptime,
            restarts: self.generation.saturating_sub(1),
            last_end: self.last_end.clone(),
        }
    }
}
