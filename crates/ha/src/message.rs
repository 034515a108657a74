//! What the supervisor and the high availability role say to each other: [`Change`] in, [`Event`] out, [`Snapshot`] on
//! request.
//!
//! Messages carry the desired state, never a step towards it: a role that was just started and one that runs for a
//! year are told the same.

mod follow;
mod handing;
mod legacy;
mod telling;
mod track;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use evenkeel_config::plan::VirtualRouter;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use handing::{HandoverSnapshot, Kept};
pub use legacy::Legacy;
pub use telling::{NotifySnapshot, ProviderSnapshot};
pub use track::{Finding, Standing, TrackSnapshot, Verdict};

/// From the supervisor to the role.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Change {
    /// From now on these virtual routers exist. Answered by [`Event::Applied`]. The first one starts the elections.
    Apply {
        /// Counts up with each plan.
        revision: u64,
        /// All of them.
        routers: Vec<VirtualRouter>,
        /// What an earlier process has changed in the kernel's settings and did not change back, because it was killed.
        inherited: Vec<ChangedSetting>,
        /// As [`Change::Found`].
        findings: Vec<Finding>,
    },
    /// How everything is that is tracked, but for interfaces. What is not among it is not known.
    Found {
        /// All of it.
        findings: Vec<Finding>,
    },
    /// An operator wants another router to be active. Answered by [`Event::HandedOver`].
    HandOver {
        /// Comes back in the answer.
        id: u64,
        /// The virtual router.
        router: String,
    },
    /// An operator ends what [`Change::HandOver`] has begun: the router displaces others again. Answered by
    /// [`Event::TakesPart`].
    TakePart {
        /// Comes back in the answer.
        id: u64,
        /// The virtual router.
        router: String,
    },
    /// How the link to the other node of the pair is: told at first and when it changes.
    Link {
        /// The session that has begun, a number that is never used again and never 0; `None`: there is none.
        session: Option<u64>,
        /// How long connections may go on where they are once their addresses have moved (`handover-timeout`).
        timeout: Duration,
    },
    /// There is no `[pair]`: told in place of [`Change::Link`].
    NoLink,
    /// The other node has said this. Within a session pieces arrive once and in order.
    Heard {
        /// The session in which it was said.
        session: u64,
        /// Base64 without padding.
        piece: String,
    },
    /// What the process before has left. Counts for the next [`Change::Apply`].
    Inherit {
        /// It.
        legacies: Vec<Legacy>,
    },
    /// Another process is about to take over, maybe of another version. Answered by [`Event::Retired`]. From then on the role
    /// goes on as before and keeps what it has to say until it is told something.
    Retire,
    /// End at once and leave every address where it is: another process goes on with them. Answered by [`Event::Left`] after all
    /// that was kept; the role then exits with code 0.
    ///
    /// This one and its answer are also spoken between programs of different versions: they may only change together with the
    /// format of the handover.
    Leave,
    /// Hand every address over, or give it away when nobody takes it, and end. Answered by [`Event::Released`]; the role then exits with code 0.
    Stop,
    /// Asks for an [`Event::Snapshot`].
    Snapshot {
        /// Comes back in the answer.
        id: u64,
    },
}

