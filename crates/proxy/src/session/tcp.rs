//! A TCP connection: routed by its source, joined to one server.

use std::net::IpAddr;
use std::time::Duration;

use evenkeel_config::plan::Mode;
use evenkeel_http::answer::Reason;
use evenkeel_traffic::load::Running;
use evenkeel_traffic::{retry, route};
use tokio::time::Instant;

use super::peek;
use super::tunnel::{self, Ended};
use crate::access_log::{End, Facts};
use crate::alarm::Alarm;
use crate::buffer::Buffer;
use crate::listener::Counted;
use crate::stream::Stream;
use crate::table::Pool;
use crate::upstream;
use crate::worker::Worker;

/// Serves one accepted connection to its end.
pub(crate) async fn serve(mut client: Stream, peer: Option<IpAddr>, counted: Counted) {
    let listener = counted.slot.current.load_full();
    let Mode::Tcp(mode) = &listener.plan.mode else { return };
    let worker = counted.worker.index;
    let started = Instant::now();
    let mut facts = ConnectionFacts { source: peer, sni: String::new() };
    let pool = listener.route(&facts).map(|(_, pool)| pool);
    let mut line = Line { peer, pool: pool.map(|pool| &**pool), ..Line::new(&counted, started) };
    // What was read of the client before it had a server.
    let mut first = Buffer::of_size(0);
    let connected = match pool {
        Some(pool) => {
            if pool.plan.balance.needs_hello() {
                facts.sni = peek::server_name(&mut client, &mut first).await;
            }
            let key = pool.plan.balance.key(&facts);
            connect(pool, key, &counted.worker, &mut line).await
        }
        None => None,
    };
    let Some((mut server, _running)) = connected else {
        line.reason = Some(if pool.is_some() { Reason::NoServer } else { Reason::NoRoute });
        line.write();
        counted.slot.counters.of(worker).refused_total.add(1);
        let why =
            if pool.is_some() { "no server could be connected to" } else { "no route takes this source" };
        tracing::debug!(listener = %counted.slot.name, "connection closed: {why}");
        // A reset says that it was refused; an orderly end would look like an answer of no bytes.
        client.reset_on_close();
        return;
    };
    let timer = std::pin::pin!(tokio::time::sleep(mode.idle_timeout));
    let mut alarm = Alarm::new(timer);
    let mut nothing = Buffer::of_size(0);
    let streams = (&mut client, &mut server);
    line.ended = Some(tunnel::run(streams, (&mut first, &mut nothing), &mut alarm, mode.idle_timeout).await);
    line.write();
}

/// What is counted of a connection at its end, and told in the access log.
struct Line<'a> {
    counted: &'a Counted,
    peer: Option<IpAddr>,
    started: Instant,
    pool: Option<&'a Pool>,
    /// Place in the pool of the last server that was tried.
    server: Option<usize>,
    tries: u32,
    connect: Duration,
    reason: Option<Reason>,
    ended: Option<Ended>,
}

impl<'a> Line<'a> {
    fn new(counted: &'a Counted, started: Instant) -> Self {
        Self {
            counted,
            peer: None,
            started,
            pool: None,
            server: None,
            tries: 0,
            connect: Duration::ZERO,
            reason: None,
            ended: None,
        }
    }

    /// Counts the connection and writes its line.
    fn write(&self) {
        let worker = self.counted.worker.index;
        let ended = self.ended.unwrap_or(Ended { how: End::Done, up: 0, down: 0 });
        self.counted.slot.counters.of(worker).ended(ended.up, ended.down, self.reason);
        let log = self.counted.slot.log.load();
        let Some(log) = log.as_deref() else { return };
        let server = self.pool.zip(self.server).and_then(|(pool, index)| pool.servers.get(index));
        let facts = Facts {
            listener: self.counted.slot.name.as_str(),
            client: self.peer,
            peer: None,
            http: None,
            bytes_in: ended.up,
            bytes_out: ended.down,
            pool: self.pool.map(|pool| pool.plan.name.as_str()),
            server: server.map(|server| server.plan.name.as_str()),
            retries: self.tries.saturating_sub(1),
            queue: Duration::ZERO,
            connect: self.connect,
            first_byte: None,
            total: self.started.elapsed(),
            reason: self.reason.map(Reason::code),
            end: ended.how,
        };
        log.write(worker, &facts);
    }
}

/// Connects to a server of the pool, trying others as often as `retries` allows.
async fn connect(
    pool: &Pool,
    key: Option<u64>,
    worker: &Worker,
    line: &mut Line<'_>,
) -> Option<(Stream, Running)> {
    let mut tried = Vec::new();
    for _ in 0..=pool.plan.retries {
        let picked = match pool.pick(key, &tried, worker) {
            Some(picked) => picked,
            None if tried.is_empty() => return None,
            None => {
                tried.clear();
                tokio::time::sleep(retry::PAUSE).await;
                pool.pick(key, &tried, worker)?
            }
        };
        let server = pool.servers.get(picked.index)?;
        (line.server, line.tries) = (Some(picked.index), line.tries + 1);
        let began = Instant::now();
        let opened = upstream::connect(server, pool, worker.index).await;
        line.connect = line.started.elapsed();
        if let Some(upstream) = opened {
            pool.succeeded(server, None);
            pool.answered(server, began, worker);
            server.state.counters.of(worker.index).total.add(1);
            return Some((upstream.stream, picked.running));
        }
        pool.slowed(server, None, worker);
        tried.push(picked.index);
    }
    None
}

/// What is known of a connection.
struct ConnectionFacts {
    source: Option<IpAddr>,
    /// Read only when the choice of a server needs it, so routes never see it.
    sni: String,
}

impl route::Facts for ConnectionFacts {
    fn host(&self) -> &[u8] {
        &[]
    }

    fn path(&self) -> &[u8] {
        &[]
    }

    fn target(&self) -> &[u8] {
        &[]
    }

    fn method(&self) -> &[u8] {
        &[]
    }

    fn any_header(&self, _: &str, _: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        false
    }

    fn source(&self) -> Option<IpAddr> {
        self.source
    }

    fn sni(&self) -> &[u8] {
        self.sni.as_bytes()
    }
}
