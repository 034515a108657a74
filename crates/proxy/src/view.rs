//! What a listener means, as one connection sees it from one request to the next.
//!
//! Looking whether a new plan has come costs every request a read of one number, which no connection writes; taking a
//! reference out of what can be swapped costs two writes that the processor must order. Invariant: whoever swaps
//! something counts it afterwards, so a look that finds the same number may only be too early, never wrong for long.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::access_log::Log;
use crate::table::{Listener, ListenerSlot};

/// See the module. It changes only in [`View::look`].
#[derive(Debug)]
pub(crate) struct View {
    listener: Arc<Listener>,
    is_logged: bool,
    changes: u64,
}

impl View {
    /// What `slot` holds now.
    pub(crate) fn of(slot: &ListenerSlot) -> Self {
        // Before the rest: what is swapped meanwhile is then found by the next look.
        let changes = slot.changes.load(Ordering::Acquire);
        Self { listener: slot.current.load_full(), is_logged: slot.log.load().is_some(), changes }
    }

    /// Looks whether something has changed, and takes it over.
    pub(crate) fn look(&mut self, slot: &ListenerSlot) {
        if slot.changes.load(Ordering::Acquire) != self.changes {
            *self = Self::of(slot);
        }
    }

    /// Says whether there was an access log to write to.
    pub(crate) fn is_logged(&self) -> bool {
        self.is_logged
    }
}

impl Deref for View {
    type Target = Listener;

    fn deref(&self) -> &Listener {
        &self.listener
    }
}

impl ListenerSlot {
    /// From now on the listener means this.
    pub(crate) fn publish(&self, listener: Listener) {
        self.current.store(Arc::new(listener));
        self.changes.fetch_add(1, Ordering::Release);
    }

    /// From now on its access log is this.
    pub(crate) fn log_to(&self, log: Option<Arc<Log>>) {
        self.log.store(log);
        self.changes.fetch_add(1, Ordering::Release);
    }
}
