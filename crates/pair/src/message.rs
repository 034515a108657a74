//! What the supervisor and the role of the link say to each other.
//!
//! The role is told once what to do, in the same words after a reload; the socket on which it listens comes along.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Key;

/// From the supervisor to the role.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Order {
    /// Be linked to this node, from now on. One listening socket comes along. A session that there is ends.
    Link(Settings),
    /// End the session, so that a new one begins: whoever speaks in it has begun anew.
    Renew,
    /// Say this in this session; when it is over nothing is said.
    Say {
        /// From [`Word::Began`].
        session: u64,
        /// 1 to [`LONGEST_PIECE`](crate::wire::LONGEST_PIECE) bytes.
        piece: String,
    },
    /// End the session and then the process.
    End,
}

/// To whom, and how.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Settings {
    /// Where the other node listens.
    pub peer: SocketAddr,
    /// From where it is called; `None` leaves that to the kernel.
    pub source: Option<IpAddr>,
    /// What both know.
    pub key: Key,
    /// The number of the first session; the next ones count up.
    pub first_session: u64,
}

/// From the role to the supervisor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Word {
    /// It calls and listens. The answer to the first [`Order::Link`].
    Ready,
    /// A session has begun. One that there was is over.
    Began {
        /// Never used before.
        session: u64,
    },
    /// There is no session any more.
    Ended,
    /// The other node has said this.
    Heard {
        /// In which session.
        session: u64,
        /// 1 to [`LONGEST_PIECE`](crate::wire::LONGEST_PIECE) bytes.
        piece: String,
    },
    /// How it stands, when that has changed, a few times a second at most.
    Stands(State),
}

/// Why somebody who called, or was called, is not believed: the keys of [`State::refused_total`].
pub const REFUSALS: [&str; 5] = ["key", "version", "itself", "malformed", "late"];

/// How the link stands. Counters count since the process of the role was started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = PairState)]
pub struct State {
    /// The other node can be talked to.
    pub up: bool,
    /// Since when it is so, in seconds since 1970-01-01T00:00:00Z.
    pub since: u64,
    /// Why it cannot, as far as is known.
    pub why: Option<String>,
    /// Why the last session ended.
    pub ended: Option<String>,
    /// Somebody with the other node's address does not know the key, or has another version, and no session has begun since.
    pub alarm: Option<String>,
    /// Sessions that have begun.
    pub sessions_total: u64,
    /// Who called, or was called, and was not believed, by reason: `key`, `version`, `itself`, `malformed`, `late`; reasons that
    /// never occurred are left out.
    pub refused_total: BTreeMap<String, u64>,
    /// Pieces sent.
    pub sent_total: u64,
    /// Pieces received.
    pub received_total: u64,
}
