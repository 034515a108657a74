//! The two nodes, what lies between them, and what happens to them.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use evenkeel_failover::handover::action::{Action, Outcome};
use evenkeel_failover::handover::message::{Message, Why};
use evenkeel_failover::handover::{Flow, LOST, MARGIN, READY};

use super::Seen;
use super::host::{Fate, Host};
use crate::sim::random::Random;

/// Connections that are open at a time, at most.
const MOST_OPEN: usize = 30;
/// For so long some clients send their packets where the addresses were.
const LATE: Duration = Duration::from_millis(200);
/// A wish has had its answer by then.
const PATIENCE: Duration = Duration::from_secs(8);
const MILLISECOND: Duration = Duration::from_millis(1);

#[derive(Clone, Debug)]
enum Event {
    Message {
        session: u64,
        to: usize,
        message: Message,
    },
    SessionBegins,
    SessionEnds {
        node: usize,
        session: u64,
    },
    Own {
        node: usize,
        owns: bool,
    },
    Neighbours {
        node: usize,
    },
    /// The election looks whether there is one owner.
    Elect,
    Timer {
        node: usize,
    },
    Client,
    Ask {
        node: usize,
    },
    Fault,
    Boot {
        node: usize,
    },
}

pub(super) struct World {
    pub(super) now: Duration,
    pub(super) random: Random,
    pub(super) seen: Seen,
    pub(super) trace: Option<Vec<String>>,
    zero: Instant,
    timeout: Duration,
    hosts: [Host; 2],
    events: BTreeMap<(Duration, u64), Event>,
    scheduled: u64,
    /// Which session each node is in.
    sessions: [Option<u64>; 2],
    last_session: u64,
    /// When the last message to each node arrives.
    arrivals: [Duration; 2],
    /// Where clients send their packets.
    neighbours: Option<usize>,
    is_moving: bool,
    next_flow: u16,
    next_number: u64,
    is_fine: bool,
    /// Clients, operators and faults are about.
    is_busy: bool,
}

impl World {
    pub(super) fn new(seed: u64, is_traced: bool) -> Self {
        let mut random = Random::new(seed);
        let timeout = random.between(Duration::from_secs(5), Duration::from_secs(60));
        let mut world = Self {
            now: Duration::ZERO,
            random,
            seen: Seen::default(),
            trace: is_traced.then(Vec::new),
            zero: Instant::now(),
            timeout,
            hosts: [Host::new(timeout), Host::new(timeout)],
            events: BTreeMap::new(),
            scheduled: 0,
            sessions: [None; 2],
            last_session: 0,
            arrivals: [Duration::ZERO; 2],
            neighbours: None,
            is_moving: false,
            next_flow: 1024,
            next_number: 1,
            is_fine: false,
            is_busy: false,
        };
        world.note(|| format!("handover-timeout {timeout:?}"));
        world.after(Duration::ZERO, Event::Elect);
        world.after(MILLISECOND, Event::SessionBegins);
        world
    }

    pub(super) fn fine_weather(&mut self) -> Result<(), String> {
        self.forget_lost_connections();
        self.note(|| "fine weather".to_owned());
        self.is_fine = true;
        let span = self.random.between(Duration::from_secs(5), Duration::from_secs(40));
        self.busy(span)?;
        self.is_fine = false;
        Ok(())
    }

    pub(super) fn chaos(&mut self) -> Result<(), String> {
        self.note(|| "chaos".to_owned());
        self.after(MILLISECOND, Event::Fault);
        let span = self.random.between(Duration::from_secs(5), Duration::from_secs(40));
        self.busy(span)
    }

    fn busy(&mut self, span: Duration) -> Result<(), String> {
        self.is_busy = true;
        self.after(MILLISECOND, Event::Client);
        let node = self.random.below(2);
        self.after(Duration::from_secs(1), Event::Ask { node });
        self.run_for(span)?;
        self.is_busy = false;
        Ok(())
    }

