//! Servers that the proxy role has found: believed or not, laid over the plan of the file, kept for the next start.
//!
//! ```text
//!   proxy role ──Found──▶ findings ──▶ plan of the file ──▶ overlay of runtime changes ──▶ plan in force
//! ```
//!
//! Invariants: what was found last and well holds until something else is, through every end of the proxy role; a source
//! with trouble takes nothing away; plans that only discovery wants are paced ([`PAUSE`]); what a source says is told to the
//! log at most once in [`QUIET`], however often it changes its mind.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use evenkeel_admin::message::{EventKind, SourceStatus};
use evenkeel_config::found::{Difference, Findings};
use evenkeel_config::plan::{Plan, Server};
use evenkeel_proxy::message::{Change, News};
use evenkeel_traffic::name::Name;
use tokio::time::Instant;

use super::Supervisor;
use super::events::Happened;
use super::reload::{UnderWay, What};

/// The shortest time from one plan that discovery wants to the next.
const PAUSE: Duration = Duration::from_millis(200);
/// The pause after such a plan did not come into force.
const AFTER_FAILURE: Duration = Duration::from_secs(5);
/// The shortest time from one line about a source to the next.
const QUIET: Duration = Duration::from_secs(1);
/// The same for troubles, which may come and go with each look.
const QUIET_TROUBLE: Duration = Duration::from_secs(60);
/// The shortest time from one writing of what was found to the next.
const SAVE: Duration = Duration::from_secs(2);
/// How long a server that its source does not name any more may drain. What runs on it then is not cut.
const DRAIN: Duration = Duration::from_secs(10 * 60);
/// Names that a line tells.
const MOST_TOLD: usize = 8;

/// What was found, and what is to become of it.
#[derive(Debug, Default)]
pub(super) struct Discovery {
    findings: Findings,
    sources: BTreeMap<(Name, Name), About>,
    /// The plan in force may not have all of it.
    wanted: bool,
    not_before: Option<Instant>,
    save_at: Option<Instant>,
}

/// What is known of one source beside its servers.
#[derive(Debug, Default)]
struct About {
    looks: u64,
    failures: u64,
    changes: u64,
    changed_at: Option<u64>,
    /// What the role says is wrong.
    trouble: Option<String>,
    /// Why its last list is not believed.
    doubt: Option<String>,
    trouble_since: Option<u64>,
    /// When a change was told.
    told: Option<Instant>,
    /// Changes that were not.
    untold: u64,
    /// When a trouble was told.
    alarmed: Option<Instant>,
    /// It was told that there is trouble, and not yet that it is over.
    alarm_is_on: bool,
}

impl About {
    fn problem(&self) -> Option<&String> {
        self.trouble.as_ref().or(self.doubt.as_ref())
    }
}

impl Discovery {
    /// What was known when the program ended, as far as `file` still has its sources.
    pub(super) fn begin(kept: &Findings, file: &Plan) -> Self {
        Self { findings: kept.settle(file), ..Self::default() }
    }

    /// All that was found.
    pub(super) fn findings(&self) -> &Findings {
        &self.findings
    }

    /// The plan with everything that was found.
    pub(super) fn over(&self, file: &Plan) -> Plan {
        self.findings.over(file)
    }

    pub(super) fn is_leaving(&self, pool: &Name, server: &Name) -> bool {
        self.findings.is_leaving(pool, server)
    }

    /// From now on this is what the file says.
    pub(super) fn adopt(&mut self, file: &Plan) {
        self.findings = self.findings.settle(file);
        let is_there = |(pool, source): &(Name, Name)| {
            file.pool(pool).is_some_and(|pool| pool.sources.iter().any(|known| known.name == *source))
        };
        self.sources.retain(|key, _| is_there(key));
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let plan = self.not_before.filter(|_| self.wanted);
        plan.into_iter().chain(self.save_at).min()
    }

    /// A plan with what was found did not come into force.
    pub(super) fn go_back(&mut self, now: Instant) {
        self.wanted = true;
        self.not_before = Some(now + AFTER_FAILURE);
    }
}

impl Supervisor {
    /// What the file says, and what was found.
    pub(super) fn base(&self) -> Arc<Plan> {
        if self.discovery.findings.is_empty() {
            return Arc::clone(&self.file);
        }
        Arc::new(self.discovery.over(&self.file))
    }

