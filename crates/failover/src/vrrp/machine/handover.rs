//! Giving the addresses to another router without a moment in which nobody holds them.
//!
//! Priority 0 is said, and the addresses stay and are served until another router advertises: only then they are let go.
//! RFC 9568 lets go at once; for the others on the link there is no difference. The wait has a bound: every backup that
//! has heard the word comes forward within its skew.

use std::time::{Duration, Instant};

use super::super::note::Why;
use super::super::params::{Params, Priority, Version};
use super::super::timers;
use super::super::validate::Accepted;
use super::Machine;
use super::office::{Active, Backup, Office};

/// Beyond the longest skew: for the way of two messages and a backup that wakes late.
const LEAST_SLACK: Duration = Duration::from_millis(20);
/// The same of long intervals.
const MOST_SLACK: Duration = Duration::from_millis(250);

/// Why addresses are handed over, and so what follows when nobody takes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The router stops: it lets go in any case.
    Stop,
    /// An operator wants another router to be active: if nobody comes, this one goes on.
    Asked,
    /// Something that it tracks has failed: if nobody comes, this one goes on with the least priority.
    Ailing,
}

impl Purpose {
    fn why(self) -> Why {
        match self {
            Self::Stop => Why::Stopped,
            Self::Asked => Why::Asked,
            Self::Ailing => Why::Ailing,
        }
    }
}

/// Has said that it gives up, and holds the addresses until another is heard.
#[derive(Clone, Debug)]
pub(super) struct Releasing {
    /// Nobody comes any more.
    pub(super) until: Instant,
    pub(super) purpose: Purpose,
    /// What it was, if it must be again.
    active: Active,
}

impl Params {
    /// How long it may take until another router is heard after [`Machine::hand_over`].
    #[must_use]
    pub fn longest_handover(&self) -> Duration {
        let settings = self.settings();
        let interval = settings.interval;
        let skew = timers::skew(settings.version, Priority::LEAST, interval);
        let waits_in_seconds = settings.version == Version::V2;
        let slack = if waits_in_seconds { MOST_SLACK } else { interval.duration() / 4 };
        skew + slack.clamp(LEAST_SLACK, MOST_SLACK)
    }
}

impl Machine {
    /// Asks another router to become active; `false` when this one is not active. While the wait goes on it is
    /// [`State::Releasing`](super::super::status::State).
    pub fn hand_over(&mut self, now: Instant, purpose: Purpose) -> bool {
        self.notice_stall(now);
        match &mut self.office {
            // It would come back at once, whoever is active.
            Office::Active(_) if self.params.settings().priority.is_owner() && purpose == Purpose::Asked => {
                false
            }
            Office::Active(active) => {
                let mut active = active.clone();
                active.dual = None;
                self.advertise(now, None);
                let until = now + self.params.longest_handover();
                self.enter(now, Office::Releasing(Releasing { until, purpose, active }), purpose.why());
                true
            }
            Office::Releasing(releasing) => {
                // A stop is not taken back by what came before it.
                if releasing.purpose != Purpose::Stop {
                    releasing.purpose = purpose;
                }
                true
            }
            _ => false,
        }
    }

    /// As [`Machine::stop`], but an active router hands its addresses over first. It is stopped when its state says so.
    pub fn retire(&mut self, now: Instant) {
        if !self.hand_over(now, Purpose::Stop) {
            self.stop(now);
        }
    }

    /// A router that stands by displaces nobody, whatever its priority. It ends by becoming active, or by this call.
    pub fn stand_by(&mut self, standing_by: bool) {
        self.standing_by = standing_by;
    }

    /// Whether it does.
    #[must_use]
    pub fn is_standing_by(&self) -> bool {
        self.standing_by
    }

    /// Another router is active: it has what we held.
    pub(super) fn hand_to(&mut self, now: Instant, accepted: &Accepted, priority: Priority) {
        let Office::Releasing(releasing) = &self.office else { return };
        let purpose = releasing.purpose;
        let source = accepted.source;
        self.own(false);
        // Until a moment ago we answered the neighbours: it shall tell them again. Less than its priority, so that it
        // stays active; less than 1 is a release.
        let less = Priority::new(priority.number() - 1).map(|less| less.min(self.priority()));
        self.advertise(now, less);
        if purpose == Purpose::Stop {
            self.running = false;
            return self.enter(now, Office::Stopped, Why::HandedOver { source, priority });
        }
        self.standing_by |= purpose == Purpose::Asked;
        self.active_interval = accepted.interval;
        let down_at = Some(now + self.down_interval());
        self.enter(
            now,
            Office::Backup(Backup::new(down_at, Some(source))),
            Why::HandedOver { source, priority },
        );
    }

    /// Nobody has come.
    pub(super) fn keep_after_all(&mut self, now: Instant) {
        let Office::Releasing(releasing) = &self.office else { return };
        if releasing.purpose == Purpose::Stop {
            return self.stop(now);
        }
        self.resume_office(now, Why::NobodyCame);
    }

    /// Goes on as the active router, before another has come.
    pub(super) fn resume_office(&mut self, now: Instant, why: Why) {
        let Office::Releasing(releasing) = &self.office else { return };
        let mut active = releasing.active.clone();
        active.sent_at = now;
        active.advertise_at = now + self.params.settings().interval.duration();
        self.advertise(now, Some(self.priority()));
        self.enter(now, Office::Active(active), why);
        // Announcements that were due meanwhile.
        self.stay_active(now);
    }
}
