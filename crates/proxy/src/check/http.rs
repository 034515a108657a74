//! A check that asks for a path and looks at the status, and possibly at the body, of the answer.

use std::fmt::Write;

use evenkeel_config::plan::HttpProbe;
use evenkeel_http::body::{Body, Run};
use evenkeel_http::head::{HeadScan, Method, ResponseHead, parse_response};
use evenkeel_http::limits::{Limits, MOST_HEADERS};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::probe::{MOST_BYTES, contains};
use crate::stream::Stream;

/// Interim responses (1xx) to one check.
const MOST_INTERIM: usize = 8;

/// Asks over a new connection; `host` stands in for a `host` that is not given.
pub(super) async fn ask(stream: &mut Stream, probe: &HttpProbe, host: &str) -> Result<(), String> {
    let sent = stream.write_all(request(probe, host).as_bytes()).await;
    sent.map_err(|error| format!("the connection broke while the request was sent: {error}"))?;
    let mut answer = Answer::of(stream);
    let head = answer.head(method(&probe.method)).await?;
    let status = head.status;
    if !probe.statuses.iter().any(|&(first, last)| (first..=last).contains(&status)) {
        return Err(format!("it answered {status} to {} {}", probe.method, probe.target));
    }
    match &probe.body {
        None => Ok(()),
        Some(text) => answer.body_with(text, &head).await,
    }
}

fn request(probe: &HttpProbe, host: &str) -> String {
    let HttpProbe { method, target, .. } = probe;
    let host = probe.host.as_deref().unwrap_or(host);
    let mut text = format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
    if !probe.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("user-agent")) {
        text.push_str("User-Agent: Evenkeel health check\r\n");
    }
    for (name, value) in &probe.headers {
        let _never_fails = write!(text, "{name}: {value}\r\n");
    }
    text.push_str("\r\n");
    text
}

/// What matters to the framing of the answer.
fn method(name: &str) -> Method {
    if name == "HEAD" { Method::Head } else { Method::Get }
}

/// What has come of an answer.
pub(super) struct Answer<'a> {
    stream: &'a mut Stream,
    bytes: Vec<u8>,
}

impl<'a> Answer<'a> {
    pub(super) fn of(stream: &'a mut Stream) -> Self {
        Self { stream, bytes: Vec::new() }
    }

    /// Reads more; `false` at the end.
    async fn more(&mut self) -> Result<bool, String> {
        let mut piece = [0; 4096];
        let count = self
            .stream
            .read(&mut piece)
            .await
            .map_err(|error| format!("the connection broke before the whole answer: {error}"))?;
        self.bytes.extend_from_slice(piece.get(..count).unwrap_or_default());
        Ok(count > 0)
    }

    /// The final head; what is left in `bytes` comes after it.
    pub(super) async fn head(&mut self, method: Method) -> Result<ResponseHead, String> {
        let limits = Limits { headers: MOST_HEADERS, ..Limits::default() };
        let mut head = ResponseHead::default();
        for _ in 0..=MOST_INTERIM {
            let mut scan = HeadScan::default();
            let length = loop {
                let parsed = parse_response(&self.bytes, &mut scan, &limits, method, &mut head);
                match parsed.map_err(|_| "its answer could not be understood".to_owned())? {
                    Some(length) => break length,
                    None if self.more().await? => {}
                    None => return Err("the server ended the connection before it answered".into()),
                }
            };
            self.bytes.drain(..length);
            if !head.is_interim() {
                return Ok(head);
            }
        }
        Err("it sent too many interim answers".into())
    }

    /// All of its content, which may not be long.
    pub(super) async fn content(&mut self, head: &ResponseHead) -> Result<Vec<u8>, String> {
        let mut body = Body::new(head.framing);
        let mut content = Vec::new();
        loop {
            match body.read(&self.bytes).map_err(|_| "its body could not be understood".to_owned())? {
                Run::Payload(count) => content.extend(self.bytes.drain(..count)),
                Run::Framing(count) => drop(self.bytes.drain(..count)),
                Run::End => return Ok(content),
                Run::NeedMore if self.more().await? => {}
                Run::NeedMore if body.ends_with_connection() => return Ok(content),
                Run::NeedMore => return Err("the server ended the connection within its answer".into()),
            }
            if content.len() > MOST_BYTES {
                return Err("its answer is too long".into());
            }
        }
    }

    async fn body_with(&mut self, text: &str, head: &ResponseHead) -> Result<(), String> {
        let mut body = Body::new(head.framing);
        let mut content = Vec::new();
        loop {
            let run = body.read(&self.bytes).map_err(|_| "its body could not be understood".to_owned())?;
            let ended = match run {
                Run::Payload(count) => {
                    content.extend(self.bytes.drain(..count));
                    false
                }
                Run::Framing(count) => {
                    self.bytes.drain(..count);
                    false
                }
                Run::NeedMore => !self.more().await?,
                Run::End => true,
            };
            if contains(&content, text) {
                return Ok(());
            }
            if ended || content.len() > MOST_BYTES {
                return Err(format!("its answer {} does not have the text of `body`", head.status));
            }
        }
    }
}
