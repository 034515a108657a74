//! Writes the head that goes to the other side: hop-by-hop fields go first, ours are added after (RFC 9110 §7.6.1).
//!
//! Names, order and case of all other fields stay as they were sent. Never adds a field whose twin from an untrusted
//! peer was let through.

use std::net::IpAddr;

use crate::cookie;
use crate::forwarded;
use crate::head::{Fields, Known, RequestHead, ResponseHead, Version, elements};
use crate::hsts::Hsts;

/// What a server is told about the client, and how.
#[derive(Clone, Copy, Debug)]
pub struct ToServer<'a> {
    /// Who is connected to us; `None` on a unix socket.
    pub peer: Option<IpAddr>,
    /// Whether the peer's own forwarding fields are believed: kept and continued, else thrown away.
    pub peer_trusted: bool,
    /// `http` or `https`.
    pub proto: &'static str,
    /// Send `X-Forwarded-For`, `-Proto` and `-Host`.
    pub x_forwarded: bool,
    /// Send `Forwarded`.
    pub forwarded: bool,
    /// Leave out fields with `_` in their name.
    pub drop_underscores: bool,
    /// `Host` for a client of HTTP/1.0 that sent none: the server's address.
    pub host_if_missing: &'a str,
    /// Tell it of a client that takes trailers: on connections where `TE` needs no `Connection`.
    pub te: bool,
    /// Ask the server to close after its response.
    pub close: bool,
    /// A cookie that is ours: the server does not see it.
    pub own_cookie: Option<&'a str>,
    /// What the client's certificate says, as whole header lines; empty when it has shown none.
    pub client_certificate: &'a [u8],
}

/// Appends the request head for the server to `out`.
pub fn request(head: &RequestHead, to: &ToServer<'_>, out: &mut Vec<u8>) {
    let fields = &head.fields;
    out.extend_from_slice(head.method_text());
    out.push(b' ');
    out.extend_from_slice(head.whole_target());
    out.extend_from_slice(b" HTTP/1.1\r\n");
    let named = ConnectionOptions::of(fields);
    let mut host_seen = false;
    for field in fields.list() {
        let (name, value) = (fields.text(field.name), fields.text(field.value));
        let keep = match field.known {
            Known::Connection | Known::HopByHop => false,
            Known::Upgrade => head.upgrade,
            // An HTTP/1.0 client cannot wait for 100 (RFC 9110 §10.1.1).
            Known::Expect => head.version == Version::Http11,
            Known::XForwardedFor => to.peer_trusted && !to.x_forwarded,
            Known::XForwardedProto | Known::XForwardedHost | Known::XForwardedOther => to.peer_trusted,
            Known::Forwarded => to.peer_trusted && !to.forwarded,
            Known::ClientCertificate => to.peer_trusted && to.client_certificate.is_empty(),
            Known::Underscore if to.drop_underscores => false,
            known => !(known.may_be_hop_by_hop() && named.names(name)),
        };
        host_seen |= field.known == Known::Host;
        match to.own_cookie {
            Some(cookie) if name.eq_ignore_ascii_case(b"Cookie") => write_cookies(name, value, cookie, out),
            _ if keep => write_field(name, value, out),
            _ => {}
        }
    }
    if !host_seen {
        write_field(b"Host", to.host_if_missing.as_bytes(), out);
    }
    if to.x_forwarded {
        write_x_forwarded(head, to, out);
    }
    if to.forwarded {
        out.extend_from_slice(b"Forwarded: ");
        write_earlier(fields, Known::Forwarded, to.peer_trusted, out);
        forwarded::write_element(to.peer, to.proto, host_value(fields), out);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(to.client_certificate);
    let trailers = |value: &[u8]| elements(value).any(|coding| coding.eq_ignore_ascii_case(b"trailers"));
    if to.te && fields.named("te").any(trailers) {
        out.extend_from_slice(b"TE: trailers\r\n");
    }
    if head.upgrade {
        out.extend_from_slice(b"Connection: Upgrade\r\n");
    } else if to.close {
        out.extend_from_slice(b"Connection: close\r\n");
    }
    out.extend_from_slice(b"\r\n");
}

/// Writes a `Cookie` field without the cookie that is ours, or nothing when there was no other.
fn write_cookies(name: &[u8], value: &[u8], own: &str, out: &mut Vec<u8>) {
    let begin = out.len();
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    if cookie::write_without(value, own.as_bytes(), out) {
        out.extend_from_slice(b"\r\n");
    } else {
        out.truncate(begin);
    }
}

fn write_x_forwarded(head: &RequestHead, to: &ToServer<'_>, out: &mut Vec<u8>) {
    let fields = &head.fields;
    let told = |known| to.peer_trusted && fields.values(known).next().is_some();
    if to.peer.is_some() || told(Known::XForwardedFor) {
        out.extend_from_slice(b"X-Forwarded-For: ");
        write_earlier(fields, Known::XForwardedFor, to.peer_trusted, out);
        match to.peer {
            Some(peer) => write_address(peer, out),
            // The list ends with what came before; take its comma back.
            None => out.truncate(out.len() - 2),
        }
        out.extend_from_slice(b"\r\n");
    }
    if !told(Known::XForwardedProto) {
        write_field(b"X-Forwarded-Proto", to.proto.as_bytes(), out);
    }
    let host = host_value(fields);
    if !host.is_empty() && !told(Known::XForwardedHost) {
        write_field(b"X-Forwarded-Host", host, out);
    }
}

/// Writes the earlier values of a list field, each followed by a comma, if they are believed.
fn write_earlier(fields: &Fields, known: Known, believed: bool, out: &mut Vec<u8>) {
    if believed {
        for value in fields.values(known).filter(|value| !value.is_empty()) {
            out.extend_from_slice(value);
            out.extend_from_slice(b", ");
        }
    }
}

fn write_address(address: IpAddr, out: &mut Vec<u8>) {
    use std::io::Write as _;
    match address.to_canonical() {
        // Every request with an IPv4 client comes here; formatting costs ten times as much.
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            write_number(a, out);
            for octet in [b, c, d] {
                out.push(b'.');
                write_number(octet, out);
            }
        }
        IpAddr::V6(address) => {
            let _infallible = write!(out, "{address}");
        }
    }
}

