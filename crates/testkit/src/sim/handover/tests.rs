//! A thousand seeds, a few seconds.

use super::*;

/// Runs of every test run; `cargo xtask sim --handover --runs` makes more.
const SEEDS: u64 = 300;

#[test]
fn a_thousand_seeds_keep_every_connection_and_end() {
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
