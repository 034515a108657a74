//! What operators ask of virtual routers: passed on to the high availability role, answered when it is done.

use std::sync::Arc;
use std::time::Duration;

use evenkeel_admin::message::{Answer, Blame, EventKind, FailedOver, Released, RouterPriority};
use evenkeel_config::plan::VirtualRouter;
use evenkeel_failover::handover::{ANSWER, SETTLE};
use evenkeel_failover::vrrp::params::Priority;
use evenkeel_ha::message::{Change, HandedOver, Kept};
use tokio::time::Instant;

use super::events::Happened;
use super::priorities::Priorities;
use super::{Asker, Supervisor, refuse};

/// How much longer than the protocol allows an answer may take.
const MARGIN: Duration = Duration::from_secs(1);
/// How long the two nodes may talk about connections before and after.
const TALK: Duration = SETTLE.saturating_add(ANSWER).saturating_add(MARGIN);
/// Wishes that may wait for their outcome; further ones are refused.
const MOST_WAITING: usize = 64;

/// Wishes that wait for their outcome.
#[derive(Debug, Default)]
pub(super) struct Steering {
    last_id: u64,
    waiting: Vec<Wish>,
    pub(super) priorities: Priorities,
}

#[derive(Debug)]
struct Wish {
    id: u64,
    asker: Asker,
    router: String,
    deadline: Instant,
}

impl Steering {
    fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// Something was asked and has not come to an end.
    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.waiting.iter().map(|wish| wish.deadline).min()
    }
}

impl Supervisor {
    /// Makes another node hold the addresses.
    pub(super) fn fail_over(&mut self, asker: Asker, by: &str, router: String, now: Instant) {
        let Some(plan) = self.plan.virtual_routers.iter().find(|known| known.name.as_str() == router) else {
            return self.answer(asker, unknown(&router));
        };
        let deadline = now + plan.params.longest_handover() + TALK + MARGIN;
        if let Some(why) = self.cannot_steer() {
            return self.answer(asker, refuse(Blame::Busy, why));
        }
        let id = self.steering.next_id();
        self.steered(by, &router, "another node shall be active", None);
        self.ha.keeper.tell(Change::HandOver { id, router: router.clone() }, Vec::new());
        self.steering.waiting.push(Wish { id, asker, router, deadline });
    }

    /// Lets this node displace others again.
    pub(super) fn release_router(&mut self, asker: Asker, by: &str, router: String, now: Instant) {
        if !self.plan.virtual_routers.iter().any(|known| known.name.as_str() == router) {
            return self.answer(asker, unknown(&router));
        }
        if let Some(why) = self.cannot_steer() {
            return self.answer(asker, refuse(Blame::Busy, why));
        }
        let id = self.steering.next_id();
        self.steered(by, &router, "this node takes part with its full right", None);
        self.ha.keeper.tell(Change::TakePart { id, router: router.clone() }, Vec::new());
        self.steering.waiting.push(Wish { id, asker, router, deadline: now + MARGIN });
    }

    pub(super) fn takes_part(&mut self, id: u64, stood_by: Option<bool>) {
        let Some(place) = self.steering.waiting.iter().position(|wish| wish.id == id) else { return };
        let Wish { asker, router, .. } = self.steering.waiting.swap_remove(place);
        let answer = match stood_by {
            Some(stood_by) => Answer::Released(Released { router, stood_by }),
            None => unknown(&router),
        };
        self.answer(asker, answer);
    }

