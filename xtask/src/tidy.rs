//! Checks of the whole tree that no compiler or linter makes: one file a check.
//!
//! A check is a function from the [`Tree`] to what it found; it reads nothing else and knows no other check.

mod answers;
mod arrows;
mod code;
mod conformance;
mod decisions;
mod fuzzed;
mod leftovers;
mod length;
mod links;
mod machine;
mod packages;
mod sleeping;
mod tree;
mod unsafety;

use std::fmt;
use std::path::Path;

use packages::Package;
use tree::Tree;

/// One thing that must be mended.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    path: String,
    /// From 1; 0 when it concerns the whole file.
    line: usize,
    what: String,
}

impl Finding {
    fn new(path: &str, line: usize, what: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, what: what.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.path, self.what),
            line => write!(f, "{}:{line}: {}", self.path, self.what),
        }
    }
}

/// Runs every check on the tree below `root`.
pub(crate) fn run(root: &Path) -> Result<(), String> {
    let tree = Tree::read(root).map_err(|error| format!("cannot read {}: {error}", root.display()))?;
    let packages = packages::read(root)?;
    let findings = check(&tree, &packages);
    if findings.is_empty() {
        println!("tidy: {} files and {} packages are in order", tree.files.len(), packages.len());
        return Ok(());
    }
    let list: Vec<String> = findings.iter().map(Finding::to_string).collect();
    Err(format!("{}\ntidy: {} to mend", list.join("\n"), findings.len()))
}

fn check(tree: &Tree, packages: &[Package]) -> Vec<Finding> {
    let mut findings = arrows::check(packages);
    findings.extend(arrows::check_messages(tree));
    findings.extend(decisions::check(tree, packages));
    findings.extend(unsafety::check(tree));
    findings.extend(fuzzed::check(tree));
    findings.extend(answers::check(tree));
    findings.extend(conformance::check(tree));
    findings.extend(length::check(tree));
    findings.extend(leftovers::check(tree));
    findings.extend(sleeping::check(tree));
    findings.extend(links::check(tree));
    findings.extend(machine::check(tree));
    findings.sort();
    findings
}
