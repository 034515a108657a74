//! A TCP connection: routed by its source and the name in its TLS hello, joined to one server.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use evenkeel_config::plan::{self, Mode, SendProxy};
use evenkeel_http::answer::Reason;
use evenkeel_traffic::load::Running;
use evenkeel_traffic::{retry, route};
use tokio::time::Instant;

use super::peek;
use super::tunnel::{self, Ended};
use crate::access_log::{End, Facts};
use crate::alarm::Alarm;
use crate::announce::OfClient;
use crate::buffer::Buffer;
use crate::clock;
use crate::listener::Counted;
use crate::queue::Place;
use crate::rooms::{Nowhere, Seeker};
use crate::stream::Stream;
use crate::table::{self, Listener, Pool};
use crate::tls::connector::Speaks;
use crate::upstream::{self, To};

/// Serves one accepted connection to its end.
pub(crate) async fn serve(mut client: Stream, peer: Option<IpAddr>, counted: Counted) {
    let mut line = Line { peer, ..Line::new(&counted, clock::now()) };
    let mut facts = ConnectionFacts { source: peer, sni: client.tls().map(|tls| tls.asked().to_owned()) };
    // What was read of the client before it had a server.
    let mut first = Buffer::of_size(0);
    let mut in_line = None;
    let (found, idle) = loop {
        let listener = counted.slot.current.load_full();
        let Mode::Tcp(mode) = &listener.plan.mode else { return };
        if facts.sni.is_none() && listener.routed_by_name {
            facts.sni = Some(peek::server_name(&mut client, &mut first).await);
        }
        let found = match listener.route(&facts) {
            Some((place, pool)) => {
                line.place = Some(place);
                if facts.sni.is_none() && (pool.plan.balance.needs_hello() || announces_name(&pool.plan)) {
                    facts.sni = Some(peek::server_name(&mut client, &mut first).await);
                }
                // Apart, so that connections that have a server are no larger for how it was found.
                Box::pin(connect(pool, (&client, &facts), in_line.take(), &mut line)).await
            }
            None => Err(Nowhere::Refused(Reason::NoRoute)),
        };
        match found {
            // It waited while the plan changed: by the new one it may have to go elsewhere.
            Err(Nowhere::Moved(place)) => in_line = Some(place),
            found => {
                let idle = mode.idle_timeout;
                line.listener = Some(listener);
                break (found, idle);
            }
        }
    };
    match found {
        Ok((mut server, _running)) => {
            let timer = std::pin::pin!(tokio::time::sleep(idle));
            let mut alarm = Alarm::new(timer);
            let mut nothing = Buffer::of_size(0);
            let streams = (&mut client, &mut server);
            line.ended = Some(tunnel::run(streams, (&mut first, &mut nothing), &mut alarm, idle).await);
            line.write();
        }
        Err(nowhere) => {
            match nowhere {
                Nowhere::Refused(reason) => {
                    line.reason = Some(reason);
                    counted.slot.counters.of(counted.worker.index).refused_total.add(1);
                    tracing::debug!(listener = %counted.slot.name, code = reason.code(), "connection closed");
                }
                Nowhere::Gone | Nowhere::Moved(_) => {
                    line.ended = Some(Ended { how: End::ClientGone, up: 0, down: 0 });
                }
            }
            line.write();
            // A reset says that it was refused; an orderly end would look like an answer of no bytes.
            client.reset_on_close();
        }
    }
}

/// Says whether servers of the pool are told the name that the client asks for.
fn announces_name(pool: &plan::Pool) -> bool {
    matches!(pool.send_proxy, Some(SendProxy::V2(extensions)) if extensions.authority)
}

