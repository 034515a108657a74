//! Turns text into a complete typed [`plan::Plan`], or into good errors.
//!
//! The way of a file: `text` reads TOML and replaces variables, `model` holds what was typed, `lower` decides what it
//! means. The crate does no I/O: files, patterns and the environment come in through [`Source`]. No input makes it
//! panic; every file, list and name has a bound. All problems are found at once, and a plan exists only when there is
//! no error.

use std::path::{Path, PathBuf};

pub mod diff;
pub mod explain;
pub mod found;
mod include;
pub mod keys;
mod lower;
mod masked;
mod model;
pub mod overlay;
pub mod plan;
mod problems;
pub mod reference;
pub mod report;
pub mod save;
pub mod schema;
mod suggest;
mod text;
mod units;
mod variables;

pub use include::{LARGEST_FILE, MOST_FILES, MOST_NESTING};
use plan::Plan;
pub use report::{Problem, Report, Severity};

/// What the configuration may ask of the world.
pub trait Source {
    /// The text of a file.
    ///
    /// # Errors
    /// Why it cannot be read, in words for the operator.
    fn read(&self, path: &Path) -> Result<String, String>;

    /// The files that match a pattern (`*`, `?`, `[…]`), in any order. `pattern` is absolute or relative to the
    /// directory `relative_to`. No match is an empty list.
    ///
    /// # Errors
    /// Why the pattern is invalid or a directory cannot be read, in words for the operator.
    fn glob(&self, pattern: &str, relative_to: &Path) -> Result<Vec<PathBuf>, String>;

    /// Says whether a check may run the program at this absolute path, as the user `user` (`None`: whom roles run as by
    /// default). A source that knows nothing of programs has nothing to say against one.
    ///
    /// # Errors
    /// Why not, in words for the operator: which element of the path is missing, which one others could change.
    fn program(&self, path: &Path, user: Option<&str>) -> Result<(), String> {
        let _unknown = (path, user);
        Ok(())
    }

    /// The value of an environment variable.
    fn variable(&self, name: &str) -> Option<String>;

    /// The name of this machine, for the keys of `[virtual-router.NAME.on.HOST]`; `None` when it has none.
    fn host_name(&self) -> Option<String> {
        None
    }
}

/// A configuration without errors.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What it means.
    pub plan: Plan,
    /// What is probably not meant so.
    pub warnings: Report,
    /// Every file that was read, in the order of reading.
    pub files: Vec<PathBuf>,
}

/// Reads the configuration at `path` and everything it includes.
///
/// # Errors
/// All errors and warnings, when there is at least one error.
// fuzz: config
pub fn load(path: &Path, source: &dyn Source) -> Result<Loaded, Report> {
    let mut problems = problems::Problems::default();
    let document = include::gather(path, source, &mut problems);
    let host = model::Host(source.host_name());
    let model = model::read(&document, &host, &mut problems);
    let plan = lower::lower(&model, &mut problems);
    lower::programs(&model, source, &mut problems);
    let files = problems.files();
    let report = problems.finish();
    match plan {
        Some(plan) if report.count() == 0 => Ok(Loaded { plan, warnings: report, files }),
        _ => Err(report),
    }
}

/// A duration as files write it, such as `30s`; `None` when it is none.
#[must_use]
pub fn duration(text: &str) -> Option<std::time::Duration> {
    units::duration(text).ok()
}
