//! `cargo xtask sim`: replays one simulated election with everything that happens, or runs many.

use evenkeel_testkit::sim::{self, Seen};

/// Failures that are named when many runs are made; the first is shown whole.
const NAMED: usize = 20;

/// Prints the trace of a run, or what many runs have seen; fails when a promise was not kept.
pub(crate) fn run(arguments: &[&str]) -> Result<(), String> {
    let (seed, runs) = understand(arguments)?;
    match runs {
        Some(runs) => many(seed, runs),
        None => one(seed),
    }
}

fn one(seed: u64) -> Result<(), String> {
    let (trace, outcome) = sim::trace(seed);
    for line in trace {
        println!("{line}");
    }
    outcome.map_err(|what| format!("seed {seed}: {what}"))
}

fn many(first: u64, runs: u64) -> Result<(), String> {
    let mut seen = Seen::default();
    let mut failures = Vec::new();
    for seed in first..first.saturating_add(runs) {
        match sim::run(seed) {
            Ok(run) => seen.add(&run),
            Err(failure) => {
                if failures.is_empty() {
                    eprintln!("{failure}");
                }
                failures.push(format!("seed {seed}: {}", failure.what));
            }
        }
    }
    println!(
        "{runs} runs, {} failed; {} events in {} s of simulated time: {} takeovers, {} times two owners, {} quiet times \
         ({} after two owners), {} trials",
        failures.len(),
        seen.events,
        seen.time.as_secs(),
        seen.takeovers,
        seen.dual_owners,
        seen.quiets,
        seen.heals,
        seen.trials
    );
    if failures.is_empty() {
        return Ok(());
    }
    let more = failures.len().saturating_sub(NAMED);
    failures.truncate(NAMED);
    if more > 0 {
        failures.push(format!("and {more} more"));
    }
    Err(failures.join("\n"))
}

fn understand(arguments: &[&str]) -> Result<(u64, Option<u64>), String> {
    let number = |text: &str| text.parse().map_err(|_| format!("`{text}` is not a number"));
    match *arguments {
        ["--seed", seed] => Ok((number(seed)?, None)),
        ["--seed", seed, "--runs", runs] => Ok((number(seed)?, Some(number(runs)?))),
        ["--runs", runs] => Ok((0, Some(number(runs)?))),
        _ => Err("usage: cargo xtask sim --seed N [--runs N]".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_replayed_and_many_are_run() {
        assert_eq!(understand(&["--seed", "7"]), Ok((7, None)));
        assert_eq!(understand(&["--seed", "7", "--runs", "100"]), Ok((7, Some(100))));
        assert_eq!(understand(&["--runs", "100"]), Ok((0, Some(100))));
        assert!(understand(&["7"]).is_err());
        assert_eq!(understand(&["--seed", "x"]), Err("`x` is not a number".to_owned()));
    }
}
