//! No text makes the reader panic, and what it tells fits the text.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test ends where it fails, and reads the files it compares with"
)]

use std::path::Path;

use evenkeel_config::diff::diff;
use evenkeel_config::{Problem, load};
use proptest::prelude::*;

#[path = "support/directory.rs"]
mod directory;
#[path = "support/text.rs"]
mod text;
use directory::Directory;
use text::Text;

fn look_at(text: &str) {
    let told: Vec<Problem> = match load(Path::new("evenkeel.toml"), &Text(text)) {
        Ok(loaded) => {
            assert_eq!(loaded.warnings.count(), 0);
            assert_eq!(diff(&loaded.plan, &loaded.plan), []);
            let json = serde_json::to_string(&loaded.plan).unwrap();
            assert_eq!(serde_json::from_str::<evenkeel_config::plan::Plan>(&json).unwrap(), loaded.plan);
            loaded.warnings.problems().to_vec()
        }
        Err(report) => {
            assert!(report.count() > 0, "refused without an error");
            assert!(report.render(true).contains("error"));
            report.problems().to_vec()
        }
    };
    for problem in told {
        let line = text.split('\n').nth(problem.place.line.unwrap() - 1).expect("the line is there");
        assert!(problem.place.column.unwrap() <= line.chars().count() + 1, "{problem:?}");
        assert!(problem.help.is_some());
    }
}

/// Pieces of configurations, so that random texts get further than the first line.
fn piece() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec![
        "[listener.a]",
        "[pool.a]",
        "[pool.a.servers]",
        "[[listener.a.route]]",
        "[global]",
        "[admin]",
        "bind",
        "pool",
        "mode",
        "host",
        "path",
        "header",
        "source",
        "weight",
        "threads",
        "include",
        "idle-timeout",
        "=",
        "\"",
        "'",
        "{",
        "}",
        "[",
        "]",
        ",",
        ".",
        "\n",
        "\"0.0.0.0:80\"",
        "\"tcp\"",
        "\"a\"",
        "true",
        "1",
        "-1",
        "\"5s\"",
        "\"1KiB\"",
        "${A:-b}",
        "\"${A}\"",
        "$$",
        "\"\"\"",
        "\\u00e4",
        "ä",
        "\r\n",
        "#",
        "address",
    ]);
    prop_oneof![4 => words.prop_map(str::to_owned), 1 => "\\PC{0,4}"]
}

proptest! {
    #[test]
    fn any_text_is_taken_without_a_panic(text in "(?s).{0,200}") {
        look_at(&text);
    }

    #[test]
    fn any_pieces_are_taken_without_a_panic(pieces in prop::collection::vec(piece(), 0..60), space in "[ \n]?") {
        look_at(&pieces.join(&space));
    }

    #[test]
    fn any_one_change_to_an_example_is_taken_without_a_panic(at in any::<prop::sample::Index>(), put in "\\PC{0,2}") {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
        let mut text = std::fs::read_to_string(root.join("routes.toml")).unwrap();
        let places: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
        let place = places[at.index(places.len())];
        text.remove(place);
        text.insert_str(place, &put);
        look_at(&text);
    }
}

#[test]
fn absurdly_deep_and_large_texts_are_refused() {
    look_at(&"[".repeat(100_000));
    look_at(&format!("a = {}", "[".repeat(100_000)));
    look_at(&format!("a = {}", "{a=".repeat(100_000)));
    look_at(&format!("{}a = 1", "a.".repeat(100_000)));
    look_at(&format!("[{}a]", "a.".repeat(100_000)));
    let report =
        load(Path::new("evenkeel.toml"), &Text(&" ".repeat(evenkeel_config::LARGEST_FILE + 1))).unwrap_err();
    assert!(report.to_string().contains("split it with `include`"), "{report}");
}

/// Work must not grow with the square of the text: with the bound on a file's size each of these would take minutes.
#[test]
fn many_mistakes_of_one_kind_are_told_in_time() {
    look_at(&"[a]\n".repeat(200_000));
    look_at(&"a=1\n".repeat(200_000));
    look_at(&(0..80_000).map(|n| format!("bnid{n}=1\n")).collect::<String>());
    look_at(
        &("[listener.a]\n".to_owned() + &(0..80_000).map(|n| format!("bnid{n}=1\n")).collect::<String>()),
    );
    let pools: String =
        (0..1000).map(|n| format!("[pool.p{n}.servers]\na=\"127.0.0.1:{}\"\n", n + 1)).collect();
    let listeners: String = (0..1000)
        .map(|n| format!("[listener.l{n}]\nbind=\"127.0.0.2:{}\"\npool=\"x{n}\"\n", n + 1))
        .collect();
    let routes: String = "[[listener.l1.route]]\npool=\"q\"\n".repeat(20_000);
    look_at(&(pools + &listeners + &routes));
    look_at(&format!(
        "[pool.a.servers]\n{}",
        (0..30_000).map(|n| format!("s{n}=\"127.0.0.1:80\"\n")).collect::<String>()
    ));
}

#[test]
fn variables_that_hold_too_much_are_refused() {
    struct Long;
    impl evenkeel_config::Source for Long {
        fn read(&self, _: &Path) -> Result<String, String> {
            Ok(format!("include = [{}]", "\"${LONG}\", ".repeat(100)))
        }
        fn glob(&self, _: &str, _: &Path) -> Result<Vec<std::path::PathBuf>, String> {
            Ok(Vec::new())
        }
        fn variable(&self, _: &str) -> Option<String> {
            Some("*".repeat(60_000))
        }
    }
    let report = load(Path::new("evenkeel.toml"), &Long).unwrap_err();
    assert!(report.to_string().contains("the file's variables hold more than 1048576 bytes together"));
}

#[test]
fn beyond_the_bound_errors_are_counted_and_not_kept() {
    let text: String = (0..2000).map(|n| format!("key{n} = 1\n")).collect();
    let report = load(Path::new("evenkeel.toml"), &Text(&text)).unwrap_err();
    assert_eq!(report.count(), 2000);
    assert_eq!(report.problems().len(), 500);
    assert!(report.render(false).ends_with("and 1500 further errors that are not shown\n"));
}

#[test]
fn a_file_that_cannot_be_read_is_told_without_a_place() {
    let source = Directory { root: Path::new(env!("CARGO_MANIFEST_DIR")).to_owned(), variables: [].into() };
    let report = load(Path::new("missing.toml"), &source).unwrap_err();
    assert_eq!(report.count(), 1);
    assert_eq!(
        report.to_string(),
        "error: cannot read missing.toml: there is no such file\n--> missing.toml\n \
         = help: check the path and its permissions, or name another file with -c\n"
    );
    let json = serde_json::to_value(&report.problems()[0]).unwrap();
    assert_eq!(json["file"], "missing.toml");
    assert_eq!(json.get("line"), None);
}

#[test]
fn problems_are_told_as_json_too() {
    let report = load(Path::new("evenkeel.toml"), &Text("[global]\nthreads = 0\n")).unwrap_err();
    assert_eq!(
        serde_json::to_value(report.problems()).unwrap(),
        serde_json::json!([{
            "severity": "error",
            "message": "`threads` is out of bounds",
            "file": "evenkeel.toml",
            "line": 2,
            "column": 11,
            "help": "it must be a whole number from 1 to 128, or `\"auto\"`",
        }])
    );
}
