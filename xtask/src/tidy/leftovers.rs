//! What was left open must not be committed: finish it, or write an issue.

use super::Finding;
use super::tree::Tree;

/// Written in pieces, or this file would find itself.
const WORDS: [&str; 3] = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("X", "XX")];
const PHRASES: [&str; 4] = [
    concat!("not yet ", "implemented"),
    concat!("not implemented ", "yet"),
    concat!("not yet ", "supported"),
    concat!("not supported ", "yet"),
];
const MACROS: [&str; 2] = ["todo", "unimplemented"];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in &tree.files {
        for (index, line) in file.text.lines().enumerate() {
            let word =
                WORDS.into_iter().find(|word| line.split(|c: char| !c.is_alphanumeric()).any(|w| w == *word));
            let phrase = PHRASES.into_iter().find(|phrase| line.contains(phrase));
            if let Some(what) = word.or(phrase) {
                findings.push(Finding::new(&file.path, index + 1, format!("left open: {what}")));
            }
        }
    }
    for (file, code) in tree.rust() {
        for name in MACROS {
            let calls = code.words(name).filter(|&at| code.code.get(at + name.len()) == Some(&'!'));
            findings.extend(
                calls.map(|at| Finding::new(&file.path, code.line(at), format!("left open: {name}!"))),
            );
        }
        let ignored = code.words("ignore").filter(|&at| at >= 2 && code.code[at - 2..at] == ['#', '[']);
        let what = "an ignored test tests nothing: let it skip with its reason";
        findings.extend(ignored.map(|at| Finding::new(&file.path, code.line(at), what)));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_words_and_texts_are_fine() {
        let text =
            "// mastodon\nlet a = \"todo!()\"; let todo = 1; // #[ignore]\nlet b = \"501 Not Implemented\";";
        assert_eq!(check(&Tree::of(&[("a.rs", text)])), []);
    }

    #[test]
    fn each_kind_is_found() {
        let text =
            format!("// {}: x\n{}\ntodo!()\n#[ignore = \"slow\"]\nunimplemented!()", WORDS[0], PHRASES[3]);
        let lines: Vec<usize> =
            check(&Tree::of(&[("a.rs", &text)])).iter().map(|finding| finding.line).collect();
        assert_eq!(lines, [1, 2, 3, 5, 4]);
        assert_eq!(check(&Tree::of(&[("a.md", &format!("({})", WORDS[1]))])).len(), 1);
    }
}
