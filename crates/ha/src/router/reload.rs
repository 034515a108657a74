//! What a reload, or the end of the role, does to a virtual router that runs.
//!
//! Invariant: an active router goes on advertising whatever changes about it, until it hands over.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use evenkeel_config::plan::VirtualRouter;
use evenkeel_failover::vrrp::params::Address;
use evenkeel_failover::vrrp::status::State;

use super::Router;
use crate::ground::Ground;
use crate::run::World;

/// It is no part of the plan any more, and hands over.
#[derive(Debug)]
pub(super) struct Dismissed {
    /// Those of its addresses that are still its own.
    pub(super) left: Vec<Address>,
}

impl Router {
    /// Goes on with another plan for the same virtual router.
    pub(crate) fn change(
        &mut self,
        plan: VirtualRouter,
        virtuals: &[Address],
        world: &mut World,
        now: Instant,
    ) {
        let moves = plan.virtual_mac != self.plan.virtual_mac;
        let reopen = moves || plan.params.settings().delivery != self.plan.params.settings().delivery;
        if moves {
            self.strip(world, now);
        }
        self.machine.set_params(now, plan.params.clone());
        if plan.name != self.plan.name {
            self.told_own = None;
        }
        self.plan = plan;
        if self.plan.sync_group.is_some() {
            self.machine.join();
        } else {
            self.machine.part(now);
        }
        self.track(world, now);
        if reopen {
            self.ground = Ground::Missing(String::new());
        }
        self.tell_wall_clock(now);
        self.stand(virtuals, world, now);
        self.act(world, now);
        self.hold(world, now);
        if moves && self.own {
            self.announce_all(now);
            self.announce_due(world, now);
        }
    }

    /// Takes the addresses from where they are, so that they can be put on another interface. The election goes on.
    fn strip(&mut self, world: &mut World, now: Instant) {
        let own = std::mem::replace(&mut self.own, false);
        self.hold(world, now);
        self.own = own;
    }

    /// It is no part of the plan any more: it hands its addresses over, but for those that another virtual router of this
    /// machine has on the same interface now.
    pub(crate) fn dismiss(&mut self, taken: &BTreeSet<IpAddr>, world: &mut World, now: Instant) {
        let is_left = |address: &&Address| self.plan.virtual_mac || !taken.contains(&address.ip);
        let left = self.plan.params.settings().addresses.iter().filter(is_left).copied().collect();
        self.dismissed = Some(Dismissed { left });
        self.machine.retire(now);
        // What it does now is no matter of the others.
        self.plan.sync_group = None;
        self.act(world, now);
    }

    /// It is part of the plan again, before it has handed over.
    pub(crate) fn recall(&mut self, world: &mut World, now: Instant) {
        if self.dismissed.take().is_some() {
            self.machine.start(now, false);
            self.act(world, now);
        }
    }

    /// The group with which it moves.
    pub(crate) fn sync_group(&self) -> Option<String> {
        self.plan.sync_group.as_ref().map(ToString::to_string)
    }

    pub(crate) fn is_dismissed(&self) -> bool {
        self.dismissed.is_some()
    }

    /// Hands the addresses over and takes part no longer.
    pub(crate) fn retire(&mut self, world: &mut World, now: Instant) {
        self.machine.retire(now);
        self.act(world, now);
    }

    /// How long [`Router::retire`] may take.
    pub(crate) fn longest_handover(&self) -> Duration {
        self.plan.params.longest_handover()
    }

    /// It takes no part any more, and holds nothing.
    pub(crate) fn is_stopped(&self) -> bool {
        self.machine.state() == State::Stopped
    }

    /// Gives the addresses away and takes part no longer.
    pub(crate) fn stop(&mut self, world: &mut World, now: Instant) {
        self.machine.stop(now);
        self.act(world, now);
        self.own = false;
        self.hold(world, now);
        self.tell_own(world);
    }
}
