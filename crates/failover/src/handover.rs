//! A planned move of addresses that keeps every connection: what the two nodes say to each other about it.
//!
//! The *giver* is active and shall not be any more, the *taker* follows it. Connections that are open stay where they are:
//! the taker passes their packets on to the giver, which keeps the addresses without answering for them. [`machine::Machine`]
//! is one node's part for addresses that move together; it may be giver and taker at the same time, of two moves.
//!
//! It elects nobody: who is active is the matter of [`crate::vrrp`], and comes in. It lists no sockets, sets no rules and
//! sends nothing: see [`action::Action`].
//!
//! Invariants, whatever the two nodes do and whenever they die:
//! - a flow that one node passes on the other one does not: nothing goes in a circle;
//! - addresses are kept in silence only by a node that does not hold them;
//! - everything that was arranged ends by itself.

pub mod action;
mod giving;
pub mod machine;
pub mod message;
mod taking;
#[cfg(test)]
mod tests;
pub mod wire;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A TCP connection, or one that is about to be: both ends of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Flow {
    /// The client.
    pub client: SocketAddr,
    /// The virtual address and its port.
    pub local: SocketAddr,
}

/// Many of them.
pub type Flows = BTreeSet<Flow>;

/// The most flows of one move; with more the addresses move without them.
pub const MOST_FLOWS: usize = 262_144;

/// How long the giver waits for the other node's word that it is ready.
pub const ANSWER: Duration = Duration::from_secs(1);
/// How long a wish waits for an earlier move to settle.
pub const SETTLE: Duration = Duration::from_secs(2);
/// How long the taker stays ready without becoming active. Longer than [`MOVE`] by more than a message may travel.
pub const READY: Duration = Duration::from_secs(5);
/// How long the giver waits until it has let go of the addresses: longer than any election's handover.
pub const MOVE: Duration = Duration::from_secs(3);
/// How long the taker passes on what it does not know: until the giver has listed its flows for the last time.
pub const CATCH: Duration = Duration::from_millis(500);
/// How long a node that has let go of the addresses goes on to pass on what it passed on before: neighbours, and packets on their way,
/// may not have heard yet where they are.
pub const FADE: Duration = Duration::from_millis(500);
/// How often the giver looks which flows are left.
pub const LOOK: Duration = Duration::from_secs(1);
/// The silence of the link after which the taker takes the giver for dead.
pub const LOST: Duration = Duration::from_secs(10);
/// How long the giver keeps its flows when the taker passes nothing on any more: it may be about to be active again.
pub const RETURN: Duration = Duration::from_secs(5);
/// How much longer than the giver the taker keeps its part: the giver ends the move.
pub const MARGIN: Duration = Duration::from_secs(5);
