//! One request and its response: route, choose a server, send, pass the answer back.
//!
//! Invariants: as long as the client has seen no byte of an answer, a failed try may be repeated within what
//! [`retry`] allows; after the first byte there is no way back, and a failure cuts the connection.

use std::net::IpAddr;
use std::time::SystemTime;

use evenkeel_config::plan::{HttpMode, Underscores};
use evenkeel_http::answer::Reason;
use evenkeel_http::forwarded;
use evenkeel_http::head::{RequestHead, ResponseHead};
use evenkeel_http::rewrite::{self, OwnCookie, ToClient, ToServer};
use evenkeel_traffic::load::Running;
use evenkeel_traffic::retry::{self, Failure, Retry, Try};
use evenkeel_traffic::route::Facts;
use evenkeel_traffic::sticky::Claim;
use tokio::time::Instant;

use super::heads::Heads;
use super::one_try::{Answered, Broken, Kept, OneTry};
use super::tries::Tries;
use super::upload::Upload;
use super::{Client, Next, http_mode, refuse, retry_after};
use crate::access_log::End;
use crate::buffer::Buffer;
use crate::clock;
use crate::rooms::Nowhere;
use crate::session::tunnel;
use crate::sticky::Sticky;
use crate::table::{Listener, Pool, Server};
use crate::translated::Translated;
use crate::upstream::Upstream;
use crate::view::View;
use crate::worker::Worker;

/// Answers the request whose head is in `heads` and was read `now`.
pub(super) async fn run(
    client: &mut Client<'_>,
    listener: &mut View,
    inbound: &mut Buffer,
    heads: &mut Heads,
    now: Instant,
) -> Next {
    client.counted.slot.counters.of(client.counted.worker.index).requests_total.add(1);
    let rate = http_mode(listener).map_or(0, |mode| mode.min_body_rate);
    let mut upload = match Upload::new(heads.request.framing, inbound, rate, now) {
        Ok(upload) => upload,
        Err(reason) => return refuse::and_close(client, reason, Some(&heads.request)).await,
    };
    let next = loop {
        let Some(mode) = http_mode(listener) else { break Next::Close };
        match serve(client, listener, mode, inbound, heads, &mut upload).await {
            // It waited while the plan changed: by the new one it may have to go elsewhere.
            Next::Moved => listener.look(&client.counted.slot),
            next => break next,
        }
    };
    client.note(|note| note.in_line = None);
    let received = heads.request.fields.bytes().len() as u64 + upload.received;
    client.note(|note| note.bytes_in += received);
    next
}