/// What is counted of a connection at its end, and told in the access log.
struct Line<'a> {
    counted: &'a Counted,
    peer: Option<IpAddr>,
    started: Instant,
    /// By which it was routed in the end, and where to.
    listener: Option<Arc<Listener>>,
    place: Option<table::Place>,
    /// Place in the pool of the last server that was tried.
    server: Option<usize>,
    tries: u32,
    queue: Duration,
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
            listener: None,
            place: None,
            server: None,
            tries: 0,
            queue: Duration::ZERO,
            connect: Duration::ZERO,
            reason: None,
            ended: None,
        }
    }

    /// Counts the connection and writes its line.
    fn write(&self) {
        let worker = self.counted.worker.index;
        let ended = self.ended.unwrap_or(Ended { how: End::Done, up: 0, down: 0 });
        let counters = self.counted.slot.counters.of(worker);
        let total = self.started.elapsed();
        counters.ended(ended.up, ended.down, self.reason);
        counters.durations.record(total);
        let log = self.counted.slot.log.load();
        let Some(log) = log.as_deref() else { return };
        let pool =
            self.listener.as_ref().zip(self.place).and_then(|(listener, place)| listener.pool_at(place));
        let server = pool.zip(self.server).and_then(|(pool, index)| pool.servers.get(index));
        let facts = Facts {
            listener: self.counted.slot.name.as_str(),
            client: self.peer,
            peer: None,
            http: None,
            bytes_in: ended.up,
            bytes_out: ended.down,
            pool: pool.map(|pool| pool.plan.name.as_str()),
            server: server.map(|server| server.plan.name.as_str()),
            retries: self.tries.saturating_sub(1),
            queue: self.queue,
            connect: self.connect,
            first_byte: None,
            total,
            grpc_status: None,
            reason: self.reason.map(Reason::code),
            end: ended.how,
        };
        log.write(worker, &facts);
    }
}

/// Connects to a server of the pool, trying others as often as `retries` allows. Waits for one while all are full.
async fn connect(
    pool: &Arc<Pool>,
    (client, facts): (&Stream, &ConnectionFacts),
    mut in_line: Option<Place<Pool>>,
    line: &mut Line<'_>,
) -> Result<(Stream, Running), Nowhere> {
    let worker = &*line.counted.worker;
    let key = pool.plan.balance.key(facts);
    let (mut tried, mut reason) = (Vec::new(), None);
    for _ in 0..=pool.plan.retries {
        let picked = match pool.pick(key, &tried, worker) {
            Some(picked) => picked,
            None => {
                let mut again = None;
                if !tried.is_empty() && !pool.load.is_waited() {
                    tried.clear();
                    tokio::time::sleep(retry::PAUSE).await;
                    again = pool.pick(key, &tried, worker);
                }
                let seeker = Seeker { pool, key, tried: &tried, worker };
                match again {
                    Some(picked) => picked,
                    // Apart, so that connections that do not wait are no larger for it.
                    None => Box::pin(seeker.wait(in_line.take(), &mut line.queue, client.gone())).await?,
                }
            }
        };
        let Some(server) = pool.servers.get(picked.index) else { break };
        (line.server, line.tries) = (Some(picked.index), line.tries + 1);
        let began = clock::now();
        let passing = facts.sni.as_deref().unwrap_or_default();
        let whom = OfClient { stream: client, counted: line.counted, passing };
        let to = To { host: &[], speaks: Speaks::Anything, whom };
        let opened = upstream::connect(server, pool, worker.index, to).await;
        line.connect += began.elapsed();
        match opened {
            Ok(upstream) => {
                pool.succeeded(server, None);
                pool.answered(server, began, worker);
                server.state.counters.of(worker.index).total.add(1);
                return Ok((upstream.stream, picked.running));
            }
            Err(not_opened) => reason = not_opened.reason,
        }
        pool.slowed(server, None, worker);
        tried.push(picked.index);
    }
    Err(Nowhere::Refused(reason.unwrap_or_else(|| pool.why_nobody())))
}

/// What is known of a connection.
struct ConnectionFacts {
    source: Option<IpAddr>,
    /// Read only when a route or the choice of a server needs it.
    sni: Option<String>,
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
        self.sni.as_deref().unwrap_or_default().as_bytes()
    }
}
