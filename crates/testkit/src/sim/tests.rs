//! Thousands of seeds, a few seconds.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;

/// Runs of every test run; `cargo xtask sim --runs` makes more.
const SEEDS: u64 = 3000;

/// Runs so many seeds on all processors and adds up what they saw; panics with a broken promise.
pub(super) fn every_seed<S: Default + Send, R>(
    seeds: u64,
    run: impl Fn(u64) -> Result<R, Box<Failure>> + Sync,
    add: impl Fn(&mut S, &R) + Sync,
) -> S {
    let seen = Mutex::new(S::default());
    let next = AtomicU64::new(0);
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds {
                return;
            }
            match run(seed) {
                Ok(run) => add(&mut seen.lock().unwrap(), &run),
                Err(failure) => panic!("{failure}"),
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(work);
        }
    });
    seen.into_inner().unwrap()
}

#[test]
fn thousands_of_seeds_keep_every_promise() {
    let seen: Seen = every_seed(SEEDS, run, Seen::add);
    println!("{seen:?}");
    assert!(seen.quiets > SEEDS && seen.trials > SEEDS && seen.heals > SEEDS / 20, "{seen:?}");
    assert!(seen.dual_owners > SEEDS / 4 && seen.takeovers > SEEDS, "{seen:?}");
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for seed in 0..20 {
        let (first, second) = (trace(seed), trace(seed));
        assert!(first.0.len() > 50);
        assert_eq!(first, second);
    }
    assert_ne!(trace(1), trace(2));
}
