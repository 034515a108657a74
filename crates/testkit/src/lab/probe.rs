//! Asks an address for an answer every few milliseconds and says when there was none.
//!
//! A probe counts as answered when its answer comes within [`LATE`]. An outage is the time between the sending of the
//! last answered probe before a lost one and of the first answered probe after it, so it is exact to one interval at
//! either end, and a client that was not scheduled for a while does not report one.

mod fetch;
mod ledger;
mod means;

use std::net::IpAddr;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};

use super::namespace::Namespace;
use ledger::Ledger;
use means::Means;

/// How late an answer may be. Longer than a busy machine delays one, shorter than the second after which a kernel
/// repeats a question for an Ethernet address and then sends what has waited for it.
const LATE: Duration = Duration::from_millis(250);

/// How a target is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Probing {
    /// ICMP echo: the kernel of whoever holds the address answers.
    Echo,
    /// A new TCP connection to this port, which a program must accept.
    Connect(u16),
    /// A new TCP connection to this port and `GET /` over it, which must be answered with status 200.
    Fetch(u16),
}

/// A time in which nothing was answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Outage {
    /// When the last answered probe before it was sent.
    pub start: Instant,
    /// Until the first answered probe after it was sent.
    pub length: Duration,
    /// How many probes were lost.
    pub lost: u64,
    /// False when the probing was stopped before an answer came.
    pub over: bool,
}

/// What a client has seen.
#[derive(Clone, Debug, Default)]
pub struct ProbeReport {
    /// Probes sent, or tried to.
    pub sent: u64,
    /// Those answered in time.
    pub answered: u64,
    /// In the order of time.
    pub outages: Vec<Outage>,
}

impl ProbeReport {
    /// The longest outage; zero without one.
    #[must_use]
    pub fn longest(&self) -> Duration {
        self.outages.iter().map(|outage| outage.length).max().unwrap_or_default()
    }
}

/// A client at work.
pub struct Probe {
    shared: Arc<Shared>,
    stop: Arc<OwnedFd>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    ledger: Mutex<Ledger>,
    changed: Condvar,
}

impl Shared {
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Probe {
    pub(super) fn start(namespace: &Namespace, target: IpAddr, how: Probing, every: Duration) -> Self {
        let shared = Arc::new(Shared { ledger: Mutex::new(Ledger::new(LATE)), changed: Condvar::new() });
        let stop = Arc::new(eventfd(0, EventfdFlags::CLOEXEC).expect("an event"));
        let (seen, stopped, namespace) = (Arc::clone(&shared), Arc::clone(&stop), namespace.clone());
        let thread = std::thread::spawn(move || {
            // Connections are made all the time, so the thread stays inside.
            namespace.enter();
            ask(&mut Means::new(target, how), every, &seen, &stopped);
        });
        Self { shared, stop, thread: Some(thread) }
    }

    /// Waits until a probe that is sent from now on is answered, and those before it are decided. Panics after [`crate::BOUND`].
    pub fn wait_for_answer(&self) {
        let now = Instant::now();
        self.wait("an answer", |ledger| ledger.last_answered().is_some_and(|sent| sent >= now));
    }

    /// Waits until a probe that is sent from now on has certainly been lost. Panics after [`crate::BOUND`].
    pub fn wait_for_silence(&self) {
        let now = Instant::now();
        self.wait("a lost probe", |ledger| ledger.last_lost().is_some_and(|sent| sent >= now));
    }

    /// Everything so far; answers that may still come in time are left open.
    #[must_use]
    pub fn report(&self) -> ProbeReport {
        self.shared.ledger().report()
    }

    /// Ends it.
    #[must_use]
    pub fn stop(mut self) -> ProbeReport {
        self.end();
        self.report()
    }

    fn wait(&self, what: &str, fits: impl Fn(&Ledger) -> bool) {
        let ledger = self.shared.ledger();
        let (ledger, waited) = self
            .shared
            .changed
            .wait_timeout_while(ledger, crate::BOUND, |ledger| !fits(ledger))
            .unwrap_or_else(PoisonError::into_inner);
        let report = ledger.report();
        drop(ledger);
        assert!(!waited.timed_out(), "the probe waits for {what} in vain: {report:?}");
    }

    fn end(&mut self) {
        let _ = rustix::io::write(&*self.stop, &1_u64.to_ne_bytes());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.end();
    }
}

fn ask(means: &mut Means, every: Duration, shared: &Shared, stop: &OwnedFd) {
    let mut due = Instant::now();
    loop {
        let now = Instant::now();
        if now >= due {
            let number = shared.ledger().send(now);
            means.send(number);
            // What a busy machine kept us from sending is not made up for.
            due = (due + every).max(now);
        }
        let answered = means.answered();
        {
            let mut ledger = shared.ledger();
            ledger.settle(Instant::now());
            for number in answered {
                ledger.answer(number);
            }
            means.forget_before(ledger.oldest_open());
        }
        shared.changed.notify_all();
        let left = due.saturating_duration_since(Instant::now());
        let mut events = vec![PollFd::from_borrowed_fd(stop.as_fd(), PollFlags::IN)];
        means.wait_on(&mut events);
        let timeout = left.try_into().expect("a wait that fits");
        if poll(&mut events, Some(&timeout)).is_err() || !events[0].revents().is_empty() {
            return;
        }
    }
}
