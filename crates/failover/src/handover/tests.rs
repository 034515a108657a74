//! What one node says and does in a move, step by step.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Instant;

use super::action::{Action, Outcome};
use super::machine::Machine;
use super::message::{Message, Why};
use super::*;

const TIMEOUT: Duration = Duration::from_secs(600);

fn flow(port: u16) -> Flow {
    Flow {
        client: SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1), port)),
        local: SocketAddr::from((Ipv4Addr::new(198, 51, 100, 1), 443)),
    }
}

fn flows(ports: &[u16]) -> Flows {
    ports.iter().map(|port| flow(*port)).collect()
}

#[expect(clippy::disallowed_methods, reason = "an instant to count from; only differences matter")]
fn epoch() -> Instant {
    Instant::now()
}

fn list(ports: &[u16]) -> Vec<Flow> {
    ports.iter().map(|port| flow(*port)).collect()
}

/// A machine and its clock. Each call gives the actions that came out.
struct Node {
    machine: Machine,
    now: Instant,
}

impl Node {
    /// In a session with a node that takes part in nothing.
    fn new(owns: bool) -> Self {
        let now = epoch();
        let mut node = Self { machine: Machine::new(TIMEOUT), now };
        node.machine.own(now, owns);
        node.machine.link(now, true);
        node.machine.hear(now, Message::Hello { giving: None, taking: None });
        assert_eq!(node.said(), [Action::Send(Message::Hello { giving: None, taking: None })]);
        node
    }

    fn said(&mut self) -> Vec<Action> {
        std::iter::from_fn(|| self.machine.poll_action()).collect()
    }

    fn hear(&mut self, message: Message) -> Vec<Action> {
        self.machine.hear(self.now, message);
        self.said()
    }

    fn own(&mut self, owns: bool) -> Vec<Action> {
        self.machine.own(self.now, owns);
        self.said()
    }

    fn ask(&mut self, number: u64) -> Vec<Action> {
        self.machine.ask(self.now, number);
        self.said()
    }

    fn listed(&mut self, ports: &[u16]) -> Vec<Action> {
        self.machine.listed(self.now, &flows(ports));
        self.said()
    }

    fn arranged(&mut self, is_done: bool) -> Vec<Action> {
        self.machine.arranged(self.now, is_done);
        self.said()
    }

    /// Time goes on to the next deadline.
    fn deadline(&mut self) -> Vec<Action> {
        self.now = self.machine.next_deadline().unwrap();
        self.machine.handle_timeout(self.now);
        self.said()
    }

    /// A giver of move 7 that has let go with these flows.
    fn draining(ports: &[u16]) -> Self {
        let mut node = Self::new(true);
        node.ask(7);
        node.listed(ports);
        node.hear(Message::Ready { number: 7 });
        node.own(false);
        node.listed(ports);
        node
    }

    /// A taker of move 7 that is active and knows the last list.
    fn passing(ports: &[u16]) -> Self {
        let mut node = Self::new(false);
        node.hear(Message::Offer { number: 7, flows: list(ports) });
        node.listed(&[]);
        node.arranged(true);
        node.own(true);
        node.hear(Message::Moved { number: 7, flows: list(ports) });
        node
    }

    fn passes(&self) -> Option<Flows> {
        self.machine.wanted().pass.map(|pass| pass.flows.clone())
    }
}

#[test]
fn giver_lets_go_only_after_the_taker_is_ready_and_keeps_the_addresses_in_silence() {
    let mut giver = Node::new(true);
    assert_eq!(giver.ask(7), [Action::List]);
    assert_eq!(giver.listed(&[1, 2]), [Action::Send(Message::Offer { number: 7, flows: list(&[1, 2]) })]);
    assert_eq!(giver.hear(Message::Ready { number: 7 }), [Action::Yield(None)]);
    assert!(!giver.machine.wanted().silent);
    assert_eq!(giver.own(false), [Action::Arrange, Action::List]);
    assert!(giver.machine.wanted().silent);
    // The third one was opened meanwhile.
    assert_eq!(
        giver.listed(&[1, 2, 3]),
        [
            Action::Send(Message::Moved { number: 7, flows: list(&[1, 2, 3]) }),
            Action::Tell(Outcome::Moved(3))
        ]
    );
}

