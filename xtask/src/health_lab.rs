//! `cargo xtask health-lab`: real servers in trouble behind the release build, and the page of the guide with what came of it.

use std::path::Path;
use std::process::Command;

const PAGE: &str = "docs/guide/health-measured.md";

/// Measures and writes the page.
pub(crate) fn run(root: &Path) -> Result<(), String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .current_dir(root)
        .args(["test", "--release", "--package", "evenkeel", "--test", "website", "troubles::"])
        .args(["--", "--nocapture"])
        .env("EVENKEEL_HEALTH_PAGE", root.join(PAGE))
        // The program is the one that cargo builds for this, and no other.
        .env_remove("EVENKEEL_BIN")
        .status()
        .map_err(|error| format!("cannot run cargo: {error}"))?;
    if status.success() { Ok(()) } else { Err("health-lab: a promise was not kept; see above".into()) }
}
