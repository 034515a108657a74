//! `cargo xtask instructions`: how many instructions parsing, rewriting and picking take, counted by valgrind.
//!
//! Unlike times, the counts are the same on a busy machine, so that two commits can be compared. Writes
//! `bench/INSTRUCTIONS.md`; a report: nothing here passes or fails.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// The crates that have such a bench.
const PACKAGES: [&str; 2] = ["evenkeel-http", "evenkeel-traffic"];
/// Rounds in one run, as the benches have it.
const ROUNDS: u64 = 1000;

/// Runs all cases and writes the table.
pub(crate) fn run(root: &Path) -> Result<(), String> {
    let mut text =
        "# Instructions\n\nCounted by valgrind (`cargo xtask instructions`); 1,000 rounds each.\n\n\
                    | case | instructions |\n|---|---|\n"
            .to_owned();
    for package in PACKAGES {
        let bench = build(root, package)?;
        for case in cases(&bench)? {
            let each = count(&bench, &case)? / ROUNDS;
            eprintln!("{case}: {each}");
            let _ = writeln!(text, "| {case} | {each} |");
        }
    }
    println!("{text}");
    std::fs::create_dir_all(root.join("bench"))
        .and_then(|()| std::fs::write(root.join("bench/INSTRUCTIONS.md"), &text))
        .map_err(|error| format!("the table cannot be written: {error}"))
}

fn build(root: &Path, package: &str) -> Result<PathBuf, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .current_dir(root)
        .args(["bench", "--no-run", "--message-format=json", "--bench=instructions", "--package", package])
        .output()
        .map_err(|error| format!("cargo cannot be started: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .find(|message| message["target"]["name"] == "instructions" && message["executable"].is_string())
        .and_then(|message| message["executable"].as_str().map(PathBuf::from))
        .ok_or_else(|| format!("cargo built no bench of {package}"))
}

fn cases(bench: &Path) -> Result<Vec<String>, String> {
    let output = Command::new(bench).output().map_err(|error| format!("{}: {error}", bench.display()))?;
    Ok(String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect())
}

/// All instructions within the rounds of one case.
fn count(bench: &Path, case: &str) -> Result<u64, String> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--toggle-collect=*measured_rounds*"])
        .arg(bench)
        .arg(case)
        .output()
        .map_err(|error| format!("valgrind cannot be started, install its package: {error}"))?;
    let text = String::from_utf8_lossy(&output.stderr);
    collected(&text).ok_or_else(|| format!("valgrind counted nothing for `{case}`:\n{text}"))
}

/// The number that callgrind says at its end.
fn collected(text: &str) -> Option<u64> {
    let line = text.lines().rev().find_map(|line| line.split_once("Collected : "))?;
    line.1.split_whitespace().next()?.parse().ok().filter(|&count| count > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_is_read_from_the_last_lines() {
        let text =
            "==7== Events    : Ir\n==7== Collected : 1234567\n==7== \n==7== I   refs:      1,234,567\n";
        assert_eq!(collected(text), Some(1_234_567));
        assert_eq!(collected("==7== Collected : 0\n"), None);
        assert_eq!(collected("==7== Command: instructions\n"), None);
    }
}