/// From the role to the supervisor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// The virtual routers of this revision exist.
    Applied {
        /// From [`Change::Apply`].
        revision: u64,
    },
    /// For the log.
    Told {
        /// How grave it is.
        level: Level,
        /// The virtual router it concerns.
        router: String,
        /// What happened, in one sentence.
        text: String,
    },
    /// A virtual router has another state.
    Transition(Transition),
    /// It has stayed active when another router, which was active as well, ceased to be: what that one has told others
    /// about the addresses is to be put right. From and to are the same.
    Reasserted(Transition),
    /// Whether it holds its addresses, told by each process at first and when that changes.
    Holds {
        /// The virtual router.
        router: String,
        /// It does.
        own: bool,
    },
    /// These settings of the kernel differ from what they were, until a later message says otherwise.
    Changed(Vec<ChangedSetting>),
    /// The answer to [`Change::HandOver`].
    HandedOver {
        /// From [`Change::HandOver`].
        id: u64,
        /// What came of it.
        outcome: HandedOver,
        /// Whether connections go on.
        kept: Kept,
    },
    /// For the other node, in this session of the link or not at all.
    Say {
        /// From [`Change::Link`].
        session: u64,
        /// Base64 without padding.
        piece: String,
    },
    /// The addresses that this node keeps in silence, to serve connections whose packets the other node passes on: told by each
    /// process at first, when there are any, and when that changes.
    Silent {
        /// All of them, sorted.
        addresses: Vec<IpAddr>,
    },
    /// The answer to [`Change::TakePart`].
    TakesPart {
        /// From [`Change::TakePart`].
        id: u64,
        /// Whether it stood by until then; `None`: there is no such virtual router.
        stood_by: Option<bool>,
    },
    /// Every address was given away.
    Released,
    /// The answer to [`Change::Retire`].
    Retired,
    /// The answer to [`Change::Leave`]: nothing is sent any more.
    Left {
        /// What there is to leave, of virtual routers that are not in the middle of a change.
        legacies: Vec<Legacy>,
        /// The state until now.
        snapshot: Snapshot,
    },
    /// The answer to [`Change::Snapshot`].
    Snapshot {
        /// From [`Change::Snapshot`].
        id: u64,
        /// The state now.
        snapshot: Snapshot,
    },
}

/// What came of an operator's wish that another router be active.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HandedOver {
    /// This router is active now.
    To(IpAddr),
    /// Nobody took over; this one is active still.
    Nobody,
    /// It was not active to begin with, or is not for another reason: its state, and who is active as far as is known.
    NotActive(String, Option<IpAddr>),
    /// The addresses are its own (priority 255): it would come back at once.
    Owner,
    /// There is no such virtual router.
    Unknown,
}

/// How grave something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// As it should be.
    Info,
    /// Somebody should look.
    Warning,
    /// Something does not work.
    Error,
}

/// A setting of the kernel (`net.ipv4.conf.INTERFACE.KEY`) that was changed for a virtual hardware address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangedSetting {
    /// The interface, `all` or `default`.
    pub interface: String,
    /// The key.
    pub key: String,
    /// What it was before.
    pub before: String,
}

/// A change of state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Transition {
    /// The virtual router.
    pub router: String,
    /// Its state before.
    pub from: String,
    /// Its state now: one of [`STATES`].
    pub to: String,
    /// Why, in words.
    pub why: String,
    /// With what it stands for election; `None` when it may not.
    pub effective_priority: Option<u8>,
    /// The other router that was heard last.
    #[schema(value_type = Option<String>)]
    pub peer: Option<IpAddr>,
    /// Its priority; 0: it has given up.
    pub peer_priority: Option<u8>,
    /// When, in seconds since 1970-01-01T00:00:00Z.
    pub at: u64,
}

/// The states of a virtual router, as status and metrics name them.
pub const STATES: [&str; 6] = ["stopped", "fault", "backup", "listening", "active", "releasing"];

/// The state of the role at one moment. Counters count since the router exists in this process.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = VirtualRoutersState)]
pub struct Snapshot {
    /// Revision of the virtual routers.
    pub revision: u64,
    /// The memory of the role cannot be paged out.
    pub memory_locked: bool,
    /// Its thread comes before ordinary ones.
    pub real_time: bool,
    /// Events that were not told because the supervisor did not read.
    pub events_dropped_total: u64,
    /// In the order of the plan.
    pub routers: Vec<RouterSnapshot>,
}