    /// The proxy role has looked at a source.
    pub(super) fn found(&mut self, pool: &Name, source: &Name, news: News, now: Instant) {
        let known =
            self.file.pool(pool).and_then(|pool| pool.sources.iter().find(|known| known.name == *source));
        // A reload has taken it away meanwhile.
        let Some(from) = known.map(|source| source.from.to_string()) else { return };
        let key = (pool.clone(), source.clone());
        let about = self.discovery.sources.entry(key).or_default();
        let before = about.problem().cloned();
        (about.looks, about.failures) = (news.looks_total, news.failures_total);
        about.trouble = news.trouble;
        let mut difference = Difference::default();
        if let Some(list) = news.list {
            match self.discovery.findings.take(&self.file, pool, source, list) {
                Ok(found) => (difference, about.doubt) = (found, None),
                Err(why) => about.doubt = Some(why),
            }
        }
        let after = about.problem().cloned();
        if after.is_some() != before.is_some() {
            about.trouble_since = after.as_ref().map(|_| seconds());
        }
        self.tell_trouble((pool, source), &from, before.as_ref(), after.as_ref(), now);
        if difference.is_empty() {
            return;
        }
        for server in &difference.added {
            // It is back: nobody waits for its end any more.
            let by_hand = self.overlay.entry(pool, &server.name).is_some_and(|entry| entry.leaving);
            if !by_hand {
                self.leaving.follow((pool, &server.name), false, None, now);
            }
        }
        self.discovery.wanted = true;
        self.discovery.save_at.get_or_insert(now + SAVE);
        self.tell_difference(pool, source, &difference, now);
    }

    /// Says that a source has trouble, that it has another one, or that it has none any more.
    fn tell_trouble(
        &mut self,
        (pool, source): (&Name, &Name),
        from: &str,
        before: Option<&String>,
        after: Option<&String>,
        now: Instant,
    ) {
        let what = format!("pool {pool}, source {source} ({from})");
        let Some(about) = self.discovery.sources.get_mut(&(pool.clone(), source.clone())) else { return };
        let quiet = about.alarmed.is_some_and(|alarmed| now < alarmed + QUIET_TROUBLE);
        let was_on = about.alarm_is_on;
        let is_on = after.is_some() && (was_on || !quiet);
        about.alarm_is_on = is_on;
        match after {
            None if was_on => {
                tracing::info!("{what}: answers again");
                let told = Happened::new(EventKind::SourceChanged, format!("{from} answers again"));
                self.happened(Happened { subject: format!("{pool}/{source}"), ..told });
            }
            Some(why) if is_on && !was_on => {
                about.alarmed = Some(now);
                let stays = match self.discovery.findings.count(pool, source) {
                    Some(1) => "the server that was found last stays".to_owned(),
                    Some(count) => format!("the {count} servers that were found last stay"),
                    None => "no server was ever found".to_owned(),
                };
                self.alarm(format!("{what}: {why}; {stays}"));
            }
            Some(why) if is_on && !quiet && before != Some(why) => {
                about.alarmed = Some(now);
                tracing::warn!("{what}: {why}");
            }
            _ => {}
        }
    }

    fn tell_difference(&mut self, pool: &Name, source: &Name, difference: &Difference, now: Instant) {
        let count = self.discovery.findings.count(pool, source).unwrap_or(0);
        let Some(about) = self.discovery.sources.get_mut(&(pool.clone(), source.clone())) else { return };
        about.changes += 1;
        about.changed_at = Some(seconds());
        if about.told.is_some_and(|told| now < told + QUIET) {
            about.untold += 1;
            return;
        }
        about.told = Some(now);
        let untold = std::mem::take(&mut about.untold);
        let mut parts = Vec::new();
        parts.extend(told("added", &difference.added));
        parts.extend(told("gone, drains", &difference.leaving));
        let changed: Vec<Server> = difference.changed.iter().map(|(_, new)| new.clone()).collect();
        parts.extend(told("changed", &changed));
        let what = format!("{}; {count} in all", parts.join("; "));
        let more =
            if untold > 0 { format!(" ({untold} changes before were not told)") } else { String::new() };
        tracing::info!("pool {pool}, source {source}: {what}{more}");
        let event = Happened::new(EventKind::SourceChanged, what);
        self.happened(Happened { subject: format!("{pool}/{source}"), ..event });
    }

