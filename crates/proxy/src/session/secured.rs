//! The handshake of a client with TLS; what follows is served as without.
//!
//! It has a task of its own, so that the connection that lives on is no larger for it.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rustls::HandshakeKind;

use crate::listener::Counted;
use crate::stream::Stream;
use crate::table::ListenerSlot;
use crate::tls::acceptor::{Acceptor, Failure};

/// Begins the handshake of an accepted connection, or refuses it when too many are under way.
pub(crate) fn begin(stream: Stream, peer: Option<IpAddr>, counted: Counted, acceptor: Arc<Acceptor>) {
    let Some(place) = Place::take(&counted.slot, acceptor.most) else {
        stream.reset_on_close();
        return count(&counted, Failure::TooMany);
    };
    let wants_name = counted.slot.current.load().wants_name;
    tokio::spawn(async move {
        let accepted = acceptor.accept(stream, wants_name).await;
        drop((place, acceptor));
        match accepted {
            Ok((stream, kind)) => {
                let counters = counted.slot.counters.of(counted.worker.index);
                counters.handshakes_total.add(1);
                counters.resumed_total.add(u64::from(kind == HandshakeKind::Resumed));
                super::begin(stream, peer, counted);
            }
            Err(failure) => count(&counted, failure),
        }
    });
}

fn count(counted: &Counted, failure: Failure) {
    tracing::debug!(listener = %counted.slot.name, code = failure.code(), "no handshake");
    counted.slot.counters.of(counted.worker.index).handshake_failures_total[failure as usize].add(1);
}

/// A handshake while it is under way.
struct Place(Arc<ListenerSlot>);

impl Place {
    fn take(slot: &Arc<ListenerSlot>, most: u32) -> Option<Self> {
        if slot.handshakes.fetch_add(1, Ordering::Relaxed) >= most {
            slot.handshakes.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        Some(Self(slot.clone()))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.handshakes.fetch_sub(1, Ordering::Relaxed);
    }
}
