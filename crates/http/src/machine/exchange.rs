//! What a response means, given the request it answers.
//!
//! Decides whether it is interim, an agreed change of protocol or final; whether its body must be unwrapped for an
//! HTTP/1.0 client; and which of the two connections may be used again (RFC 9112 §9.3).

use crate::answer::Reason;
use crate::body::Framing;
use crate::head::{RequestHead, ResponseHead, Version};

/// What to do with a response head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// 1xx: pass it on and wait for the next head.
    PassInterim,
    /// 1xx that the client could not understand (HTTP/1.0): leave it out and wait for the next head.
    DropInterim,
    /// 101 after the client asked for it: from the end of this head on both connections are one tunnel.
    Tunnel,
    /// The answer.
    Final(Final),
}

/// How a final response is passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Final {
    /// Where its body ends.
    pub framing: Framing,
    /// The client does not know chunks: they are unwrapped and the body ends with the connection.
    pub unwrap_chunks: bool,
    /// The client's connection may carry another request, if the request's body was read to its end.
    pub client_persists: bool,
    /// The server's connection may carry another request, if both bodies were moved to their end.
    pub server_persists: bool,
}

/// Decides about `response`; `request_done` says whether the request's body was sent to its end.
///
/// # Errors
/// [`Reason::BadResponse`] for a change of protocol that nobody asked for, or in the middle of a request.
pub fn judge(request: &RequestHead, response: &ResponseHead, request_done: bool) -> Result<Verdict, Reason> {
    if response.is_interim() {
        let understood = request.version == Version::Http11;
        return Ok(if understood { Verdict::PassInterim } else { Verdict::DropInterim });
    }
    if response.status == 101 {
        return if request.upgrade && request_done { Ok(Verdict::Tunnel) } else { Err(Reason::BadResponse) };
    }
    let unwrap_chunks = request.version == Version::Http10 && response.framing == Framing::Chunked;
    let ends_with_connection = unwrap_chunks || response.framing == Framing::UntilClose;
    Ok(Verdict::Final(Final {
        framing: response.framing,
        unwrap_chunks,
        client_persists: request.persistent && !ends_with_connection,
        server_persists: response.persistent,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::head::{HeadScan, parse_request, parse_response};
    use crate::limits::Limits;

    fn verdict(request: &str, response: &str) -> Result<Verdict, Reason> {
        let (mut req, mut resp) = (RequestHead::default(), ResponseHead::default());
        let limits = Limits::default();
        parse_request(request.as_bytes(), &mut HeadScan::default(), &limits, &mut req).unwrap().unwrap();
        parse_response(response.as_bytes(), &mut HeadScan::default(), &limits, req.method, &mut resp)
            .unwrap()
            .unwrap();
        judge(&req, &resp, true)
    }

    const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    const OLD: &str = "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
    const UPGRADE: &str = "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

    #[test]
    fn both_sides_stay_open_after_a_framed_response() {
        assert_eq!(
            verdict(GET, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
            Ok(Verdict::Final(Final {
                framing: Framing::Length(5),
                unwrap_chunks: false,
                client_persists: true,
                server_persists: true,
            }))
        );
    }

    #[test]
    fn a_body_that_ends_with_the_connection_ends_both() {
        let Ok(Verdict::Final(end)) = verdict(GET, "HTTP/1.1 200 OK\r\n\r\n") else { panic!() };
        assert_eq!(
            (end.framing, end.client_persists, end.server_persists),
            (Framing::UntilClose, false, false)
        );
    }

    #[test]
    fn a_server_that_closes_does_not_close_the_client() {
        let response = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\n";
        let Ok(Verdict::Final(end)) = verdict(GET, response) else { panic!() };
        assert_eq!((end.client_persists, end.server_persists), (true, false));
    }

    #[test]
    fn an_old_client_gets_chunks_unwrapped_and_no_interim_responses() {
        let Ok(Verdict::Final(end)) = verdict(OLD, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        else {
            panic!()
        };
        assert_eq!((end.unwrap_chunks, end.client_persists, end.server_persists), (true, false, true));
        assert_eq!(verdict(OLD, "HTTP/1.1 103 Early Hints\r\n\r\n"), Ok(Verdict::DropInterim));
        assert_eq!(verdict(GET, "HTTP/1.1 100 Continue\r\n\r\n"), Ok(Verdict::PassInterim));
    }

    #[test]
    fn a_tunnel_needs_both_sides_to_agree() {
        let switch = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
        assert_eq!(verdict(UPGRADE, switch), Ok(Verdict::Tunnel));
        assert_eq!(verdict(GET, switch), Err(Reason::BadResponse));
        let refused = verdict(UPGRADE, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
        assert!(matches!(refused, Ok(Verdict::Final(_))));
    }
}
