//! The multiplexed connections to one server, as one worker has opened them.
//!
//! Requests fill the oldest connection first, so that those that are not needed grow old and are closed. While one is
//! being opened, as many requests wait for it as it will probably take. Bounds: [`MOST_CONNECTIONS`], and
//! [`MOST_WAITING`] who wait for a place; they are served in the order in which they came.

use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::NotOpened;
use super::connection::{Connection, Lease, MOST_STREAMS};

/// Connections of one worker to one server at once.
const MOST_CONNECTIONS: usize = 32;
/// Requests of one worker that wait for a place on a connection to one server.
const MOST_WAITING: u32 = 1024;

/// The connections of all workers to one server.
#[derive(Debug)]
pub(crate) struct Multiplexed(Box<[Nest]>);

/// The connections of one worker: only that worker touches them, but for counting.
#[derive(Debug)]
pub(super) struct Nest {
    connections: Mutex<Vec<Connection>>,
    /// Being opened.
    opening: AtomicU32,
    waiting: AtomicU32,
    /// Requests that the last connection took at once.
    capacity: AtomicU32,
    /// What the server has chosen to speak when it had the choice: a [`Spoken`].
    spoken: AtomicU8,
    /// How often opening has failed, and why at last.
    failures: Mutex<(u64, Option<NotOpened>)>,
    /// Rung for one of those who wait when there may be room.
    pub(super) room: Arc<Notify>,
}

/// What a server has chosen to speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Spoken {
    Unknown,
    Http1,
    Http2,
}

/// What to do without a place.
pub(super) enum Next<'n> {
    /// Open a connection; others wait for it.
    Open(Opening<'n>),
    /// Wait for a place.
    Wait,
    /// Too many wait.
    Full,
}

/// What a request wants of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'n> {
    /// How it was opened.
    pub(super) manner: u64,
    /// For this name, when connections differ by it.
    pub(super) name: Option<&'n ServerName<'n>>,
    /// Idle ones may be used.
    pub(super) keeps: bool,
}

impl Wanted<'_> {
    fn fits(self, connection: &Connection) -> bool {
        connection.fits(self.manner, self.name) && (self.keeps || connection.idle_since().is_none())
    }
}

impl Multiplexed {
    pub(crate) fn new(workers: usize) -> Self {
        Self((0..workers.max(1)).map(|_| Nest::new()).collect())
    }

    pub(super) fn of(&self, worker: usize) -> &Nest {
        &self.0[worker.min(self.0.len() - 1)]
    }

    /// Lets go of the worker's connections that have ended, that were opened in another manner than this one, or on
    /// which nothing was for `age`. What is on them goes on.
    pub(crate) fn sweep(&self, worker: usize, age: Duration, manner: Option<u64>, now: Instant) {
        self.of(worker).lock().retain(|connection| {
            let old = |since| now.saturating_duration_since(since) > age;
            manner.is_some_and(|manner| connection.is_of(manner))
                && connection.is_alive()
                && !connection.idle_since().is_some_and(old)
        });
    }

    /// How many there are, in all workers.
    pub(crate) fn count(&self) -> usize {
        self.0.iter().map(|nest| nest.lock().len()).sum()
    }
}

impl Nest {
    fn new() -> Self {
        Self {
            connections: Mutex::new(Vec::new()),
            opening: AtomicU32::new(0),
            waiting: AtomicU32::new(0),
            capacity: AtomicU32::new(MOST_STREAMS),
            spoken: AtomicU8::new(Spoken::Unknown as u8),
            failures: Mutex::new((0, None)),
            room: Arc::new(Notify::new()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place on a connection. `in_turn` is one who has waited; nobody else goes before those who wait.
    pub(super) fn lease(&self, wanted: Wanted<'_>, in_turn: bool) -> Option<Lease> {
        if !in_turn && self.waiting.load(Ordering::Relaxed) > 0 {
            return None;
        }
        let mut connections = self.lock();
        connections.retain(Connection::is_alive);
        connections.iter().filter(|connection| wanted.fits(connection)).find_map(Connection::lease)
    }

    /// What a request does that has found no place, or has to let others go first.
    pub(super) fn next(&self, wanted: Wanted<'_>) -> Next<'_> {
        let opening = self.opening.load(Ordering::Relaxed);
        let waiting = self.waiting.load(Ordering::Relaxed);
        let connections = self.lock();
        let open = connections.len() + opening as usize;
        // Those who wait are on their way to these.
        let fitting = connections.iter().filter(|connection| wanted.fits(connection));
        let free = fitting.fold(0, |free: u32, connection| free.saturating_add(connection.free()));
        drop(connections);
        let expected =
            opening.saturating_mul(self.capacity.load(Ordering::Relaxed).max(1)).saturating_add(free);
        match () {
            () if waiting + opening >= expected && open < MOST_CONNECTIONS => Next::Open(self.open()),
            () if waiting < MOST_WAITING => Next::Wait,
            () => Next::Full,
        }
    }

    /// A connection is being opened from now on.
    pub(super) fn open(&self) -> Opening<'_> {
        self.opening.fetch_add(1, Ordering::Relaxed);
        Opening { nest: self }
    }

    /// Waits until there may be room, or opening has failed. The caller bounds the time.
    pub(super) async fn wait(&self) -> Result<(), NotOpened> {
        let before = self.failures().0;
        let waiting = Waiting::begin(self);
        self.room.notified().await;
        drop(waiting);
        match &*self.failures() {
            (count, Some(why)) if *count != before => Err(*why),
            _ => Ok(()),
        }
    }

    /// Whoever has waited and got a place tells the next.
    pub(super) fn pass_on(&self) {
        if self.waiting.load(Ordering::Relaxed) > 0 {
            self.room.notify_one();
        }
    }

    fn failures(&self) -> MutexGuard<'_, (u64, Option<NotOpened>)> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn spoken(&self) -> Spoken {
        match self.spoken.load(Ordering::Relaxed) {
            1 => Spoken::Http1,
            2 => Spoken::Http2,
            _ => Spoken::Unknown,
        }
    }
}

/// One who waits.
struct Waiting<'n>(&'n Nest);

impl<'n> Waiting<'n> {
    fn begin(nest: &'n Nest) -> Self {
        nest.waiting.fetch_add(1, Ordering::Relaxed);
        Self(nest)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A connection that is being opened.
pub(super) struct Opening<'n> {
    nest: &'n Nest,
}

impl Opening<'_> {
    /// It is open; whoever waits may use it from now on.
    pub(super) fn opened(self, connection: Connection) {
        self.nest.spoken.store(Spoken::Http2 as u8, Ordering::Relaxed);
        self.nest.capacity.store(connection.capacity(), Ordering::Relaxed);
        self.nest.lock().push(connection);
    }

    /// The server has chosen HTTP/1: everybody opens connections for himself.
    pub(super) fn http1(self) {
        self.nest.spoken.store(Spoken::Http1 as u8, Ordering::Relaxed);
        self.nest.room.notify_waiters();
    }

    /// It could not be opened; those who wait fail likewise.
    pub(super) fn failed(self, why: NotOpened) {
        let mut failures = self.nest.failures();
        *failures = (failures.0 + 1, Some(why));
        drop(failures);
        self.nest.room.notify_waiters();
    }
}

impl Drop for Opening<'_> {
    fn drop(&mut self) {
        self.nest.opening.fetch_sub(1, Ordering::Relaxed);
        self.nest.pass_on();
    }
}
