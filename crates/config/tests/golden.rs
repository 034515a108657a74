//! Each file in `tests/golden` holds one kind of mistake; beside it stands what the operator reads.
//!
//! `NAME.toml` is loaded by itself, `NAME/main.toml` with what it includes. After a change that is meant, run the test
//! with `EVENKEEL_REFRESH=1` and look at the difference.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test ends where it fails, and reads the files it compares with"
)]

#[path = "support/directory.rs"]
mod directory;

use std::fmt::Write;
use std::path::{Path, PathBuf};

use directory::Directory;
use evenkeel_config::load;

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// What is told about the file at `path`.
fn told(path: &Path) -> String {
    let variables = [("PORT", "8080"), ("BROKEN", "not an address"), ("EMPTY", "")].into_iter().collect();
    let source = Directory { root: golden(), variables };
    let (report, outcome) = match load(path, &source) {
        Ok(loaded) => (loaded.warnings, "loaded"),
        Err(report) => (report, "refused"),
    };
    let mut text = report.render(false);
    write!(text, "\n{outcome}: {} errors, {} warnings\n", report.count(), report.warnings()).unwrap();
    for problem in report.problems() {
        assert!(problem.help.is_some(), "no cure for: {}", problem.message);
    }
    text
}

#[test]
fn every_mistake_is_told_as_it_was_reviewed() {
    let refresh = std::env::var_os("EVENKEEL_REFRESH").is_some();
    let mut different = Vec::new();
    let mut count = 0;
    let mut entries: Vec<PathBuf> =
        std::fs::read_dir(golden()).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for entry in entries {
        let name = entry.file_name().unwrap().to_str().unwrap();
        let (path, expected) = match name.strip_suffix(".toml") {
            Some(stem) => (PathBuf::from(name), golden().join(format!("{stem}.expected"))),
            None if entry.is_dir() => {
                (Path::new(name).join("main.toml"), golden().join(format!("{name}.expected")))
            }
            None => continue,
        };
        count += 1;
        let told = told(&path);
        if refresh {
            std::fs::write(&expected, &told).unwrap();
        } else if std::fs::read_to_string(&expected).ok().as_deref() != Some(&told) {
            different.push(format!("{}:\n{told}", path.display()));
        }
    }
    assert!(different.is_empty(), "run with EVENKEEL_REFRESH=1 and review:\n\n{}", different.join("\n"));
    assert!(count >= 45, "only {count} kinds of mistakes");
}