#[test]
fn giver_tells_what_has_ended_and_is_done_with_the_last() {
    let mut giver = Node::draining(&[1, 2]);
    assert_eq!(giver.deadline(), [Action::List]);
    assert_eq!(giver.listed(&[1, 2]), []);
    assert_eq!(giver.deadline(), [Action::List]);
    assert_eq!(giver.listed(&[2]), [Action::Send(Message::Ended { number: 7, flows: list(&[1]) })]);
    assert_eq!(giver.machine.left(), Some(1));
    assert_eq!(giver.deadline(), [Action::List]);
    assert_eq!(
        giver.listed(&[]),
        [
            Action::Send(Message::Ended { number: 7, flows: list(&[2]) }),
            Action::Send(Message::Done { number: 7 }),
            Action::Arrange,
            Action::Tell(Outcome::Drained)
        ]
    );
    assert!(giver.machine.is_idle() && !giver.machine.wanted().silent);
}

#[test]
fn giver_ends_what_is_left_at_the_bound() {
    let mut giver = Node::draining(&[1]);
    giver.now += TIMEOUT;
    giver.machine.handle_timeout(giver.now);
    assert_eq!(
        giver.said(),
        [
            Action::Send(Message::Done { number: 7 }),
            Action::Cut(list(&[1])),
            Action::Arrange,
            Action::Tell(Outcome::Given(1))
        ]
    );
    assert!(giver.machine.is_idle());
}

#[test]
fn taker_passes_on_what_it_does_not_know_until_the_last_list() {
    let mut taker = Node::new(false);
    assert_eq!(taker.hear(Message::Offer { number: 7, flows: list(&[1, 2]) }), [Action::List]);
    // It has a socket for the second one itself, and one more.
    assert_eq!(taker.listed(&[2, 9]), [Action::Arrange]);
    assert_eq!(taker.arranged(true), [Action::Send(Message::Ready { number: 7 })]);
    assert_eq!(taker.passes(), Some(flows(&[1])));
    assert!(!taker.machine.wanted().pass.unwrap().rest);
    assert_eq!(taker.own(true), [Action::Arrange]);
    assert!(taker.machine.wanted().pass.unwrap().rest);
    assert_eq!(taker.machine.wanted().pass.unwrap().known, flows(&[2, 9]));
    assert_eq!(taker.hear(Message::Moved { number: 7, flows: list(&[1, 3]) }), [Action::Arrange]);
    assert_eq!(taker.passes(), Some(flows(&[1, 3])));
    assert!(!taker.machine.wanted().pass.unwrap().rest);
    assert_eq!(taker.hear(Message::Ended { number: 7, flows: list(&[1]) }), [Action::Arrange]);
    assert_eq!(taker.passes(), Some(flows(&[3])));
    assert_eq!(taker.hear(Message::Done { number: 7 }), [Action::Arrange]);
    assert!(taker.machine.is_idle() && taker.passes().is_none());
}

#[test]
fn taker_waits_half_a_second_for_a_last_list_that_was_lost() {
    let mut taker = Node::new(false);
    taker.hear(Message::Offer { number: 7, flows: list(&[1]) });
    taker.listed(&[]);
    taker.arranged(true);
    taker.own(true);
    let active = taker.now;
    assert_eq!(taker.deadline(), [Action::Arrange]);
    assert_eq!(taker.now - active, Duration::from_millis(500));
    assert!(!taker.machine.wanted().pass.unwrap().rest);
    // One that comes after all takes away and adds nothing.
    taker.hear(Message::Moved { number: 7, flows: list(&[2]) });
    assert_eq!(taker.passes(), Some(flows(&[])));
}

#[test]
fn addresses_move_without_connections_when_the_other_node_cannot() {
    let mut giver = Node::new(true);
    giver.ask(7);
    giver.listed(&[1]);
    let refusal = Message::Refuse { number: 7, why: Why::Kernel };
    assert_eq!(giver.hear(refusal), [Action::Yield(Some(Why::Kernel))]);
    assert!(giver.machine.is_idle());

    let mut giver = Node::new(true);
    giver.ask(7);
    giver.listed(&[1]);
    let asked = giver.now;
    assert_eq!(
        giver.deadline(),
        [Action::Send(Message::Done { number: 7 }), Action::Yield(Some(Why::Silent))]
    );
    assert_eq!(giver.now - asked, Duration::from_secs(1));
    // What is ready after all is not used.
    assert_eq!(giver.hear(Message::Ready { number: 7 }), [Action::Send(Message::Done { number: 7 })]);

    let mut giver = Node::new(true);
    giver.ask(7);
    giver.listed(&[1]);
    giver.machine.link(giver.now, false);
    assert_eq!(giver.said(), [Action::Yield(Some(Why::NoLink))]);
    assert_eq!(giver.ask(8), [Action::Yield(Some(Why::NoLink))]);
}