    /// Nothing goes wrong any more, and everything comes to its end.
    pub(super) fn settle(&mut self) -> Result<(), String> {
        self.note(|| "quiet".to_owned());
        for node in 0..2 {
            if !self.hosts[node].is_alive {
                self.after(MILLISECOND, Event::Boot { node });
            }
        }
        self.after(Duration::from_secs(6), Event::SessionBegins);
        self.run_for(self.timeout + LOST + READY + MARGIN + Duration::from_secs(10))?;
        for (node, host) in self.hosts.iter().enumerate() {
            if !host.machine.is_idle() || host.is_silent || host.pass.is_some() {
                return Err(format!("node {node} still takes part: {host:?}"));
            }
            if self.sessions[node].is_none() {
                return Err(format!("node {node} has no session"));
            }
        }
        self.forget_lost_connections();
        Ok(())
    }

    fn run_for(&mut self, span: Duration) -> Result<(), String> {
        let end = self.now + span;
        while let Some(entry) = self.events.first_entry() {
            let (time, _) = *entry.key();
            if time > end {
                break;
            }
            let event = entry.remove();
            self.now = time;
            self.seen.events += 1;
            self.happen(event)?;
            self.check()?;
        }
        self.now = end;
        Ok(())
    }

    fn happen(&mut self, event: Event) -> Result<(), String> {
        match event {
            Event::Message { session, to, message } => {
                if self.sessions[to] == Some(session) && self.hosts[to].is_alive {
                    self.note(|| format!("{to} hears {message:?}"));
                    self.hosts[to].machine.hear(self.clock(), message);
                    self.carry_out(to)?;
                }
            }
            Event::SessionBegins => self.begin_session()?,
            Event::SessionEnds { node, session } => {
                if self.sessions[node] == Some(session) {
                    self.end_session(node)?;
                }
            }
            Event::Own { node, owns } => self.own(node, owns)?,
            Event::Neighbours { node } => self.neighbours = Some(node),
            Event::Elect => self.elect()?,
            Event::Timer { node } => {
                let now = self.clock();
                if self.hosts[node].is_alive
                    && self.hosts[node].machine.next_deadline().is_some_and(|at| at <= now)
                {
                    self.hosts[node].machine.handle_timeout(now);
                    self.carry_out(node)?;
                    if self.hosts[node].machine.next_deadline().is_some_and(|at| at <= now) {
                        return Err(format!("node {node} has a deadline in the past"));
                    }
                }
            }
            Event::Client if self.is_busy => self.client(),
            Event::Ask { node } if self.is_busy => {
                self.ask(node)?;
                let pause = self.random.between(Duration::ZERO, Duration::from_secs(8));
                let node = self.random.below(2);
                self.after(pause, Event::Ask { node });
            }
            Event::Fault if self.is_busy && !self.is_fine => {
                self.fault()?;
                let pause = self.random.between(Duration::ZERO, Duration::from_secs(3));
                self.after(pause, Event::Fault);
            }
            Event::Client | Event::Ask { .. } | Event::Fault => {}
            Event::Boot { node } => {
                if !self.hosts[node].is_alive {
                    self.note(|| format!("{node} starts"));
                    self.hosts[node] = Host::new(self.timeout);
                }
            }
        }
        Ok(())
    }

    fn ask(&mut self, node: usize) -> Result<(), String> {
        if !self.hosts[node].is_alive || self.is_moving {
            return Ok(());
        }
        let number = self.next_number;
        self.next_number += 1;
        self.note(|| format!("{node} is asked for move {number}"));
        self.hosts[node].asked_at.get_or_insert(self.now);
        self.hosts[node].machine.ask(self.clock(), number);
        self.carry_out(node)
    }

    fn begin_session(&mut self) -> Result<(), String> {
        if !self.hosts.iter().all(|host| host.is_alive)
            || self.sessions[0].is_some() && self.sessions[0] == self.sessions[1]
        {
            return Ok(());
        }
        for node in 0..2 {
            if self.sessions[node].is_some() {
                self.end_session(node)?;
            }
        }
        self.last_session += 1;
        self.sessions = [Some(self.last_session); 2];
        self.note(|| "the link is there".to_owned());
        for node in 0..2 {
            self.hosts[node].machine.link(self.clock(), true);
            self.carry_out(node)?;
        }
        Ok(())
    }

