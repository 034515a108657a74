//! `cargo xtask sim`: replays one simulated election, with `--handover` one simulated pair that hands its addresses over, with
//! everything that happens, or runs many.

use evenkeel_testkit::sim::{self, Failure, Seen, handover};

/// Failures that are named when many runs are made; the first is shown whole.
const NAMED: usize = 20;

/// Prints the trace of a run, or what many runs have seen; fails when a promise was not kept.
pub(crate) fn run(arguments: &[&str]) -> Result<(), String> {
    if let Some(("--handover", arguments)) = arguments.split_first().map(|(first, rest)| (*first, rest)) {
        let (seed, runs) = understand(arguments)?;
        return match runs {
            Some(runs) => many(seed, runs, handover::run, handover::Seen::add, |seen| format!("{seen:?}")),
            None => one(seed, handover::trace(seed)),
        };
    }
    let (seed, runs) = understand(arguments)?;
    match runs {
        Some(runs) => many(seed, runs, sim::run, Seen::add, words),
        None => one(seed, sim::trace(seed)),
    }
}

fn one(seed: u64, (trace, outcome): (Vec<String>, Result<(), String>)) -> Result<(), String> {
    for line in trace {
        println!("{line}");
    }
    outcome.map_err(|what| format!("seed {seed}: {what}"))
}

fn many<Seen: Default>(
    first: u64,
    runs: u64,
    run: impl Fn(u64) -> Result<Seen, Box<Failure>>,
    add: impl Fn(&mut Seen, &Seen),
    words: impl Fn(&Seen) -> String,
) -> Result<(), String> {
    let mut seen = Seen::default();
    let mut failures = Vec::new();
    for seed in first..first.saturating_add(runs) {
        match run(seed) {
            Ok(run) => add(&mut seen, &run),
            Err(failure) => {
                if failures.is_empty() {
                    eprintln!("{failure}");
                }
                failures.push(format!("seed {seed}: {}", failure.what));
            }
        }
    }
    println!("{runs} runs, {} failed; {}", failures.len(), words(&seen));
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

fn words(seen: &Seen) -> String {
    format!(
        "{} events in {} s of simulated time: {} takeovers, {} times two owners, {} quiet times ({} after two owners), {} \
         trials",
        seen.events,
        seen.time.as_secs(),
        seen.takeovers,
        seen.dual_owners,
        seen.quiets,
        seen.heals,
        seen.trials
    )
}

fn understand(arguments: &[&str]) -> Result<(u64, Option<u64>), String> {
    let number = |text: &str| text.parse().map_err(|_| format!("`{text}` is not a number"));
    match *arguments {
        ["--seed", seed] => Ok((number(seed)?, None)),
        ["--seed", seed, "--runs", runs] => Ok((number(seed)?, Some(number(runs)?))),
        ["--runs", runs] => Ok((0, Some(number(runs)?))),
        _ => Err("usage: cargo xtask sim [--handover] --seed N [--runs N]".to_owned()),
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
