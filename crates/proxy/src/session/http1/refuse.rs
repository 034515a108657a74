//! The answers that the balancer gives itself, and the end of a connection after one.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::Poll;
use std::time::{Duration, SystemTime};

use evenkeel_http::answer::{self, Form, Reason};
use evenkeel_http::grpc;
use evenkeel_http::head::{Method, RequestHead, Version};
use tokio::io::AsyncWrite;

use super::{Client, Next, http_mode};
use crate::access_log::End;
use crate::buffer::Buffer;
use crate::clock;

/// How long a client may take to read the last answer before its connection is cut.
const PARTING: Duration = Duration::from_secs(2);
/// Bytes that are read and thrown away meanwhile. Closing with unread bytes would reset the connection, and the reset
/// can overtake the answer (RFC 9112 §9.6).
const MOST_THROWN_AWAY: usize = 1024 * 1024;

/// Answers and closes. `head` is the request, when its head was understood.
pub(super) async fn and_close(client: &mut Client<'_>, reason: Reason, head: Option<&RequestHead>) -> Next {
    say(client, reason, head, false).await;
    part(client).await;
    Next::Close
}

/// Answers and keeps the connection, if the request allows it. The request's body must be out of the way.
pub(super) async fn and_go_on(
    client: &mut Client<'_>,
    reason: Reason,
    inbound: &Buffer,
    head: &RequestHead,
) -> Next {
    if reason.ends_connection() || !head.persistent || !client.may_stay(inbound) {
        return and_close(client, reason, Some(head)).await;
    }
    if say(client, reason, Some(head), true).await { Next::Another } else { Next::Close }
}

async fn say(client: &mut Client<'_>, reason: Reason, head: Option<&RequestHead>, persistent: bool) -> bool {
    client.counted.slot.counters.of(client.counted.worker.index).refused_total.add(1);
    tracing::debug!(listener = %client.counted.slot.name, code = reason.code(), "answered ourselves");
    let date = httpdate::fmt_http_date(SystemTime::now());
    let mut fields = Vec::new();
    if let Some(head) = head.filter(|_| reason == Reason::RedirectToHttps) {
        answer::https_location(head.host(), head.target(), &mut fields);
    }
    let hsts = http_mode(&client.counted.slot.current.load()).and_then(|mode| mode.hsts);
    if let Some(hsts) = hsts.filter(|_| client.is_secure()) {
        hsts.write(&mut fields);
    }
    let form = Form {
        date: &date,
        version: head.map_or(Version::Http11, |head| head.version),
        persistent,
        head_only: head.is_some_and(|head| head.method == Method::Head),
        fields: &fields,
    };
    let call = head.is_some_and(grpc::is_call);
    let mut out = Vec::new();
    if call {
        answer::write_to_call(reason, form, &mut out);
    } else {
        answer::write(reason, form, &mut out);
    }
    client.alarm.set(PARTING);
    let written = write_all(client, &out).await;
    client.note(|note| {
        note.reason = Some(reason);
        note.status = if call { 200 } else { reason.status().0 };
        note.grpc_status = call.then(|| grpc::Status::of(reason));
        note.ended = Some(clock::now());
        if written {
            note.wrote_head(out.len());
        } else {
            note.end = End::ClientGone;
        }
    });
    written
}

/// Writes everything before the alarm; says whether it could.
pub(super) async fn write_all(client: &mut Client<'_>, mut bytes: &[u8]) -> bool {
    poll_fn(|cx| {
        while !bytes.is_empty() {
            match Pin::new(&mut client.stream).poll_write(cx, bytes) {
                Poll::Ready(Ok(count)) => bytes = bytes.get(count..).unwrap_or_default(),
                Poll::Ready(Err(_)) => return Poll::Ready(false),
                Poll::Pending => return client.alarm.poll(cx).map(|()| false),
            }
        }
        Poll::Ready(true)
    })
    .await
}

/// Ends our direction and waits a little for the client to end its own.
pub(super) async fn part(client: &mut Client<'_>) {
    if !client.stream.is_reusable() {
        // Its end is no reset of what it was sent.
        return;
    }
    client.alarm.set(PARTING);
    let mut thrown_away = 0;
    let mut buffer = Buffer::of_size(0);
    let _ended: io::Result<()> = poll_fn(|cx| {
        if thrown_away == 0 && buffer.is_empty() {
            let _shut = Pin::new(&mut client.stream).poll_shutdown(cx);
        }
        loop {
            match buffer.poll_fill(cx, client.stream) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Ok(())),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Ready(Ok(count)) => {
                    buffer.consume(count);
                    thrown_away += count;
                    if thrown_away > MOST_THROWN_AWAY {
                        return Poll::Ready(Ok(()));
                    }
                }
                Poll::Pending => return client.alarm.poll(cx).map(Ok),
            }
        }
    })
    .await;
}
