//! What happens on a client's connection, from accept to close.

pub(crate) mod announced;
pub(crate) mod http1;
pub(crate) mod http2;
pub(crate) mod peek;
pub(crate) mod secured;
pub(crate) mod tcp;

mod ahead;
mod splice;
mod tunnel;
mod turn;

use std::net::IpAddr;

use evenkeel_config::plan::Mode;

use crate::listener::Counted;
use crate::stream::Stream;

/// Shakes hands with a client, if it is to speak TLS, and begins its session.
pub(crate) fn open(stream: Stream, peer: Option<IpAddr>, counted: Counted) {
    let acceptor = counted.slot.current.load().tls.clone();
    match acceptor {
        Some(acceptor) => secured::begin(stream, peer, counted, acceptor),
        None => begin(stream, peer, counted),
    }
}

/// Begins the session that the listener's mode asks for.
pub(crate) fn begin(stream: Stream, peer: Option<IpAddr>, counted: Counted) {
    match counted.slot.current.load().plan.mode {
        Mode::Http(_) if stream.agreed_on() == Some(b"h2") => {
            tokio::spawn(http2::serve(stream, Vec::new(), peer, counted))
        }
        Mode::Http(_) => tokio::spawn(http1::serve(stream, peer, counted)),
        Mode::Tcp(_) => tokio::spawn(tcp::serve(stream, peer, counted)),
    };
}
