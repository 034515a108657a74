//! Who waits for a place at the servers of a pool, and in which order they get one.
//!
//! A waiter joins at the end and is *waiting*. When a place may be free the first of those is *called* and tries to take
//! one; when there was none after all it is waiting again, at the place in line that it always had. Who has a place, or no
//! patience left, leaves.
//!
//! Invariants: tickets are called in the order in which they were given; at most [`Settings::size`] are in line when one
//! joins; a ticket is in line exactly from its `join` to its `leave`; nobody joins past others as called. It knows no
//! clock and wakes nobody: what belongs to a waiter is the caller's.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The longest queue that may be asked for: each waiter holds a connection, and its request.
pub const LONGEST_QUEUE: u32 = 100_000;

/// What `queue` of a pool says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// How many may wait at once, at most [`LONGEST_QUEUE`]; 0 lets nobody wait.
    pub size: u32,
    /// How long each may wait, all its waits together.
    pub timeout: Duration,
}

impl Settings {
    /// What is left of the patience of one who has waited so long before.
    #[must_use]
    pub fn patience(&self, waited: Duration) -> Duration {
        self.timeout.saturating_sub(waited)
    }
}

/// A place in line; the smaller came first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(u64);

/// As many wait as may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// Where a ticket stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It waits until it is called.
    Waiting,
    /// It may try to take a place.
    Called,
    /// It is not in line.
    Gone,
}

/// The line of one pool. With each ticket goes a `T`, such as how its owner is woken.
#[derive(Clone, Debug)]
pub struct Queue<T> {
    next: u64,
    waiting: BTreeMap<Ticket, T>,
    called: BTreeMap<Ticket, T>,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { next: 0, waiting: BTreeMap::new(), called: BTreeMap::new() }
    }
}

impl<T> Queue<T> {
    /// How many are in line, called ones included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.len() + self.called.len()
    }

    /// Nobody is in line.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.called.is_empty()
    }

    /// Joins at the end of the line. The first in an empty line is called at once.
    ///
    /// # Errors
    /// When `size` or more are in line.
    pub fn join(&mut self, size: u32, waiter: T) -> Result<Ticket, Full> {
        if self.len() >= usize::try_from(size).unwrap_or(usize::MAX) {
            return Err(Full);
        }
        let ticket = Ticket(self.next);
        let line = if self.is_empty() { &mut self.called } else { &mut self.waiting };
        line.insert(ticket, waiter);
        self.next = self.next.wrapping_add(1);
        Ok(ticket)
    }

    /// Calls the first that waits.
    pub fn call(&mut self) -> Option<&mut T> {
        let (ticket, waiter) = self.waiting.pop_first()?;
        Some(self.called.entry(ticket).or_insert(waiter))
    }

    /// Calls the first that waits behind `ticket`, which cannot use the place that it was called for.
    pub fn call_behind(&mut self, ticket: Ticket) -> Option<&mut T> {
        let behind = *self.waiting.range(Ticket(ticket.0.saturating_add(1))..).next()?.0;
        self.call_one(behind)
    }

    /// Calls this one, if it waits.
    pub fn call_one(&mut self, ticket: Ticket) -> Option<&mut T> {
        let waiter = self.waiting.remove(&ticket)?;
        Some(self.called.entry(ticket).or_insert(waiter))
    }

    /// Calls everybody: something has changed about all places. Gives those who were not called before.
    pub fn call_all(&mut self) -> impl Iterator<Item = &mut T> {
        let newly: Vec<Ticket> = self.waiting.keys().copied().collect();
        self.called.append(&mut self.waiting);
        self.called.iter_mut().filter(move |(ticket, _)| newly.binary_search(ticket).is_ok()).map(|(_, t)| t)
    }

    /// A called one has found no place and waits again, where it stood.
    pub fn missed(&mut self, ticket: Ticket) {
        if let Some(waiter) = self.called.remove(&ticket) {
            self.waiting.insert(ticket, waiter);
        }
    }

    /// Takes a ticket out of the line; says where it stood.
    pub fn leave(&mut self, ticket: Ticket) -> Standing {
        match (self.waiting.remove(&ticket), self.called.remove(&ticket)) {
            (Some(_), _) => Standing::Waiting,
            (None, Some(_)) => Standing::Called,
            (None, None) => Standing::Gone,
        }
    }

    /// Where a ticket stands, and what goes with it.
    pub fn of(&mut self, ticket: Ticket) -> (Standing, Option<&mut T>) {
        match self.waiting.get_mut(&ticket) {
            Some(waiter) => (Standing::Waiting, Some(waiter)),
            None => match self.called.get_mut(&ticket) {
                Some(waiter) => (Standing::Called, Some(waiter)),
                None => (Standing::Gone, None),
            },
        }
    }

    /// Somebody waits and nobody is called: whoever leaves a place free must call.
    #[must_use]
    pub fn is_stuck(&self) -> bool {
        self.called.is_empty() && !self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests;
