//! Durations on the command line, written as in the file.

use std::time::Duration;

/// Reads one, such as `10m`.
pub(super) fn parse_duration(text: &str) -> Result<Duration, String> {
    evenkeel_config::duration(text).ok_or_else(|| {
        "write a number and a unit, such as `90s` or `10m`; the units are ms, s, m, h and d".to_owned()
    })
}
