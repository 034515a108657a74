//! The order of one whole turn in which each server comes as often as its weight says, evenly spread.
//!
//! Round robin walks along it; the algorithms that draw by weight draw from it. It is worked out once for a plan, by
//! the rule of R. Tijdeman (*The chairman assignment problem*, Discrete Mathematics 32, 1980): of the servers that have
//! something to claim, the one whose claim falls due first is next. That costs (length) × log (servers) and keeps the
//! bound of invariant 2, which nginx's rule (the one that has gained most is next) does not.
//!
//! Invariants: 1. within one turn a server of weight w comes w / gcd times, as long as that is at most
//! [`LONGEST_TURN`] places, beyond which weights are rounded in proportion, none to 0; 2. after any number of places
//! each server has come less than one time more or less than its share.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::chance::Chance;

/// The most places of a turn (two bytes each): 1,024 servers of any weights need no rounding.
pub(super) const LONGEST_TURN: usize = 1 << 18;

/// A turn, and how far all workers together have come in it.
#[derive(Debug)]
pub(super) struct Turn {
    order: Box<[u16]>,
    servers: usize,
    next: AtomicUsize,
}

impl Turn {
    /// Works out the turn for servers of these weights, none of them 0.
    pub(super) fn new(weights: &[u16]) -> Self {
        Self { order: order(weights), servers: weights.len(), next: AtomicUsize::new(0) }
    }

    /// The server whose turn it is, among those that `may_take`; `None` when none may. Those that may not lose their
    /// places, so that the others share by weight and not by who comes after whom.
    pub(super) fn next(&self, mut may_take: impl FnMut(usize) -> bool) -> Option<usize> {
        if self.order.is_empty() {
            return None;
        }
        let start = self.next.fetch_add(1, Ordering::Relaxed);
        let mut place = start % self.order.len();
        // The servers that may take are few when none is met in so many places; then they are looked for one by one.
        for skipped in 0..self.order.len().min(2 * self.servers) {
            let server = usize::from(self.order[place]);
            if may_take(server) {
                if skipped > 0 {
                    self.next.fetch_add(skipped, Ordering::Relaxed);
                }
                return Some(server);
            }
            place = if place + 1 == self.order.len() { 0 } else { place + 1 };
        }
        from(start, self.servers).find(|&server| may_take(server))
    }

    /// The first of the next `places` servers that will do.
    pub(super) fn among_next(&self, places: usize, mut will_do: impl FnMut(usize) -> bool) -> Option<usize> {
        let start = self.next.fetch_add(1, Ordering::Relaxed);
        for skipped in 0..places {
            let place = start.wrapping_add(skipped).checked_rem(self.order.len())?;
            let server = usize::from(*self.order.get(place)?);
            if will_do(server) {
                if skipped > 0 {
                    self.next.fetch_add(skipped, Ordering::Relaxed);
                }
                return Some(server);
            }
        }
        None
    }

    /// A server drawn by weight.
    pub(super) fn draw(&self, chance: &Chance) -> Option<usize> {
        self.order.get(chance.below(self.order.len())).map(|&server| usize::from(server))
    }

    /// Goes on where `other` stood, so that a changed pool does not start again with its first server.
    pub(super) fn continue_from(&self, other: &Self) {
        self.next.store(other.next.load(Ordering::Relaxed), Ordering::Relaxed);
    }
}

/// All of so many servers, beginning somewhere.
pub(super) fn from(start: usize, servers: usize) -> impl Iterator<Item = usize> {
    let start = start.checked_rem(servers).unwrap_or(0);
    (start..servers).chain(0..start)
}

fn order(weights: &[u16]) -> Box<[u16]> {
    let shares = shares(weights);
    let total: u64 = shares.iter().sum();
    // Twice the others: the bound of the rule is 1 − 1/others2.
    let others2 = 2 * (shares.len() as u64).saturating_sub(1).max(1);
    // The step from which the server claims its place number `had` + 1, and the order in which claims fall due: both
    // are exact, for different ratios of numbers up to 256 differ by more than 2⁻¹⁶.
    let release = |share: u64, had: u64| (total * (had * others2 + 1)).div_ceil(share * others2);
    let due = |share: u64, had: u64| ((had * others2 + others2 - 1) << 16) / share;
    let mut waiting: BinaryHeap<_> = shares
        .iter()
        .enumerate()
        .map(|(server, &share)| Reverse((release(share, 0), server, 0_u64)))
        .collect();
    let mut claiming = BinaryHeap::new();
    let mut order = Vec::with_capacity(usize::try_from(total).unwrap_or(0));
    for step in 1..=total {
        while let Some(&Reverse((at, server, had))) = waiting.peek() {
            if at > step && !claiming.is_empty() {
                break;
            }
            waiting.pop();
            claiming.push(Reverse((due(shares[server], had), server, had)));
        }
        let Some(Reverse((_, server, had))) = claiming.pop() else { break };
        order.push(u16::try_from(server).unwrap_or(u16::MAX));
        let had = had + 1;
        if had < shares[server] {
            waiting.push(Reverse((release(shares[server], had), server, had)));
        }
    }
    order.into()
}

