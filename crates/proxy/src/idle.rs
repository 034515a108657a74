//! Open connections to one server that nobody uses at the moment.
//!
//! Each worker has its own stack, so that the usual put and take touch no memory of another core; a worker whose
//! stack is empty takes from the others before it opens a new connection. The connection used last is taken first:
//! the rest grow old and are closed. A connection is taken only by one
//! who would open it in the same manner, and under the same name when it was verified for one. Bounds: `max-idle-connections` for each
//! worker's stack; and of all servers together as many as there may be clients, looked at once a second.

use std::sync::Mutex;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::time::Instant;

use crate::stream::{Stream, Waiting};
use crate::tls::stream::TlsStream;

/// See the module.
#[derive(Debug)]
pub(crate) struct IdleConnections(Box<[Mutex<Vec<Idle>>]>);

#[derive(Debug)]
struct Idle {
    stream: Stream,
    since: Instant,
    /// How it was opened.
    manner: u64,
}

/// What a connection must be like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'w> {
    /// At most so old.
    pub(crate) age: Duration,
    pub(crate) certainty: Certainty,
    /// Opened so: see [`crate::table::Server::manner`].
    pub(crate) manner: u64,
    /// For this name, when connections differ by it.
    pub(crate) name: Option<&'w ServerName<'w>>,
}

/// How sure one must be that a connection is alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Certainty {
    /// What the runtime was told is enough: the request can be sent again.
    Known,
    /// Ask the kernel: the request must not be sent into a connection that was already closed.
    Asked,
}

impl IdleConnections {
    pub(crate) fn new(workers: usize) -> Self {
        Self((0..workers.max(1)).map(|_| Mutex::new(Vec::new())).collect())
    }

    /// Keeps a connection that was opened in this manner for later, or closes it when there are `most` already or it is for one
    /// request only.
    pub(crate) fn put(&self, worker: usize, stream: Stream, now: Instant, most: u32, manner: u64) {
        if !stream.is_reusable() {
            return;
        }
        let Some(Ok(mut stack)) = self.0.get(worker).map(Mutex::lock) else { return };
        if stack.len() < most as usize {
            stack.push(Idle { stream, since: now, manner });
        } else if most > 0 && stream.tls().is_some_and(|tls| tls.name().is_some()) {
            // Connections for names that nobody asks for any more make room.
            stack.remove(0);
            stack.push(Idle { stream, since: now, manner });
        }
    }

    /// Takes a connection that is alive and at most `age` old.
    pub(crate) fn take(&self, worker: usize, now: Instant, wanted: Wanted<'_>) -> Option<Stream> {
        let own = self.0.get(worker)?;
        while let Some(idle) = wanted.pop(&mut *own.lock().ok()?) {
            let waiting = match wanted.certainty {
                Certainty::Known => idle.stream.known_waiting(),
                Certainty::Asked => idle.stream.waiting(),
            };
            if waiting == Waiting::Nothing && wanted.fits(&idle, now) {
                return Some(idle.stream);
            }
        }
        self.steal(worker, now, wanted)
    }

    /// Takes from another worker's stack.
    fn steal(&self, worker: usize, now: Instant, wanted: Wanted<'_>) -> Option<Stream> {
        let others = self.0.iter().enumerate().filter(|&(index, _)| index != worker);
        for (_, other) in others {
            // A stack that is in use right now is left alone.
            while let Some(idle) = other.try_lock().ok().and_then(|mut stack| wanted.pop(&mut stack)) {
                // The other worker's runtime may have been told something that this one was not.
                if wanted.fits(&idle, now)
                    && idle.stream.waiting() == Waiting::Nothing
                    && let Ok(stream) = idle.stream.adopt()
                {
                    return Some(stream);
                }
            }
        }
        None
    }

    /// Closes the worker's connections that are too old or that the server has closed; says how many are left.
    pub(crate) fn sweep(&self, worker: usize, age: Duration, now: Instant) -> usize {
        let Some(Ok(mut stack)) = self.0.get(worker).map(Mutex::lock) else { return 0 };
        stack.retain(|idle| {
            now.saturating_duration_since(idle.since) <= age
                && idle.stream.known_waiting() == Waiting::Nothing
        });
        stack.len()
    }

    /// Closes the worker's oldest connections: this server's part of `excess`, of which `left` are still to be closed, when all
    /// servers have `all`. Says how many it closed.
    pub(crate) fn trim(&self, worker: usize, (excess, all): (usize, usize), left: usize) -> usize {
        let Some(Ok(mut stack)) = self.0.get(worker).map(Mutex::lock) else { return 0 };
        let part = stack.len().saturating_mul(excess).div_ceil(all.max(1));
        let closed = part.min(left).min(stack.len());
        stack.drain(..closed);
        closed
    }

    /// How many workers have a stack.
    pub(crate) fn workers(&self) -> usize {
        self.0.len()
    }

    /// How many there are, in all workers.
    pub(crate) fn count(&self) -> usize {
        self.0.iter().filter_map(|stack| stack.lock().ok()).map(|stack| stack.len()).sum()
    }
}

impl Wanted<'_> {
    /// The connection used last, of those for the name.
    fn pop(&self, stack: &mut Vec<Idle>) -> Option<Idle> {
        let Some(name) = self.name else { return stack.pop() };
        let place =
            stack.iter().rposition(|idle| idle.stream.tls().and_then(TlsStream::name) == Some(name))?;
        Some(stack.remove(place))
    }

    fn fits(&self, idle: &Idle, now: Instant) -> bool {
        idle.manner == self.manner && now.saturating_duration_since(idle.since) <= self.age
    }
}
