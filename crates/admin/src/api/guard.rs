//! Decides whether a request may come in by the door it came to.

use std::net::IpAddr;

use axum::extract::Request;
use axum::http::{Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::message::Door;
use crate::problem::Problem;

/// Lets the request through or says why not.
pub(super) async fn check(door: Door, request: Request, next: Next) -> Response {
    match refusal(door, &request) {
        Some(problem) => problem.into_response(),
        None => next.run(request).await,
    }
}

fn refusal<B>(door: Door, request: &axum::http::Request<B>) -> Option<Problem> {
    if door == Door::Control {
        return None;
    }
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let host = hosts.next().and_then(|host| host.to_str().ok());
    if !host.is_some_and(is_loopback) || hosts.next().is_some() {
        return Some(Problem::new(
            StatusCode::FORBIDDEN,
            "the Host header names something else than this machine's loopback: use `localhost`, `127.0.0.1` or `[::1]`",
        ));
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Some(Problem::new(
            StatusCode::FORBIDDEN,
            "this address only shows: send commands to the control socket, as `evenkeel reload` and `evenkeel stop` do",
        ));
    }
    None
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
}
