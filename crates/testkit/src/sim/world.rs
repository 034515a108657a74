//! The running simulation: events in the order of time, and what the machines want done.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::fmt::Arguments;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use evenkeel_failover::vrrp::action::{Action, Link, Received};
use evenkeel_failover::vrrp::machine::Machine;
use evenkeel_failover::vrrp::status::State;

use super::Seen;
use super::chaos::Fault;
use super::neighbour::{Neighbour, Switch};
use super::network::Network;
use super::random::Random;
use super::router::{INBOX, Message, Router};

/// Time since the start.
pub(super) type Time = Duration;

/// More events than the longest run needs; beyond, somebody talks without end.
const MOST_EVENTS: u64 = 1_000_000;

pub(super) struct World {
    pub(super) random: Random,
    pub(super) now: Time,
    pub(super) routers: Vec<Router>,
    pub(super) neighbours: Vec<Neighbour>,
    pub(super) switch: Switch,
    pub(super) network: Network,
    /// Whether advertisements and announcements come from the virtual router's own Ethernet address.
    pub(super) virtual_mac: bool,
    /// How long a neighbour keeps an entry.
    pub(super) memory: Option<Duration>,
    /// Who began or ceased to hold addresses.
    pub(super) history: Vec<Change>,
    pub(super) seen: Seen,
    queue: BinaryHeap<Reverse<Scheduled>>,
    order: u64,
    trace: Option<Vec<String>>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Change {
    pub(super) at: Time,
    pub(super) router: usize,
    pub(super) holds: bool,
}

#[derive(Clone, Debug)]
pub(super) enum Event {
    /// A message comes to a router.
    Message(usize, Message),
    /// An announcement of the second comes to the neighbour.
    Announcement(usize, usize, Vec<IpAddr>),
    /// A timer of the router may be due.
    Wake(usize),
    /// The neighbour's entries expire.
    Expire(usize),
    Fault(Fault),
}

struct Scheduled {
    at: Time,
    order: u64,
    event: Event,
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Scheduled {}

impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Scheduled {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

impl World {
    pub(super) fn new(random: Random, routers: Vec<Router>, neighbours: usize, traced: bool) -> Self {
        let places = routers.len() + neighbours;
        Self {
            random,
            now: Time::ZERO,
            routers,
            neighbours: vec![Neighbour::default(); neighbours],
            switch: Switch::default(),
            network: Network::new(places),
            virtual_mac: false,
            memory: None,
            history: Vec::new(),
            seen: Seen::default(),
            queue: BinaryHeap::new(),
            order: 0,
            trace: traced.then(Vec::new),
        }
    }

    pub(super) fn note(&mut self, line: Arguments<'_>) {
        if let Some(trace) = &mut self.trace {
            let micros = self.now.as_micros();
            trace.push(format!("{:>6}.{:06} {line}", micros / 1_000_000, micros % 1_000_000));
        }
    }

    pub(super) fn into_trace(self) -> Vec<String> {
        self.trace.unwrap_or_default()
    }

    /// The index by which the network knows a neighbour.
    pub(super) fn place(&self, neighbour: usize) -> usize {
        self.routers.len() + neighbour
    }

    pub(super) fn schedule(&mut self, at: Time, event: Event) {
        self.order += 1;
        self.queue.push(Reverse(Scheduled { at: at.max(self.now), order: self.order, event }));
    }

    /// Lets time pass until then.
    pub(super) fn run_until(&mut self, end: Time) -> Result<(), String> {
        self.run_while(end, |_| true).map(|_| ())
    }

    pub(super) fn run_for(&mut self, span: Duration) -> Result<(), String> {
        self.run_until(self.now + span)
    }

    /// Lets time pass until then, or until `goes_on` is false after an event; says whether it became false.
    pub(super) fn run_while(&mut self, end: Time, goes_on: impl Fn(&Self) -> bool) -> Result<bool, String> {
        if !goes_on(self) {
            return Ok(true);
        }
        while let Some(Reverse(next)) = self.queue.peek() {
            if next.at > end {
                break;
            }
            let Some(Reverse(scheduled)) = self.queue.pop() else { break };
            self.now = scheduled.at;
            self.seen.events += 1;
            if self.seen.events > MOST_EVENTS {
                return Err(format!("more than {MOST_EVENTS} events: somebody talks without end"));
            }
            self.happen(scheduled.event)?;
            if !goes_on(self) {
                return Ok(true);
            }
        }
        self.now = end;
        Ok(false)
    }

    fn happen(&mut self, event: Event) -> Result<(), String> {
        match event {
            Event::Message(router, message) => self.arrive(router, message),
            Event::Wake(router) => {
                if self.routers[router].wake == Some(self.now) {
                    self.routers[router].wake = None;
                    self.wake(router)?;
                }
                Ok(())
            }
            Event::Announcement(neighbour, router, addresses) => {
                self.neighbours[neighbour].hear(router, &addresses);
                Ok(())
            }
            Event::Expire(neighbour) => {
                self.neighbours[neighbour].table.clear();
                self.resolve(neighbour);
                if let Some(memory) = self.memory {
                    self.schedule(self.now + memory, Event::Expire(neighbour));
                }
                Ok(())
            }
            Event::Fault(fault) => self.strike(fault),
        }
    }

    fn arrive(&mut self, router: usize, message: Message) -> Result<(), String> {
        let at = &mut self.routers[router];
        if !at.powered || !at.carrier || at.machine.is_none() {
            return Ok(());
        }
        if at.paused {
            if at.inbox.len() < INBOX {
                at.inbox.push_back(message);
            }
            return Ok(());
        }
        self.receive(router, &message)
    }

    pub(super) fn receive(&mut self, router: usize, message: &Message) -> Result<(), String> {
        let priority = message.payload.get(2).copied().unwrap_or_default();
        let name = self.routers[router].name.clone();
        self.note(format_args!("{name} hears {} with priority {priority}", message.source));
        self.tell(router, |machine, now| {
            let Message { source, destination, payload } = message;
            let received = Received { source: *source, destination: *destination, hop_limit: 255, payload };
            machine.receive(now, &received);
        })
    }

    pub(super) fn wake(&mut self, router: usize) -> Result<(), String> {
        if self.routers[router].paused {
            return Ok(());
        }
        self.tell(router, Machine::handle_timeout)?;
        let router = &self.routers[router];
        let deadline = router.machine.as_ref().and_then(Machine::next_deadline);
        if deadline.is_some_and(|deadline| deadline <= router.clock.shows(self.now)) {
            return Err(format!("{} has a deadline in the past after its timeout was handled", router.name));
        }
        Ok(())
    }

    /// Calls the machine of a router, if it runs, and does what it wants.
    pub(super) fn tell(
        &mut self,
        router: usize,
        input: impl FnOnce(&mut Machine, Instant),
    ) -> Result<(), String> {
        let now = self.routers[router].clock.shows(self.now);
        let Some(machine) = &mut self.routers[router].machine else { return Ok(()) };
        input(machine, now);
        while let Some(action) = self.routers[router].machine.as_mut().and_then(Machine::poll_action) {
            self.perform(router, action)?;
        }
        self.look_at(router)?;
        self.set_timer(router);
        Ok(())
    }

    fn perform(&mut self, router: usize, action: Action) -> Result<(), String> {
        let name = self.routers[router].name.clone();
        match action {
            Action::Send { destination, payload } => {
                let priority = payload.get(2).copied().unwrap_or_default();
                self.note(format_args!("{name} advertises priority {priority} to {destination}"));
                self.routers[router].sent = Some(self.now);
                self.send(router, destination, &payload);
            }
            Action::Own(own) => {
                self.note(format_args!("{name} {}", if own { "holds the addresses" } else { "lets go" }));
                let holds = if own { self.routers[router].wanted() } else { BTreeSet::new() };
                self.hold(router, holds);
            }
            Action::Announce => {
                if self.routers[router].holds.is_empty() {
                    return Err(format!("{name} announces addresses that it does not hold"));
                }
                self.note(format_args!("{name} announces"));
                self.announce(router);
            }
            Action::Note(note) => self.note(format_args!("{name}: {note:?}")),
        }
        Ok(())
    }

    pub(super) fn hold(&mut self, router: usize, holds: BTreeSet<IpAddr>) {
        let before = std::mem::replace(&mut self.routers[router].holds, holds);
        let holds = !self.routers[router].holds.is_empty();
        if before.is_empty() == holds {
            self.history.push(Change { at: self.now, router, holds });
            self.seen.takeovers += u64::from(holds);
            self.seen.dual_owners += u64::from(holds && self.holders().len() > 1);
        }
    }

    fn send(&mut self, from: usize, destination: IpAddr, payload: &[u8]) {
        if !self.transmits(from) {
            return;
        }
        let source = self.routers[from].source;
        for to in 0..self.routers.len() {
            if to == from || !(destination.is_multicast() || self.routers[to].source == destination) {
                continue;
            }
            for arrival in self.network.carry(&mut self.random, self.now, from, to) {
                let message = Message { source, destination, payload: payload.to_vec() };
                self.schedule(arrival, Event::Message(to, message));
            }
        }
    }

    fn announce(&mut self, from: usize) {
        if !self.transmits(from) {
            return;
        }
        let addresses: Vec<IpAddr> = self.routers[from].holds.iter().copied().collect();
        for neighbour in 0..self.neighbours.len() {
            let to = self.place(neighbour);
            for arrival in self.network.carry(&mut self.random, self.now, from, to) {
                self.schedule(arrival, Event::Announcement(neighbour, from, addresses.clone()));
            }
        }
    }

    /// Whether what the router sends gets on the wire; the switch learns from it where the router is.
    fn transmits(&mut self, from: usize) -> bool {
        let router = &self.routers[from];
        let sends = router.powered && router.carrier;
        // A port that is silent does not reach the switch either.
        if sends && (0..self.network.places()).any(|to| to != from && self.network.reaches(from, to)) {
            self.switch.port = Some(from);
        }
        sends
    }

    /// The neighbour asks for every address that it does not know; whoever holds it may answer first.
    pub(super) fn resolve(&mut self, neighbour: usize) {
        let place = self.place(neighbour);
        let addresses: BTreeSet<IpAddr> =
            self.routers.iter().flat_map(|router| router.holds.iter().copied()).collect();
        for address in addresses {
            let answering: Vec<usize> = (0..self.routers.len())
                .filter(|&index| {
                    let router = &self.routers[index];
                    let there = router.powered && router.carrier && router.holds.contains(&address);
                    there && self.network.reaches(index, place) && self.network.reaches(place, index)
                })
                .collect();
            if let Some(router) = self.random.pick(&answering) {
                self.neighbours[neighbour].table.entry(address).or_insert(router);
            }
        }
    }

    fn set_timer(&mut self, router: usize) {
        let at = &self.routers[router];
        let deadline = at.machine.as_ref().and_then(Machine::next_deadline);
        let due = deadline.map(|deadline| at.clock.true_time(deadline));
        if due == at.due && (at.wake.is_some() || due.is_none()) {
            return;
        }
        let late = self.random.between(Duration::ZERO, self.network.weather.late);
        let wake = due.map(|due| due.max(self.now) + late);
        let at = &mut self.routers[router];
        (at.due, at.wake) = (due, wake);
        if let Some(wake) = wake {
            self.schedule(wake, Event::Wake(router));
        }
    }

    /// What must be so after every call.
    fn look_at(&self, router: usize) -> Result<(), String> {
        let router = &self.routers[router];
        let Some(machine) = &router.machine else { return Ok(()) };
        let (state, holds) = (machine.state(), !router.holds.is_empty());
        let right = match state {
            State::Active | State::Listening | State::Releasing => holds,
            State::Backup => !holds,
            // A process that was just started keeps what is there until it knows its link.
            State::Stopped | State::Fault => !holds || !router.link_told,
        };
        if right { Ok(()) } else { Err(format!("{} is {state} and holds {:?}", router.name, router.holds)) }
    }

    /// Those whose kernels hold addresses and are on.
    pub(super) fn holders(&self) -> Vec<usize> {
        (0..self.routers.len()).filter(|&index| !self.routers[index].holds.is_empty()).collect()
    }

    pub(super) fn link(&self, router: usize) -> Link {
        let router = &self.routers[router];
        if router.carrier { Link::Up { source: router.source } } else { Link::Down }
    }
}
