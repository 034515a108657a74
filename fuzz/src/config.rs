//! Any text is read as a configuration: it loads or is refused with errors that have a place, and never panics. A plan
//! reads back from its JSON as the same and differs in nothing from itself.

use std::path::{Path, PathBuf};

use evenkeel_config::plan::Plan;
use evenkeel_config::{Source, diff, explain, load};

/// The text is `main.toml`, what follows its first NUL is `included.toml`.
struct Files<'a> {
    main: &'a str,
    included: &'a str,
}

impl Source for Files<'_> {
    fn read(&self, path: &Path) -> Result<String, String> {
        match path.to_str() {
            Some("main.toml") => Ok(self.main.to_owned()),
            Some("included.toml") => Ok(self.included.to_owned()),
            _ => Err("there is no such file".to_owned()),
        }
    }

    fn glob(&self, _: &str, _: &Path) -> Result<Vec<PathBuf>, String> {
        Ok(vec!["included.toml".into()])
    }

    fn variable(&self, name: &str) -> Option<String> {
        name.len().is_multiple_of(2).then(|| name.to_lowercase())
    }
}

/// See the module.
pub fn config(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (main, included) = text.split_once('\0').unwrap_or((text, ""));
    let files = Files { main, included };
    let report = match load(Path::new("main.toml"), &files) {
        Ok(loaded) => {
            assert_eq!(loaded.warnings.count(), 0);
            assert!(diff::diff(&loaded.plan, &loaded.plan).is_empty());
            let json = serde_json::to_string(&loaded.plan).expect("a plan is JSON");
            let back: Plan = serde_json::from_str(&json).expect("a plan reads back");
            assert_eq!(back, loaded.plan);
            loaded.warnings
        }
        Err(report) => {
            assert!(report.count() > 0, "refused without an error");
            report
        }
    };
    for problem in report.problems() {
        assert!(problem.help.is_some(), "no cure: {}", problem.message);
        let source = if problem.place.file == Path::new("main.toml") { main } else { included };
        let line =
            problem.place.line.and_then(|line| source.split('\n').nth(line - 1)).expect("the line is there");
        assert!(problem.place.column.is_some_and(|column| column <= line.chars().count() + 1));
    }
    let _ = report.render(true);
    if text.len() < 100 {
        let _ = explain::explain(text);
    }
}
