//! Looks at the start of a TCP connection before a server is chosen: reads it and keeps it for the server.

use std::future::poll_fn;
use std::time::Duration;

use evenkeel_http::tls_hello::parse_hello;

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
