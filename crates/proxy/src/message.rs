//! What the supervisor and the proxy role say to each other: [`Change`] in, [`Event`] out, [`Snapshot`] on request.
//!
//! Messages carry the desired state, never a step towards it: the role compares and does what is missing, so that a
//! role that was just started and one that runs for a year are told the same.

mod legacy;
mod sum;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use evenkeel_config::found::List;
use evenkeel_config::plan::Plan;
use evenkeel_traffic::address::Address;
use evenkeel_traffic::name::Name;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use self::legacy::{Known, Legacy};
pub use crate::rollcall::{Condition, PoolNews, ServerNews};
pub use crate::sticky::Keys;
pub use crate::tls::material::Certificates;

/// From the supervisor to the proxy role.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Change {
    /// First of all, once: the size of the role.
    Start {
        /// Number of workers, 1 to [`evenkeel_config::plan::MOST_WORKERS`].
        workers: u16,
        /// Client connections at once, all workers together.
        max_connections: NonZeroU32,
    },
    /// Listening sockets of one bind. The file descriptors come with the message: one a worker, in their order, or a
    /// single one that all workers share (unix sockets). They are used once a plan names the bind.
    Sockets {
        /// The bind as the plan names it.
        bind: Address,
    },
    /// A file that an access log goes to, opened for appending. Its descriptor comes with the message. It is used once a
    /// plan names it; when one does already, lines go to this file from now on.
    LogFile {
        /// The path as the plan names it.
        path: PathBuf,
    },
    /// What signs the cookies of sticky sessions: all keys that the next plan needs, in place of those before.
    Keys {
        /// The keys.
        keys: Keys,
    },
    /// What TLS needs: all that the next plan names, in place of what was before. Keys of tickets count at once, the rest
    /// with the next [`Change::Apply`].
    Certificates {
        /// Certificates, keys and authorities.
        certificates: Certificates,
    },
    /// From now on this plan holds. Sockets of binds it does not name are closed. Answered by [`Event::Applied`].
    Apply {
        /// Counts up with each plan.
        revision: u64,
        /// The whole plan.
        plan: Arc<Plan>,
    },
    /// This machine is one of a pair, and these addresses are the other one's now: connections to them end when they next can.
    /// All of them, in place of those before; told at first and when it changes.
    Departing {
        /// An empty list: none.
        addresses: Vec<IpAddr>,
    },
    /// What the process before knew of the servers. Counts for the next [`Change::Apply`].
    Inherit {
        /// It.
        legacy: Legacy,
    },
    /// Says whether this plan could be put in force, and changes nothing: binds and access logs are not looked at. Answered
    /// as [`Change::Apply`].
    Rehearse {
        /// Comes back in the answer.
        revision: u64,
        /// The whole plan.
        plan: Arc<Plan>,
    },
    /// Another process is about to take over, maybe of another version. Answered by [`Event::Retired`]. From then on the
    /// role serves as before and says only what it is asked; any later change but [`Change::Snapshot`],
    /// [`Change::Departing`] and [`Change::Drain`] makes it speak again.
    Retire,
    /// Accept nothing more, finish what is under way, end at the latest `within` from now. Answered by
    /// [`Event::Drained`], after [`Change::Retire`] with an [`Event::Snapshot`] of number 0 before it, which has the last
    /// counts; the role then exits with code 0.
    ///
    /// [`Change::Snapshot`], this one and their answers are also spoken between programs of different versions: they may
    /// only change together with the format of the handover.
    Drain {
        /// How long that may take.
        within: Duration,
    },
    /// Send an [`Event::Pulse`] again and again, or do so no longer.
    Pulse {
        /// `Some`: send them. When the supervisor is gone, go on accepting for so long before draining: another machine
        /// takes over meanwhile.
        linger: Option<Duration>,
    },
    /// Asks for an [`Event::Snapshot`].
    Snapshot {
        /// Comes back in the answer.
        id: u64,
    },
}

/// From the proxy role to the supervisor.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Event {
    /// The plan of this revision is in force: its listeners accept.
    Applied {
        /// From [`Change::Apply`].
        revision: u64,
    },
    /// The plan of this revision cannot be put in force and the one before goes on.
    Refused {
        /// From [`Change::Apply`].
        revision: u64,
        /// Why, for the operator.
        why: String,
    },
    /// The answer to [`Change::Retire`].
    Retired {
        /// What is known of the servers.
        legacy: Legacy,
        /// The state now.
        snapshot: Snapshot,
    },
    /// The role lives. Comes at least every 150 ms while [`Change::Pulse`] wants it, but for the time that
    /// [`Change::Apply`] takes.
    Pulse {
        /// How many servers take traffic, of every pool; `None`: as told before.
        pools: Option<Vec<PoolPulse>>,
    },
    /// All connections have ended, or were cut because time was up.
    Drained {
        /// How many had to be cut.
        cut: u64,
    },
    /// A source of servers has been looked at. Unasked, as long as a plan has the source.
    Found {
        /// Its pool.
        pool: Name,
        /// Its name in the pool.
        source: Name,
        /// What came of it.
        news: News,
    },
    /// Servers take traffic no more, or again. Unasked, at most once a second; what is not told now is told later with the
    /// state of then.
    Conditions {
        /// At most 256.
        servers: Vec<ServerNews>,
        /// As many.
        pools: Vec<PoolNews>,
    },
    /// The answer to [`Change::Snapshot`].
    Snapshot {
        /// From [`Change::Snapshot`].
        id: u64,
        /// The state now.
        snapshot: Snapshot,
    },
}

