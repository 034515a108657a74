//! `evenkeel config save`: the runtime changes become part of the configuration file.
//!
//! Invariants: the file is written only when its new text means exactly what is in force, and whole; a runtime change is
//! forgotten only after the file that has it was written; killed in between, both have it, which is the same.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use evenkeel_admin::message::{Answer, Blame, EventKind, Refusal, Saved};
use evenkeel_config::plan::Plan;
use evenkeel_config::{Loaded, Source, save};

use super::events::Happened;
use super::reload::{keep_what_needs_a_restart, refusal};
use super::{Supervisor, live, store};
use crate::files::{Machine, plain};

/// The files of the machine, with other texts for some.
struct Drafts<'a>(&'a BTreeMap<PathBuf, String>);

impl Source for Drafts<'_> {
    fn read(&self, path: &Path) -> Result<String, String> {
        self.0.get(path).map_or_else(|| Machine.read(path), |text| Ok(text.clone()))
    }

    fn glob(&self, pattern: &str, relative_to: &Path) -> Result<Vec<PathBuf>, String> {
        Machine.glob(pattern, relative_to)
    }

    fn program(&self, path: &Path, user: Option<&str>) -> Result<(), String> {
        Machine.program(path, user)
    }

    fn variable(&self, name: &str) -> Option<String> {
        Machine.variable(name)
    }
}

impl Supervisor {
    pub(super) fn save_config(&mut self, by: &str) -> Answer {
        match self.save() {
            Ok(saved) => {
                let names: Vec<String> = saved.files.iter().map(|file| file.display().to_string()).collect();
                if !names.is_empty() {
                    let what = format!("{} written: {}", names.join(", "), saved.changes.join("; "));
                    tracing::info!("audit: {by}: {what}");
                    self.happened(Happened::new(EventKind::ConfigSaved, what).by(by));
                }
                Answer::Saved(saved)
            }
            Err(refusal) => {
                tracing::warn!("the configuration was not saved: {}", refusal.detail);
                Answer::Refused(refusal)
            }
        }
    }

    fn save(&mut self) -> Result<Saved, Refusal> {
        if !self.may_send_a_plan() {
            return Err(refusal(Blame::Busy, "another change is under way: try again in a moment"));
        }
        // Changes of servers that were found have no place in a file: they stay runtime changes.
        let told = live::told(&self.overlay, &self.file);
        if told.is_empty() {
            return Ok(Saved { files: Vec::new(), changes: Vec::new() });
        }
        if let Some(leaving) = self.overlay.entries().find(|entry| entry.leaving) {
            return Err(refusal(
                Blame::Conflict,
                format!(
                    "server {}/{} is being removed and drains: save when that is done",
                    leaving.pool, leaving.server
                ),
            ));
        }
        let Loaded { plan, files, .. } = self.load()?;
        if keep_what_needs_a_restart(plan, &self.plan) != *self.file {
            return Err(refusal(
                Blame::Conflict,
                format!(
                    "{} was edited since it was read: `evenkeel diff` shows how; put it in force with `evenkeel reload`, then save",
                    self.config.display()
                ),
            ));
        }
        let drafts = self.drafts(&files)?;
        let meant = evenkeel_config::load(&self.config, &Drafts(&drafts));
        let meant = meant.ok().map(|loaded| keep_what_needs_a_restart(loaded.plan, &self.plan));
        let fits = |meant: &Plan| {
            let base = self.discovery.over(meant);
            self.overlay.settle(&base).over(&base) == *self.plan
        };
        let Some(meant) = meant.filter(fits) else {
            return Err(refusal(
                Blame::Conflict,
                "the changes cannot be written so that the file means what is in force: write them by hand (`evenkeel diff` \
                 lists them), then `evenkeel reload`",
            ));
        };
        for (path, text) in &drafts {
            store::rewrite(path, text).map_err(|error| {
                refusal(
                    Blame::Failure,
                    format!(
                        "{} cannot be written: {}; let the user who runs Evenkeel write it and its directory",
                        path.display(),
                        plain(&error)
                    ),
                )
            })?;
        }
        self.file = Arc::new(meant);
        self.overlay = self.overlay.settle(&self.base());
        if let Err(why) = self.store.save(&self.overlay) {
            // The file has them, so they make no difference.
            tracing::warn!("runtime changes that are in the file now could not be forgotten: {why}");
        }
        let changes = told
            .iter()
            .filter(|change| change.idle.is_none())
            .map(|change| format!("{}/{} {}", change.pool, change.server, change.what));
        Ok(Saved { files: drafts.into_keys().collect(), changes: changes.collect() })
    }

    /// The new text of each file that changes.
    fn drafts(&self, files: &[PathBuf]) -> Result<BTreeMap<PathBuf, String>, Refusal> {
        let entries: Vec<_> =
            self.overlay.told(&self.file).into_iter().filter(|told| told.idle.is_none()).collect();
        let entries: Vec<_> = entries.into_iter().map(|told| told.entry.clone()).collect();
        let mut drafts = BTreeMap::new();
        for path in files {
            let failed = |why: String| refusal(Blame::Failure, format!("{}: {why}", path.display()));
            let text = Machine.read(path).map_err(failed)?;
            let (new, written) = save::write(&text, &entries).map_err(|error| failed(error.to_string()))?;
            if written > 0 {
                drafts.insert(path.clone(), new);
            }
        }
        Ok(drafts)
    }
}
