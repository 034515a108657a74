//! Tests wait for events. One that sleeps is slow on a good day and fails on a bad one.

use super::Finding;
use super::code::Code;
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
            let in_tests = code.words(name).filter(|at| all || tests.iter().any(|range| range.contains(at)));
            let sleeps = in_tests.filter(|&at| waits(code, at, name) && !on_a_stopped_clock(code, at));
            let what = format!("a test calls {name}: wait for the event instead");
            findings.extend(sleeps.map(|at| Finding::new(&file.path, code.line(at), what.clone())));
        }
    }
    findings
}

/// A call that is awaited or stands alone; a timer that is only made (and given to the code under test) waits for
/// nothing.
fn waits(code: &Code, at: usize, name: &str) -> bool {
    let open = code.skip_blanks(at + name.len());
    if code.code.get(open) != Some(&'(') {
        return false;
    }
    let after = code.skip_blanks(code.closing(open));
    let rest: String = code.code[after..].iter().take(6).collect();
    rest == ".await" || rest.starts_with(';') || rest.starts_with('}')
}

/// With tokio's clock stopped, time passes only as far as the test says.
fn on_a_stopped_clock(code: &Code, at: usize) -> bool {
    let thread: String = code.code[..at].iter().rev().take("thread::".len()).collect();
    thread != "::daerht" && code.words("start_paused").next().is_some()
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

    #[test]
    fn a_timer_that_is_made_and_a_stopped_clock_are_fine() {
        let found = |text: &str| check(&Tree::of(&[("crates/a/src/b/tests.rs", text)])).len();
        assert_eq!(found("fn a() { watch(sleep(b)); }"), 0);
        assert_eq!(found("fn a() { sleep(b).await; }"), 1);
        assert_eq!(found("#[tokio::test(start_paused = true)] fn a() { sleep(b).await; }"), 0);
        assert_eq!(found("#[tokio::test(start_paused = true)] fn a() { thread::sleep(b); }"), 1);
    }
}
