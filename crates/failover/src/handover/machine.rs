//! One node's part in moves of one set of addresses.
//!
//! Calls with `now` go in, [`Action`]s come out, and one deadline at a time. Whoever drives it carries actions out at once:
//! answers to [`Action::List`] and [`Action::Arrange`] come before the next input. What the giver does is in `giving`, what
//! the taker does in `taking`.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::action::{Action, Outcome, Wanted};
use super::giving::Giving;
use super::message::{Message, Why};
use super::taking::Taking;
use super::{Flows, LOST, SETTLE};

/// See the module.
#[derive(Clone, Debug)]
pub struct Machine {
    pub(super) timeout: Duration,
    pub(super) owns: bool,
    /// The other node has greeted in this session.
    pub(super) is_open: bool,
    /// Why, while it has not.
    closed: Why,
    /// There is no session, and from here on the other node counts as dead.
    lost_at: Option<Instant>,
    /// A wish that waits for an earlier move to settle, and for how long.
    asked: Option<(u64, Instant)>,
    pub(super) giving: Option<Giving>,
    pub(super) taking: Option<Taking>,
    actions: VecDeque<Action>,
}

impl Machine {
    /// A node that takes part in nothing. After `timeout` (`handover-timeout`) flows that are left are ended.
    #[must_use]
    pub fn new(timeout: Duration) -> Self {
        Self {
            timeout,
            owns: false,
            is_open: false,
            closed: Why::NoLink,
            lost_at: None,
            asked: None,
            giving: None,
            taking: None,
            actions: VecDeque::new(),
        }
    }

    /// A session of the link has begun, or has ended.
    pub fn link(&mut self, now: Instant, is_up: bool) {
        self.is_open = false;
        self.closed = if is_up { Why::Unknown } else { Why::NoLink };
        if is_up {
            self.lost_at = None;
            return self.greet();
        }
        self.lost_at = Some(now + LOST);
        if self.asked.take().is_some() {
            self.act(Action::Yield(Some(Why::NoLink)));
        }
        self.give_up_offering(Why::NoLink);
    }

    /// Says what this node takes part in.
    fn greet(&mut self) {
        let hello = Message::Hello {
            giving: self.giving.as_ref().map(|giving| giving.number),
            taking: self.taking.as_ref().map(|taking| taking.number),
        };
        self.send(hello);
    }

    /// The election says that this node shall hold the addresses, or shall not any more. Called before the addresses are
    /// added or removed.
    pub fn own(&mut self, now: Instant, owns: bool) {
        if self.owns == owns {
            return;
        }
        self.owns = owns;
        if owns {
            self.come_back();
            self.take_over(now);
        } else {
            if self.asked.take().is_some() {
                self.act(Action::Tell(Outcome::NotActive));
            }
            self.fade(now);
            self.leave(now);
        }
        self.begin_what_is_asked(now);
    }

    /// An operator wants the addresses to move. The answer is [`Action::Tell`] or a [`Action::Yield`] with a reason, which
    /// the election answers.
    pub fn ask(&mut self, now: Instant, number: u64) {
        if !self.owns {
            self.act(Action::Tell(Outcome::NotActive));
        } else if self.asked.is_some() || self.giving.as_ref().is_some_and(Giving::is_under_way) {
            self.act(Action::Tell(Outcome::UnderWay));
        } else if self.is_open {
            self.asked = Some((number, now + SETTLE));
            self.begin_what_is_asked(now);
        } else {
            self.act(Action::Yield(Some(self.closed)));
        }
    }

    /// The other node says what cannot be understood, in this session.
    pub fn misunderstand(&mut self) {
        self.is_open = false;
        self.closed = Why::Version;
        self.give_up_offering(Why::Version);
    }

