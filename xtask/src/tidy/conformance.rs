//! The table of what HTTP/2 demands names tests that exist, and every test of a section.

use super::Finding;
use super::tree::Tree;

const TABLE: &str = "docs/guide/http2-conformance.md";
/// The sides of the proxy: the cell of a row that names its tests, and where those are, the suite itself first.
const SIDES: [(usize, &[&str]); 2] = [
    (3, &["crates/evenkeel/tests/program/http2/"]),
    (
        4,
        &[
            "crates/proxy/tests/http2_towards_servers/",
            "crates/proxy/tests/",
            "crates/evenkeel/tests/program/",
        ],
    ),
];
/// How the names of tests of a section start.
const SECTION: &str = "section_";

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let text = |path: &str| tree.files.iter().find(|file| file.path == path).map(|file| file.text.as_str());
    let mut findings = Vec::new();
    let Some(table) = text(TABLE) else { return findings };
    for (cell, places) in SIDES {
        let mut named = Vec::new();
        for (line, row) in table.lines().enumerate().filter(|(_, line)| line.starts_with('|')) {
            let cell = row.split('|').nth(cell).unwrap_or_default();
            // What stands between backticks.
            for name in cell.split('`').skip(1).step_by(2) {
                let Some((module, test)) = name.split_once("::") else { continue };
                let is_there = |place: &&str| {
                    text(&format!("{place}{module}.rs"))
                        .is_some_and(|code| tests(code).any(|(_, name)| name == test))
                };
                if !places.iter().any(is_there) {
                    findings.push(Finding::new(TABLE, line + 1, format!("there is no test `{name}`")));
                }
                named.push((module, test));
            }
        }
        for file in &tree.files {
            let Some(module) = module_in(&file.path, places[0]) else { continue };
            for (line, test) in tests(&file.text).filter(|(_, test)| test.starts_with(SECTION)) {
                if !named.contains(&(module, test)) {
                    let what = format!("`{module}::{test}` is not in {TABLE}");
                    findings.push(Finding::new(&file.path, line, what));
                }
            }
        }
    }
    findings
}

/// The name of a module directly in this directory.
fn module_in<'p>(path: &'p str, directory: &str) -> Option<&'p str> {
    path.strip_prefix(directory)?.strip_suffix(".rs").filter(|name| !name.contains('/'))
}

/// The names of tests with their lines.
fn tests(code: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut after_mark = false;
    code.lines().enumerate().filter_map(move |(line, text)| {
        let was = std::mem::replace(&mut after_mark, text.trim() == "#[test]");
        let name = text.trim().strip_prefix("fn ")?.split('(').next()?;
        was.then_some((line + 1, name))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODE: &str = "fn helper() {}\n\n#[test]\nfn section_1_a() {\n}\n\n#[test]\nfn other() {}\n";

    fn found(row: &str) -> Vec<String> {
        let tree = Tree::of(&[
            (TABLE, row),
            ("crates/evenkeel/tests/program/http2/states.rs", CODE),
            ("crates/proxy/tests/http2_towards_servers/states.rs", CODE),
            ("crates/proxy/tests/servers.rs", CODE),
        ]);
        check(&tree).iter().map(Finding::to_string).collect()
    }

    #[test]
    fn tests_that_are_named_exist_and_those_of_sections_are_named() {
        let right = "| 1 | a | `states::section_1_a` | `states::section_1_a`, `servers::other` |";
        assert_eq!(found(right), [""; 0]);
        let gone = "| 1 | `b::c` | `states::helper`, `states::section_1_a` | `states::section_1_a`, `states::section_1_b` |";
        assert_eq!(
            found(gone),
            [
                format!("{TABLE}:1: there is no test `states::helper`"),
                format!("{TABLE}:1: there is no test `states::section_1_b`"),
            ]
        );
        let one_side = "| 1 | a | – | `states::section_1_a` |";
        assert_eq!(found(one_side).len(), 1);
        assert!(found(one_side)[0].starts_with("crates/evenkeel/tests/program/http2/states.rs:4: "));
    }
}
