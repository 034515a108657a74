//! Decides whether a request may come in by the door it came to.
//!
//! Invariant: a browser that a page from elsewhere has talked into a request brings neither a loopback name (DNS
//! rebinding) nor the token, so it gets nothing.

use std::net::IpAddr;

use axum::extract::Request;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::desk::Desk;
use crate::message::{Door, Token};
use crate::problem::Problem;

/// Lets the request through or says why not.
pub(super) async fn check(door: Door, desk: Desk, request: Request, next: Next) -> Response {
    let token = desk.token();
    match refusal(door, token.as_ref(), request.method(), request.headers()) {
        Some(problem) if problem.status() == StatusCode::UNAUTHORIZED => {
            ([(header::WWW_AUTHENTICATE, "Bearer realm=\"evenkeel\"")], problem).into_response()
        }
        Some(problem) => problem.into_response(),
        None => next.run(request).await,
    }
}

fn refusal(door: Door, token: Option<&Token>, method: &Method, headers: &HeaderMap) -> Option<Problem> {
    if door == Door::Control {
        return None;
    }
    let unauthorized = |detail: &str| Some(Problem::new(StatusCode::UNAUTHORIZED, detail));
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    if let Some(given_once) = given.next() {
        let bearer = bearer(given_once.as_bytes()).filter(|_| given.next().is_none());
        let known = token.zip(bearer).is_some_and(|(token, bearer)| token.is(bearer));
        return if known {
            None
        } else {
            unauthorized("the token is not that of `admin.token-file`: send `Authorization: Bearer TOKEN`")
        };
    }
    if door == Door::Network {
        return unauthorized(
            "this address is not loopback, so it asks for the token in `admin.token-file`: send `Authorization: Bearer TOKEN`",
        );
    }
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = hosts.next().and_then(|host| host.to_str().ok());
    if !host.is_some_and(is_loopback) || hosts.next().is_some() {
        return Some(Problem::new(
            StatusCode::FORBIDDEN,
            "the Host header names something else than this machine's loopback: use `localhost`, `127.0.0.1` or `[::1]`",
        ));
    }
    if matches!(*method, Method::GET | Method::HEAD) {
        return None;
    }
    if token.is_some() {
        return unauthorized(
            "without the token this address only shows: send `Authorization: Bearer TOKEN` with that of `admin.token-file`",
        );
    }
    Some(Problem::new(
        StatusCode::FORBIDDEN,
        "this address only shows: send commands to the control socket, as `evenkeel reload` and `evenkeel server` do, or set `admin.token-file`",
    ))
}

/// What stands behind `Bearer` (RFC 6750, section 2.1).
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = value.split_at_checked(6)?;
    let token = rest.strip_prefix(b" ").filter(|_| scheme.eq_ignore_ascii_case(b"bearer"))?;
    Some(token.trim_ascii())
}

/// Whether a Host header names the loopback interface, with or without a port.
fn is_loopback(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        // A colon inside of brackets belongs to an IPv6 address.
        Some((name, port)) if !port.ends_with(']') => {
            if port.parse::<u16>().is_err() {
                return false;
            }
            name
        }
        _ => host,
    };
    if let Some(inner) = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
        return inner.parse::<std::net::Ipv6Addr>().is_ok_and(|ip| ip.is_loopback());
    }
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_ipv4() && ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_has_several_names() {
        for host in ["localhost", "LOCALHOST:8404", "127.0.0.1", "127.0.0.2:8404", "[::1]", "[::1]:8404"] {
            assert!(is_loopback(host), "{host}");
        }
    }

    #[test]
    fn other_names_are_refused_even_when_they_look_alike() {
        for host in [
            "",
            "example.com",
            "localhost.example.com",
            "127.0.0.1.example.com:8404",
            "192.0.2.1",
            "[2001:db8::1]:80",
            "::1",
            "[127.0.0.1]",
            "localhost:port",
            "localhost:",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }

    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    fn status_of(door: Door, method: &Method, fields: &[(&str, &str)], with_token: bool) -> Option<u16> {
        let token = with_token.then(|| Token::read(SECRET.as_bytes()).unwrap());
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(header::HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
        }
        refusal(door, token.as_ref(), method, &headers).map(|problem| problem.status().as_u16())
    }

    #[test]
    fn the_token_opens_both_doors_and_nothing_else_opens_the_one_to_the_network() {
        let host = ("host", "localhost");
        let right = format!("Bearer {SECRET}");
        let wrong = format!("Bearer {SECRET}x");
        for method in [Method::GET, Method::DELETE] {
            for door in [Door::Loopback, Door::Network] {
                assert_eq!(status_of(door, &method, &[("authorization", &right)], true), None);
                assert_eq!(status_of(door, &method, &[host, ("authorization", &wrong)], true), Some(401));
                assert_eq!(status_of(door, &method, &[host, ("authorization", &right)], false), Some(401));
                // Two of them can be read in two ways.
                let twice = [host, ("authorization", right.as_str()), ("authorization", right.as_str())];
                assert_eq!(status_of(door, &method, &twice, true), Some(401));
            }
            assert_eq!(status_of(Door::Network, &method, &[host], true), Some(401));
            assert_eq!(status_of(Door::Network, &method, &[host], false), Some(401));
            assert_eq!(status_of(Door::Control, &method, &[], true), None);
        }
        assert_eq!(status_of(Door::Loopback, &Method::GET, &[host], true), None);
        assert_eq!(status_of(Door::Loopback, &Method::PUT, &[host], true), Some(401));
        assert_eq!(status_of(Door::Loopback, &Method::PUT, &[host], false), Some(403));
        assert_eq!(status_of(Door::Loopback, &Method::GET, &[("host", "evil.example")], true), Some(403));
        let basic = [host, ("authorization", "Basic eDp5")];
        assert_eq!(status_of(Door::Loopback, &Method::GET, &basic, true), Some(401));
    }

    #[test]
    fn a_token_is_long_and_visible_and_does_not_show() {
        assert!(Token::read(b"  0123456789abcdef0123456789abcdef\n").unwrap().is(SECRET.as_bytes()));
        for bad in ["", "short", "0123456789abcdef 0123456789abcdef", "0123456789abcdef0123456789abcde\u{e9}"]
        {
            assert_eq!(Token::read(bad.as_bytes()), None, "{bad}");
        }
        let token = Token::read(SECRET.as_bytes()).unwrap();
        assert!(!token.is(b"") && !token.is(&SECRET.as_bytes()[1..]));
        assert!(!format!("{token:?}").contains("0123"));
    }
}
