//! What the loop of elections does about moves that keep connections: it passes words on.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use evenkeel_failover::handover::action::Outcome;

use super::Role;
use crate::handing::{Handing, Leg, Part, Word};
use crate::message::{Change, Event, Kept, Level, Snapshot};
use crate::router::Router;

/// Bytes that may wait for the supervisor before pieces for the other node wait here: transitions come first.
const MOST_WAITING: usize = 256 * 1024;

impl Role {
    /// The link has changed, or the other node has said something.
    pub(super) fn hear_of_the_link(&mut self, change: Change) {
        match change {
            Change::Link { session, timeout } => self.link(session, timeout),
            Change::Heard { session, piece } => {
                if let Some(handing) = &mut self.world.handing {
                    handing.heard(session, piece);
                }
            }
            _ => self.stop_handing(),
        }
    }

    fn link(&mut self, session: Option<u64>, timeout: Duration) {
        if self.world.handing.is_none() {
            match Handing::start() {
                Ok(handing) => self.world.handing = Some(handing),
                Err(error) => {
                    let text = format!("connections cannot be handed over: no thread for it: {error}");
                    self.world.out.tell("", Level::Error, text);
                }
            }
        }
        self.tell_the_parts();
        if let Some(handing) = &mut self.world.handing {
            handing.says.clear();
            handing.link(session, timeout);
        }
    }

    /// Tells the thread what moves together, when that is new.
    pub(super) fn tell_the_parts(&mut self) {
        let Some(handing) = &mut self.world.handing else { return };
        let mut parts: BTreeMap<String, Part> = BTreeMap::new();
        for router in self.routers.iter().filter(|router| !router.is_dismissed()) {
            let name = router
                .sync_group()
                .map_or_else(|| format!("router {}", router.name()), |group| format!("group {group}"));
            let part = parts.entry(name).or_insert_with(|| Part {
                key: Vec::new(),
                routers: Vec::new(),
                owns: false,
                legs: Vec::new(),
            });
            part.key.extend(router.plan().params.settings().addresses.iter().map(|address| address.ip));
            part.routers.push(router.name().to_owned());
            part.owns |= router.owns();
            part.legs.extend(router.leg(&self.world.sight));
        }
        let sorted = parts.into_values().map(|mut part| {
            part.key = part.key.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
            part
        });
        handing.follow(sorted.collect());
    }

    /// Does what the thread has said.
    pub(super) fn hear_the_thread(&mut self, now: Instant) {
        let Some(handing) = &mut self.world.handing else { return };
        for word in handing.words() {
            self.obey_the_thread(word, now);
        }
        self.say_pieces();
    }

    pub(super) fn say_pieces(&mut self) {
        let Some(handing) = &mut self.world.handing else { return };
        while self.world.out.channel.waiting() < MOST_WAITING
            && let Some((session, piece)) = handing.says.pop_front()
        {
            self.world.out.send(&Event::Say { session, piece });
        }
    }

    fn obey_the_thread(&mut self, word: Word, now: Instant) {
        let names = |key: &[std::net::IpAddr], handing: &Option<Handing>| {
            handing.as_ref().map(|handing| handing.routers_of(key)).unwrap_or_default()
        };
        match word {
            Word::Yield { key, why } => {
                let names = names(&key, &self.world.handing);
                let is_of = |router: &Router| names.iter().any(|name| name == router.name());
                let asked = |router: &&mut Router| is_of(router) && router.is_asked();
                if let Some(router) = self.routers.iter_mut().find(asked) {
                    router.yield_now(why, &mut self.world, now);
                }
            }
            Word::Came { key, outcome } => {
                let names = names(&key, &self.world.handing);
                for router in &mut self.routers {
                    if names.iter().any(|name| name == router.name()) {
                        router.came(outcome, &mut self.world, now);
                    }
                }
            }
            Word::Silent(addresses) => {
                self.world.out.send(&Event::Silent { addresses });
            }
            Word::Tell { key, level, text } => {
                let name = names(&key, &self.world.handing).join(", ");
                self.world.out.tell(&name, level, text);
            }
            Word::Say { .. } | Word::State { .. } => {}
        }
    }

    /// Ends every move that is under way, here and at the other node.
    pub(super) fn stop_handing(&mut self) {
        let Some(mut handing) = self.world.handing.take() else { return };
        let words = handing.stop();
        for (session, piece) in std::mem::take(&mut handing.says) {
            self.world.out.send(&Event::Say { session, piece });
        }
        for word in words {
            if let Word::Silent(addresses) = word {
                self.world.out.send(&Event::Silent { addresses });
            }
        }
    }

    /// Adds how moves stand.
    pub(super) fn show_moves(&self, snapshot: &mut Snapshot) {
        let Some(handing) = &self.world.handing else { return };
        for router in &mut snapshot.routers {
            router.handover = handing.state_of(&router.name);
        }
    }
}

impl Router {
    /// Where packets for its addresses come in, and where the other node is.
    fn leg(&self, sight: &crate::sight::Sight) -> Option<Leg> {
        let plan = self.plan();
        let seen = sight.of(&plan.interface)?;
        let link = seen.link.as_ref()?;
        let mut hardware: Vec<[u8; 6]> = link.hardware.into_iter().collect();
        if plan.virtual_mac {
            hardware.push(crate::virtual_mac::hardware(plan));
        }
        let is_kept =
            |ip: &std::net::IpAddr| !matches!(ip, std::net::IpAddr::V6(ip) if ip.is_unicast_link_local());
        let addresses = plan.params.settings().addresses.iter().map(|address| address.ip).filter(is_kept);
        let is_near = |other: &std::net::IpAddr| {
            seen.addresses(plan.is_v6()).iter().any(|held| crate::ground::shares_network(held, *other))
        };
        Some(Leg {
            interface: plan.interface.clone(),
            index: link.index,
            hardware,
            addresses: addresses.collect(),
            neighbour: self.other().filter(is_near),
        })
    }
}

/// How an operator's wish stands, while a move that keeps connections goes along with the election.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Along {
    /// There is none.
    #[default]
    None,
    /// The two nodes talk about it.
    Asked,
    /// The election is under way; without connections for a reason.
    Yielded(Option<String>),
    /// So many connections are kept.
    Kept(usize),
}

impl Along {
    /// What the operator is told when the addresses have moved; `None`: it is not known yet.
    pub(crate) fn kept(&self) -> Option<Kept> {
        match self {
            Self::None => Some(Kept::Nothing),
            Self::Asked | Self::Yielded(None) => None,
            Self::Yielded(Some(why)) => Some(Kept::Without(why.clone())),
            Self::Kept(count) => Some(Kept::Connections(*count)),
        }
    }

    pub(crate) fn comes(&mut self, outcome: Outcome) {
        match (&*self, outcome) {
            (Self::Yielded(None), Outcome::Moved(count)) => *self = Self::Kept(count),
            (Self::Yielded(None), Outcome::Nobody) => {
                *self = Self::Yielded(Some("the election took too long".into()));
            }
            (Self::Asked, Outcome::NotActive) => *self = Self::None,
            _ => {}
        }
    }
}
