//! How many connections of a thread keep what serves requests while they wait for the next one.
//!
//! Keeping it spares those whose requests follow each other closely some work for each. It is several times what waiting
//! needs, so without a bound one request on each of many connections would take that memory for all of them at once.

use std::cell::Cell;

/// Connections of a thread that keep it; at most so many sets of [`super::heads`] are kept for reuse too.
pub(super) const MOST: usize = 512;

thread_local! {
    static TAKEN: Cell<usize> = const { Cell::new(0) };
}

/// One of them, until it is dropped.
#[derive(Debug)]
pub(super) struct Place(());

impl Place {
    /// Takes a place, if one is free.
    pub(super) fn take() -> Option<Self> {
        let taken = TAKEN.get();
        (taken < MOST).then(|| {
            TAKEN.set(taken + 1);
            Self(())
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        TAKEN.set(TAKEN.get().saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_that_is_given_back_can_be_taken_again() {
        let mut places: Vec<Place> = std::iter::from_fn(Place::take).collect();
        assert_eq!(places.len(), MOST);
        places.pop();
        assert!(Place::take().is_some());
        assert!(Place::take().is_some_and(|_held| Place::take().is_none()));
    }
}
