//! Load that wrk cannot make: requests over TLS each on a connection of its own that knows nothing of those before.
//!
//! wrk keeps its sessions, so all but its first handshakes are resumed, without a signature. This runs as a process of its own
//! on the core of the load, and tells what it did in wrk's words.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::LOAD_CORE;
use super::memory::{client, connect, secured, served};

/// A process that does it for so many seconds on so many connections at once.
pub(super) fn generator(
    port: u16,
    authority: &Path,
    connections: u32,
    seconds: u32,
) -> Result<Command, String> {
    let myself = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut load = Command::new("taskset");
    load.args(["-c", LOAD_CORE]).arg(myself).args(["bench", "handshakes"]);
    load.args([port.to_string(), connections.to_string(), seconds.to_string()]).arg(authority);
    Ok(load)
}

/// Is that process.
pub(super) fn run(arguments: &[&str]) -> Result<(), String> {
    let [port, connections, seconds, authority] = arguments else {
        return Err("handshakes needs a port, connections, seconds and a file".into());
    };
    let number = |text: &str| text.parse::<u32>().map_err(|error| format!("{text}: {error}"));
    let port = u16::try_from(number(port)?).map_err(|error| error.to_string())?;
    let config = client(Path::new(authority), true)?;
    let end = Instant::now() + Duration::from_secs(number(seconds)?.into());
    let (done, failed) = (AtomicU64::new(0), Arc::new(Mutex::new((0, String::new()))));
    std::thread::scope(|scope| {
        for _ in 0..number(connections).unwrap_or(1) {
            scope.spawn(|| {
                while Instant::now() < end {
                    let served = connect(port)
                        .and_then(|socket| secured(socket, &config))
                        .and_then(|stream| served(stream, "close"));
                    match served {
                        Ok(_closed) => {
                            done.fetch_add(1, Ordering::Relaxed);
                        }
                        Err(why) => {
                            if let Ok(mut failed) = failed.lock() {
                                *failed = (failed.0 + 1, why);
                            }
                        }
                    }
                }
            });
        }
    });
    println!("  {} requests in {seconds}s", done.into_inner());
    let failed = failed.lock().map_err(|error| error.to_string())?;
    if failed.0 > 0 {
        println!("  Socket errors: {} ({})", failed.0, failed.1);
    }
    Ok(())
}