/// How many servers of a pool take traffic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolPulse {
    /// Its name.
    pub name: Name,
    /// All of them.
    pub servers: u32,
    /// Those that take traffic.
    pub usable: u32,
    /// Those of which nothing is known yet.
    pub undecided: u32,
}

/// What came of looks at a source of servers. Counters count since the role follows the source.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct News {
    /// What it says; `None` when that is as before, or nothing.
    pub list: Option<List>,
    /// What went wrong with the last look, if anything did.
    pub trouble: Option<String>,
    /// Looks ever.
    pub looks_total: u64,
    /// Those with trouble.
    pub failures_total: u64,
}

/// The state of the proxy role at one moment, for `status`. Counters count since the role started.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Snapshot {
    /// Revision of the plan in force.
    pub revision: u64,
    /// Number of workers.
    pub workers: u16,
    /// Client connections now.
    pub connections: u64,
    /// Client connections at once, at most.
    pub max_connections: u64,
    /// In the order of the plan.
    pub listeners: Vec<ListenerSnapshot>,
    /// In the order of the plan.
    pub pools: Vec<PoolSnapshot>,
    /// Where access logs go, in alphabetical order.
    pub logs: Vec<LogSnapshot>,
    /// Connections to addresses that the other node has now.
    #[serde(default)]
    pub departing: DepartingSnapshot,
}

/// Client connections that go on here although their address is the other node's now, in a [`Snapshot`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DepartingSnapshot {
    /// The addresses.
    #[schema(value_type = Vec<String>)]
    pub addresses: Vec<IpAddr>,
    /// Connections with HTTP/1: each ends with its next response.
    pub http1: u64,
    /// Connections with HTTP/2, which were told to send no more requests.
    pub http2: u64,
    /// Connections of listeners with `mode = "tcp"`.
    pub tcp: u64,
    /// WebSockets and other tunnels that were HTTP/1.
    pub tunnel: u64,
}

/// A place that access logs go to, in a [`Snapshot`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LogSnapshot {
    /// `stdout`, `syslog` or a path.
    pub to: String,
    /// Lines taken for writing.
    pub lines_total: u64,
    /// Lines lost: there was no room for them, or they could not be written.
    pub dropped_total: u64,
}

/// One listener in a [`Snapshot`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ListenerSnapshot {
    /// Its name.
    #[schema(value_type = String)]
    pub name: Name,
    /// Where it listens.
    #[schema(value_type = Vec<String>)]
    pub binds: Vec<Address>,
    /// `http` or `tcp`.
    pub mode: String,
    /// Client connections now.
    pub connections: u64,
    /// Client connections ever.
    pub connections_total: u64,
    /// Requests ever (HTTP).
    pub requests_total: u64,
    /// Requests answered by ourselves with an error, or connections closed without a server.
    pub refused_total: u64,
    /// Answers by the first digit of their status, such as `2xx`; `other` for what lies beyond 599.
    pub responses_total: BTreeMap<String, u64>,
    /// What was answered by ourselves, and connections closed without a server, by the code of the reason.
    pub answers_total: BTreeMap<String, u64>,
    /// Bytes from clients, heads included; counted when a request or a TCP connection has ended.
    pub bytes_in_total: u64,
    /// Bytes to clients, as `bytes_in_total`.
    pub bytes_out_total: u64,
    /// From the head of a request to the last byte of its answer (HTTP); without those that became tunnels.
    pub latency: HistogramSnapshot,
    /// From the accept of a connection to its end (TCP).
    pub durations: HistogramSnapshot,
    /// Connections closed because their PROXY header was missing or broken.
    pub proxy_headers_refused_total: u64,
    /// Connections that were closed because not a byte came over them within `header-timeout` (HTTP).
    #[serde(default)]
    pub silent_total: u64,
    /// Responses that were broken off because their client took nothing, or too little.
    #[serde(default)]
    pub slow_readers_total: u64,
    /// What came over HTTP/2.
    pub http2: Http2Snapshot,
    /// Handshakes, when it speaks TLS.
    pub tls: Option<TlsSnapshot>,
}

/// HTTP/2 of a listener, in a [`ListenerSnapshot`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Http2Snapshot {
    /// Connections ever.
    pub connections_total: u64,
    /// Requests ever, each a stream of a connection.
    pub streams_total: u64,
    /// Connections that were cut because they burnt time, by what there was too much of.
    pub floods_total: BTreeMap<String, u64>,
}

