//! Losing to another active router without a moment in which nobody answers.
//!
//! Who hears a better active router says so at once, and holds the addresses until that one has answered: its answer
//! comes with an announcement, so that the neighbours have changed sides before anything is let go. RFC 9568 §6.4.3 lets
//! go at once. The wait has a bound, because for its length two routers hold the addresses.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::super::note::Why;
use super::super::validate::Accepted;
use super::Machine;
use super::office::{Backup, Office};

/// The longest wait for the answer; an interval that is shorter bounds it as well. An answer is a matter of microseconds,
/// unless the other router wakes late.
const LONGEST: Duration = Duration::from_millis(20);

/// Has heard a better active router and said so.
#[derive(Clone, Debug)]
pub(super) struct Parting {
    /// No answer comes any more.
    pub(super) until: Instant,
    pub(super) winner: IpAddr,
    why: Why,
}

impl Machine {
    /// Somebody better is active as well: it may not have heard of us yet, and must tell the neighbours again.
    pub(super) fn lose(&mut self, now: Instant, accepted: &Accepted, why: Why) {
        self.active_interval = accepted.interval;
        self.advertise(now, Some(self.priority()));
        let until = now + accepted.interval.duration().min(LONGEST);
        let parting = Parting { until, winner: accepted.source, why };
        self.enter(now, Office::Parting(parting), why);
    }

    /// The winner has answered, or will not.
    pub(super) fn take_leave(&mut self, now: Instant) {
        let Office::Parting(Parting { winner, why, .. }) = &self.office else { return };
        let (winner, why) = (*winner, *why);
        self.own(false);
        // Until a moment ago we answered the neighbours: it shall tell them once more.
        self.advertise(now, Some(self.priority()));
        let down_at = Some(now + self.down_interval());
        self.enter(now, Office::Backup(Backup::new(down_at, Some(winner))), why);
    }
}
