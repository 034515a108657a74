//! What one node says to the other. Within a session of the link messages arrive once and in order, or the session ends.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Flow;

/// `number` names a move. The giver chooses it, never the same twice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Message {
    /// The first of each session: what the sender takes part in. What the other one does not know of is over.
    Hello {
        /// The move of which it keeps flows.
        giving: Option<u64>,
        /// The move of which it passes flows on.
        taking: Option<u64>,
    },
    /// Giver: take these addresses, and pass these flows on to me.
    Offer {
        /// The move.
        number: u64,
        /// The flows that are open; a list of those that matter follows with [`Message::Moved`].
        flows: Vec<Flow>,
    },
    /// Taker: no.
    Refuse {
        /// The move.
        number: u64,
        /// Why not.
        why: Why,
    },
    /// Taker: everything is arranged.
    Ready {
        /// The move.
        number: u64,
    },
    /// Giver: I have let go, and no flow is added to these any more.
    Moved {
        /// The move.
        number: u64,
        /// All that are open.
        flows: Vec<Flow>,
    },
    /// Giver: these have ended.
    Ended {
        /// The move.
        number: u64,
        /// The flows.
        flows: Vec<Flow>,
    },
    /// Giver: pass nothing on any more.
    Done {
        /// The move.
        number: u64,
    },
    /// Taker: I pass nothing on any more.
    Stopped {
        /// The move.
        number: u64,
    },
}

/// Why connections could not be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// There is no link to the other node.
    NoLink,
    /// The other node did not answer.
    Silent,
    /// An earlier move has not settled.
    Busy,
    /// The other node is active itself.
    Active,
    /// The other node cannot pass packets on.
    Kernel,
    /// There are more than [`MOST_FLOWS`](super::MOST_FLOWS).
    TooMany,
    /// This node cannot list its connections.
    Unlisted,
    /// The other node has no virtual router with the same addresses.
    Unknown,
    /// The other node does not understand what is said: it speaks another version.
    Version,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoLink => "there is no link to the other node",
            Self::Silent => "the other node did not answer in time",
            Self::Busy => "an earlier move has not settled",
            Self::Active => "the other node is active itself",
            Self::Kernel => "the other node cannot pass packets on",
            Self::TooMany => "there are too many connections",
            Self::Unlisted => "this node cannot list its connections",
            Self::Unknown => "the other node has no virtual router with the same addresses",
            Self::Version => "the other node speaks another version of the handover",
        })
    }
}
