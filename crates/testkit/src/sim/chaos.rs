//! Everything goes wrong for a while, and then nothing does.

use std::time::Duration;

use evenkeel_failover::track::Effective;
use evenkeel_failover::vrrp::interval::Interval;
use evenkeel_failover::vrrp::params::Priority;

use super::network::Weather;
use super::site::{interval, other_source, virtual_addresses};
use super::world::{Event, World};

/// One thing that goes wrong, or comes right.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    Stop(usize),
    Kill(usize),
    PowerOff(usize),
    /// Starts the process again, and the machine if need be.
    Start(usize),
    Pause(usize),
    Resume(usize),
    Cut(usize),
    Plug(usize),
    /// What the router sends vanishes.
    Mute(usize),
    /// What is sent to the router vanishes.
    Deafen(usize),
    /// Frames of the first to the second vanish.
    Block(usize, usize),
    /// The LAN falls into two; the bits say who is on which side.
    Part(usize),
    Mend,
    Track(usize, u8),
    Withdraw(usize),
    Yield(usize),
    HandOver(usize),
    StandBy(usize, bool),
    Restore(usize),
    Priority(usize, u8),
    Interval(usize, Interval),
    /// So many virtual addresses.
    Addresses(usize, usize),
    Source(usize),
}

impl World {
    pub(super) fn strike(&mut self, fault: Fault) -> Result<(), String> {
        match fault {
            Fault::Stop(router) => return self.stop(router),
            Fault::Kill(router) => self.kill(router),
            Fault::PowerOff(router) => self.power_off(router),
            Fault::Start(router) => return self.power_on(router),
            Fault::Pause(router) => self.pause(router),
            Fault::Resume(router) => return self.resume(router),
            Fault::Cut(router) => return self.set_carrier(router, false),
            Fault::Plug(router) => return self.set_carrier(router, true),
            Fault::Mute(place) => self.network.mute(place),
            Fault::Deafen(place) => self.network.deafen(place),
            Fault::Block(from, to) => self.network.block(from, to),
            Fault::Part(bits) => {
                let side: Vec<usize> =
                    (0..self.network.places()).filter(|place| bits >> place & 1 == 1).collect();
                self.network.part(&side);
            }
            Fault::Mend => self.network.mend(),
            Fault::Track(router, priority) => {
                return self.track(router, Priority::new(priority).map(Effective::Priority));
            }
            Fault::Withdraw(router) => return self.track(router, Some(Effective::Withdrawn)),
            Fault::Yield(router) => return self.track(router, Some(Effective::Yielding)),
            Fault::HandOver(router) => return self.hand_over(router),
            Fault::StandBy(router, standing_by) => {
                return self.tell(router, |machine, _| machine.stand_by(standing_by));
            }
            Fault::Restore(router) => return self.track(router, None),
            Fault::Priority(router, priority) => {
                let priority = Priority::new(priority).unwrap_or_default();
                return self.change(router, |router| router.priority = priority);
            }
            Fault::Interval(router, interval) => {
                return self.change(router, |router| router.interval = interval);
            }
            Fault::Addresses(router, many) => {
                let addresses = virtual_addresses(self.routers[router].settings.family, many);
                return self.change(router, |router| router.addresses = addresses);
            }
            Fault::Source(router) => {
                if self.routers[router].paused {
                    return Ok(());
                }
                self.routers[router].source = other_source(self.routers[router].source);
                return self.tell_link(router);
            }
        }
        self.note(format_args!("-- {fault:?}"));
        Ok(())
    }

    pub(super) fn change(
        &mut self,
        router: usize,
        change: impl FnOnce(&mut evenkeel_failover::vrrp::params::Settings),
    ) -> Result<(), String> {
        if self.routers[router].paused {
            return Ok(());
        }
        change(&mut self.routers[router].settings);
        self.reload(router)
    }