/// Finds a server and lets it answer, or answers without one.
async fn serve(
    client: &mut Client<'_>,
    listener: &Listener,
    mode: &HttpMode,
    inbound: &mut Buffer,
    heads: &mut Heads,
    upload: &mut Upload,
) -> Next {
    let peer_trusted = client.peer.is_none_or(|peer| forwarded::is_trusted(peer, &mode.trusted_proxies));
    let source = client.peer.map(|peer| match peer_trusted {
        true => forwarded::client_address(peer, &mode.trusted_proxies, &heads.request.fields),
        false => peer,
    });
    client.note(|note| note.source = source);
    let facts = RequestFacts { head: &heads.request, source };
    let Some((place, pool)) = listener.route(&facts) else {
        if mode.redirect {
            let reason =
                if heads.request.host().is_empty() { Reason::BadHost } else { Reason::RedirectToHttps };
            return answer(client, reason, upload, inbound, &heads.request).await;
        }
        return answer(client, Reason::NoRoute, upload, inbound, &heads.request).await;
    };
    let claim = pool.sticky.as_ref().map_or(Claim::Nothing, |sticky| sticky.claim(&heads.request));
    let mut tries = Tries::new(pool, pool.plan.balance.key(&facts), claim.server());
    if client.note.as_ref().is_none_or(|note| note.in_line.is_none()) {
        pool.state.counters.of(client.counted.worker.index).requests_total.add(1);
    }
    client.note(|note| note.place = Some(place));
    loop {
        let found = tries.next(client, &heads.request).await;
        client.note(|note| tries.tell(note));
        let (server, mut upstream, running) = match found {
            Ok(found) => found,
            Err(Nowhere::Refused(reason)) => {
                return answer(client, reason, upload, inbound, &heads.request).await;
            }
            Err(Nowhere::Gone) => {
                client.note(|note| note.end = End::ClientGone);
                return Next::Close;
            }
            Err(Nowhere::Moved(place)) => {
                client.note(|note| note.in_line = Some(place));
                return Next::Moved;
            }
        };
        let te = upstream.stream.translated().is_some();
        write_request(client, mode, pool, server, (peer_trusted, te), heads);
        server.state.counters.of(client.counted.worker.index).total.add(1);
        let sent = clock::now();
        client.note(|note| note.sent = Some(sent));
        let worker = client.counted.worker.index;
        let secure = client.is_secure();
        let own_cookie = || pool.own_cookie(claim, tries.current()?, secure, worker);
        let mut outbound = Buffer::of_size(mode.limits.head_bytes as usize);
        let mut one_try = OneTry { client, mode, pool, upload, inbound, outbound: &mut outbound };
        match one_try.until_answered(&mut upstream, heads).await {
            Ok(Answered::Final(end)) => {
                pool.succeeded(server, Some(heads.response.status));
                latency(pool, server, &heads.response, sent, &one_try.client.counted.worker);
                let kept = one_try.pass_on(&mut upstream, heads, end, own_cookie()).await;
                return finish(client, pool, server, (upstream, running), inbound, kept).await;
            }
            Ok(Answered::Tunnel) => {
                pool.succeeded(server, None);
                upload.release(inbound);
                let buffers = (inbound, &mut outbound);
                // Apart, so that requests are no larger for what few of them become.
                return Box::pin(join(client, mode, upstream, buffers, heads, own_cookie())).await;
            }
            Err(Broken::Client) => {
                client.note(|note| note.end = End::ClientGone);
                return Next::Close;
            }
            Err(Broken::ClientSays(reason)) => {
                return refuse::and_close(client, reason, Some(&heads.request)).await;
            }
            Err(Broken::Server(failure)) => {
                if !upstream.reused {
                    pool.slowed(server, None, &client.counted.worker);
                }
                let tried = Try {
                    idempotent: heads.request.method.is_idempotent(),
                    replayable: upload.is_replayable(),
                    reused: upstream.reused,
                };
                let what = retry::after(failure, tried);
                if !upstream.reused || what == Retry::No {
                    server.state.counters.of(client.counted.worker.index).failures_total.add(1);
                    pool.failed(server, format!("the connection ended before a response: {failure:?}"));
                }
                // What never reached a server adds no load, so it costs nothing of the budget.
                let costs = what == Retry::Elsewhere && failure != Failure::NothingSent;
                let worker = client.counted.worker.index;
                if !tries.failed(what, running)
                    || (costs && !pool.state.may_retry(worker, clock::now().into_std()))
                {
                    return answer(client, Reason::ServerClosed, upload, inbound, &heads.request).await;
                }
                upload.restart(clock::now());
            }
            Err(Broken::ServerSays(reason)) => {
                pool.slowed(server, None, &client.counted.worker);
                server.state.counters.of(client.counted.worker.index).failures_total.add(1);
                pool.failed(server, reason.sentence().to_owned());
                return answer(client, reason, upload, inbound, &heads.request).await;
            }
        }
    }
}

/// Answers ourselves; the connection goes on if the request's body is wholly there to be thrown away.
async fn answer(
    client: &mut Client<'_>,
    reason: Reason,
    upload: &mut Upload,
    inbound: &mut Buffer,
    head: &RequestHead,
) -> Next {
    if upload.is_held() {
        upload.release(inbound);
        refuse::and_go_on(client, reason, inbound, head).await
    } else {
        refuse::and_close(client, reason, Some(head)).await
    }
}

/// What routes may look at.
struct RequestFacts<'a> {
    head: &'a RequestHead,
    source: Option<IpAddr>,
}

