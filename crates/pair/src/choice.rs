//! Which of two connections to the other node is kept: both nodes call, and both must come to the same one.
//!
//! Pure. That of the process with the greater number wins; a process that was started anew always does, as the old one is gone.

/// Who has called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    Us,
    Them,
}

/// A connection whose other end knows the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) by: By,
    /// The number of the other process.
    pub(crate) other: u128,
}

impl Found {
    fn is_preferred(self, us: u128) -> bool {
        match self.by {
            By::Us => us > self.other,
            By::Them => self.other > us,
        }
    }
}

/// Whether a new connection takes the place of the one there is.
pub(crate) fn replaces(new: Found, current: Option<Found>, us: u128) -> bool {
    match current {
        None => true,
        Some(current) if current.other != new.other => true,
        Some(current) => new.is_preferred(us) || !current.is_preferred(us),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In which of the two connections node `us` ends up, when it learns of them in this order.
    fn kept(us: u128, other: u128, order: [By; 2]) -> By {
        let mut current = None;
        for by in order {
            let new = Found { by, other };
            if replaces(new, current, us) {
                current = Some(new);
            }
        }
        current.unwrap().by
    }

    #[test]
    fn both_nodes_keep_the_same_connection_in_whatever_order_they_learn_of_them() {
        for first in [[By::Us, By::Them], [By::Them, By::Us]] {
            for second in [[By::Us, By::Them], [By::Them, By::Us]] {
                assert_eq!(kept(9, 4, first), By::Us);
                assert_eq!(kept(4, 9, second), By::Them);
            }
        }
    }

    #[test]
    fn the_later_of_two_alike_is_the_one_that_lives() {
        for by in [By::Us, By::Them] {
            let one = Found { by, other: 4 };
            assert!(replaces(one, Some(one), 9));
        }
    }

    #[test]
    fn a_process_that_was_started_anew_is_heard_at_once() {
        let old = Found { by: By::Us, other: 4 };
        assert!(replaces(Found { by: By::Them, other: 5 }, Some(old), 9));
    }
}
