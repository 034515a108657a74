//! A TCP connection: routed by its source, joined to one server.

use std::net::IpAddr;
use std::time::Duration;

use evenkeel_config::plan::Mode;
use evenkeel_traffic::load::Running;
use evenkeel_traffic::route::Facts;
use tokio::time::Instant;

use super::tunnel;
use crate::alarm::Alarm;
use crate::buffer::Buffer;
use crate::listener::Counted;
use crate::stream::Stream;
use crate::table::Pool;
use crate::upstream;
use crate::worker::Worker;

/// Pause before servers that were all tried are tried again.
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// Serves one accepted connection to its end.
pub(crate) async fn serve(mut client: Stream, peer: Option<IpAddr>, counted: Counted) {
    let listener = counted.slot.current.load_full();
    let Mode::Tcp(mode) = &listener.plan.mode else { return };
    let worker = counted.worker.index;
    let pool = listener.route(&ConnectionFacts(peer));
    let connected = match pool {
        Some(pool) => connect(pool, pool.plan.balance.key(&ConnectionFacts(peer)), &counted.worker).await,
        None => None,
    };
    let Some((mut server, _running)) = connected else {
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
    let mut none = (Buffer::of_size(0), Buffer::of_size(0));
    tunnel::run((&mut client, &mut server), (&mut none.0, &mut none.1), &mut alarm, mode.idle_timeout).await;
}

/// Connects to a server of the pool, trying others as often as `retries` allows.
async fn connect(pool: &Pool, key: Option<u64>, worker: &Worker) -> Option<(Stream, Running)> {
    let mut tried = Vec::new();
    for _ in 0..=pool.plan.retries {
        let picked = match pool.pick(key, &tried, worker) {
            Some(picked) => picked,
            None if tried.is_empty() => return None,
            None => {
                tried.clear();
                tokio::time::sleep(RETRY_PAUSE).await;
                pool.pick(key, &tried, worker)?
            }
        };
        let server = pool.servers.get(picked.index)?;
        let began = Instant::now();
        if let Some(upstream) = upstream::connect(server, &pool.plan, worker.index).await {
            pool.answered(server, began, worker);
            server.state.counters.of(worker.index).total.add(1);
            return Some((upstream.stream, picked.running));
        }
        pool.failed(server, None, worker);
        tried.push(picked.index);
    }
    None
}

/// What routes may look at: only the source.
struct ConnectionFacts(Option<IpAddr>);

impl Facts for ConnectionFacts {
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
        self.0
    }
}