    fn end_session(&mut self, node: usize) -> Result<(), String> {
        self.sessions[node] = None;
        self.note(|| format!("{node} has lost the link"));
        let pause = self.random.between(MILLISECOND, Duration::from_secs(12));
        self.after(pause, Event::SessionBegins);
        if self.hosts[node].is_alive {
            self.hosts[node].machine.link(self.clock(), false);
            self.carry_out(node)?;
        }
        Ok(())
    }

    fn own(&mut self, node: usize, owns: bool) -> Result<(), String> {
        if !self.hosts[node].is_alive || self.hosts[node].owns == owns {
            return Ok(());
        }
        self.note(|| format!("{node} {} the addresses", if owns { "takes" } else { "lets go of" }));
        let (now, host) = (self.clock(), &mut self.hosts[node]);
        host.owns = owns;
        if !owns {
            host.left_at = self.now;
            host.passed_last = host.pass.iter().flat_map(|pass| pass.flows.iter().copied()).collect();
        }
        host.machine.own(now, owns);
        self.carry_out(node)
    }

    /// Puts right what faults have left.
    fn elect(&mut self) -> Result<(), String> {
        self.is_moving = false;
        let owners: Vec<usize> =
            (0..2).filter(|node| self.hosts[*node].is_alive && self.hosts[*node].owns).collect();
        match *owners.as_slice() {
            [] => {
                let alive: Vec<usize> = (0..2).filter(|node| self.hosts[*node].is_alive).collect();
                if let Some(node) = self.random.pick(&alive) {
                    self.own(node, true)?;
                    self.neighbours = Some(node);
                }
            }
            [node] => self.neighbours = Some(node),
            _ => {
                let winner = self.random.below(2);
                self.neighbours = Some(winner);
                self.own(1 - winner, false)?;
            }
        }
        if !self.is_moving {
            self.after(Duration::from_millis(900), Event::Elect);
        }
        Ok(())
    }

    /// The addresses move from this node to the other one, as an election moves them.
    fn change_hands(&mut self, from: usize) {
        let to = 1 - from;
        if self.is_moving || !self.hosts[to].is_alive || !self.hosts[from].owns {
            return;
        }
        self.is_moving = true;
        let skew = self.random.between(MILLISECOND, Duration::from_millis(600));
        let announced = skew + self.random.between(Duration::ZERO, MILLISECOND);
        let answered = announced + self.random.between(Duration::ZERO, MILLISECOND * 3);
        self.events.retain(|_, event| !matches!(event, Event::Elect));
        self.after(skew, Event::Own { node: to, owns: true });
        self.after(announced, Event::Neighbours { node: to });
        self.after(answered, Event::Own { node: from, owns: false });
        self.after(answered + MILLISECOND, Event::Elect);
    }

    fn fault(&mut self) -> Result<(), String> {
        let node = self.random.below(2);
        match self.random.below(7) {
            0 => {
                self.note(|| format!("{node} dies"));
                self.seen.deaths += 1;
                self.hosts[node] = Host { is_alive: false, ..Host::new(self.timeout) };
                self.sessions[node] = None;
                let (noticed, back) = (
                    self.random.between(MILLISECOND, LOST),
                    self.random.between(MILLISECOND, Duration::from_secs(20)),
                );
                if let Some(session) = self.sessions[1 - node] {
                    self.after(noticed, Event::SessionEnds { node: 1 - node, session });
                }
                self.after(back, Event::Boot { node });
                self.after(back + MILLISECOND, Event::SessionBegins);
            }
            1 => {
                self.note(|| format!("the role of {node} dies"));
                self.seen.deaths += 1;
                let old = &self.hosts[node];
                if old.is_alive {
                    let (owns, sockets) = (old.owns, old.sockets.clone());
                    self.hosts[node] = Host { sockets, ..Host::new(self.timeout) };
                    self.own(node, owns)?;
                    self.sessions[node] = None;
                    if let Some(session) = self.sessions[1 - node] {
                        self.after(MILLISECOND, Event::SessionEnds { node: 1 - node, session });
                    }
                    self.after(MILLISECOND * 50, Event::SessionBegins);
                }
            }
            2 | 3 => {
                for node in 0..2 {
                    let noticed = self.random.between(Duration::ZERO, Duration::from_secs(3));
                    if let Some(session) = self.sessions[node] {
                        self.after(noticed, Event::SessionEnds { node, session });
                    }
                }
            }
            4 => self.change_hands(node),
            5 => self.own(node, true)?,
            _ => {
                let end = self.random.between(Duration::ZERO, Duration::from_secs(1));
                self.after(end, Event::Own { node, owns: false });
            }
        }
        Ok(())
    }