#[test]
fn a_node_that_cannot_arrange_or_is_active_refuses() {
    let mut taker = Node::new(false);
    taker.hear(Message::Offer { number: 7, flows: list(&[1]) });
    taker.listed(&[]);
    assert_eq!(
        taker.arranged(false),
        [Action::Arrange, Action::Send(Message::Refuse { number: 7, why: Why::Kernel })]
    );
    assert!(taker.machine.is_idle());

    let mut active = Node::new(true);
    assert_eq!(
        active.hear(Message::Offer { number: 7, flows: Vec::new() }),
        [Action::Send(Message::Refuse { number: 7, why: Why::Active })]
    );
}

#[test]
fn back_at_once_each_node_keeps_its_own() {
    // This one has 1 and 2 and is offered 8 and 9, which the other one has opened since.
    let mut first = Node::draining(&[1, 2]);
    assert_eq!(first.hear(Message::Offer { number: 8, flows: list(&[8, 9]) }), [Action::List]);
    assert_eq!(
        first.listed(&[1]),
        [Action::Arrange, Action::Send(Message::Ended { number: 7, flows: list(&[2]) })]
    );
    first.arranged(true);
    assert_eq!(first.own(true), [Action::Arrange, Action::Tell(Outcome::Returned), Action::Arrange]);
    // The other one may not have heard yet that 2 has ended: it must not go back.
    assert_eq!(first.machine.wanted().pass.unwrap().known, flows(&[1, 2]));
    assert!(!first.machine.wanted().silent);
    assert_eq!(first.passes(), Some(flows(&[8, 9])));
    assert_eq!(first.hear(Message::Stopped { number: 7 }), []);
    assert_eq!(first.machine.left(), None);

    // The other side of it.
    let mut second = Node::passing(&[1, 2]);
    assert_eq!(second.ask(8), [Action::List]);
    // 2 is a socket that was forgotten here: it is passed on, so it is not offered.
    assert_eq!(second.listed(&[2, 8, 9]), [Action::Send(Message::Offer { number: 8, flows: list(&[8, 9]) })]);
    assert_eq!(second.hear(Message::Ready { number: 8 }), [Action::Yield(None)]);
    let now = second.now;
    assert_eq!(second.own(false), [Action::Arrange, Action::Arrange, Action::List]);
    // What is on its way here still is passed on for half a second more, and nothing else.
    assert!(second.passes() == Some(flows(&[1, 2])) && second.machine.wanted().silent);
    assert!(!second.machine.wanted().pass.unwrap().rest);
    second.listed(&[8, 9]);
    assert_eq!(second.deadline(), [Action::Send(Message::Stopped { number: 7 }), Action::Arrange]);
    assert_eq!(second.now - now, Duration::from_millis(500));
    assert!(second.passes().is_none() && second.machine.wanted().silent);
}

#[test]
fn a_wish_waits_until_the_lists_of_the_move_before_are_final() {
    let mut node = Node::new(false);
    node.hear(Message::Offer { number: 7, flows: list(&[1]) });
    node.listed(&[]);
    node.arranged(true);
    node.own(true);
    assert_eq!(node.ask(8), []);
    assert_eq!(node.ask(9), [Action::Tell(Outcome::UnderWay)]);
    assert_eq!(node.hear(Message::Moved { number: 7, flows: list(&[1]) }), [Action::Arrange, Action::List]);
}

#[test]
fn what_the_other_node_does_not_know_of_at_the_start_of_a_session_is_over() {
    let mut taker = Node::passing(&[1]);
    taker.machine.link(taker.now, false);
    taker.machine.link(taker.now, true);
    taker.said();
    assert_eq!(taker.hear(Message::Hello { giving: None, taking: None }), [Action::Arrange]);
    assert!(taker.machine.is_idle());

    // The giver first waits whether it is to be active again.
    let mut giver = Node::draining(&[1]);
    giver.machine.link(giver.now, false);
    giver.machine.link(giver.now, true);
    giver.said();
    let now = giver.now;
    assert_eq!(giver.hear(Message::Hello { giving: None, taking: None }), []);
    while !giver.machine.is_idle() {
        giver.deadline();
        giver.listed(&[1]);
    }
    assert_eq!(giver.now - now, Duration::from_secs(5));
}

