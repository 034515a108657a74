//! A reload: text → plan → difference → sockets → the proxy role → in force. At each step it may be refused, and then
//! everything is as before.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use evenkeel_admin::message::{
    Answer, Blame, Consequence, Difference, EventKind, LastReload, Order, Preview, Refusal, Reloaded,
};
use evenkeel_config::diff;
use evenkeel_config::overlay::Overlay;
use evenkeel_config::plan::{Admin, Global, Plan};
use evenkeel_config::{Loaded, Report};
use evenkeel_proxy::message::{Change, Keys, Snapshot};
use evenkeel_sys::process::notify::State as Notice;
use tokio::time::Instant;

use super::events::Happened;
use super::live::{self, Done};
use super::{Asker, Supervisor, certificates, consequences, for_proxy, keys, pair, refuse, trial};
use crate::files;

/// How long the proxy role may take to put a plan in force.
const LONGEST_APPLY: Duration = Duration::from_secs(15);
/// Reloads that may wait for the one under way; they are done as one.
const MOST_WAITING: usize = 16;

/// Who wants a reload.
#[derive(Clone, Debug)]
pub(super) enum Origin {
    Signal,
    /// With how long it is on trial, if it is.
    Command {
        asker: Asker,
        by: String,
        confirm: Option<Duration>,
    },
}

impl Origin {
    fn wants_trial(&self) -> bool {
        matches!(self, Self::Command { confirm: Some(_), .. })
    }
}

/// Reloads that are wanted and under way.
#[derive(Debug, Default)]
pub(super) struct Reloads {
    wanted: Vec<Origin>,
    under_way: Option<UnderWay>,
    /// What holds when what is under way is to be on trial and fails there.
    before: Option<trial::Before>,
}

/// A plan on its way to the proxy role.
#[derive(Debug)]
pub(super) struct UnderWay {
    revision: u64,
    plan: Arc<Plan>,
    what: What,
    deadline: Instant,
}

/// Why it is on its way, and what comes with it.
#[derive(Debug)]
pub(super) enum What {
    /// The file was read again.
    Reload { origins: Vec<Origin>, new: Box<New> },
    /// Servers were changed. `before` holds again when the plan does not come into force.
    Edits { done: Vec<Done>, before: Overlay },
    /// Servers were found, or are gone.
    Found,
    /// A trial has failed.
    Back(Box<trial::Return>),
}

/// What a reload brings.
#[derive(Debug)]
pub(super) struct New {
    file: Arc<Plan>,
    overlay: Overlay,
    keys: Keys,
    read: certificates::Read,
    changes: Vec<Difference>,
    consequences: Vec<Consequence>,
    /// The snapshot that counts them.
    counted_by: u64,
    warnings: String,
}

impl UnderWay {
    pub(super) fn new(revision: u64, plan: Arc<Plan>, what: What, now: Instant) -> Self {
        Self { revision, plan, what, deadline: now + LONGEST_APPLY }
    }
}

impl Reloads {
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.under_way.as_ref().map(|under_way| under_way.deadline)
    }

    pub(super) fn set_under_way(&mut self, under_way: UnderWay) {
        self.under_way = Some(under_way);
    }

    pub(super) fn is_under_way(&self) -> bool {
        self.under_way.is_some()
    }

    /// A snapshot that was taken before the plan on its way.
    pub(super) fn counted(&mut self, id: u64, snapshot: &Snapshot) {
        if let Some(UnderWay { what: What::Reload { new, .. }, .. }) = &mut self.under_way
            && new.counted_by == id
        {
            consequences::count(&mut new.consequences, snapshot);
        }
    }
}

/// How a reload ended: what is different now, or why nothing is.
type Outcome = Result<Reloaded, Refusal>;

impl Supervisor {
    pub(super) fn reload_on_signal(&mut self, now: Instant) {
        self.want_reload(Origin::Signal, now);
    }

    pub(super) fn reload_on_command(
        &mut self,
        asker: Asker,
        by: String,
        confirm: Option<Duration>,
        now: Instant,
    ) {
        self.want_reload(Origin::Command { asker, by, confirm }, now);
    }

