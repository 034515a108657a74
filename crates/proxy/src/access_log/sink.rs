//! One place that lines go to: a lane of lines for each worker, and the thread that empties them.
//!
//! A worker appends to its own lane under a lock that the writer takes only to exchange the lane's memory for an empty
//! one, so neither waits for more than that. When a lane is full the line is dropped and counted.

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{JoinHandle, Thread};
use std::time::{Duration, Instant, SystemTime};

use evenkeel_config::plan::LogTarget;

use super::line::MOST_LINE;
use super::output::Output;
use super::stamp::Stamp;
use super::writer;
use crate::message::LogSnapshot;
use crate::table::{Counter, PerWorker};

/// Bytes of lines that wait in one lane. The writer holds one such block more.
pub(super) const LANE_BYTES: usize = 512 * 1024;
/// A lane with so much in it is written at once instead of at the next regular turn.
const PLENTY: usize = LANE_BYTES / 4;
/// How long lines may wait for others to be written with.
const GATHER: Duration = Duration::from_millis(100);

/// See the module. Dropping it lets the thread write what is left and end.
#[derive(Debug)]
pub(super) struct Sink {
    shared: Arc<Shared>,
    thread: Thread,
    writing: Writing,
}

/// What workers and the writer share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) to: LogTarget,
    pub(super) lanes: PerWorker<Lane>,
    /// There is something to do for the writer.
    pending: AtomicBool,
    /// It should not be put off.
    urgent: AtomicBool,
    closed: AtomicBool,
    replacement: Mutex<Option<OwnedFd>>,
    /// Lines that could not be written; counted by the writer.
    pub(super) lost: AtomicU64,
}

/// The lines of one worker.
#[derive(Debug, Default)]
pub(super) struct Lane {
    waiting: Mutex<Waiting>,
    lines: Counter,
    dropped: Counter,
}

#[derive(Debug, Default)]
struct Waiting {
    bytes: Vec<u8>,
    stamp: Stamp,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is in there is whole after every step.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Sink {
    /// Starts the thread that writes to `output`.
    pub(super) fn start(to: LogTarget, workers: usize, output: Output) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            to,
            lanes: PerWorker::new(workers),
            pending: AtomicBool::new(false),
            urgent: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            replacement: Mutex::new(None),
            lost: AtomicU64::new(0),
        });
        let (alive, ended) = channel();
        let work = shared.clone();
        let thread: JoinHandle<()> =
            std::thread::Builder::new().name("access-log".into()).spawn(move || {
                writer::run(&work, output);
                drop(alive);
            })?;
        Ok(Self { shared, thread: thread.thread().clone(), writing: Writing(Arc::new(Mutex::new(ended))) })
    }

    /// Adds a line that `write` spells, if there is room for the longest.
    pub(super) fn add(&self, worker: usize, write: impl FnOnce(&Stamp, &mut Vec<u8>)) {
        let lane = self.shared.lanes.of(worker);
        let (before, after) = {
            let waiting = &mut *lock(&lane.waiting);
            let before = waiting.bytes.len();
            if before + MOST_LINE > LANE_BYTES {
                lane.dropped.add(1);
                return;
            }
            waiting.stamp.set(SystemTime::now());
            write(&waiting.stamp, &mut waiting.bytes);
            (before, waiting.bytes.len())
        };
        lane.lines.add(1);
        if before == 0 && !self.shared.pending.swap(true, Ordering::AcqRel)
            || before < PLENTY && after >= PLENTY && !self.shared.urgent.swap(true, Ordering::AcqRel)
        {
            self.thread.unpark();
        }
    }

    /// From now on lines go to another file.
    pub(super) fn replace(&self, file: OwnedFd) {
        *lock(&self.shared.replacement) = Some(file);
        self.shared.pending.store(true, Ordering::Release);
        self.shared.urgent.store(true, Ordering::Release);
        self.thread.unpark();
    }

    pub(super) fn tally(&self) -> LogSnapshot {
        let Shared { to, lanes, lost, .. } = &*self.shared;
        LogSnapshot {
            to: to.to_string(),
            lines_total: lanes.sum(|lane| &lane.lines),
            dropped_total: lanes.sum(|lane| &lane.dropped) + lost.load(Ordering::Relaxed),
        }
    }

    /// Lets the writer end once all is written.
    pub(super) fn close(&self) {
        self.shared.closed.store(true, Ordering::Release);
        self.thread.unpark();
    }

    /// The writer's life, which may be longer than that of the sink.
    pub(super) fn writing(&self) -> Writing {
        self.writing.clone()
    }
}

/// Tells when the thread of a writer has ended, which drops the other end of the channel.
#[derive(Clone, Debug)]
pub(super) struct Writing(Arc<Mutex<Receiver<()>>>);

impl Writing {
    pub(super) fn has_ended(&self) -> bool {
        matches!(lock(&self.0).try_recv(), Err(TryRecvError::Disconnected))
    }

    /// Waits for the writer's end.
    pub(super) fn wait(&self, deadline: Instant) {
        let _ended_or_late = lock(&self.0).recv_timeout(deadline.saturating_duration_since(Instant::now()));
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    /// Waits for work, and a little longer for more of it.
    pub(super) fn wait_for_work(&self) {
        while !self.pending.load(Ordering::Acquire) && !self.is_closed() {
            std::thread::park();
        }
        let until = Instant::now() + GATHER;
        while !self.urgent.load(Ordering::Acquire) && !self.is_closed() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            std::thread::park_timeout(left);
        }
        // Before the lanes are looked at: a line that comes now asks again.
        self.pending.store(false, Ordering::Release);
        self.urgent.store(false, Ordering::Release);
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    pub(super) fn take_replacement(&self) -> Option<OwnedFd> {
        lock(&self.replacement).take()
    }
}

impl Lane {
    /// Exchanges what waits for an empty vector.
    pub(super) fn take(&self, empty: &mut Vec<u8>) {
        std::mem::swap(&mut lock(&self.waiting).bytes, empty);
    }
}
