//! `/v1/events`: what happened and what happens, as server-sent events.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use http_body_util::channel::{Channel, Sender};
use hyper::body::Bytes;
use utoipa::ToSchema;

use super::body::{self, Query};
use crate::desk::Desk;
use crate::message::Event;
use crate::problem::Problem;

/// Streams at once; further ones are answered 503.
const MOST_STREAMS: usize = 16;
/// How long one stream lasts, less than a connection may. A browser comes back by itself and misses nothing.
const LONGEST_STREAM: Duration = Duration::from_secs(280);
/// Something is sent at least this often, so that a reader that is gone is noticed.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Events in the way of one reader.
const MOST_UNSENT: usize = 8;

static STREAMS: AtomicUsize = AtomicUsize::new(0);

/// A place among the streams.
struct Place;

impl Place {
    fn take() -> Option<Self> {
        let more = |streams| (streams < MOST_STREAMS).then_some(streams + 1);
        STREAMS.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok().map(|_| Self)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        STREAMS.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One server-sent event
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "it is for the document: `frame` writes the text")]
pub(crate) struct Sent {
    /// The id of the event, for `Last-Event-ID`; `gap` has none.
    id: Option<String>,
    /// Its kind, or `gap`: events are missing here.
    event: Option<String>,
    /// An `Event` as JSON; with `gap` an object with `what`.
    #[schema(content_media_type = "application/json")]
    data: Option<String>,
    /// Milliseconds after which a client should come back.
    retry: Option<u64>,
}

/// What happened and what happens
///
/// A stream of server-sent events: first those that are kept (the last 1000), then each as it happens. `Last-Event-ID`
/// begins after that event; when some in between are not kept any more, an event `gap` says so. The stream ends after
/// some minutes: come back with the last id, as browsers do.
#[utoipa::path(
    get, path = "/v1/events", tag = "events",
    params(
        ("follow" = Option<bool>, Query, description = "`false` ends the stream after the events that are kept"),
        ("last-event-id" = Option<u64>, Header, description = "Begin after this event"),
    ),
    responses(
        (status = 200, description = "A stream of server-sent events", content_type = "text/event-stream", body = Sent),
        (status = 400, description = "The id or the query is wrong", content_type = "application/problem+json", body = Problem),
    )
)]
pub(super) async fn stream(
    State(desk): State<Desk>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let query = Query::read(query.as_deref(), &["follow"])?;
    let follow = match query.value("follow") {
        None | Some("true") => true,
        Some("false") => false,
        Some(_) => return Err(body::wrong("`follow` is `true` or `false`")),
    };
    let seen = match headers.get("last-event-id") {
        None => None,
        Some(id) => {
            let id = id.to_str().ok().and_then(|id| id.trim().parse::<i64>().ok());
            let id = id.and_then(|id| u64::try_from(id).ok());
            Some(
                id.ok_or_else(|| body::wrong("`Last-Event-ID` is the number of an event, as its `id` says"))?,
            )
        }
    };
    let Some(place) = Place::take() else {
        let what = format!("{MOST_STREAMS} streams are open already: close one, or ask with `?follow=false`");
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, what));
    };
    let (sender, channel) = Channel::<Bytes>::new(MOST_UNSENT);
    tokio::spawn(async move {
        let _place = place;
        let _over = tokio::time::timeout(LONGEST_STREAM, write(sender, desk, seen, follow)).await;
    });
    let headers = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, Body::new(channel)).into_response())
}

/// Writes until nothing more comes or nobody reads.
async fn write(mut sender: Sender<Bytes>, desk: Desk, mut seen: Option<u64>, follow: bool) {
    if sender.send_data(Bytes::from_static(b"retry: 1000\n\n")).await.is_err() {
        return;
    }
    loop {
        let next = desk.events().after(seen);
        if next.gap && sender.send_data(Bytes::from_static(GAP)).await.is_err() {
            return;
        }
        for event in next.events {
            seen = Some(event.id);
            if sender.send_data(frame(&event)).await.is_err() {
                return;
            }
        }
        if !follow {
            return;
        }
        match tokio::time::timeout(HEARTBEAT, desk.events().wait(seen)).await {
            Ok(true) => {}
            Ok(false) => return,
            Err(_) => {
                if sender.send_data(Bytes::from_static(b": still here\n\n")).await.is_err() {
                    return;
                }
            }
        }
    }
}

const GAP: &[u8] =
    b"event: gap\ndata: {\"what\":\"events are missing here: they were not kept long enough\"}\n\n";

fn frame(event: &Event) -> Bytes {
    // JSON of one line: serde_json writes no line break outside of strings and escapes those inside.
    let json = serde_json::to_string(event).unwrap_or_default();
    format!("id: {}\nevent: {}\ndata: {json}\n\n", event.id, event.kind.name()).into()
}
