//! Runs programs of the operator: as the user they are meant for, only when nobody else could have changed them, and
//! never for longer than wanted.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use evenkeel_sys::process::rights;
use evenkeel_sys::process::script::{self, Ended, How};
use tokio::sync::Semaphore;

/// What to run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call<'a> {
    /// The program and its arguments.
    pub(super) command: &'a [String],
    /// Further arguments.
    pub(super) more: &'a [String],
    /// Whom it runs as, when this process is root's.
    pub(super) user: Option<&'a str>,
    /// How long it may take.
    pub(super) timeout: Duration,
}

/// Runs it, as soon as there is a permit; `input` is what it can read.
///
/// # Errors
/// In words for the operator: why it was not run, or how it failed.
pub(super) async fn run(
    call: Call<'_>,
    variables: &[(&str, String)],
    input: Option<&[u8]>,
    permits: &Arc<Semaphore>,
) -> Result<(), String> {
    let Some((program, arguments)) = call.command.split_first() else {
        return Err("it has no program".into());
    };
    let account = match call.user.filter(|_| rights::is_root()) {
        Some(name) => Some(rights::account(Some(name))?),
        None => None,
    };
    let path = Path::new(program);
    // Each time: who may change it may have changed since.
    script::examine(path, account.as_ref()).map_err(|why| format!("{program} is not run: {why}"))?;
    let Ok(permit) = Arc::clone(permits).acquire_owned().await else {
        return Err("it is not run any more".into());
    };
    let arguments: Vec<String> = arguments.iter().chain(call.more).cloned().collect();
    let account = account.as_ref();
    let running = match input {
        Some(input) => script::start_with(account, path, &arguments, variables, input, permit),
        None => script::start_as(account, path, &arguments, variables, permit),
    };
    let running = running.map_err(|error| format!("cannot run {program}: {error}"))?;
    match running.end(call.timeout).await {
        Ok(ended) => judge(&ended, call.timeout),
        Err(error) => Err(format!("what became of {program} is unknown: {error}")),
    }
}

/// What became of it.
///
/// # Errors
/// Why that is no success.
pub(super) fn judge(ended: &Ended, patience: Duration) -> Result<(), String> {
    let why = match ended.how {
        How::Code(0) => return Ok(()),
        How::Code(code) => format!("it ended with exit code {code}"),
        How::Signal(signal) => format!("it was killed by signal {signal}"),
        How::TimeUp => format!("it did not end within {patience:?} and was killed"),
        How::TooMuchOutput => format!("it wrote more than {} KiB and was killed", script::MOST_OUTPUT / 1024),
    };
    Err(match &ended.last_line {
        Some(line) => format!("{why}: {line}"),
        None => why,
    })
}
