//! One request and its response: route, choose a server, send, pass the answer back.
//!
//! Invariants: as long as the client has seen no byte of an answer, a failed try may be repeated within what
//! [`retry`] allows; after the first byte there is no way back, and a failure cuts the connection.

use std::future::poll_fn;
use std::net::IpAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use evenkeel_config::plan::{HttpMode, Underscores};
use evenkeel_http::answer::Reason;
use evenkeel_http::forwarded;
use evenkeel_http::head::{HeadScan, RequestHead, ResponseHead, parse_response};
use evenkeel_http::limits::{Limits, MOST_HEADERS};
use evenkeel_http::machine::exchange::{Final, Verdict, judge};
use evenkeel_http::machine::transfer::Transfer;
use evenkeel_http::rewrite::{self, ToClient, ToServer};
use evenkeel_traffic::load::Running;
use evenkeel_traffic::retry::{self, Failure, Retry, Try};
use evenkeel_traffic::route::Facts;
use tokio::time::Instant;

use super::download::{Download, DownloadError};
use super::heads::Heads;
use super::note::Note;
use super::upload::{Side, Upload, UploadError};
use super::{Client, Next, refuse};
use crate::access_log::End;
use crate::buffer::Buffer;
use crate::idle::Certainty;
use crate::session::tunnel;
use crate::stream::{Stream, Waiting};
use crate::table::{Listener, Picked, Pool, Server};
use crate::upstream::{self, Upstream};
use crate::worker::Worker;

