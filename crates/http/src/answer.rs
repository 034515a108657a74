//! The answers that the balancer gives itself, each with a stable reason code.
//!
//! The code is for machines and log searches and never changes; the sentence is for the person who reads it. Both
//! are in `docs/guide/answers.md`. Invariant: an answer tells nothing that came from the client's bytes, but the
//! address that a redirection repeats.

use crate::grpc;
use crate::head::Version;

/// Why the balancer answered by itself instead of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// The request line or a header line breaks the grammar.
    BadRequest,
    /// A line ends with LF alone.
    BadLineEnd,
    /// The length of the body is said twice, differently, or in a way that could be read in two ways.
    BadFraming,
    /// A chunk of the body breaks the grammar.
    BadChunk,
    /// `Host` is missing, repeated, malformed, or differs from the target's authority.
    BadHost,
    /// A field name holds `_` and the listener refuses such fields.
    UnderscoreHeader,
    /// The target is longer than the limit.
    TargetTooLong,
    /// The head is longer than the limit.
    HeadTooLarge,
    /// The head has more fields than the limit.
    TooManyHeaders,
    /// A transfer coding other than `chunked`.
    UnknownTransferCoding,
    /// `CONNECT` was asked for; this is no forward proxy.
    ConnectRefused,
    /// A version other than HTTP/1.0 and HTTP/1.1.
    UnknownVersion,
    /// The head did not arrive in time.
    HeaderTimeout,
    /// The body came slower than the minimum rate.
    BodyTooSlow,
    /// The listener sends clients to `https`.
    RedirectToHttps,
    /// No rule of the listener takes the request and it has no pool of its own.
    NoRoute,
    /// No server of the pool may take traffic, or none could be connected to.
    NoServer,
    /// The health checks of all servers of the pool fail.
    NoHealthyServer,
    /// All servers of the pool are at their `max-connections`, and as many wait as may.
    QueueFull,
    /// All servers of the pool were at their `max-connections` for longer than the request may wait.
    QueueTimeout,
    /// The certificate of the server does not hold.
    ServerUnverified,
    /// The server did not shake hands as TLS wants it.
    ServerHandshake,
    /// The server closed or reset the connection before it had answered.
    ServerClosed,
    /// The server's response breaks the grammar or the limits.
    BadResponse,
    /// The server did not answer in time.
    ResponseTimeout,
    /// The server is spoken to with HTTP/2 and does not take the change of protocol that the request asks for.
    UpgradeRefused,
}

impl Reason {
    /// Every reason, for tables and documentation.
    pub const ALL: [Self; 26] = [
        Self::BadRequest,
        Self::BadLineEnd,
        Self::BadFraming,
        Self::BadChunk,
        Self::BadHost,
        Self::UnderscoreHeader,
        Self::TargetTooLong,
        Self::HeadTooLarge,
        Self::TooManyHeaders,
        Self::UnknownTransferCoding,
        Self::ConnectRefused,
        Self::UnknownVersion,
        Self::HeaderTimeout,
        Self::BodyTooSlow,
        Self::RedirectToHttps,
        Self::NoRoute,
        Self::NoServer,
        Self::NoHealthyServer,
        Self::QueueFull,
        Self::QueueTimeout,
        Self::ServerUnverified,
        Self::ServerHandshake,
        Self::ServerClosed,
        Self::BadResponse,
        Self::ResponseTimeout,
        Self::UpgradeRefused,
    ];

    /// Status code and phrase of the answer.
    #[must_use]
    pub fn status(self) -> (u16, &'static str) {
        match self {
            Self::BadRequest
            | Self::BadLineEnd
            | Self::BadFraming
            | Self::BadChunk
            | Self::BadHost
            | Self::UnderscoreHeader => (400, "Bad Request"),
            Self::RedirectToHttps => (308, "Permanent Redirect"),
            Self::NoRoute => (404, "Not Found"),
            Self::HeaderTimeout | Self::BodyTooSlow => (408, "Request Timeout"),
            Self::TargetTooLong => (414, "URI Too Long"),
            Self::HeadTooLarge | Self::TooManyHeaders => (431, "Request Header Fields Too Large"),
            Self::UnknownTransferCoding | Self::ConnectRefused | Self::UpgradeRefused => {
                (501, "Not Implemented")
            }
            Self::ServerUnverified | Self::ServerHandshake | Self::ServerClosed | Self::BadResponse => {
                (502, "Bad Gateway")
            }
            Self::NoServer | Self::NoHealthyServer | Self::QueueFull | Self::QueueTimeout => {
                (503, "Service Unavailable")
            }
            Self::ResponseTimeout => (504, "Gateway Timeout"),
            Self::UnknownVersion => (505, "HTTP Version Not Supported"),
        }
    }

