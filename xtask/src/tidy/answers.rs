//! Every reason code of an answer that the balancer makes itself is explained in the guide, and no other.

use std::collections::BTreeSet;

use super::Finding;
use super::tree::Tree;

const CODES: &str = "crates/http/src/answer.rs";
const GUIDE: &str = "docs/guide/answers.md";

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let text = |path: &str| tree.files.iter().find(|file| file.path == path).map(|file| file.text.as_str());
    let Some(source) = text(CODES) else { return Vec::new() };
    let Some(guide) = text(GUIDE) else { return vec![Finding::new(GUIDE, 0, "is missing")] };
    let (codes, explained) = (codes(source), explained(guide));
    let missing = codes.difference(&explained).map(|code| format!("does not explain the code `{code}`"));
    let extra =
        explained.difference(&codes).map(|code| format!("explains the code `{code}`, which there is not"));
    missing.chain(extra).map(|what| Finding::new(GUIDE, 0, what)).collect()
}

/// The texts that the arms of `fn code` give.
fn codes(source: &str) -> BTreeSet<&str> {
    let function =
        source.split("fn code(").nth(1).and_then(|rest| rest.split("\n    }\n").next()).unwrap_or_default();
    function.lines().filter_map(|line| line.split("=> \"").nth(1)?.split('"').next()).collect()
}

/// The second cells of the table's rows.
fn explained(guide: &str) -> BTreeSet<&str> {
    let rows = guide.lines().filter(|line| line.starts_with('|'));
    rows.filter_map(|line| line.split('|').nth(2)?.trim().strip_prefix('`')?.strip_suffix('`')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "fn status() { A => (400, \"Bad\") }\n    pub fn code(self) -> &'static str {\n        match self {\n            \
                          Self::A => \"a-b\",\n            Self::C => \"c\",\n        }\n    }\n\n    fn sentence() { A => \"x\" }";

    fn found(guide: &str) -> usize {
        check(&Tree::of(&[(CODES, SOURCE), (GUIDE, guide)])).len()
    }

    #[test]
    fn every_code_has_its_row_and_every_row_its_code() {
        assert_eq!(found("| 400 | `a-b` | x |\n| 404 | `c` | y |"), 0);
        assert_eq!(found("| 400 | `a-b` | x |"), 1);
        assert_eq!(found("| status | code |\n| 400 | `a-b` | x |\n| 404 | `c` | y |\n| 500 | `d` | z |"), 1);
        assert_eq!(check(&Tree::of(&[(CODES, SOURCE)])).len(), 1);
    }
}
