//! What happens to a router from outside: started, stopped, killed, paused, unplugged, reconfigured.

use std::time::Duration;

use evenkeel_failover::track::Effective;
use evenkeel_failover::vrrp::machine::{Machine, Purpose};

use super::world::World;

impl World {
    /// Starts the process, if it does not run. What its kernel holds is adopted when it is all of what it should hold.
    pub(super) fn start(&mut self, index: usize) -> Result<(), String> {
        let router = &mut self.routers[index];
        if router.machine.is_some() || !router.powered {
            return Ok(());
        }
        router.machine = Some(Machine::new(router.params()));
        (router.link_told, router.due, router.wake) = (false, None, None);
        router.inbox.clear();
        let holding = !router.holds.is_empty() && router.holds == router.wanted();
        let name = router.name.clone();
        let leftovers = !holding && !router.holds.is_empty();
        self.note(format_args!("-- {name} starts{}", if holding { ", holding the addresses" } else { "" }));
        if leftovers {
            // What a process finds and does not want, it removes.
            self.hold(index, Default::default());
        }
        let (link, effective) = (self.link(index), self.routers[index].effective());
        self.tell(index, |machine, now| machine.set_priority(now, effective))?;
        // Either order is legal.
        if self.random.percent(50) {
            self.tell(index, |machine, now| machine.link(now, link))?;
            self.routers[index].link_told = true;
            self.tell(index, |machine, now| machine.start(now, holding))
        } else {
            self.tell(index, |machine, now| machine.start(now, holding))?;
            self.routers[index].link_told = true;
            self.tell(index, |machine, now| machine.link(now, link))
        }
    }

    /// Ends the process in good order.
    pub(super) fn stop(&mut self, index: usize) -> Result<(), String> {
        if self.routers[index].paused || self.routers[index].machine.is_none() {
            return Ok(());
        }
        let name = self.routers[index].name.clone();
        self.note(format_args!("-- {name} is stopped"));
        self.tell(index, Machine::stop)?;
        self.end(index);
        if self.routers[index].holds.is_empty() {
            Ok(())
        } else {
            Err(format!("{} holds addresses after it was stopped", self.routers[index].name))
        }
    }

    /// An operator wants another router to be active.
    pub(super) fn hand_over(&mut self, index: usize) -> Result<(), String> {
        if self.routers[index].paused {
            return Ok(());
        }
        let name = self.routers[index].name.clone();
        self.note(format_args!("-- {name} is asked to hand over"));
        self.tell(index, |machine, now| {
            let _is_active = machine.hand_over(now, Purpose::Asked);
        })
    }

    /// Kills the process; its kernel goes on holding the addresses.
    pub(super) fn kill(&mut self, index: usize) {
        let name = self.routers[index].name.clone();
        self.note(format_args!("-- {name}'s process is killed"));
        self.end(index);
    }

    fn end(&mut self, index: usize) {
        let router = &mut self.routers[index];
        router.machine = None;
        router.paused = false;
        (router.due, router.wake) = (None, None);
        router.inbox.clear();
    }

    pub(super) fn power_off(&mut self, index: usize) {
        let name = self.routers[index].name.clone();
        self.note(format_args!("-- {name} loses power"));
        self.end(index);
        self.routers[index].powered = false;
        self.hold(index, Default::default());
    }

    pub(super) fn power_on(&mut self, index: usize) -> Result<(), String> {
        self.routers[index].powered = true;
        self.start(index)
    }

    pub(super) fn pause(&mut self, index: usize) {
        if self.routers[index].machine.is_some() {
            let name = self.routers[index].name.clone();
            self.note(format_args!("-- {name} is frozen"));
            self.routers[index].paused = true;
        }
    }

    /// Lets a paused process run on: first it reads what its socket has kept.
    pub(super) fn resume(&mut self, index: usize) -> Result<(), String> {
        if !std::mem::take(&mut self.routers[index].paused) {
            return Ok(());
        }
        let name = self.routers[index].name.clone();
        self.note(format_args!("-- {name} runs on"));
        // The kernel has told of the link meanwhile.
        let link = self.link(index);
        self.tell(index, |machine, now| machine.link(now, link))?;
        while let Some(message) = self.routers[index].inbox.pop_front() {
            self.receive(index, &message)?;
        }
        self.wake(index)
    }

    pub(super) fn set_carrier(&mut self, index: usize, carrier: bool) -> Result<(), String> {
        if self.routers[index].carrier == carrier {
            return Ok(());
        }
        self.routers[index].carrier = carrier;
        let name = self.routers[index].name.clone();
        self.note(format_args!("-- {name} {} its carrier", if carrier { "has again" } else { "loses" }));
        self.tell_link(index)
    }

    /// Tells a running process of the link as it is.
    pub(super) fn tell_link(&mut self, index: usize) -> Result<(), String> {
        if self.routers[index].paused {
            return Ok(());
        }
        let link = self.link(index);
        self.tell(index, |machine, now| machine.link(now, link))
    }

    /// Tracking has another result.
    pub(super) fn track(&mut self, index: usize, tracked: Option<Effective>) -> Result<(), String> {
        if self.routers[index].paused {
            return Ok(());
        }
        self.routers[index].tracked = tracked;
        let (name, effective) = (self.routers[index].name.clone(), self.routers[index].effective());
        self.note(format_args!("-- {name} is tracked to {effective:?}"));
        self.tell(index, |machine, now| machine.set_priority(now, effective))
    }

    /// Makes a running process take over its settings.
    pub(super) fn reload(&mut self, index: usize) -> Result<(), String> {
        let router = &self.routers[index];
        let (params, effective) = (router.params(), router.effective());
        if router.paused || router.machine.as_ref().is_none_or(|machine| *machine.params() == params) {
            return Ok(());
        }
        let (name, settings) = (router.name.clone(), router.settings.clone());
        self.note(format_args!(
            "-- {name} is reloaded: priority {}, interval {:?}, {} addresses",
            settings.priority,
            settings.interval.duration(),
            settings.addresses.len()
        ));
        self.tell(index, |machine, now| machine.set_params(now, params))?;
        self.tell(index, |machine, now| machine.set_priority(now, effective))
    }

    /// How long this router waits for the active one, by true time at most, with all routers agreeing on the interval.
    pub(super) fn down_interval(&self, index: usize) -> Duration {
        let settings = &self.routers[index].settings;
        settings.interval.duration() * 3 + self.skew(index)
    }

    /// How much longer than the highest priority it waits.
    pub(super) fn skew(&self, index: usize) -> Duration {
        use evenkeel_failover::vrrp::params::Version;
        let router = &self.routers[index];
        let whole = match router.settings.version {
            Version::V2 => Duration::from_secs(1),
            Version::V3 => router.settings.interval.duration(),
        };
        let priority = router.priority().map_or(1, |priority| u32::from(priority.number()));
        whole * (256 - priority) / 256
    }
}
