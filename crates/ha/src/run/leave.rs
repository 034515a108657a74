//! The end when another process goes on: nothing is released, and the others on the link notice nothing.

use std::time::Instant;

use super::{LAST_WORDS, Role};
use crate::message::{Event, Legacy};
use crate::router::Router;

impl Role {
    /// Says what is left. Nothing is sent to the link afterwards: whoever reads it may begin.
    pub(super) fn say_farewell(&mut self, now: Instant) {
        self.world.out.speak_again();
        self.stop_handing();
        let legacies = self.planned().filter_map(Router::bequeath).collect();
        let snapshot = self.snapshot(now);
        self.world.out.send(&Event::Left { legacies, snapshot });
        self.world.out.finish(now + LAST_WORDS);
    }
}

impl Router {
    /// What there is to leave of a virtual router.
    fn bequeath(&self) -> Option<Legacy> {
        let settings = self.plan().params.settings();
        Some(Legacy {
            interface: self.plan().interface.clone(),
            vrid: settings.vrid.number(),
            family: settings.family,
            machine: self.machine().bequeath()?,
        })
    }
}

impl Legacy {
    /// It is of this virtual router.
    pub(crate) fn is_of(&self, plan: &evenkeel_config::plan::VirtualRouter) -> bool {
        let settings = plan.params.settings();
        self.interface == plan.interface
            && self.vrid == settings.vrid.number()
            && self.family == settings.family
    }
}
