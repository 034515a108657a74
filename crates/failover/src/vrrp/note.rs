//! What the operator is told: transitions with their reason, refusals, alarms.
//!
//! A kind of note that strangers can provoke comes at most once in [`NOTE_PAUSE`].

use std::net::IpAddr;
use std::time::Duration;

use super::params::{Coverage, Priority};
use super::refusal::Refusal;
use super::status::State;

/// Between two notes of the same kind that messages provoke.
pub const NOTE_PAUSE: Duration = Duration::from_secs(60);

/// One thing to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Note {
    /// The state has changed.
    Became {
        /// Until now.
        from: State,
        /// From now on.
        to: State,
        /// The reason.
        why: Why,
    },
    /// A message was dropped.
    Refused {
        /// Why.
        refusal: Refusal,
        /// Who sent it, as it says itself.
        source: IpAddr,
        /// So many of this kind since the last note of this kind, with this one.
        times: u64,
    },
    /// Another router is active as well; we stay, and have said so to it and to the neighbours.
    DualOwner {
        /// The other one.
        source: IpAddr,
        /// Its priority.
        priority: Priority,
    },
    /// It is silent or has yielded.
    DualOwnerEnded {
        /// The other one.
        source: IpAddr,
        /// From its first message to its last.
        lasted: Duration,
    },
    /// The active router holds other addresses than ours.
    AddressesDiffer {
        /// The active router.
        source: IpAddr,
    },
    /// They are the same again.
    AddressesAgree {
        /// The active router.
        source: IpAddr,
    },
    /// The active router advertises at another interval (version 3); we follow it.
    IntervalDiffers {
        /// The active router.
        source: IpAddr,
        /// Its interval.
        theirs: Duration,
    },
    /// The active router has our priority: when it falls silent beside other backups, who takes over is chance.
    EqualPriority {
        /// The active router.
        source: IpAddr,
    },
    /// Nobody called for so long that others may have acted meanwhile; we listen before we act.
    Stalled {
        /// How much too late.
        late: Duration,
    },
    /// The checksum of the peer covers this.
    PeerChecksum {
        /// The peer.
        source: IpAddr,
        /// What it covers.
        coverage: Coverage,
    },
}

/// Why a state has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Why {
    /// The router was started.
    Started,
    /// It was started and the host holds the addresses already.
    Adopted,
    /// The router was stopped.
    Stopped,
    /// The interface is up and has an address.
    LinkUp,
    /// It is not, or has none.
    LinkDown,
    /// A tracked thing forbids to be active.
    Withdrawn,
    /// It no longer does.
    Restored,
    /// The addresses are our own (priority 255).
    Owner,
    /// Nothing was heard of the active router for the down interval, or it gave up and nobody else came.
    Silence,
    /// The active router has a lower priority and did not yield to time; it is displaced.
    Preempted {
        /// The router displaced.
        source: IpAddr,
        /// Its priority.
        priority: Priority,
    },
    /// Another active router has a higher priority.
    Higher {
        /// The other one.
        source: IpAddr,
        /// Its priority.
        priority: Priority,
    },
    /// Another active router has our priority and a higher address.
    HigherAddress {
        /// The other one.
        source: IpAddr,
    },
    /// Another router is active, as we heard before we acted.
    Heard {
        /// The other one.
        source: IpAddr,
        /// Its priority.
        priority: Priority,
    },
    /// Nobody called for too long.
    Stalled,
    /// The other members of the group are ready as well, or one of them cannot be active.
    Group,
    /// The parameters make it another virtual router.
    Reconfigured,
}
