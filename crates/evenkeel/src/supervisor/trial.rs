//! A configuration on trial (`evenkeel reload --confirm 60s`): in force, and rolled back unless somebody confirms it in time.
//!
//! ```text
//!   reload on trial ─▶ in force ─┬─ confirmed ──────────────▶ stays
//!                                └─ time is up, or asked to ─▶ the plan before, by the way of a reload
//! ```
//!
//! Invariants: there is at most one trial, and a trial after a trial goes back to what was before the first; nothing in here
//! reads or writes the file; a role that does not take the plan back is asked [`MOST_TRIES`] times, then the trial ends with
//! an alarm and what is in force stays.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use evenkeel_admin::message::{Answer, Blame, Confirmed, EventKind, LastReload, RolledBack, Trial as Told};
use evenkeel_config::overlay::Overlay;
use evenkeel_config::plan::{LogTarget, Plan};
use evenkeel_proxy::message::{Change, Keys};
use tokio::time::Instant;

use super::events::Happened;
use super::reload::{UnderWay, What};
use super::{Asker, Supervisor, certificates, for_proxy, refuse};

/// How often the proxy role is told the plan before.
const MOST_TRIES: u32 = 3;

/// What was in force before a trial.
#[derive(Clone, Debug)]
pub(super) struct Before {
    file: Arc<Plan>,
    overlay: Overlay,
    keys: Keys,
    read: certificates::Read,
    revision: u64,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Trial {
    before: Before,
    /// The runtime changes as the trial found them; others were made during the trial and stay.
    overlay: Overlay,
    /// Others were made during a trial before this one.
    edited: bool,
    revision: u64,
    until: Instant,
    until_seconds: u64,
    by: String,
    back: Option<Back>,
}

/// The way back has begun.
#[derive(Debug)]
struct Back {
    askers: Vec<Asker>,
    by: Option<String>,
    why: String,
    tries: u32,
}

/// A plan on its way back.
#[derive(Debug)]
pub(super) struct Return {
    file: Arc<Plan>,
    overlay: Overlay,
    keys: Keys,
    read: certificates::Read,
    missing: Vec<String>,
}

impl Trial {
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.back.is_none().then_some(self.until)
    }

    /// Why no ordinary reload can be done now.
    pub(super) fn in_the_way(&self, wants_trial: bool) -> Option<&'static str> {
        match (&self.back, wants_trial) {
            (Some(_), _) => {
                Some("the configuration before the trial is being put in force: ask again in a moment")
            }
            (None, false) => Some(
                "a configuration is on trial: confirm it with `evenkeel reload --confirmed` or end the trial with \
                 `evenkeel reload --roll-back` first; another one may be tried with `evenkeel reload --confirm TIME`",
            ),
            (None, true) => None,
        }
    }

    pub(super) fn told(&self, now: Instant) -> Told {
        Told {
            revision: self.revision,
            until: self.until_seconds,
            left: self.until.saturating_duration_since(now).as_secs(),
            by: self.by.clone(),
        }
    }
}

impl Supervisor {
    /// What a trial would go back to.
    pub(super) fn before_trial(&self) -> Before {
        Before {
            file: Arc::clone(&self.file),
            overlay: self.overlay.clone(),
            keys: self.keys.clone(),
            read: self.read.clone(),
            revision: self.revision,
        }
    }

    /// A reload on trial is in force. `None` when it has changed nothing, so that there is nothing to go back to.
    pub(super) fn begin_trial(
        &mut self,
        before: Before,
        within: Duration,
        by: &str,
        now: Instant,
    ) -> Option<Told> {
        let (before, edited) = match self.trial.take() {
            Some(trial) => {
                let edited = trial.edited || trial.overlay != before.overlay;
                (trial.before, edited)
            }
            None if before.revision == self.revision => return None,
            None => (before, false),
        };
        let trial = Trial {
            before,
            overlay: self.overlay.clone(),
            edited,
            revision: self.revision,
            until: now + within,
            until_seconds: seconds() + within.as_secs(),
            by: by.to_owned(),
            back: None,
        };
        tracing::warn!(
            "plan {} is on trial: it is rolled back in {} s unless `evenkeel reload --confirmed` is called",
            trial.revision,
            within.as_secs()
        );
        let told = trial.told(now);
        self.trial = Some(trial);
        Some(told)
    }

    pub(super) fn confirm_reload(&mut self, by: &str) -> Answer {
        match self.trial.take_if(|trial| trial.back.is_none()) {
            Some(trial) => {
                let what = format!("plan {} was confirmed and stays", trial.revision);
                tracing::info!("audit: {by}: reload: {what}");
                self.happened(Happened::new(EventKind::ReloadConfirmed, what).by(by));
                Answer::Confirmed(Confirmed { revision: self.revision })
            }
            None if self.trial.is_some() => refuse(
                Blame::Conflict,
                "it is too late: the configuration before the trial is being put in force",
            ),
            None => refuse(Blame::Conflict, "no configuration is on trial: there is nothing to confirm"),
        }
    }

    pub(super) fn roll_back_on_command(&mut self, asker: Asker, by: String, now: Instant) {
        match &mut self.trial {
            None => {
                self.answer(
                    asker,
                    refuse(Blame::Conflict, "no configuration is on trial: there is nothing to roll back"),
                );
            }
            Some(Trial { back: Some(back), .. }) => back.askers.push(asker),
            Some(trial) => {
                let why = "somebody asked for it".into();
                trial.back = Some(Back { askers: vec![asker], by: Some(by), why, tries: 0 });
                self.tick_trial(now);
            }
        }
    }

