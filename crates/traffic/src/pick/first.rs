//! First: fill the servers in the order of the file, each up to its `max-connections`.
//!
//! Servers beyond those that are needed stay idle and may be switched off. Weights mean nothing here, but 0 still takes
//! nothing. Invariant: no server before the picked one may take.

use std::sync::Arc;

use super::group::{Look, Member};
use super::minima::{Minima, NEVER, Place};

/// The state of one group; shared by all workers.
#[derive(Debug)]
pub(super) struct First(Arc<Minima>);

impl First {
    pub(super) fn new(members: &[Member]) -> Self {
        Self(Arc::new(Minima::new(members.len())))
    }

    /// From now on falling counts are noted here.
    pub(super) fn attach(&self, members: &[Member]) {
        for (position, member) in members.iter().enumerate() {
            member.load.report_to(Some(Place::new(self.0.clone(), position, member.weight, key)));
        }
    }

    pub(super) fn pick(&self, look: &impl Look) -> Option<usize> {
        let key = |position| if look.could_take(position) { key(position, 1, 0) } else { NEVER };
        self.0.find(false, key, |position| look.was_tried(position))
    }

    pub(super) fn forget(&self) {
        self.0.forget();
    }
}

fn key(position: usize, _: u16, _: u32) -> u64 {
    position as u64
}
