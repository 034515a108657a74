//! One try of a request on one connection: send it, wait for the response head, pass the response on.
//!
//! Invariant: once a byte of the final response was passed on, nothing is decided any more but how the connections end.

use std::future::poll_fn;
use std::task::{Context, Poll, ready};

use evenkeel_config::plan::HttpMode;
use evenkeel_http::answer::Reason;
use evenkeel_http::head::{HeadScan, parse_response};
use evenkeel_http::limits::{Limits, MOST_HEADERS};
use evenkeel_http::machine::exchange::{Final, Verdict, judge};
use evenkeel_http::machine::transfer::Transfer;
use evenkeel_http::rewrite::{self, OwnCookie, ToClient};
use evenkeel_traffic::retry::Failure;
use tokio::time::Instant;

use super::download::{Download, DownloadError};
use super::heads::Heads;
use super::patience::Patience;
use super::upload::{Side, Upload, UploadError};
use super::{Client, refuse};
use crate::access_log::End;
use crate::buffer::Buffer;
use crate::clock;
use crate::stream::{Stream, Waiting};
use crate::table::Pool;
use crate::translated::{Translated, Trouble};
use crate::upstream::Upstream;

/// Interim responses (1xx) to one request; more are no answer but a leak.
const MOST_INTERIM: usize = 32;

/// How the wait for a response ended well.
pub(super) enum Answered {
    Final(Final),
    Tunnel,
}

/// How it did not.
pub(super) enum Broken {
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
pub(super) struct OneTry<'t, 'c> {
    pub(super) client: &'t mut Client<'c>,
    pub(super) mode: &'t HttpMode,
    pub(super) pool: &'t Pool,
    pub(super) upload: &'t mut Upload,
    pub(super) inbound: &'t mut Buffer,
    pub(super) outbound: &'t mut Buffer,
}

impl OneTry<'_, '_> {
    /// Sends the request and waits for the final response head, passing interim ones on.
    pub(super) async fn until_answered(
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
                            return Poll::Ready(Err(self.broken(upstream, interim)));
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
                    let to = ToClient {
                        version: request.version,
                        persistent: true,
                        unwrap_chunks: false,
                        own_cookie: None,
                        hsts: None,
                    };
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

    /// What it means that nothing more comes from the server, which may have said so.
    fn broken(&self, upstream: &Upstream, interim: usize) -> Broken {
        match upstream.stream.translated().and_then(Translated::trouble) {
            Some(Trouble::Request(reason)) => Broken::ClientSays(reason),
            Some(Trouble::Response(reason)) => Broken::ServerSays(reason),
            Some(Trouble::NothingDone) if interim == 0 && self.outbound.is_empty() => {
                Broken::Server(Failure::NothingSent)
            }
            Some(Trouble::NothingDone) | None => Broken::Server(self.failure(interim)),
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
        self.upload.poll(cx, self.client.stream, server, head, self.inbound)
    }

    /// Says whether the client has broken its connection while it waits. A client that has only ended its own
    /// direction still gets its answer; one whose next request is waiting is not looked at further.
    fn client_has_broken(&self, cx: &mut Context<'_>, watch: &mut bool) -> bool {
        match self.client.stream.poll_peek(cx) {
            Poll::Pending => false,
            Poll::Ready(found) => {
                *watch = false;
                found == Waiting::Failure
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
                let pace = self.upload.client_deadline(clock::now());
                (pace.map_or(idle, |pace| pace.min(idle)), Broken::ClientSays(Reason::BodyTooSlow))
            }
        };
        self.client.alarm.set_at(deadline);
        self.client.alarm.poll(cx).map(|()| reason)
    }

    /// Passes the final response on. Says which connections may be used again.
    pub(super) async fn pass_on(
        &mut self,
        upstream: &mut Upstream,
        heads: &mut Heads,
        end: Final,
        own_cookie: Option<OwnCookie<'_>>,
    ) -> Kept {
        let Heads { request, response, written, .. } = heads;
        let mut request_done = self.upload.is_done(written.len());
        if request_done {
            self.upload.release(self.inbound);
        }
        let persistent = end.client_persists && request_done && self.client.may_stay(self.inbound);
        let unwrap_chunks = end.unwrap_chunks;
        let hsts = self.mode.hsts.filter(|_| self.client.is_secure());
        let to = ToClient { version: request.version, persistent, unwrap_chunks, own_cookie, hsts };
        let mut head = if request_done { std::mem::take(written) } else { Vec::new() };
        head.clear();
        rewrite::response(response, to, &mut head);
        let now = clock::now();
        self.client.note(|note| {
            note.first_byte = Some(now);
            note.status = response.status;
        });
        let mut late = false;
        let transfer = Transfer::new(end.framing, end.unwrap_chunks);
        let mut download = Download::new(transfer, upstream.reused, now);
        let mut patience = Patience::new(self.mode.min_response_rate, self.mode.idle_timeout, now);
        let mut upload_failed = false;
        let joined = download.join_head(&mut head, self.outbound, persistent);
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
                // On a connection with others nothing else tells that nobody wants the rest, while the server is silent.
                Poll::Pending if stream.is_given_up(cx) => Poll::Ready(Err(DownloadError::ClientGone)),
                Poll::Pending => {
                    // A request that still moves is progress too.
                    let total = download.taken() + self.upload.received;
                    loop {
                        let now = clock::now();
                        let (deadline, gone) = match download.waits_for {
                            Side::Client => (patience.ends(stream, total, now), DownloadError::ClientGone),
                            Side::Server => {
                                patience.rests(stream, total, now);
                                let moved = download.moved.max(self.upload.moved);
                                (moved + self.pool.plan.response_timeout, DownloadError::ServerGone)
                            }
                        };
                        self.client.alarm.set_at(deadline);
                        ready!(self.client.alarm.poll(cx));
                        let is_client = download.waits_for == Side::Client;
                        if !(is_client && patience.goes_on(stream, Instant::now())) {
                            late = true;
                            return Poll::Ready(Err(gone));
                        }
                    }
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
                Err(DownloadError::ClientGone) if late => End::ClientSlow,
                Err(DownloadError::ServerGone) if late => End::Timeout,
                Err(DownloadError::ClientGone) => End::ClientGone,
                Err(DownloadError::ServerGone) => End::ServerGone,
            };
        });
        if late && ended == Err(DownloadError::ClientGone) {
            let counted = self.client.counted;
            counted.slot.counters.of(counted.worker.index).slow_readers_total.add(1);
            tracing::debug!(listener = %counted.slot.name, "a response is broken off: its client is too slow");
            // What lies in the kernel for it would stay there for minutes.
            self.client.stream.abandon();
        }
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
pub(super) struct Kept {
    /// The client's connection may carry another request.
    pub(super) client: bool,
    /// The client may still be sending and must not be reset while it reads the response.
    pub(super) part: bool,
    /// The server's connection may carry another request.
    pub(super) server: bool,
    /// The server broke its response off.
    pub(super) server_failed: bool,
}
