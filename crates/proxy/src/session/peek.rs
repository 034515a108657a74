//! Looks at the start of a TCP connection before a server is chosen: reads it and keeps it for the server, or leaves it where
//! it waits for whoever shakes hands.

use std::future::poll_fn;
use std::io;
use std::task::{Poll, ready};
use std::time::Duration;

use evenkeel_http::tls_hello::{MOST_BYTES, parse_hello};
use tokio::io::Interest;

use crate::buffer::Buffer;
use crate::stream::Stream;

/// How long a client may take to say which server it wants; then it gets one as if it had not said.
const HELLO_PATIENCE: Duration = Duration::from_secs(3);

/// The name in the client's TLS hello. Empty when it has none, does not come in time, or the client speaks something
/// else. What was read is left in `buffer`, which bounds it.
pub(super) async fn server_name(client: &mut Stream, buffer: &mut Buffer) -> String {
    let read = async {
        loop {
            match poll_fn(|cx| buffer.poll_fill(cx, client)).await {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
            match parse_hello(buffer.unread()) {
                Ok(None) if !buffer.is_full() => {}
                Ok(None) | Err(_) => return None,
                Ok(Some(hello)) => return hello.server_name,
            }
        }
    };
    tokio::time::timeout(HELLO_PATIENCE, read).await.ok().flatten().unwrap_or_default()
}

/// The same of one with whom hands will be shaken here: nothing is taken. The caller bounds the time.
pub(crate) async fn asked(client: &Stream) -> io::Result<Option<String>> {
    let mut bytes = vec![0; MOST_BYTES];
    poll_fn(|cx| {
        loop {
            ready!(client.poll_readable(cx));
            let found = client.try_io(Interest::READABLE, || {
                let count = evenkeel_sys::socket::peek_into(client.descriptor()?, &mut bytes)?;
                match parse_hello(bytes.get(..count).unwrap_or_default()) {
                    _ if count == 0 => Err(io::ErrorKind::UnexpectedEof.into()),
                    Ok(Some(hello)) => Ok(hello.server_name),
                    // The next event comes with the next bytes.
                    Ok(None) if count < bytes.len() => Err(io::ErrorKind::WouldBlock.into()),
                    // Whoever shakes hands says what is wrong with it.
                    Ok(None) | Err(_) => Ok(None),
                }
            });
            match found {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                found => return Poll::Ready(found),
            }
        }
    })
    .await
}
