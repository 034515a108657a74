//! What comes out of a machine.

use super::message::{Message, Why};
use super::{Flow, Flows};

/// What must be done, in the order in which it comes out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send this to the other node, in the present session or not at all.
    Send(Message),
    /// List the flows to the addresses that this host has sockets for, those being established among them, and call
    /// [`Machine::listed`](super::machine::Machine::listed).
    List,
    /// [`Machine::wanted`](super::machine::Machine::wanted) has changed: make it so, and call
    /// [`Machine::arranged`](super::machine::Machine::arranged).
    Arrange,
    /// Let the election give the addresses to the other node; without connections for the reason given.
    Yield(Option<Why>),
    /// These will not be reached any more: end their sockets.
    Cut(Vec<Flow>),
    /// For the operator.
    Tell(Outcome),
}

/// How a move stands, for who asked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// This node was not active.
    NotActive,
    /// A move of these addresses has just begun.
    UnderWay,
    /// The addresses have moved, so many flows are left here.
    Moved(usize),
    /// Nobody took the addresses; they are here still.
    Nobody,
    /// No flow is left.
    Drained,
    /// The bound is reached or the other node passes nothing on any more: so many flows were ended.
    Given(usize),
    /// The addresses are here again, with every flow that is left.
    Returned,
}

/// How the host shall be at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted<'a> {
    /// It has the addresses without answering for them (no ARP, no neighbour discovery), to serve what is passed to it.
    pub silent: bool,
    /// It passes packets to the other node.
    pub pass: Option<&'a Pass>,
}

/// Which packets to the addresses are passed to the other node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pass {
    /// Every packet of these.
    pub flows: Flows,
    /// Never passed on with the rest: known before the rest is, so that it can be got ready.
    pub known: Flows,
    /// And everything else that is not known, neither begins a connection, nor belongs to one that has begun here since.
    pub rest: bool,
}
