//! The tries of one request: which server next, and over which connection.
//!
//! Invariants: a server that failed is not tried again while another was not; tries are bounded by `retries`.

use std::sync::Arc;
use std::time::Duration;

use evenkeel_config::plan::Protocol;
use evenkeel_http::answer::Reason;
use evenkeel_http::head::RequestHead;
use evenkeel_http::translate::request_to_h2::upgrade_of;
use evenkeel_traffic::load::Running;
use evenkeel_traffic::retry::{self, Retry};

use super::Client;
use super::note::Note;
use crate::announce::OfClient;
use crate::clock;
use crate::idle::Certainty;
use crate::rooms::{Nowhere, Seeker};
use crate::table::{Picked, Pool, Server};
use crate::tls::connector::Speaks;
use crate::upstream::{self, Need, NotOpened, To, Upstream};
use crate::worker::Worker;

/// The tries of one request.
pub(super) struct Tries<'a> {
    pool: &'a Arc<Pool>,
    /// What a consistent hash goes by.
    key: Option<u64>,
    /// The server that the client belongs to, until it was asked for.
    own: Option<usize>,
    /// Servers that failed, since all were last tried.
    tried: Vec<usize>,
    /// Further tries.
    left: u32,
    current: Option<usize>,
    /// The place at the current server, whose next try it is again, on a new connection.
    fresh: Option<Running>,
    /// Tries begun.
    begun: u32,
    /// Time spent opening connections.
    connect: Duration,
    /// What the last server that could not be connected to said more of than that.
    reason: Option<Reason>,
}

impl<'a> Tries<'a> {
    pub(super) fn new(pool: &'a Arc<Pool>, key: Option<u64>, own: Option<usize>) -> Self {
        Self {
            pool,
            key,
            own,
            tried: Vec::new(),
            left: u32::from(pool.plan.retries),
            current: None,
            fresh: None,
            begun: 0,
            connect: Duration::ZERO,
            reason: None,
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

    /// Finds a server and a connection to it, or says why there is none.
    pub(super) async fn next(
        &mut self,
        client: &mut Client<'_>,
        head: &RequestHead,
    ) -> Result<(&'a Arc<Server>, Upstream, Running), Nowhere> {
        let worker = client.counted.worker.index;
        let certainty = if head.method.is_idempotent() { Certainty::Known } else { Certainty::Asked };
        loop {
            let (again, Picked { index, running }) = match self.current.zip(self.fresh.take()) {
                Some((index, running)) => (true, Picked { index, running }),
                None => match self.pick(&client.counted.worker) {
                    Some(picked) => (false, picked),
                    None => (false, self.seek(client).await.map_err(|nowhere| self.explained(nowhere))?),
                },
            };
            self.current = Some(index);
            let Some(server) = self.pool.servers.get(index) else { return Err(self.nowhere()) };
            let now = clock::now();
            let h1 = self.pool.plan.protocol == Protocol::H1;
            let reused = match again || !h1 {
                true => None,
                false => upstream::reuse(server, &self.pool.plan, worker, (now, certainty), head.host()),
            };
            self.begun += 1;
            let found = match reused {
                Some(upstream) => Ok(upstream),
                None => {
                    let whom = OfClient { stream: client.stream, counted: client.counted, passing: "" };
                    let to = To { host: head.host(), speaks: Speaks::Http, whom };
                    // Apart, so that requests over connections that are open are no larger for it.
                    let opened = if h1 {
                        Box::pin(upstream::connect(server, self.pool, worker, to)).await
                    } else {
                        let need = Need { upgrade: upgrade_of(head), again, certainty };
                        Box::pin(upstream::reach(server, self.pool, worker, to, need)).await
                    };
                    self.connect += clock::now().saturating_duration_since(now);
                    opened
                }
            };
            match found {
                Ok(upstream) => return Ok((server, upstream, running)),
                Err(NotOpened { reason, blames_server }) => {
                    self.reason = reason;
                    if blames_server {
                        self.pool.slowed(server, None, &client.counted.worker);
                    }
                }
            }
            if !self.failed(Retry::Elsewhere, running) {
                return Err(self.nowhere());
            }
        }
    }

    /// The client's own server first, then the next that was not tried.
    fn pick(&mut self, worker: &Worker) -> Option<Picked> {
        let own = self.own.take().and_then(|own| self.pool.pick_own(own));
        own.or_else(|| self.pool.pick(self.key, &self.tried, worker))
    }

    fn nowhere(&self) -> Nowhere {
        self.explained(Nowhere::Refused(self.pool.why_nobody()))
    }

    /// A server was there, and could not be spoken to: that says more than that there is none.
    fn explained(&self, nowhere: Nowhere) -> Nowhere {
        match (nowhere, self.reason) {
            (Nowhere::Refused(Reason::NoServer), Some(reason)) => Nowhere::Refused(reason),
            (nowhere, _) => nowhere,
        }
    }

    /// The next server when none was found at once. When all were tried, they begin again after a pause. Waits when
    /// all are full.
    async fn seek(&mut self, client: &mut Client<'_>) -> Result<Picked, Nowhere> {
        let worker = &*client.counted.worker.clone();
        if !self.tried.is_empty() && !self.pool.load.is_waited() {
            self.tried.clear();
            tokio::time::sleep(retry::PAUSE).await;
            if let Some(picked) = self.pool.pick(self.key, &self.tried, worker) {
                return Ok(picked);
            }
        }
        let (mut waited, before) = match &mut client.note {
            Some(note) => (note.queue, note.in_line.take()),
            None => (Duration::ZERO, None),
        };
        let seeker = Seeker { pool: self.pool, key: self.key, tried: &self.tried, worker };
        // Apart, so that requests that do not wait are no larger for it.
        let found = Box::pin(seeker.wait(before, &mut waited, client.stream.gone())).await;
        client.note(|note| note.queue = waited);
        found
    }

    /// Notes that the current try has failed, at the place `running`; says whether there is another.
    pub(super) fn failed(&mut self, what: Retry, running: Running) -> bool {
        match what {
            Retry::No => false,
            Retry::Fresh => {
                self.fresh = Some(running);
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
