//! The bound on client connections, all workers together, and what happens while the role drains.
//!
//! At the bound nothing is accepted: clients wait in the kernel's queue until a connection ends.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::sync::Notify;

use crate::departing::Departing;

/// See the module.
#[derive(Debug)]
pub(crate) struct Connections {
    most: u64,
    count: AtomicU64,
    draining: AtomicBool,
    ended: Notify,
    drained: Notify,
    pub(crate) departing: Departing,
}

impl Connections {
    pub(crate) fn new(most: u64) -> Self {
        Self {
            most,
            count: AtomicU64::new(0),
            draining: AtomicBool::new(false),
            ended: Notify::new(),
            drained: Notify::new(),
            departing: Departing::default(),
        }
    }

    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    pub(crate) fn most(&self) -> u64 {
        self.most
    }

    /// Counts a connection. Whoever accepts waits for [`Connections::room`] first; two that saw the same last place
    /// may both take it, so the bound is passed by at most one connection for each listening socket.
    pub(crate) fn begin(&self) {
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    /// A counted connection has ended.
    pub(crate) fn end(&self) {
        let before = self.count.fetch_sub(1, Ordering::AcqRel);
        if before >= self.most {
            self.ended.notify_waiters();
        }
        if before == 1 && self.draining.load(Ordering::Acquire) {
            self.drained.notify_one();
        }
    }

    /// Waits until a connection may be counted.
    pub(crate) async fn room(&self) {
        loop {
            let ended = self.ended.notified();
            if self.count() < self.most {
                return;
            }
            ended.await;
        }
    }

    /// From now on connections are told to close when they next can.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::Release);
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Waits until the last connection has ended.
    pub(crate) async fn drained(&self) {
        while self.count() > 0 {
            self.drained.notified().await;
        }
    }
}
