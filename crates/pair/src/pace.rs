//! How often the other node is called, and how often somebody may try to be it.
//!
//! Pure: time and chance come from outside.

use std::time::{Duration, Instant};

/// The pause before the second call.
pub const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause between two calls.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// A session that lasted so long was a good one.
const GOOD: Duration = Duration::from_secs(10);

/// Pauses between calls that come to nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Calls {
    failed: u32,
}

impl Calls {
    /// The pause after a call that came to nothing; `chance` is a random number. The two nodes must not call in step.
    pub fn failed(&mut self, chance: u32) -> Duration {
        let pause = SHORTEST_PAUSE.saturating_mul(1 << self.failed.min(10)).min(LONGEST_PAUSE);
        self.failed = self.failed.saturating_add(1);
        pause / 2 + (pause / 2).mul_f64(f64::from(chance) / f64::from(u32::MAX))
    }

    /// The pause after a session that has lasted so long.
    pub fn ended(&mut self, life: Duration, chance: u32) -> Duration {
        if life >= GOOD {
            self.failed = 0;
        }
        self.failed(chance)
    }
}

/// How many may try at once after a quiet time.
pub const BURST: u32 = 20;
/// After that, one each such time.
pub const REFILL: Duration = Duration::from_millis(50);

/// Who calls us costs a little; this bounds it to [`BURST`] and one each [`REFILL`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Gate {
    /// Until then [`BURST`] calls are accounted for, one each [`REFILL`].
    paid_until: Option<Instant>,
}

impl Gate {
    /// When the next one may come.
    #[must_use]
    pub fn opens(&self, now: Instant) -> Instant {
        let credit = REFILL.saturating_mul(BURST - 1);
        self.paid_until.and_then(|until| until.checked_sub(credit)).map_or(now, |at| at.max(now))
    }

    /// One has come.
    pub fn passed(&mut self, now: Instant) {
        self.paid_until = Some(self.paid_until.map_or(now, |until| until.max(now)) + REFILL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_two_seconds_and_are_halved_by_chance_at_most() {
        let mut calls = Calls::default();
        let longest: Vec<u128> = (0..7).map(|_| calls.failed(u32::MAX).as_millis()).collect();
        assert_eq!(longest, [100, 200, 400, 800, 1600, 2000, 2000]);
        assert_eq!(calls.failed(0), Duration::from_secs(1));
        assert_eq!(calls.ended(Duration::from_secs(9), u32::MAX), LONGEST_PAUSE);
        assert_eq!(calls.ended(GOOD, u32::MAX), SHORTEST_PAUSE);
    }

    #[test]
    fn a_burst_passes_and_then_twenty_a_second() {
        let start = Instant::now();
        let mut gate = Gate::default();
        for _ in 0..BURST {
            assert_eq!(gate.opens(start), start);
            gate.passed(start);
        }
        assert_eq!(gate.opens(start), start + REFILL);
        let later = start + REFILL;
        gate.passed(later);
        assert_eq!(gate.opens(later), later + REFILL);
        // A quiet second brings all of it back.
        let quiet = later + Duration::from_secs(2);
        for _ in 0..BURST {
            assert_eq!(gate.opens(quiet), quiet);
            gate.passed(quiet);
        }
        assert!(gate.opens(quiet) > quiet);
    }
}