    fn want_reload(&mut self, origin: Origin, now: Instant) {
        let (blame, refusal) = if self.ending.is_some() {
            (Blame::Busy, "Evenkeel is stopping")
        } else if let Some(why) = self.trial.as_ref().and_then(|trial| trial.in_the_way(origin.wants_trial()))
        {
            (Blame::Conflict, why)
        } else if self.reloads.wanted.len() >= MOST_WAITING {
            (Blame::Busy, "too many reloads wait for the one under way: ask again later")
        } else {
            self.reloads.wanted.push(origin);
            self.reload_if_wanted(now);
            return;
        };
        tracing::warn!("no reload: {refusal}");
        if let Origin::Command { asker, .. } = origin {
            self.answer(asker, refuse(blame, refusal));
        }
    }

    /// No plan is under way and one may be sent. A proxy role that has just been started is waited for; one that keeps
    /// ending is not, since the new plan may be the cure.
    pub(super) fn may_send_a_plan(&self) -> bool {
        self.complete
            && self.ending.is_none()
            && !self.reloads.is_under_way()
            && !self.upgrades.is_handing_over()
            && (self.proxy.is_ready() || !self.proxy.is_alive())
    }

    /// Begins a reload when one is wanted and none is under way.
    fn reload_if_wanted(&mut self, now: Instant) {
        if self.reloads.wanted.is_empty() || !self.may_send_a_plan() {
            return;
        }
        let mut origins = std::mem::take(&mut self.reloads.wanted);
        // A trial may have begun while they waited.
        if let Some(trial) = &self.trial {
            let in_the_way = |origin: &Origin| trial.in_the_way(origin.wants_trial());
            let late: Vec<_> = origins.extract_if(.., |origin| in_the_way(origin).is_some()).collect();
            for origin in late {
                let why = in_the_way(&origin).unwrap_or_default();
                tracing::warn!("no reload: {why}");
                if let Origin::Command { asker, .. } = origin {
                    self.answer(asker, refuse(Blame::Conflict, why));
                }
            }
            if origins.is_empty() {
                return;
            }
        }
        self.notify(&[Notice::Reloading]);
        self.reloads.before = shortest_trial(&origins).map(|_| self.before_trial());
        match self.send_plan(now) {
            Ok(Sent::Nothing(reloaded)) => self.reload_ended(origins, Ok(reloaded), now),
            Ok(Sent::Plan { revision, plan, new }) => {
                let what = What::Reload { origins, new };
                self.reloads.set_under_way(UnderWay::new(revision, plan, what, now));
            }
            Err(refusal) => self.reload_ended(origins, Err(refusal), now),
        }
    }

