//! Virtual routers that move together: the inside and the outside of a firewall.
//!
//! Invariants, after every input: either all members are active or none is; a member becomes active only when the turn
//! of every other has come as well; one that cannot be active, or has found another router active, takes the others
//! with it (one that hands its addresses over already holds them until that has come to its end). One that has only just begun stands in nobody's way before it has heard somebody or its first wait is over,
//! so that a router may join an active group. No RFC knows groups; the rules are keepalived's. A group of one behaves as its machine alone.

use std::time::{Duration, Instant};

use super::action::{Action, Link, Received};
use super::machine::{Machine, Purpose};
use super::params::Params;
use super::refusal::Refusal;
use super::status::State;
use crate::track::Effective;

/// The most members.
pub const MOST_MEMBERS: usize = 64;

/// See the module.
#[derive(Clone, Debug)]
pub struct Group {
    members: Vec<Machine>,
}

impl Group {
    /// Puts stopped machines together; `None` for no member and for more than [`MOST_MEMBERS`].
    #[must_use]
    pub fn new(params: Vec<Params>) -> Option<Self> {
        if params.is_empty() || params.len() > MOST_MEMBERS {
            return None;
        }
        let mut members: Vec<Machine> = params.into_iter().map(Machine::new).collect();
        members.iter_mut().for_each(Machine::join);
        Some(Self { members })
    }

    /// The members, in the order in which they were given; their place is their number in every call.
    #[must_use]
    pub fn members(&self) -> &[Machine] {
        &self.members
    }

    /// As [`Machine::start`], for all. `holding`: the host holds the addresses of every member; with less than all of
    /// them nothing is adopted.
    pub fn start(&mut self, now: Instant, holding: bool) {
        self.members.iter_mut().for_each(|member| member.start(now, holding));
        self.settle(now);
    }

    /// As [`Machine::stop`], for all.
    pub fn stop(&mut self, now: Instant) {
        self.members.iter_mut().for_each(|member| member.stop(now));
    }

    /// As [`Machine::hand_over`], for all; `false` when they are not active.
    pub fn hand_over(&mut self, now: Instant, purpose: Purpose) -> bool {
        let mut handed = false;
        for member in &mut self.members {
            handed |= member.hand_over(now, purpose);
        }
        self.settle(now);
        handed
    }

    /// As [`Machine::retire`], for all.
    pub fn retire(&mut self, now: Instant) {
        self.members.iter_mut().for_each(|member| member.retire(now));
    }

    /// As [`Machine::stand_by`], for all.
    pub fn stand_by(&mut self, standing_by: bool) {
        self.members.iter_mut().for_each(|member| member.stand_by(standing_by));
    }

    /// As [`Machine::link`].
    pub fn link(&mut self, now: Instant, member: usize, link: Link) {
        self.tell(now, member, |machine| machine.link(now, link));
    }

    /// As [`Machine::receive`].
    pub fn receive(&mut self, now: Instant, member: usize, received: &Received<'_>) {
        self.tell(now, member, |machine| machine.receive(now, received));
    }

    /// As [`Machine::refuse`].
    pub fn refuse(&mut self, now: Instant, member: usize, refusal: Refusal, source: std::net::IpAddr) {
        self.tell(now, member, |machine| machine.refuse(now, refusal, source));
    }

    /// As [`Machine::set_priority`].
    pub fn set_priority(&mut self, now: Instant, member: usize, effective: Effective) {
        self.tell(now, member, |machine| machine.set_priority(now, effective));
    }

    /// As [`Machine::set_params`].
    pub fn set_params(&mut self, now: Instant, member: usize, params: Params) {
        self.tell(now, member, |machine| machine.set_params(now, params));
    }

    /// As [`Machine::set_wall_clock`], for all.
    pub fn set_wall_clock(&mut self, now: Instant, since_1970: Duration) {
        self.members.iter_mut().for_each(|member| member.set_wall_clock(now, since_1970));
    }

    /// As [`Machine::handle_timeout`], for all.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.members.iter_mut().for_each(|member| member.handle_timeout(now));
        self.settle(now);
    }

    /// As [`Machine::next_deadline`], the earliest of all.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        self.members.iter().filter_map(Machine::next_deadline).min()
    }

    /// As [`Machine::poll_action`], with the member that it concerns.
    pub fn poll_action(&mut self) -> Option<(usize, Action)> {
        self.members.iter_mut().enumerate().find_map(|(index, member)| Some((index, member.poll_action()?)))
    }

    fn tell(&mut self, now: Instant, member: usize, tell: impl FnOnce(&mut Machine)) {
        let Some(machine) = self.members.get_mut(member) else { return };
        tell(machine);
        self.settle(now);
    }

    fn settle(&mut self, now: Instant) {
        let mut members: Vec<&mut Machine> = self.members.iter_mut().collect();
        settle(now, &mut members);
    }
}

/// Makes members follow each other, wherever their machines live: to be called after every input to one of them, all of
/// which [`Machine::join`]ed. Their actions wait in each of them.
pub fn settle(now: Instant, members: &mut [&mut Machine]) {
    let misled: Vec<bool> = members.iter_mut().map(|member| member.was_misled()).collect();
    if misled.contains(&true) {
        // Where one member's neighbours were misled, the others' may have been as well.
        for (member, _) in members.iter_mut().zip(&misled).filter(|(_, misled)| !**misled) {
            member.announce_again(now);
        }
    }
    let mut leaves_for = None;
    for member in members.iter_mut() {
        leaves_for = leaves_for.or(member.begins_to_leave());
    }
    if let Some(purpose) = leaves_for {
        // The others' members come only together.
        for member in members.iter_mut() {
            let _is_active = member.hand_over(now, purpose);
            let _told = member.begins_to_leave();
        }
    }
    let obstacle = members.iter().any(|member| match member.state() {
        State::Stopped => true,
        State::Fault => !member.is_undecided(),
        State::Backup => !member.is_ready() && !member.is_undecided(),
        State::Listening | State::Active | State::Releasing => false,
    });
    if obstacle {
        members.iter_mut().for_each(|member| member.yield_to_group(now));
    } else if members.iter().all(|member| member.state() == State::Active || member.is_ready()) {
        members.iter_mut().for_each(|member| member.promote(now));
    }
}

#[cfg(test)]
mod tests;