    /// The stable code, sent as `Evenkeel-Reason`.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::BadRequest => "bad-request",
            Self::BadLineEnd => "bad-line-end",
            Self::BadFraming => "bad-framing",
            Self::BadChunk => "bad-chunk",
            Self::BadHost => "bad-host",
            Self::UnderscoreHeader => "underscore-header",
            Self::TargetTooLong => "target-too-long",
            Self::HeadTooLarge => "head-too-large",
            Self::TooManyHeaders => "too-many-headers",
            Self::UnknownTransferCoding => "unknown-transfer-coding",
            Self::ConnectRefused => "connect-refused",
            Self::UnknownVersion => "unknown-version",
            Self::HeaderTimeout => "header-timeout",
            Self::BodyTooSlow => "body-too-slow",
            Self::RedirectToHttps => "redirect-to-https",
            Self::NoRoute => "no-route",
            Self::NoServer => "no-server",
            Self::NoHealthyServer => "no-healthy-server",
            Self::QueueFull => "queue-full",
            Self::QueueTimeout => "queue-timeout",
            Self::ServerUnverified => "server-unverified",
            Self::ServerHandshake => "server-handshake",
            Self::ServerClosed => "server-closed",
            Self::BadResponse => "bad-response",
            Self::ResponseTimeout => "response-timeout",
            Self::UpgradeRefused => "upgrade-refused",
        }
    }

    /// One sentence for the person who sees the answer.
    #[must_use]
    pub fn sentence(self) -> &'static str {
        match self {
            Self::BadRequest => "The request breaks the grammar of HTTP/1.",
            Self::BadLineEnd => "A line of the request does not end with CR LF.",
            Self::BadFraming => "The length of the request's body is not clear.",
            Self::BadChunk => "A chunk of the request's body breaks the grammar.",
            Self::BadHost => "The Host header is missing, repeated, malformed or contradicts the target.",
            Self::UnderscoreHeader => "Header names with an underscore are refused here.",
            Self::TargetTooLong => "The target of the request is too long.",
            Self::HeadTooLarge => "The head of the request is too large.",
            Self::TooManyHeaders => "The request has too many header fields.",
            Self::UnknownTransferCoding => "The only transfer coding known here is chunked.",
            Self::ConnectRefused => "CONNECT is refused: this is no forward proxy.",
            Self::UnknownVersion => "Only HTTP/1.0 and HTTP/1.1 are spoken here.",
            Self::HeaderTimeout => "The head of the request did not arrive in time.",
            Self::BodyTooSlow => "The body of the request arrived too slowly.",
            Self::RedirectToHttps => "This address is to be asked for over HTTPS.",
            Self::NoRoute => "No route takes this request.",
            Self::NoServer => "No server can take this request now.",
            Self::NoHealthyServer => "All servers for this request are down.",
            Self::QueueFull => "All servers are busy and too many requests wait for them.",
            Self::QueueTimeout => "All servers were busy for too long.",
            Self::ServerUnverified => "The server could not prove who it is.",
            Self::ServerHandshake => "No secure connection to the server could be made.",
            Self::ServerClosed => "The server closed the connection before it answered.",
            Self::BadResponse => "The server's response could not be understood.",
            Self::ResponseTimeout => "The server did not answer in time.",
            Self::UpgradeRefused => "The server does not change to the protocol that was asked for.",
        }
    }

    /// After how many seconds it is worth asking again (RFC 9110 §10.2.3): for every answer that says that there is no
    /// server now. A queue moves all the time; a server that is down needs a check or two to be up again.
    #[must_use]
    pub fn retry_after(self) -> Option<u32> {
        match self {
            Self::QueueFull | Self::QueueTimeout => Some(1),
            Self::NoServer | Self::NoHealthyServer => Some(5),
            _ => None,
        }
    }

    /// Says whether the fault lies in what the client sent or did, so that its connection must end: the bytes that
    /// follow cannot be trusted to be a request.
    #[must_use]
    pub fn ends_connection(self) -> bool {
        !matches!(
            self,
            Self::RedirectToHttps
                | Self::NoRoute
                | Self::NoServer
                | Self::NoHealthyServer
                | Self::QueueFull
                | Self::QueueTimeout
                | Self::ServerUnverified
                | Self::ServerHandshake
                | Self::ServerClosed
                | Self::BadResponse
                | Self::ResponseTimeout
                | Self::UpgradeRefused
        )
    }
}

/// How an answer is to be written.
#[derive(Clone, Copy, Debug)]
pub struct Form<'a> {
    /// The value of `Date` (RFC 9110 §6.6.1).
    pub date: &'a str,
    /// The version that the client speaks; an HTTP/1.0 client must be told when the connection stays open.
    pub version: Version,
    /// Whether the connection stays open after the answer.
    pub persistent: bool,
    /// Whether the request was `HEAD`: the body is left out, its length is not.
    pub head_only: bool,
    /// Further header fields, each with its line end.
    pub fields: &'a [u8],
}

