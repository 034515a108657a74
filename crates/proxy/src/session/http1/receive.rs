//! Reads the head of the next request.

use std::future::poll_fn;
use std::task::Poll;

use evenkeel_config::plan::{HttpMode, Underscores};
use evenkeel_http::answer::Reason;
use evenkeel_http::head::{HeadScan, Known, RequestHead, parse_request};

use super::linger::Place;
use super::{Client, LINGER};
use crate::buffer::Buffer;
use crate::clock;

/// How the wait for a head ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Received {
    /// The head is parsed and taken from the buffer.
    Head,
    /// No byte came for a while, or too many others wait for theirs in the same way.
    Nothing,
    /// The client has ended or broken the connection, or the connection is to end.
    End,
    /// What came is to be refused.
    Bad(Reason),
}

enum Wake {
    Read(usize),
    Broken,
    Late,
}

/// Reads until a whole head is there. `header-timeout` counts from the first byte.
pub(super) async fn request(
    client: &mut Client<'_>,
    mode: &HttpMode,
    inbound: &mut Buffer,
    head: &mut RequestHead,
) -> Received {
    let mut scan = HeadScan::default();
    let mut begun = false;
    let mut place = None;
    loop {
        if !inbound.is_empty() {
            match parse_request(inbound.unread(), &mut scan, &mode.limits, head) {
                Ok(Some(length)) => {
                    inbound.consume(length);
                    return accept(mode, head);
                }
                Ok(None) if inbound.is_full() => return Received::Bad(Reason::HeadTooLarge),
                Ok(None) => {}
                Err(reason) => return Received::Bad(reason),
            }
        }
        if !begun {
            begun = !inbound.is_empty();
            let now = clock::now();
            let quiet = (now + LINGER).min(client.quiet_until);
            client.alarm.set_at(if begun { now + mode.header_timeout } else { quiet });
        }
        let wake = poll_fn(|cx| {
            if let Poll::Ready(read) = inbound.poll_fill(cx, client.stream) {
                return Poll::Ready(read.map_or(Wake::Broken, Wake::Read));
            }
            if !begun && place.is_none() && client.stream.is_reusable() {
                place = Place::take();
                if place.is_none() {
                    return Poll::Ready(Wake::Late);
                }
            }
            client.alarm.poll(cx).map(|()| Wake::Late)
        })
        .await;
        match wake {
            Wake::Read(0) | Wake::Broken => return Received::End,
            Wake::Read(_) => {}
            Wake::Late if begun => return Received::Bad(Reason::HeaderTimeout),
            Wake::Late => return Received::Nothing,
        }
    }
}

/// What the grammar allows and the listener does not.
fn accept(mode: &HttpMode, head: &RequestHead) -> Received {
    let refused = mode.underscores == Underscores::Refuse
        && head.fields.list().iter().any(|field| field.known == Known::Underscore);
    if refused { Received::Bad(Reason::UnderscoreHeader) } else { Received::Head }
}