    /// Stands for election with another priority from now on; without one, with that of the file. So do all routers that
    /// move together with it.
    pub(super) fn prioritize_router(&mut self, by: &str, router: &str, priority: Option<u8>) -> Answer {
        let plan = Arc::clone(&self.plan);
        let Some(known) = plan.virtual_routers.iter().find(|known| known.name.as_str() == router) else {
            return unknown(router);
        };
        let configured = known.params.settings().priority;
        let wanted = match priority {
            None => configured,
            Some(number) => match Priority::new(number).filter(|priority| !priority.is_owner()) {
                Some(priority) => priority,
                None => return refuse(Blame::Request, "a priority is a number from 1 to 254"),
            },
        };
        if configured.is_owner() && priority.is_some() {
            let why = format!("{router} has priority 255 here, because its addresses are this node's own");
            return refuse(Blame::Conflict, why);
        }
        if self.ending.is_some() {
            return refuse(Blame::Busy, "Evenkeel is stopping");
        }
        let before = self.steering.priorities.of(router).unwrap_or(configured).number();
        let now = wanted.number();
        self.steered(by, router, &format!("priority {now}"), Some((before.to_string(), now.to_string())));
        let set = (wanted != configured).then_some(wanted);
        // Members that do not stand alike may wait for each other's nodes for ever.
        let together = |other: &&VirtualRouter| other.name == known.name || known.moves_with(other);
        for member in plan.virtual_routers.iter().filter(together) {
            self.steering.priorities.set(member.name.as_str(), set, by);
        }
        if self.ha.keeper.is_alive() {
            self.tell_ha_the_plan();
        }
        Answer::Prioritized(RouterPriority {
            router: router.to_owned(),
            priority: wanted.number(),
            configured: configured.number(),
            by: by.to_owned(),
        })
    }

    /// The audit line and the event; with what was before and is now.
    fn steered(&mut self, by: &str, router: &str, what: &str, change: Option<(String, String)>) {
        tracing::info!("audit: {by}: virtual router {router}: {what}");
        let (before, after) = change.unzip();
        let event = Happened::new(EventKind::VirtualRouterSteered, what).by(by);
        self.happened(Happened { subject: router.to_owned(), before, after, ..event });
    }

    fn cannot_steer(&self) -> Option<&'static str> {
        if self.ending.is_some() {
            Some("Evenkeel is stopping")
        } else if !self.ha.keeper.is_ready() {
            Some("the high availability role is starting: ask again in a moment")
        } else if self.steering.waiting.len() >= MOST_WAITING {
            Some("too many such commands wait for their outcome: ask again in a moment")
        } else {
            None
        }
    }

    pub(super) fn handed_over(&mut self, id: u64, outcome: HandedOver, kept: Kept) {
        let Some(place) = self.steering.waiting.iter().position(|wish| wish.id == id) else { return };
        let Wish { asker, router, .. } = self.steering.waiting.swap_remove(place);
        let answer = match outcome {
            HandedOver::To(active) => Answer::FailedOver(FailedOver { router, active, kept }),
            HandedOver::Nobody => refuse(
                Blame::Conflict,
                format!(
                    "no other node took over, so {router} stays active here: does Evenkeel run on the other one, and is its \
                     cable in?"
                ),
            ),
            HandedOver::NotActive(state, owner) => {
                let whose = owner.map_or_else(String::new, |owner| format!("; {owner} is active: ask there"));
                refuse(Blame::Conflict, format!("{router} is not active here, but {state}{whose}"))
            }
            HandedOver::Owner => refuse(
                Blame::Conflict,
                format!("{router} has priority 255 here and would come back at once: stop this node instead"),
            ),
            HandedOver::Unknown => unknown(&router),
        };
        self.answer(asker, answer);
    }

    pub(super) fn steering_lost_the_ha(&mut self) {
        for wish in std::mem::take(&mut self.steering.waiting) {
            self.answer(wish.asker, refuse(Blame::Failure, "the high availability role has just ended"));
        }
    }

    pub(super) fn tick_steering(&mut self, now: Instant) {
        let (late, waiting) =
            std::mem::take(&mut self.steering.waiting).into_iter().partition(|wish| wish.deadline <= now);
        self.steering.waiting = waiting;
        let late: Vec<Wish> = late;
        for wish in late {
            let text =
                "the high availability role did not say in time what came of it: see `evenkeel status`";
            self.answer(wish.asker, refuse(Blame::Failure, text));
        }
    }
}

fn unknown(router: &str) -> Answer {
    refuse(Blame::Missing, format!("there is no virtual router `{router}`: `evenkeel status` lists them"))
}
