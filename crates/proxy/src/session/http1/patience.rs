//! Patience with a client that a response waits for: it may pause, and may be slow, but not both for ever.
//!
//! What counts is what the client takes. Writing shows that in lumps only, as the kernel holds much for a client that was
//! fast once, so before patience ends the kernel is asked whether its queue has become shorter. Invariant: without a
//! byte taken the patience ends `idle-timeout` after the wait began.

use std::time::Duration;

use tokio::time::Instant;

use crate::pace::Pace;
use crate::stream::Stream;

/// See the module.
#[derive(Debug)]
pub(super) struct Patience {
    pace: Pace,
    idle: Duration,
    /// When the client last took something.
    moved: Instant,
    /// What the kernel held for it when the wait began, or when it was last looked at.
    held: Option<u64>,
    /// Bytes that have moved in all, as told.
    told: u64,
}

impl Patience {
    /// `rate` is in bytes per second, 0 for none; `idle` is as long a pause as a client may make.
    pub(super) fn new(rate: u64, idle: Duration, now: Instant) -> Self {
        Self { pace: Pace::new(rate, idle), idle, moved: now, held: None, told: 0 }
    }

    /// The client is waited for on `stream`, and has moved `total` bytes since the beginning; says when patience ends.
    pub(super) fn ends(&mut self, stream: &Stream, total: u64, now: Instant) -> Instant {
        self.note(stream, total, now);
        if self.held.is_none() {
            self.held = stream.unconfirmed();
        }
        let idle = self.moved + self.idle;
        self.pace.waits(now).map_or(idle, |pace| pace.min(idle))
    }

    /// The server is waited for: that time is not the client's.
    pub(super) fn rests(&mut self, stream: &Stream, total: u64, now: Instant) {
        self.note(stream, total, now);
        self.pace.moved(0, 1, now);
        (self.moved, self.held) = (now, None);
    }

    /// Patience has ended: says whether it goes on, as the client has taken something of what the kernel holds.
    pub(super) fn goes_on(&mut self, stream: &Stream, now: Instant) -> bool {
        let (Some(before), Some(held)) = (self.held, stream.unconfirmed()) else { return false };
        let taken = before.saturating_sub(held);
        if taken == 0 {
            return false;
        }
        self.held = Some(held);
        self.moved = now;
        self.pace.moved(taken, stream.sharing(), now);
        self.pace.waits(now).is_none_or(|end| end > now)
    }

    fn note(&mut self, stream: &Stream, total: u64, now: Instant) {
        let moved = total.saturating_sub(self.told);
        if moved > 0 {
            self.told = total;
            (self.moved, self.held) = (now, None);
            self.pace.moved(moved, stream.sharing(), now);
        }
    }
}
