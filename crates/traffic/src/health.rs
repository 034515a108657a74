//! The active check of one server: what a row of probe results says about it, and when to probe again.
//!
//! ```text
//!                    passes               fall failures in a row
//!   checking ───────────────────▶ up ◀──────────────────────────▶ down
//!       └───────────────────────────────────────────────────────▶  ▲
//!                    fails                rise passes in a row ────┘
//! ```
//!
//! Invariants: every input is legal in every state; the very first result after the start decides alone, unless the
//! server starts as down; a row that a result of the other kind breaks is forgotten. It probes nothing and reads no
//! clock: results and times come in as arguments.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// The most results in a row that may be asked for (`rise`, `fall`).
pub const LONGEST_ROW: u16 = 100;

/// When to probe, and how many results in a row decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timing {
    /// From the start of a probe to the start of the next, while nothing is in doubt.
    pub interval: Duration,
    /// The same while a row of results has begun that may change the verdict, and until the first result.
    pub fast_interval: Duration,
    /// The same while the server is down.
    pub down_interval: Duration,
    /// How long one probe may take.
    pub timeout: Duration,
    /// Passes in a row that make a server up; at least 1.
    pub rise: u16,
    /// Failures in a row that make a server down; at least 1.
    pub fall: u16,
    /// What holds before the first result.
    pub initial: Initial,
}

/// What is thought of a server before its first result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Initial {
    /// It takes traffic; the first result decides alone.
    Up,
    /// It takes none until `rise` probes in a row have passed.
    Down,
    /// It takes none; the first result decides alone.
    Checking,
}

/// What the check says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The server works.
    Up,
    /// It does not.
    Down,
    /// Nothing is known yet.
    Checking,
}

/// The verdict has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// From now on.
    pub to: Verdict,
    /// Until now.
    pub from: Verdict,
    /// The sentence for the operator.
    pub why: String,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Check {
    timing: Timing,
    verdict: Verdict,
    since: Instant,
    /// Why the server is down, or what failed last.
    why: Option<String>,
    /// Results in a row that speak against the verdict.
    row: u16,
    /// No result has come yet.
    untried: bool,
    next: Instant,
}

impl Check {
    /// Begins to check. `phase` spreads the first probes of many servers over one `fast_interval`: as a fraction of
    /// 2^32, from the server's name ([`phase_of`]).
    #[must_use]
    pub fn new(timing: Timing, phase: u32, now: Instant) -> Self {
        let (verdict, why) = match timing.initial {
            Initial::Up => (Verdict::Up, None),
            Initial::Down => (Verdict::Down, Some("no check has passed yet".to_owned())),
            Initial::Checking => (Verdict::Checking, Some("no check has ended yet".to_owned())),
        };
        let first = timing.fast_interval.mul_f64(f64::from(phase) / (f64::from(u32::MAX) + 1.0));
        Self { timing, verdict, since: now, why, row: 0, untried: true, next: now + first }
    }

    /// When the next probe begins.
    #[must_use]
    pub fn next_probe(&self) -> Instant {
        self.next
    }

    /// How long that probe may take.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.timing.timeout
    }

    /// What holds now.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// Since when it holds.
    #[must_use]
    pub fn since(&self) -> Instant {
        self.since
    }

    /// Why the server is not up; of one that is up, what failed last while that is in doubt.
    #[must_use]
    pub fn why(&self) -> Option<&str> {
        self.why.as_deref()
    }

    /// Some result has come.
    #[must_use]
    pub fn has_tried(&self) -> bool {
        !self.untried
    }

    /// What another process has found out holds here as well, since then.
    pub fn take_up(&mut self, up: bool, why: Option<String>, since: Instant) {
        self.verdict = if up { Verdict::Up } else { Verdict::Down };
        (self.why, self.since) = (why, since);
        (self.row, self.untried) = (0, false);
    }

    /// A probe that began at `started` has ended: well, or with a reason.
    pub fn ended(
        &mut self,
        result: Result<(), String>,
        started: Instant,
        now: Instant,
    ) -> Option<Transition> {
        let transition = self.judge(result, now);
        self.next = (started + self.pause()).max(now);
        transition
    }

    /// Goes on with other settings; what is known stays.
    pub fn reconfigure(&mut self, timing: Timing, now: Instant) {
        self.timing = timing;
        self.next = self.next.min(now + self.pause());
    }

    fn judge(&mut self, result: Result<(), String>, now: Instant) -> Option<Transition> {
        let first = std::mem::replace(&mut self.untried, false);
        let decides_alone = first && self.timing.initial != Initial::Down;
        match (result, self.verdict) {
            (Ok(()), Verdict::Up) => {
                self.row = 0;
                self.why = None;
                None
            }
            (Err(why), Verdict::Down) => {
                self.row = 0;
                self.why = Some(why);
                None
            }
            (Ok(()), Verdict::Down | Verdict::Checking) => {
                self.row = self.row.saturating_add(1);
                if !decides_alone && self.verdict == Verdict::Down && self.row < self.timing.rise {
                    return None;
                }
                let why = match self.verdict {
                    Verdict::Down => format!("{} passed", in_a_row(self.row)),
                    _ => "the first check passed".to_owned(),
                };
                Some(self.turn(Verdict::Up, None, why, now))
            }
            (Err(failure), Verdict::Up | Verdict::Checking) => {
                self.row = self.row.saturating_add(1);
                self.why = Some(failure.clone());
                if !decides_alone && self.verdict == Verdict::Up && self.row < self.timing.fall {
                    return None;
                }
                let why = if decides_alone {
                    format!("the first check failed: {failure}")
                } else {
                    format!("{} failed: {failure}", in_a_row(self.row))
                };
                Some(self.turn(Verdict::Down, Some(failure), why, now))
            }
        }
    }

    fn turn(&mut self, to: Verdict, kept: Option<String>, why: String, now: Instant) -> Transition {
        let from = std::mem::replace(&mut self.verdict, to);
        self.since = now;
        self.row = 0;
        self.why = kept;
        Transition { to, from, why }
    }

    fn pause(&self) -> Duration {
        match self.verdict {
            _ if self.row > 0 || self.untried => self.timing.fast_interval,
            Verdict::Up => self.timing.interval,
            Verdict::Down => self.timing.down_interval,
            Verdict::Checking => self.timing.fast_interval,
        }
    }
}

fn in_a_row(count: u16) -> String {
    if count == 1 { "1 check".into() } else { format!("{count} checks in a row") }
}

/// A fraction of 2^32 that differs from name to name and is the same in every process (FNV-1a, folded).
#[must_use]
pub fn phase_of(pool: &str, server: &str) -> u32 {
    let bytes = pool.bytes().chain(std::iter::once(0)).chain(server.bytes());
    let hash = bytes
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    // FNV's low bits of short names lie close together: a multiplication spreads them before the top is taken.
    let spread = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    u32::try_from(spread >> 32).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
