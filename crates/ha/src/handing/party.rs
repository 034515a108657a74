//! One node's part in moves of one set of addresses: its machine, and what the machine wants done.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use evenkeel_failover::handover::action::{Action, Outcome};
use evenkeel_failover::handover::machine::Machine;
use evenkeel_failover::handover::wire::Key;

use super::host::{Host, Passing};
use super::worker::Around;
use super::{Leg, Part, Word};
use crate::message::{HandoverSnapshot, Level};
use crate::snapshot::unix_time;

/// How long after the addresses have gone connections are listed for the last time: neighbours may not have heard yet where they
/// are, and what they still open here must be among them.
const GRACE: Duration = Duration::from_millis(50);
/// How long the members of a sync group may take, one after the other, until all of their addresses have come or gone.
const LONGEST_MOVE: Duration = Duration::from_secs(1);

pub(super) struct Party {
    pub(super) key: Key,
    pub(super) machine: Machine,
    pub(super) owns: bool,
    pub(super) legs: Vec<Leg>,
    pub(super) passing: Option<Passing>,
    /// Virtual routers whose addresses move together.
    pub(super) members: usize,
    /// The addresses are coming or going at the moment.
    is_moving: bool,
    /// Of so many members they are not there, or not gone, yet; and from then on that is taken for done.
    unsettled: usize,
    settled_by: Instant,
    /// Connections are to be listed then, or before the machine hears of anything else.
    list_at: Option<Instant>,
    since: Option<Instant>,
    last: Option<String>,
    told: HandoverSnapshot,
}

impl Party {
    pub(super) fn new(part: Part, timeout: Duration, now: Instant) -> Self {
        let mut machine = Machine::new(timeout);
        machine.own(now, part.owns);
        Self {
            key: part.key,
            machine,
            owns: part.owns,
            legs: part.legs,
            passing: None,
            members: part.routers.len(),
            is_moving: false,
            unsettled: 0,
            settled_by: now,
            list_at: None,
            since: None,
            last: None,
            told: HandoverSnapshot::default(),
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let settled_by = self.is_moving.then_some(self.settled_by);
        let next = self.list_at.or_else(|| self.machine.next_deadline());
        next.into_iter().chain(settled_by).min()
    }

    /// The addresses are about to come or to go, those of one member after the other.
    pub(super) fn begins_to_move(&mut self, now: Instant) {
        (self.is_moving, self.unsettled, self.settled_by) = (true, self.members, now + LONGEST_MOVE);
    }

    /// Answers what the machine waits for.
    pub(super) fn before_input(&mut self, around: &mut impl Around, now: Instant) {
        if self.list_at.take().is_some() {
            self.list(around, now);
            self.act(around, now);
        }
    }

    pub(super) fn tick(&mut self, around: &mut impl Around, now: Instant) {
        if self.is_moving && self.settled_by <= now {
            self.settle(around);
        }
        if self.deadline().is_some_and(|at| at <= now) {
            self.before_input(around, now);
            if self.machine.next_deadline().is_some_and(|at| at <= now) {
                self.machine.handle_timeout(now);
            }
            self.act(around, now);
        }
    }

    /// The addresses of one member have come or gone.
    pub(super) fn held(&mut self, around: &mut impl Around, now: Instant) {
        if self.list_at.is_some() {
            self.list_at = Some(now + GRACE);
        }
        self.unsettled = self.unsettled.saturating_sub(1);
        if self.unsettled == 0 {
            self.settle(around);
        }
    }

    /// All of them have. Before that none may leave loopback: it would be nowhere.
    fn settle(&mut self, around: &mut impl Around) {
        self.is_moving = false;
        if !self.machine.wanted().silent {
            let _ = around.host().serve(&self.addresses(), false);
        }
    }

    fn addresses(&self) -> BTreeSet<IpAddr> {
        // One of the link only cannot be reached when it is on another interface.
        let is_kept = |ip: &&IpAddr| !matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local());
        self.key.iter().filter(is_kept).copied().collect()
    }

    fn list(&mut self, around: &mut impl Around, now: Instant) {
        let addresses: Vec<IpAddr> = self.addresses().into_iter().collect();
        match around.host().list(&addresses) {
            Ok(flows) => self.machine.listed(now, &flows),
            Err(error) => {
                let text = format!("cannot list the connections to the virtual addresses: {error}");
                around.say(Word::Tell { key: self.key.clone(), level: Level::Error, text });
                self.machine.unlisted(now);
            }
        }
    }

