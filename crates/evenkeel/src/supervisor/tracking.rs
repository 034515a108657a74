//! How everything is that virtual routers track: told to the high availability role when it changes.
//!
//! The proxy role is judged by its signs of life; listeners and pools by what it says of them; programs, files and
//! processes by tasks of their own ([`watch`]). A role that ends or hangs is ill at once; what it had found out about
//! pools stays true for [`GRACE`], so that its crash does not move the addresses of services that it only checks.

mod heart;
mod watch;

use std::collections::BTreeMap;
use std::time::Duration;

use evenkeel_config::plan::{Least, Listener, Plan, Tracked};
use evenkeel_ha::message::{Change, Finding, Standing, Verdict};
use evenkeel_proxy::message::{Change as ProxyChange, PoolPulse};
use evenkeel_traffic::name::Name;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::Supervisor;
use heart::Heart;
use watch::Watched;

/// How long after the start nothing is held against a role that is not ready yet.
const START: Duration = Duration::from_secs(5);
/// How long what a role has found out outlives it.
const GRACE: Duration = Duration::from_secs(3);
/// How often what time alone changes is looked at.
const LOOK: Duration = Duration::from_millis(200);
/// The longest that the proxy role goes on for when the supervisor is gone, whatever the intervals of virtual routers.
const LONGEST_LINGER: Duration = Duration::from_secs(10);

/// See the module.
#[derive(Debug)]
pub(super) struct Tracking {
    heart: Heart,
    watched: Vec<Watched>,
    /// What the tasks have found.
    observed: BTreeMap<Tracked, Verdict>,
    /// The last verdicts on pools that were more than a guess, and when they held.
    known: BTreeMap<Tracked, (Verdict, Instant)>,
    reports: mpsc::Sender<Finding>,
    told: Vec<Finding>,
    /// When time alone may change something.
    look_at: Option<Instant>,
}

impl Tracking {
    /// Nothing is tracked yet; what tasks find comes out of the receiver.
    pub(super) fn new(now: Instant) -> (Self, mpsc::Receiver<Finding>) {
        let (reports, observations) = mpsc::channel(watch::MOST_REPORTS);
        let tracking = Self {
            heart: Heart::new(now),
            watched: Vec::new(),
            observed: BTreeMap::new(),
            known: BTreeMap::new(),
            reports,
            told: Vec::new(),
            look_at: None,
        };
        (tracking, observations)
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.look_at
    }

    /// As told last.
    pub(super) fn findings(&self) -> Vec<Finding> {
        self.told.clone()
    }
}

impl Supervisor {
    /// A new plan is in force: what it tracks is watched, and nothing else.
    pub(super) fn track_the_plan(&mut self, now: Instant) {
        let wanted: Vec<Tracked> = self.plan.tracked().into_iter().cloned().collect();
        let launched_as = self.proxy.user().map(str::to_owned);
        watch::follow(&mut self.tracking.watched, &wanted, launched_as.as_deref(), &self.tracking.reports);
        self.tracking.observed.retain(|what, _| wanted.contains(what));
        self.tracking.known.retain(|what, _| wanted.contains(what));
        self.want_pulse();
        self.judge(now);
    }

    /// Ends the programs that watch something, until [`Self::track_the_plan`] begins them again.
    pub(super) fn watch_nothing(&mut self) {
        self.tracking.watched.clear();
    }

    /// Tells the proxy role whether its signs of life are wanted.
    pub(super) fn want_pulse(&self) {
        let linger = self.wants_ha().then(|| longest_handover(&self.plan).min(LONGEST_LINGER));
        self.proxy.tell(ProxyChange::Pulse { linger }, Vec::new());
    }

    pub(super) fn proxy_started(&mut self) {
        self.tracking.heart.began();
    }

    pub(super) fn pulse_came(&mut self, pools: Option<Vec<PoolPulse>>, now: Instant) {
        self.tracking.heart.beat(pools, now);
        self.judge(now);
    }

    pub(super) fn observed(&mut self, finding: Finding, now: Instant) {
        if self.plan.tracked().contains(&&finding.what) {
            let before = self.tracking.observed.get(&finding.what).map(|verdict| verdict.standing);
            if before != Some(finding.verdict.standing) {
                tell(&finding);
            }
            self.tracking.observed.insert(finding.what, finding.verdict);
            self.judge(now);
        }
    }

    pub(super) fn tick_tracking(&mut self, now: Instant) {
        if self.tracking.look_at.is_some_and(|at| at <= now) {
            self.judge(now);
        }
    }

