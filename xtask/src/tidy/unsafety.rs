//! `unsafe` stands in `crates/sys` and nowhere else, not even for a moment in a test.

use super::Finding;
use super::tree::Tree;

const ALLOWED: &str = "crates/sys/";

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (file, code) in tree.rust().filter(|(file, _)| !file.path.starts_with(ALLOWED)) {
        let what = "`unsafe` outside crates/sys: give crates/sys a safe function for it";
        findings.extend(code.words("unsafe").map(|at| Finding::new(&file.path, code.line(at), what)));
    }
    for file in &tree.files {
        let a_crate = file.path.starts_with("crates/") && file.path.ends_with("/Cargo.toml");
        if a_crate && !file.path.starts_with(ALLOWED) && !file.text.contains("[lints]\nworkspace = true\n") {
            let what = "does not take the lints of the workspace, which forbid unsafe code";
            findings.push(Finding::new(&file.path, 0, what));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_in_comments_texts_and_names_is_fine() {
        let text = "//! unsafe\nfn unsafe_code() { print(\"unsafe { }\", r#\"unsafe\"#) } /* unsafe */";
        assert_eq!(check(&Tree::of(&[("crates/http/src/lib.rs", text)])), []);
        assert_eq!(check(&Tree::of(&[("crates/sys/src/lib.rs", "unsafe { f() }")])), []);
    }

    #[test]
    fn the_keyword_is_found_wherever_it_stands() {
        let text =
            "fn a() {\n    unsafe{ f() }\n}\nunsafe impl Send for A {}\n#[unsafe(no_mangle)] fn b() {}";
        let lines: Vec<usize> =
            check(&Tree::of(&[("xtask/src/main.rs", text)])).iter().map(|f| f.line).collect();
        assert_eq!(lines, [2, 4, 5]);
    }

    #[test]
    fn a_crate_takes_the_lints_of_the_workspace() {
        let with = ("crates/a/Cargo.toml", "[package]\n[lints]\nworkspace = true\n");
        let without = ("crates/b/Cargo.toml", "[package]\n");
        assert_eq!(check(&Tree::of(&[with])), []);
        assert_eq!(check(&Tree::of(&[without])).len(), 1);
    }
}
