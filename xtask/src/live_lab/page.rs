//! What was seen, and whether it is what was promised; as text, and as a page of the guide.

use std::fmt::Write as _;
use std::path::Path;

const PAGE: &str = "docs/guide/live-measured.md";

/// One part of the lab.
#[derive(Debug)]
pub(crate) struct Part {
    title: String,
    /// What was done.
    done: String,
    /// What was seen, with the words for it.
    seen: Vec<(String, String)>,
    /// Promises that were not kept.
    broken: Vec<String>,
}

impl Part {
    pub(crate) fn new(title: &str, done: impl Into<String>) -> Self {
        Self { title: title.to_owned(), done: done.into(), seen: Vec::new(), broken: Vec::new() }
    }

    /// One that could not be carried through.
    pub(crate) fn broken(name: &str, why: String) -> Self {
        Self { broken: vec![why], ..Self::new(name, "It broke off.") }
    }

    pub(crate) fn see(&mut self, what: &str, seen: impl Into<String>) {
        self.seen.push((what.to_owned(), seen.into()));
    }

    /// As [`Self::see`], and it must hold.
    pub(crate) fn judge(&mut self, what: &str, seen: impl Into<String>, holds: bool) {
        let seen = seen.into();
        if !holds {
            self.broken.push(format!("{what}: {seen}"));
        }
        self.see(what, seen);
    }

    pub(crate) fn is_kept(&self) -> bool {
        self.broken.is_empty()
    }

    pub(crate) fn text(&self) -> String {
        let mut text = format!("{}: {}\n", self.title, if self.is_kept() { "kept" } else { "NOT KEPT" });
        for (what, seen) in &self.seen {
            let _ = writeln!(text, "  {what}: {seen}");
        }
        for why in &self.broken {
            let _ = writeln!(text, "  not as promised: {why}");
        }
        text
    }

    pub(crate) fn section(&self) -> String {
        let mut text = format!("## {}\n\n{}\n\n| seen | |\n|---|---|\n", self.title, self.done);
        for (what, seen) in &self.seen {
            let _ = writeln!(text, "| {what} | {seen} |");
        }
        if self.is_kept() {
            text.push_str("\nKept.\n");
        } else {
            let _ = writeln!(text, "\n**Not kept:** {}", self.broken.join("; "));
        }
        text
    }
}

/// Writes the page with all parts.
pub(super) fn write(root: &Path, parts: &[Part]) -> Result<(), String> {
    let head = format!(
        "# Changes while it runs, measured\n\n<!-- Written by `cargo xtask live-lab`. -->\n\n\
         What clients see of [reloads](reload.md) and of [servers that come and go](live.md): the release build, its clients \
         and its servers on one machine ({}). What is promised is judged (kept or not); times depend on the machine.\n",
        crate::bench::machine()
    );
    let sections: Vec<String> = parts.iter().map(Part::section).collect();
    std::fs::write(root.join(PAGE), format!("{head}\n{}", sections.join("\n")))
        .map_err(|error| format!("{PAGE} cannot be written: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_judged_and_does_not_hold_is_said() {
        let mut part = Part::new("Reloads", "A hundred.");
        part.judge("failed requests", "0", true);
        assert!(part.is_kept() && part.section().ends_with("| failed requests | 0 |\n\nKept.\n"));
        part.judge("resets", "2", false);
        assert!(
            !part.is_kept() && part.section().ends_with("**Not kept:** resets: 2\n"),
            "{}",
            part.section()
        );
    }
}
