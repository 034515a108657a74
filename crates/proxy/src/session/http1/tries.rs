//! The tries of one request: which server next, and over which connection.
//!
//! Invariants: a server that failed is not tried again while another was not; tries are bounded by `retries`.

use std::sync::Arc;
use std::time::Duration;

use evenkeel_http::head::RequestHead;
use evenkeel_traffic::load::Running;
use evenkeel_traffic::retry::{self, Retry};

use super::Client;
use super::note::Note;
use crate::clock;
use crate::idle::Certainty;
use crate::table::{Picked, Pool, Server};
use crate::upstream::{self, Upstream};
use crate::worker::Worker;

/// The tries of one request.
pub(super) struct Tries<'a> {
    pool: &'a Pool,
    /// What a consistent hash goes by.
    key: Option<u64>,
    /// The server that the client belongs to, until it was asked for.
    own: Option<usize>,
    /// Servers that failed, since all were last tried.
    tried: Vec<usize>,
    /// Further tries.
    left: u32,
    current: Option<usize>,
    /// The next try is the current server's again, on a new connection.
    fresh: bool,
    /// Tries begun.
    begun: u32,
    /// Time spent opening connections.
    connect: Duration,
}

impl<'a> Tries<'a> {
    pub(super) fn new(pool: &'a Pool, key: Option<u64>, own: Option<usize>) -> Self {
        Self {
            pool,
            key,
            own,
            tried: Vec::new(),
            left: u32::from(pool.plan.retries),
            current: None,
            fresh: false,
            begun: 0,
            connect: Duration::ZERO,
        }
    }

    /// Place in the pool of the server that is or was tried last.
    pub(super) fn current(&self) -> Option<usize> {
        self.current
    }

    /// Notes how far the search has come.
    pub(super) fn tell(&self, note: &mut Note) {
        note.server = self.current;
        note.retries = self.begun.saturating_sub(1);
        note.connect = self.connect;
    }

    /// Finds a server and a connection to it; `None` when no try is left.
    pub(super) async fn next(
        &mut self,
        client: &Client<'_>,
        head: &RequestHead,
    ) -> Option<(&'a Arc<Server>, Upstream, Running)> {
        let shared = &client.counted.worker;
        let worker = shared.index;
        let certainty = if head.method.is_idempotent() { Certainty::Known } else { Certainty::Asked };
        loop {
            let again = self.current.filter(|_| self.fresh).and_then(|index| self.pool.once_more(index));
            let Picked { index, running } = match again {
                Some(picked) => picked,
                None => {
                    self.fresh = false;
                    self.pick(shared).await?
                }
            };
            self.current = Some(index);
            let server = self.pool.servers.get(index)?;
            let now = clock::now();
            let reused = if self.fresh {
                None
            } else {
                upstream::reuse(server, &self.pool.plan, worker, now, certainty)
            };
            self.fresh = false;
            self.begun += 1;
            let found = match reused {
                Some(upstream) => Some(upstream),
                None => {
                    let opened = upstream::connect(server, self.pool, worker).await;
                    self.connect += clock::now().saturating_duration_since(now);
                    opened
                }
            };
            match found {
                Some(upstream) => return Some((server, upstream, running)),
                None => self.pool.slowed(server, None, shared),
            }
            if !self.failed(Retry::Elsewhere) {
                return None;
            }
        }
    }

    /// The client's own server first, then the next that was not tried; when all were, they begin again after a pause.
    async fn pick(&mut self, worker: &Worker) -> Option<Picked> {
        if let Some(picked) = self.own.take().and_then(|own| self.pool.pick_own(own)) {
            return Some(picked);
        }
        if let Some(picked) = self.pool.pick(self.key, &self.tried, worker) {
            return Some(picked);
        }
        if self.tried.is_empty() {
            return None;
        }
        self.tried.clear();
        tokio::time::sleep(retry::PAUSE).await;
        self.pool.pick(self.key, &self.tried, worker)
    }

    /// Notes that the current try has failed; says whether there is another.
    pub(super) fn failed(&mut self, what: Retry) -> bool {
        match what {
            Retry::No => false,
            Retry::Fresh => {
                self.fresh = true;
                true
            }
            Retry::Elsewhere => {
                self.tried.extend(self.current);
                let another = self.left > 0;
                self.left = self.left.saturating_sub(1);
                another
            }
        }
    }
}