    /// Servers that drained because their source does not name them can go; gives back those that are removed at run time.
    pub(super) fn let_found_go(
        &mut self,
        gone: Vec<(Name, Name, String)>,
        now: Instant,
    ) -> Vec<(Name, Name, String)> {
        let mut others = Vec::new();
        for (pool, server, why) in gone {
            if self.discovery.findings.finished(&pool, &server) {
                self.discovery.wanted = true;
                self.leaving.follow((&pool, &server), false, None, now);
                tracing::info!("server {pool}/{server}: removed: {why}");
                let event = Happened::new(EventKind::SourceChanged, format!("removed: {why}"));
                self.happened(Happened { subject: format!("{pool}/{server}"), ..event });
            } else if self.overlay.entry(&pool, &server).is_some_and(|entry| entry.leaving) {
                others.push((pool, server, why));
            } else {
                // A reload took its source away while it drained.
                self.leaving.follow((&pool, &server), false, None, now);
            }
        }
        others
    }

    /// A plan is in force: waits for the end of servers that drain in it.
    pub(super) fn follow_gone(&mut self, now: Instant) {
        for (pool, server) in self.discovery.findings.leaving() {
            if !self.leaving.has(pool, &server.name) {
                self.leaving.follow((pool, &server.name), true, Some(DRAIN), now);
            }
        }
    }

    /// Sends a plan with what was found, and writes that down, when it is time.
    pub(super) fn tick_discovery(&mut self, now: Instant) {
        if self.discovery.save_at.is_some_and(|at| at <= now) {
            self.save_found();
        }
        let too_early = self.discovery.not_before.is_some_and(|at| now < at);
        if !self.discovery.wanted || too_early || !self.may_send_a_plan() {
            return;
        }
        self.discovery.wanted = false;
        self.discovery.not_before = Some(now + PAUSE);
        let plan = self.overlay.over(&self.base());
        if plan == *self.plan {
            return;
        }
        self.last_revision += 1;
        let (revision, plan) = (self.last_revision, Arc::new(plan));
        if !self.proxy.is_alive() {
            // The next process begins with this plan.
            (self.revision, self.plan) = (revision, plan);
            self.follow_gone(now);
            return;
        }
        self.send_keys(&self.keys);
        self.proxy.tell(Change::Apply { revision, plan: super::for_proxy(&plan) }, Vec::new());
        self.reloads.set_under_way(UnderWay::new(revision, plan, What::Found, now));
    }

    /// Writes down what was found, so that the next start has it at once.
    pub(super) fn save_found(&mut self) {
        if self.discovery.save_at.take().is_some()
            && let Err(why) = self.store.save_found(&self.discovery.findings)
        {
            tracing::warn!("what was found is not kept for the next start: {why}");
        }
    }

    /// For `status`: every source of the file.
    pub(super) fn source_status(&self) -> Vec<SourceStatus> {
        let nothing = About::default();
        let mut statuses = Vec::new();
        for pool in &self.file.pools {
            for source in &pool.sources {
                let key = (pool.name.clone(), source.name.clone());
                let about = self.discovery.sources.get(&key).unwrap_or(&nothing);
                let (pool, source_name) = key;
                statuses.push(SourceStatus {
                    servers: self.discovery.findings.count(&pool, &source_name),
                    most: source.most,
                    pool,
                    source: source_name,
                    from: source.from.to_string(),
                    problem: about.problem().cloned(),
                    problem_since: about.trouble_since,
                    changed_at: about.changed_at,
                    changes_total: about.changes,
                    looks_total: about.looks,
                    failures_total: about.failures,
                });
            }
        }
        statuses
    }
}

/// `added a, b and 3 further`.
fn told(what: &str, servers: &[Server]) -> Option<String> {
    if servers.is_empty() {
        return None;
    }
    let names: Vec<&str> = servers.iter().take(MOST_TOLD).map(|server| server.name.as_str()).collect();
    let more = servers.len().saturating_sub(MOST_TOLD);
    let more = if more > 0 { format!(" and {more} further") } else { String::new() };
    Some(format!("{what}: {}{more}", names.join(", ")))
}

fn seconds() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}
