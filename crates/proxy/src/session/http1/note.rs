//! What is noted of a request while it is served, and what is made of it at its end: counters and a line of the access
//! log.
//!
//! A note is used again by the next request; its memory lies with the heads, so that an idle connection has none.

use std::net::IpAddr;
use std::time::Duration;

use evenkeel_http::answer::Reason;
use evenkeel_http::grpc;
use evenkeel_http::head::RequestHead;
use tokio::time::Instant;

use super::Client;
use crate::access_log::{Asked, End, Facts, Http};
use crate::clock;
use crate::queue;
use crate::table::{Place, Pool};
use crate::view::View;

/// See the module.
#[derive(Debug)]
pub(super) struct Note {
    started: Instant,
    /// When the last byte of the answer was written, before any parting.
    pub(super) ended: Option<Instant>,
    /// Whom the request comes from, if trusted proxies say so.
    pub(super) source: Option<IpAddr>,
    pub(super) place: Option<Place>,
    /// Place in the pool of the last server that was tried.
    pub(super) server: Option<usize>,
    /// Tries after the first.
    pub(super) retries: u32,
    /// Waiting for a place in a queue.
    pub(super) queue: Duration,
    /// Its place there while it is routed again.
    pub(super) in_line: Option<queue::Place<Pool>>,
    /// Waiting for connections to open.
    pub(super) connect: Duration,
    /// When the last try was begun on an open connection.
    pub(super) sent: Option<Instant>,
    pub(super) first_byte: Option<Instant>,
    /// 0 until an answer is begun.
    pub(super) status: u16,
    pub(super) reason: Option<Reason>,
    /// Of a call of gRPC.
    pub(super) grpc_status: Option<grpc::Status>,
    pub(super) end: End,
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
    /// Bytes of `bytes_out` that are heads.
    pub(super) head_out: u64,
}

impl Note {
    /// A note of a request that begins now.
    pub(super) fn begin(started: Instant) -> Self {
        Self {
            started,
            ended: None,
            source: None,
            place: None,
            server: None,
            retries: 0,
            queue: Duration::ZERO,
            in_line: None,
            connect: Duration::ZERO,
            sent: None,
            first_byte: None,
            status: 0,
            reason: None,
            grpc_status: None,
            end: End::Done,
            bytes_in: 0,
            bytes_out: 0,
            head_out: 0,
        }
    }

    /// A head is on its way to the client.
    pub(super) fn wrote_head(&mut self, bytes: usize) {
        self.bytes_out += bytes as u64;
        self.head_out += bytes as u64;
    }
}

/// The request has ended: counts it and writes its line. `head` is `None` when it was not understood. Returns when it
/// ended.
pub(super) fn close(client: &Client<'_>, listener: &View, head: Option<&RequestHead>) -> Instant {
    let Some(note) = client.note.as_deref() else { return clock::now() };
    let ended = note.ended.unwrap_or_else(clock::now);
    let worker = client.counted.worker.index;
    let pool = note.place.and_then(|place| listener.pool_at(place));
    let server = pool.zip(note.server).and_then(|(pool, index)| pool.servers.get(index));
    let total = ended.saturating_duration_since(note.started);
    let counters = client.counted.slot.counters.of(worker);
    counters.ended(note.bytes_in, note.bytes_out, note.reason);
    if note.status != 0 {
        counters.answered(note.status, head.map(|_| total));
    }
    if let (Some(server), Some(sent), Some(first)) = (server, note.sent, note.first_byte) {
        server.state.counters.of(worker).first_byte.record(first.saturating_duration_since(sent));
    }
    let log = listener.is_logged().then(|| client.counted.slot.log.load());
    if let Some(log) = log.as_ref().and_then(|log| log.as_deref()) {
        let address = note.source.or(client.peer);
        let facts = Facts {
            listener: client.counted.slot.name.as_str(),
            client: address,
            peer: client.peer.filter(|&peer| address != Some(peer)),
            http: Some(Http {
                asked: head.map(|head| asked(head, !client.stream.is_reusable())),
                status: note.status,
                head_out: note.head_out,
            }),
            bytes_in: note.bytes_in,
            bytes_out: note.bytes_out,
            pool: pool.map(|pool| pool.plan.name.as_str()),
            server: server.map(|server| server.plan.name.as_str()),
            retries: note.retries,
            queue: note.queue,
            connect: note.connect,
            first_byte: note.first_byte.map(|first| first.saturating_duration_since(note.started)),
            total,
            reason: note.reason.map(Reason::code),
            grpc_status: note.grpc_status.map(grpc::Status::name),
            end: note.end,
        };
        log.write(worker, &facts);
    }
    ended
}

fn asked(head: &RequestHead, http2: bool) -> Asked<'_> {
    let field = |name| head.fields.named(name).next();
    Asked {
        method: head.method_text(),
        target: match head.target() {
            b"" => b"/",
            target => target,
        },
        host: head.host(),
        version: head.version,
        http2,
        referer: field("referer"),
        user_agent: field("user-agent"),
    }
}
