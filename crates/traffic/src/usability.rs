//! May a server take traffic, how much, and why not: what its active check, its agent, live traffic and slow start say
//! together.
//!
//! Invariants: what the operator orders outweighs everything, then comes an agent that wants no traffic, then a failing
//! active check; an ejection outweighs slow start; a server that nobody
//! has complained about is up. It holds no settings of its own: they come in with each call, because they may change
//! under a server that stays.

use std::time::{Duration, Instant};

use crate::agent::{Agent, Answer, Stance};
use crate::duty::Duty;
use crate::health::{Check, Transition, Verdict};
use crate::outlier::{self, Outlier, Standing};

/// A whole share, as slow start counts it.
pub const FULL_SHARE: u16 = 256;
/// The share with which slow start begins: some 10 %. With less a server would not get warm.
const FIRST_SHARE: u16 = 26;
/// Steps in which slow start grows.
const SLOW_STEPS: u32 = 20;
/// The shortest such step.
const SHORTEST_STEP: Duration = Duration::from_millis(50);

/// What a server may do now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Usability {
    /// It takes its whole share.
    Up {
        /// A check has failed, but not often enough yet.
        doubt: Option<String>,
    },
    /// It takes traffic again since not long ago, and so far only a part of its share.
    SlowStart {
        /// Since when.
        since: Instant,
        /// Of [`FULL_SHARE`].
        share: u16,
    },
    /// No check has ended yet.
    Checking {
        /// Since when.
        since: Instant,
    },
    /// The active check fails.
    Down {
        /// Since when.
        since: Instant,
        /// What fails.
        why: String,
    },
    /// Live traffic failed.
    Ejected {
        /// Since when.
        since: Instant,
        /// Until when.
        until: Instant,
        /// What failed.
        why: String,
    },
    /// The ejection is over and one request decides.
    Probation {
        /// Since when.
        since: Instant,
        /// That request is under way.
        on_trial: bool,
        /// What failed before the ejection.
        why: String,
    },
    /// The operator or its agent wants nothing new for it.
    Drain {
        /// Since when.
        since: Instant,
        /// Who wants it so, or the agent's words.
        why: String,
    },
    /// The operator or its agent says that it is being worked on.
    Maintenance {
        /// Since when.
        since: Instant,
        /// Who says so, or the agent's words.
        why: String,
    },
}

/// All that is known of one server's health.
#[derive(Clone, Debug, Default)]
pub struct Health {
    check: Option<Check>,
    agent: Option<Agent>,
    outlier: Outlier,
    duty: Duty,
    /// When it was ordered something else than to be ready.
    ordered: Option<Instant>,
    /// When it began to take traffic again.
    back_since: Option<Instant>,
}

/// Why a server is not ready when the operator wants it so.
const BY_ORDER: &str = "by order";

impl Health {
    /// What the operator ordered last.
    #[must_use]
    pub fn duty(&self) -> Duty {
        self.duty
    }

    /// The operator's order. Whoever comes back from maintenance begins with slow start.
    pub fn order(&mut self, duty: Duty, now: Instant) {
        if duty == self.duty {
            return;
        }
        if self.duty == Duty::Maintenance {
            self.outlier.pardon();
            self.back_since = Some(now);
        }
        self.duty = duty;
        self.ordered = (duty != Duty::Ready).then_some(now);
    }

    /// The active check, if the server has one.
    #[must_use]
    pub fn check(&self) -> Option<&Check> {
        self.check.as_ref()
    }

    /// The active check for its settings.
    pub fn check_mut(&mut self) -> Option<&mut Check> {
        self.check.as_mut()
    }

    /// Begins an active check, or ends it with `None`; what it had found is forgotten.
    pub fn set_check(&mut self, check: Option<Check>) {
        self.check = check;
    }

    /// The agent, if the server has one.
    #[must_use]
    pub fn agent(&self) -> Option<&Agent> {
        self.agent.as_ref()
    }

    /// The agent for its settings.
    pub fn agent_mut(&mut self) -> Option<&mut Agent> {
        self.agent.as_mut()
    }

    /// Begins to ask an agent, or ends it with `None`; what it had said is forgotten.
    pub fn set_agent(&mut self, agent: Option<Agent>) {
        self.agent = agent;
    }

    /// The agent has answered, or not; see [`Agent::answered`].
    pub fn agent_answered(
        &mut self,
        answer: Result<Answer, String>,
        started: Instant,
        now: Instant,
    ) -> Option<String> {
        let agent = self.agent.as_mut()?;
        let before = agent.stance();
        let sentence = agent.answered(answer, started, now)?;
        if matches!(before, Stance::Down | Stance::Maintenance) && agent.stance() == Stance::Takes {
            self.back_since = Some(now);
        }
        Some(sentence)
    }

    /// What live traffic says.
    #[must_use]
    pub fn outlier(&self) -> &Outlier {
        &self.outlier
    }

    /// Since when it takes traffic again, while slow start may last.
    #[must_use]
    pub fn back_since(&self) -> Option<Instant> {
        self.back_since
    }

