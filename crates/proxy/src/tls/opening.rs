//! Reads what a client says first, before it is decided with what it shakes hands. What was read is kept for that.

use std::future::poll_fn;
use std::io;

use evenkeel_http::tls_hello::{Hello, parse_hello};

use super::block::Block;
use super::stream::receive;
use crate::stream::Stream;

/// Reads until the client's hello is whole, or it is clear that none will be: then it is an empty one, and whoever shakes
/// hands says what is wrong. The caller bounds the time.
pub(super) async fn hello(socket: &mut Stream, incoming: &mut Block) -> io::Result<Hello> {
    loop {
        poll_fn(|cx| receive(cx, socket, incoming)).await?;
        match parse_hello(incoming.unread()) {
            Ok(Some(hello)) => return Ok(hello),
            Ok(None) => {}
            Err(_) => return Ok(Hello::default()),
        }
    }
}
