//! Hundreds of seeds, a few seconds.

use super::*;
use crate::sim::tests::every_seed;

/// Runs of every test run; `cargo xtask sim --handover --runs` makes more.
const SEEDS: u64 = 300;

#[test]
fn hundreds_of_seeds_keep_every_connection_and_end() {
    let seen: Seen = every_seed(SEEDS, run, Seen::add);
    println!("{seen:?}");
    assert!(seen.moves > SEEDS && seen.kept > SEEDS * 5 && seen.back > SEEDS / 2, "{seen:?}");
    assert!(seen.drained > SEEDS / 4 && seen.cut > SEEDS / 20 && seen.plain > SEEDS / 4, "{seen:?}");
    assert!(seen.deaths > SEEDS, "{seen:?}");
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for seed in 0..10 {
        let (first, second) = (trace(seed), trace(seed));
        assert!(first.0.len() > 50);
        assert_eq!(first, second);
    }
    assert_ne!(trace(1), trace(2));
}
