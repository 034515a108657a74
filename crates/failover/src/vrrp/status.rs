//! What may be shown of a machine.

use std::fmt;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::params::{Coverage, Priority};
use super::refusal::Refusal;
use crate::track::Effective;

/// Where a virtual router is in the protocol (RFC 9568 §6.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Not started, or stopped. The RFC's Initialize.
    #[default]
    Stopped,
    /// Started, but link or tracking forbid it to run. keepalived's FAULT.
    Fault,
    /// Waits for the active router's silence.
    Backup,
    /// Holds the addresses but does not advertise: listens whether another router is active. Neither RFC nor keepalived
    /// know it.
    Listening,
    /// Holds the addresses and advertises.
    Active,
    /// Has said that it gives up, and holds the addresses until another router is heard. Neither RFC nor keepalived know
    /// it.
    Releasing,
}

impl State {
    /// The name in status, metrics and events.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Fault => "fault",
            Self::Backup => "backup",
            Self::Listening => "listening",
            Self::Active => "active",
            Self::Releasing => "releasing",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Everything that may be shown, at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Where it is.
    pub state: State,
    /// Since when; `None` before the first start.
    pub since: Option<Instant>,
    /// With what it stands for election.
    pub effective: Effective,
    /// It displaces nobody, because an operator wanted another router to be active.
    pub standing_by: bool,
    /// The active router as far as we know; ourselves when active.
    pub owner: Option<IpAddr>,
    /// The last advertisement that was accepted or fought.
    pub last_heard: Option<Heard>,
    /// When we advertised last.
    pub last_sent: Option<Instant>,
    /// Our interval.
    pub interval: Duration,
    /// The interval of the active router, by which we judge its silence.
    pub active_interval: Duration,
    /// After this silence we take over.
    pub down_interval: Duration,
    /// How long two routers held the addresses at once, as far as we saw it, over all times.
    pub dual_owner_time: Duration,
    /// What the peer's checksum covers, once known (version 3 over IPv4).
    pub peer_checksum: Option<Coverage>,
    /// What is wrong now.
    pub alarms: Vec<Alarm>,
    /// What has happened since the machine was made.
    pub counters: Counters,
}

/// An advertisement of another router.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard {
    /// When.
    pub at: Instant,
    /// Who.
    pub source: IpAddr,
    /// With which priority; `None`: it has given up.
    pub priority: Option<Priority>,
}

/// Something that stays wrong until somebody mends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alarm {
    /// What.
    pub kind: AlarmKind,
    /// Since when.
    pub since: Instant,
    /// Which other router.
    pub source: IpAddr,
}

/// The kinds of [`Alarm`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum AlarmKind {
    /// Another router is active as well.
    DualOwner,
    /// Another router advertises other addresses.
    AddressesDiffer,
    /// Another router advertises at another interval.
    IntervalDiffers,
    /// Another router has our priority.
    EqualPriority,
    /// Another router speaks another version.
    Version,
    /// Another router authenticates itself in another way, or wrongly.
    Authentication,
}

impl AlarmKind {
    /// The name in status, metrics and events.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::DualOwner => "dual-owner",
            Self::AddressesDiffer => "addresses-differ",
            Self::IntervalDiffers => "interval-differs",
            Self::EqualPriority => "equal-priority",
            Self::Version => "version",
            Self::Authentication => "authentication",
        }
    }
}

/// What has happened since the machine was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Advertisements sent, each copy counted.
    pub sent: u64,
    /// Of these with priority 0.
    pub released: u64,
    /// Advertisements that passed every check.
    pub received: u64,
    /// Of these with priority 0.
    pub releases_heard: u64,
    /// Times it became active.
    pub became_active: u64,
    /// Times another active router was heard while active and did not win.
    pub dual_heard: u64,
    /// Times it stayed active when another active router fell silent or yielded: what that one has told others about the
    /// addresses is to be put right.
    pub dual_outlived: u64,
    /// Rounds of announcements.
    pub announced: u64,
    /// Stalls.
    pub stalled: u64,
    /// Actions that nobody fetched in time.
    pub actions_lost: u64,
    pub(super) refused: [u64; Refusal::ALL.len()],
}

impl Counters {
    /// Messages dropped for this reason.
    #[must_use]
    pub fn refused(&self, refusal: Refusal) -> u64 {
        self.refused[refusal.index()]
    }
}
