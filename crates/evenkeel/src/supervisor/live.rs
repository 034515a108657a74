//! Servers that are changed while the program runs: an edit becomes part of the overlay, the overlay laid over the file's
//! plan becomes the plan in force, by the way that a reload takes.
//!
//! ```text
//!   edits that wait ─▶ overlay ─▶ kept in state-dir ─▶ plan ─▶ proxy role ─▶ answered
//! ```
//!
//! Invariants: an edit is answered once it is kept and in force, or nothing of it is; edits that wait while another plan is
//! under way are done together, in their order.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use evenkeel_admin::message::{Answer, Blame, Edited, EventKind, RuntimeChange, ServerSettings};
use evenkeel_config::overlay::{self, Cause, Conditions, Edit, NotDone, Overlay};
use evenkeel_config::plan::{Plan, Server};
use evenkeel_proxy::message::Change;
use evenkeel_traffic::name::Name;
use tokio::time::Instant;

use super::events::Happened;
use super::reload::{UnderWay, What};
use super::{Asker, Supervisor, refuse};

/// Edits that may wait for a plan under way; further ones are refused. What ends by itself is not counted.
const MOST_WAITING: usize = 256;

/// What somebody wants of a server.
#[derive(Debug)]
pub(super) struct Wish {
    pub(super) asker: Asker,
    pub(super) by: String,
    pub(super) pool: Name,
    pub(super) server: Name,
    pub(super) edit: Edit,
    pub(super) conditions: Conditions,
    /// How long a server that leaves may drain.
    pub(super) within: Duration,
}

/// What waits to be done.
#[derive(Debug)]
pub(super) enum Waiting {
    /// Somebody's wish.
    Wish(Box<Wish>),
    /// Servers that were leaving can go. The words say why now.
    Gone(Vec<(Name, Name, String)>),
}

/// Edits that wait, in their order.
#[derive(Debug, Default)]
pub(super) struct Edits {
    waiting: VecDeque<Waiting>,
}

impl Edits {
    pub(super) fn are_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }
}

/// One change on its way, and whom to tell.
#[derive(Debug)]
pub(super) struct Done {
    asker: Option<Asker>,
    by: Option<String>,
    pool: Name,
    server: Name,
    before: Option<String>,
    within: Option<Duration>,
    /// Why it was done, when nobody asked.
    why: Option<String>,
}

impl Supervisor {
    pub(super) fn edit_on_command(&mut self, wish: Wish, now: Instant) {
        let refusal = if self.ending.is_some() {
            "Evenkeel is stopping"
        } else if self.edits.waiting.len() >= MOST_WAITING {
            "too many changes wait for the one under way: ask again later"
        } else {
            self.edits.waiting.push_back(Waiting::Wish(Box::new(wish)));
            self.edit_if_wanted(now);
            return;
        };
        self.answer(wish.asker, refuse(Blame::Busy, refusal));
    }

    /// The servers that were leaving and can go.
    pub(super) fn let_go(&mut self, gone: Vec<(Name, Name, String)>, now: Instant) {
        let gone = self.let_found_go(gone, now);
        if !gone.is_empty() {
            self.edits.waiting.push_back(Waiting::Gone(gone));
        }
        self.edit_if_wanted(now);
    }

    /// Does what waits, when nothing is under way.
    pub(super) fn edit_if_wanted(&mut self, now: Instant) {
        if self.edits.waiting.is_empty() || !self.may_send_a_plan() {
            return;
        }
        let before = self.overlay.clone();
        let base = self.base();
        let mut overlay = before.clone();
        let mut plan = Plan::clone(&self.plan);
        let mut done = Vec::new();
        for waiting in std::mem::take(&mut self.edits.waiting) {
            let next = match waiting {
                Waiting::Wish(wish) => match Self::edited(&overlay, (&base, &plan), &wish) {
                    Ok(next) => {
                        done.push(wish.done(&plan));
                        next
                    }
                    Err(NotDone { cause, detail }) => {
                        self.answer(wish.asker, refuse(blame(cause), detail));
                        continue;
                    }
                },
                Waiting::Gone(gone) => {
                    let names: BTreeSet<Names<'_>> =
                        gone.iter().map(|(pool, server, _)| (pool, server)).collect();
                    done.extend(finished(&overlay, &plan, &gone, &names));
                    overlay.finished(&base, &names)
                }
            };
            if next != overlay {
                plan = next.over(&base);
                overlay = next;
            }
        }
        if done.is_empty() {
            return;
        }
        if overlay == before {
            self.edits_done(done, now);
            return;
        }
        if let Err(why) = self.store.save(&overlay) {
            self.alarm(format!("a change of servers was refused, because it cannot be kept: {why}"));
            self.edits_refused(done, Blame::Failure, &format!("the change cannot be kept: {why}"));
            return;
        }
        self.overlay = overlay;
        if plan == *self.plan {
            self.edits_done(done, now);
            return;
        }
        self.last_revision += 1;
        let (revision, plan) = (self.last_revision, Arc::new(plan));
        if !self.proxy.is_alive() {
            // The next process begins with this plan.
            (self.revision, self.plan) = (revision, plan);
            self.edits_done(done, now);
            return;
        }
        self.send_keys(&self.keys);
        self.proxy.tell(Change::Apply { revision, plan: super::for_proxy(&plan) }, Vec::new());
        self.reloads.set_under_way(UnderWay::new(revision, plan, What::Edits { done, before }, now));
    }

