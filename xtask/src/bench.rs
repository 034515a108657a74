//! `cargo xtask bench`: what a request costs HAProxy, nginx and Evenkeel, side by side in one run.
//!
//! The proxies run on one core, the load (wrk, h2load) and the servers (nginx) on another; the proxies take turns, so that a
//! machine that is slower for a while is so for all. What is compared is the CPU time of the proxy's own threads, as the
//! kernel counts it, for each request. It is a report: nothing here passes or fails.

mod handshakes;
mod memory;
mod peers;
mod process;
mod report;

use std::path::{Path, PathBuf};
use std::process::Command;

use peers::{Peer, Place, Site};
pub(crate) use process::memory_kib;
pub(crate) use report::machine;
use report::{Cost, Row};

/// The core that proxies run on, and the one for everything else.
const PROXY_CORE: &str = "0";
const LOAD_CORE: &str = "1";
/// Open files that 5,000 connections at both ends of this machine need, and some.
const OPEN_FILES: u64 = 16_384;

/// How requests come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// One after the other on each connection.
    KeepAlive,
    /// Each on a connection of its own; over TLS each resumes a session.
    Closes,
    /// Each on a connection of its own, with a whole handshake.
    Handshakes,
    /// HTTP/2, so many at a time on each connection.
    Streams(u32),
}

/// A kind of load.
struct Workload {
    name: &'static str,
    place: Place,
    path: &'static str,
    connections: u32,
    kind: Kind,
    /// The ratio to HAProxy that is aimed at.
    target: f64,
}

const fn http(name: &'static str, path: &'static str, connections: u32, target: f64) -> Workload {
    Workload { name, place: Place::Http, path, connections, kind: Kind::KeepAlive, target }
}

const WORKLOADS: [Workload; 14] = [
    http("HTTP/1.1 keep-alive, 66 B, 64 connections", "small", 64, 0.75),
    http("the same, 512 connections", "small", 512, 0.60),
    http("10 KiB bodies, 64 connections", "files/10k", 64, 0.72),
    http("100 KiB bodies, 64 connections", "files/100k", 64, 0.80),
    http("1 MiB bodies, 16 connections", "files/1m", 16, 0.40),
    Workload { kind: Kind::Closes, ..http("new connection per request, 66 B", "small", 64, 0.75) },
    Workload { place: Place::Logged, ..http("access log on, 66 B, 64 connections", "small", 64, 0.75) },
    Workload { place: Place::Tcp, ..http("TCP mode, 66 B, 64 connections", "small", 64, 0.75) },
    Workload { place: Place::Tcp, ..http("TCP mode, 1 MiB, 16 connections", "files/1m", 16, 0.40) },
    Workload { place: Place::Spliced, ..http("the same, HAProxy with splice-auto", "files/1m", 16, 1.0) },
    Workload { place: Place::Tls, ..http("TLS 1.3 keep-alive, 66 B, 64 connections", "small", 64, 0.75) },
    Workload {
        place: Place::Tls,
        kind: Kind::Handshakes,
        ..http("TLS 1.3, whole handshake per request, ECDSA P-256", "small", 16, 0.30)
    },
    Workload {
        place: Place::Tls,
        kind: Kind::Closes,
        ..http("TLS 1.3, resumed session per request", "small", 64, 0.60)
    },
    Workload {
        place: Place::Tls,
        kind: Kind::Streams(16),
        ..http("HTTP/2 over TLS, 66 B, 32 connections of 16 streams", "small", 32, 0.65)
    },
];

/// How long and how often.
struct Plan {
    turns: usize,
    seconds: u32,
    only: Option<String>,
    quick: bool,
    /// The program of another HAProxy to compare with.
    haproxy: Option<PathBuf>,
}

/// Runs the bench with the arguments after `bench`.
pub(crate) fn run(root: &Path, arguments: &[&str]) -> Result<(), String> {
    if let ["handshakes", rest @ ..] = arguments {
        return handshakes::run(rest);
    }
    let mut plan = Plan { turns: 5, seconds: 4, only: None, quick: false, haproxy: None };
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let mut number =
            || rest.next().and_then(|text| text.parse::<u32>().ok()).filter(|number| *number > 0);
        match *argument {
            "--quick" => (plan.turns, plan.seconds, plan.quick) = (1, 1, true),
            "--turns" => plan.turns = number().ok_or("--turns needs a number")? as usize,
            "--seconds" => plan.seconds = number().ok_or("--seconds needs a number")?,
            "--only" => plan.only = Some((*rest.next().ok_or("--only needs a part of a name")?).to_owned()),
            "--haproxy" => {
                plan.haproxy = Some(rest.next().ok_or("--haproxy needs the path of a program")?.into());
            }
            other => return Err(format!("bench does not know {other}")),
        }
    }
    if process::open_files() < OPEN_FILES {
        return again_with_more_files(arguments);
    }
    let program = program(root)?;
    let site = Site::start(&program, plan.haproxy.as_deref())?;
    let rows = measure(&site, &plan)?;
    let memory = if plan.only.is_none() { memory::measure(&site)? } else { Vec::new() };
    report::write(root, &rows, &memory, &site.versions(), &plan)
}

