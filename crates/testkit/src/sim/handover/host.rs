//! One node: its machine, and what its kernel does with a packet.

use std::time::Duration;

use evenkeel_failover::handover::action::Pass;
use evenkeel_failover::handover::machine::Machine;
use evenkeel_failover::handover::{Flow, Flows};

#[derive(Clone, Debug)]
pub(super) struct Host {
    pub(super) is_alive: bool,
    pub(super) machine: Machine,
    pub(super) owns: bool,
    /// Connections that end here.
    pub(super) sockets: Flows,
    pub(super) is_silent: bool,
    pub(super) pass: Option<Pass>,
    /// Connections that have begun here while everything unknown is passed on.
    pub(super) begun: Flows,
    /// A wish without an answer.
    pub(super) asked_at: Option<Duration>,
    /// When it let go of the addresses last.
    pub(super) left_at: Duration,
    /// What it passed on then.
    pub(super) passed_last: Flows,
}

/// What a host does with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Here,
    Passed,
}

impl Host {
    pub(super) fn new(timeout: Duration) -> Self {
        Self {
            is_alive: true,
            machine: Machine::new(timeout),
            owns: false,
            sockets: Flows::new(),
            is_silent: false,
            pass: None,
            begun: Flows::new(),
            asked_at: None,
            left_at: Duration::ZERO,
            passed_last: Flows::new(),
        }
    }

    pub(super) fn fate(&self, flow: &Flow, begins: bool) -> Fate {
        let Some(pass) = &self.pass else { return Fate::Here };
        let is_other = pass.rest && !begins && !pass.known.contains(flow) && !self.begun.contains(flow);
        if pass.flows.contains(flow) || is_other { Fate::Passed } else { Fate::Here }
    }

    /// Somebody accepts at these addresses.
    pub(super) fn has_addresses(&self) -> bool {
        self.is_alive && (self.owns || self.is_silent)
    }

    pub(super) fn open(&mut self, flow: Flow) {
        self.sockets.insert(flow);
        self.begun.insert(flow);
    }

    /// Makes the kernel as the machine wants it, or leaves it without anything.
    pub(super) fn arrange(&mut self, is_done: bool) {
        let wanted = self.machine.wanted();
        let was_catching = self.pass.as_ref().is_some_and(|pass| pass.rest);
        self.is_silent = wanted.silent;
        self.pass = wanted.pass.filter(|_| is_done).cloned();
        if !was_catching {
            self.begun.clear();
        }
    }
}
