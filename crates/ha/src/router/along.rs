//! What a move that keeps connections has to say to the election that it goes along with.

use std::net::IpAddr;
use std::time::Instant;

use evenkeel_failover::handover::action::Outcome;
use evenkeel_failover::vrrp::machine::Purpose;

use super::Router;
use crate::message::Level;
use crate::run::World;
use crate::run::hand::Along;

impl Router {
    /// An operator waits for an answer.
    pub(crate) fn is_asked(&self) -> bool {
        !self.asked.is_empty()
    }

    /// The two nodes have talked about it: the election begins.
    pub(crate) fn yield_now(&mut self, why: Option<String>, world: &mut World, now: Instant) {
        if let Some(why) = &why {
            let text = format!("its addresses move without their connections: {why}");
            world.out.tell(self.name(), Level::Warning, text);
        }
        self.along = Along::Yielded(why);
        self.machine.hand_over(now, Purpose::Asked);
        self.act(world, now);
    }

    /// This has come of a move that keeps connections.
    pub(crate) fn came(&mut self, outcome: Outcome, world: &mut World, now: Instant) {
        self.along.comes(outcome);
        self.act(world, now);
    }

    /// The other router, as far as it is known.
    pub(crate) fn other(&self) -> Option<IpAddr> {
        let status = self.machine.status(Instant::now());
        status.last_heard.map(|heard| heard.source)
    }
}
