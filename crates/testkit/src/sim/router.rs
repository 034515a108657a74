//! One machine with a virtual router: hardware, kernel and process, each of which may fail by itself.

use std::collections::{BTreeSet, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use evenkeel_failover::track::Effective;
use evenkeel_failover::vrrp::machine::Machine;
use evenkeel_failover::vrrp::params::{Params, Preempt, Priority, Settings};

use super::clock::Clock;

/// Messages that the socket of a paused process keeps; the newest are lost.
pub(super) const INBOX: usize = 64;

#[derive(Clone, Debug)]
pub(super) struct Router {
    pub(super) name: String,
    pub(super) clock: Clock,
    pub(super) settings: Settings,
    /// What tracking makes of the priority; none: nothing.
    pub(super) tracked: Option<Effective>,
    /// The primary address of its interface.
    pub(super) source: IpAddr,
    pub(super) powered: bool,
    pub(super) carrier: bool,
    /// The process, when it runs.
    pub(super) machine: Option<Machine>,
    pub(super) paused: bool,
    pub(super) inbox: VecDeque<Message>,
    /// The virtual addresses that its kernel holds.
    pub(super) holds: BTreeSet<IpAddr>,
    /// Whether the running process was told of its link.
    pub(super) link_told: bool,
    /// The machine's deadline in true time, and when the timer goes off for it.
    pub(super) due: Option<Duration>,
    pub(super) wake: Option<Duration>,
    /// When it advertised last.
    pub(super) sent: Option<Duration>,
}

/// A VRRP message on its way.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) source: IpAddr,
    pub(super) destination: IpAddr,
    pub(super) payload: Vec<u8>,
}

impl Router {
    /// Whether it may be active.
    pub(super) fn eligible(&self) -> bool {
        self.powered && self.carrier && self.machine.is_some() && self.effective() != Effective::Withdrawn
    }

    pub(super) fn effective(&self) -> Effective {
        match self.tracked {
            Some(Effective::Withdrawn) => Effective::Withdrawn,
            // An owner cannot stand with less.
            Some(Effective::Yielding) if self.settings.priority.is_owner() => Effective::Withdrawn,
            Some(tracked) if !self.settings.priority.is_owner() => tracked,
            _ => Effective::Priority(self.settings.priority),
        }
    }

    /// With what it stands for election; none while withdrawn.
    pub(super) fn priority(&self) -> Option<Priority> {
        match self.effective() {
            Effective::Priority(priority) => Some(priority),
            Effective::Yielding => Some(Priority::LEAST),
            Effective::Withdrawn => None,
        }
    }

    fn stands_by(&self) -> bool {
        self.machine.as_ref().is_some_and(Machine::is_standing_by)
    }

    /// Whether it displaces a lower priority sooner or later.
    pub(super) fn preempts(&self) -> bool {
        (self.settings.preempt != Preempt::No && !self.stands_by()) || self.settings.priority.is_owner()
    }

    /// Whether it displaces a lower priority as soon as the protocol allows.
    pub(super) fn preempts_at_once(&self) -> bool {
        (self.settings.preempt == Preempt::Yes && !self.stands_by()) || self.settings.priority.is_owner()
    }

    pub(super) fn params(&self) -> Params {
        match Params::new(self.settings.clone()) {
            Ok(params) => params,
            Err(invalid) => panic!("the simulator made settings that are invalid: {invalid:?}"),
        }
    }

    pub(super) fn wanted(&self) -> BTreeSet<IpAddr> {
        self.settings.addresses.iter().map(|address| address.ip).collect()
    }
}
