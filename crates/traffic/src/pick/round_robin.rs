//! Round robin: in turn, smoothly interleaved by weight.
//!
//! The order of one whole turn is worked out beforehand, by the rule that nginx made the customary one: in each step
//! every server gains its weight, the one that has gained most is chosen and gives back the sum of all weights. With
//! weights 5, 1, 1 that gives a a b a c a a, never five of a in a row. A pick then costs one shared counter, whatever
//! the number of servers, and all workers walk through the same order.
//!
//! Invariant: within one turn a server of weight w is chosen exactly w / gcd times.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::Weight;

/// The state of one pool's round robin; shared by all workers.
#[derive(Debug)]
pub struct RoundRobin {
    turn: Box<[u16]>,
    next: AtomicUsize,
}

impl RoundRobin {
    /// Works out the turn for servers with these weights, in this order. Costs (number of servers) × (sum of
    /// weights / their greatest common divisor) steps, at most some 250 million for 1,000 servers of odd weights.
    #[must_use]
    pub fn new(weights: &[Weight]) -> Self {
        Self { turn: one_turn(weights), next: AtomicUsize::new(0) }
    }

    /// The index of the server whose turn it is, among those that `may_take`; `None` when none may.
    pub fn pick(&self, mut may_take: impl FnMut(usize) -> bool) -> Option<usize> {
        if self.turn.is_empty() {
            return None;
        }
        let start = self.next.fetch_add(1, Ordering::Relaxed) % self.turn.len();
        let (before, from) = self.turn.split_at(start);
        from.iter().chain(before).map(|&index| usize::from(index)).find(|&index| may_take(index))
    }

    /// Goes on where `other` stood, so that a changed pool does not start again with its first server.
    pub fn continue_from(&self, other: &Self) {
        self.next.store(other.next.load(Ordering::Relaxed), Ordering::Relaxed);
    }
}

fn one_turn(weights: &[Weight]) -> Box<[u16]> {
    let divisor = weights.iter().fold(0, |divisor, weight| gcd(divisor, weight.value()));
    if divisor == 0 {
        return Box::default();
    }
    let gains: Vec<i32> = weights.iter().map(|weight| i32::from(weight.value() / divisor)).collect();
    let total: i32 = gains.iter().sum();
    let mut gained = vec![0_i32; gains.len()];
    (0..total)
        .map(|_| {
            for (have, gain) in gained.iter_mut().zip(&gains) {
                *have += gain;
            }
            // The first of equals, so that servers of one weight follow in file order.
            let mut best = 0;
            for (index, have) in gained.iter().enumerate() {
                if *have > gained[best] {
                    best = index;
                }
            }
            gained[best] -= total;
            u16::try_from(best).unwrap_or(u16::MAX)
        })
        .collect()
}

fn gcd(a: u16, b: u16) -> u16 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn weights(values: &[u16]) -> Vec<Weight> {
        values.iter().map(|&value| Weight::try_from(value).unwrap()).collect()
    }

    fn picks(values: &[u16], count: usize) -> Vec<usize> {
        let robin = RoundRobin::new(&weights(values));
        (0..count).map(|_| robin.pick(|_| true).unwrap()).collect()
    }

    #[test]
    fn equal_servers_take_turns_in_file_order() {
        assert_eq!(picks(&[1, 1, 1], 6), [0, 1, 2, 0, 1, 2]);
        assert_eq!(picks(&[256, 256], 4), [0, 1, 0, 1]);
    }

    #[test]
    fn a_heavy_server_is_interleaved() {
        // Worked out by hand with the rule above, and the sequence that nginx documents for these weights.
        assert_eq!(picks(&[5, 1, 1], 7), [0, 0, 1, 0, 2, 0, 0]);
    }

    #[test]
    fn weight_zero_takes_nothing() {
        assert_eq!(picks(&[0, 3, 0], 3), [1, 1, 1]);
        assert_eq!(RoundRobin::new(&weights(&[0, 0])).pick(|_| true), None);
        assert_eq!(RoundRobin::new(&[]).pick(|_| true), None);
    }

    #[test]
    fn a_server_that_may_not_take_is_passed_over() {
        let robin = RoundRobin::new(&weights(&[1, 1, 1]));
        assert_eq!(robin.pick(|index| index != 0), Some(1));
        assert_eq!(robin.pick(|index| index == 0), Some(0));
        assert_eq!(robin.pick(|_| false), None);
    }

    #[test]
    fn a_changed_pool_goes_on_where_the_old_one_stood() {
        let old = RoundRobin::new(&weights(&[1, 1]));
        old.pick(|_| true);
        let new = RoundRobin::new(&weights(&[1, 1]));
        new.continue_from(&old);
        assert_eq!(new.pick(|_| true), Some(1));
    }

    proptest! {
        #[test]
        fn every_turn_gives_each_server_exactly_its_weight(values in prop::collection::vec(0_u16..=256, 1..12)) {
            let total: usize = values.iter().map(|&v| usize::from(v)).sum();
            prop_assume!(total > 0);
            let mut count = vec![0_usize; values.len()];
            for index in picks(&values, total * 2) {
                count[index] += 1;
            }
            let expected: Vec<usize> = values.iter().map(|&v| usize::from(v) * 2).collect();
            prop_assert_eq!(count, expected);
        }
    }
}
