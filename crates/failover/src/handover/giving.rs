//! The giver's part: offer, let go, keep flows in silence until they have ended.

use std::time::Instant;

use super::action::{Action, Outcome};
use super::machine::Machine;
use super::message::{Message, Why};
use super::{ANSWER, Flows, LOOK, MOST_FLOWS, MOVE, RETURN};

#[derive(Clone, Debug)]
pub(super) struct Giving {
    pub(super) number: u64,
    phase: Phase,
    /// Flows of the other node when this began: never offered, whatever sockets are here.
    foreign: Flows,
    /// Everything that the taker was told to pass on. What has ended stays: the taker may not have heard it.
    pub(super) claimed: Flows,
    /// What of it is open.
    pub(super) left: Flows,
    /// The end of the phase; while draining, of everything.
    until: Instant,
    look_at: Option<Instant>,
    /// The taker passes nothing on any more.
    is_stopped: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Waits for the list of flows to offer.
    Listing,
    /// Waits for the taker.
    Offered,
    /// Waits for the election.
    Yielding,
    /// Has let go and waits for the last list.
    LastListing,
    /// Flows end, one after the other.
    Draining,
    /// Active again; the other node may not have let go yet.
    Back,
}

impl Giving {
    pub(super) fn new(number: u64, foreign: Flows, now: Instant) -> Self {
        Self {
            number,
            phase: Phase::Listing,
            foreign,
            claimed: Flows::new(),
            left: Flows::new(),
            until: now + ANSWER,
            look_at: None,
            is_stopped: false,
        }
    }

    /// The addresses have not moved yet.
    pub(super) fn is_under_way(&self) -> bool {
        matches!(self.phase, Phase::Listing | Phase::Offered | Phase::Yielding)
    }

    /// When what is left is ended.
    pub(super) fn ends(&self) -> Option<Instant> {
        matches!(self.phase, Phase::LastListing | Phase::Draining).then_some(self.until)
    }

    pub(super) fn deadline(&self) -> Instant {
        self.look_at.map_or(self.until, |at| at.min(self.until))
    }
}

impl Machine {
    /// Ends an offer that was not taken up: the addresses move without connections.
    pub(super) fn give_up_offering(&mut self, why: Why) {
        let is_offering = |giving: &mut Giving| matches!(giving.phase, Phase::Listing | Phase::Offered);
        if self.giving.take_if(is_offering).is_some() {
            self.act(Action::Yield(Some(why)));
        }
    }

    pub(super) fn go(&mut self, now: Instant, number: u64) {
        match &mut self.giving {
            Some(giving) if giving.number == number && giving.phase == Phase::Offered => {
                giving.phase = Phase::Yielding;
                giving.until = now + MOVE;
                self.act(Action::Yield(None));
            }
            // It was given up meanwhile.
            Some(giving) if giving.number == number => {}
            _ => self.send(Message::Done { number }),
        }
    }

    /// The addresses go.
    pub(super) fn leave(&mut self, now: Instant) {
        let Some(giving) = &mut self.giving else { return };
        match giving.phase {
            Phase::Listing | Phase::Offered => {
                let number = giving.number;
                self.giving = None;
                self.send(Message::Done { number });
                self.act(Action::Tell(Outcome::NotActive));
            }
            Phase::Yielding => {
                giving.phase = Phase::LastListing;
                giving.until = now + if giving.is_stopped { RETURN.min(self.timeout) } else { self.timeout };
                self.act(Action::Arrange);
                self.act(Action::List);
            }
            Phase::Back => {
                giving.phase = Phase::Draining;
                giving.look_at = Some(now + LOOK);
                self.act(Action::Arrange);
            }
            Phase::LastListing | Phase::Draining => {}
        }
    }

    /// The addresses are here again.
    pub(super) fn come_back(&mut self) {
        let Some(giving) = &mut self.giving else { return };
        if giving.is_stopped {
            self.giving = None;
        } else {
            giving.phase = Phase::Back;
            giving.look_at = None;
        }
        self.act(Action::Arrange);
        self.act(Action::Tell(Outcome::Returned));
    }

