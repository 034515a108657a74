//! Finds the smallest of many keys that change all the time, without a lock and without looking at all of them.
//!
//! Positions come in blocks of [`BLOCK`]. For each block a hint says below which key nothing in it lies. A look goes to
//! the block with the smallest hint, reads its keys, and raises the hint to what it found; it ends when no hint is
//! below the best key so far. A key that falls lowers its block's hint ([`Place::fell`]). Each rise was paid for by
//! a key that rose, so that on average two blocks are read, however many there are.
//!
//! Invariant: a hint is never above the smallest key of its block, but for the moment between the fall of a key and
//! its report. The hint carries a stamp that every report counts up, so that no look can raise it past a key that fell
//! while the look was reading. What may take again without its key having fallen is told by [`Minima::forget`].

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Keys read at once: near the square root of 1,000, where reading hints and reading a block cost the same.
const BLOCK: usize = 32;
/// The bits of a key within a hint; the others are the stamp.
const KEY_BITS: u32 = 40;
/// What cannot be taken, and the largest key.
pub(super) const NEVER: u64 = (1 << KEY_BITS) - 1;
/// All hints are forgotten after so many looks, should somebody not have told of a change.
const LOOKS_TRUSTED: usize = 1024;

/// The hints of a group of servers. Workers share them.
#[derive(Debug)]
pub(super) struct Minima {
    hints: Box<[AtomicU64]>,
    positions: usize,
    /// Where the next look begins, so that equals take turns.
    cursor: AtomicUsize,
    looks: AtomicUsize,
}

impl Minima {
    pub(super) fn new(positions: usize) -> Self {
        Self {
            hints: (0..positions.div_ceil(BLOCK)).map(|_| AtomicU64::new(0)).collect(),
            positions,
            cursor: AtomicUsize::new(0),
            looks: AtomicUsize::new(0),
        }
    }

    /// The position of the smallest key below [`NEVER`] that is not `excluded`. Of equals the one that follows the
    /// last found is taken, or the first if not `in_turn`.
    pub(super) fn find(
        &self,
        in_turn: bool,
        key: impl Fn(usize) -> u64,
        excluded: impl Fn(usize) -> bool,
    ) -> Option<usize> {
        if self.looks.fetch_add(1, Ordering::Relaxed) % LOOKS_TRUSTED == LOOKS_TRUSTED - 1 {
            self.forget();
        }
        let start =
            if in_turn { self.cursor.load(Ordering::Relaxed).checked_rem(self.positions)? } else { 0 };
        let mut best = (NEVER, 0);
        let mut read = Read::default();
        while let Some((block, hint)) = self.lowest(start / BLOCK, &read) {
            if hint & NEVER >= best.0 {
                break;
            }
            read.add(block);
            let (first, end) = (block * BLOCK, self.positions.min((block + 1) * BLOCK));
            let middle = start.clamp(first, end);
            let mut smallest = NEVER;
            for position in (middle..end).chain(first..middle) {
                let key = key(position);
                smallest = smallest.min(key);
                if key < best.0 && !excluded(position) {
                    best = (key, position);
                    if key <= hint & NEVER {
                        // Nothing in this block is smaller, and no other block has a smaller hint.
                        break;
                    }
                }
            }
            if best.0 <= hint & NEVER {
                break;
            }
            if smallest > hint & NEVER {
                let raised = hint & !NEVER | smallest;
                // Whoever came first knows better.
                let _raised =
                    self.hints[block].compare_exchange(hint, raised, Ordering::AcqRel, Ordering::Relaxed);
            }
        }
        let (key, position) = best;
        if key == NEVER {
            return None;
        }
        if in_turn {
            // What lies before the start in its own block was reached by going round in it; the next block follows.
            let around = position < start && position / BLOCK == start / BLOCK;
            let next = if around { (start / BLOCK + 1) * BLOCK } else { position + 1 };
            self.cursor.store(next, Ordering::Relaxed);
        }
        Some(position)
    }

    /// The unread block with the smallest hint, beginning with `start`.
    fn lowest(&self, start: usize, read: &Read) -> Option<(usize, u64)> {
        let mut lowest: Option<(usize, u64)> = None;
        let blocks = self.hints.len();
        for block in (start..blocks).chain(0..start.min(blocks)) {
            let hint = self.hints[block].load(Ordering::Acquire);
            if !read.has(block) && lowest.is_none_or(|(_, low)| hint & NEVER < low & NEVER) {
                lowest = Some((block, hint));
            }
        }
        lowest
    }

    /// Something may be smaller than the hints say.
    pub(super) fn forget(&self) {
        for hint in &self.hints {
            lower(hint, 0);
        }
    }
}

/// The blocks that a look has read: as many bits as a pool of 65,536 servers has blocks.
#[derive(Default)]
struct Read([u64; 32]);

impl Read {
    fn add(&mut self, block: usize) {
        if let Some(word) = self.0.get_mut(block / 64) {
            *word |= 1 << (block % 64);
        }
    }

    /// What lies beyond counts as read, so that every look ends.
    fn has(&self, block: usize) -> bool {
        self.0.get(block / 64).is_none_or(|word| word & (1 << (block % 64)) != 0)
    }
}

fn lower(hint: &AtomicU64, key: u64) {
    let lowered = |old: u64| {
        let stamp = (old >> KEY_BITS).wrapping_add(1) << KEY_BITS;
        Some(stamp | (old & NEVER).min(key))
    };
    // It always lowers; there is nothing to do about a result that is never an error.
    let _lowered = hint.fetch_update(Ordering::AcqRel, Ordering::Relaxed, lowered);
}

/// Where the key of one server is looked for.
#[derive(Debug)]
pub(crate) struct Place {
    minima: Arc<Minima>,
    position: usize,
    key: fn(position: usize, weight: u16, running: u32) -> u64,
    weight: u16,
}

impl Place {
    pub(super) fn new(
        minima: Arc<Minima>,
        position: usize,
        weight: u16,
        key: fn(usize, u16, u32) -> u64,
    ) -> Self {
        Self { minima, position, key, weight }
    }

    /// The server has `running` left.
    pub(crate) fn fell(&self, running: u32) {
        if let Some(hint) = self.minima.hints.get(self.position / BLOCK) {
            lower(hint, (self.key)(self.position, self.weight, running));
        }
    }
}
