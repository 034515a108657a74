//! A virtual LAN in which everything goes wrong, by seed: 2 to 5 routers with clocks that drift, neighbours whose tables
//! only announcements and expiry change, and a switch.
//!
//! A run alternates chaos (loss, delay, frames twice and out of order, partitions in one and both directions, cut cables,
//! frozen, killed, stopped and powerless routers, tracking, other parameters) with quiet time, in which the promises of
//! `failover` are checked, and with single faults, whose effect is known to the millisecond. No sockets, no real time: the
//! machines are the shipped ones, the same seed gives the same run.
//!
//! Checked:
//! - after quiet time exactly one eligible router holds the addresses, all of them and none else, and nobody who would
//!   displace it is there; it stays;
//! - neighbours and switch send to it: at once if two held the addresses when the quiet time began, after the next
//!   refreshing announcement in any case;
//! - always: a router holds addresses exactly while it is active or listens, announces only what it holds, and never has
//!   a deadline in the past;
//! - after a stop: within the skew; after a death: within the down interval, not earlier; preemption without a gap; no
//!   change for a quick restart, changed addresses, intervals or priorities that do not matter.

mod chaos;
mod check;
mod clock;
pub mod handover;
mod neighbour;
mod network;
mod process;
mod random;
mod router;
mod site;
#[cfg(test)]
mod tests;
mod trial;
mod world;

use std::fmt;
use std::time::Duration;

use world::World;

/// What has happened in runs: a simulation in which nothing happens finds nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Messages, timers, announcements and faults.
    pub events: u64,
    /// Times a router began to hold the addresses.
    pub takeovers: u64,
    /// Of these while another one held them.
    pub dual_owners: u64,
    /// Quiet times that were checked.
    pub quiets: u64,
    /// Of these that began with two or more owners.
    pub heals: u64,
    /// Single faults that were checked.
    pub trials: u64,
    /// Simulated time.
    pub time: Duration,
}

impl Seen {
    /// Adds what another run has seen.
    pub fn add(&mut self, other: &Self) {
        self.events += other.events;
        self.takeovers += other.takeovers;
        self.dual_owners += other.dual_owners;
        self.quiets += other.quiets;
        self.heals += other.heals;
        self.trials += other.trials;
        self.time += other.time;
    }
}

/// A promise that was not kept, with everything that led to it. Printed, it ends with the command to see it again.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The command that makes runs of this kind.
    command: &'static str,
    /// The run.
    pub seed: u64,
    /// What was not kept, and when.
    pub what: String,
    /// A line for each thing that happened.
    pub trace: Vec<String>,
}

/// Lines of a trace that are shown of a failure.
const SHOWN: usize = 150;

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let skipped = self.trace.len().saturating_sub(SHOWN);
        if skipped > 0 {
            writeln!(f, "({skipped} lines before)")?;
        }
        for line in &self.trace[skipped..] {
            writeln!(f, "{line}")?;
        }
        writeln!(f, "seed {}: {}", self.seed, self.what)?;
        write!(f, "to see all of it again: {} --seed {}", self.command, self.seed)
    }
}

/// Makes the run of this seed.
///
/// # Errors
/// The first promise that was not kept. The run is then made again to trace it.
pub fn run(seed: u64) -> Result<Seen, Box<Failure>> {
    let mut world = site::site(seed, false);
    match rounds(&mut world) {
        Ok(()) => Ok(Seen { time: world.now, ..world.seen }),
        Err(_) => {
            let (trace, outcome) = trace(seed);
            let what = outcome.err().unwrap_or_else(|| "the run differs when it is traced".to_owned());
            Err(Box::new(Failure { command: "cargo xtask sim", seed, what, trace }))
        }
    }
}

/// Makes the run of this seed and says everything that happened, and the first promise that was not kept.
pub fn trace(seed: u64) -> (Vec<String>, Result<(), String>) {
    let mut world = site::site(seed, true);
    let outcome = rounds(&mut world).map_err(|what| format!("at {:?}: {what}", world.now));
    (world.into_trace(), outcome)
}

fn rounds(world: &mut World) -> Result<(), String> {
    world.describe();
    for router in 0..world.routers.len() {
        world.start(router)?;
        let pause = world.random.between(Duration::ZERO, world.interval() * 2);
        world.run_for(pause)?;
    }
    world.settle()?;
    if let Some(memory) = world.memory {
        for neighbour in 0..world.neighbours.len() {
            let first = world.random.between(Duration::ZERO, memory);
            world.schedule(world.now + first, world::Event::Expire(neighbour));
        }
    }
    for _ in 0..1 + world.random.below(3) {
        let span = world.interval() * (5 + u32::from(world.random.number(0, 35)));
        world.chaos(span)?;
        world.settle()?;
        for _ in 0..world.random.below(3) {
            world.trial()?;
            world.settle()?;
        }
    }
    Ok(())
}
