//! Which server of a pool takes the next request or connection: one file an algorithm, [`Picker`] for all.
//!
//! Servers form groups by [`Priority`]; a lower group is asked only when no server of a higher one may take. Invariants
//! of every algorithm: a pick neither allocates nor locks; a server is never picked whose weight is 0, that has
//! reached its `max-connections`, that the caller says is not usable or was tried; while one may take, one is picked;
//! the same calls in the same order with the same seed give the same servers.

mod balance;
mod first;
mod group;
mod hash;
mod key;
mod least_connections;
pub(crate) mod minima;
mod peak_ewma;
mod random_two;
mod round_robin;
mod source;
mod turn;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use balance::{Balance, LARGEST_FACTOR, LEAST_FACTOR};
pub use key::Key;
pub use source::WHOLE_ADDRESS;

use crate::chance::Chance;
use crate::load::Load;
use crate::name::Name;
use group::{Group, Look, Member};

/// A server's share of the traffic relative to the others of its pool: 0 (none) to 256.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct Weight(u16);

impl Weight {
    /// The largest weight.
    pub const MOST: u16 = 256;
    /// What a server has when the file says nothing.
    pub const ONE: Self = Self(1);

    /// The number.
    #[must_use]
    pub fn value(self) -> u16 {
        self.0
    }
}

/// The text or number is no weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidWeight;

impl std::fmt::Display for InvalidWeight {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "a weight is a whole number from 0 to {}", Weight::MOST)
    }
}

impl std::error::Error for InvalidWeight {}

impl TryFrom<u16> for Weight {
    type Error = InvalidWeight;

    fn try_from(value: u16) -> Result<Self, InvalidWeight> {
        if value <= Self::MOST { Ok(Self(value)) } else { Err(InvalidWeight) }
    }
}

impl From<Weight> for u16 {
    fn from(weight: Weight) -> Self {
        weight.0
    }
}

/// The rank of a server: traffic goes to the highest rank that has a server which may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Priority(pub u8);

impl Priority {
    /// What a server has when the file says nothing.
    pub const USUAL: Self = Self(100);
    /// That of `backup = true`: the lowest.
    pub const BACKUP: Self = Self(0);
}

/// What a picker must know of a server.
#[derive(Clone, Debug)]
pub struct Server {
    /// Its name: a consistent hash looks at nothing else.
    pub name: Name,
    /// Its share; 0 takes nothing.
    pub weight: Weight,
    /// Its rank.
    pub priority: Priority,
    /// Requests or connections running on it at once; `None` sets no bound.
    pub max_connections: Option<NonZeroU32>,
    /// What it is doing.
    pub load: Arc<Load>,
}

/// What a pick is for.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// What [`Balance::key`] found; `None` takes turns.
    pub key: Option<u64>,
    /// The servers that it was tried on already.
    pub tried: &'a [usize],
    /// The time, from the moment that all workers count from.
    pub now: Duration,
}

/// Picks servers of one pool under one plan. Workers share it.
#[derive(Debug)]
pub struct Picker {
    /// The highest priority first.
    groups: Box<[Group]>,
}

impl Picker {
    /// A picker for these servers. It hears of what ends on them once it is attached.
    #[must_use]
    pub fn new(balance: &Balance, servers: &[Server]) -> Self {
        let takes = |index: &usize| servers.get(*index).is_some_and(|server| server.weight.value() > 0);
        let mut priorities: Vec<Priority> = servers.iter().map(|server| server.priority).collect();
        priorities.sort_by(|a, b| b.cmp(a));
        priorities.dedup();
        let group = |priority: Priority| {
            let of_it = |index: &usize| servers.get(*index).is_some_and(|server| server.priority == priority);
            let indices: Vec<usize> = (0..servers.len()).filter(takes).filter(of_it).collect();
            Group::new(balance, servers, &indices)
        };
        Self { groups: priorities.into_iter().map(group).filter(|group| !group.members.is_empty()).collect() }
    }

    /// From now on this is the picker of the pool: the loads of its servers report here, and its turn goes on where
    /// that of `before` stood. `pool` is what the loads belong to.
    pub fn attach(&self, balance: &Balance, before: Option<&Self>) {
        let wanted = matches!(balance, Balance::Hash { bounded_load: Some(_), .. });
        for group in &self.groups {
            group.attach();
            if let Some(member) = group.members.first() {
                member.load.pool().want(wanted);
            }
        }
        for (group, old) in self.groups.iter().zip(before.iter().flat_map(|before| &before.groups)) {
            group.continue_from(old);
        }
    }

    /// The index of the server that takes, or `None` when none may. `usable` says what else speaks against a server.
    pub fn pick(
        &self,
        request: Request<'_>,
        chance: &Chance,
        usable: impl Fn(usize) -> bool,
    ) -> Option<usize> {
        self.groups.iter().find_map(|group| {
            let view = View { members: &group.members, tried: request.tried, usable: &usable };
            let position = group.pick(request.key, request.now, &view, chance)?;
            group.members.get(position).map(|member| member.index)
        })
    }

    /// To be called when what `usable` says of a server has changed, so that it is taken into account at once.
    pub fn forget(&self) {
        for group in &self.groups {
            group.forget();
        }
    }
}

/// A group as one request sees it.
struct View<'a, U> {
    members: &'a [Member],
    tried: &'a [usize],
    usable: &'a U,
}

impl<U: Fn(usize) -> bool> Look for View<'_, U> {
    fn is_usable(&self, position: usize) -> bool {
        self.members.get(position).is_some_and(|member| (self.usable)(member.index))
    }

    fn was_tried(&self, position: usize) -> bool {
        !self.tried.is_empty()
            && self.members.get(position).is_some_and(|member| self.tried.contains(&member.index))
    }

    fn could_take(&self, position: usize) -> bool {
        self.members.get(position).is_some_and(|member| {
            (member.most == u32::MAX || member.load.running() < member.most) && (self.usable)(member.index)
        })
    }
}

#[cfg(test)]
mod tests;
