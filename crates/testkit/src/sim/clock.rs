//! The clock of one machine: a little too fast or too slow, never backwards.

use std::time::{Duration, Instant};

/// Millionths that a clock may be wrong; real ones are ten times better.
pub(super) const WORST_DRIFT: i32 = 5_000;

const MILLION: u128 = 1_000_000;

#[derive(Clone, Debug)]
pub(super) struct Clock {
    zero: Instant,
    /// Ticks in a million true ones.
    rate: u128,
}

impl Clock {
    pub(super) fn new(zero: Instant, drift: i32) -> Self {
        Self { zero, rate: MILLION.saturating_add_signed(i128::from(drift)) }
    }

    /// What it shows at a true time.
    pub(super) fn shows(&self, time: Duration) -> Instant {
        self.zero + nanoseconds(time.as_nanos() * self.rate / MILLION)
    }

    /// The first true time at which it shows this.
    pub(super) fn true_time(&self, shown: Instant) -> Duration {
        let passed = shown.saturating_duration_since(self.zero).as_nanos();
        nanoseconds((passed * MILLION).div_ceil(self.rate))
    }
}

fn nanoseconds(number: u128) -> Duration {
    Duration::from_nanos(u64::try_from(number).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_reached_and_not_passed_by() {
        let zero = Instant::now();
        for drift in [-WORST_DRIFT, -1, 0, 1, WORST_DRIFT] {
            let clock = Clock::new(zero, drift);
            for nanos in [1, 999_999_937, 3_609_375_000, 1_000_000_000_007] {
                let deadline = zero + Duration::from_nanos(nanos);
                let time = clock.true_time(deadline);
                assert!(clock.shows(time) >= deadline);
                assert!(clock.shows(time.saturating_sub(Duration::from_nanos(2))) < deadline);
            }
        }
        let fast = Clock::new(zero, WORST_DRIFT);
        assert_eq!(fast.shows(Duration::from_secs(1)) - zero, Duration::from_millis(1005));
    }
}
