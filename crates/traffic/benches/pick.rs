//! What a pick costs: nanoseconds and allocations for each algorithm, at 10, 100 and 1,000 servers.
//!
//! `cargo bench -p evenkeel-traffic`. Each pick begins a request and, so that 3 a server are running, ends the oldest:
//! `pick` is the choice alone, `all` the whole of it. A report, never a test: nothing fails for being slow.

#![expect(clippy::print_stdout, reason = "a report")]
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a bench that cannot go on ends, and looks at the clock"
)]

use std::collections::VecDeque;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use evenkeel_traffic::chance::Chance;
use evenkeel_traffic::load::{Load, PoolLoad};
use evenkeel_traffic::pick::{Balance, Key, Picker, Priority, Request, Server};

const ROUNDS: u32 = 200_000;

fn servers(count: usize, weighted: bool) -> Vec<Server> {
    let pool = Arc::new(PoolLoad::default());
    (0..count)
        .map(|index| Server {
            name: format!("server{index}").parse().unwrap(),
            weight: u16::try_from(if weighted { index % 7 + 1 } else { 1 }).unwrap().try_into().unwrap(),
            priority: Priority::USUAL,
            max_connections: std::num::NonZeroU32::new(1000),
            load: Arc::new(Load::new(pool.clone())),
        })
        .collect()
}

/// Nanoseconds of the choice alone and of everything, milliseconds of building the picker, and allocations of all the
/// choices.
fn measure(balance: &Balance, count: usize, weighted: bool) -> (f64, f64, f64, u64) {
    let servers = servers(count, weighted);
    let building = Instant::now();
    let picker = Picker::new(balance, &servers);
    let built = building.elapsed().as_secs_f64() * 1e3;
    picker.attach(balance, None);
    let chance = Chance::seeded(1);
    let keys = Chance::seeded(2);
    let mut running = VecDeque::with_capacity(3 * count + 1);
    let pick = || {
        let request = Request { key: Some(keys.number()), tried: &[], now: Duration::from_millis(5) };
        picker.pick(request, &chance, |index| black_box(index) < count)
    };
    let mut turn = || {
        let index = pick().unwrap();
        running.push_back(servers[index].load.begin(1000).unwrap());
        if running.len() > 3 * count {
            running.pop_front();
        }
    };
    for _ in 0..10 * count {
        turn();
    }
    let start = Instant::now();
    for _ in 0..ROUNDS {
        turn();
    }
    let all = start.elapsed();
    // Nothing begins or ends: what is read is as warm as it gets.
    let start = Instant::now();
    for _ in 0..ROUNDS {
        black_box(pick());
    }
    let alone = start.elapsed();
    let allocations = allocation_counter::measure(|| {
        for _ in 0..ROUNDS {
            black_box(pick());
        }
    });
    let each = |time: Duration| time.as_secs_f64() * 1e9 / f64::from(ROUNDS);
    (each(alone), each(all), built, allocations.count_total)
}

fn main() {
    let balances = [
        Balance::RoundRobin,
        Balance::LeastConnections,
        Balance::Hash { key: Key::Path, bounded_load: None },
        Balance::Hash { key: Key::Path, bounded_load: Some(125) },
        Balance::RandomTwo,
        Balance::PeakEwma,
        Balance::First,
    ];
    println!(
        "{:<48} {:>7} {:>9} {:>9} {:>10} {:>12}",
        "", "servers", "pick ns", "all ns", "build ms", "allocations"
    );
    for balance in &balances {
        for count in [10, 100, 1000] {
            for weighted in [false, true] {
                let (alone, all, built, allocations) = measure(balance, count, weighted);
                let name = format!("{balance}{}", if weighted { ", weights 1 to 7" } else { "" });
                println!("{name:<48} {count:>7} {alone:>9.0} {all:>9.0} {built:>10.2} {allocations:>12}");
            }
        }
    }
}
