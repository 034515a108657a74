//! What a watching thread has seen, and a way to wait for more.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The most entries kept; a test that makes more sees the first ones and fails when it waits for another.
const MOST: usize = 100_000;

/// Entries in the order of their arrival.
pub(super) struct Log<T> {
    entries: Mutex<Vec<T>>,
    changed: Condvar,
}

impl<T> Default for Log<T> {
    fn default() -> Self {
        Self { entries: Mutex::default(), changed: Condvar::new() }
    }
}

impl<T: Clone> Log<T> {
    pub(super) fn push(&self, entry: T) {
        let mut entries = self.entries();
        if entries.len() < MOST {
            entries.push(entry);
        }
        self.changed.notify_all();
    }

    pub(super) fn all(&self) -> Vec<T> {
        self.entries().clone()
    }

    /// The first entry from index `seen` on that fits, and the index after it; none when `bound` passes before.
    pub(super) fn wait_after(
        &self,
        seen: usize,
        fits: impl Fn(&T) -> bool,
        bound: Duration,
    ) -> Option<(usize, T)> {
        let deadline = Instant::now() + bound;
        let mut entries = self.entries();
        let mut next = seen;
        loop {
            while let Some(entry) = entries.get(next) {
                next += 1;
                if fits(entry) {
                    return Some((next, entry.clone()));
                }
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            entries = self.changed.wait_timeout(entries, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn entries(&self) -> MutexGuard<'_, Vec<T>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
