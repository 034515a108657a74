//! Consistent hash: a key always reaches the same server, and a server that leaves moves only its own keys.
//!
//! There is a table of [`SLOTS`] slots; a key's hash names its slot, and each slot has a server. Who has it is a race
//! (weighted rendezvous): every server throws darts at the slots, at random times and places that follow from its name
//! alone, as often as its weight says; a slot belongs to the server whose dart came first. A server that leaves takes
//! its darts along, and in its slots the second becomes first; no other slot changes. When it returns, its darts are
//! the same. A server that merely may not take keeps its slots; its keys go on to a second slot, a third and so on, each
//! named by the key alone.
//!
//! Invariants: 1. the table follows from names and weights alone, not from their order, addresses, the machine or the
//! version of the program: all arithmetic is exact in IEEE 754; 2. a key whose server may take never moves, whatever
//! happens to others; 3. with a bound, no server has more than its share of what runs, times the factor, rounded up,
//! while another that may take is below that.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use xxhash_rust::xxh3::xxh3_64;

use super::group::{Look, Member};
use super::turn::from;
use crate::chance::{Chance, GOLDEN, mix};
use crate::name::Name;

/// The number of slots. With n servers a share is off by about √(n / slots) of itself: 0.7 % with 3, 4 % with 100.
pub(super) const SLOTS: usize = 1 << 16;
/// Slots that a key tries before servers are looked at one by one.
const PROBES: u64 = 64;
/// After so many picks the weight of the servers that may take is summed anew.
const PICKS_TRUSTED: usize = 256;

/// The state of one group; shared by all workers.
#[derive(Debug)]
pub(super) struct Hash {
    slots: Box<[u16]>,
    bound: Option<Bound>,
}

/// See `bounded-load`.
#[derive(Debug)]
struct Bound {
    percent: u64,
    /// The sum of the weights that may take; 0 when it is not known.
    weight: AtomicU64,
    picks: AtomicUsize,
}

impl Hash {
    pub(super) fn new<'a>(servers: impl Iterator<Item = (&'a Name, u16)>, percent: Option<u16>) -> Self {
        let bound = percent.map(|percent| Bound {
            percent: percent.into(),
            weight: AtomicU64::new(0),
            picks: AtomicUsize::new(0),
        });
        Self { slots: race(servers), bound }
    }

    pub(super) fn pick(&self, key: u64, members: &[Member], look: &impl Look) -> Option<usize> {
        let may_take = |position: usize| look.may_take(position);
        let Some(bound) = &self.bound else { return self.walk(key, members.len(), may_take) };
        let weight = bound.weight(members, look);
        let running = members.first().map_or(0, |member| member.load.pool().running());
        let below = |position: usize| {
            members.get(position).is_some_and(|member| {
                // Its share, times the factor, rounded up; at least 1.
                let most = (bound.percent * (running + 1) * u64::from(member.weight)).div_ceil(100 * weight);
                u64::from(member.load.running()) < most && look.may_take(position)
            })
        };
        self.walk(key, members.len(), below).or_else(|| self.walk(key, members.len(), may_take))
    }

    /// The first that may take of the servers of the key's slots.
    fn walk(&self, key: u64, members: usize, may_take: impl Fn(usize) -> bool) -> Option<usize> {
        let slot = |probe: u64| if probe == 0 { key } else { mix(key ^ GOLDEN.wrapping_mul(probe)) };
        let server = |probe| {
            let slot = usize::try_from(slot(probe) % SLOTS as u64).unwrap_or(0);
            self.slots.get(slot).map(|&server| usize::from(server))
        };
        let found = (0..PROBES).filter_map(server).find(|&position| may_take(position));
        found.or_else(|| {
            let start = usize::try_from(key % (members as u64).max(1)).unwrap_or(0);
            from(start, members).find(|&position| may_take(position))
        })
    }

    pub(super) fn forget(&self) {
        if let Some(bound) = &self.bound {
            bound.weight.store(0, Ordering::Relaxed);
        }
    }
}

