//! Open connections to one server that nobody uses at the moment.
//!
//! Each worker has its own stack, so that the usual put and take touch no memory of another core; a worker whose
//! stack is empty takes from the others before it opens a new connection. The connection used last is taken first:
//! the rest grow old and are closed. Bound: `max-idle-connections` for each worker's stack.

use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use crate::stream::{Stream, Waiting};

/// See the module.
#[derive(Debug)]
pub(crate) struct IdleConnections(Box<[Mutex<Vec<Idle>>]>);

#[derive(Debug)]
struct Idle {
    stream: Stream,
    since: Instant,
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

    /// Keeps a connection for later, or closes it when there are `most` already.
    pub(crate) fn put(&self, worker: usize, stream: Stream, now: Instant, most: u32) {
        if let Some(Ok(mut stack)) = self.0.get(worker).map(Mutex::lock)
            && stack.len() < most as usize
        {
            stack.push(Idle { stream, since: now });
        }
    }

    /// Takes a connection that is alive and at most `age` old.
    pub(crate) fn take(
        &self,
        worker: usize,
        age: Duration,
        now: Instant,
        certainty: Certainty,
    ) -> Option<Stream> {
        let own = self.0.get(worker)?;
        while let Some(idle) = own.lock().ok()?.pop() {
            let waiting = match certainty {
                Certainty::Known => idle.stream.known_waiting(),
                Certainty::Asked => idle.stream.waiting(),
            };
            if waiting == Waiting::Nothing && now.saturating_duration_since(idle.since) <= age {
                return Some(idle.stream);
            }
        }
        self.steal(worker, age, now)
    }

    /// Takes from another worker's stack.
    fn steal(&self, worker: usize, age: Duration, now: Instant) -> Option<Stream> {
        let others = self.0.iter().enumerate().filter(|&(index, _)| index != worker);
        for (_, other) in others {
            // A stack that is in use right now is left alone.
            while let Some(idle) = other.try_lock().ok().and_then(|mut stack| stack.pop()) {
                let fresh = now.saturating_duration_since(idle.since) <= age;
                // The other worker's runtime may have been told something that this one was not.
                if fresh
                    && idle.stream.waiting() == Waiting::Nothing
                    && let Ok(stream) = idle.stream.adopt()
                {
                    return Some(stream);
                }
            }
        }
        None
    }

    /// Closes the worker's connections that are too old or that the server has closed.
    pub(crate) fn sweep(&self, worker: usize, age: Duration, now: Instant) {
        if let Some(Ok(mut stack)) = self.0.get(worker).map(Mutex::lock) {
            stack.retain(|idle| {
                now.saturating_duration_since(idle.since) <= age
                    && idle.stream.known_waiting() == Waiting::Nothing
            });
        }
    }

    /// How many there are, in all workers.
    pub(crate) fn count(&self) -> usize {
        self.0.iter().filter_map(|stack| stack.lock().ok()).map(|stack| stack.len()).sum()
    }
}
