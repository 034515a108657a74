//! Which crate may know which: the picture in ARCHITECTURE.md as data.

use super::Finding;
use super::packages::{Package, room};
use super::tree::Tree;

/// Each crate and the crates it may know. Whoever adds a crate draws its arrows here and in the picture.
const ALLOWED: [(&str, &[&str]); 12] = [
    ("http", &[]),
    ("traffic", &["http"]),
    ("failover", &[]),
    ("config", &["http", "traffic", "failover"]),
    ("sys", &[]),
    ("proxy", &["config", "http", "traffic", "sys"]),
    ("ha", &["config", "failover", "sys"]),
    ("pair", &["sys"]),
    ("admin", &["proxy", "ha", "pair", "sys", "config", "traffic", "failover"]),
    ("evenkeel", &["admin", "proxy", "ha", "pair", "sys", "config", "traffic", "failover", "http"]),
    // Its simulator runs the machines of `failover`.
    ("testkit", &["failover"]),
    ("xtask", &["testkit"]),
];

/// Support of tests: known to tests only.
const NEVER_SHIPPED: &str = "testkit";

/// Who knows whom only by its messages: the crate and the three whose `message` it may use.
const BY_MESSAGE_ONLY: (&str, [&str; 3]) =
    ("crates/admin/", ["evenkeel_proxy", "evenkeel_ha", "evenkeel_pair"]);

/// Looks at every arrow between our crates, those of tests too.
pub(super) fn check(packages: &[Package]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in packages {
        let path = "Cargo.toml";
        let ours = package.dependencies.iter().filter(|dependency| dependency.ours);
        let known: Vec<_> = ours.collect();
        if package.name == "xtask" && known.is_empty() {
            continue;
        }
        let Some((_, allowed)) = ALLOWED.iter().find(|(name, _)| *name == package.room()) else {
            findings.push(Finding::new(
                path,
                0,
                format!("`{}` is not in the picture: add its arrows to tidy/arrows.rs", package.name),
            ));
            continue;
        };
        for dependency in known {
            let to = room(&dependency.name);
            if to == NEVER_SHIPPED && dependency.dev {
                continue;
            }
            if !allowed.contains(&to) {
                let from = package.room();
                let why = if to == NEVER_SHIPPED {
                    "it is for tests, use [dev-dependencies]"
                } else {
                    "no such arrow"
                };
                findings.push(Finding::new(path, 0, format!("{from} must not depend on {to}: {why}")));
            }
        }
    }
    findings
}

/// Looks at what a crate uses of those that it may know by their messages only.
pub(super) fn check_messages(tree: &Tree) -> Vec<Finding> {
    let (below, known) = BY_MESSAGE_ONLY;
    let mut findings = Vec::new();
    for (file, code) in tree.rust().filter(|(file, _)| file.path.starts_with(below)) {
        for name in known {
            let other_use = code.words(name).filter(|&at| {
                let path = code.skip_blanks(at + name.len());
                let message = code.code[path..].starts_with(&[':', ':'])
                    && code.word_at(code.skip_blanks(path + 2)) == "message";
                !message
            });
            findings.extend(other_use.map(|at| {
                let what = format!("knows {name} by `{name}::message` only");
                Finding::new(&file.path, code.line(at), what)
            }));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::packages::package;
    use super::*;

    fn texts(findings: &[Finding]) -> Vec<&str> {
        findings.iter().map(|finding| finding.what.as_str()).collect()
    }

    #[test]
    fn arrows_that_go_down_are_allowed() {
        let packages = [
            package("evenkeel-http", &["memchr", "dev:evenkeel-testkit"]),
            package("evenkeel-proxy", &["evenkeel-config", "evenkeel-sys", "tokio"]),
            package("evenkeel", &["evenkeel-admin", "evenkeel-proxy", "dev:evenkeel-testkit"]),
            package("xtask", &["serde_json"]),
        ];
        assert_eq!(check(&packages), []);
    }

    #[test]
    fn arrows_that_go_up_or_aside_are_found() {
        let packages = [
            package("evenkeel-http", &["evenkeel-traffic"]),
            package("evenkeel-proxy", &["evenkeel-ha"]),
            package("evenkeel-sys", &["dev:evenkeel-proxy"]),
        ];
        assert_eq!(
            texts(&check(&packages)),
            [
                "http must not depend on traffic: no such arrow",
                "proxy must not depend on ha: no such arrow",
                "sys must not depend on proxy: no such arrow",
            ]
        );
    }

    #[test]
    fn test_support_is_never_shipped() {
        let packages = [package("evenkeel", &["evenkeel-testkit"])];
        assert_eq!(
            texts(&check(&packages)),
            ["evenkeel must not depend on testkit: it is for tests, use [dev-dependencies]"]
        );
    }

    #[test]
    fn a_crate_without_arrows_in_the_picture_is_found() {
        assert_eq!(check(&[package("evenkeel-new", &[])]).len(), 1);
        assert_eq!(check(&[package("xtask", &["evenkeel-http"])]).len(), 1);
    }

    #[test]
    fn admin_may_use_messages_and_nothing_else() {
        let text =
            "use evenkeel_proxy::message::Snapshot;\nuse evenkeel_proxy::message;\n// evenkeel_proxy::x\n";
        assert_eq!(check_messages(&Tree::of(&[("crates/admin/src/lib.rs", text)])), []);
        let text =
            "use evenkeel_proxy::worker;\nuse evenkeel_ha::{message, run};\nuse evenkeel_proxy as p;\n";
        let lines: Vec<usize> = check_messages(&Tree::of(&[("crates/admin/src/lib.rs", text)]))
            .iter()
            .map(|finding| finding.line)
            .collect();
        assert_eq!(lines, [1, 3, 2]);
        assert_eq!(check_messages(&Tree::of(&[("crates/evenkeel/src/x.rs", text)])), []);
    }
}