impl Bound {
    fn weight(&self, members: &[Member], look: &impl Look) -> u64 {
        let known = self.weight.load(Ordering::Relaxed);
        let again = self.picks.fetch_add(1, Ordering::Relaxed).is_multiple_of(PICKS_TRUSTED);
        if known > 0 && !again {
            return known;
        }
        let usable = members.iter().enumerate().filter(|(position, _)| look.is_usable(*position));
        let sum = usable.map(|(_, member)| u64::from(member.weight)).sum::<u64>().max(1);
        self.weight.store(sum, Ordering::Relaxed);
        sum
    }
}

/// One server's darts.
struct Thrower {
    dice: Chance,
    position: u16,
    /// Mean time between two darts; the unit of time is that in which weight 1 throws one at each slot.
    pause: f64,
    next: f64,
}

/// Whose dart came first, for each slot. About slots × ln slots darts are thrown, by however many servers.
fn race<'a>(servers: impl Iterator<Item = (&'a Name, u16)>) -> Box<[u16]> {
    let mut throwers: Vec<(&Name, Thrower)> = Vec::new();
    let mut weights = 0_u32;
    for (position, (name, weight)) in servers.enumerate() {
        let dice = Chance::seeded(xxh3_64(name.as_str().as_bytes()));
        let pause = 1.0 / (SLOTS as f64 * f64::from(weight.max(1)));
        let next = pause * exponential(&dice);
        let position = u16::try_from(position).unwrap_or(u16::MAX);
        throwers.push((name, Thrower { dice, position, pause, next }));
        weights += u32::from(weight.max(1));
    }
    if throwers.is_empty() {
        return Box::default();
    }
    // Of two darts at one time, which chance all but rules out, the first name's counts.
    throwers.sort_by_key(|(name, _)| *name);
    let mut slots = vec![(f64::INFINITY, 0_u16); SLOTS];
    let mut empty = SLOTS;
    // In rounds, for nobody knows when the last slot is hit; later darts change nothing in the slots that are.
    let round = 4.0 / f64::from(weights);
    let mut until = 2.0 * round;
    while empty > 0 {
        for (_, thrower) in &mut throwers {
            while thrower.next < until {
                let slot = &mut slots[thrower.dice.below(SLOTS)];
                empty -= usize::from(slot.0.is_infinite());
                if thrower.next < slot.0 {
                    *slot = (thrower.next, thrower.position);
                }
                thrower.next += thrower.pause * exponential(&thrower.dice);
            }
        }
        until += round;
    }
    slots.into_iter().map(|(_, server)| server).collect()
}

/// A number with mean 1 from the exponential distribution: −ln u, with u from 2⁻⁵³ to 1.
///
/// Libraries differ in the last bit of a logarithm, so this one is made of operations that IEEE 754 defines exactly:
/// u is m × 2ᵉ with m from 1 to 2, and ln m = 2 artanh s with s = (m − 1) / (m + 1), at most 1/3.
fn exponential(dice: &Chance) -> f64 {
    let number = (dice.number() >> 11) + 1;
    let exponent = number.ilog2();
    let m = number as f64 / (1_u64 << exponent) as f64;
    let s = (m - 1.0) / (m + 1.0);
    let square = s * s;
    let series = [17.0, 15.0, 13.0, 11.0, 9.0, 7.0, 5.0, 3.0, 1.0];
    let artanh = s * series.into_iter().fold(0.0, |sum, odd| sum * square + 1.0 / odd);
    f64::from(53 - exponent) * std::f64::consts::LN_2 - 2.0 * artanh
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_logarithm_is_one() {
        for seed in 0..10_000 {
            let u = ((Chance::seeded(seed).number() >> 11) + 1) as f64 / (1_u64 << 53) as f64;
            let wanted = -u.ln();
            assert!((exponential(&Chance::seeded(seed)) - wanted).abs() <= 1e-9, "{u}");
        }
    }

    #[test]
    fn the_order_of_servers_does_not_matter() {
        let names: Vec<Name> = ["a", "b", "c"].map(|name| name.parse().unwrap()).into();
        let forth = race(names.iter().map(|name| (name, 1)));
        let back = race(names.iter().rev().map(|name| (name, 1)));
        assert!(forth.iter().zip(&back).all(|(&forth, &back)| forth == 2 - back));
    }
}