    /// Reads the file and sends what is new to the proxy role.
    fn send_plan(&mut self, now: Instant) -> Result<Sent, Refusal> {
        // Also when the file is refused: whoever moved a log away waits for that.
        self.reopen_logs();
        let Loaded { plan, warnings, .. } = self.load()?;
        let keys = keys::read(&plan, &self.keys.random).map_err(|errors| unusable_key(&errors))?;
        self.renew_token(&plan)?;
        let read = certificates::read(&plan, &self.read).map_err(|errors| unusable_certificate(&errors))?;
        let terms = pair::Terms::read(&plan, &self.listened(), self.pair.terms())
            .map_err(|why| refusal(Blame::Failure, why))?;
        let base = self.discovery.over(&plan);
        let overlay = self.overlay.settle(&base);
        let mut changes = self.differences(&overlay.over(&base), &keys, &read);
        if self.pair.has_new_key(terms.as_ref()) {
            changes.push(pair::key_changed());
        }
        let warnings = with_doubts(&warnings, &read);
        let pair_differs = self.pair.expect(terms);
        let file = Arc::new(keep_what_needs_a_restart(plan, &self.plan));
        let plan = overlay.over(&self.discovery.over(&file));
        if plan == *self.plan && keys == self.keys && read.certificates == self.read.certificates {
            self.read = read;
            self.adopt_file(file, overlay);
            if pair_differs {
                self.pair_follows(now);
            }
            return Ok(Sent::Nothing(self.reloaded(changes, Vec::new(), warnings)));
        }
        if let Some(why) = super::availability::rights_missing(&plan) {
            return Err(refusal(Blame::Failure, why));
        }
        let opened = self.sockets.open_missing(&plan).map_err(|errors| {
            let text: Vec<String> = errors.iter().map(ToString::to_string).collect();
            Refusal {
                text: Some(text.join("\n")),
                ..refusal(Blame::Failure, "new addresses cannot be listened on")
            }
        })?;
        if let Err(errors) = self.log_files.open_missing(&plan) {
            self.sockets.close_others(&self.plan);
            let text = Some(errors.join("\n"));
            return Err(Refusal { text, ..refusal(Blame::Failure, "a new access log cannot be opened") });
        }
        self.last_revision += 1;
        let revision = self.last_revision;
        let plan = Arc::new(plan);
        if !self.proxy.is_alive() {
            // Nobody has the plan before it any more: the next process begins with this one.
            self.revision = revision;
            self.plan = plan;
            self.keys = keys;
            self.adopt_file(file, overlay);
            self.read = read;
            self.sockets.close_others(&self.plan);
            self.log_files.close_others(&self.plan);
            self.ha_follows(now);
            return Ok(Sent::Nothing(self.reloaded(changes, Vec::new(), warnings)));
        }
        let consequences = consequences::of(&self.plan, &plan);
        let counted_by = self.queries.next_id();
        if !consequences.is_empty() {
            // Answered before the plan is in force.
            self.proxy.tell(Change::Snapshot { id: counted_by }, Vec::new());
        }
        for bind in opened {
            let sockets = self.sockets.of(&bind);
            self.proxy.tell(Change::Sockets { bind }, sockets);
        }
        self.send_log_files();
        self.send_keys(&keys);
        self.send_certificates(&read);
        self.proxy.tell(Change::Apply { revision, plan: for_proxy(&plan) }, Vec::new());
        let new = Box::new(New { file, overlay, keys, read, changes, consequences, counted_by, warnings });
        Ok(Sent::Plan { revision, plan, new })
    }

    /// The token may have been replaced in its file.
    fn renew_token(&mut self, plan: &Plan) -> Result<(), Refusal> {
        // Another path needs a restart, as the rest of [admin] does.
        let same = plan.admin.as_ref().map(|admin| &admin.token_file)
            == self.plan.admin.as_ref().map(|admin| &admin.token_file);
        if same {
            let token = keys::token(plan).map_err(|why| refusal(Blame::Failure, why))?;
            if token != self.token {
                self.token.clone_from(&token);
                self.admin.tell(Order::Token(token), Vec::new());
                tracing::info!("the token of the API was replaced");
            }
        }
        Ok(())
    }

    /// From now on this is what the file says, and what differs from it.
    pub(super) fn adopt_file(&mut self, file: Arc<Plan>, overlay: Overlay) {
        self.discovery.adopt(&file);
        self.file = file;
        if overlay != self.overlay {
            self.overlay = overlay;
            if let Err(why) = self.store.save(&self.overlay) {
                tracing::warn!("runtime changes that the file has now could not be forgotten: {why}");
            }
        }
    }

    pub(super) fn load(&self) -> Result<Loaded, Refusal> {
        evenkeel_config::load(&self.config, &files::Machine).map_err(|report: Report| Refusal {
            text: Some(report.render(false)),
            report: serde_json::to_value(&report).ok(),
            ..refusal(
                Blame::Configuration,
                format!("{}: {}", self.config.display(), crate::cli::check::count(&report)),
            )
        })
    }

