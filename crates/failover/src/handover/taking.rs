//! The taker's part: arrange the passing, become active, pass until the giver has nothing left.

use std::time::Instant;

use super::action::{Action, Pass};
use super::machine::Machine;
use super::message::{Message, Why};
use super::{ANSWER, CATCH, FADE, Flow, Flows, MARGIN, MOST_FLOWS, READY};

#[derive(Clone, Debug)]
pub(super) struct Taking {
    pub(super) number: u64,
    phase: Phase,
    pass: Pass,
    /// What this host had sockets for when it was arranged: never passed on.
    own: Flows,
    /// The giver's last list is here.
    is_whole: bool,
    /// The end of the phase.
    until: Instant,
    /// While active: the end of everything.
    ends: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Waits for the list of what is not to be passed on.
    Listing,
    /// Waits until the host is as wanted.
    Arranging,
    /// Waits for the election.
    Ready,
    /// Active, and passes on what it does not know as well: the giver's last list is missing.
    Catching,
    /// Active, and passes on what was listed. No flow is added any more.
    Settled,
    /// Not active any more, and passes on what still comes: never more than the other node has claimed, so nothing that it would
    /// pass back.
    Fading,
}

impl Taking {
    pub(super) fn deadline(&self) -> Instant {
        self.until.min(self.ends)
    }

    /// When this host passes nothing on any more, at the latest.
    pub(super) fn ends(&self) -> Option<Instant> {
        matches!(self.phase, Phase::Catching | Phase::Settled).then_some(self.ends)
    }

    pub(super) fn is_settled(&self) -> bool {
        self.phase == Phase::Settled
    }

    pub(super) fn pass(&self) -> Option<&Pass> {
        (self.phase != Phase::Listing).then_some(&self.pass)
    }

    fn settle(&mut self) {
        self.phase = Phase::Settled;
        self.pass.rest = false;
        self.pass.known = Flows::new();
        self.until = self.ends;
    }
}

impl Machine {
    pub(super) fn consider(&mut self, now: Instant, number: u64, flows: Vec<Flow>) {
        let refusal = if self.owns {
            Some(Why::Active)
        } else if flows.len() > MOST_FLOWS {
            Some(Why::TooMany)
        } else {
            None
        };
        if let Some(why) = refusal {
            return self.send(Message::Refuse { number, why });
        }
        // One that was offered before came to nothing.
        self.forget_taken();
        let pass = Pass { flows: flows.into_iter().collect(), known: Flows::new(), rest: false };
        let until = now + ANSWER;
        let ends = now + READY + self.timeout + MARGIN;
        self.taking = Some(Taking {
            number,
            phase: Phase::Listing,
            pass,
            own: Flows::new(),
            is_whole: false,
            until,
            ends,
        });
        self.act(Action::List);
    }

    pub(super) fn listed_by_taker(&mut self, now: Instant, flows: &Flows) {
        let Some(taking) = self.taking.as_mut().filter(|taking| taking.phase == Phase::Listing) else {
            return;
        };
        taking.pass.flows.retain(|flow| !flows.contains(flow));
        // What the other node passes on to this one must not go back: all of that was claimed here.
        let claimed = self.giving.iter().flat_map(|giving| giving.claimed.iter().copied());
        taking.pass.known = flows.iter().copied().chain(claimed).collect();
        taking.own.clone_from(flows);
        taking.phase = Phase::Arranging;
        taking.until = now + ANSWER;
        self.act(Action::Arrange);
    }

    pub(super) fn unlisted_by_taker(&mut self) {
        if let Some(taking) = self.taking.take_if(|taking| taking.phase == Phase::Listing) {
            self.send(Message::Refuse { number: taking.number, why: Why::Kernel });
        }
    }

    pub(super) fn arranged_by_taker(&mut self, now: Instant, is_done: bool) {
        let Some(taking) = self.taking.as_mut().filter(|taking| taking.phase == Phase::Arranging) else {
            return;
        };
        let number = taking.number;
        if is_done {
            taking.phase = Phase::Ready;
            taking.until = now + READY;
            self.send(Message::Ready { number });
        } else {
            self.forget_taken();
            self.send(Message::Refuse { number, why: Why::Kernel });
        }
    }

    /// The addresses come.
    pub(super) fn take_over(&mut self, now: Instant) {
        let Some(taking) = &mut self.taking else { return };
        if taking.phase == Phase::Ready {
            taking.phase = Phase::Catching;
            taking.until = now + CATCH;
            taking.ends = now + self.timeout + MARGIN;
            // Not earlier: who yields has heard that this one is ready, and before that of everything that has ended here.
            taking.pass.rest = true;
            if taking.is_whole {
                taking.settle();
            }
            self.act(Action::Arrange);
        } else {
            self.let_go_of_taken();
        }
    }

    /// The addresses go.
    pub(super) fn fade(&mut self, now: Instant) {
        match &mut self.taking {
            Some(taking) if matches!(taking.phase, Phase::Catching | Phase::Settled) => {
                taking.settle();
                taking.phase = Phase::Fading;
                taking.until = now + FADE;
                self.act(Action::Arrange);
            }
            _ => self.let_go_of_taken(),
        }
    }

    /// The other node is told.
    pub(super) fn let_go_of_taken(&mut self) {
        if let Some(taking) = &self.taking {
            let number = taking.number;
            self.send(Message::Stopped { number });
            self.forget_taken();
        }
    }

    pub(super) fn forget_taken(&mut self) {
        if self.taking.take().is_some() {
            self.act(Action::Arrange);
        }
    }

    /// At the start of a session: the giver takes part in this.
    pub(super) fn compare_taken(&mut self, giving: Option<u64>) {
        if self.taking.as_ref().is_some_and(|taking| giving != Some(taking.number)) {
            self.forget_taken();
        }
    }

    pub(super) fn learn_all(&mut self, number: u64, flows: Vec<Flow>) {
        let Some(taking) = self.taking.as_mut().filter(|taking| taking.number == number) else {
            return self.send(Message::Stopped { number });
        };
        match taking.phase {
            Phase::Catching | Phase::Ready => {
                let own = &taking.own;
                taking.pass.flows =
                    flows.into_iter().filter(|flow| !own.contains(flow)).take(MOST_FLOWS).collect();
                taking.is_whole = true;
                if taking.phase == Phase::Catching {
                    taking.settle();
                }
            }
            Phase::Settled | Phase::Fading => {
                let left: Flows = flows.into_iter().collect();
                taking.pass.flows.retain(|flow| left.contains(flow));
            }
            Phase::Listing | Phase::Arranging => return,
        }
        self.act(Action::Arrange);
    }

    pub(super) fn learn_ended(&mut self, number: u64, flows: &[Flow]) {
        if let Some(taking) = self.taking.as_mut().filter(|taking| taking.number == number) {
            for flow in flows {
                taking.pass.flows.remove(flow);
            }
            self.act(Action::Arrange);
        }
    }

    pub(super) fn pass_nothing_more(&mut self, number: u64) {
        if self.taking.as_ref().is_some_and(|taking| taking.number == number) {
            self.forget_taken();
        }
    }

    pub(super) fn taker_timeout(&mut self, now: Instant) {
        let Some(taking) = self.taking.as_mut().filter(|taking| taking.deadline() <= now) else { return };
        if taking.phase == Phase::Catching && now < taking.ends {
            taking.settle();
            self.act(Action::Arrange);
        } else {
            self.let_go_of_taken();
        }
    }
}
