//! Connections to servers: one that is open already, or a new one.

use evenkeel_config::plan;
use tokio::time::Instant;

use crate::idle::Certainty;
use crate::stream::Stream;
use crate::table::{Pool, Server};

/// A connection to a server, ready for a request.
#[derive(Debug)]
pub(crate) struct Upstream {
    pub(crate) stream: Stream,
    /// It has carried a request before, so the server may close it at any moment.
    pub(crate) reused: bool,
}

/// Takes an open connection to `server` that nobody uses.
pub(crate) fn reuse(
    server: &Server,
    pool: &plan::Pool,
    worker: usize,
    now: Instant,
    certainty: Certainty,
) -> Option<Upstream> {
    if pool.keep_alive.is_zero() {
        return None;
    }
    let stream = server.state.idle.take(worker, pool.keep_alive, now, certainty)?;
    server.state.counters.of(worker).reused_total.add(1);
    Some(Upstream { stream, reused: true })
}

/// Opens a connection to `server` within the pool's `connect-timeout`. A failure is counted and remembered.
pub(crate) async fn connect(server: &Server, pool: &Pool, worker: usize) -> Option<Upstream> {
    let counters = server.state.counters.of(worker);
    let address = &server.plan.address;
    let why = match tokio::time::timeout(pool.plan.connect_timeout, Stream::connect(address)).await {
        Ok(Ok(stream)) => {
            counters.opened_total.add(1);
            return Some(Upstream { stream, reused: false });
        }
        Ok(Err(error)) => format!("cannot connect to {address}: {error}"),
        Err(_) => format!("cannot connect to {address} within {:?}", pool.plan.connect_timeout),
    };
    counters.connect_failures_total.add(1);
    tracing::debug!(pool = %pool.plan.name, server = %server.plan.name, "{why}");
    pool.failed(server, why);
    None
}