#[test]
fn a_new_session_says_again_what_may_have_been_lost() {
    let mut giver = Node::draining(&[1]);
    giver.machine.link(giver.now, false);
    giver.machine.link(giver.now, true);
    assert_eq!(giver.said(), [Action::Send(Message::Hello { giving: Some(7), taking: None })]);
    assert_eq!(
        giver.hear(Message::Hello { giving: None, taking: Some(7) }),
        [Action::Send(Message::Moved { number: 7, flows: list(&[1]) })]
    );
}

#[test]
fn taker_gives_up_a_giver_that_is_silent_for_ten_seconds() {
    let mut taker = Node::passing(&[1]);
    taker.machine.link(taker.now, false);
    let lost = taker.now;
    assert_eq!(taker.deadline(), [Action::Arrange]);
    assert_eq!(taker.now - lost, Duration::from_secs(10));
    assert!(taker.machine.is_idle());
}

#[test]
fn giver_that_nobody_relieves_stays() {
    let mut giver = Node::new(true);
    giver.ask(7);
    giver.listed(&[1]);
    giver.hear(Message::Ready { number: 7 });
    assert_eq!(giver.deadline(), [Action::Send(Message::Done { number: 7 }), Action::Tell(Outcome::Nobody)]);
    assert!(giver.machine.is_idle() && !giver.machine.wanted().silent);
}

#[test]
fn more_flows_than_the_bound_are_not_offered() {
    let mut giver = Node::new(true);
    giver.ask(7);
    let many: Flows = (0..=262_144_u32)
        .map(|number| Flow { client: SocketAddr::from((Ipv4Addr::from_bits(number), 1)), ..flow(1) })
        .collect();
    giver.machine.listed(giver.now, &many);
    assert_eq!(giver.said(), [Action::Yield(Some(Why::TooMany))]);
}

/// Found by the simulator, seed 124: the other node still passes on to this one what has ended here, because it has not heard
/// of it; what this one does not know must not go back before it has.
#[test]
fn taker_passes_on_what_it_does_not_know_only_while_it_is_active() {
    let mut node = Node::draining(&[1]);
    node.deadline();
    node.listed(&[]);
    node.hear(Message::Offer { number: 8, flows: list(&[8]) });
    node.listed(&[]);
    node.arranged(true);
    assert!(!node.machine.wanted().pass.unwrap().rest);
    node.own(true);
    assert!(node.machine.wanted().pass.unwrap().rest);
}

/// Found by the simulator, seed 457.
#[test]
fn a_wish_that_waits_is_answered_when_the_addresses_go() {
    let mut node = Node::new(false);
    node.hear(Message::Offer { number: 7, flows: Vec::new() });
    node.listed(&[]);
    node.arranged(true);
    node.own(true);
    assert_eq!(node.ask(8), []);
    assert_eq!(node.own(false)[0], Action::Tell(Outcome::NotActive));
}

#[test]
fn only_an_active_node_can_give() {
    assert_eq!(Node::new(false).ask(7), [Action::Tell(Outcome::NotActive)]);
}

#[test]
fn who_cannot_list_keeps_nothing_and_what_was_offered_stays_offered() {
    let mut giver = Node::new(true);
    giver.ask(7);
    giver.machine.unlisted(giver.now);
    assert_eq!(giver.said(), [Action::Yield(Some(Why::Unlisted))]);

    let mut giver = Node::new(true);
    giver.ask(7);
    giver.listed(&[1, 2]);
    giver.hear(Message::Ready { number: 7 });
    giver.own(false);
    giver.machine.unlisted(giver.now);
    let moved = Action::Send(Message::Moved { number: 7, flows: list(&[1, 2]) });
    assert_eq!(giver.said(), [moved, Action::Tell(Outcome::Moved(2))]);

    let mut taker = Node::new(false);
    taker.hear(Message::Offer { number: 7, flows: list(&[1]) });
    taker.machine.unlisted(taker.now);
    assert_eq!(taker.said(), [Action::Send(Message::Refuse { number: 7, why: Why::Kernel })]);
}

#[test]
fn a_node_that_does_not_greet_does_not_know_the_addresses_or_speaks_otherwise() {
    let mut giver = Node::new(true);
    giver.machine.link(giver.now, true);
    giver.said();
    assert_eq!(giver.ask(7), [Action::Yield(Some(Why::Unknown))]);
    giver.machine.misunderstand();
    assert_eq!(giver.ask(8), [Action::Yield(Some(Why::Version))]);
}