    /// A time of faults; each may or may not be undone within it.
    pub(super) fn chaos(&mut self, span: Duration) -> Result<(), String> {
        let interval = self.routers[0].settings.interval.duration();
        if self.random.percent(50) {
            let (loss, twice) = (self.random.number(0, 40), self.random.number(0, 20));
            let longest = self.random.between(Duration::from_micros(200), interval * 3 / 2);
            let late = self.random.between(Duration::from_micros(100), interval);
            let delay = (Duration::from_micros(20), longest);
            self.network.weather = Weather { loss, twice, delay, in_order: self.random.percent(30), late };
            let weather = self.network.weather;
            self.note(format_args!("-- {weather:?}"));
        }
        for _ in 0..1 + self.random.below(8) {
            let at = self.now + self.random.between(Duration::ZERO, span);
            let undone = at + self.random.between(Duration::ZERO, span);
            let (fault, undo) = self.fault();
            self.schedule(at, Event::Fault(fault));
            if let Some(undo) = undo.filter(|_| undone < self.now + span) {
                self.schedule(undone, Event::Fault(undo));
            }
        }
        self.run_for(span)
    }

    fn fault(&mut self) -> (Fault, Option<Fault>) {
        let router = self.random.below(self.routers.len());
        let (place, other) =
            (self.random.below(self.network.places()), self.random.below(self.network.places()));
        let priority = self.random.number(1, 254);
        match self.random.below(21) {
            0 => (Fault::Stop(router), Some(Fault::Start(router))),
            1 => (Fault::Kill(router), Some(Fault::Start(router))),
            2 => (Fault::PowerOff(router), Some(Fault::Start(router))),
            3 | 4 => (Fault::Pause(router), Some(Fault::Resume(router))),
            5 => (Fault::Cut(router), Some(Fault::Plug(router))),
            6 => (Fault::Mute(place), Some(Fault::Mend)),
            7 => (Fault::Deafen(place), Some(Fault::Mend)),
            8 => (Fault::Block(place, other), Some(Fault::Mend)),
            9..=11 => (Fault::Part(self.random.below(1 << self.network.places())), Some(Fault::Mend)),
            12 => (Fault::Track(router, priority), Some(Fault::Restore(router))),
            13 => (Fault::Withdraw(router), Some(Fault::Restore(router))),
            // An owner stays one: its addresses are its own.
            14 if !self.routers[router].settings.priority.is_owner() => {
                (Fault::Priority(router, priority), None)
            }
            15 => {
                let version = self.routers[router].settings.version;
                (Fault::Interval(router, interval(&mut self.random, version)), None)
            }
            16 => (Fault::Addresses(router, 1 + self.random.below(3)), None),
            17 => (Fault::Yield(router), Some(Fault::Restore(router))),
            18 => (Fault::HandOver(router), None),
            19 => (Fault::StandBy(router, true), Some(Fault::StandBy(router, false))),
            _ => (Fault::Source(router), None),
        }
    }

    /// Undoes every fault and makes all routers agree; some stay off. Returns the longest interval that anybody may
    /// still wait by.
    pub(super) fn calm(&mut self) -> Result<Duration, String> {
        self.note(format_args!("== all is well again"));
        let longest =
            self.routers.iter().map(|router| router.settings.interval.duration()).max().unwrap_or_default();
        // What is on its way still arrives late.
        let latest = self.network.weather.delay.1;
        self.network.heal();
        self.run_for(latest)?;
        let settings = self.routers[self.random.below(self.routers.len())].settings.clone();
        for index in 0..self.routers.len() {
            self.resume(index)?;
            self.set_carrier(index, true)?;
            let at = &mut self.routers[index].settings;
            (at.interval, at.addresses) = (settings.interval, settings.addresses.clone());
            self.reload(index)?;
            if self.routers[index].tracked == Some(Effective::Yielding) {
                self.track(index, None)?;
            }
            if self.random.percent(80) {
                self.power_on(index)?;
                if self.random.percent(80) {
                    self.track(index, None)?;
                }
            } else if self.routers[index].machine.is_none() {
                // Without a process nobody removes what its kernel holds.
                self.power_off(index);
            }
        }
        Ok(longest.max(settings.interval.duration()))
    }
}