    /// Looks at everything that is tracked, and tells what is new.
    pub(super) fn judge(&mut self, now: Instant) {
        if !self.wants_ha() || self.ending.is_some() || self.upgrades.is_handing_over() {
            self.tracking.look_at = None;
            return;
        }
        let patient = self.reloads.is_under_way();
        if let Some(news) = self.tracking.heart.judge(self.proxy.is_ready(), patient, now) {
            match news.standing {
                Standing::Good => tracing::info!("the proxy role is well"),
                _ => {
                    tracing::warn!(
                        "the proxy role is not well: {}",
                        news.why.as_deref().unwrap_or("unknown")
                    );
                }
            }
        }
        let plan = std::sync::Arc::clone(&self.plan);
        let findings: Vec<Finding> = plan
            .tracked()
            .into_iter()
            .filter(|what| !matches!(what, Tracked::Interface(_)))
            .map(|what| Finding { what: what.clone(), verdict: self.verdict(what, &plan, now) })
            .collect();
        let unsettled = findings.iter().any(|finding| finding.verdict.standing == Standing::Unknown);
        let look = (unsettled || !self.proxy.is_ready()).then(|| now + LOOK);
        self.tracking.look_at = look.into_iter().chain(self.tracking.heart.deadline()).min();
        if findings != self.tracking.told {
            self.tracking.told.clone_from(&findings);
            if self.ha.keeper.is_alive() {
                self.ha.keeper.tell(Change::Found { findings }, Vec::new());
            }
        }
    }

    fn verdict(&mut self, what: &Tracked, plan: &Plan, now: Instant) -> Verdict {
        match what {
            Tracked::Proxy => self.tracking.heart.verdict(),
            Tracked::Pool(name, least) => self.pool(what, name, *least, now),
            Tracked::Listener(name) => match plan.listeners.iter().find(|listener| listener.name == *name) {
                Some(listener) => self.listener(what, listener, now),
                None => Verdict::bad("there is no such listener"),
            },
            Tracked::Interface(_) | Tracked::Script(_) | Tracked::File(..) | Tracked::Process(_) => {
                let observed = self.tracking.observed.get(what).cloned();
                observed.unwrap_or_else(|| Verdict::unknown("it was not looked at yet"))
            }
        }
    }

    /// Any of its pools will do.
    fn listener(&mut self, what: &Tracked, listener: &Listener, now: Instant) -> Verdict {
        let mut names: Vec<&Name> =
            listener.rules.iter().map(|rule| &rule.pool).chain(&listener.pool).collect();
        names.sort();
        names.dedup();
        if names.is_empty() {
            return Verdict::good();
        }
        let heart = &self.tracking.heart;
        let verdicts: Vec<Verdict> = names.iter().map(|name| heart.pool(name, Least::Servers(1))).collect();
        let of = |standing| verdicts.iter().any(|verdict| verdict.standing == standing);
        let verdict = if of(Standing::Good) {
            Verdict::good()
        } else if of(Standing::Unknown) {
            Verdict::unknown("how the servers of its pools are is not known yet")
        } else {
            let which: Vec<&str> = names.iter().map(|name| name.as_str()).collect();
            Verdict::bad(format!("no server takes traffic in {}", which.join(", ")))
        };
        self.remembered(what, verdict, now)
    }

    fn pool(&mut self, what: &Tracked, name: &Name, least: Least, now: Instant) -> Verdict {
        let verdict = self.tracking.heart.pool(name, least);
        self.remembered(what, verdict, now)
    }

    /// While nothing is known, what was known lately.
    fn remembered(&mut self, what: &Tracked, verdict: Verdict, now: Instant) -> Verdict {
        if verdict.standing != Standing::Unknown {
            self.tracking.known.insert(what.clone(), (verdict.clone(), now));
            return verdict;
        }
        match self.tracking.known.get(what) {
            Some((before, at)) if now < *at + GRACE => before.clone(),
            Some(_) => Verdict { standing: Standing::Bad, ..verdict },
            None if now < self.started + START => verdict,
            None => Verdict { standing: Standing::Bad, ..verdict },
        }
    }
}

/// The longest that a virtual router of this plan may take to hand its addresses over.
pub(super) fn longest_handover(plan: &Plan) -> Duration {
    plan.virtual_routers.iter().map(|router| router.params.longest_handover()).max().unwrap_or_default()
}

fn tell(finding: &Finding) {
    let (what, why) = (&finding.what, finding.verdict.why.as_deref().unwrap_or_default());
    match finding.verdict.standing {
        Standing::Good => tracing::info!("tracked {what}: well"),
        Standing::Bad => tracing::warn!("tracked {what}: ill: {why}"),
        Standing::Unknown => {}
    }
}
