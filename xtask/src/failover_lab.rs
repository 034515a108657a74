//! `cargo xtask failover-lab`: breaks pairs of real nodes in every way we know and measures what a client sees of it.
//!
//! Pairs with different timers run side by side, each in a network of its own. A client asks the virtual addresses
//! (IPv4 and IPv6 at once) for echoes and for TCP connections all the time; a capture and the kernel's news of addresses
//! say independently of the program what the nodes did. Needs root.

mod baseline;
mod fault;
mod flood;
mod load;
mod node;
mod pair;
mod report;
mod soak;
mod trial;
mod unseen;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use evenkeel_testkit::{needs, needs_root};

use fault::Fault;
pub(crate) use node::{Node, cpu_time};
pub(crate) use pair::{Pair, Timing};
use report::Row;

/// Repetitions of each fault; the heal of a partition is a matter of chance elsewhere and is repeated more.
const REPETITIONS: usize = 5;
const HEALS: usize = 20;

/// The timers that are tried, side by side.
const TIMINGS: [Timing; 4] = [
    Timing { version: 2, interval: Duration::from_secs(1) },
    Timing { version: 3, interval: Duration::from_secs(1) },
    Timing { version: 3, interval: Duration::from_millis(100) },
    Timing { version: 3, interval: Duration::from_millis(10) },
];

/// What to do.
#[derive(Debug, Default, PartialEq, Eq)]
struct Plan {
    /// A fault, `flood`, `soak` or `nobody-sees`; every fault without.
    only: Option<String>,
    repeat: Option<usize>,
    /// Part of the name of a timing.
    timing: Option<String>,
}

/// Runs the lab with the arguments after `failover-lab`.
pub(crate) fn run(root: &Path, arguments: &[&str]) -> Result<(), String> {
    let plan = understand(arguments)?;
    if !(needs_root() && needs("ip") && needs("nft") && needs("chrt")) {
        return Err("the lab needs root, `ip`, `nft` and `chrt`".into());
    }
    if std::env::var_os(PUNCTUAL).is_none() {
        return again_punctually(arguments);
    }
    let program = program(root)?;
    match plan.only.as_deref() {
        Some("flood") => flood::run(&program),
        Some("soak") => soak::run(&program),
        Some("nobody-sees") => unseen::run(root, &program, None, plan.repeat),
        Some(only) if only.starts_with(UNSEEN) => {
            unseen::run(root, &program, only.strip_prefix(UNSEEN), plan.repeat)
        }
        _ => faults(root, &program, &plan),
    }
}

/// Before the name of one case of `nobody-sees`.
const UNSEEN: &str = "nobody-sees/";

/// Set in the run that has a real-time priority.
const PUNCTUAL: &str = "EVENKEEL_LAB_PUNCTUAL";

/// The client and the captures must not be late themselves when the machine is busy, so this process runs again with a
/// real-time priority. What it starts as a node is an ordinary program again.
fn again_punctually(arguments: &[&str]) -> Result<(), String> {
    let myself = std::env::current_exe().map_err(|error| error.to_string())?;
    let allowed =
        Command::new("chrt").args(["-r", "1", "true"]).status().is_ok_and(|status| status.success());
    let mut command = if allowed {
        let mut command = Command::new("chrt");
        command.args(["-r", "1"]).arg(myself);
        command
    } else {
        eprintln!("no real-time priority is to be had here: the client may be late when the machine is busy");
        Command::new(myself)
    };
    let status = command
        .arg("failover-lab")
        .args(arguments)
        .env(PUNCTUAL, if allowed { "yes" } else { "no" })
        .status();
    let status = status.map_err(|error| format!("the lab cannot be started: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("the lab has failed ({status})")) }
}

fn faults(root: &Path, program: &Path, plan: &Plan) -> Result<(), String> {
    let faults: Vec<Fault> = Fault::ALL
        .into_iter()
        .filter(|fault| plan.only.as_deref().is_none_or(|only| fault.name() == only))
        .collect();
    if faults.is_empty() {
        let names: Vec<&str> = Fault::ALL.iter().map(|fault| fault.name()).collect();
        return Err(format!("no such case; there are flood, soak, nobody-sees, {}", names.join(", ")));
    }
    let timings = TIMINGS
        .into_iter()
        .filter(|timing| plan.timing.as_ref().is_none_or(|part| timing.name().contains(part.as_str())));
    let rows: Vec<Row> = std::thread::scope(|scope| {
        let pairs: Vec<_> = timings
            .map(|timing| {
                let faults = &faults;
                scope.spawn(move || of_timing(timing, program, faults, plan.repeat))
            })
            .collect();
        pairs.into_iter().flat_map(|pair| pair.join().unwrap_or_default()).collect()
    });
    report::write(root, &rows, plan.only.is_none() && plan.timing.is_none())
}

/// All faults of one pair, one after the other.
fn of_timing(timing: Timing, program: &Path, faults: &[Fault], repeat: Option<usize>) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut pair: Option<Pair> = None;
    for &fault in faults {
        let mut of_fault: Vec<Row> =
            timing.families().iter().map(|&family| Row::new(timing, family, fault)).collect();
        let repetitions = match repeat {
            // With few repetitions of everything the heal still needs many.
            _ if fault == Fault::Silent && faults.len() > 1 => HEALS,
            repeat => repeat.unwrap_or(REPETITIONS),
        };
        for repetition in 0..repetitions {
            // After a repetition that went wrong nobody knows what is left of the pair.
            let mut current = match pair.take() {
                Some(pair) => pair,
                None => Pair::start(timing, program),
            };
            match trial::run(&mut current, fault, repetition) {
                Ok(measured) => {
                    for (row, measured) in of_fault.iter_mut().zip(measured) {
                        eprintln!("{} {measured}", row.title());
                        row.add(measured);
                    }
                    pair = Some(current);
                }
                Err(why) => {
                    eprintln!("{} {}: {why}\n{}", timing.name(), fault.name(), current.logs());
                    of_fault.iter_mut().for_each(|row| row.fail(why.clone()));
                }
            }
        }
        rows.extend(of_fault);
    }
    rows
}

/// The program to try: `$EVENKEEL_BIN`, or a release build.
fn program(root: &Path) -> Result<PathBuf, String> {
    if let Some(path) = std::env::var_os("EVENKEEL_BIN") {
        return Ok(path.into());
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    // Not with the priority that the lab has.
    let status = Command::new("chrt")
        .args(["-o", "0"])
        .arg(cargo)
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

fn understand(arguments: &[&str]) -> Result<Plan, String> {
    let mut plan = Plan::default();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let mut value = || rest.next().ok_or_else(|| format!("{argument} needs a value"));
        match *argument {
            "--only" => plan.only = Some((*value()?).to_owned()),
            "--timing" => plan.timing = Some((*value()?).to_owned()),
            "--repeat" => {
                let number = value()?.parse().ok().filter(|number| *number > 0);
                plan.repeat = Some(number.ok_or("--repeat needs a number")?);
            }
            other => return Err(format!("failover-lab does not know {other}")),
        }
    }
    Ok(plan)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_to_do_is_understood() {
        let plan = Plan { only: Some("term".into()), repeat: Some(3), timing: None };
        assert_eq!(understand(&["--only", "term", "--repeat", "3"]), Ok(plan));
        assert_eq!(understand(&[]), Ok(Plan::default()));
        assert!(understand(&["--repeat", "0"]).is_err());
        assert!(understand(&["--only"]).is_err());
    }
}