    /// The other node has said this in the present session.
    pub fn hear(&mut self, now: Instant, message: Message) {
        match message {
            Message::Hello { giving, taking } => {
                self.is_open = true;
                self.compare_taken(giving);
                self.compare_given(now, taking);
            }
            Message::Offer { number, flows } => self.consider(now, number, flows),
            Message::Refuse { number, why } => {
                if self.giving.as_ref().is_some_and(|giving| giving.number == number) {
                    self.give_up_offering(why);
                }
            }
            Message::Ready { number } => self.go(now, number),
            Message::Moved { number, flows } => self.learn_all(number, flows),
            Message::Ended { number, flows } => self.learn_ended(number, &flows),
            Message::Done { number } => self.pass_nothing_more(number),
            Message::Stopped { number } => self.taker_stopped(now, number),
        }
        self.begin_what_is_asked(now);
    }

    /// The answer to [`Action::List`]: all flows to the addresses that this host has sockets for.
    pub fn listed(&mut self, now: Instant, flows: &Flows) {
        self.listed_by_taker(now, flows);
        self.listed_by_giver(now, flows);
        self.begin_what_is_asked(now);
    }

    /// The answer to [`Action::List`] when that could not be done.
    pub fn unlisted(&mut self, now: Instant) {
        self.unlisted_by_taker();
        self.unlisted_by_giver(now);
        self.begin_what_is_asked(now);
    }

    /// The answer to [`Action::Arrange`]: whether it could be done.
    pub fn arranged(&mut self, now: Instant, is_done: bool) {
        self.arranged_by_taker(now, is_done);
    }

    /// Time has come as far as [`Self::next_deadline`].
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.asked.is_some_and(|(_, until)| until <= now) {
            self.asked = None;
            self.act(Action::Yield(Some(Why::Busy)));
        }
        if self.lost_at.is_some_and(|at| at <= now) {
            self.lost_at = None;
            self.forget_taken();
        }
        self.taker_timeout(now);
        self.giver_timeout(now);
        self.begin_what_is_asked(now);
    }

    /// When [`Self::handle_timeout`] is to be called.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        let lost = self.lost_at.filter(|_| self.taking.is_some());
        let asked = self.asked.map(|(_, until)| until);
        let giving = self.giving.as_ref().map(Giving::deadline);
        let taking = self.taking.as_ref().map(Taking::deadline);
        [lost, asked, giving, taking].into_iter().flatten().min()
    }

    /// The next thing to do.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// How the host shall be.
    #[must_use]
    pub fn wanted(&self) -> Wanted<'_> {
        Wanted {
            silent: !self.owns && self.giving.is_some(),
            pass: self.taking.as_ref().and_then(Taking::pass),
        }
    }

    /// How many flows are left here whose packets the other node passes on; `None`: it has no part as giver.
    #[must_use]
    pub fn left(&self) -> Option<usize> {
        self.giving.as_ref().map(|giving| giving.left.len())
    }

    /// How many flows of the other node are passed on to it; `None`: it has no part as taker.
    #[must_use]
    pub fn passed(&self) -> Option<usize> {
        Some(self.taking.as_ref()?.pass()?.flows.len())
    }

    /// When what is left, here or at the other node, is ended.
    #[must_use]
    pub fn ends(&self) -> Option<Instant> {
        let giving = self.giving.as_ref().and_then(Giving::ends);
        giving.or_else(|| self.taking.as_ref().and_then(Taking::ends))
    }

    /// Takes part in nothing, and nobody waits.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.giving.is_none() && self.taking.is_none() && self.asked.is_none()
    }

    pub(super) fn act(&mut self, action: Action) {
        self.actions.push_back(action);
    }

    pub(super) fn send(&mut self, message: Message) {
        self.act(Action::Send(message));
    }

    /// An offer is made of flows that are known for good: of what the other node lists, nothing may be added any more.
    fn begin_what_is_asked(&mut self, now: Instant) {
        let is_settled = self.giving.is_none() && self.taking.as_ref().is_none_or(Taking::is_settled);
        if let Some((number, _)) = self.asked.filter(|_| is_settled) {
            self.asked = None;
            let foreign = self.taking.as_ref().and_then(Taking::pass).map(|pass| pass.flows.clone());
            self.giving = Some(Giving::new(number, foreign.unwrap_or_default(), now));
            self.act(Action::List);
        }
    }
}
