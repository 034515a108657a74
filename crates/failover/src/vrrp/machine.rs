//! The election of one virtual router (RFC 9568 §6.4, RFC 3768 §6.4).

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::action::{Action, Link, Received};
use super::params::Params;
use super::refusal::Refusal;
use super::status::{State, Status};
use crate::track::Effective;

/// See the module.
#[derive(Clone, Debug)]
pub struct Machine {
    params: Params,
    actions: VecDeque<Action>,
}

impl Machine {
    /// A virtual router that is stopped and knows nothing of its link.
    #[must_use]
    pub fn new(params: Params) -> Self {
        Self { params, actions: VecDeque::new() }
    }

    /// Its parameters.
    #[must_use]
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// Where it is.
    #[must_use]
    pub fn state(&self) -> State {
        State::Stopped
    }

    /// Takes part in the election from now on. `holding`: the host holds the addresses already, left by a run before
    /// this one; they stay while we listen whether somebody else is active.
    pub fn start(&mut self, now: Instant, holding: bool) {
        let _ = (now, holding);
    }

    /// Gives the address away and takes part no longer.
    pub fn stop(&mut self, now: Instant) {
        let _ = now;
    }

    /// The interface has changed, or its primary address. Tell it before [`Machine::start`].
    pub fn link(&mut self, now: Instant, link: Link) {
        let _ = (now, link);
    }

    /// A message has come.
    pub fn receive(&mut self, now: Instant, received: &Received<'_>) {
        let _ = (now, received);
    }

    /// A message has come that could not even be made a [`Received`]: count and note it.
    pub fn refuse(&mut self, now: Instant, refusal: Refusal, source: std::net::IpAddr) {
        let _ = (now, refusal, source);
    }

    /// Tracking has come to another result. An owner's priority does not change.
    pub fn set_priority(&mut self, now: Instant, effective: Effective) {
        let _ = (now, effective);
    }

    /// Goes on with other parameters.
    pub fn set_params(&mut self, now: Instant, params: Params) {
        let _ = now;
        self.params = params;
    }

    /// What the wall clock says at `now`, since 1970: only [`Hmac`](super::authentication::Hmac) needs it. Say it at
    /// start and again at least once a minute, because wall clocks are set.
    pub fn set_wall_clock(&mut self, now: Instant, since_1970: Duration) {
        let _ = (now, since_1970);
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        let _ = now;
    }

    /// When [`Machine::handle_timeout`] must be called; `None`: not before another input.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        None
    }

    /// What must be done, one at a time until `None`, after every input.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// Everything that may be shown.
    #[must_use]
    pub fn status(&self, now: Instant) -> Status {
        let _ = now;
        Status {
            state: State::Stopped,
            since: None,
            effective: Effective::Priority(self.params.settings().priority),
            owner: None,
            last_heard: None,
            last_sent: None,
            interval: self.params.settings().interval.duration(),
            active_interval: self.params.settings().interval.duration(),
            down_interval: Duration::ZERO,
            dual_owner_time: Duration::ZERO,
            peer_checksum: None,
            alarms: Vec::new(),
            counters: super::status::Counters::default(),
        }
    }
}
