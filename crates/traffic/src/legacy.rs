//! What one process knew of a server's health, for the one that takes over: ages and remainders instead of moments, because
//! the next process has other moments.
//!
//! Invariants: whoever inherits judges as its predecessor would have done; anything may be missing, and then nothing is
//! known of it. A row of results that has begun is not passed on: it begins anew.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::agent;
use crate::health::{Check, Verdict};
use crate::outlier::Standing;
use crate::usability::Health;

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Legacy {
    /// What the active check says, if it has come to anything.
    pub check: Option<Checked>,
    /// What the agent has said, as it would write it, and how long ago.
    pub agent: Option<(String, Duration)>,
    /// Live traffic speaks against it.
    pub ejected: Option<Ejected>,
    /// How long ago it began to take traffic again, while slow start may last.
    pub back: Option<Duration>,
}

/// What an active check says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Checked {
    /// The server works.
    pub up: bool,
    /// For how long that has held.
    pub age: Duration,
    /// What failed last.
    pub why: Option<String>,
}

/// An ejection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Ejected {
    /// For how long it has lasted.
    pub age: Duration,
    /// How long it lasts yet; nothing when it is over and one request decides.
    pub left: Duration,
    /// Ejections that are not forgotten.
    pub times: u32,
    /// What failed.
    pub why: String,
}

impl Health {
    /// What is known now.
    #[must_use]
    pub fn bequeath(&self, now: Instant) -> Legacy {
        let age = |since: Instant| now.saturating_duration_since(since);
        let checked = |check: &Check| Checked {
            up: check.verdict() == Verdict::Up,
            age: age(check.since()),
            why: check.why().map(str::to_owned),
        };
        let known = |check: &&Check| check.has_tried() && check.verdict() != Verdict::Checking;
        let times = self.outlier().ejections();
        let ejected = match self.outlier().standing() {
            Standing::Trusted { .. } => None,
            Standing::Ejected { since, until, why } => Some(Ejected {
                age: age(*since),
                left: until.saturating_duration_since(now),
                times,
                why: why.clone(),
            }),
            Standing::Probation { since, why, .. } => {
                Some(Ejected { age: age(*since), left: Duration::ZERO, times, why: why.clone() })
            }
        };
        Legacy {
            check: self.check().filter(known).map(checked),
            agent: self.agent().and_then(|agent| Some((agent.words()?, age(agent.since())))),
            ejected,
            back: self.back_since().map(age),
        }
    }

    /// Begins with what was known. Checks and agents take it up if they are there.
    pub fn inherit(&mut self, legacy: &Legacy, now: Instant) {
        let before = |age: Duration| now.checked_sub(age).unwrap_or(now);
        if let (Some(check), Some(said)) = (self.check_mut(), &legacy.check) {
            check.take_up(said.up, said.why.clone(), before(said.age));
        }
        if let (Some(asked), Some((words, age))) = (self.agent_mut(), &legacy.agent)
            && let Ok(answer) = agent::parse(words.as_bytes())
        {
            asked.take_up(answer, before(*age));
        }
        if let Some(Ejected { age, left, times, why }) = &legacy.ejected {
            self.take_up_ejection(before(*age), now + *left, *times, why.clone());
        }
        if let Some(age) = legacy.back {
            self.take_up_return(before(age));
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "an instant to count from; only differences matter")]

    use super::*;
    use crate::agent::{Agent, Answer, Mode, Stance};
    use crate::health::{Initial, Timing};
    use crate::outlier::Settings;
    use crate::usability::Usability;

    const SECOND: Duration = Duration::from_secs(1);

    fn timing() -> Timing {
        Timing {
            interval: 2 * SECOND,
            fast_interval: SECOND,
            down_interval: 3 * SECOND,
            timeout: SECOND,
            rise: 2,
            fall: 3,
            initial: Initial::Up,
        }
    }

    fn checked(now: Instant) -> Health {
        let mut health = Health::default();
        health.set_check(Some(Check::new(timing(), 0, now)));
        health
    }

    #[test]
    fn a_server_that_was_down_stays_so_until_its_row_of_passes() {
        let then = Instant::now();
        let mut old = checked(then);
        old.probed(Err("refused".into()), then, then);
        let now = then + 40 * SECOND;
        let mut new = checked(now);
        new.inherit(&old.bequeath(now), now);
        assert_eq!(
            new.usability(Duration::ZERO, now),
            Usability::Down { since: then, why: "refused".into() }
        );
        // Not the first result that would decide alone.
        assert!(new.probed(Ok(()), now, now).is_none());
        assert!(new.probed(Ok(()), now, now).is_some());
    }

    #[test]
    fn a_server_that_was_up_is_not_down_after_one_failure() {
        let now = Instant::now();
        let mut old = checked(now);
        old.probed(Ok(()), now, now);
        let mut new = checked(now);
        new.inherit(&old.bequeath(now), now);
        assert!(new.probed(Err("late".into()), now, now).is_none());
        assert!(matches!(new.usability(Duration::ZERO, now), Usability::Up { .. }));
    }

    #[test]
    fn what_was_never_checked_is_not_known() {
        let now = Instant::now();
        assert_eq!(checked(now).bequeath(now), Legacy::default());
        let mut new = checked(now);
        new.inherit(&Legacy::default(), now);
        assert!(new.probed(Err("refused".into()), now, now).is_some(), "the first result decides alone");
    }

    #[test]
    fn an_ejection_ends_when_it_would_have_ended() {
        let settings = Settings {
            failures: 1,
            eject: 10 * SECOND,
            longest: 60 * SECOND,
            share: 100,
            server_errors: true,
        };
        let then = Instant::now();
        let mut old = Health::default();
        old.failed("it broke", &settings, || true, then);
        let now = then + 4 * SECOND;
        let mut new = Health::default();
        new.inherit(&old.bequeath(now), now);
        assert!(new.tick(Duration::ZERO, now + 5 * SECOND).is_none());
        assert!(new.tick(Duration::ZERO, now + 6 * SECOND).is_some());
        // The second one lasts twice as long.
        new.failed("it broke", &settings, || true, now);
        assert_eq!(
            new.bequeath(now).ejected.map(|ejected| (ejected.left, ejected.times)),
            Some((20 * SECOND, 2))
        );
    }

    #[test]
    fn what_an_agent_said_holds_until_it_says_something_else() {
        let now = Instant::now();
        let with_agent = || {
            let mut health = Health::default();
            health.set_agent(Some(Agent::new(SECOND, 0, now)));
            health
        };
        let mut old = with_agent();
        let answer = Answer {
            percent: Some(40),
            mode: Some(Mode::Drain),
            most: Some(7),
            reason: Some("going home".into()),
            ..Answer::default()
        };
        old.agent_answered(Ok(answer), now, now);
        let mut new = with_agent();
        new.inherit(&old.bequeath(now), now);
        let agent = new.agent().unwrap();
        assert_eq!((agent.percent(), agent.stance(), agent.most()), (40, Stance::Drain, Some(7)));
        assert!(agent.why().unwrap().contains("going home"));
    }
}
