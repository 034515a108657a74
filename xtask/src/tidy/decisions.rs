//! The crates below the line decide and never look at the world: no I/O crate among their dependencies, and the lint
//! configuration that bans clocks and entropy is theirs.

use super::Finding;
use super::packages::Package;
use super::tree::Tree;

/// The crates below the line.
const DECISIONS: [&str; 4] = ["http", "traffic", "failover", "config"];

/// Crates that do I/O, wait, tell the time or roll dice, and those that bring such with them.
const OF_THE_WORLD: [&str; 22] = [
    "async-std",
    "axum",
    "chrono",
    "crossbeam",
    "fastrand",
    "futures",
    "getrandom",
    "h2",
    "hyper",
    "hyper-util",
    "libc",
    "mio",
    "nix",
    "rand",
    "rayon",
    "rtnetlink",
    "rustix",
    "signal-hook",
    "smol",
    "socket2",
    "tempfile",
    "tokio",
];

pub(super) fn check(tree: &Tree, packages: &[Package]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in packages.iter().filter(|package| DECISIONS.contains(&package.room())) {
        let directory = format!("crates/{}", package.room());
        for dependency in package.dependencies.iter().filter(|dependency| !dependency.dev) {
            if OF_THE_WORLD.contains(&dependency.name.as_str()) {
                let what =
                    format!("{} decides only and must not depend on {}", package.room(), dependency.name);
                findings.push(Finding::new(&format!("{directory}/Cargo.toml"), 0, what));
            }
        }
        let lints = format!("{directory}/clippy.toml");
        if !tree.paths.contains(&lints) {
            findings.push(Finding::new(&lints, 0, "is missing: link it to ../decisions.clippy.toml"));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::packages::package;
    use super::*;

    #[test]
    fn pure_dependencies_and_those_of_tests_are_allowed() {
        let tree = Tree::of(&[("crates/http/clippy.toml", "")]);
        assert_eq!(check(&tree, &[package("evenkeel-http", &["memchr", "dev:tokio"])]), []);
        assert_eq!(check(&tree, &[package("evenkeel-proxy", &["tokio"])]), []);
    }

    #[test]
    fn a_dependency_that_does_io_is_found() {
        let tree = Tree::of(&[("crates/config/clippy.toml", "")]);
        let findings = check(&tree, &[package("evenkeel-config", &["rand", "tokio", "toml"])]);
        assert_eq!(findings.len(), 2);
    }

    #[test]
    fn a_missing_lint_configuration_is_found() {
        let findings = check(&Tree::default(), &[package("evenkeel-traffic", &[])]);
        assert_eq!(findings[0].path, "crates/traffic/clippy.toml");
    }
}