/// How often each server comes in one turn.
fn shares(weights: &[u16]) -> Vec<u64> {
    let divisor = weights.iter().fold(0, |divisor, &weight| gcd(divisor, weight)).max(1);
    let shares: Vec<u64> = weights.iter().map(|&weight| u64::from(weight / divisor)).collect();
    let (total, most) = (shares.iter().sum::<u64>(), LONGEST_TURN as u64);
    if total <= most {
        return shares;
    }
    shares.into_iter().map(|share| ((share * most + total / 2) / total).max(1)).collect()
}

fn gcd(a: u16, b: u16) -> u16 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn equal_servers_come_in_file_order() {
        assert_eq!(&*order(&[1, 1, 1]), [0, 1, 2]);
        assert_eq!(&*order(&[256, 256]), [0, 1]);
        assert_eq!(&*order(&[7]), [0]);
        assert_eq!(&*order(&[]), [0_u16; 0]);
    }

    #[test]
    fn a_heavy_server_is_interleaved() {
        // By hand, with three servers: a claim is due while share − had ≥ 1/4, and ends when it would pass 3/4. Step 1:
        // a has 5/7, the others 1/7, so a. Step 2: a 3/7, b and c 2/7, all claim; a's passes 3/4 first. Step 3: a 1/7 and
        // does not claim, so b. Step 4: a 6/7, over 3/4 already. Step 5: a 4/7, c 5/7; both pass at 5.25, a is first in
        // the file. Step 6: c, for a has 2/7 and time. Step 7: a.
        assert_eq!(&*order(&[5, 1, 1]), [0, 0, 1, 0, 0, 2, 0]);
    }

    #[test]
    fn places_of_one_that_may_not_take_are_shared_by_the_others() {
        let turn = Turn::new(&[1, 1, 1]);
        let mut count = [0; 3];
        for _ in 0..100 {
            count[turn.next(|server| server != 1).unwrap()] += 1;
        }
        assert_eq!(count, [50, 0, 50]);
        assert_eq!(turn.next(|_| false), None);
    }

    #[test]
    fn the_only_one_that_may_take_is_found_however_rarely_it_comes() {
        let mut weights = vec![256; 500];
        weights.push(1);
        let turn = Turn::new(&weights);
        assert!((0..100).all(|_| turn.next(|server| server == 500) == Some(500)));
    }

    #[test]
    fn the_largest_pool_has_a_bounded_turn_and_keeps_its_shares() {
        // 4096 servers, odd weights 255, 253, … 1, 255, …: a sum of 524,288, rounded to half of it.
        let weights: Vec<u16> = (0..4096_u16).map(|server| 255 - 2 * (server % 128)).collect();
        let order = order(&weights);
        assert!(order.len() <= LONGEST_TURN + 4096, "{}", order.len());
        let mut count = vec![0_usize; 4096];
        for &server in &order {
            count[usize::from(server)] += 1;
        }
        for (server, &count) in count.iter().enumerate() {
            assert!(count.abs_diff(usize::from(weights[server]).div_ceil(2)) <= 1, "{server}: {count}");
        }
    }

    proptest! {
        #[test]
        fn after_any_number_of_places_each_has_its_share_within_one(
            weights in prop::collection::vec(1_u16..=256, 1..12),
        ) {
            let order = order(&weights);
            let divisor = weights.iter().fold(0, |divisor, &weight| gcd(divisor, weight));
            let total: i64 = weights.iter().map(|&weight| i64::from(weight / divisor)).sum();
            prop_assert_eq!(order.len() as i64, total);
            let mut had = vec![0_i64; weights.len()];
            for (step, &server) in (1..).zip(&order) {
                had[usize::from(server)] += 1;
                for (had, weight) in had.iter().zip(&weights) {
                    let behind = step * i64::from(weight / divisor) - had * total;
                    prop_assert!(behind.abs() < total, "step {}", step);
                }
            }
        }
    }
}
