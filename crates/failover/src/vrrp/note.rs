//! What the operator is told: transitions with their reason, refusals, alarms.
//!
//! A kind of note that strangers can provoke comes at most once in [`NOTE_PAUSE`].

use std::fmt;
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
    /// An operator wants another router to be active.
    Asked,
    /// What it tracks has failed: another router may take over.
    Ailing,
    /// Another router has taken over what was given up.
    HandedOver {
        /// The other one.
        source: IpAddr,
        /// Its priority.
        priority: Priority,
    },
    /// No other router has taken over what was given up.
    NobodyCame,
    /// Nobody called for too long.
    Stalled,
    /// The other members of the group are ready as well, or one of them cannot be active.
    Group,
    /// The parameters make it another virtual router.
    Reconfigured,
}

/// The sentence for the operator; the name of the router goes before it.
impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Became { from, to, why } => write!(f, "is {to}, was {from}: {why}"),
            Self::Refused { refusal, source, times: 1 } => {
                write!(f, "dropped an advertisement from {source}: {refusal}")
            }
            Self::Refused { refusal, source, times } => {
                write!(f, "dropped {times} advertisements, the last from {source}: {refusal}")
            }
            Self::DualOwner { source, priority } => write!(
                f,
                "{source} is active as well, with priority {priority}, and must yield: \
                 can both nodes hear each other?"
            ),
            Self::DualOwnerEnded { source, lasted } => {
                write!(f, "{source} is no longer active beside us; it was for at least {lasted:?}")
            }
            Self::AddressesDiffer { source } => {
                write!(f, "{source} advertises other addresses: give both nodes the same list")
            }
            Self::AddressesAgree { source } => write!(f, "{source} advertises our addresses again"),
            Self::IntervalDiffers { source, theirs } => {
                write!(f, "{source} advertises every {theirs:?}, which we follow: set the same on both nodes")
            }
            Self::EqualPriority { source } => {
                write!(
                    f,
                    "{source} has our priority: give each node its own, or both may become active at once"
                )
            }
            Self::Stalled { late } => {
                write!(
                    f,
                    "was not run for {late:?} too long, and listens before it acts: is the machine overloaded?"
                )
            }
            Self::PeerChecksum { source, coverage } => {
                let covers = match coverage {
                    Coverage::WithPseudoHeader => "with the pseudo header, as keepalived",
                    Coverage::MessageOnly => "of the message alone, as RFC 9568",
                };
                write!(f, "{source} sends checksums {covers}; both are accepted")
            }
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started => f.write_str("it was started"),
            Self::Adopted => f.write_str("it was started and holds the addresses already"),
            Self::Stopped => f.write_str("it was stopped"),
            Self::LinkUp => f.write_str("the interface is up"),
            Self::LinkDown => f.write_str("the interface is down or has no address to send from"),
            Self::Withdrawn => f.write_str("what it tracks forbids it to be active"),
            Self::Restored => f.write_str("what it tracks is well again"),
            Self::Owner => f.write_str("it owns the addresses (priority 255)"),
            Self::Silence => f.write_str("no other router is heard"),
            Self::Preempted { source, priority } => {
                write!(f, "it displaces {source}, which has the lower priority {priority}")
            }
            Self::Higher { source, priority } => {
                write!(f, "{source} is active with the higher priority {priority}")
            }
            Self::HigherAddress { source } => {
                write!(f, "{source} is active with the same priority and the higher address")
            }
            Self::Heard { source, priority } => {
                write!(f, "{source} is active already, with priority {priority}")
            }
            Self::Asked => f.write_str("an operator wants another router to be active"),
            Self::Ailing => f.write_str("what it tracks has failed, and another router may take over"),
            Self::HandedOver { source, priority } => {
                write!(f, "{source} has taken over, with priority {priority}")
            }
            Self::NobodyCame => f.write_str("no other router has taken over"),
            Self::Stalled => f.write_str("it was not run for too long, and another router may be active"),
            Self::Group => f.write_str("the members of its group move together"),
            Self::Reconfigured => f.write_str("its parameters make it another router"),
        }
    }
}
