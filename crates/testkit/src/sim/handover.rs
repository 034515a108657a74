//! Two nodes that hand addresses over to each other while clients open and close connections, by seed.
//!
//! The machines are those of `failover::handover`; election, link and kernels are models. A run alternates *fine weather*, in
//! which operators hand over back and forth as they like, *chaos* (nodes and roles that die, links that break and lose what
//! was on its way, elections that move addresses unasked, two owners, kernels that refuse, clients that use a port again), and
//! *quiet time*.
//!
//! Checked after every event:
//! - no packet goes in a circle, whatever it is and wherever it comes in;
//! - a node that holds the addresses has not silenced them, and no deadline is in the past;
//! - in fine weather: every open connection is reached from where clients send their packets, the addresses never move without
//!   connections but when an earlier move has not settled, and none is ended before the bound.
//!
//! After quiet time: nobody takes part in anything, and no host is arranged in any way. Every wish has had its answer.

mod host;
mod world;

#[cfg(test)]
mod tests;

use std::time::Duration;

use super::Failure;
use world::World;

/// What has happened in runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Messages, timers, connections and faults.
    pub events: u64,
    /// Moves with connections.
    pub moves: u64,
    /// Connections that were open as they moved.
    pub kept: u64,
    /// Moves that began while the node passed packets on to the other one.
    pub back: u64,
    /// Moves in which the last connection ended by itself.
    pub drained: u64,
    /// Moves without connections.
    pub plain: u64,
    /// Times connections were ended at the bound.
    pub cut: u64,
    /// Nodes and roles that died.
    pub deaths: u64,
    /// Simulated time.
    pub time: Duration,
}

impl Seen {
    /// Adds what another run has seen.
    pub fn add(&mut self, other: &Self) {
        self.events += other.events;
        self.moves += other.moves;
        self.kept += other.kept;
        self.back += other.back;
        self.drained += other.drained;
        self.plain += other.plain;
        self.cut += other.cut;
        self.deaths += other.deaths;
        self.time += other.time;
    }
}

/// Makes the run of this seed.
///
/// # Errors
/// The first promise that was not kept. The run is then made again to trace it.
pub fn run(seed: u64) -> Result<Seen, Box<Failure>> {
    let mut world = World::new(seed, false);
    match rounds(&mut world) {
        Ok(()) => Ok(Seen { time: world.now, ..world.seen }),
        Err(_) => {
            let (trace, outcome) = trace(seed);
            let what = outcome.err().unwrap_or_else(|| "the run differs when it is traced".to_owned());
            Err(Box::new(Failure { command: "cargo xtask sim --handover", seed, what, trace }))
        }
    }
}

/// Makes the run of this seed and says everything that happened, and the first promise that was not kept.
pub fn trace(seed: u64) -> (Vec<String>, Result<(), String>) {
    let mut world = World::new(seed, true);
    let outcome = rounds(&mut world).map_err(|what| format!("at {:?}: {what}", world.now));
    (world.trace.unwrap_or_default(), outcome)
}

fn rounds(world: &mut World) -> Result<(), String> {
    world.settle()?;
    for _ in 0..1 + world.random.below(3) {
        world.fine_weather()?;
        if world.random.percent(50) {
            world.settle()?;
        }
        world.chaos()?;
        world.settle()?;
    }
    Ok(())
}
