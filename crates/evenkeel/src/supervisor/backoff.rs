//! How long to wait before a role that ended is started again.

use std::time::Duration;

/// The pause after the second end in a row; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// A process that lived this long was well: the next end is the first again.
const WELL_AFTER: Duration = Duration::from_secs(60);

/// Counts ends in a row.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    ends: u32,
}

impl Backoff {
    /// The pause after the end of a process that lived for `life`: none after the first, so that traffic is back at once.
    pub(super) fn after(&mut self, life: Duration) -> Duration {
        if life >= WELL_AFTER {
            self.ends = 0;
        }
        let pause = match self.ends.checked_sub(1) {
            None => Duration::ZERO,
            Some(doublings) => FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(doublings)).min(LONGEST_PAUSE),
        };
        self.ends = self.ends.saturating_add(1);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_end_costs_nothing_and_a_crash_loop_slows_down() {
        let mut backoff = Backoff::default();
        let pauses: Vec<u128> = (0..9).map(|_| backoff.after(Duration::from_millis(3)).as_millis()).collect();
        assert_eq!(pauses, [0, 100, 200, 400, 800, 1600, 3200, 5000, 5000]);
    }

    #[test]
    fn a_minute_of_life_makes_up_for_it() {
        let mut backoff = Backoff::default();
        for _ in 0..5 {
            backoff.after(Duration::ZERO);
        }
        assert_eq!(backoff.after(Duration::from_secs(60)), Duration::ZERO);
        assert_eq!(backoff.after(Duration::from_secs(59)), Duration::from_millis(100));
    }
}
