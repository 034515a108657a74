//! Thousands of seeds, a few seconds.

use super::*;

/// Runs of every test run; `cargo xtask sim --runs` makes more.
const SEEDS: u64 = 3000;

#[test]
fn thousands_of_seeds_keep_every_promise() {
    let workers = std::thread::available_parallelism().map_or(2, |cores| cores.get() as u64);
    let seen = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..workers)
            .map(|worker| {
                scope.spawn(move || {
                    let mut seen = Seen::default();
                    for seed in (worker..SEEDS).step_by(usize::try_from(workers).unwrap()) {
                        match run(seed) {
                            Ok(run) => seen.add(&run),
                            Err(failure) => panic!("{failure}"),
                        }
                    }
                    seen
                })
            })
            .collect();
        let mut all = Seen::default();
        for worker in workers {
            all.add(&worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        all
    });
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
