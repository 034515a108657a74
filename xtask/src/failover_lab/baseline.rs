//! What keepalived 2.2.7 (Debian 12) does in the same kind of network on a machine of the same kind: outages of echoes in
//! milliseconds, measured with the same faults, priorities and timers.

use super::fault::Fault;
use super::pair::{Family, Timing};

/// Median and most of five repetitions or more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Baseline {
    pub(super) median: u32,
    pub(super) most: u32,
}

/// For the fault itself.
pub(super) fn of_fault(timing: Timing, family: Family, fault: Fault) -> Option<Baseline> {
    let (median, most) = match (timing.version, timing.interval.as_millis(), family, fault) {
        (2, 1000, Family::V4, Fault::Term) => (614, 621),
        (2, 1000, Family::V4, Fault::KillAll | Fault::Freeze | Fault::Reload) => (0, 0),
        (2, 1000, Family::V4, Fault::KillRole) => (3037, 3279),
        (2, 1000, Family::V4, Fault::LinkDown) => (3336, 3606),
        (2, 1000, Family::V4, Fault::AdminDown) => (3232, 3410),
        (2, 1000, Family::V4, Fault::Silent) => (3133, 3552),
        (2, 1000, Family::V4, Fault::Power) => (3415, 3468),
        (3, 100, Family::V4, Fault::Term) => (65, 69),
        (3, 100, Family::V4, Fault::KillAll | Fault::Freeze | Fault::Reload) => (0, 0),
        (3, 100, Family::V4, Fault::KillMain) => (64, 72),
        (3, 100, Family::V4, Fault::KillRole) => (310, 349),
        (3, 100, Family::V4, Fault::LinkDown) => (360, 366),
        (3, 100, Family::V4, Fault::AdminDown) => (288, 304),
        (3, 100, Family::V4, Fault::Silent) => (319, 370),
        (3, 100, Family::V4, Fault::Power) => (290, 347),
        (3, 100, Family::V6, Fault::Term) => (76, 82),
        (3, 10, Family::V4, Fault::Term) => (15, 16),
        (3, 10, Family::V4, Fault::KillAll | Fault::Freeze | Fault::Reload) => (0, 0),
        (3, 10, Family::V4, Fault::KillRole) => (20, 28),
        (3, 10, Family::V4, Fault::LinkDown) => (34, 43),
        (3, 10, Family::V4, Fault::AdminDown) => (35, 43),
        (3, 10, Family::V4, Fault::Silent) => (39, 40),
        (3, 10, Family::V4, Fault::Power) => (36, 39),
        _ => return None,
    };
    Some(Baseline { median, most })
}

/// When a partition has healed.
pub(super) fn of_heal(timing: Timing, family: Family) -> Option<&'static str> {
    match (timing.version, timing.interval.as_millis(), family) {
        (2, 1000, Family::V4) => Some("28.9 s to 46.9 s in 3 of 10"),
        (3, 100, Family::V4) => Some("33.0 s to 53.8 s in 5 of 10"),
        (3, 10, Family::V4) => Some("2.2 s in 1 of 5"),
        _ => None,
    }
}