    /// Another process has seen it come back.
    pub fn take_up_return(&mut self, since: Instant) {
        self.back_since = Some(since);
    }

    /// Another process has ejected it.
    pub fn take_up_ejection(&mut self, since: Instant, until: Instant, times: u32, why: String) {
        self.outlier.take_up(since, until, times, why);
    }

    /// A probe has ended.
    pub fn probed(
        &mut self,
        result: Result<(), String>,
        started: Instant,
        now: Instant,
    ) -> Option<Transition> {
        let transition = self.check.as_mut()?.ended(result, started, now)?;
        if transition.to == Verdict::Up && transition.from == Verdict::Down {
            // It was away for another reason than traffic told; what traffic told before is old.
            self.outlier.pardon();
            self.back_since = Some(now);
        }
        Some(transition)
    }

    /// Something sent to the server has failed; see [`Outlier::failed`].
    pub fn failed(
        &mut self,
        why: &str,
        settings: &outlier::Settings,
        may_eject: impl FnOnce() -> bool,
        now: Instant,
    ) -> Option<outlier::Event> {
        self.outlier.failed(why, settings, may_eject, now)
    }

    /// Something sent to the server has gone well.
    pub fn succeeded(&mut self, now: Instant) -> Option<outlier::Event> {
        let event = self.outlier.succeeded(now);
        if event == Some(outlier::Event::Returned) {
            self.back_since = Some(now);
        }
        event
    }

    /// Asks to send the one request that decides; see [`Outlier::try_one`].
    pub fn try_one(&mut self, now: Instant) -> bool {
        self.outlier.try_one(now)
    }

    /// Live traffic is not judged any more.
    pub fn pardon(&mut self) {
        self.outlier.pardon();
    }

    /// Does what is due.
    pub fn tick(&mut self, slow_start: Duration, now: Instant) -> Option<outlier::Event> {
        if self.back_since.is_some_and(|since| now.saturating_duration_since(since) >= slow_start) {
            self.back_since = None;
        }
        self.outlier.tick(now)
    }

    /// When [`Health::tick`] has something to do, or the share of slow start has grown by a step.
    #[must_use]
    pub fn next_deadline(&self, slow_start: Duration, now: Instant) -> Option<Instant> {
        let step = self
            .back_since
            .map(|since| (now + (slow_start / SLOW_STEPS).max(SHORTEST_STEP)).min(since + slow_start));
        step.into_iter().chain(self.outlier.next_deadline()).min()
    }

    /// What the server may do now.
    #[must_use]
    pub fn usability(&self, slow_start: Duration, now: Instant) -> Usability {
        self.judge(false, slow_start, now)
    }

    /// What it may do for clients that are bound to it: draining keeps them.
    #[must_use]
    pub fn usability_for_its_own(&self, slow_start: Duration, now: Instant) -> Usability {
        self.judge(true, slow_start, now)
    }

    fn judge(&self, for_its_own: bool, slow_start: Duration, now: Instant) -> Usability {
        let why = |why: Option<&str>| why.unwrap_or_default().to_owned();
        let since = self.ordered.unwrap_or(now);
        match self.duty {
            Duty::Maintenance => return Usability::Maintenance { since, why: BY_ORDER.into() },
            Duty::Drain if !for_its_own => return Usability::Drain { since, why: BY_ORDER.into() },
            Duty::Drain | Duty::Ready => {}
        }
        if let Some(agent) = &self.agent {
            let (since, why) = (agent.since(), agent.why().unwrap_or_default());
            match agent.stance() {
                Stance::Takes => {}
                Stance::Drain if for_its_own => {}
                Stance::Drain => return Usability::Drain { since, why },
                Stance::Maintenance => return Usability::Maintenance { since, why },
                Stance::Down => return Usability::Down { since, why },
            }
        }
        match &self.check {
            Some(check) if check.verdict() == Verdict::Down => {
                return Usability::Down { since: check.since(), why: why(check.why()) };
            }
            Some(check) if check.verdict() == Verdict::Checking => {
                return Usability::Checking { since: check.since() };
            }
            _ => {}
        }
        match self.outlier.standing() {
            Standing::Ejected { since, until, why } => {
                return Usability::Ejected { since: *since, until: *until, why: why.clone() };
            }
            Standing::Probation { since, trial, why } => {
                return Usability::Probation { since: *since, on_trial: trial.is_some(), why: why.clone() };
            }
            Standing::Trusted { .. } => {}
        }
        match self.back_since {
            Some(since) if now.saturating_duration_since(since) < slow_start => {
                Usability::SlowStart { since, share: share(now.saturating_duration_since(since), slow_start) }
            }
            _ => Usability::Up { doubt: self.check.as_ref().and_then(Check::why).map(str::to_owned) },
        }
    }
}

/// The share after so much of slow start: it grows evenly from the first share to the full one.
fn share(passed: Duration, whole: Duration) -> u16 {
    let grown = u128::from(FULL_SHARE) * passed.as_millis() / whole.as_millis().max(1);
    u16::try_from(grown).unwrap_or(FULL_SHARE).clamp(FIRST_SHARE, FULL_SHARE)
}

#[cfg(test)]
mod tests;
