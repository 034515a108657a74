//! Whoever parses a stranger's bytes has a fuzz target.
//!
//! A parser is a public function in [`PLACES`] whose name starts with one of [`VERBS`] and that takes `&[u8]` or
//! `&str`. The comment `// fuzz: NAME` above it names its target; the mark is allowed above other functions too, and
//! every place has at least one. Each named target has `fuzz/fuzz_targets/NAME.rs` and inputs in `fuzz/corpus/NAME/`, and each target is named by a mark.

use std::collections::BTreeMap;

use super::Finding;
use super::code::Code;
use super::tree::Tree;

/// Where strangers' bytes are understood.
const PLACES: [&str; 4] =
    ["crates/http/src/", "crates/config/src/", "crates/failover/src/", "crates/sys/src/netlink"];
/// How the names of parsers start.
const VERBS: [&str; 3] = ["parse", "decode", "read"];
const MARK: &str = "// fuzz:";

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut marked = BTreeMap::new();
    for (file, code) in tree.rust() {
        if !file.path.starts_with("crates/") || is_test(&file.path) {
            continue;
        }
        for (line, name) in marks(code) {
            marked.entry(name).or_insert_with(|| (file.path.clone(), line));
        }
        if PLACES.iter().any(|place| file.path.starts_with(place)) {
            findings.extend(unmarked(code).map(|(line, function)| {
                let what = format!(
                    "`{function}` parses strangers' bytes: name its fuzz target above it: {MARK} NAME"
                );
                Finding::new(&file.path, line, what)
            }));
        }
    }
    findings.extend(PLACES.into_iter().filter_map(|place| {
        let code_there = tree.rust().any(|(file, _)| file.path.starts_with(place));
        let named_there = marked.values().any(|(path, _)| path.starts_with(place));
        let what = format!(
            "no function here names a fuzz target: put {MARK} NAME above the one strangers' bytes enter by"
        );
        (code_there && !named_there).then(|| Finding::new(place, 0, what))
    }));
    for (name, (path, line)) in &marked {
        let target = format!("fuzz/fuzz_targets/{name}.rs");
        if !tree.paths.contains(&target) {
            findings.push(Finding::new(path, *line, format!("names a fuzz target without file {target}")));
        }
        let corpus = format!("fuzz/corpus/{name}/");
        if tree.below(&corpus).next().is_none() {
            findings.push(Finding::new(
                path,
                *line,
                format!("names a fuzz target without inputs in {corpus}"),
            ));
        }
    }
    for path in tree.below("fuzz/fuzz_targets/") {
        let name = path.trim_start_matches("fuzz/fuzz_targets/").trim_end_matches(".rs");
        if !marked.contains_key(name) {
            findings.push(Finding::new(
                path,
                0,
                format!("is named by no function: put {MARK} {name} above one"),
            ));
        }
    }
    findings
}

fn is_test(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/tests/")
}

fn marks(code: &Code) -> Vec<(usize, String)> {
    let mut marks = Vec::new();
    for (index, line) in code.comment_lines().iter().enumerate() {
        if let Some(names) = line.trim().strip_prefix(MARK) {
            marks.extend(names.split(',').map(|name| (index + 1, name.trim().to_owned())));
        }
    }
    marks
}

/// The parsers without a mark, each with its line.
fn unmarked(code: &Code) -> impl Iterator<Item = (usize, String)> {
    let tests = code.test_modules();
    let comments = code.comment_lines();
    let lines = code.code_lines();
    code.words("fn")
        .filter_map(move |at| {
            let line = code.line(at);
            let name_at = code.skip_blanks(at + "fn".len());
            let name = code.word_at(name_at);
            let a_parser = VERBS.iter().any(|verb| name == *verb || name.starts_with(&format!("{verb}_")))
                && is_public(&lines[line - 1])
                && takes_bytes(code, name_at)
                && !tests.iter().any(|range| range.contains(&at));
            // Above the function stand its attributes and comments, up to a line of other code or an empty one.
            let above = (0..line - 1).rev().take_while(|&index| {
                let code = lines[index].trim();
                code.starts_with("#[") || (code.is_empty() && !comments[index].trim().is_empty())
            });
            let marked = above.into_iter().any(|index| comments[index].trim().starts_with(MARK));
            (a_parser && !marked).then_some((line, name))
        })
        .collect::<Vec<_>>()
        .into_iter()
}

