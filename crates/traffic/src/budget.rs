//! How many requests a pool may have sent twice.
//!
//! When servers fail under load, every retry adds to the load. A budget lets retries be a share of the requests of the
//! last ten seconds and a few besides, so that a small failure is mended and a large one is not made worse. A retry is
//! counted when it is decided on, so those that still wait their pause are counted too.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How far back requests earn retries.
pub const WINDOW: Duration = Duration::from_secs(10);
/// Retries in a window that need no requests to earn them.
pub const LEAST: u64 = 3;
/// The window moves in steps of this length.
const STEP: Duration = Duration::from_secs(1);

/// The budget of one pool.
#[derive(Clone, Debug)]
pub struct Budget {
    percent: u8,
    /// Oldest first; at most the window's steps and one more.
    steps: VecDeque<Step>,
}

#[derive(Clone, Copy, Debug)]
struct Step {
    start: Instant,
    /// Requests ever, at its start.
    requests: u64,
    retries: u64,
}

impl Budget {
    /// A budget of so many retries for a hundred requests, at most 100, of a pool that has had none until now.
    #[must_use]
    pub fn new(percent: u8, now: Instant) -> Self {
        let beginning = Step { start: now, requests: 0, retries: 0 };
        Self { percent: percent.min(100), steps: VecDeque::from([beginning]) }
    }

    /// Allows another share from now on.
    pub fn set_percent(&mut self, percent: u8) {
        self.percent = percent.min(100);
    }

    /// Tells how many requests there ever were. To be called about once a second, so that the budget knows what was
    /// earned before the first failure.
    pub fn observe(&mut self, requests: u64, now: Instant) {
        if self.steps.back().is_none_or(|step| now.saturating_duration_since(step.start) >= STEP) {
            self.steps.push_back(Step { start: now, requests, retries: 0 });
        }
        // The oldest step stays until the next one alone covers the window.
        while self.steps.get(1).is_some_and(|second| now.saturating_duration_since(second.start) >= WINDOW) {
            self.steps.pop_front();
        }
    }

    /// Takes one retry out of the budget, if one is left.
    pub fn withdraw(&mut self, requests: u64, now: Instant) -> bool {
        self.observe(requests, now);
        let earned = self.steps.front().map_or(0, |oldest| requests.saturating_sub(oldest.requests));
        let allowed = (earned.saturating_mul(self.percent.into()) / 100).max(LEAST);
        // The oldest step may lie before the window, kept only for its count of requests.
        let within = |step: &&Step| now.saturating_duration_since(step.start) < WINDOW;
        let used: u64 = self.steps.iter().filter(within).map(|step| step.retries).sum();
        match self.steps.back_mut() {
            Some(step) if used < allowed => {
                step.retries += 1;
                true
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "any instant will do as the start of a test's time")]

    use super::*;

    fn taken(budget: &mut Budget, requests: u64, now: Instant) -> u32 {
        let mut count = 0;
        while budget.withdraw(requests, now) {
            count += 1;
        }
        count
    }

    #[test]
    fn a_quiet_pool_has_three_retries_in_ten_seconds() {
        let start = Instant::now();
        let mut budget = Budget::new(20, start);
        assert_eq!(taken(&mut budget, 0, start), 3);
        assert_eq!(taken(&mut budget, 0, start + Duration::from_secs(9)), 0);
        assert_eq!(taken(&mut budget, 0, start + Duration::from_secs(20)), 3);
    }

    #[test]
    fn requests_of_the_last_ten_seconds_earn_their_share() {
        let start = Instant::now();
        let mut budget = Budget::new(20, start);
        for second in 0..=30 {
            // 100 requests a second.
            budget.observe(second * 100, start + Duration::from_secs(second));
        }
        // 1,000 requests lie in the window.
        assert_eq!(taken(&mut budget, 3000, start + Duration::from_secs(30)), 200);
        // Half of the window later half of the retries may be taken again: none, they are all within ten seconds.
        assert_eq!(taken(&mut budget, 3000, start + Duration::from_secs(35)), 0);
        assert_eq!(taken(&mut budget, 3000, start + Duration::from_secs(41)), 3);
    }

    #[test]
    fn what_was_requested_in_the_first_second_counts() {
        let start = Instant::now();
        let mut budget = Budget::new(20, start);
        // A server dies before anybody has looked for the first time: 20 of 100.
        assert_eq!(taken(&mut budget, 100, start + Duration::from_millis(200)), 20);
    }

    #[test]
    fn memory_does_not_grow_with_time() {
        let start = Instant::now();
        let mut budget = Budget::new(20, start);
        for tenth in 0..10_000 {
            budget.observe(tenth, start + Duration::from_millis(tenth * 100));
        }
        assert!(budget.steps.len() <= 12, "{}", budget.steps.len());
    }

    #[test]
    fn a_budget_of_nothing_still_mends_a_single_failure() {
        let now = Instant::now();
        assert_eq!(taken(&mut Budget::new(0, now), 1_000_000, now), 3);
    }
}
