//! The way to a server that may speak HTTP/2: a place on a multiplexed connection, or one of HTTP/1 if that is what the
//! server has chosen or the request needs.

use std::sync::Arc;

use evenkeel_config::plan::Protocol;
use evenkeel_http::answer::Reason;
use evenkeel_http::translate::request_to_h2::Upgrade;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::connection::{Connection, Lease};
use super::exchange::Exchange;
use super::multiplexed::{Nest, Next, Opening, Spoken, Wanted};
use super::{NotOpened, To, Upstream, connect, reuse};
use crate::clock;
use crate::idle::Certainty;
use crate::stream::Stream;
use crate::table::{Pool, Server};
use crate::tls::connector::Speaks;

/// What a request needs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Need {
    pub(crate) upgrade: Upgrade,
    /// It has failed on a connection that was open already.
    pub(crate) again: bool,
    pub(crate) certainty: Certainty,
}

/// Finds a way to `server`, waiting for it no longer than `connect-timeout`.
pub(crate) async fn reach(
    server: &Server,
    pool: &Pool,
    worker: usize,
    to: To<'_>,
    need: Need,
) -> Result<Upstream, NotOpened> {
    let way = Way { server, pool, worker, to, need, nest: server.state.multiplexed.of(worker) };
    match need.upgrade {
        Upgrade::Other => way.without().await,
        Upgrade::None | Upgrade::WebSocket => way.find().await,
    }
}

/// Begins to speak HTTP/2 over a new connection that is for one request only. The caller bounds the time.
///
/// # Errors
/// A sentence for the operator.
pub(crate) async fn alone(stream: Stream, authority: &str) -> Result<Stream, String> {
    let connection = Connection::open(stream, 0, Arc::new(Notify::new())).await?;
    let lease = connection.lease().ok_or("it ended the connection")?;
    Ok(Stream::Translated(Box::new(Exchange::new(lease, authority))))
}

struct Way<'w> {
    server: &'w Server,
    pool: &'w Pool,
    worker: usize,
    to: To<'w>,
    need: Need,
    nest: &'w Nest,
}

impl Way<'_> {
    async fn find(&self) -> Result<Upstream, NotOpened> {
        let deadline = Instant::now() + self.pool.plan.connect_timeout;
        let name = self.server.tls.as_ref().and_then(|tls| tls.name_of(self.to.host));
        let keeps = !self.pool.plan.keep_alive.is_zero();
        let wanted = Wanted { manner: self.server.manner(), name: name.as_ref(), keeps };
        let mut in_turn = false;
        loop {
            if let Some(lease) = self.nest.lease(wanted, in_turn) {
                if in_turn {
                    self.nest.pass_on();
                }
                self.server.state.counters.of(self.worker).reused_total.add(u64::from(keeps));
                return self.on(lease, !self.need.again).await;
            }
            if self.pool.plan.protocol == Protocol::Auto && self.nest.spoken() == Spoken::Http1 {
                return match self.reuse() {
                    Some(upstream) => Ok(upstream),
                    // It may choose otherwise now.
                    None => self.open(self.nest.open(), deadline).await,
                };
            }
            match self.nest.next(wanted) {
                Next::Open(opening) => return self.open(opening, deadline).await,
                Next::Full => return Err(NotOpened::full(Reason::QueueFull)),
                Next::Wait => match tokio::time::timeout_at(deadline, self.nest.wait()).await {
                    Ok(waited) => waited?,
                    Err(_) => return Err(NotOpened::full(Reason::QueueTimeout)),
                },
            }
            in_turn = true;
        }
    }

    /// Uses a place, if it can carry the request.
    async fn on(&self, lease: Lease, reused: bool) -> Result<Upstream, NotOpened> {
        if self.need.upgrade == Upgrade::WebSocket && !lease.extended_connect() {
            drop(lease);
            return self.without().await;
        }
        let exchange = Exchange::new(lease, &self.server.host);
        Ok(Upstream { stream: Stream::Translated(Box::new(exchange)), reused })
    }

    /// Opens a connection and uses it.
    async fn open(&self, opening: Opening<'_>, deadline: Instant) -> Result<Upstream, NotOpened> {
        let protocol = self.pool.plan.protocol;
        let speaks = if protocol == Protocol::H2 { Speaks::Http2 } else { Speaks::Either };
        let opened = connect(self.server, self.pool, self.worker, To { speaks, ..self.to }).await;
        let upstream = match opened {
            Ok(upstream) => upstream,
            Err(why) => {
                opening.failed(why);
                return Err(why);
            }
        };
        if !speaks_h2(&upstream.stream, protocol) {
            opening.http1();
            return Ok(upstream);
        }
        let begun = Connection::open(upstream.stream, self.server.manner(), self.nest.room.clone());
        let why = match tokio::time::timeout_at(deadline, begun).await {
            Ok(Ok(connection)) => match connection.lease() {
                Some(lease) => {
                    opening.opened(connection);
                    return self.on(lease, false).await;
                }
                None => "it ended the connection".to_owned(),
            },
            Ok(Err(why)) => why,
            Err(_) => format!("it did not begin within {:?}", self.pool.plan.connect_timeout),
        };
        let why = self.not_spoken(&why);
        opening.failed(why);
        Err(why)
    }

    /// No HTTP/2 with the server: counted and remembered.
    fn not_spoken(&self, why: &str) -> NotOpened {
        self.server.state.counters.of(self.worker).connect_failures_total.add(1);
        let why = format!("no HTTP/2 with {}: {why}", self.server.plan.address);
        tracing::debug!(pool = %self.pool.plan.name, server = %self.server.plan.name, "{why}");
        self.pool.failed(self.server, why);
        NotOpened { reason: Some(Reason::BadResponse), blames_server: true }
    }

    /// What HTTP/2 cannot carry goes over HTTP/1, if the pool lets the server choose.
    async fn without(&self) -> Result<Upstream, NotOpened> {
        match self.pool.plan.protocol {
            Protocol::Auto => match self.reuse() {
                Some(upstream) => Ok(upstream),
                None => {
                    let to = To { speaks: Speaks::Http, ..self.to };
                    connect(self.server, self.pool, self.worker, to).await
                }
            },
            Protocol::H1 | Protocol::H2 => Err(NotOpened::full(Reason::UpgradeRefused)),
        }
    }

    /// An open connection of HTTP/1.
    fn reuse(&self) -> Option<Upstream> {
        let Need { again, certainty, .. } = self.need;
        let now = (clock::now(), certainty);
        if again { None } else { reuse(self.server, &self.pool.plan, self.worker, now, self.to.host) }
    }
}

/// Says whether the server speaks HTTP/2 on this new connection.
fn speaks_h2(stream: &Stream, protocol: Protocol) -> bool {
    match stream.tls() {
        Some(tls) => tls.session().alpn_protocol() == Some(b"h2"),
        None => protocol == Protocol::H2,
    }
}