    pub(super) fn act(&mut self, around: &mut impl Around, now: Instant) {
        while let Some(action) = self.machine.poll_action() {
            match action {
                Action::Send(message) => around.send(&self.key, &message),
                // What was offered may be served by neighbours that do not know yet.
                Action::List if self.is_moving => self.list_at = Some(now + GRACE),
                Action::List => self.list(around, now),
                Action::Arrange => self.arrange(around, now),
                Action::Yield(why) => {
                    let why = why.map(|why| why.to_string());
                    self.last = why.as_ref().map(|why| format!("connections are not kept: {why}"));
                    if let Some(text) = self.last.clone() {
                        around.say(Word::Tell { key: self.key.clone(), level: Level::Warning, text });
                    }
                    around.say(Word::Yield { key: self.key.clone(), why });
                }
                Action::Cut(flows) => {
                    let result = around.host().cut(&self.key, &flows.into_iter().collect());
                    if let Err(error) = result {
                        let text = format!("cannot end connections that are left: {error}");
                        around.say(Word::Tell { key: self.key.clone(), level: Level::Warning, text });
                    }
                }
                Action::Tell(outcome) => {
                    if let Some(text) = words(outcome) {
                        self.last = Some(text.clone());
                        around.say(Word::Tell { key: self.key.clone(), level: Level::Info, text });
                    }
                    around.say(Word::Came { key: self.key.clone(), outcome });
                }
            }
        }
        let takes_part = self.machine.left().is_some() || self.machine.passed().is_some();
        self.since = takes_part.then(|| self.since.unwrap_or(now));
    }

    fn arrange(&mut self, around: &mut impl Around, now: Instant) {
        let (addresses, is_moving) = (self.addresses(), self.is_moving);
        let wanted = self.machine.wanted();
        let host: &mut Host = around.host();
        let silent = if wanted.silent {
            host.keep_silent(&addresses, now)
        } else if is_moving {
            host.break_silence(&addresses)
        } else {
            host.serve(&addresses, false)
        };
        let passed = host.pass(&mut self.passing, &self.legs, wanted.pass);
        for error in [silent.err(), passed.as_ref().err().map(clone)].into_iter().flatten() {
            let text = format!("this kernel does not do what a move that keeps connections takes: {error}");
            around.say(Word::Tell { key: self.key.clone(), level: Level::Warning, text });
        }
        self.machine.arranged(now, passed.is_ok());
    }

    /// How it stands, when that is new.
    pub(super) fn news(&mut self, now: Instant) -> Option<HandoverSnapshot> {
        let ends =
            self.machine.ends().map(|at| unix_time(now, now) + at.saturating_duration_since(now).as_secs());
        let ends = match (ends, self.told.ends) {
            // The same moment, rounded.
            (Some(ends), Some(told)) if ends.abs_diff(told) <= 1 => Some(told),
            (ends, _) => ends,
        };
        let since = self.since.map(|at| unix_time(now, at));
        let state = HandoverSnapshot {
            giving: self.machine.left(),
            passing: self.machine.passed(),
            since: if self.told.since.is_some() && since.is_some() { self.told.since } else { since },
            ends,
            last: self.last.clone(),
        };
        (state != self.told).then(|| {
            self.told = state.clone();
            state
        })
    }
}

fn clone(error: &std::io::Error) -> std::io::Error {
    std::io::Error::new(error.kind(), error.to_string())
}

fn words(outcome: Outcome) -> Option<String> {
    Some(match outcome {
        Outcome::NotActive | Outcome::UnderWay => return None,
        Outcome::Moved(0) => "the addresses have moved; there were no connections".into(),
        Outcome::Moved(count) => {
            format!("the addresses have moved; {count} connections go on here until they end")
        }
        Outcome::Nobody => "nobody took the addresses: they are here still".into(),
        Outcome::Drained => "the last connection of the move has ended".into(),
        Outcome::Given(count) => format!("the move is over: {count} connections that were left were ended"),
        Outcome::Returned => "the addresses are here again, with the connections that are left".into(),
    })
}
