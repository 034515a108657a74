//! Where log lines go: standard error, in plain text, one line a fact.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// The variable that says which lines are written.
pub(crate) const VARIABLE: &str = "EVENKEEL_LOG";

/// Begins to log what `level` lets through: `error`, `warn`, `info`, `debug`, `trace`, or a list of
/// `crate::module=level`.
///
/// # Errors
/// When `level` is none of these.
pub(crate) fn begin(level: &str) -> Result<(), String> {
    let mut filter =
        EnvFilter::try_new(level).map_err(|error| format!("`{level}` is no log level: {error}"))?;
    if !level.contains("hickory") {
        // Whoever sends us false answers would write a line with each; what matters is told by discovery.
        for quiet in ["hickory_net=error", "hickory_resolver=error"] {
            filter = filter.add_directive(quiet.parse().map_err(|error| format!("`{quiet}`: {error}"))?);
        }
    }
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(colors(&std::io::stderr()))
        .with_target(false)
        .try_init()
        .map_err(|error| error.to_string())
}

/// Whether text for this output may be colored (<https://no-color.org>).
pub(crate) fn colors(output: &impl IsTerminal) -> bool {
    output.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
