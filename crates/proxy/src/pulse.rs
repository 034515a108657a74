//! Tells the supervisor again and again that the role lives, and how many servers of each pool take traffic.
//!
//! It is sent by the thread that follows the supervisor. One look costs a lock a server, so it is taken only while
//! somebody wants to know: the supervisor of a node with virtual routers.

use std::time::{Duration, Instant};

use evenkeel_traffic::usability::Usability;

use crate::message::{Event, PoolPulse};
use crate::table::{Pool, Table};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(20);
/// A sign of life comes with every so many looks, also when nothing has changed.
const SIGNS: u32 = 5;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Pulse {
    clock: Option<tokio::time::Interval>,
    told: Option<Vec<PoolPulse>>,
    looks: u32,
}

impl Pulse {
    /// From now on somebody wants to know, or nobody does.
    pub(crate) fn want(&mut self, wanted: bool) {
        self.told = None;
        self.looks = 0;
        self.clock = wanted.then(|| {
            let mut clock = tokio::time::interval(LOOK);
            clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            clock
        });
    }

    /// Waits for the next look. Cancel-safe.
    pub(crate) async fn turn(&mut self) {
        match &mut self.clock {
            Some(clock) => drop(clock.tick().await),
            None => std::future::pending().await,
        }
    }

    /// What there is to say now.
    pub(crate) fn look(&mut self, table: Option<&Table>) -> Option<Event> {
        let now = Instant::now();
        let pools: Option<Vec<PoolPulse>> =
            table.map(|table| table.pools.iter().map(|known| pool(known, now)).collect());
        self.looks += 1;
        if pools.is_some() && pools != self.told {
            self.looks = 0;
            self.told.clone_from(&pools);
            return Some(Event::Pulse { pools });
        }
        (self.looks >= SIGNS).then(|| {
            self.looks = 0;
            Event::Pulse { pools: None }
        })
    }
}

fn pool(pool: &Pool, now: Instant) -> PoolPulse {
    let mut pulse = PoolPulse { name: pool.plan.name.clone(), servers: 0, usable: 0, undecided: 0 };
    for server in &pool.servers {
        pulse.servers += 1;
        match server.state.gate.usability(pool.plan.slow_start, now) {
            Usability::Up { .. } | Usability::SlowStart { .. } => pulse.usable += 1,
            Usability::Checking { .. } => pulse.undecided += 1,
            _ => {}
        }
    }
    pulse
}
