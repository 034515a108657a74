//! A check that runs a program: its exit code decides, the last line that it wrote explains.
//!
//! The program runs with the rights of the proxy role, which has none ([`evenkeel_sys::process::script`]).

use std::time::Duration;

use evenkeel_config::plan::ExecProbe;
use evenkeel_sys::process::script::{self, Ended, How, MOST_OUTPUT};
use evenkeel_traffic::address::Address;
use tokio::sync::OwnedSemaphorePermit;

/// Runs it once. The permit is given back when the process is gone, which may be later than its time is up.
pub(super) async fn ask(
    probe: &ExecProbe,
    (pool, server): (String, String),
    address: &Address,
    patience: Duration,
    permit: OwnedSemaphorePermit,
) -> Result<(), String> {
    let (host, port) = match address {
        Address::Tcp(address) => (address.ip().to_string(), Some(address.port().to_string())),
        Address::Unix(path) => (format!("unix:{}", path.display()), None),
    };
    let mut variables =
        vec![("EVENKEEL_POOL", pool), ("EVENKEEL_SERVER", server), ("EVENKEEL_ADDRESS", host)];
    variables.extend(port.map(|port| ("EVENKEEL_PORT", port)));
    let name = probe.program.display();
    let running = script::start(&probe.program, &probe.arguments, &variables, permit)
        .map_err(|error| format!("cannot run {name}: {error}"))?;
    let ended =
        running.end(patience).await.map_err(|error| format!("what became of {name} is unknown: {error}"))?;
    judge(&ended, patience).map_err(|why| match ended.last_line {
        Some(line) => format!("{name} {why}: {line}"),
        None => format!("{name} {why}"),
    })
}

fn judge(ended: &Ended, patience: Duration) -> Result<(), String> {
    match ended.how {
        How::Code(0) => Ok(()),
        How::Code(code) => Err(format!("ended with exit code {code}")),
        How::Signal(signal) => Err(format!("was killed by signal {signal}")),
        How::TimeUp => Err(format!("did not end within {patience:?} and was killed")),
        How::TooMuchOutput => Err(format!("wrote more than {} KiB and was killed", MOST_OUTPUT / 1024)),
    }
}