fn write_number(number: u8, out: &mut Vec<u8>) {
    if number >= 100 {
        out.push(b'0' + number / 100);
    }
    if number >= 10 {
        out.push(b'0' + number / 10 % 10);
    }
    out.push(b'0' + number % 10);
}

/// Host and port as the client wrote them.
fn host_value(fields: &Fields) -> &[u8] {
    fields.values(Known::Host).next().unwrap_or_default()
}

fn write_field(name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// How a response goes to the client.
#[derive(Clone, Copy, Debug)]
pub struct ToClient<'a> {
    /// The client's version: one of HTTP/1.0 must be told that its connection stays open.
    pub version: Version,
    /// Whether the client's connection stays open after this response.
    pub persistent: bool,
    /// The body's chunks are unwrapped.
    pub unwrap_chunks: bool,
    /// A cookie that is ours; never for an interim response.
    pub own_cookie: Option<OwnCookie<'a>>,
    /// Tell the browser to come over TLS only, unless the server has said so; never for an interim response.
    pub hsts: Option<Hsts>,
}

/// A cookie of the balancer: the client gets it from nobody else.
#[derive(Clone, Copy, Debug)]
pub struct OwnCookie<'a> {
    /// Its name. Where the server sets a cookie of this name, that is left out.
    pub name: &'a str,
    /// Its value and its attributes, these with a leading `;`; `None` when the client has it already.
    pub set: Option<(&'a str, &'a str)>,
}