    /// Goes back when it is time and nothing else is under way.
    pub(super) fn tick_trial(&mut self, now: Instant) {
        let may = self.may_send_a_plan();
        let Some(trial) = &mut self.trial else { return };
        if trial.back.is_none() && trial.until <= now && may {
            let why = "nobody has confirmed it in time".into();
            trial.back = Some(Back { askers: Vec::new(), by: None, why, tries: 0 });
        }
        if trial.back.is_some() && may {
            self.roll_back(now);
        }
    }

    fn roll_back(&mut self, now: Instant) {
        let Some(trial) = &self.trial else { return };
        let Before { file, overlay, keys, mut read, .. } = trial.before.clone();
        let untouched = !trial.edited && self.overlay == trial.overlay;
        let overlay = if untouched { overlay } else { self.overlay.clone() };
        // Those that were made meanwhile are newer, and open what the older ones have sealed.
        read.certificates.tickets.clone_from(&self.read.certificates.tickets);
        let (file, opened, missing) = self.what_can_come_back(&file);
        let file = Arc::new(file);
        let base = self.discovery.over(&file);
        let overlay = overlay.settle(&base);
        let plan = Arc::new(overlay.over(&base));
        self.last_revision += 1;
        let revision = self.last_revision;
        let back = Return { file, overlay, keys, read, missing };
        if !self.proxy.is_alive() {
            // The next process begins with this plan.
            (self.revision, self.plan) = (revision, plan);
            self.sockets.close_others(&self.plan);
            self.log_files.close_others(&self.plan);
            self.ha_follows(now);
            self.rolled_back(back);
            return;
        }
        for bind in opened {
            let sockets = self.sockets.of(&bind);
            self.proxy.tell(Change::Sockets { bind }, sockets);
        }
        self.send_log_files();
        self.send_keys(&back.keys);
        self.send_certificates(&back.read);
        self.proxy.tell(Change::Apply { revision, plan: for_proxy(&plan) }, Vec::new());
        self.reloads.set_under_way(UnderWay::new(revision, plan, What::Back(Box::new(back)), now));
    }

    /// The plan before, without addresses that somebody else has taken and logs that cannot be written any more; the binds
    /// that were opened for it, and what is missing.
    fn what_can_come_back(
        &mut self,
        before: &Plan,
    ) -> (Plan, Vec<evenkeel_traffic::address::Address>, Vec<String>) {
        let mut file = before.clone();
        let mut missing = Vec::new();
        let (opened, failed) = self.sockets.open_possible(&file);
        for (bind, error) in failed {
            for listener in &mut file.listeners {
                if listener.binds.contains(&bind) {
                    listener.binds.retain(|one| *one != bind);
                    missing.push(format!("listener {}: {error}", listener.name));
                }
            }
        }
        if let Err(errors) = self.log_files.open_possible(&file) {
            for listener in &mut file.listeners {
                let is_lost = |log: &evenkeel_config::plan::AccessLog| matches!(&log.to, LogTarget::File(path) if !self.log_files.has(path));
                if listener.access_log.as_ref().is_some_and(is_lost) {
                    listener.access_log = None;
                    missing.push(format!("listener {}: its access log is not written", listener.name));
                }
            }
            missing.extend(errors);
        }
        (file, opened, missing)
    }

    /// The plan before is in force again.
    pub(super) fn rolled_back(&mut self, back: Return) {
        let Return { file, overlay, keys, read, missing } = back;
        (self.keys, self.read) = (keys, read);
        self.adopt_file(file, overlay);
        let Some(Trial { revision, back: Some(Back { askers, by, why, .. }), .. }) = self.trial.take() else {
            return;
        };
        let what = format!(
            "plan {revision} was rolled back, because {why}: plan {} is as what was in force before; the file says \
             something else",
            self.revision
        );
        tracing::warn!("{what}");
        let who = by.as_deref().unwrap_or("by itself");
        tracing::info!("audit: {who}: reload: {what}");
        self.last_reload = Some(LastReload { at: seconds(), succeeded: false, what: what.clone() });
        self.happened(Happened { by, ..Happened::new(EventKind::RolledBack, what) });
        for one in &missing {
            self.alarm(format!("after the rollback something is missing: {one}"));
        }
        let answer = RolledBack { revision: self.revision, missing };
        for asker in askers {
            self.answer(asker, Answer::RolledBack(answer.clone()));
        }
    }

    /// The plan before did not come into force.
    pub(super) fn not_rolled_back(&mut self, why: &str) {
        let Some(Trial { back: Some(back), .. }) = &mut self.trial else { return };
        back.tries += 1;
        if back.tries < MOST_TRIES {
            tracing::error!(
                "the configuration before the trial is not in force again: {why}; it is tried again"
            );
            return;
        }
        let Some(Trial { back: Some(back), .. }) = self.trial.take() else { return };
        let what =
            format!("the configuration on trial stays, because the one before cannot be put in force: {why}");
        self.alarm(what.clone());
        for asker in back.askers {
            self.answer(asker, refuse(Blame::Failure, what.clone()));
        }
    }

    /// The program ends: so does the trial, and the next start begins with the file.
    pub(super) fn trial_ends(&mut self) {
        let Some(trial) = self.trial.take() else { return };
        tracing::warn!(
            "plan {} is on trial and was not confirmed: the next start begins with {} as it is",
            trial.revision,
            self.config.display()
        );
        for asker in trial.back.into_iter().flat_map(|back| back.askers) {
            self.answer(asker, refuse(Blame::Busy, "Evenkeel is stopping"));
        }
    }
}

fn seconds() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}
