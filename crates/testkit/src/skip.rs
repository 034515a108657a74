//! Tests that cannot run here say so, and `./test` counts them.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

/// Notes that the calling test cannot run here and why; the test returns after it.
///
/// The line `test name: reason` goes to the file that `$EVENKEEL_SKIPPED` names, where `./test` counts it, and to
/// standard error.
pub fn skip(reason: &str) {
    let thread = std::thread::current();
    let line = line(thread.name().unwrap_or("unnamed test"), reason);
    eprint!("skipped {line}");
    if let Some(path) = std::env::var_os("EVENKEEL_SKIPPED") {
        append(Path::new(&path), &line);
    }
}

/// Says whether the program `name` is installed; if not, [`skip`]s with that reason.
#[must_use]
pub fn needs(name: &str) -> bool {
    let found = find(name, &std::env::var_os("PATH").unwrap_or_default());
    if !found {
        skip(&format!("{name} is not installed"));
    }
    found
}

/// Says whether the test runs as root; if not, [`skip`]s with that reason.
#[must_use]
pub fn needs_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        skip("needs root");
    }
    root
}

/// One line, whatever the reason contains: lines are what is counted.
fn line(test: &str, reason: &str) -> String {
    format!("{test}: {}\n", reason.split_whitespace().collect::<Vec<_>>().join(" "))
}

fn append(path: &Path, line: &str) {
    let mut file =
        OpenOptions::new().create(true).append(true).open(path).expect("the file of $EVENKEEL_SKIPPED");
    file.write_all(line.as_bytes()).expect("writing to the file of $EVENKEEL_SKIPPED");
}

/// Debian keeps servers in `sbin`, which is not in everybody's `PATH`.
fn find(name: &str, path: &std::ffi::OsStr) -> bool {
    let system = ["/usr/sbin", "/sbin"].map(Into::into);
    std::env::split_paths(path).chain(system).any(|directory| directory.join(name).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skips_are_one_line_each() {
        let directory = crate::temp_dir();
        let file = directory.path().join("skipped");
        append(&file, &line("first", "no\n  nginx"));
        append(&file, &line("second", "needs root"));
        assert_eq!(std::fs::read_to_string(file).unwrap(), "first: no nginx\nsecond: needs root\n");
    }

    #[test]
    fn programs_are_found_on_the_path_only() {
        let directory = crate::temp_dir();
        std::fs::write(directory.path().join("thing"), "").unwrap();
        assert!(find("thing", directory.path().as_os_str()));
        assert!(!find("no-such-thing", directory.path().as_os_str()));
    }
}
