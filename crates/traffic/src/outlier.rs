//! The passive check of one server: what live traffic says about it.
//!
//! ```text
//!            `failures` in a row               time is up
//!   trusted ─────────────────────▶ ejected ────────────────▶ probation
//!      ▲                              ▲   the trial fails        │
//!      │                              └──────────────────────────┤
//!      └─────────────────────────────────────────────────────────┘
//!                                      the trial succeeds
//! ```
//!
//! Invariants: every input is legal in every state; at most one trial is under way, unless one has told nothing for
//! [`TRIAL_PATIENCE`]; an ejection never lasts longer than the settings allow. Times come in as arguments.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// How long the request or connection that is on trial may tell nothing before another is tried.
pub const TRIAL_PATIENCE: Duration = Duration::from_secs(10);

/// When a server is ejected, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Failures in a row that eject; at least 1.
    pub failures: u16,
    /// How long the first ejection lasts; the second twice that, the third three times.
    pub eject: Duration,
    /// How long an ejection lasts at most.
    pub longest: Duration,
    /// Share of a pool's servers that may be ejected at once, in percent.
    pub share: u8,
    /// Answers 500, 502, 503 and 504 are failures as well.
    pub server_errors: bool,
}

impl Settings {
    /// Says whether an answer with this status counts as a failure. 501 and 505 tell of what was asked, not of the
    /// server's health.
    #[must_use]
    pub fn is_failure(&self, status: u16) -> bool {
        self.server_errors && matches!(status, 500 | 502 | 503 | 504)
    }

    /// Says whether one more of `servers` may be ejected while `ejected` are, and `usable` (this one among them) take
    /// traffic. The last usable one never is.
    #[must_use]
    pub fn may_eject(&self, servers: usize, ejected: usize, usable: usize) -> bool {
        usable > 1 && (ejected + 1) * 100 <= servers * usize::from(self.share)
    }
}

/// What has just become of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It takes no traffic for so long.
    Ejected {
        /// How long.
        lasts: Duration,
        /// How often it was ejected, counting down again with good behaviour.
        times: u32,
        /// The sentence for the operator.
        why: String,
    },
    /// The next request decides.
    Probation,
    /// It takes traffic again.
    Returned,
}

/// What live traffic says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It takes traffic.
    Trusted {
        /// Failures since the last success.
        failures: u16,
    },
    /// It takes none.
    Ejected {
        /// Since when.
        since: Instant,
        /// Until when.
        until: Instant,
        /// The failure that was the last straw.
        why: String,
    },
    /// One request or connection decides.
    Probation {
        /// Since when.
        since: Instant,
        /// When the trial that is under way began.
        trial: Option<Instant>,
        /// The failure that ejected it.
        why: String,
    },
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Outlier {
    standing: Standing,
    ejections: u32,
    returned: Option<Instant>,
}

impl Default for Outlier {
    fn default() -> Self {
        Self { standing: Standing::Trusted { failures: 0 }, ejections: 0, returned: None }
    }
}

impl Outlier {
    /// What holds now.
    #[must_use]
    pub fn standing(&self) -> &Standing {
        &self.standing
    }

    /// Says whether a success would change anything: else it need not be told.
    #[must_use]
    pub fn wants_success(&self) -> bool {
        !matches!(self.standing, Standing::Trusted { failures: 0 } | Standing::Ejected { .. })
    }

    /// Something sent to the server has failed. `may_eject` is asked only when that matters, and not for a trial:
    /// the server takes no other traffic anyway.
    pub fn failed(
        &mut self,
        why: &str,
        settings: &Settings,
        may_eject: impl FnOnce() -> bool,
        now: Instant,
    ) -> Option<Event> {
        match &mut self.standing {
            Standing::Trusted { failures } => {
                *failures = failures.saturating_add(1);
                let count = *failures;
                if count < settings.failures || !may_eject() {
                    return None;
                }
                let clean = self.returned.map(|returned| now.saturating_duration_since(returned));
                self.forgive(clean, settings);
                let why = match count {
                    1 => why.to_owned(),
                    _ => format!("{count} failures in a row, the last: {why}"),
                };
                Some(self.eject(why, settings, now))
            }
            Standing::Ejected { .. } => None,
            Standing::Probation { .. } => {
                Some(self.eject(format!("the trial request failed: {why}"), settings, now))
            }
        }
    }

    /// Something sent to the server has gone well.
    pub fn succeeded(&mut self, now: Instant) -> Option<Event> {
        match self.standing {
            Standing::Trusted { .. } => {
                self.standing = Standing::Trusted { failures: 0 };
                None
            }
            // It was on its way before the ejection and proves nothing.
            Standing::Ejected { .. } => None,
            Standing::Probation { .. } => Some(self.give_back(now)),
        }
    }

    /// Asks to send the one request that decides. Says whether it may be sent.
    pub fn try_one(&mut self, now: Instant) -> bool {
        match &mut self.standing {
            Standing::Probation { trial: trial @ None, .. } => {
                *trial = Some(now);
                true
            }
            _ => false,
        }
    }

    /// Ejections that are not forgotten.
    #[must_use]
    pub fn ejections(&self) -> u32 {
        self.ejections
    }

    /// Another process has ejected it.
    pub fn take_up(&mut self, since: Instant, until: Instant, times: u32, why: String) {
        self.standing = Standing::Ejected { since, until, why };
        self.ejections = times;
    }

    /// Trusts the server whatever happened.
    pub fn pardon(&mut self) {
        *self = Self::default();
    }

    /// Does what is due.
    pub fn tick(&mut self, now: Instant) -> Option<Event> {
        match &mut self.standing {
            Standing::Ejected { until, why, .. } if *until <= now => {
                let why = std::mem::take(why);
                self.standing = Standing::Probation { since: now, trial: None, why };
                Some(Event::Probation)
            }
            Standing::Probation { trial: trial @ Some(_), .. }
                if trial.is_some_and(|trial| now >= trial + TRIAL_PATIENCE) =>
            {
                *trial = None;
                Some(Event::Probation)
            }
            _ => None,
        }
    }

    /// When [`Outlier::tick`] has something to do.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        match &self.standing {
            Standing::Trusted { .. } | Standing::Probation { trial: None, .. } => None,
            Standing::Ejected { until, .. } => Some(*until),
            Standing::Probation { trial: Some(trial), .. } => Some(*trial + TRIAL_PATIENCE),
        }
    }

    /// One ejection less for each time that one would have lasted and the server was good.
    fn forgive(&mut self, clean: Option<Duration>, settings: &Settings) {
        let step = settings.eject.as_millis().max(1);
        let steps = clean.map_or(0, |clean| clean.as_millis() / step);
        self.ejections = self.ejections.saturating_sub(u32::try_from(steps).unwrap_or(u32::MAX));
    }

    fn eject(&mut self, why: String, settings: &Settings, now: Instant) -> Event {
        self.ejections = self.ejections.saturating_add(1);
        let lasts = settings.eject.saturating_mul(self.ejections).min(settings.longest);
        self.standing = Standing::Ejected { since: now, until: now + lasts, why: why.clone() };
        Event::Ejected { lasts, times: self.ejections, why }
    }

    fn give_back(&mut self, now: Instant) -> Event {
        self.standing = Standing::Trusted { failures: 0 };
        self.returned = Some(now);
        Event::Returned
    }
}

#[cfg(test)]
mod tests;
