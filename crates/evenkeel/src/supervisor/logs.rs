//! The files that access logs go to. They are opened here, because the proxy role has no rights, and opened again at each
//! reload, so that a file that was moved away is left.
//!
//! Invariant: for each file of the plan in force one is held, for a proxy role that is started again.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use evenkeel_config::plan::{LogTarget, Plan};
use evenkeel_proxy::message::Change;
use evenkeel_sys::output::open_log;

use super::Supervisor;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct LogFiles(BTreeMap<PathBuf, Arc<OwnedFd>>);

impl LogFiles {
    /// Opens the files of `plan` that are not held yet. When one fails, none of them stays open and every failure is
    /// told.
    pub(super) fn open_missing(&mut self, plan: &Plan) -> Result<(), Vec<String>> {
        let missing: Vec<&Path> = files(plan).filter(|path| !self.0.contains_key(*path)).collect();
        let (mut opened, mut failures) = (Vec::new(), Vec::new());
        for path in missing {
            match open_log(path) {
                Ok(file) => opened.push((path.to_owned(), Arc::new(file))),
                Err(error) => failures.push(error),
            }
        }
        if failures.is_empty() {
            self.0.extend(opened);
            return Ok(());
        }
        Err(failures)
    }

    /// Opens the files of `plan` that are not held and can be opened; says why others cannot.
    pub(super) fn open_possible(&mut self, plan: &Plan) -> Result<(), Vec<String>> {
        let mut failures = Vec::new();
        for path in files(plan) {
            if !self.has(path) {
                match open_log(path) {
                    Ok(file) => drop(self.0.insert(path.to_owned(), Arc::new(file))),
                    Err(error) => failures.push(error),
                }
            }
        }
        if failures.is_empty() { Ok(()) } else { Err(failures) }
    }

    /// Says whether this file is open.
    pub(super) fn has(&self, path: &Path) -> bool {
        self.0.contains_key(path)
    }

    /// Opens every file again. One that cannot be keeps the file it has, and that is told.
    fn open_again(&mut self) {
        for (path, file) in &mut self.0 {
            match open_log(path) {
                Ok(new) => *file = Arc::new(new),
                Err(error) => tracing::error!("{error}; its lines go on to where they went"),
            }
        }
    }

    /// Closes what `plan` does not name.
    pub(super) fn close_others(&mut self, plan: &Plan) {
        self.0.retain(|held, _| files(plan).any(|path| path == held));
    }
}

fn files(plan: &Plan) -> impl Iterator<Item = &Path> {
    plan.log_targets().into_iter().filter_map(|target| match target {
        LogTarget::File(path) => Some(path.as_path()),
        LogTarget::Stdout | LogTarget::Syslog => None,
    })
}

impl Supervisor {
    /// Gives the proxy role every file that is held.
    pub(super) fn send_log_files(&self) {
        for (path, file) in &self.log_files.0 {
            self.proxy.tell(Change::LogFile { path: path.clone() }, vec![Arc::clone(file)]);
        }
    }

    /// Leaves files that were moved away.
    pub(super) fn reopen_logs(&mut self) {
        self.log_files.open_again();
        self.send_log_files();
    }
}