    /// Does what the machine of this node wants.
    fn carry_out(&mut self, node: usize) -> Result<(), String> {
        while let Some(action) = self.hosts[node].machine.poll_action() {
            self.note(|| format!("{node} {action:?}"));
            match action {
                Action::Send(message) => self.send(node, message),
                Action::List => {
                    let sockets = self.hosts[node].sockets.clone();
                    self.hosts[node].machine.listed(self.clock(), &sockets);
                }
                Action::Arrange => {
                    let is_done = self.is_fine || !self.is_busy || !self.random.percent(3);
                    self.hosts[node].arrange(is_done);
                    self.hosts[node].machine.arranged(self.clock(), is_done);
                }
                Action::Yield(why) => self.give_way(node, why)?,
                Action::Cut(flows) => {
                    if self.is_fine && self.now < self.hosts[node].left_at + self.timeout {
                        return Err(format!("node {node} ends connections before the bound"));
                    }
                    self.seen.cut += 1;
                    for flow in flows {
                        self.hosts[node].sockets.remove(&flow);
                    }
                }
                Action::Tell(outcome) => self.told(node, outcome),
            }
        }
        if let Some(at) = self.hosts[node].machine.next_deadline() {
            let late = self.random.between(Duration::ZERO, MILLISECOND);
            let wait = at.saturating_duration_since(self.clock());
            self.after(wait + late, Event::Timer { node });
        }
        Ok(())
    }

    fn give_way(&mut self, node: usize, why: Option<Why>) -> Result<(), String> {
        if let Some(why) = why {
            self.hosts[node].asked_at = None;
            self.seen.plain += 1;
            if self.is_fine && why != Why::Busy {
                return Err(format!("node {node} gives way without its connections: {why}"));
            }
            self.hosts[node].sockets.clear();
        } else {
            self.seen.back += u64::from(self.hosts[node].pass.is_some());
        }
        if self.is_fine || self.random.percent(90) {
            self.change_hands(node);
        }
        Ok(())
    }

    fn told(&mut self, node: usize, outcome: Outcome) {
        match outcome {
            Outcome::Moved(flows) => {
                self.seen.moves += 1;
                self.seen.kept += flows as u64;
                self.seen.back +=
                    u64::from(self.hosts[1 - node].is_silent || !self.hosts[1 - node].sockets.is_empty());
            }
            Outcome::Drained => self.seen.drained += 1,
            Outcome::NotActive
            | Outcome::UnderWay
            | Outcome::Nobody
            | Outcome::Given(_)
            | Outcome::Returned => {}
        }
        self.hosts[node].asked_at = None;
    }

    fn send(&mut self, from: usize, message: Message) {
        let Some(session) = self.sessions[from] else { return };
        let to = 1 - from;
        let way =
            self.random.between(Duration::from_micros(50), MILLISECOND * if self.is_fine { 20 } else { 400 });
        self.arrivals[to] = self.arrivals[to].max(self.now + way);
        self.at(self.arrivals[to], Event::Message { session, to, message });
    }

