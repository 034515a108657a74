//! A file that is too long has a seam that nobody looked for.

use super::Finding;
use super::tree::Tree;

/// Lines of a source file; long before, at 400 to 500, is the time to look for the seam.
const MOST_LINES: usize = 700;
const SOURCES: [&str; 3] = [".rs", ".js", ".css"];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let sources = tree.files.iter().filter(|file| SOURCES.iter().any(|end| file.path.ends_with(end)));
    sources
        .filter_map(|file| {
            let lines = file.text.lines().count();
            let what = format!("has {lines} lines, more than {MOST_LINES}: find its seam");
            (lines > MOST_LINES).then(|| Finding::new(&file.path, 0, what))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seven_hundred_lines_are_allowed_and_one_more_is_not() {
        assert_eq!(check(&Tree::of(&[("a.rs", &"\n".repeat(700))])), []);
        assert_eq!(check(&Tree::of(&[("a.rs", &"\n".repeat(701))])).len(), 1);
        assert_eq!(check(&Tree::of(&[("Cargo.lock", &"\n".repeat(701))])), []);
    }
}