/// One virtual router in a [`Snapshot`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RouterSnapshot {
    /// Its name.
    pub name: String,
    /// One of [`STATES`].
    pub state: String,
    /// Why, when that needs words: what the interface lacks.
    pub why: Option<String>,
    /// Since when, in seconds since 1970-01-01T00:00:00Z.
    pub since: Option<u64>,
    /// Where it advertises.
    pub interface: String,
    /// Its number on the link.
    pub vrid: u8,
    /// 2 or 3.
    pub version: u8,
    /// The priority of the file.
    pub priority: u8,
    /// With what it stands for election; `None` when it may not.
    pub effective_priority: Option<u8>,
    /// It stands for election with the least priority, because something that it tracks is not well.
    pub yielding: bool,
    /// It displaces nobody, because an operator wanted another router to be active.
    pub standing_by: bool,
    /// It is active only together with the others of this group.
    pub sync_group: Option<String>,
    /// What it tracks, and what that does to the priority.
    pub track: Vec<TrackSnapshot>,
    /// What its advertisements are sent from.
    #[schema(value_type = Option<String>)]
    pub source: Option<IpAddr>,
    /// The active router as far as it is known; our own source when that is this one.
    #[schema(value_type = Option<String>)]
    pub owner: Option<IpAddr>,
    /// Every address, and whether this machine holds it.
    pub addresses: Vec<AddressSnapshot>,
    /// Our interval, in seconds.
    pub interval: f64,
    /// The active router's interval, in seconds.
    pub active_interval: f64,
    /// The silence after which it takes over, in seconds.
    pub down_interval: f64,
    /// The last advertisement that was accepted or fought.
    pub last_heard: Option<HeardSnapshot>,
    /// When it advertised last, in seconds ago.
    pub last_sent: Option<f64>,
    /// How long two machines held the addresses at once, in seconds, over all times.
    pub dual_owner_seconds: f64,
    /// A move of its addresses that keeps connections; `None`: there has been none.
    pub handover: Option<HandoverSnapshot>,
    /// What is wrong now.
    pub alarms: Vec<AlarmSnapshot>,
    /// Advertisements sent.
    pub sent_total: u64,
    /// Of these with priority 0.
    pub released_total: u64,
    /// Advertisements that passed every check.
    pub received_total: u64,
    /// Times it became active.
    pub became_active_total: u64,
    /// Times another active router was heard while active and did not win.
    pub dual_owner_total: u64,
    /// Rounds of announcements.
    pub announced_total: u64,
    /// Times the process was not run for so long that others may have acted.
    pub stalled_total: u64,
    /// Advertisements refused, by reason; reasons that never occurred are left out.
    pub refused_total: BTreeMap<String, u64>,
    /// Addresses that somebody else removed, or added, and that were put right.
    pub repaired_total: u64,
    /// Who is told of its changes of state. The supervisor fills it in.
    pub notify: Vec<NotifySnapshot>,
    /// Who else moves its addresses. The supervisor fills it in.
    pub provider: Option<ProviderSnapshot>,
}

/// An address in a [`RouterSnapshot`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AddressSnapshot {
    /// With the length of its network.
    pub address: String,
    /// It is on the interface.
    pub held: bool,
}

/// An advertisement in a [`RouterSnapshot`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct HeardSnapshot {
    /// Seconds ago.
    pub ago: f64,
    /// Who sent it.
    #[schema(value_type = String)]
    pub source: IpAddr,
    /// With which priority; 0: it has given up.
    pub priority: u8,
}

/// Something that stays wrong until somebody mends it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AlarmSnapshot {
    /// `dual-owner`, `addresses-differ`, `interval-differs`, `equal-priority`, `version`, `authentication`, `address-failed`,
    /// `notify-failed`, `provider-failed`.
    pub kind: String,
    /// Since when, in seconds since 1970-01-01T00:00:00Z.
    pub since: u64,
    /// Which other router.
    #[schema(value_type = Option<String>)]
    pub source: Option<IpAddr>,
    /// What to do.
    pub text: String,
}