/// TLS of a listener, in a [`ListenerSnapshot`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TlsSnapshot {
    /// Handshakes under way now.
    pub handshakes: u32,
    /// How many may be.
    pub max_handshakes: u32,
    /// Handshakes that went well, ever.
    pub handshakes_total: u64,
    /// Those of them that resumed a session.
    pub resumed_total: u64,
    /// Those that did not go well, by the code of the reason.
    pub failures_total: BTreeMap<String, u64>,
}

/// The upper bounds of the buckets of a [`HistogramSnapshot`].
pub const LATENCY_BOUNDS: [Duration; 16] = [
    Duration::from_micros(500),
    Duration::from_millis(1),
    Duration::from_micros(2500),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_millis(2500),
    Duration::from_secs(5),
    Duration::from_secs(10),
    Duration::from_secs(30),
    Duration::from_secs(60),
];

/// How long things took.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HistogramSnapshot {
    /// How many took at most as long as each of [`LATENCY_BOUNDS`] and longer than the bound before; last, how many
    /// took longer than all of them.
    pub buckets: [u64; LATENCY_BOUNDS.len() + 1],
    /// All of it together, in nanoseconds.
    pub nanos: u64,
}

/// What [`ServerSnapshot::state`] may say.
pub const SERVER_STATES: [&str; 8] =
    ["up", "slow-start", "checking", "down", "ejected", "probation", "drain", "maintenance"];

/// One pool in a [`Snapshot`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PoolSnapshot {
    /// Its name.
    #[schema(value_type = String)]
    pub name: Name,
    /// Its algorithm as the file names it.
    pub balance: String,
    /// Requests ever (HTTP).
    pub requests_total: u64,
    /// Requests that were sent a second time because a server failed under them.
    pub retries_total: u64,
    /// Requests that were not, because the retry budget was used up.
    pub retries_denied_total: u64,
    /// The checks of all servers fail; says what becomes of the traffic: `refuse` or `try-all`.
    pub all_down: Option<String>,
    /// Requests by what became of them (`kept`, `new`, `moved`, `unknown`), when the pool is sticky.
    pub sticky: Option<BTreeMap<String, u64>>,
    /// Calls of gRPC by their status, when its servers may be spoken to with HTTP/2.
    #[serde(default)]
    pub grpc_total: Option<BTreeMap<String, u64>>,
    /// Who waits for its servers.
    pub queue: QueueSnapshot,
    /// In the order of the plan.
    pub servers: Vec<ServerSnapshot>,
}

/// The queue of a pool, in a [`PoolSnapshot`]: requests (HTTP) or connections (TCP).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct QueueSnapshot {
    /// How many wait now.
    pub length: u64,
    /// How many may.
    pub limit: u64,
    /// How many ever had to.
    pub queued_total: u64,
    /// Refused at once, because as many waited as may.
    pub refused_total: u64,
    /// Refused after they had waited as long as they may.
    pub timed_out_total: u64,
    /// Whose client went away while they waited.
    pub left_total: u64,
    /// How long those waited whose wait has ended, however it did.
    pub waits: HistogramSnapshot,
}

/// TLS to a server, in a [`ServerSnapshot`]. Checks are not counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ServerTlsSnapshot {
    /// Handshakes that went well, ever.
    pub handshakes_total: u64,
    /// Those of them that resumed a session.
    pub resumed_total: u64,
    /// Those that did not go well, by the code of the reason.
    pub failures_total: BTreeMap<String, u64>,
}

/// One server in a [`PoolSnapshot`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ServerSnapshot {
    /// Its name.
    #[schema(value_type = String)]
    pub name: Name,
    /// Where it answers.
    #[schema(value_type = String)]
    pub address: Address,
    /// One of [`SERVER_STATES`].
    pub state: String,
    /// Why it is not simply up.
    pub why: Option<String>,
    /// Since when, in seconds of Unix time; `None` while it is simply up.
    pub since: Option<u64>,
    /// Its weight.
    pub weight: u16,
    /// Requests (HTTP) or connections (TCP) running now.
    pub running: u64,
    /// Requests or connections ever.
    pub total: u64,
    /// Connections that could not be opened.
    pub connect_failures_total: u64,
    /// Requests or connections that failed after one was open.
    pub failures_total: u64,
    /// Connections opened to it.
    pub opened_total: u64,
    /// Requests that went over a connection that had been used before.
    pub reused_total: u64,
    /// Handshakes, when TLS is spoken to it.
    pub tls: Option<ServerTlsSnapshot>,
    /// Unused connections kept.
    pub idle: u64,
    /// Open connections of HTTP/2, each for many requests.
    #[serde(default)]
    pub multiplexed: u64,
    /// From the request, sent on an open connection, to the first byte of its answer (HTTP).
    pub first_byte: HistogramSnapshot,
    /// What went wrong last, if anything ever did.
    pub last_failure: Option<String>,
}