    /// A client opens a connection, or one ends.
    fn client(&mut self) {
        let pause = self.random.between(Duration::from_micros(100), MILLISECOND * 400);
        self.after(pause, Event::Client);
        let open: Vec<(usize, Flow)> =
            (0..2).flat_map(|node| self.hosts[node].sockets.iter().map(move |flow| (node, *flow))).collect();
        if open.len() >= MOST_OPEN || self.random.percent(35) {
            if let Some((node, flow)) = self.random.pick(&open) {
                self.note(|| format!("{} ends at {node}", flow.client.port()));
                self.hosts[node].sockets.remove(&flow);
            }
            return;
        }
        // In chaos a client may use a port again.
        let port = if self.is_fine || self.random.percent(70) {
            self.next_flow = self.next_flow.checked_add(1).unwrap_or(1024);
            self.next_flow
        } else {
            self.next_flow - u16::from(self.random.number(0, 30))
        };
        let flow = flow(port);
        if let Some(node) = self.reaches(&flow, true).filter(|node| self.hosts[*node].has_addresses()) {
            self.note(|| format!("{port} begins at {node}"));
            self.hosts[node].open(flow);
        }
    }

    /// Where a packet of a client ends.
    fn reaches(&self, flow: &Flow, begins: bool) -> Option<usize> {
        let first = self.neighbours.filter(|node| self.hosts[*node].is_alive)?;
        match self.hosts[first].fate(flow, begins) {
            Fate::Here => Some(first),
            Fate::Passed => Some(1 - first).filter(|other| self.hosts[*other].is_alive),
        }
    }

    /// What was lost in chaos is no matter of fine weather.
    fn forget_lost_connections(&mut self) {
        for node in 0..2 {
            let kept = self.hosts[node].sockets.iter().filter(|flow| self.reaches(flow, false) == Some(node));
            self.hosts[node].sockets = kept.copied().collect();
        }
    }

    fn check(&self) -> Result<(), String> {
        let stranger = flow(1);
        let passed =
            |host: &Host| host.pass.iter().flat_map(|pass| pass.flows.iter().copied()).collect::<Vec<_>>();
        let all = self
            .hosts
            .iter()
            .flat_map(|host| host.sockets.iter().copied().chain(passed(host)))
            .chain([stranger]);
        for flow in all {
            for begins in [false, true] {
                if self.hosts.iter().all(|host| host.fate(&flow, begins) == Fate::Passed) {
                    return Err(format!("packets of {} go in a circle", flow.client.port()));
                }
            }
        }
        for (node, host) in self.hosts.iter().enumerate() {
            if host.owns && host.is_silent {
                return Err(format!("node {node} holds addresses and keeps them in silence"));
            }
            if host.asked_at.is_some_and(|at| at + PATIENCE < self.now) {
                return Err(format!("node {node} was asked and has not answered"));
            }
            if !self.is_fine {
                continue;
            }
            // Some clients do not know yet that it has let go.
            if host.is_alive && !host.owns && self.now < host.left_at + LATE {
                let others = &self.hosts[1 - node].sockets;
                let lost = |flow: &&Flow| others.contains(flow) && host.fate(flow, false) == Fate::Here;
                if let Some(flow) = host.passed_last.iter().find(lost) {
                    return Err(format!("late packets of {} end at {node}", flow.client.port()));
                }
            }
            for flow in &host.sockets {
                let reached = self.reaches(flow, false);
                if reached != Some(node) || !host.has_addresses() {
                    return Err(format!(
                        "packets of {} end at {reached:?}, not at {node}",
                        flow.client.port()
                    ));
                }
            }
        }
        Ok(())
    }

    fn clock(&self) -> Instant {
        self.zero + self.now
    }

    fn after(&mut self, pause: Duration, event: Event) {
        self.at(self.now + pause, event);
    }

    fn at(&mut self, time: Duration, event: Event) {
        self.scheduled += 1;
        self.events.insert((time, self.scheduled), event);
    }

    fn note(&mut self, text: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{:>12.6} {}", self.now.as_secs_f64(), text()));
        }
    }
}

fn flow(port: u16) -> Flow {
    Flow {
        client: SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1), port)),
        local: SocketAddr::from((Ipv4Addr::new(198, 51, 100, 1), 443)),
    }
}