    /// What a reload would change.
    pub(super) fn preview(&self) -> Answer {
        match self.load() {
            Ok(Loaded { plan, warnings, .. }) => {
                let keys = match keys::read(&plan, &self.keys.random) {
                    Ok(keys) => keys,
                    Err(errors) => return Answer::Refused(unusable_key(&errors)),
                };
                match certificates::read(&plan, &self.read) {
                    Ok(read) => {
                        let plan = self.discovery.over(&plan);
                        let overlay = self.overlay.settle(&plan);
                        let next = overlay.over(&plan);
                        Answer::Preview(Preview {
                            file: self.config.clone(),
                            changes: self.differences(&next, &keys, &read),
                            consequences: consequences::of(&self.plan, &next),
                            trial: self.trial.as_ref().map(|trial| trial.told(Instant::now())),
                            warnings: with_doubts(&warnings, &read),
                            runtime_changes: live::told(&overlay, &plan),
                            runtime_priorities: self.steering.priorities.told(&plan.virtual_routers),
                        })
                    }
                    Err(errors) => Answer::Refused(unusable_certificate(&errors)),
                }
            }
            Err(refusal) => Answer::Refused(refusal),
        }
    }

    /// What is different in this plan, under these keys and with these certificates.
    fn differences(&self, plan: &Plan, keys: &Keys, read: &certificates::Read) -> Vec<Difference> {
        let differences = diff::diff(&self.plan, plan);
        let told = differences.iter().map(|difference| Difference {
            what: format!("{}: {}", difference.subject, difference.change),
            needs_restart: difference.needs_restart(),
        });
        told.chain(keys::differences((&self.plan, &self.keys), (plan, keys)))
            .chain(self.read.differences(read))
            .collect()
    }

    /// The proxy role has put a plan in force.
    pub(super) fn applied(&mut self, revision: u64, now: Instant) {
        if self.reloads.under_way.as_ref().is_some_and(|under_way| under_way.revision == revision)
            && let Some(UnderWay { plan, what, .. }) = self.reloads.under_way.take()
        {
            self.plan = plan;
            self.revision = revision;
            // Only now nobody accepts on them any more.
            self.sockets.close_others(&self.plan);
            self.log_files.close_others(&self.plan);
            self.ha_follows(now);
            match what {
                What::Reload { origins, new } => {
                    let New { file, overlay, keys, read, changes, consequences, warnings, .. } = *new;
                    self.keys = keys;
                    self.read = read;
                    self.adopt_file(file, overlay);
                    let reloaded = self.reloaded(changes, consequences, warnings);
                    self.reload_ended(origins, Ok(reloaded), now);
                }
                What::Edits { done, .. } => self.edits_done(done, now),
                What::Found => {}
                What::Back(back) => self.rolled_back(*back),
            }
            self.follow_gone(now);
            self.edit_if_wanted(now);
        } else if revision == self.revision {
            self.proxy.ready();
            self.let_the_past_drain(now);
            if !self.reloads.is_under_way() {
                self.sockets.close_others(&self.plan);
                self.log_files.close_others(&self.plan);
            }
            self.complete_start();
            self.reload_if_wanted(now);
            self.edit_if_wanted(now);
        }
    }

    /// The proxy role cannot put a plan in force.
    pub(super) fn refused(&mut self, revision: u64, why: &str, now: Instant) {
        if self.reloads.under_way.as_ref().is_some_and(|under_way| under_way.revision == revision) {
            self.go_back(true, format!("the proxy role refused the plan: {why}"), now);
        } else if revision == self.revision {
            tracing::error!("the proxy role cannot use the plan: {why}");
            if !self.complete {
                // Another process would say the same.
                self.abandon(super::Exit::RoleFails);
            } else if !self.proxy.is_ready() {
                // The next try is paced; one that works already keeps what it has in force.
                self.proxy.kill();
            }
        }
    }