    fn edited(overlay: &Overlay, plans: (&Plan, &Plan), wish: &Wish) -> Result<Overlay, NotDone> {
        let names = (&wish.pool, &wish.server);
        let at = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        overlay.edit(plans, names, &wish.edit, &wish.conditions, &wish.by, at)
    }

    /// The changes are in force: tells everybody, and waits for those that leave.
    pub(super) fn edits_done(&mut self, done: Vec<Done>, now: Instant) {
        let (plan, base) = (self.plan.clone(), self.base());
        let names: BTreeSet<Names<'_>> = done.iter().map(|one| (&one.pool, &one.server)).collect();
        let known = those(&plan, &names);
        let found: Vec<Option<&Server>> =
            done.iter().map(|one| known.get(&(&one.pool, &one.server)).copied()).collect();
        for (Done { asker, by, pool, server, before, within, why }, found) in done.into_iter().zip(found) {
            let settings = found.map(|found| self.settings_of(&base, &pool, found));
            let leaving = settings.as_ref().is_some_and(|settings| settings.leaving);
            self.leaving.follow((&pool, &server), leaving, within, now);
            let after = found.map(overlay::described);
            let what = match (&before, &after) {
                _ if leaving => "drains before it is removed".to_owned(),
                (None, Some(after)) => format!("added ({after})"),
                (Some(_), None) => why.map_or_else(|| "removed".to_owned(), |why| format!("removed: {why}")),
                (Some(before), Some(after)) if before == after => "is as it was".to_owned(),
                (Some(before), Some(after)) => format!("changed from {before} to {after}"),
                (None, None) => "its runtime change is gone".to_owned(),
            };
            let who = by.as_deref().unwrap_or("by itself");
            tracing::info!("audit: {who}: server {pool}/{server}: {what}");
            let edited = Edited {
                created: before.is_none() && after.is_some(),
                leaves_within: within.filter(|_| leaving).map(|within| within.as_secs()),
                durable: self.store.directory().is_some(),
                notes: self.notes(&pool, &server),
                server: settings,
            };
            let kind = EventKind::ServerChanged;
            let subject = format!("{pool}/{server}");
            self.happened(Happened { kind, subject, what, by, before, after });
            if let Some(asker) = asker {
                self.answer(asker, Answer::Edited(Box::new(edited)));
            }
        }
    }

    /// What whoever changed this server should know.
    fn notes(&self, pool: &Name, server: &Name) -> Vec<String> {
        let mut notes = Vec::new();
        if self.store.directory().is_none() {
            notes.push(
                "the change ends with the program: set `global.state-dir`, or write it down with `evenkeel config save`"
                    .to_owned(),
            );
        }
        let takes = |server: &&Server| server.weight.value() > 0 && server.duty == Default::default();
        if self.plan.pool(pool).is_some_and(|pool| !pool.servers.iter().any(|one| takes(&one))) {
            notes.push(format!("pool {pool} has no server left that takes new traffic: it is refused (503)"));
        }
        if let Some(running) = self.leaving.left_behind(pool, server) {
            notes.push(running);
        }
        notes
    }

    /// Nothing of it was done.
    fn edits_refused(&mut self, done: Vec<Done>, blame: Blame, why: &str) {
        for Done { asker, pool, server, .. } in done {
            tracing::error!("server {pool}/{server} was not changed: {why}");
            if let Some(asker) = asker {
                self.answer(asker, refuse(blame, why));
            }
        }
    }

    /// The plan did not come into force: what was before holds again.
    pub(super) fn edits_go_back(&mut self, done: Vec<Done>, before: Overlay, why: &str) {
        self.overlay = before;
        if let Err(error) = self.store.save(&self.overlay) {
            self.alarm(format!("runtime changes that were refused may come back at the next start: {error}"));
        }
        self.edits_refused(done, Blame::Failure, why);
    }

