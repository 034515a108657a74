//! `cargo xtask bench`: what a request costs HAProxy, nginx and Evenkeel, side by side in one run.
//!
//! The proxies run on one core, the load (wrk) and the servers (nginx) on another; the proxies take turns, so that a
//! machine that is slower for a while is so for all. What is compared is the CPU time of the proxy's own threads, as the
//! kernel counts it, for each request. It is a report: nothing here passes or fails.

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

/// A kind of load.
struct Workload {
    name: &'static str,
    place: Place,
    path: &'static str,
    connections: u32,
    closes: bool,
    /// The ratio to HAProxy that is aimed at.
    target: f64,
}

const fn http(name: &'static str, path: &'static str, connections: u32, target: f64) -> Workload {
    Workload { name, place: Place::Http, path, connections, closes: false, target }
}

const WORKLOADS: [Workload; 10] = [
    http("HTTP/1.1 keep-alive, 66 B, 64 connections", "small", 64, 0.75),
    http("the same, 512 connections", "small", 512, 0.60),
    http("10 KiB bodies, 64 connections", "files/10k", 64, 0.72),
    http("100 KiB bodies, 64 connections", "files/100k", 64, 0.80),
    http("1 MiB bodies, 16 connections", "files/1m", 16, 0.40),
    Workload { closes: true, ..http("new connection per request, 66 B", "small", 64, 0.75) },
    Workload { place: Place::Logged, ..http("access log on, 66 B, 64 connections", "small", 64, 0.75) },
    Workload { place: Place::Tcp, ..http("TCP mode, 66 B, 64 connections", "small", 64, 0.75) },
    Workload { place: Place::Tcp, ..http("TCP mode, 1 MiB, 16 connections", "files/1m", 16, 0.40) },
    Workload { place: Place::Spliced, ..http("the same, HAProxy with splice-auto", "files/1m", 16, 1.0) },
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
    let mut wrk = Command::new("taskset");
    wrk.args(["-c", LOAD_CORE, "wrk", "-t1"]);
    wrk.arg(format!("-c{}", workload.connections)).arg(format!("-d{seconds}s"));
    if workload.closes {
        wrk.args(["-H", "Connection: close"]);
    }
    wrk.arg(format!("http://127.0.0.1:{}/{}", site.port(peer, workload.place), workload.path));
    let output = wrk.output().map_err(|error| format!("wrk cannot be started: {error}"))?;
    let nanos = process::cpu_nanos(&processes).saturating_sub(before);
    let text = String::from_utf8_lossy(&output.stdout);
    let requests = text
        .lines()
        .find_map(|line| line.trim().split_once(" requests in ")?.0.parse().ok())
        .filter(|&requests: &u64| requests > 0)
        .ok_or_else(|| format!("{} served nothing: {text}", peer.name()))?;
    let failures: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| line.starts_with("Socket errors") || line.starts_with("Non-2xx"))
        .collect();
    Ok(Cost { nanos, requests, failures: failures.join("; ") })
}
