//! Least connections: the server with the fewest running requests or connections relative to its weight.
//!
//! A server's key is (running + 1) / weight, what it would have with this one; an idle server's key is 0, so that
//! light servers are not left unused while there is little to do. The smallest key wins. Idle servers are taken in turn
//! by weight, other equals one after the other.
//!
//! Invariant: of the servers that may take, none had a smaller key than the picked one when they were read.

use std::sync::Arc;

use super::group::{Look, Member};
use super::minima::{Minima, NEVER, Place};
use super::turn::Turn;

/// Places of the turn that are looked at for an idle server before the smallest key is looked for.
const PROBES: usize = 4;

/// The state of one group; shared by all workers.
#[derive(Debug)]
pub(super) struct LeastConnections(Arc<Minima>);

impl LeastConnections {
    pub(super) fn new(members: &[Member]) -> Self {
        Self(Arc::new(Minima::new(members.len())))
    }

    /// From now on falling counts are noted here.
    pub(super) fn attach(&self, members: &[Member]) {
        for (position, member) in members.iter().enumerate() {
            member.load.report_to(Some(Place::new(self.0.clone(), position, member.weight, key)));
        }
    }

    pub(super) fn pick(&self, turn: &Turn, members: &[Member], look: &impl Look) -> Option<usize> {
        // In an idle pool the first place of the turn is an idle server, and nothing is smaller than that.
        let is_idle = |position: usize| {
            members.get(position).is_some_and(|member| member.load.running() == 0) && look.may_take(position)
        };
        if let Some(position) = turn.among_next(PROBES, is_idle) {
            return Some(position);
        }
        let key = |position: usize| match members.get(position) {
            Some(member) if look.could_take(position) => key(position, member.weight, member.load.running()),
            _ => NEVER,
        };
        self.0.find(true, key, |position| look.was_tried(position))
    }

    pub(super) fn forget(&self) {
        self.0.forget();
    }
}

/// (running + 1) / weight in units of 2⁻¹⁶, which keeps any two different ratios of weights up to 256 apart.
fn key(_: usize, weight: u16, running: u32) -> u64 {
    match running {
        0 => 0,
        running => (((u64::from(running) + 1) << 16) / u64::from(weight.max(1))).min(NEVER - 1),
    }
}
