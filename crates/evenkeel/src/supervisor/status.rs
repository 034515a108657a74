//! What `status` shows: the supervisor's own facts and a snapshot of the proxy role, if that answers in time.

use std::time::{Duration, SystemTime};

use evenkeel_admin::message::{Answer, Phase, Status, VirtualRouters};
use evenkeel_ha::message as ha;
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
    /// What the proxy role has said, or why it says nothing.
    traffic: Option<Result<Snapshot, String>>,
    /// What the high availability role has said; nothing when there is none and there need not be one.
    routers: Option<Option<Result<ha::Snapshot, String>>>,
}

impl Query {
    fn is_complete(&self) -> bool {
        self.traffic.is_some() && self.routers.is_some()
    }
}

impl Queries {
    /// A number that no other snapshot has.
    pub(super) fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.waiting.first().map(|query| query.deadline)
    }
}

impl Supervisor {
    pub(super) fn ask_snapshot(&mut self, asker: Asker, now: Instant) {
        self.queries.last_id += 1;
        let id = self.queries.last_id;
        let is_full = self.queries.waiting.len() >= MOST_WAITING;
        let crowd = || format!("{MOST_WAITING} questions wait for it already");
        let traffic = if !self.proxy.is_alive() {
            Some(Err(why_none(self.proxy.last_end(), self.ending.is_some())))
        } else if !self.proxy.is_ready() {
            Some(Err("it has just been started".into()))
        } else if is_full {
            Some(Err(crowd()))
        } else {
            self.proxy.tell(Change::Snapshot { id }, Vec::new());
            None
        };
        let routers = if !self.wants_ha() {
            Some(None)
        } else if !self.ha.keeper.is_alive() {
            Some(Some(Err(why_none(self.ha.keeper.last_end(), self.ending.is_some()))))
        } else if !self.ha.keeper.is_ready() {
            Some(Some(Err("it has just been started".into())))
        } else if is_full {
            Some(Some(Err(crowd())))
        } else {
            self.ha.keeper.tell(ha::Change::Snapshot { id }, Vec::new());
            None
        };
        let query = Query { id, asker, deadline: now + LONGEST_SNAPSHOT, traffic, routers };
        if query.is_complete() {
            self.answer_query(query, now);
        } else {
            self.queries.waiting.push(query);
        }
    }

    pub(super) fn snapshot_came(&mut self, id: u64, snapshot: Snapshot, now: Instant) {
        if self.leaving_seen(id, &snapshot, now) {
            return;
        }
        self.counted(id, &snapshot);
        if let Some(query) = self.queries.waiting.iter_mut().find(|query| query.id == id) {
            query.traffic = Some(Ok(snapshot));
        }
        self.answer_complete(now);
    }

    pub(super) fn ha_snapshot_came(&mut self, id: u64, snapshot: ha::Snapshot, now: Instant) {
        if let Some(query) = self.queries.waiting.iter_mut().find(|query| query.id == id) {
            query.routers = Some(Some(Ok(snapshot)));
        }
        self.answer_complete(now);
    }

    pub(super) fn tick_queries(&mut self, now: Instant) {
        let missing = || format!("it gave no answer within {} s", LONGEST_SNAPSHOT.as_secs());
        for query in self.queries.waiting.iter_mut().filter(|query| query.deadline <= now) {
            query.traffic.get_or_insert_with(|| Err(missing()));
            query.routers.get_or_insert_with(|| Some(Err(missing())));
        }
        self.answer_complete(now);
    }

    /// The proxy role will not answer any more.
    pub(super) fn queries_lost_the_proxy(&mut self, now: Instant) {
        for query in &mut self.queries.waiting {
            query.traffic.get_or_insert_with(|| Err("it has just ended".into()));
        }
        self.answer_complete(now);
    }

    /// The high availability role will not answer any more.
    pub(super) fn queries_lost_the_ha(&mut self, now: Instant) {
        for query in &mut self.queries.waiting {
            query.routers.get_or_insert_with(|| Some(Err("it has just ended".into())));
        }
        self.answer_complete(now);
    }

    fn answer_complete(&mut self, now: Instant) {
        while let Some(place) = self.queries.waiting.iter().position(Query::is_complete) {
            let query = self.queries.waiting.remove(place);
            self.answer_query(query, now);
        }
    }

    fn answer_query(&self, query: Query, now: Instant) {
        let Query { asker, traffic, routers, .. } = query;
        let none = || Err("it was not asked".to_owned());
        self.answer(asker, self.status(traffic.unwrap_or_else(none), routers.flatten(), now));
    }

    fn status(
        &self,
        traffic: Result<Snapshot, String>,
        routers: Option<Result<ha::Snapshot, String>>,
        now: Instant,
    ) -> Answer {
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
            Ok(mut snapshot) => {
                self.past.add_to(&mut snapshot);
                (Some(snapshot), None)
            }
            Err(why) => (None, Some(why)),
        };
        let virtual_routers = routers.map(|routers| {
            let (state, missing) = match routers {
                Ok(mut snapshot) => {
                    self.telling.show(&mut snapshot);
                    self.past.add_to_ha(&mut snapshot);
                    (Some(snapshot), None)
                }
                Err(why) => (None, Some(why)),
            };
            let runtime_priorities = self.steering.priorities.told(&self.plan.virtual_routers);
            VirtualRouters { state, missing, transitions: self.ha.transitions(), runtime_priorities }
        });
        let mut roles = vec![self.proxy.status(now), self.admin.status(now)];
        if self.wants_ha() {
            roles.push(self.ha.keeper.status(now));
        }
        let pair = self.pair_status();
        if pair.is_some() {
            roles.push(self.pair.keeper.status(now));
        }
        let alarm = pair.as_ref().and_then(|pair| pair.state.alarm.as_ref());
        Answer::Status(Box::new(Status {
            version: env!("CARGO_PKG_VERSION").into(),
            pid: std::process::id(),
            since: self.since.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs(),
            uptime: (self.earlier + now.duration_since(self.started)).as_secs(),
            generation: self.upgrades.generation(),
            old_generations: self.past.status(now),
            last_upgrade: self.upgrades.last.clone(),
            phase,
            config: self.config.clone(),
            revision: self.revision,
            max_connections_from: self.capacity.max_connections_from.clone(),
            roles,
            last_reload: self.last_reload.clone(),
            trial: self.trial.as_ref().map(|trial| trial.told(now)),
            runtime_changes: self.runtime_changes(),
            state_dir: self.store.directory().map(Into::into),
            alarms: self.alarms.iter().chain(alarm).cloned().collect(),
            certificates: self.read.status(),
            sources: self.source_status(),
            traffic,
            traffic_missing,
            virtual_routers,
            pair,
        }))
    }
}

/// Why a role has no process.
fn why_none(last_end: Option<&str>, is_stopping: bool) -> String {
    match last_end {
        _ if is_stopping => "Evenkeel is stopping".into(),
        Some(how) => format!("it has ended and is started again: {how}"),
        None => "it does not run".into(),
    }
}
