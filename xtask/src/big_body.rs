//! `cargo xtask big-body`: the tests of long bodies with bodies longer than any buffer or cache, on the release build.

use std::path::Path;
use std::process::Command;

const USUAL_BYTES: u64 = 1 << 30;

/// Runs the tests and shows what they print: how long each body took, and the memory of the proxy role.
pub(crate) fn run(root: &Path, arguments: &[&str]) -> Result<(), String> {
    let bytes = understand(arguments)?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .current_dir(root)
        .args(["test", "--release", "--package", "evenkeel", "--test", "website", "big_bodies::"])
        // One after the other, so that the times say something.
        .args(["--", "--nocapture", "--test-threads=1"])
        .env("EVENKEEL_BIG_BODY", bytes.to_string())
        // The program is the one that cargo builds for this, and no other.
        .env_remove("EVENKEEL_BIN")
        .status()
        .map_err(|error| format!("cannot run cargo: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("big-body: bodies of {bytes} bytes do not pass")) }
}

fn understand(arguments: &[&str]) -> Result<u64, String> {
    let number = match arguments {
        [] => Some(USUAL_BYTES),
        [text] => text.parse().ok().filter(|&number| number > 0),
        _ => None,
    };
    number
        .ok_or_else(|| format!("big-body needs one whole number of bytes above 0, or none\n{}", crate::USAGE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gibibyte_is_sent_unless_a_number_is_given() {
        assert_eq!(understand(&[]), Ok(1_073_741_824));
        assert_eq!(understand(&["5000000000"]), Ok(5_000_000_000));
        for wrong in [&["0"][..], &["-1"], &["1GiB"], &["1", "2"]] {
            assert!(understand(wrong).unwrap_err().starts_with("big-body needs"), "{wrong:?}");
        }
    }
}
