//! What a provider shall make true, and when it is called.
//!
//! The newest desire replaces whatever was wanted before; the provider is called until it confirms that one, and now
//! and then again while the addresses are held. Invariants: one call at a time; a call that confirms something else than
//! what is wanted by then counts for nothing; no call before its pause is over.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::outbox::pause;

/// Somebody who makes addresses reach this node, or no longer. The kernel's interface is one that the role sees to by
/// itself and at once; others are asked by way of a [`Reconciler`], because they take their time.
pub trait Provider {
    /// Makes the desire true, or says why not. It may find that nothing is to be done.
    fn provide(&self, desire: &Desire) -> impl Future<Output = Result<(), String>> + Send;
}

/// Where the addresses shall be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Desire {
    /// Here.
    pub own: bool,
    /// Which, with the length of their network.
    pub addresses: Vec<(IpAddr, u8)>,
}

impl Desire {
    /// `own` or `release`.
    #[must_use]
    pub fn word(&self) -> &'static str {
        if self.own { "own" } else { "release" }
    }
}

/// See the module.
#[derive(Debug)]
pub struct Reconciler {
    verify: Option<Duration>,
    wanted: Option<Desire>,
    confirmed: bool,
    /// What the call under way shall make true.
    calling: Option<Desire>,
    failures: u32,
    due: Option<Instant>,
    counts: Counts,
}

/// What has happened so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Calls that were confirmed.
    pub confirmed: u64,
    /// Calls that failed.
    pub failed: u64,
}

impl Reconciler {
    /// Nothing is wanted yet. `verify`: how often what was confirmed is asked for again while it is `own`.
    #[must_use]
    pub fn new(verify: Option<Duration>) -> Self {
        Self {
            verify,
            wanted: None,
            confirmed: false,
            calling: None,
            failures: 0,
            due: None,
            counts: Counts::default(),
        }
    }

    /// From now on this is wanted, and nothing that was wanted before.
    pub fn want(&mut self, desire: Desire, now: Instant) {
        if self.wanted.as_ref() != Some(&desire) {
            self.wanted = Some(desire);
            (self.confirmed, self.failures, self.due) = (false, 0, Some(now));
        }
    }

    /// Others may have undone what was confirmed.
    pub fn doubt(&mut self, now: Instant) {
        if self.wanted.is_some() {
            (self.confirmed, self.failures, self.due) = (false, 0, Some(now));
        }
    }

    /// What to call for now. [`Self::ended`] must follow.
    pub fn begin(&mut self, now: Instant) -> Option<Desire> {
        if self.calling.is_some() || self.due.is_none_or(|due| due > now) {
            return None;
        }
        self.due = None;
        self.calling.clone_from(&self.wanted);
        self.calling.clone()
    }

    /// The call has ended.
    pub fn ended(&mut self, confirmed: bool, now: Instant) {
        let Some(called) = self.calling.take() else { return };
        if confirmed {
            self.counts.confirmed += 1;
        } else {
            self.counts.failed += 1;
        }
        // Wanted anew since it began: that call is due already.
        if self.due.is_some() {
            return;
        }
        if confirmed {
            (self.confirmed, self.failures) = (true, 0);
            self.due = self.verify.filter(|_| called.own).map(|verify| now + verify);
        } else {
            self.confirmed = false;
            self.failures = self.failures.saturating_add(1);
            self.due = Some(now + pause(self.failures));
        }
    }

    /// When [`Self::begin`] has something to call for.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.due.filter(|_| self.calling.is_none())
    }

    /// What is wanted.
    #[must_use]
    pub fn wanted(&self) -> Option<&Desire> {
        self.wanted.as_ref()
    }

    /// It is so, as far as is known.
    #[must_use]
    pub fn is_confirmed(&self) -> bool {
        self.confirmed
    }

    /// See [`Counts`].
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }
}

#[cfg(test)]
mod tests;
