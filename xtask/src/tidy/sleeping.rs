//! Tests wait for events. One that sleeps is slow on a good day and fails on a bad one.

use super::Finding;
use super::tree::Tree;

const SLEEPS: [&str; 3] = ["sleep", "sleep_until", "park_timeout"];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (file, code) in tree.rust() {
        let all = file.path.ends_with("/tests.rs")
            || file.path.contains("/tests/")
            || file.path.starts_with("crates/testkit/");
        let tests = code.test_modules();
        for name in SLEEPS {
            let calls =
                code.words(name).filter(|&at| code.code.get(code.skip_blanks(at + name.len())) == Some(&'('));
            let in_tests = calls.filter(|at| all || tests.iter().any(|range| range.contains(at)));
            let what = format!("a test calls {name}: wait for the event instead");
            findings.extend(in_tests.map(|at| Finding::new(&file.path, code.line(at), what.clone())));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_may_sleep_and_tests_may_not() {
        let program = "fn a() { sleep(b); }\n#[cfg(test)]\nmod tests { fn c() { print(\"sleep(1)\"); } }";
        assert_eq!(check(&Tree::of(&[("crates/a/src/lib.rs", program)])), []);
        let test = "fn a() { sleep(b); }\n#[cfg(test)]\nmod tests {\n fn c() { std::thread::sleep(d); } }";
        assert_eq!(check(&Tree::of(&[("crates/a/src/lib.rs", test)]))[0].line, 4);
        for path in ["crates/a/tests/b.rs", "crates/a/src/b/tests.rs", "crates/testkit/src/lib.rs"] {
            assert_eq!(check(&Tree::of(&[(path, "fn a() { sleep(b); }")])).len(), 1, "{path}");
        }
    }
}