/// Appends the response head for the client to `out`; also for 1xx.
pub fn response(head: &ResponseHead, to: ToClient<'_>, out: &mut Vec<u8>) {
    let fields = &head.fields;
    out.extend_from_slice(b"HTTP/1.1 ");
    let digits = [head.status / 100, head.status / 10 % 10, head.status % 10];
    out.extend(digits.map(|digit| b'0' + u8::try_from(digit).unwrap_or(0)));
    out.push(b' ');
    out.extend_from_slice(head.reason_phrase());
    out.extend_from_slice(b"\r\n");
    let named = ConnectionOptions::of(fields);
    let upgrade = matches!(head.status, 101 | 426);
    // RFC 9110 §8.6 and RFC 9112 §6.1: these may not frame anything, and some clients would wait for a body.
    let unframed = head.status < 200 || head.status == 204;
    for field in fields.list() {
        let name = fields.text(field.name);
        let keep = match field.known {
            Known::Connection | Known::HopByHop => false,
            Known::Upgrade => upgrade,
            Known::TransferEncoding => !to.unwrap_chunks && !unframed,
            Known::ContentLength => !unframed,
            Known::Protected
                if to.own_cookie.is_some_and(|own| sets(name, fields.text(field.value), own)) =>
            {
                false
            }
            known => !(known.may_be_hop_by_hop() && named.names(name)),
        };
        if keep {
            write_field(name, fields.text(field.value), out);
        }
    }
    if let Some(OwnCookie { name, set: Some((value, attributes)) }) = to.own_cookie {
        for part in ["Set-Cookie: ", name, "=", value, attributes, "\r\n"] {
            out.extend_from_slice(part.as_bytes());
        }
        // RFC 9111 §7.3: a cookie does not keep a shared cache from giving this answer, cookie and all, to others.
        if head.status != 101 && !is_private(fields) {
            out.extend_from_slice(b"Cache-Control: private\r\n");
        }
    }
    if let Some(hsts) = to.hsts.filter(|_| fields.named("strict-transport-security").next().is_none()) {
        hsts.write(out);
    }
    if upgrade {
        out.extend_from_slice(b"Connection: Upgrade\r\n");
    } else if head.is_interim() {
        // An interim response says nothing about the connection.
    } else if !to.persistent {
        out.extend_from_slice(b"Connection: close\r\n");
    } else if to.version == Version::Http10 {
        out.extend_from_slice(b"Connection: keep-alive\r\n");
    }
    out.extend_from_slice(b"\r\n");
}

/// Says whether a field sets a cookie that is ours to set.
fn sets(name: &[u8], value: &[u8], own: OwnCookie<'_>) -> bool {
    name.eq_ignore_ascii_case(b"Set-Cookie") && cookie::name_set(value) == Some(own.name.as_bytes())
}

/// Says whether `Cache-Control` keeps shared caches from storing the response already (RFC 9111 §5.2.2). `private="…"`
/// speaks of single fields and keeps nobody from storing the rest.
fn is_private(fields: &Fields) -> bool {
    let words = [&b"private"[..], b"no-store"];
    fields
        .named("cache-control")
        // A comma in quotes separates nothing; saying it twice does no harm.
        .filter(|value| !value.contains(&b'"'))
        .flat_map(elements)
        .any(|directive| words.iter().any(|word| directive.eq_ignore_ascii_case(word)))
}

/// The field names that `Connection` lists.
struct ConnectionOptions<'a> {
    fields: &'a Fields,
    any: bool,
}

impl<'a> ConnectionOptions<'a> {
    fn of(fields: &'a Fields) -> Self {
        // `close`, `keep-alive` and `upgrade` alone name no field: the usual case is decided without a search.
        let plain = |option: &[u8]| {
            [&b"close"[..], b"keep-alive", b"upgrade"].iter().any(|word| option.eq_ignore_ascii_case(word))
        };
        let any = fields.values(Known::Connection).any(|value| elements(value).any(|option| !plain(option)));
        Self { fields, any }
    }

    fn names(&self, name: &[u8]) -> bool {
        self.any
            && self
                .fields
                .values(Known::Connection)
                .any(|value| elements(value).any(|option| option.eq_ignore_ascii_case(name)))
    }
}

#[cfg(test)]
mod tests;
