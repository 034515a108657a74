//! What the choice of a server costs, in instructions, for each algorithm at 10 and at 1,000 servers.
//!
//! `cargo xtask instructions` runs this under valgrind, which counts what happens within `measured_rounds`. By itself it only
//! says which cases there are.

#![expect(clippy::print_stdout, reason = "a report")]
#![allow(clippy::unwrap_used, reason = "a bench that cannot go on ends")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use evenkeel_traffic::chance::Chance;
use evenkeel_traffic::load::{Load, PoolLoad};
use evenkeel_traffic::pick::{Balance, Key, Picker, Priority, Request, Server};

/// Rounds that one run counts.
const ROUNDS: u32 = 1000;

#[inline(never)]
fn measured_rounds(mut round: impl FnMut()) {
    for _ in 0..ROUNDS {
        round();
    }
}

fn pick(balance: &Balance, count: usize) {
    let pool = Arc::new(PoolLoad::default());
    let servers: Vec<Server> = (0..count)
        .map(|index| Server {
            name: format!("server{index}").parse().unwrap(),
            weight: u16::try_from(index % 7 + 1).unwrap().try_into().unwrap(),
            priority: Priority::USUAL,
            max_connections: std::num::NonZeroU32::new(1000),
            load: Arc::new(Load::new(pool.clone())),
        })
        .collect();
    let picker = Picker::new(balance, &servers);
    picker.attach(balance, None);
    let (chance, keys) = (Chance::seeded(1), Chance::seeded(2));
    let choose = || {
        let request = Request { key: Some(keys.number()), tried: &[], now: Duration::from_millis(5) };
        picker.pick(request, &chance, |index| black_box(index) < count)
    };
    // Three requests run on each server.
    let _running: Vec<_> =
        (0..3 * count).map(|_| servers[choose().unwrap()].load.begin(1000).unwrap()).collect();
    measured_rounds(|| {
        black_box(choose());
    });
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
    let cases = balances.iter().flat_map(|balance| [10, 1000].map(|count| (balance, count)));
    let name = |(balance, count): (&Balance, usize)| format!("pick {balance}, {count} servers");
    let wanted = std::env::args().skip(1).find(|argument| !argument.starts_with("--"));
    for (balance, count) in cases {
        match &wanted {
            Some(wanted) if *wanted == name((balance, count)) => pick(balance, count),
            Some(_) => {}
            None => println!("{}", name((balance, count))),
        }
    }
}
