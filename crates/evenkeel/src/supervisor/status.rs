//! What `status` shows: the supervisor's own facts and a snapshot of the proxy role, if that answers in time.

use std::time::{Duration, SystemTime};

use evenkeel_admin::message::{Answer, Phase, Status};
use evenkeel_proxy::message::{Change, Snapshot};
use tokio::time::Instant;

use super::{Asker, Supervisor};

/// How long the proxy role may take for a snapshot; then the status comes without.
const LONGEST_SNAPSHOT: Duration = Duration::from_secs(2);
/// Questions that may wait for a snapshot; further ones are answered without.
const MOST_WAITING: usize = 64;

/// Questions that wait for a snapshot.
#[derive(Debug, Default)]
pub(super) struct Queries {
    last_id: u64,
    /// In the order of asking, and so of their deadlines.
    waiting: Vec<Query>,
}

#[derive(Debug)]
struct Query {
    id: u64,
    asker: Asker,
    deadline: Instant,
}

impl Queries {
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.waiting.first().map(|query| query.deadline)
    }
}

impl Supervisor {
    pub(super) fn ask_snapshot(&mut self, asker: Asker, now: Instant) {
        let missing = if !self.proxy.is_alive() {
            self.why_no_proxy()
        } else if !self.proxy.is_ready() {
            "it has just been started".into()
        } else if self.queries.waiting.len() >= MOST_WAITING {
            format!("{MOST_WAITING} questions wait for it already")
        } else {
            self.queries.last_id += 1;
            let id = self.queries.last_id;
            self.queries.waiting.push(Query { id, asker, deadline: now + LONGEST_SNAPSHOT });
            self.proxy.tell(Change::Snapshot { id }, Vec::new());
            return;
        };
        self.answer(asker, self.status(Err(missing), now));
    }

    pub(super) fn snapshot_came(&mut self, id: u64, snapshot: Snapshot, now: Instant) {
        if let Some(place) = self.queries.waiting.iter().position(|query| query.id == id) {
            let Query { asker, .. } = self.queries.waiting.remove(place);
            self.answer(asker, self.status(Ok(snapshot), now));
        }
    }

    pub(super) fn tick_queries(&mut self, now: Instant) {
        while self.queries.deadline().is_some_and(|deadline| deadline <= now) {
            let Query { asker, .. } = self.queries.waiting.remove(0);
            let missing = format!("it gave no answer within {} s", LONGEST_SNAPSHOT.as_secs());
            self.answer(asker, self.status(Err(missing), now));
        }
    }

    /// Nobody is left to answer.
    pub(super) fn queries_lost_the_proxy(&mut self, now: Instant) {
        for Query { asker, .. } in std::mem::take(&mut self.queries.waiting) {
            self.answer(asker, self.status(Err("it has just ended".into()), now));
        }
    }

    fn why_no_proxy(&self) -> String {
        match self.proxy.last_end() {
            Some(_) if self.ending.is_some() => "Evenkeel is stopping".into(),
            Some(how) => format!("it has ended and is started again: {how}"),
            None => "it does not run".into(),
        }
    }

    fn status(&self, traffic: Result<Snapshot, String>, now: Instant) -> Answer {
        let phase = if self.ending.is_some() {
            Phase::Stopping
        } else if !self.complete {
            Phase::Starting
        } else if self.reloads.is_under_way() {
            Phase::Reloading
        } else {
            Phase::Running
        };
        let (traffic, traffic_missing) = match traffic {
            Ok(snapshot) => (Some(snapshot), None),
            Err(why) => (None, Some(why)),
        };
        Answer::Status(Box::new(Status {
            version: env!("CARGO_PKG_VERSION").into(),
            pid: std::process::id(),
            since: self.since.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs(),
            uptime: now.duration_since(self.started).as_secs(),
            phase,
            config: self.config.clone(),
            revision: self.revision,
            max_connections_from: self.capacity.max_connections_from.clone(),
            roles: vec![self.proxy.status(now), self.admin.status(now)],
            last_reload: self.last_reload.clone(),
            certificates: self.read.status(),
            traffic,
            traffic_missing,
        }))
    }
}
