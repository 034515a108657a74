//! `cargo xtask live-lab`: a thousand servers come and go behind the release build, and no request fails.

use std::path::Path;
use std::process::Command;

/// How many come and go when nothing is said.
const SERVERS: &str = "1000";

/// Runs the test of the same thing with more servers, and prints how long it took.
pub(crate) fn run(root: &Path, arguments: &[&str]) -> Result<(), String> {
    let servers = match arguments {
        [] => SERVERS,
        [count] if count.parse::<u16>().is_ok_and(|count| (1..=4000).contains(&count)) => count,
        _ => return Err("usage: cargo xtask live-lab [SERVERS], 1 to 4000".to_owned()),
    };
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .current_dir(root)
        .args(["test", "--release", "--package", "evenkeel", "--test", "website", "live::servers_come"])
        .args(["--", "--nocapture"])
        .env("EVENKEEL_LIVE_SERVERS", servers)
        // The program is the one that cargo builds for this, and no other.
        .env_remove("EVENKEEL_BIN")
        .status()
        .map_err(|error| format!("cannot run cargo: {error}"))?;
    if status.success() { Ok(()) } else { Err("live-lab: a request failed; see above".into()) }
}