    pub(super) fn listed_by_giver(&mut self, now: Instant, flows: &Flows) {
        let Some(giving) = &mut self.giving else { return };
        let own: Flows = match giving.phase {
            Phase::Listing | Phase::LastListing => flows.difference(&giving.foreign).copied().collect(),
            Phase::Draining => giving.left.intersection(flows).copied().collect(),
            Phase::Offered | Phase::Yielding | Phase::Back => return,
        };
        let number = giving.number;
        if giving.phase == Phase::Draining {
            let ended: Vec<_> = giving.left.difference(&own).copied().collect();
            giving.left = own;
            giving.look_at = Some(now + LOOK);
            if !ended.is_empty() && !giving.is_stopped {
                self.send(Message::Ended { number, flows: ended });
            }
            return self.end_when_drained();
        }
        if own.len() > MOST_FLOWS && giving.phase == Phase::Listing {
            return self.give_up_offering(Why::TooMany);
        }
        // More in the last list: new ones of the last moments are not worth the others.
        let told: Flows = own.into_iter().take(MOST_FLOWS).collect();
        giving.claimed.extend(told.iter().copied());
        let flows = told.iter().copied().collect();
        giving.left = told;
        if giving.phase == Phase::Listing {
            giving.phase = Phase::Offered;
            giving.until = now + ANSWER;
            self.send(Message::Offer { number, flows });
        } else {
            giving.phase = Phase::Draining;
            giving.look_at = Some(now + LOOK);
            let left = giving.left.len();
            self.send(Message::Moved { number, flows });
            self.act(Action::Tell(Outcome::Moved(left)));
            self.end_when_drained();
        }
    }

    pub(super) fn unlisted_by_giver(&mut self, now: Instant) {
        let Some(giving) = &mut self.giving else { return };
        match giving.phase {
            Phase::Listing => self.give_up_offering(Why::Unlisted),
            // What was offered is better than nothing.
            Phase::LastListing => {
                let offered = giving.left.clone();
                self.listed_by_giver(now, &offered);
            }
            Phase::Draining => giving.look_at = Some(now + LOOK),
            Phase::Offered | Phase::Yielding | Phase::Back => {}
        }
    }

    fn end_when_drained(&mut self) {
        if let Some(giving) = self.giving.take_if(|giving| giving.left.is_empty()) {
            self.send(Message::Done { number: giving.number });
            self.act(Action::Arrange);
            self.act(Action::Tell(Outcome::Drained));
        }
    }

    /// At the start of a session: the taker takes part in this.
    pub(super) fn compare_given(&mut self, now: Instant, taking: Option<u64>) {
        let Some(giving) = &self.giving else { return };
        let number = giving.number;
        if taking != Some(number) {
            self.taker_stopped(now, number);
        } else if giving.phase == Phase::Draining {
            // What was said when there was no session.
            let flows = giving.left.iter().copied().collect();
            self.send(Message::Moved { number, flows });
        }
    }

    pub(super) fn taker_stopped(&mut self, now: Instant, number: u64) {
        let Some(giving) = self.giving.as_mut().filter(|giving| giving.number == number) else { return };
        match giving.phase {
            Phase::Listing | Phase::Offered => self.give_up_offering(Why::Silent),
            Phase::Yielding => giving.is_stopped = true,
            Phase::LastListing | Phase::Draining => {
                giving.is_stopped = true;
                giving.until = giving.until.min(now + RETURN);
            }
            Phase::Back => self.giving = None,
        }
    }

    pub(super) fn giver_timeout(&mut self, now: Instant) {
        let Some(giving) = &mut self.giving else { return };
        let number = giving.number;
        if giving.until <= now {
            return match giving.phase {
                Phase::Listing | Phase::Offered => {
                    // An answer that comes after all finds nothing.
                    self.send(Message::Done { number });
                    self.give_up_offering(Why::Silent);
                }
                Phase::Yielding => {
                    self.giving = None;
                    self.send(Message::Done { number });
                    self.act(Action::Tell(Outcome::Nobody));
                }
                Phase::LastListing | Phase::Draining => {
                    let left: Vec<_> = std::mem::take(&mut giving.left).into_iter().collect();
                    self.giving = None;
                    self.send(Message::Done { number });
                    // Before the addresses are gone: the other ends are told.
                    let count = left.len();
                    self.act(Action::Cut(left));
                    self.act(Action::Arrange);
                    self.act(Action::Tell(Outcome::Given(count)));
                }
                Phase::Back => self.giving = None,
            };
        }
        if giving.look_at.is_some_and(|at| at <= now) {
            giving.look_at = Some(now + LOOK);
            self.act(Action::List);
        }
    }
}
