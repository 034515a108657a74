//! The beginning of this program where another one has ended in its favour.

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use evenkeel_sys::process::successor;
use tokio::time::Instant;

use super::super::Supervisor;
use super::super::capacity::Capacity;
use super::super::certificates::Watch;
use super::super::events::History;
use super::super::past::Past;
use super::super::priorities::Priorities;
use super::super::sockets::Grip;
use super::super::store::{Found, Store};
use super::handover::{self, Grips, Handover, OldRole};

/// What the program before has left.
#[derive(Debug)]
pub(in super::super) struct Inherited {
    pub(in super::super) handover: Handover,
    pub(in super::super) listening: Vec<Grip>,
    pub(in super::super) doors: Vec<Grip>,
    pub(in super::super) state_dir: Option<(PathBuf, Arc<OwnedFd>)>,
    pub(in super::super) proxies: Vec<OldRole>,
    pub(in super::super) ha: Option<OldRole>,
}

impl Inherited {
    /// The size of the proxy role is fixed by the listening sockets.
    pub(in super::super) fn capacity(&self) -> Capacity {
        let Handover { workers, max_connections, max_connections_from, .. } = &self.handover;
        Capacity {
            workers: *workers,
            workers_from: "as before the upgrade".into(),
            max_connections: *max_connections,
            max_connections_from: max_connections_from.clone(),
            warning: None,
        }
    }

    /// What differs from the file: it was not written down only to be read again, and some of it may not be written down.
    pub(in super::super) fn found(&mut self) -> Found {
        Found {
            store: Store::take(self.state_dir.take()),
            overlay: std::mem::take(&mut self.handover.overlay),
            servers: std::mem::take(&mut self.handover.findings),
            alarms: Vec::new(),
        }
    }
}

impl Supervisor {
    /// Remembers what the program before has remembered, and watches what is left of it.
    pub(in super::super) fn go_on_with(&mut self, inherited: Inherited, now: Instant) {
        let Inherited { mut handover, proxies, ha, .. } = inherited;
        self.past = Past::take(&mut handover, proxies, ha, now);
        let Handover { version, generation, since, uptime, by, priorities, revision, .. } = handover;
        self.upgrades.generation = generation;
        self.since = UNIX_EPOCH + Duration::from_secs(since);
        self.earlier = uptime;
        (self.revision, self.last_revision) = (revision + 1, revision + 1);
        self.steering.priorities = Priorities::take(&priorities, &self.plan.virtual_routers);
        self.watch = Watch::take(now, handover.ticket_key_in);
        self.history = History::take(handover.last_event, handover.events);
        self.alarms = handover.alarms;
        self.last_reload = handover.last_reload;
        self.ha.remember(handover.transitions, handover.changed);
        for (pool, server, left) in handover.leaving {
            let leaves = self.overlay.entry(&pool, &server).is_some_and(|entry| entry.leaving);
            self.leaving.follow((&pool, &server), leaves, Some(left), now);
        }
        self.follow_gone(now);
        self.tell_of_the_plan();
        self.telling.resume(handover.notices);
        tracing::info!("this program takes over from Evenkeel {version}, as generation {generation}");
        self.upgrades.completes = Some((by, version));
    }
}

/// What the program before has left, if there was one.
///
/// # Errors
/// Why this program cannot go on with it.
pub(in super::super) fn inherited() -> Result<Option<Inherited>, String> {
    let Some(received) = handover::received() else { return Ok(None) };
    let mut handover = received?;
    // Nobody waits for them any more.
    successor::bury_the_dead();
    let Grips { listening, doors, state_dir, proxies, ha } = handover
        .take()
        .map_err(|error| format!("what the program before has left cannot be taken over: {error}"))?;
    Ok(Some(Inherited { handover, listening, doors, state_dir, proxies, ha }))
}