    /// The program ends: so does every edit.
    pub(super) fn edits_end(&mut self) {
        for waiting in std::mem::take(&mut self.edits.waiting) {
            if let Waiting::Wish(wish) = waiting {
                self.answer(wish.asker, refuse(Blame::Busy, "Evenkeel is stopping"));
            }
        }
    }

    /// How this server is set.
    pub(super) fn settings(&self, pool: &Name, server: &Name) -> Answer {
        match find(&self.plan, pool, server) {
            Some(found) => {
                let mut settings = self.settings_of(&self.base(), pool, found);
                // It may be on its way out of the plan already.
                settings.leaving |= self.leaving.has(pool, server);
                Answer::Server(Box::new(settings))
            }
            None if self.plan.pool(pool).is_none() => {
                refuse(Blame::Missing, format!("there is no pool {pool}: `/v1/pools` lists them"))
            }
            None => refuse(
                Blame::Missing,
                format!("pool {pool} has no server {server}: `/v1/pools/{pool}` lists its servers"),
            ),
        }
    }

    fn settings_of(&self, base: &Plan, pool: &Name, found: &Server) -> ServerSettings {
        let server = &found.name;
        let leaving = self.overlay.entry(pool, server).is_some_and(|entry| entry.leaving);
        ServerSettings {
            pool: pool.clone(),
            name: server.clone(),
            address: found.address.clone(),
            check_address: found.check_address.clone(),
            weight: found.weight.value(),
            priority: found.priority.0,
            max_connections: found.max_connections.map(u32::from),
            state: found.duty,
            leaving: leaving || self.discovery.is_leaving(pool, server),
            runtime_change: self.overlay.told_of(base, pool, server).map(|told| told.what),
            tag: overlay::tag(found, leaving),
        }
    }

    /// Everything that differs from the file.
    pub(super) fn runtime_changes(&self) -> Vec<RuntimeChange> {
        told(&self.overlay, &self.base())
    }
}

/// The entries of an overlay for `status` and `diff`.
pub(super) fn told(overlay: &Overlay, file: &Plan) -> Vec<RuntimeChange> {
    let change = |told: overlay::Told<'_>| RuntimeChange {
        pool: told.entry.pool.clone(),
        server: told.entry.server.clone(),
        what: told.what,
        by: told.entry.by.clone(),
        at: told.entry.at,
        idle: told.idle.map(str::to_owned),
    };
    overlay.told(file).into_iter().map(change).collect()
}

impl Wish {
    fn done(self, plan: &Plan) -> Done {
        let before = find(plan, &self.pool, &self.server).map(overlay::described);
        let within = (self.edit == Edit::Leave).then_some(self.within);
        let Self { asker, by, pool, server, .. } = self;
        Done { asker: Some(asker), by: Some(by), pool, server, before, within, why: None }
    }
}

/// A pool and a server in it.
type Names<'a> = (&'a Name, &'a Name);

/// Those of these servers that the plan has: one look for all of them.
fn those<'p>(plan: &'p Plan, names: &BTreeSet<Names<'_>>) -> BTreeMap<Names<'p>, &'p Server> {
    let all = plan
        .pools
        .iter()
        .flat_map(|pool| pool.servers.iter().map(move |server| ((&pool.name, &server.name), server)));
    all.filter(|(name, _)| names.contains(name)).collect()
}

/// Those of `gone`, whose names are `names`, that were leaving, for whom their removal is done now.
fn finished(
    overlay: &Overlay,
    plan: &Plan,
    gone: &[(Name, Name, String)],
    names: &BTreeSet<Names<'_>>,
) -> Vec<Done> {
    let known = those(plan, names);
    let leaving: BTreeSet<Names<'_>> =
        overlay.entries().filter(|entry| entry.leaving).map(|entry| (&entry.pool, &entry.server)).collect();
    let gone = gone.iter().filter(|(pool, server, _)| leaving.contains(&(pool, server)));
    gone.map(|(pool, server, why)| Done {
        asker: None,
        by: None,
        pool: pool.clone(),
        server: server.clone(),
        before: known.get(&(pool, server)).copied().map(overlay::described),
        within: None,
        why: Some(why.clone()),
    })
    .collect()
}

fn find<'p>(plan: &'p Plan, pool: &Name, server: &Name) -> Option<&'p Server> {
    plan.pool(pool)?.servers.iter().find(|one| one.name == *server)
}

fn blame(cause: Cause) -> Blame {
    match cause {
        Cause::Missing => Blame::Missing,
        Cause::Invalid => Blame::Request,
        Cause::Conflict | Cause::Full => Blame::Conflict,
        Cause::Condition => Blame::Condition,
    }
}
