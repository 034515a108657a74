//! What waits for somebody who is told of changes: in order, tried again until it is confirmed, within bounds.
//!
//! Invariants: items are attempted in the order in which they came, one at a time; at most [`MOST_WAITING`] wait; the
//! last one is attempted until it is confirmed; what is left out in between is counted and told with the next one.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Items that wait, with the one under way. When there are more, the oldest that is not under way is left out.
pub const MOST_WAITING: usize = 32;
/// Attempts of an item that has newer ones behind it; then it is left out.
pub const MOST_ATTEMPTS: u32 = 8;
/// The pause after the first failure; it doubles with each further one.
pub const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The longest pause.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The pause after so many failures in a row.
#[must_use]
pub fn pause(failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    FIRST_PAUSE.saturating_mul(1 << doublings).min(LONGEST_PAUSE)
}

/// See the module.
#[derive(Debug)]
pub struct Outbox<T> {
    waiting: VecDeque<T>,
    /// The first one is being attempted, and that so many were left out before it was told with it.
    under_way: Option<u64>,
    /// Failures in a row of the first one.
    failures: u32,
    /// Left out, and not told yet.
    untold: u64,
    due: Option<Instant>,
    counts: Counts,
}

/// What has happened so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Confirmed.
    pub delivered: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// Left out.
    pub dropped: u64,
}

impl<T> Default for Outbox<T> {
    fn default() -> Self {
        Self {
            waiting: VecDeque::new(),
            under_way: None,
            failures: 0,
            untold: 0,
            due: None,
            counts: Counts::default(),
        }
    }
}

impl<T: Clone> Outbox<T> {
    /// Another one is to be told. Whether an older one was left out for it.
    pub fn put(&mut self, item: T) -> bool {
        self.waiting.push_back(item);
        if self.waiting.len() <= MOST_WAITING {
            return false;
        }
        let oldest = usize::from(self.under_way.is_some());
        if self.waiting.remove(oldest).is_some() {
            self.leave_out();
            if oldest == 0 {
                // The next one has not failed yet; who is told is given its pause all the same.
                self.failures = 0;
            }
        }
        true
    }

    /// What is to be attempted now, and how many were left out before it. [`Self::ended`] must follow.
    pub fn begin(&mut self, now: Instant) -> Option<(T, u64)> {
        if self.under_way.is_some() || self.due.is_some_and(|due| due > now) {
            return None;
        }
        let item = self.waiting.front()?.clone();
        self.under_way = Some(self.untold);
        Some((item, self.untold))
    }

    /// The attempt has ended. Whether the item was given up.
    pub fn ended(&mut self, confirmed: bool, now: Instant) -> bool {
        let Some(told) = self.under_way.take() else { return false };
        if confirmed {
            self.waiting.pop_front();
            self.untold -= told;
            self.counts.delivered += 1;
            (self.failures, self.due) = (0, None);
            return false;
        }
        self.counts.failed += 1;
        self.failures = self.failures.saturating_add(1);
        self.due = Some(now + pause(self.failures));
        let gives_up = self.failures >= MOST_ATTEMPTS && self.waiting.len() > 1;
        if gives_up {
            self.waiting.pop_front();
            self.leave_out();
            self.failures = 0;
        }
        gives_up
    }

    fn leave_out(&mut self) {
        self.untold += 1;
        self.counts.dropped += 1;
    }

    /// When [`Self::begin`] has something to attempt; `None` when nothing waits or something is under way.
    #[must_use]
    pub fn deadline(&self, now: Instant) -> Option<Instant> {
        (self.under_way.is_none() && !self.waiting.is_empty())
            .then(|| self.due.map_or(now, |due| due.max(now)))
    }

    /// All that wait, with the one under way.
    pub fn items(&self) -> impl Iterator<Item = &T> {
        self.waiting.iter()
    }

    /// How many wait, with the one under way.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// See [`Counts`].
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }
}

#[cfg(test)]
mod tests;
