//! Servers of one priority, among which one algorithm chooses.

use std::sync::Arc;
use std::time::Duration;

use super::first::First;
use super::hash::Hash;
use super::least_connections::LeastConnections;
use super::turn::Turn;
use super::{Balance, Server, peak_ewma, random_two, round_robin};
use crate::chance::Chance;
use crate::load::Load;

/// What algorithms may ask about the servers of a group, by their position in it.
pub(super) trait Look {
    /// It is usable, whatever runs on it.
    fn is_usable(&self, position: usize) -> bool;
    /// This request has tried it already.
    fn was_tried(&self, position: usize) -> bool;
    /// It is usable and has room.
    fn could_take(&self, position: usize) -> bool;
    /// It could take and was not tried.
    fn may_take(&self, position: usize) -> bool {
        !self.was_tried(position) && self.could_take(position)
    }
}

/// A server within its group.
#[derive(Debug)]
pub(super) struct Member {
    /// Its index in the pool.
    pub(super) index: usize,
    /// Never 0.
    pub(super) weight: u16,
    /// Running at once.
    pub(super) most: u32,
    pub(super) load: Arc<Load>,
}

#[derive(Debug)]
pub(super) struct Group {
    pub(super) members: Box<[Member]>,
    turn: Turn,
    algorithm: Algorithm,
}

#[derive(Debug)]
enum Algorithm {
    RoundRobin,
    LeastConnections(LeastConnections),
    Hash(Hash),
    RandomTwo,
    PeakEwma,
    First(First),
}

impl Group {
    pub(super) fn new(balance: &Balance, servers: &[Server], indices: &[usize]) -> Self {
        let servers = || indices.iter().filter_map(|&index| Some((index, servers.get(index)?)));
        let members: Box<[Member]> = servers()
            .map(|(index, server)| Member {
                index,
                weight: server.weight.value(),
                most: server.max_connections.map_or(u32::MAX, u32::from),
                load: server.load.clone(),
            })
            .collect();
        let weights: Vec<u16> = members.iter().map(|member| member.weight).collect();
        let algorithm = match balance {
            Balance::RoundRobin => Algorithm::RoundRobin,
            Balance::LeastConnections => Algorithm::LeastConnections(LeastConnections::new(&members)),
            Balance::Hash { bounded_load, .. } => {
                let names = servers().map(|(_, server)| (&server.name, server.weight.value()));
                Algorithm::Hash(Hash::new(names, *bounded_load))
            }
            Balance::RandomTwo => Algorithm::RandomTwo,
            Balance::PeakEwma => Algorithm::PeakEwma,
            Balance::First => Algorithm::First(First::new(&members)),
        };
        Self { members, turn: Turn::new(&weights), algorithm }
    }

    pub(super) fn attach(&self) {
        match &self.algorithm {
            Algorithm::LeastConnections(state) => state.attach(&self.members),
            Algorithm::First(state) => state.attach(&self.members),
            Algorithm::RoundRobin | Algorithm::Hash(_) | Algorithm::RandomTwo | Algorithm::PeakEwma => {
                for member in &self.members {
                    member.load.report_to(None);
                }
            }
        }
    }

    /// The position of the server that takes.
    pub(super) fn pick(
        &self,
        key: Option<u64>,
        now: Duration,
        look: &impl Look,
        chance: &Chance,
    ) -> Option<usize> {
        match (&self.algorithm, key) {
            (Algorithm::RoundRobin, _) | (Algorithm::Hash(_), None) => round_robin::pick(&self.turn, look),
            (Algorithm::Hash(hash), Some(key)) => hash.pick(key, &self.members, look),
            (Algorithm::LeastConnections(state), _) => state.pick(&self.turn, &self.members, look),
            (Algorithm::RandomTwo, _) => random_two::pick(&self.turn, &self.members, look, chance),
            (Algorithm::PeakEwma, _) => peak_ewma::pick(&self.turn, &self.members, look, chance, now),
            (Algorithm::First(state), _) => state.pick(look),
        }
    }

    pub(super) fn continue_from(&self, other: &Self) {
        self.turn.continue_from(&other.turn);
    }

    pub(super) fn forget(&self) {
        match &self.algorithm {
            Algorithm::LeastConnections(state) => state.forget(),
            Algorithm::First(state) => state.forget(),
            Algorithm::Hash(hash) => hash.forget(),
            Algorithm::RoundRobin | Algorithm::RandomTwo | Algorithm::PeakEwma => {}
        }
    }
}
