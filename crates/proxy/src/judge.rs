//! What checks and live traffic say of the servers of a pool, and the line that is logged when it changes a verdict.

use std::time::{Duration, Instant};

use evenkeel_traffic::health::Verdict;
use evenkeel_traffic::outlier::Event;

use crate::gate;
use crate::table::{Pool, Server};

impl Pool {
    /// The active checks of all servers fail.
    pub(crate) fn all_down(&self) -> bool {
        gate::all_down(&self.servers)
    }

    /// Something sent to `server` has failed, or could not be sent.
    pub(crate) fn failed(&self, server: &Server, why: String) {
        if let Some(settings) = &self.plan.passive {
            let gate = &server.state.gate;
            let may_eject = || {
                let ejected = self.servers.iter().filter(|server| server.state.gate.is_ejected()).count();
                let down = self.servers.iter().filter(|server| server.state.gate.is_down()).count();
                let idle = self.servers.iter().filter(|server| server.plan.weight.value() == 0).count();
                let usable = self.servers.len().saturating_sub(ejected + down + idle);
                settings.may_eject(self.servers.len(), ejected, usable)
            };
            let event = gate.failed(&why, settings, may_eject, self.plan.slow_start, Instant::now());
            self.tell(server, event);
        }
        server.state.failed(why);
    }

    /// `server` took a connection (TCP) or answered with this status (HTTP).
    pub(crate) fn succeeded(&self, server: &Server, status: Option<u16>) {
        if let (Some(settings), Some(status)) = (&self.plan.passive, status)
            && settings.is_failure(status)
        {
            self.failed(server, format!("it answered {status}"));
        } else if server.state.gate.is_doubted() {
            self.tell(server, server.state.gate.succeeded(self.plan.slow_start, Instant::now()));
        }
    }

    /// A check of `server` that began at `started` has ended.
    pub(crate) fn probed(&self, server: &Server, result: Result<(), String>, started: Instant) {
        let transition = server.state.gate.probed(result, started, self.plan.slow_start, Instant::now());
        let Some(transition) = transition else { return };
        self.changed();
        let (pool, name, why) = (&self.plan.name, &server.plan.name, &transition.why);
        match transition.to {
            Verdict::Up => tracing::info!("pool {pool}: server {name} is up: {why}"),
            Verdict::Down | Verdict::Checking => tracing::warn!("pool {pool}: server {name} is down: {why}"),
        }
    }

    /// Does what is due; says when something will be due again.
    pub(crate) fn tick(&self, now: Instant) -> Option<Instant> {
        let mut next = None;
        for server in &self.servers {
            let (event, deadline) = server.state.gate.tick(self.plan.slow_start, now);
            self.tell(server, event);
            next = next.into_iter().chain(deadline).min();
        }
        next
    }

    /// Other servers may take traffic than before.
    fn changed(&self) {
        self.picker.forget();
        self.state.line.changed(&self.load);
    }

    fn tell(&self, server: &Server, event: Option<Event>) {
        if event.is_some() {
            self.changed();
        }
        let (pool, name) = (&self.plan.name, &server.plan.name);
        match event {
            None => {}
            Some(Event::Ejected { lasts, times, why }) => {
                let lasts = Duration::from_millis(u64::try_from(lasts.as_millis()).unwrap_or(u64::MAX));
                tracing::warn!("pool {pool}: server {name} is ejected for {lasts:?} (time {times}): {why}");
            }
            Some(Event::Probation) => {
                tracing::info!("pool {pool}: server {name} is on probation: the next request decides");
            }
            Some(Event::Returned) => {
                tracing::info!("pool {pool}: server {name} is up: the trial request succeeded");
            }
        }
    }
}
