//! The access log: one line for each request or connection, written when it has ended.
//!
//! A worker formats a line into a buffer of its own ([`sink::Sink`]); a thread for each place writes what the workers
//! have gathered ([`writer`]). Invariants: traffic waits for no write; memory is bounded by [`sink::LANE_BYTES`] for each
//! worker and place; a line that finds no room is dropped and counted; nothing that a client sends can end a line or
//! leave its field ([`line`]).

mod line;
mod output;
mod sink;
mod stamp;
mod writer;

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use evenkeel_config::plan::{AccessLog, LogFormat, LogTarget, Plan};

use crate::message::LogSnapshot;
pub(crate) use line::{Asked, End, Facts, Http};
use output::Output;
use sink::{Sink, Writing};

/// How long the lines of the last connections may take to be written when the role ends.
const LAST_LINES: Duration = Duration::from_secs(1);

/// The log of one listener.
#[derive(Debug)]
pub(crate) struct Log {
    format: LogFormat,
    sink: Arc<Sink>,
}

impl Log {
    /// Adds the line of something that has ended now; drops it when the writer does not keep up.
    pub(crate) fn write(&self, worker: usize, facts: &Facts<'_>) {
        self.sink.add(worker, |stamp, out| line::write(self.format, facts, stamp, out));
    }
}

/// All places that lines go to.
#[derive(Debug, Default)]
pub(crate) struct Logs {
    places: BTreeMap<LogTarget, Arc<Sink>>,
    /// Places that no plan names any more: connections from before may still write to them, and their writers write
    /// what they have.
    leaving: Vec<(Weak<Sink>, Writing)>,
    /// Files that no plan in force writes to yet.
    files: BTreeMap<PathBuf, OwnedFd>,
}

/// Places that lie ready for a plan.
#[derive(Debug, Default)]
pub(crate) struct Opened(BTreeMap<LogTarget, Arc<Sink>>);

impl Logs {
    /// Takes a file that the supervisor has opened. One that is written to already is replaced: from here on lines go
    /// to the new one.
    pub(crate) fn take_file(&mut self, path: PathBuf, file: OwnedFd) {
        match self.places.get(&LogTarget::File(path.clone())) {
            Some(sink) => sink.replace(file),
            None => drop(self.files.insert(path, file)),
        }
    }

    /// Says what a plan needs and was not given.
    pub(crate) fn check(&self, plan: &Plan) -> Result<(), String> {
        for target in plan.log_targets() {
            if let LogTarget::File(path) = target
                && !self.places.contains_key(target)
                && !self.files.contains_key(path)
            {
                return Err(format!("no file was given for the access log {}", path.display()));
            }
        }
        Ok(())
    }

    /// Opens the places of a plan that are not open; no line goes there yet. Must be [checked](Self::check).
    pub(crate) fn open(&mut self, plan: &Plan, workers: usize) -> Result<Opened, String> {
        let mut opened = BTreeMap::new();
        for target in plan.log_targets() {
            if !self.places.contains_key(target) && !opened.contains_key(target) {
                let sink = self
                    .open_one(target, workers)
                    .map_err(|error| format!("the access log {target} cannot be written: {error}"))?;
                opened.insert(target.clone(), Arc::new(sink));
            }
        }
        Ok(Opened(opened))
    }

    /// From now on lines go to the places of a plan; all others are closed once nobody writes to them.
    pub(crate) fn follow(&mut self, plan: &Plan, opened: Opened) {
        let wanted = plan.log_targets();
        self.places.extend(opened.0);
        self.leaving.retain(|(_, writing)| !writing.has_ended());
        let unwanted = self.places.extract_if(.., |target, _| !wanted.contains(&target));
        self.leaving.extend(unwanted.map(|(_, sink)| (Arc::downgrade(&sink), sink.writing())));
        self.files.clear();
    }

    fn open_one(&mut self, target: &LogTarget, workers: usize) -> io::Result<Sink> {
        let output = match target {
            LogTarget::Stdout => Output::stdout()?,
            LogTarget::Syslog => Output::syslog(output::SYSTEM_LOG.into()),
            LogTarget::File(path) => {
                let file = self.files.remove(path).ok_or(io::ErrorKind::NotFound)?;
                Output::file(file)?
            }
        };
        Sink::start(target.clone(), workers, output)
    }

    /// The log of a listener.
    pub(crate) fn of(&self, log: Option<&AccessLog>) -> Option<Arc<Log>> {
        let log = log?;
        Some(Arc::new(Log { format: log.format, sink: self.places.get(&log.to)?.clone() }))
    }

    /// What became of the lines, place by place.
    pub(crate) fn tallies(&self) -> Vec<LogSnapshot> {
        self.places.values().map(|sink| sink.tally()).collect()
    }

    /// Writes what is left, as far as that is possible in [`LAST_LINES`].
    pub(crate) fn close(self) {
        let deadline = Instant::now() + LAST_LINES;
        for sink in self.places.values() {
            sink.close();
        }
        for sink in self.leaving.iter().filter_map(|(sink, _)| sink.upgrade()) {
            sink.close();
        }
        for sink in self.places.values() {
            sink.writing().wait(deadline);
        }
        for (_, writing) in &self.leaving {
            writing.wait(deadline);
        }
    }
}