    /// Refuses the reload under way and makes sure that the proxy role holds to the plan before it, whatever it has
    /// done with the new one: nothing, when it has refused it.
    fn go_back(&mut self, is_refused: bool, why: String, now: Instant) {
        let Some(UnderWay { what, plan: given_up, .. }) = self.reloads.under_way.take() else { return };
        self.last_revision += 1;
        self.revision = self.last_revision;
        if !is_refused {
            for bind in self.sockets.renew(&self.plan, &given_up) {
                let sockets = self.sockets.of(&bind);
                self.proxy.tell(Change::Sockets { bind }, sockets);
            }
        }
        let (revision, plan) = (self.revision, for_proxy(&self.plan));
        self.send_keys(&self.keys);
        self.send_certificates(&self.read);
        // Sockets that were opened for the new plan are closed once this is in force.
        self.proxy.tell(Change::Apply { revision, plan }, Vec::new());
        self.not_in_force(what, why, now);
    }

    fn not_in_force(&mut self, what: What, why: String, now: Instant) {
        match what {
            What::Reload { origins, .. } => {
                self.reload_ended(origins, Err(refusal(Blame::Failure, why)), now);
            }
            What::Edits { done, before } => self.edits_go_back(done, before, &why),
            What::Found => {
                tracing::error!("servers that were found are not in force: {why}");
                self.discovery.go_back(now);
            }
            What::Back(_) => self.not_rolled_back(&why),
        }
    }

    /// The process that was to put the new plan in force is gone; the next one gets the plan before it.
    pub(super) fn reload_lost_the_proxy(&mut self, now: Instant) {
        let Some(UnderWay { what, plan: given_up, .. }) = self.reloads.under_way.take() else { return };
        self.sockets.renew(&self.plan, &given_up);
        self.sockets.close_others(&self.plan);
        self.log_files.close_others(&self.plan);
        let how = self.proxy.last_end().unwrap_or("unknown").to_owned();
        let why = format!("the proxy role ended before the plan was in force: {how}");
        self.not_in_force(what, why, now);
    }

    /// The program ends: so does every reload.
    pub(super) fn reloads_end(&mut self, now: Instant) {
        let mut origins = std::mem::take(&mut self.reloads.wanted);
        match self.reloads.under_way.take().map(|under_way| under_way.what) {
            Some(What::Reload { origins: under_way, .. }) => origins.extend(under_way),
            // They are kept, and hold from the next start on.
            Some(What::Edits { done, .. }) => self.edits_done(done, now),
            Some(What::Found | What::Back(_)) | None => {}
        }
        self.trial_ends();
        self.save_found();
        self.edits_end();
        if !origins.is_empty() {
            self.reload_ended(origins, Err(refusal(Blame::Busy, "Evenkeel is stopping")), now);
        }
    }

    pub(super) fn tick_reload(&mut self, now: Instant) {
        if self.reloads.deadline().is_some_and(|deadline| deadline <= now) {
            let patience = LONGEST_APPLY.as_secs();
            self.go_back(
                false,
                format!("the proxy role did not put the plan in force within {patience} s"),
                now,
            );
        }
        self.reload_if_wanted(now);
        self.edit_if_wanted(now);
    }

    fn reloaded(
        &self,
        changes: Vec<Difference>,
        consequences: Vec<Consequence>,
        warnings: String,
    ) -> Reloaded {
        let (file, revision) = (self.config.clone(), self.revision);
        Reloaded { file, revision, changes, consequences, trial: None, warnings }
    }

    /// Tells everybody how a reload ended.
    fn reload_ended(&mut self, origins: Vec<Origin>, mut outcome: Outcome, now: Instant) {
        let by = origins.iter().find_map(|origin| match origin {
            Origin::Command { by, .. } => Some(by.as_str()),
            Origin::Signal => None,
        });
        let by = by.unwrap_or("SIGHUP");
        if let (Ok(reloaded), Some(before), Some(within)) =
            (&mut outcome, self.reloads.before.take(), shortest_trial(&origins))
        {
            reloaded.trial = self.begin_trial(before, within, by, now);
        }
        let what = match &outcome {
            Ok(reloaded) => succeeded(reloaded),
            Err(Refusal { detail, text, .. }) => {
                tracing::error!("reload refused, nothing was changed: {detail}");
                for line in text.iter().flat_map(|text| text.lines()) {
                    tracing::error!("  {line}");
                }
                format!("refused, nothing was changed: {detail}")
            }
        };
        tracing::info!("audit: {by}: reload: {what}");
        self.happened(Happened::new(EventKind::Reload, what.clone()).by(by));
        let at = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        self.last_reload = Some(LastReload { at, succeeded: outcome.is_ok(), what });
        let answer = match outcome {
            Ok(reloaded) => Answer::Reloaded(reloaded),
            Err(refusal) => Answer::Refused(refusal),
        };
        for origin in origins {
            if let Origin::Command { asker, .. } = origin {
                self.answer(asker, answer.clone());
            }
        }
        if self.ending.is_none() {
            self.notify(&[Notice::Ready]);
            self.reload_if_wanted(now);
        }
    }
}

