//! One line of an access log, in each format.
//!
//! Invariants: a line is printable ASCII and ends with its only LF; what a client chose stands between quotes and
//! can hold neither a quote nor a backslash nor a control character that is not escaped; no line is longer than
//! [`MOST_LINE`].

use std::io::Write;
use std::net::IpAddr;
use std::time::Duration;

use evenkeel_config::plan::LogFormat;
use evenkeel_http::head::Version;

use super::stamp::Stamp;

/// The longest line, in bytes: the bounds below, each byte escaped to six, and the fields that have bounds of their own.
pub(super) const MOST_LINE: usize = 64 * 1024;
/// Bytes of a request's method that are logged; what is cut off is shown as `...`, here and below.
const MOST_METHOD: usize = 32;
/// Bytes of a request's target that are logged.
const MOST_TARGET: usize = 8 * 1024;
/// Bytes of a request's host that are logged.
const MOST_HOST: usize = 255;
/// Bytes of the referer, and of the user agent, that are logged.
const MOST_FIELD: usize = 1024;

/// How a request or connection ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum End {
    /// As it should: the client has got all there was.
    #[default]
    Done,
    /// The client left before.
    ClientGone,
    /// The server broke off within its response.
    ServerGone,
    /// The client took nothing of the response for too long, or too little.
    ClientSlow,
    /// Somebody was waited for too long after the answer had begun.
    Timeout,
}

impl End {
    /// The stable word for it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::ClientGone => "client-gone",
            Self::ServerGone => "server-gone",
            Self::ClientSlow => "client-slow",
            Self::Timeout => "timeout",
        }
    }
}

/// What a line tells.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts<'a> {
    pub(crate) listener: &'a str,
    /// Who asks; `None` on a unix socket.
    pub(crate) client: Option<IpAddr>,
    /// Who is connected, when that is somebody else: a trusted proxy.
    pub(crate) peer: Option<IpAddr>,
    /// `None` for a TCP connection.
    pub(crate) http: Option<Http<'a>>,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    pub(crate) pool: Option<&'a str>,
    pub(crate) server: Option<&'a str>,
    pub(crate) retries: u32,
    pub(crate) queue: Duration,
    pub(crate) connect: Duration,
    /// From the start to the first byte of the server's answer.
    pub(crate) first_byte: Option<Duration>,
    pub(crate) total: Duration,
    /// Why we answered or refused ourselves.
    pub(crate) reason: Option<&'static str>,
    /// What a call of gRPC has come to.
    pub(crate) grpc_status: Option<&'static str>,
    pub(crate) end: End,
}

/// What only requests have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Http<'a> {
    /// What was asked; `None` when the head was not understood.
    pub(crate) asked: Option<Asked<'a>>,
    /// 0 when no answer was begun.
    pub(crate) status: u16,
    /// Bytes of `bytes_out` that are heads.
    pub(crate) head_out: u64,
}

/// What a client asked for, as it sent it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) method: &'a [u8],
    pub(crate) target: &'a [u8],
    pub(crate) host: &'a [u8],
    pub(crate) version: Version,
    /// It came over HTTP/2.
    pub(crate) http2: bool,
    pub(crate) referer: Option<&'a [u8]>,
    pub(crate) user_agent: Option<&'a [u8]>,
}

impl Asked<'_> {
    fn version(&self) -> &'static [u8] {
        match self.version {
            _ if self.http2 => b"HTTP/2.0",
            Version::Http10 => b"HTTP/1.0",
            Version::Http11 => b"HTTP/1.1",
        }
    }
}

/// Appends the line.
pub(super) fn write(format: LogFormat, facts: &Facts<'_>, stamp: &Stamp, out: &mut Vec<u8>) {
    match format {
        LogFormat::Json => json(facts, stamp, out),
        LogFormat::Common => common(facts, stamp, false, out),
        LogFormat::Combined => common(facts, stamp, true, out),
    }
    out.push(b'\n');
}

fn json(facts: &Facts<'_>, stamp: &Stamp, out: &mut Vec<u8>) {
    let (second, micros) = stamp.iso();
    put(out, &[b"{\"time\":\"", second.as_bytes(), b"."]);
    padded(out, micros, 6);
    put(out, &[b"Z\",\"listener\":\"", facts.listener.as_bytes(), b"\",\"client\":\""]);
    address(out, facts.client, b"unix");
    if let Some(peer) = facts.peer {
        put(out, &[b"\",\"peer\":\""]);
        address(out, Some(peer), b"");
    }
    out.push(b'"');
    if let Some(http) = &facts.http {
        if let Some(asked) = &http.asked {
            text(out, b",\"method\":\"", asked.method, MOST_METHOD);
            text(out, b",\"target\":\"", asked.target, MOST_TARGET);
            text(out, b",\"host\":\"", asked.host, MOST_HOST);
            put(out, &[b",\"version\":\"", asked.version(), b"\""]);
        }
        if http.status > 0 {
            number(out, b",\"status\":", http.status.into());
        }
    }
    number(out, b",\"bytes_in\":", facts.bytes_in);
    number(out, b",\"bytes_out\":", facts.bytes_out);
    if let Some(pool) = facts.pool {
        put(out, &[b",\"pool\":\"", pool.as_bytes(), b"\""]);
    }
    if let Some(server) = facts.server {
        put(out, &[b",\"server\":\"", server.as_bytes(), b"\""]);
    }
    number(out, b",\"retries\":", facts.retries.into());
    millis(out, b",\"queue_ms\":", facts.queue);
    millis(out, b",\"connect_ms\":", facts.connect);
    if let Some(first_byte) = facts.first_byte {
        millis(out, b",\"first_byte_ms\":", first_byte);
    }
    millis(out, b",\"total_ms\":", facts.total);
    if let Some(reason) = facts.reason {
        put(out, &[b",\"reason\":\"", reason.as_bytes(), b"\""]);
    }
    if let Some(status) = facts.grpc_status {
        put(out, &[b",\"grpc_status\":\"", status.as_bytes(), b"\""]);
    }
    put(out, &[b",\"end\":\"", facts.end.word().as_bytes(), b"\""]);
    if let Some(asked) = facts.http.as_ref().and_then(|http| http.asked.as_ref()) {
        if let Some(referer) = asked.referer {
            text(out, b",\"referer\":\"", referer, MOST_FIELD);
        }
        if let Some(agent) = asked.user_agent {
            text(out, b",\"user_agent\":\"", agent, MOST_FIELD);
        }
    }
    out.push(b'}');
}

