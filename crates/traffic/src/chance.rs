//! Chance that can be replayed: a random generator that is seeded once.
//!
//! SplitMix64 (Steele, Lea, Flood: *Fast Splittable Pseudorandom Number Generators*, 2014): one addition and three
//! multiplications a number, no state but a counter. Invariant: the same seed gives the same numbers. Never for
//! secrets: who sees a few numbers knows all that follow.

use std::sync::atomic::{AtomicU64, Ordering};

/// The odd number nearest to 2⁶⁴ divided by the golden ratio: steps that visit every number once.
pub(crate) const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// A random generator for one worker. It may be shared, so that a worker's state can be: two that draw at the same
/// moment may get the same number, and nothing worse.
#[derive(Debug)]
pub struct Chance(AtomicU64);

impl Chance {
    /// A generator that gives the numbers of this seed.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    /// The next number.
    pub fn number(&self) -> u64 {
        // No read-modify-write: there is only one writer.
        let state = self.0.load(Ordering::Relaxed).wrapping_add(GOLDEN);
        self.0.store(state, Ordering::Relaxed);
        mix(state)
    }

    /// The next number below `bound`; 0 when that is 0. Off from even by at most `bound` / 2⁶⁴.
    pub fn below(&self, bound: usize) -> usize {
        let scaled = (u128::from(self.number()) * bound as u128) >> 64;
        usize::try_from(scaled).unwrap_or(0)
    }
}

/// Spreads every bit of the number over all bits of the result; no two numbers have one result.
pub(crate) fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_published_numbers() {
        // The first numbers of the reference implementation for seed 1234567.
        let chance = Chance::seeded(1_234_567);
        assert_eq!(chance.number(), 6_457_827_717_110_365_317);
        assert_eq!(chance.number(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn numbers_below_a_bound_are_even_and_within() {
        let chance = Chance::seeded(7);
        let mut count = [0_u32; 3];
        for _ in 0..30_000 {
            count[chance.below(3)] += 1;
        }
        // Standard deviation 82; five of them.
        assert!(count.iter().all(|count| count.abs_diff(10_000) < 410), "{count:?}");
        assert_eq!(chance.below(0), 0);
    }
}