/// Appends the whole answer to `out`.
pub fn write(reason: Reason, form: Form<'_>, out: &mut Vec<u8>) {
    let (status, phrase) = reason.status();
    let (code, sentence) = (reason.code(), reason.sentence());
    let connection = match (form.persistent, form.version) {
        (false, _) => "Connection: close\r\n",
        (true, Version::Http10) => "Connection: keep-alive\r\n",
        (true, Version::Http11) => "",
    };
    let Form { date, .. } = form;
    let length = sentence.len() + 1;
    let retry = reason.retry_after().map_or_else(String::new, |after| format!("Retry-After: {after}\r\n"));
    let head = format!(
        "HTTP/1.1 {status} {phrase}\r\nDate: {date}\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\n\
         Cache-Control: no-store\r\nEvenkeel-Reason: {code}\r\n{retry}{connection}"
    );
    out.extend_from_slice(head.as_bytes());
    out.extend_from_slice(form.fields);
    out.extend_from_slice(b"\r\n");
    if !form.head_only {
        out.extend_from_slice(sentence.as_bytes());
        out.push(b'\n');
    }
}

/// Appends the answer to a call of gRPC: its clients look for a status in a response that is fine as HTTP goes.
pub fn write_to_call(reason: Reason, form: Form<'_>, out: &mut Vec<u8>) {
    let (code, sentence, status) = (reason.code(), reason.sentence(), grpc::Status::of(reason).place());
    let connection = if form.persistent { "" } else { "Connection: close\r\n" };
    let Form { date, .. } = form;
    let head = format!(
        "HTTP/1.1 200 OK\r\nDate: {date}\r\nContent-Type: application/grpc\r\nContent-Length: 0\r\n\
         Evenkeel-Reason: {code}\r\nGrpc-Status: {status}\r\nGrpc-Message: {sentence}\r\n{connection}"
    );
    out.extend_from_slice(head.as_bytes());
    out.extend_from_slice(form.fields);
    out.extend_from_slice(b"\r\n");
}

/// Appends the `Location` that has the same host, without its port, and the same target under `https`. Both come from a
/// head that was parsed, so they hold no line end.
pub fn https_location(host: &[u8], target: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"Location: https://");
    out.extend_from_slice(host);
    out.extend_from_slice(if target.starts_with(b"/") { target } else { b"/" });
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

    #[test]
    fn an_answer_is_a_whole_message_with_its_reason() {
        let mut out = Vec::new();
        let form =
            Form { date: DATE, version: Version::Http11, persistent: true, head_only: false, fields: b"" };
        write(Reason::NoRoute, form, &mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "HTTP/1.1 404 Not Found\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Type: text/plain\r\n\
             Content-Length: 29\r\nCache-Control: no-store\r\nEvenkeel-Reason: no-route\r\n\r\n\
             No route takes this request.\n"
        );
    }

    #[test]
    fn a_head_request_gets_the_length_but_no_body() {
        let mut out = Vec::new();
        let form =
            Form { date: DATE, version: Version::Http10, persistent: false, head_only: true, fields: b"" };
        write(Reason::NoRoute, form, &mut out);
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains("Content-Length: 29\r\n"));
        assert!(text.ends_with("Connection: close\r\n\r\n"));
    }

    #[test]
    fn a_call_is_answered_with_a_status_of_its_own() {
        let mut out = Vec::new();
        let form =
            Form { date: DATE, version: Version::Http11, persistent: true, head_only: false, fields: b"" };
        write_to_call(Reason::ResponseTimeout, form, &mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Type: application/grpc\r\n\
             Content-Length: 0\r\nEvenkeel-Reason: response-timeout\r\nGrpc-Status: 4\r\n\
             Grpc-Message: The server did not answer in time.\r\n\r\n"
        );
    }

    #[test]
    fn sentences_need_no_encoding_in_a_status() {
        // What `grpc-message` may have as it is.
        let plain = |byte: u8| (b' '..=b'~').contains(&byte) && byte != b'%';
        assert!(Reason::ALL.iter().all(|reason| reason.sentence().bytes().all(plain)));
    }

    #[test]
    fn whoever_finds_no_server_is_told_when_to_ask_again() {
        let form =
            Form { date: DATE, version: Version::Http11, persistent: true, head_only: true, fields: b"" };
        for reason in Reason::ALL {
            let mut out = Vec::new();
            write(reason, form, &mut out);
            let text = String::from_utf8(out).unwrap();
            assert_eq!(text.contains("\r\nRetry-After: "), reason.status().0 == 503, "{text}");
        }
        let mut out = Vec::new();
        write(Reason::QueueFull, form, &mut out);
        assert!(String::from_utf8(out).unwrap().contains("\r\nRetry-After: 1\r\n"));
    }

    #[test]
    fn a_redirection_repeats_host_and_target() {
        let told = |target: &[u8]| {
            let mut out = Vec::new();
            https_location(b"www.example.com", target, &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(told(b"/a?b=c"), "Location: https://www.example.com/a?b=c\r\n");
        assert_eq!(told(b"*"), "Location: https://www.example.com/\r\n");
    }

    #[test]
    fn codes_are_unique() {
        let codes: std::collections::BTreeSet<_> = Reason::ALL.iter().map(|reason| reason.code()).collect();
        assert_eq!(codes.len(), Reason::ALL.len());
    }
}