fn text(out: &mut Vec<u8>, before: &[u8], bytes: &[u8], most: usize) {
    out.extend_from_slice(before);
    escaped(out, bytes, most, |out, byte| match byte {
        b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
        _ => {
            out.extend_from_slice(b"\\u00");
            hex(out, byte);
        }
    });
    out.push(b'"');
}

fn common(facts: &Facts<'_>, stamp: &Stamp, combined: bool, out: &mut Vec<u8>) {
    address(out, facts.client, b"-");
    put(out, &[b" - - [", stamp.common().as_bytes(), b"] "]);
    let asked = facts.http.as_ref().and_then(|http| http.asked.as_ref());
    match (&facts.http, asked) {
        (_, Some(asked)) => {
            quoted(out, b"\"", asked.method, MOST_METHOD, b" ");
            quoted(out, b"", asked.target, MOST_TARGET, b" ");
            put(out, &[asked.version(), b"\" "]);
        }
        (Some(_), None) => put(out, &[b"\"-\" "]),
        (None, _) => put(out, &[b"\"TCP\" "]),
    }
    let (status, heads) = facts.http.as_ref().map_or((0, 0), |http| (http.status, http.head_out));
    if status > 0 {
        number(out, b"", status.into());
    } else {
        out.push(b'-');
    }
    match facts.bytes_out.saturating_sub(heads) {
        0 => put(out, &[b" -"]),
        body => number(out, b" ", body),
    }
    if combined {
        let dash: &[u8] = b"-";
        quoted(out, b" \"", asked.and_then(|asked| asked.referer).unwrap_or(dash), MOST_FIELD, b"\"");
        quoted(out, b" \"", asked.and_then(|asked| asked.user_agent).unwrap_or(dash), MOST_FIELD, b"\"");
    }
}

fn quoted(out: &mut Vec<u8>, before: &[u8], bytes: &[u8], most: usize, after: &[u8]) {
    out.extend_from_slice(before);
    escaped(out, bytes, most, |out, byte| match byte {
        b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
        _ => {
            out.extend_from_slice(b"\\x");
            hex(out, byte);
        }
    });
    out.extend_from_slice(after);
}

/// Appends at most `most` bytes; those that are no printable ASCII, quotes and backslashes as `escape` writes them.
fn escaped(out: &mut Vec<u8>, bytes: &[u8], most: usize, escape: impl Fn(&mut Vec<u8>, u8)) {
    let mut rest = &bytes[..bytes.len().min(most)];
    while let Some(at) = rest.iter().position(|&byte| !is_plain(byte)) {
        out.extend_from_slice(&rest[..at]);
        escape(out, rest[at]);
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    if bytes.len() > most {
        out.extend_from_slice(b"...");
    }
}

fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\'
}

fn hex(out: &mut Vec<u8>, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.extend_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
}

fn put(out: &mut Vec<u8>, parts: &[&[u8]]) {
    for part in parts {
        out.extend_from_slice(part);
    }
}

fn address(out: &mut Vec<u8>, address: Option<IpAddr>, none: &[u8]) {
    match address {
        // Writing to a vector cannot fail.
        Some(address) => drop(write!(out, "{address}")),
        None => out.extend_from_slice(none),
    }
}

fn number(out: &mut Vec<u8>, before: &[u8], number: u64) {
    out.extend_from_slice(before);
    digits(out, number, 1);
}

/// Milliseconds with three decimals: microseconds.
fn millis(out: &mut Vec<u8>, before: &[u8], duration: Duration) {
    out.extend_from_slice(before);
    let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    digits(out, micros / 1000, 1);
    out.push(b'.');
    digits(out, micros % 1000, 3);
}

fn padded(out: &mut Vec<u8>, number: u32, width: usize) {
    digits(out, number.into(), width);
}

/// Decimal digits, at least `width` of them, at most 20.
fn digits(out: &mut Vec<u8>, mut number: u64, width: usize) {
    let mut text = [b'0'; 20];
    let mut at = text.len();
    while number > 0 && at > 0 {
        at -= 1;
        text[at] = b"0123456789"[(number % 10) as usize];
        number /= 10;
    }
    out.extend_from_slice(&text[at.min(text.len() - width.min(text.len()))..]);
}

#[cfg(test)]
#[path = "line/tests.rs"]
mod tests;