/// How long what these wanted is on trial, if one of them wanted that.
fn shortest_trial(origins: &[Origin]) -> Option<Duration> {
    let confirm = |origin: &Origin| match origin {
        Origin::Command { confirm, .. } => *confirm,
        Origin::Signal => None,
    };
    origins.iter().filter_map(confirm).min()
}

/// What was done to put the file in force.
enum Sent {
    /// Nothing had to be sent.
    Nothing(Reloaded),
    /// The proxy role will answer.
    Plan { revision: u64, plan: Arc<Plan>, new: Box<New> },
}

/// Logs a reload that went well and sums it up.
fn succeeded(reloaded: &Reloaded) -> String {
    for line in reloaded.warnings.lines() {
        tracing::warn!("reload: {line}");
    }
    let (later, now): (Vec<_>, Vec<_>) = reloaded.changes.iter().partition(|change| change.needs_restart);
    for change in &now {
        tracing::info!("reload: {}", change.what);
    }
    for change in &later {
        tracing::warn!("reload: needs a restart: {}", change.what);
    }
    let what = match (now.len(), later.len()) {
        (0, 0) => "nothing changed".to_owned(),
        (count, 0) => format!("{count} in force"),
        (0, count) => format!("{count} need a restart"),
        (count, later) => format!("{count} in force, {later} need a restart"),
    };
    for consequence in &reloaded.consequences {
        tracing::info!("reload: {}", consequence.sentence());
    }
    tracing::info!("reload done: {what} (plan {})", reloaded.revision);
    match &reloaded.trial {
        Some(trial) => format!("{what}, on trial for {} s", trial.left),
        None => what,
    }
}

/// What was fixed at the start stays as it was, so that the next comparison tells the difference again.
pub(super) fn keep_what_needs_a_restart(plan: Plan, old: &Plan) -> Plan {
    keep_what_was_fixed(plan, &old.global, old.admin.as_ref())
}

/// The same, of what a program before has fixed.
pub(super) fn keep_what_was_fixed(mut plan: Plan, global: &Global, admin: Option<&Admin>) -> Plan {
    plan.global.threads = global.threads;
    plan.global.max_connections = global.max_connections;
    plan.global.user.clone_from(&global.user);
    plan.global.control_socket.clone_from(&global.control_socket);
    plan.global.state_dir.clone_from(&global.state_dir);
    plan.admin = admin.cloned();
    plan
}

/// Warnings, and files whose last good one stays in force.
fn with_doubts(warnings: &Report, read: &certificates::Read) -> String {
    let mut text = warnings.render(false);
    for doubt in read.doubts() {
        text.push_str(&doubt);
        text.push('\n');
    }
    text
}

fn unusable_certificate(errors: &[String]) -> Refusal {
    let text = Some(errors.join("\n"));
    Refusal { text, ..refusal(Blame::Failure, "a file of TLS cannot be used") }
}

fn unusable_key(errors: &[String]) -> Refusal {
    let text = Some(errors.join("\n"));
    Refusal { text, ..refusal(Blame::Failure, "the key of a sticky pool cannot be used") }
}

pub(super) fn refusal(blame: Blame, detail: impl Into<String>) -> Refusal {
    Refusal { blame, detail: detail.into(), text: None, report: None }
}
