//! What a proxy in front says of its client (the PROXY protocol), before the client's own bytes.
//!
//! The header is looked at where it waits and taken only when it is whole, so what follows is left to whoever comes next.
//! It has a task of its own, so that the connection that lives on is no larger for it.

use std::future::poll_fn;
use std::io;
use std::net::IpAddr;
use std::task::{Poll, ready};
use std::time::Duration;

use evenkeel_config::plan::ProxyProtocol;
use evenkeel_http::forwarded;
use evenkeel_http::proxy_header::{Header, MOST_BYTES, NoHeader, parse};
use tokio::io::Interest;

use crate::listener::Counted;
use crate::stream::Stream;

/// How long a proxy may take for its header: it knows all of it when it connects.
const PATIENCE: Duration = Duration::from_secs(3);

/// Says whether the word of this peer counts.
pub(crate) fn is_believed(proxy: &ProxyProtocol, peer: Option<IpAddr>) -> bool {
    peer.is_none_or(|peer| forwarded::is_trusted(peer, &proxy.from))
}

/// Reads the header of an accepted connection and goes on with the client that it names.
pub(crate) fn begin(stream: Stream, peer: Option<IpAddr>, mut counted: Counted, required: bool) {
    tokio::spawn(async move {
        let read = tokio::time::timeout(PATIENCE, header(&stream)).await;
        let client = match read {
            Ok(Ok(Some(header))) => {
                if let Some(addresses) = header.addresses {
                    counted.announce(addresses);
                }
                header.addresses.map_or(peer, |(source, _)| Some(source.ip().to_canonical()))
            }
            Ok(Ok(None)) if !required => peer,
            // A client behind an optional proxy may wait for the other side to speak.
            Err(_) if !required && stream.waiting() == crate::stream::Waiting::Nothing => peer,
            _ => {
                tracing::debug!(listener = %counted.slot.name, ?peer, "no PROXY header");
                counted.slot.counters.of(counted.worker.index).proxy_headers_refused_total.add(1);
                stream.reset_on_close();
                return;
            }
        };
        super::open(stream, client, counted);
    });
}

/// Takes the header that waits at the start of `stream`; `None` when something else does.
async fn header(stream: &Stream) -> io::Result<Option<Header>> {
    let mut bytes = [0; MOST_BYTES];
    poll_fn(|cx| {
        loop {
            ready!(stream.poll_readable(cx));
            let found = stream.try_io(Interest::READABLE, || {
                let count = evenkeel_sys::socket::peek_into(stream.descriptor()?, &mut bytes)?;
                match parse(bytes.get(..count).unwrap_or_default()) {
                    _ if count == 0 => Err(io::ErrorKind::UnexpectedEof.into()),
                    Ok(Some(header)) => take(stream, &mut bytes[..header.length]).map(|()| Some(header)),
                    // The next event comes with the next bytes.
                    Ok(None) => Err(io::ErrorKind::WouldBlock.into()),
                    Err(NoHeader::Absent) => Ok(None),
                    Err(NoHeader::Malformed | NoHeader::TooLong) => Err(io::ErrorKind::InvalidData.into()),
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

/// Takes bytes that were seen to wait.
fn take(stream: &Stream, bytes: &mut [u8]) -> io::Result<()> {
    let mut taken = 0;
    while taken < bytes.len() {
        match evenkeel_sys::socket::receive(stream.descriptor()?, &mut bytes[taken..])? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => taken += count,
        }
    }
    Ok(())
}