fn is_public(line: &str) -> bool {
    line.trim_start().starts_with("pub ")
}

/// Looks at the parameters of the function whose name stands at `name_at`.
fn takes_bytes(code: &Code, name_at: usize) -> bool {
    let Some(open) = code.code[name_at..].iter().position(|&char| char == '(') else { return false };
    let parameters = &code.code[name_at + open..code.closing(name_at + open)];
    let text: String = parameters.iter().collect();
    // Lifetimes do not matter: `&'a [u8]` is `&[u8]`.
    let mut plain = String::new();
    for word in text.split_whitespace() {
        let word = word.split_once('\'').map_or(word, |(before, _)| before);
        plain.push_str(word);
    }
    plain.contains("&[u8]") || plain.contains("&str")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGET: (&str, &str) = ("fuzz/fuzz_targets/head.rs", "");
    const INPUT: (&str, &str) = ("fuzz/corpus/head/get", "");

    fn whats(files: &[(&str, &str)]) -> Vec<String> {
        check(&Tree::of(files)).into_iter().map(|finding| finding.to_string()).collect()
    }

    #[test]
    fn a_marked_parser_with_target_and_inputs_is_fine() {
        let text = "/// Reads.\n// fuzz: head\n#[must_use]\npub fn parse<'a>(bytes: &'a [u8]) -> Head<'a> {}";
        assert_eq!(whats(&[("crates/http/src/head.rs", text), TARGET, INPUT]), [""; 0]);
    }

    #[test]
    fn a_parser_without_mark_is_found() {
        let text = "// fuzz: head\npub fn other() {}\n\npub fn decode_chunk(\n    input: &[u8],\n) {}";
        let found = whats(&[("crates/http/src/body.rs", text), TARGET, INPUT]);
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("crates/http/src/body.rs:4: `decode_chunk`"), "{found:?}");
    }

    #[test]
    fn a_place_whose_parsers_are_all_hidden_names_a_target_too() {
        let file = ("crates/config/src/lib.rs", "pub fn load(path: &Path) {}");
        assert_eq!(whats(&[file]).len(), 1);
        let file = ("crates/config/src/lib.rs", "// fuzz: head\npub fn load(path: &Path) {}");
        assert_eq!(whats(&[file, TARGET, INPUT]), [""; 0]);
    }

    #[test]
    fn private_functions_other_names_arguments_and_places_are_no_parsers() {
        let text = "fn parse(a: &str) {}\npub(crate) fn parse_b(a: &str) {}\npub fn parser(a: &str) {}\n\
                    pub fn parse_c(a: u8) {}\n#[cfg(test)]\nmod tests {\n    pub fn parse(a: &str) {}\n}";
        let marked = format!("// fuzz: head\nfn a() {{}}\n\n{text}");
        assert_eq!(whats(&[("crates/http/src/a.rs", &marked), TARGET, INPUT]), [""; 0]);
        assert_eq!(whats(&[("crates/proxy/src/a.rs", "pub fn parse(a: &str) {}")]), [""; 0]);
    }

    #[test]
    fn a_mark_without_target_or_inputs_is_found() {
        let file = ("crates/config/src/text.rs", "// fuzz: head\npub fn parse(a: &str) {}");
        assert_eq!(whats(&[file, INPUT]).len(), 1);
        assert_eq!(whats(&[file, TARGET]).len(), 1);
        assert_eq!(whats(&[file, TARGET, INPUT]).len(), 0);
    }

    #[test]
    fn a_target_that_nobody_names_is_found() {
        assert_eq!(whats(&[TARGET, INPUT]).len(), 1);
    }
}