/// The limit of open files can be raised by a shell only, for what it starts.
fn again_with_more_files(arguments: &[&str]) -> Result<(), String> {
    let myself = std::env::current_exe().map_err(|error| error.to_string())?;
    let status = Command::new("sh")
        .args(["-c", &format!("ulimit -n {OPEN_FILES} && exec \"$0\" bench \"$@\"")])
        .arg(myself)
        .args(arguments)
        .status()
        .map_err(|error| format!("no shell: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("the bench has failed ({status})")) }
}

/// The program to measure: `$EVENKEEL_BIN`, or a release build.
pub(crate) fn program(root: &Path) -> Result<PathBuf, String> {
    if let Some(path) = std::env::var_os("EVENKEEL_BIN") {
        return Ok(path.into());
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["build", "--release", "--package", "evenkeel"])
        .current_dir(root)
        .status()
        .map_err(|error| format!("cargo cannot be started: {error}"))?;
    if !status.success() {
        return Err("the release build has failed".into());
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    Ok(target.join("release/evenkeel"))
}

fn measure(site: &Site, plan: &Plan) -> Result<Vec<Row>, String> {
    let mut rows = Vec::new();
    for workload in &WORKLOADS {
        if plan.only.as_ref().is_some_and(|only| !workload.name.contains(only.as_str())) {
            continue;
        }
        let mut row = Row::new(workload.name, workload.target);
        for turn in 0..plan.turns {
            for peer in Peer::ALL {
                if !site.serves(peer, workload.place) {
                    continue;
                }
                let cost = load(site, peer, workload, plan.seconds)?;
                eprintln!(
                    "{}, turn {}: {} {:.2} µs/request, {} requests{}",
                    workload.name,
                    turn + 1,
                    peer.name(),
                    cost.micros(),
                    cost.requests,
                    if cost.failures.is_empty() { String::new() } else { format!(" ({})", cost.failures) }
                );
                row.add(peer, cost);
            }
        }
        rows.push(row);
    }
    Ok(rows)
}

/// One turn of one proxy.
fn load(site: &Site, peer: Peer, workload: &Workload, seconds: u32) -> Result<Cost, String> {
    let processes = site.workers(peer)?;
    let before = process::cpu_nanos(&processes);
    let own_before = process::own_nanos(&processes);
    let port = site.port(peer, workload.place);
    let mut generator = match workload.kind {
        Kind::Handshakes => handshakes::generator(port, workload.connections, seconds)?,
        _ => generator(port, workload, seconds),
    };
    let output = generator.output();
    let output = output.map_err(|error| format!("the load cannot be started: {error}"))?;
    let nanos = process::cpu_nanos(&processes).saturating_sub(before);
    let own_nanos = process::own_nanos(&processes).saturating_sub(own_before);
    let text = String::from_utf8_lossy(&output.stdout);
    let (requests, failures) = match workload.kind {
        Kind::Streams(_) => told_by_h2load(&text),
        Kind::KeepAlive | Kind::Closes | Kind::Handshakes => told_by_wrk(&text),
    }
    .filter(|&(requests, _)| requests > 0)
    .ok_or_else(|| format!("{} served nothing: {text}", peer.name()))?;
    Ok(Cost { nanos, own_nanos, requests, failures })
}

/// What makes the load.
fn generator(port: u16, workload: &Workload, seconds: u32) -> Command {
    let scheme = if workload.place == Place::Tls { "https" } else { "http" };
    let address = format!("{scheme}://127.0.0.1:{port}/{}", workload.path);
    let mut load = Command::new("taskset");
    load.args(["-c", LOAD_CORE]);
    match workload.kind {
        Kind::Streams(streams) => {
            load.args(["h2load", "-t1", &format!("-m{streams}"), &format!("-D{seconds}")])
        }
        // Handshakes have a generator of their own.
        Kind::KeepAlive | Kind::Handshakes => load.args(["wrk", "-t1", &format!("-d{seconds}s")]),
        Kind::Closes => load.args(["wrk", "-t1", &format!("-d{seconds}s"), "-H", "Connection: close"]),
    };
    load.arg(format!("-c{}", workload.connections)).arg(address);
    load
}

/// Requests, and what went wrong.
fn told_by_wrk(text: &str) -> Option<(u64, String)> {
    let requests = text.lines().find_map(|line| line.trim().split_once(" requests in ")?.0.parse().ok())?;
    let lines = text.lines().map(str::trim);
    let failures: Vec<&str> =
        lines.filter(|line| line.starts_with("Socket errors") || line.starts_with("Non-2xx")).collect();
    Some((requests, failures.join("; ")))
}

/// The same; nothing when it did not speak HTTP/2.
pub(crate) fn told_by_h2load(text: &str) -> Option<(u64, String)> {
    text.lines().find(|line| line.trim() == "Application protocol: h2")?;
    let line = text.lines().find_map(|line| line.strip_prefix("requests: "))?;
    let of = |what: &str| -> Option<u64> {
        line.split(", ").find_map(|part| part.trim().strip_suffix(what)?.trim().parse().ok())
    };
    let (done, failed) = (of("succeeded")?, of("failed")?);
    Some((done, if failed == 0 { String::new() } else { line.to_owned() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_loads_tell_is_read() {
        let wrk = "  9 requests in 1.00s, 2MB read\n  Socket errors: connect 0, read 1, write 0, timeout 0\n";
        let told = told_by_wrk(wrk).unwrap();
        assert_eq!(told, (9, "Socket errors: connect 0, read 1, write 0, timeout 0".into()));
        let h2load = "Application protocol: h2\nrequests: 7 total, 7 started, 7 done, 6 succeeded, 1 failed, 1 errored, 0 timeout\n";
        let (requests, failures) = told_by_h2load(h2load).unwrap();
        assert_eq!((requests, failures.contains("1 failed")), (6, true));
        assert_eq!(told_by_h2load(&h2load.replace(": h2", ": http/1.1")), None);
    }
}
