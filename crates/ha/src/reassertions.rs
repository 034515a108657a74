//! When it is told that this router has stayed active after another one had been active as well.
//!
//! Strangers can provoke it, so it is told at most once in [`PAUSE`]; what comes in between is told at its end.

use std::time::{Duration, Instant};

/// Between two.
const PAUSE: Duration = Duration::from_secs(1);
/// The reason, in words.
pub(crate) const WHY: &str = "another router was active as well and is no more; what it has told others about the addresses is to be put right";

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Reassertions {
    seen: u64,
    due: Option<Instant>,
    last: Option<Instant>,
}

impl Reassertions {
    /// So many times the other one has ceased until now.
    pub(crate) fn look(&mut self, times: u64, now: Instant) {
        if times > self.seen {
            self.seen = times;
            let earliest = self.last.map_or(now, |last| (last + PAUSE).max(now));
            self.due.get_or_insert(earliest);
        }
    }

    /// Whether it is to be told now; it is done then.
    pub(crate) fn is_due(&mut self, now: Instant) -> bool {
        let is_due = self.due.is_some_and(|due| due <= now);
        if is_due {
            (self.due, self.last) = (None, Some(now));
        }
        is_due
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_told_at_once_and_those_soon_after_it_together() {
        let (mut reassertions, begin) = (Reassertions::default(), Instant::now());
        let at = |millis| begin + Duration::from_millis(millis);
        reassertions.look(0, at(0));
        assert!(!reassertions.is_due(at(0)));
        reassertions.look(1, at(10));
        assert!(reassertions.is_due(at(10)) && !reassertions.is_due(at(10)));
        reassertions.look(2, at(20));
        reassertions.look(3, at(30));
        assert!(!reassertions.is_due(at(1009)));
        assert_eq!(reassertions.deadline(), Some(at(1010)));
        assert!(reassertions.is_due(at(1010)) && reassertions.deadline().is_none());
    }
}
