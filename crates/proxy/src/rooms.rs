//! Where a pool has room, and what becomes of a request that finds none.
//!
//! Invariant: [`Rooms::has_room`] and [`Pool::take`] ask the same servers, those of the best kind of [`Wanted`] that the
//! pool has, so that what the one sees the other takes.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use evenkeel_config::plan::WhenAllDown;
use evenkeel_http::answer::Reason;
use evenkeel_traffic::load::PoolLoad;
use evenkeel_traffic::queue::Settings;

use crate::gate::Wanted;
use crate::queue::{self, Line, Place, Refusal, Rooms};
use crate::table::{Picked, Pool, Server};
use crate::worker::Worker;

/// What a request or connection is looking for.
pub(crate) struct Seeker<'a> {
    pub(crate) pool: &'a Arc<Pool>,
    /// What a consistent hash goes by.
    pub(crate) key: Option<u64>,
    /// Servers that it would rather not meet again.
    pub(crate) tried: &'a [usize],
    pub(crate) worker: &'a Worker,
}

/// Why no server was found.
#[derive(Debug)]
pub(crate) enum Nowhere {
    /// It is to be answered so.
    Refused(Reason),
    /// The client has gone.
    Gone,
    /// The plan has changed while it waited: it is to be routed again, with its place in line.
    Moved(Place<Pool>),
}

impl Seeker<'_> {
    /// Waits for a server that has room, unless one has; adds what that took to `waited`. To be called when
    /// [`Pool::pick`] has found none.
    pub(crate) async fn wait(
        &self,
        before: Option<Place<Pool>>,
        waited: &mut Duration,
        gone: impl Future<Output = ()>,
    ) -> Result<Picked, Nowhere> {
        let pool = self.pool;
        let take = || match pool.take(self.key, self.tried, self.worker) {
            None if !self.tried.is_empty() => pool.take(self.key, &[], self.worker),
            found => found,
        };
        let (took, found) = queue::wait(pool, self.worker.index, before, *waited, take, gone).await;
        *waited += took;
        match found {
            Ok(picked) => Ok(picked),
            Err(Refusal::Nobody) => Err(Nowhere::Refused(pool.why_nobody())),
            Err(Refusal::Full) => Err(Nowhere::Refused(Reason::QueueFull)),
            Err(Refusal::Timeout) => Err(Nowhere::Refused(Reason::QueueTimeout)),
            Err(Refusal::Gone) => Err(Nowhere::Gone),
            Err(Refusal::Moved(place)) => Err(Nowhere::Moved(place)),
        }
    }
}

impl Pool {
    /// What is told when no server may take traffic.
    pub(crate) fn why_nobody(&self) -> Reason {
        if self.all_down() { Reason::NoHealthyServer } else { Reason::NoServer }
    }

    /// What servers must be to take traffic now; `None` when none may.
    fn wanted(&self) -> Option<Wanted> {
        let any = |wanted| self.weighty().any(|server| server.state.gate.is_of(wanted));
        if any(Wanted::Usable) {
            Some(Wanted::Usable)
        } else if any(Wanted::NotDown) {
            Some(Wanted::NotDown)
        } else {
            let try_all = self.plan.when_all_down == WhenAllDown::TryAll && self.all_down();
            try_all.then_some(Wanted::Any)
        }
    }

    fn weighty(&self) -> impl Iterator<Item = &Arc<Server>> {
        self.servers.iter().filter(|server| server.has_weight())
    }
}

impl Rooms for Pool {
    fn line(&self) -> &Line {
        &self.state.line
    }

    fn load(&self) -> &PoolLoad {
        &self.load
    }

    fn settings(&self) -> Settings {
        self.plan.queue
    }

    fn version(&self) -> u64 {
        self.version
    }

    fn has_room(&self) -> bool {
        let Some(wanted) = self.wanted() else { return false };
        self.weighty().filter(|server| server.state.gate.is_of(wanted)).any(|server| {
            server.state.gate.most(&server.plan).is_none_or(|most| server.state.load.running() < most.get())
        })
    }

    fn is_worth_waiting(&self) -> bool {
        self.wanted().is_some()
    }
}