/// Interim responses (1xx) to one request; more are no answer but a leak.
const MOST_INTERIM: usize = 32;
/// Pause before servers that were all tried are tried again.
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// Answers the request whose head is in `heads` and was read `now`.
pub(super) async fn run(
    client: &mut Client<'_>,
    listener: &Listener,
    mode: &HttpMode,
    inbound: &mut Buffer,
    heads: &mut Heads,
    now: Instant,
) -> Next {
    client.counted.slot.counters.of(client.counted.worker.index).requests_total.add(1);
    let mut upload = match Upload::new(heads.request.framing, inbound, mode.min_body_rate, now) {
        Ok(upload) => upload,
        Err(reason) => return refuse::and_close(client, reason, Some(&heads.request)).await,
    };
    let next = serve(client, listener, mode, inbound, heads, &mut upload).await;
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
        return answer(client, Reason::NoRoute, upload, inbound, &heads.request).await;
    };
    let mut tries = Tries::new(pool, pool.plan.balance.key(&facts));
    pool.state.counters.of(client.counted.worker.index).requests_total.add(1);
    client.note(|note| note.place = Some(place));
    loop {
        let found = tries.next(client, &heads.request).await;
        client.note(|note| tries.tell(note));
        let Some((server, mut upstream, _running)) = found else {
            let reason = if pool.all_down() { Reason::NoHealthyServer } else { Reason::NoServer };
            return answer(client, reason, upload, inbound, &heads.request).await;
        };
        write_request(client, mode, pool, server, peer_trusted, heads);
        server.state.counters.of(client.counted.worker.index).total.add(1);
        let sent = Instant::now();
        client.note(|note| note.sent = Some(sent));
        let mut outbound = Buffer::of_size(mode.limits.head_bytes as usize);
        let mut one_try = OneTry { client, mode, pool, upload, inbound, outbound: &mut outbound };
        match one_try.until_answered(&mut upstream, heads).await {
            Ok(Answered::Final(end)) => {
                pool.succeeded(server, Some(heads.response.status));
                latency(pool, server, &heads.response, sent, &one_try.client.counted.worker);
                let kept = one_try.pass_on(&mut upstream, heads, end).await;
                return finish(client, pool, server, upstream, inbound, kept).await;
            }
            Ok(Answered::Tunnel) => {
                pool.succeeded(server, None);
                upload.release(inbound);
                return join(client, mode, upstream, inbound, &mut outbound, heads).await;
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
                if !tries.failed(what) || (costs && !pool.state.may_retry(worker, Instant::now().into_std()))
                {
                    return answer(client, Reason::ServerClosed, upload, inbound, &heads.request).await;
                }
                upload.restart(Instant::now());
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
        refuse::and_go_on(client, reason, head).await
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

/// The tries of one request.
struct Tries<'a> {
    pool: &'a Pool,
    /// What a consistent hash goes by.
    key: Option<u64>,
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
    fn new(pool: &'a Pool, key: Option<u64>) -> Self {
        Self {
            pool,
            key,
            tried: Vec::new(),
            left: u32::from(pool.plan.retries),
            current: None,
            fresh: false,
            begun: 0,
            connect: Duration::ZERO,
        }
    }

    /// Notes how far the search has come.
    fn tell(&self, note: &mut Note) {
        note.server = self.current;
        note.retries = self.begun.saturating_sub(1);
        note.connect = self.connect;
    }

    /// Finds a server and a connection to it; `None` when no try is left.
    async fn next(
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
            let now = Instant::now();
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
                    self.connect += now.elapsed();
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

    /// The next server that was not tried; when all were, they begin again after a pause.
    async fn pick(&mut self, worker: &Worker) -> Option<Picked> {
        if let Some(picked) = self.pool.pick(self.key, &self.tried, worker) {
            return Some(picked);
        }
        if self.tried.is_empty() {
            return None;
        }
        self.tried.clear();
        tokio::time::sleep(RETRY_PAUSE).await;
        self.pool.pick(self.key, &self.tried, worker)
    }

    /// Notes that the current try has failed; says whether there is another.
    fn failed(&mut self, what: Retry) -> bool {
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

/// Notes how fast the server has answered. One that says that it cannot serve has failed, however fast it said so, and
/// may say for how long (`Retry-After`, RFC 9110 §10.2.3; a date there is not understood).
fn latency(pool: &Pool, server: &Server, response: &ResponseHead, sent: Instant, worker: &Worker) {
    if response.status < 500 && response.status != 429 {
        return pool.answered(server, sent, worker);
    }
    let seconds =
        response.fields.named("retry-after").find_map(|value| std::str::from_utf8(value).ok()?.parse().ok());
    pool.slowed(server, seconds.map(Duration::from_secs), worker);
}

/// Writes the head that `server` gets.
fn write_request(
    client: &Client<'_>,
    mode: &HttpMode,
    pool: &Pool,
    server: &Server,
    peer_trusted: bool,
    heads: &mut Heads,
) {
    let to = ToServer {
        peer: client.peer,
        peer_trusted,
        proto: "http",
        x_forwarded: mode.forwarding.x_forwarded,
        forwarded: mode.forwarding.forwarded,
        drop_underscores: mode.underscores == Underscores::Drop,
        host_if_missing: &server.host,
        close: pool.plan.keep_alive.is_zero(),
    };
    heads.written.clear();
    rewrite::request(&heads.request, &to, &mut heads.written);
}

/// How the wait for a response ended well.
enum Answered {
    Final(Final),
    Tunnel,
}

/// How it did not.
enum Broken {
    /// The client is gone; nobody waits for an answer.
    Client,
    /// The client's request cannot be finished.
    ClientSays(Reason),
    /// The server's connection has ended.
    Server(Failure),
    /// The server's response, or its absence, is to be answered so.
    ServerSays(Reason),
}

/// One try of a request on one connection.
struct OneTry<'t, 'c> {
    client: &'t mut Client<'c>,
    mode: &'t HttpMode,
    pool: &'t Pool,
    upload: &'t mut Upload,
    inbound: &'t mut Buffer,
    outbound: &'t mut Buffer,
}

impl OneTry<'_, '_> {
    /// Sends the request and waits for the final response head, passing interim ones on.
    async fn until_answered(
        &mut self,
        upstream: &mut Upstream,
        heads: &mut Heads,
    ) -> Result<Answered, Broken> {
        // Servers are trusted with as large a head as clients, and with more fields.
        let limits = Limits { headers: MOST_HEADERS, ..self.mode.limits };
        let mut upload_failed = false;
        let mut interim = 0;
        loop {
            let mut scan = HeadScan::default();
            let mut watch = true;
            let Heads { request, response, written, .. } = heads;
            let length = poll_fn(|cx| {
                if !upload_failed && !self.upload.is_done(written.len()) {
                    match self.poll_upload(cx, &mut upstream.stream, written) {
                        Poll::Ready(Err(UploadError::ServerGone)) => upload_failed = true,
                        Poll::Ready(Err(UploadError::ClientGone)) => return Poll::Ready(Err(Broken::Client)),
                        Poll::Ready(Err(UploadError::Bad(reason))) => {
                            return Poll::Ready(Err(Broken::ClientSays(reason)));
                        }
                        Poll::Ready(Ok(())) | Poll::Pending => {}
                    }
                } else if watch && self.client_has_broken(cx, &mut watch) {
                    return Poll::Ready(Err(Broken::Client));
                }
                loop {
                    if !self.outbound.is_empty() {
                        match parse_response(
                            self.outbound.unread(),
                            &mut scan,
                            &limits,
                            request.method,
                            response,
                        ) {
                            Ok(Some(length)) => return Poll::Ready(Ok(length)),
                            Ok(None) if self.outbound.is_full() => {
                                return Poll::Ready(Err(Broken::ServerSays(Reason::BadResponse)));
                            }
                            Ok(None) => {}
                            Err(reason) => return Poll::Ready(Err(Broken::ServerSays(reason))),
                        }
                    }
                    match self.outbound.poll_fill(cx, &mut upstream.stream) {
                        Poll::Ready(Ok(0) | Err(_)) => {
                            return Poll::Ready(Err(Broken::Server(self.failure(interim))));
                        }
                        Poll::Ready(Ok(_)) => {}
                        Poll::Pending => return self.poll_patience(cx).map(Err),
                    }
                }
            })
            .await?;
            self.outbound.consume(length);
            let request_done = self.upload.is_done(written.len());
            match judge(request, response, request_done).map_err(Broken::ServerSays)? {
                Verdict::PassInterim | Verdict::DropInterim if interim >= MOST_INTERIM => {
                    return Err(Broken::ServerSays(Reason::BadResponse));
                }
                Verdict::DropInterim => interim += 1,
                Verdict::PassInterim => {
                    interim += 1;
                    // Its own memory: the request's head may still be on its way.
                    let mut head = Vec::new();
                    let to = ToClient { version: request.version, persistent: true, unwrap_chunks: false };
                    rewrite::response(response, to, &mut head);
                    self.client.alarm.set(self.mode.idle_timeout);
                    self.client.note(|note| note.wrote_head(head.len()));
                    if !refuse::write_all(self.client, &head).await {
                        return Err(Broken::Client);
                    }
                }
                Verdict::Tunnel => return Ok(Answered::Tunnel),
                Verdict::Final(end) => return Ok(Answered::Final(end)),
            }
        }
    }

    /// What the end of the server's connection means at this point.
    fn failure(&self, interim: usize) -> Failure {
        match () {
            () if interim > 0 || !self.outbound.is_empty() => Failure::PartialResponse,
            () if self.upload.has_begun() => Failure::NoResponse,
            () => Failure::NothingSent,
        }
    }

    fn poll_upload(
        &mut self,
        cx: &mut Context<'_>,
        server: &mut Stream,
        head: &[u8],
    ) -> Poll<Result<(), UploadError>> {
        self.upload.poll(cx, &mut self.client.stream, server, head, self.inbound)
    }

    /// Says whether the client has broken its connection while it waits. A client that has only ended its own
    /// direction still gets its answer; one whose next request is waiting is not looked at further.
    fn client_has_broken(&self, cx: &mut Context<'_>, watch: &mut bool) -> bool {
        if self.client.stream.poll_readable(cx).is_pending() {
            return false;
        }
        match self.client.stream.waiting() {
            Waiting::Failure => true,
            Waiting::Bytes | Waiting::End => {
                *watch = false;
                false
            }
            // The readiness was stale; the next event will wake.
            Waiting::Nothing => {
                let _stale = self.client.stream.known_waiting();
                let _registered = self.client.stream.poll_readable(cx);
                false
            }
        }
    }

    /// Ready with what to say when whoever is waited for has taken too long.
    fn poll_patience(&mut self, cx: &mut Context<'_>) -> Poll<Broken> {
        let server = self.upload.moved + self.pool.plan.response_timeout;
        let (deadline, reason) = match self.upload.waits_for {
            Side::Server => (server, Broken::ServerSays(Reason::ResponseTimeout)),
            Side::Client => {
                let idle = self.upload.moved + self.mode.idle_timeout;
                let pace = self.upload.client_deadline(Instant::now());
                (pace.map_or(idle, |pace| pace.min(idle)), Broken::ClientSays(Reason::BodyTooSlow))
            }
        };
        self.client.alarm.set_at(deadline);
        self.client.alarm.poll(cx).map(|()| reason)
    }

    /// Passes the final response on. Says which connections may be used again.
    async fn pass_on(&mut self, upstream: &mut Upstream, heads: &mut Heads, end: Final) -> Kept {
        let Heads { request, response, written, .. } = heads;
        let mut request_done = self.upload.is_done(written.len());
        if request_done {
            self.upload.release(self.inbound);
        }
        let persistent = end.client_persists && request_done && !self.client.counted.is_ending();
        let to = ToClient { version: request.version, persistent, unwrap_chunks: end.unwrap_chunks };
        let mut head = if request_done { std::mem::take(written) } else { Vec::new() };
        head.clear();
        rewrite::response(response, to, &mut head);
        let now = Instant::now();
        self.client.note(|note| {
            note.first_byte = Some(now);
            note.status = response.status;
        });
        let mut late = false;
        let mut download = Download::new(Transfer::new(end.framing, end.unwrap_chunks), now);
        let mut upload_failed = false;
        let joined = download.join_head(&mut head, self.outbound);
        let ended = poll_fn(|cx| {
            joined?;
            if !request_done && !upload_failed {
                match self.poll_upload(cx, &mut upstream.stream, written) {
                    Poll::Ready(Ok(())) => request_done = true,
                    // The response goes on: a server may answer without taking the whole request.
                    Poll::Ready(Err(_)) => upload_failed = true,
                    Poll::Pending => {}
                }
            }
            let stream = &mut self.client.stream;
            match download.poll(cx, stream, &mut upstream.stream, &head, self.outbound) {
                Poll::Ready(ended) => Poll::Ready(ended),
                Poll::Pending => {
                    // A request that still moves is progress too.
                    let moved = download.moved.max(self.upload.moved);
                    let (deadline, gone) = match download.waits_for {
                        Side::Client => (moved + self.mode.idle_timeout, DownloadError::ClientGone),
                        Side::Server => (moved + self.pool.plan.response_timeout, DownloadError::ServerGone),
                    };
                    self.client.alarm.set_at(deadline);
                    self.client.alarm.poll(cx).map(|()| {
                        late = true;
                        Err(gone)
                    })
                }
            }
        })
        .await;
        if written.capacity() < head.capacity() {
            *written = head;
        }
        self.client.note(|note| {
            note.wrote_head(download.head_written());
            note.bytes_out += download.sent();
            note.end = match ended {
                Ok(()) => End::Done,
                Err(_) if late => End::Timeout,
                Err(DownloadError::ClientGone) => End::ClientGone,
                Err(DownloadError::ServerGone) => End::ServerGone,
            };
        });
        let whole = ended.is_ok();
        if ended == Err(DownloadError::ServerGone) {
            // A body that ends with its connection would look complete if the connection ended in order.
            self.client.stream.reset_on_close();
        }
        Kept {
            client: whole && persistent,
            part: whole && !request_done,
            server: whole && request_done && end.server_persists && self.outbound.is_empty(),
            server_failed: ended == Err(DownloadError::ServerGone),
        }
    }
}

/// What is left after an exchange.
struct Kept {
    /// The client's connection may carry another request.
    client: bool,
    /// The client may still be sending and must not be reset while it reads the response.
    part: bool,
    /// The server's connection may carry another request.
    server: bool,
    /// The server broke its response off.
    server_failed: bool,
}

async fn finish(
    client: &mut Client<'_>,
    pool: &Pool,
    server: &Server,
    upstream: Upstream,
    inbound: &Buffer,
    kept: Kept,
) -> Next {
    let worker = client.counted.worker.index;
    let now = Instant::now();
    client.note(|note| note.ended = Some(now));
    if kept.server && !pool.plan.keep_alive.is_zero() {
        server.state.idle.put(worker, upstream.stream, now, pool.plan.max_idle);
    }
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
    inbound: &mut Buffer,
    outbound: &mut Buffer,
    heads: &mut Heads,
) -> Next {
    let to = ToClient { version: heads.request.version, persistent: true, unwrap_chunks: false };
    heads.written.clear();
    rewrite::response(&heads.response, to, &mut heads.written);
    client.alarm.set(mode.idle_timeout);
    let status = heads.response.status;
    let now = Instant::now();
    client.note(|note| {
        note.first_byte = Some(now);
        note.status = status;
        note.wrote_head(heads.written.len());
    });
    if refuse::write_all(client, &heads.written).await {
        let mut server = upstream.stream;
        let streams = (&mut client.stream, &mut server);
        let ended = tunnel::run(streams, (inbound, outbound), &mut client.alarm, mode.tunnel_timeout).await;
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