impl Facts for RequestFacts<'_> {
    fn host(&self) -> &[u8] {
        self.head.host()
    }

    fn path(&self) -> &[u8] {
        self.head.path()
    }

    fn target(&self) -> &[u8] {
        self.head.target()
    }

    fn method(&self) -> &[u8] {
        self.head.method_text()
    }

    fn any_header(&self, name: &str, each: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        self.head.fields.named(name).any(each)
    }

    fn source(&self) -> Option<IpAddr> {
        self.source
    }
}

/// Notes how fast the server has answered. One that says that it cannot serve has failed, however fast it said so, and
/// may say for how long.
fn latency(pool: &Pool, server: &Server, response: &ResponseHead, sent: Instant, worker: &Worker) {
    if response.status < 500 && response.status != 429 {
        return pool.answered(server, sent, worker);
    }
    pool.slowed(server, retry_after::wish(response, SystemTime::now()), worker);
}

/// Writes the head that `server` gets.
fn write_request(
    client: &Client<'_>,
    mode: &HttpMode,
    pool: &Pool,
    server: &Server,
    (peer_trusted, te): (bool, bool),
    heads: &mut Heads,
) {
    let to = ToServer {
        peer: client.peer,
        peer_trusted,
        proto: if client.is_secure() { "https" } else { "http" },
        x_forwarded: mode.forwarding.x_forwarded,
        forwarded: mode.forwarding.forwarded,
        drop_underscores: mode.underscores == Underscores::Drop,
        host_if_missing: &server.host,
        te,
        close: pool.plan.keep_alive.is_zero(),
        own_cookie: pool.sticky.as_ref().map(Sticky::name),
        client_certificate: client.stream.client_certificate(),
    };
    heads.written.clear();
    rewrite::request(&heads.request, &to, &mut heads.written);
}

async fn finish(
    client: &mut Client<'_>,
    pool: &Pool,
    server: &Server,
    (upstream, running): (Upstream, Running),
    inbound: &Buffer,
    kept: Kept,
) -> Next {
    let worker = client.counted.worker.index;
    let now = clock::now();
    let grpc_status = upstream.stream.translated().and_then(Translated::grpc_status);
    client.note(|note| {
        note.ended = Some(now);
        note.grpc_status = grpc_status;
    });
    if let Some(status) = grpc_status {
        pool.state.counters.of(worker).grpc_total[status.place()].add(1);
    }
    if kept.server && !pool.plan.keep_alive.is_zero() {
        server.state.idle.put(worker, upstream.stream, now, pool.plan.max_idle, server.manner());
    }
    // Whoever gets the place finds the connection.
    drop(running);
    if kept.server_failed {
        server.state.counters.of(worker).failures_total.add(1);
        pool.failed(server, "the connection ended within a response".into());
    }
    if kept.client {
        return Next::Another;
    }
    if kept.part || (!kept.server_failed && !inbound.is_empty()) {
        refuse::part(client).await;
    }
    Next::Close
}

/// Client and server have agreed on another protocol: from here on their connections are one.
async fn join(
    client: &mut Client<'_>,
    mode: &HttpMode,
    upstream: Upstream,
    buffers: (&mut Buffer, &mut Buffer),
    heads: &mut Heads,
    own_cookie: Option<OwnCookie<'_>>,
) -> Next {
    let to = ToClient {
        version: heads.request.version,
        persistent: true,
        unwrap_chunks: false,
        own_cookie,
        hsts: None,
    };
    heads.written.clear();
    rewrite::response(&heads.response, to, &mut heads.written);
    client.alarm.set(mode.idle_timeout);
    let status = heads.response.status;
    let now = clock::now();
    client.note(|note| {
        note.first_byte = Some(now);
        note.status = status;
        note.wrote_head(heads.written.len());
    });
    if refuse::write_all(client, &heads.written).await {
        let mut server = upstream.stream;
        let streams = (&mut *client.stream, &mut server);
        client.counted.is_tunnel();
        let ended = tunnel::run(streams, buffers, &mut client.alarm, mode.tunnel_timeout).await;
        client.note(|note| {
            note.bytes_in += ended.up;
            note.bytes_out += ended.down;
            note.end = ended.how;
        });
    } else {
        client.note(|note| note.end = End::ClientGone);
    }
    Next::Close
}
