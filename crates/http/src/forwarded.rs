//! Who the client is, as told by the proxies before us and as told on to the servers.
//!
//! What an untrusted peer says about its origin is thrown away; what a trusted one says is believed from the right,
//! up to the first address that is not itself a trusted proxy.

use std::fmt::Write as _;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::head::{Fields, Known, elements};

/// The most elements of `X-Forwarded-For` that are looked at, counted from the right.
const MOST_HOPS: usize = 32;

/// Says whether `address` is one of the trusted proxies.
#[must_use]
pub fn is_trusted(address: IpAddr, trusted: &[IpNet]) -> bool {
    let address = address.to_canonical();
    trusted.iter().any(|network| network.contains(&address))
}

/// The client's address: the peer itself unless it is a trusted proxy; then the last element of `X-Forwarded-For`
/// that is no trusted proxy. An element that is no address ends the search, and the last good one counts.
#[must_use]
pub fn client_address(peer: IpAddr, trusted: &[IpNet], fields: &Fields) -> IpAddr {
    let mut client = peer.to_canonical();
    if trusted.is_empty() || !is_trusted(peer, trusted) {
        return client;
    }
    let values: Vec<&[u8]> = fields.values(Known::XForwardedFor).collect();
    let hops = values.iter().rev().flat_map(|value| {
        let hops: Vec<&[u8]> = elements(value).collect();
        hops.into_iter().rev()
    });
    for hop in hops.take(MOST_HOPS) {
        let Some(address) = hop_address(hop) else { break };
        client = address.to_canonical();
        if !is_trusted(client, trusted) {
            break;
        }
    }
    client
}

/// An address as proxies write it: bare, with a port, IPv6 with or without brackets.
fn hop_address(hop: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(hop).ok()?;
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    if let Ok(address) = text.parse::<std::net::SocketAddr>() {
        return Some(address.ip());
    }
    text.strip_prefix('[')?.strip_suffix(']')?.parse::<std::net::Ipv6Addr>().ok().map(IpAddr::V6)
}

/// Appends one element of `Forwarded` (RFC 7239 §4); a client without address is `unknown`.
pub(crate) fn write_element(client: Option<IpAddr>, proto: &str, host: &[u8], out: &mut Vec<u8>) {
    let mut text = String::new();
    let _infallible = match client {
        Some(IpAddr::V4(address)) => write!(text, "for={address};proto={proto}"),
        Some(IpAddr::V6(address)) => write!(text, "for=\"[{address}]\";proto={proto}"),
        None => write!(text, "for=unknown;proto={proto}"),
    };
    out.extend_from_slice(text.as_bytes());
    if !host.is_empty() {
        // A host is checked to hold neither quotes nor backslashes ([`crate::uri::parse_host`]).
        out.extend_from_slice(b";host=\"");
        out.extend_from_slice(host);
        out.push(b'"');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::head::{HeadScan, RequestHead, parse_request};
    use crate::limits::Limits;

    fn client(peer: &str, trusted: &[&str], lines: &str) -> String {
        let text = format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n");
        let mut head = RequestHead::default();
        parse_request(text.as_bytes(), &mut HeadScan::default(), &Limits::default(), &mut head)
            .unwrap()
            .unwrap();
        let trusted: Vec<IpNet> = trusted.iter().map(|net| net.parse().unwrap()).collect();
        client_address(peer.parse().unwrap(), &trusted, &head.fields).to_string()
    }

    #[test]
    fn an_untrusted_peer_is_the_client_whatever_it_says() {
        assert_eq!(client("192.0.2.1", &[], "X-Forwarded-For: 198.51.100.9\r\n"), "192.0.2.1");
        assert_eq!(client("192.0.2.1", &["10.0.0.0/8"], "X-Forwarded-For: 198.51.100.9\r\n"), "192.0.2.1");
    }

    #[test]
    fn a_trusted_proxy_is_believed_from_the_right() {
        let lines = "X-Forwarded-For: 203.0.113.66, 198.51.100.9\r\nX-Forwarded-For: 10.1.1.1\r\n";
        assert_eq!(client("10.0.0.1", &["10.0.0.0/8"], lines), "198.51.100.9");
        assert_eq!(client("::ffff:10.0.0.1", &["10.0.0.0/8"], lines), "198.51.100.9");
    }

    #[test]
    fn garbage_ends_the_search_at_the_last_good_hop() {
        assert_eq!(
            client("10.0.0.1", &["10.0.0.0/8"], "X-Forwarded-For: 1.2.3.4, x, 10.0.0.2\r\n"),
            "10.0.0.2"
        );
        assert_eq!(client("10.0.0.1", &["10.0.0.0/8"], ""), "10.0.0.1");
    }

    #[test]
    fn every_way_to_write_an_address_is_read() {
        for (text, address) in [
            ("192.0.2.1:1234", "192.0.2.1"),
            ("2001:db8::1", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[2001:db8::1]:99", "2001:db8::1"),
        ] {
            assert_eq!(client("10.0.0.1", &["10.0.0.0/8"], &format!("X-Forwarded-For: {text}\r\n")), address);
        }
    }

    #[test]
    fn forwarded_elements_follow_rfc_7239() {
        let element = |client: Option<&str>, host: &str| {
            let mut out = Vec::new();
            write_element(client.map(|c| c.parse().unwrap()), "http", host.as_bytes(), &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(element(Some("192.0.2.1"), "a:80"), "for=192.0.2.1;proto=http;host=\"a:80\"");
        assert_eq!(element(Some("2001:db8::1"), ""), "for=\"[2001:db8::1]\";proto=http");
        assert_eq!(element(None, ""), "for=unknown;proto=http");
    }
}
