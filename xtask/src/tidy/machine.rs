//! Nothing in the tree names a path of the machine it was written on.

use super::Finding;
use super::tree::Tree;

/// Directories that only some machines have. Written in pieces, or this file would find itself.
const PATHS: [&str; 4] =
    [concat!("/wo", "rk/"), concat!("/tm", "p/w/"), concat!("/ro", "ot/"), concat!("/ho", "me/")];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in &tree.files {
        for (index, line) in file.text.lines().enumerate() {
            for path in PATHS {
                // `https://example.com/work/` and `docs/work/` are no such paths.
                let absolute = line.match_indices(path).any(|(at, _)| {
                    !line[..at].ends_with(|before: char| before.is_alphanumeric() || "._-}*".contains(before))
                });
                if absolute {
                    findings.push(Finding::new(
                        &file.path,
                        index + 1,
                        format!("names {path}, a path of one machine"),
                    ));
                }
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absolute_paths_of_a_machine_are_found() {
        let text =
            format!("see {}x\nhttps://a.example{}x\ndocs{}x\n\"{}\"", PATHS[0], PATHS[0], PATHS[0], PATHS[1]);
        let lines: Vec<usize> =
            check(&Tree::of(&[("a.md", &text)])).iter().map(|finding| finding.line).collect();
        assert_eq!(lines, [1, 4]);
    }
}
