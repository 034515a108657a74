//! The queue of a pool: who waits while its servers are full, on whichever worker, and how a free place finds them.
//!
//! [`evenkeel_traffic::queue`] keeps the order; this is the protocol around it, without which a place could become free
//! unseen while somebody waits for one. `waited` is [`PoolLoad::is_waited`]; `running` counts what runs on a server.
//!
//! - **Release** (the end of a `Running`): `running` falls; then `waited` is read; if it is set, the line's lock is
//!   taken and the first that waits is called. While nobody waits, that read is all a queue costs.
//! - **Arrival**: reads `waited`; if it is set, it joins the line instead of taking a place before those in it.
//! - **Waiter**: under the lock it joins, and sets `waited` if it is the first. Called, it tries to take a place. If
//!   there is none, it waits again, its waker in the line, under the lock; then comes a fence, and it looks at every
//!   server once more. Only when all are full then does it sleep.
//! - **End of a wait**, for whatever reason: under the lock it leaves, and clears `waited` if it was the last. If it was
//!   called and nobody else is, it looks whether a place is left and calls the next. So more places than one that
//!   became free at once are found one after the other, and the call of one that has gone is not lost.
//! - **Change** of health: the change is made; then comes a fence; then `waited` is read; if it is set, the first is
//!   called. As it leaves, the next is: to take what is left, or to be told as well that no server is.
//! - **Change** of plan: all are called, to be routed again. Who comes back waits again where it stood; the last to
//!   come back calls the first.
//!
//! No wake-up is lost: fall and read of a release, store of `waited` and fence of a waiter are sequentially consistent.
//! Either the release reads `waited` as set, and calls under a lock that orders it before or after the waiter's step
//! there; or the store comes after that read, and the look behind the fence sees the fall. A called waiter always
//! comes back to one of the steps above, so that somebody always looks after the last free place.
//!
//! Nobody is overtaken but by one that was called at the same time. Wakers are woken outside of the lock.

use std::future::Future;
use std::sync::atomic::{Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use evenkeel_traffic::load::{Freed, PoolLoad};
use evenkeel_traffic::queue::{Full, Queue, Settings, Standing, Ticket};
use tokio::time::Instant;

use crate::histogram::Histogram;
use crate::table::{Counter, PerWorker};

/// What one waits for.
pub(crate) trait Rooms {
    fn line(&self) -> &Line;
    fn load(&self) -> &PoolLoad;
    fn settings(&self) -> Settings;
    /// Counts up with each plan that changes the pool.
    fn version(&self) -> u64;
    /// A place is free at a server that may take traffic, by a look at each of them.
    fn has_room(&self) -> bool;
    /// There are servers that may take traffic, so that waiting makes sense.
    fn is_worth_waiting(&self) -> bool;
}

/// The line of a pool, under all its plans.
#[derive(Debug)]
pub(crate) struct Line {
    state: Mutex<State>,
    pub(crate) counters: PerWorker<LineCounters>,
}

#[derive(Debug, Default)]
struct State {
    queue: Queue<Option<Waker>>,
    /// Of the plan in force.
    version: u64,
}

/// What became of those who waited.
#[derive(Debug, Default)]
pub(crate) struct LineCounters {
    pub(crate) joined_total: Counter,
    pub(crate) refused_total: Counter,
    pub(crate) timed_out_total: Counter,
    pub(crate) left_total: Counter,
    pub(crate) waits: Histogram,
}

impl Line {
    pub(crate) fn new(workers: usize, version: u64) -> Self {
        let state = State { queue: Queue::default(), version };
        Self { state: Mutex::new(state), counters: PerWorker::new(workers) }
    }

    /// How many are in line now.
    pub(crate) fn len(&self) -> usize {
        self.lock().queue.len()
    }

    /// Other servers may take traffic than before: those in line decide again.
    pub(crate) fn changed(&self, load: &PoolLoad) {
        fence(Ordering::SeqCst);
        if load.is_waited() {
            self.call(Queue::call);
        }
    }

    /// The pool has another plan from now on, or is gone: those in line look for their pool again.
    pub(crate) fn moved(&self, version: u64) {
        let mut wakers = Vec::new();
        {
            let mut state = self.lock();
            state.version = version;
            wakers.extend(state.queue.call_all().filter_map(Option::take));
        }
        wakers.into_iter().for_each(Waker::wake);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The queue is whole after every step, so one that a panic left behind can be used.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn call(&self, which: impl FnOnce(&mut Queue<Option<Waker>>) -> Option<&mut Option<Waker>>) {
        let waker = which(&mut self.lock().queue).and_then(Option::take);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Freed for Line {
    fn freed(&self) {
        self.call(Queue::call);
    }
}

/// A place in line; dropping it leaves.
#[derive(Debug)]
pub(crate) struct Place<R: Rooms> {
    rooms: Arc<R>,
    ticket: Ticket,
    since: Instant,
    worker: usize,
    /// The plan under which it has decided to wait.
    version: u64,
    /// It decides by a plan that is not in force any more, and may not be able to use what others could.
    outdated: bool,
    /// It found no server that may take traffic; neither will the next.
    hopeless: bool,
}

/// Why somebody got no place.
#[derive(Debug)]
pub(crate) enum Refusal<R: Rooms> {
    /// No server may take traffic.
    Nobody,
    /// As many wait as may.
    Full,
    /// It has waited too long.
    Timeout,
    /// Who waited has gone.
    Gone,
    /// The pool has another plan: it is to be looked for again, with the place in line in hand.
    Moved(Place<R>),
}

impl<R: Rooms> Place<R> {
    fn join(rooms: &Arc<R>, worker: usize) -> Result<Self, Full> {
        let line = rooms.line();
        let counters = line.counters.of(worker);
        let joined = {
            let mut state = line.lock();
            let joined = state.queue.join(rooms.settings().size, None);
            if state.queue.len() == 1 {
                rooms.load().set_waited(true);
            }
            joined
        };
        let Ok(ticket) = joined else {
            counters.refused_total.add(1);
            return Err(Full);
        };
        counters.joined_total.add(1);
        let (version, since) = (rooms.version(), Instant::now());
        Ok(Self { rooms: rooms.clone(), ticket, since, worker, version, outdated: false, hopeless: false })
    }

    /// Says whether this is a place in the line of `rooms`.
    fn is_in(&self, rooms: &Arc<R>) -> bool {
        std::ptr::eq(self.rooms.line(), rooms.line())
    }

    /// Whether it is called, with `waker` left in the line if not; `None` when the pool has another plan.
    fn look(&mut self, waker: &Waker) -> Option<Standing> {
        let mut state = self.rooms.line().lock();
        if state.version != self.version {
            self.version = state.version;
            return None;
        }
        let (standing, slot) = state.queue.of(self.ticket);
        if standing == Standing::Waiting
            && let Some(slot) = slot
        {
            *slot = Some(waker.clone());
        }
        Some(standing)
    }

    /// It is back with the plan of `rooms` and waits again.
    fn came_back(&mut self, rooms: &Arc<R>) {
        self.rooms = rooms.clone();
        self.outdated = rooms.version() != self.version;
        let line = rooms.line();
        let stuck = {
            let mut state = line.lock();
            state.queue.missed(self.ticket);
            state.queue.is_stuck()
        };
        if stuck {
            line.call(Queue::call);
        }
    }

    /// It was called and found no place.
    fn missed(&self, waker: &Waker) {
        let line = self.rooms.line();
        {
            let mut state = line.lock();
            if let (Standing::Called, Some(slot)) = state.queue.of(self.ticket) {
                *slot = Some(waker.clone());
            }
            state.queue.missed(self.ticket);
        }
        fence(Ordering::SeqCst);
        if self.outdated {
            line.call(|queue| queue.call_behind(self.ticket));
        }
        if self.rooms.has_room() || !self.rooms.is_worth_waiting() {
            line.call(|queue| queue.call_one(self.ticket));
        }
    }
}

impl<R: Rooms> Drop for Place<R> {
    fn drop(&mut self) {
        let line = self.rooms.line();
        let is_last_called = {
            let mut state = line.lock();
            let stood = state.queue.leave(self.ticket);
            if state.queue.is_empty() {
                self.rooms.load().set_waited(false);
            }
            stood == Standing::Called && state.queue.is_stuck()
        };
        line.counters.of(self.worker).waits.record(self.since.elapsed());
        if is_last_called && (self.outdated || self.hopeless || self.rooms.has_room()) {
            line.call(Queue::call);
        }
    }
}

/// Waits until `take` has taken a place, in the order of the line, or until `gone`. `before` is the place in line that
/// a [`Refusal::Moved`] gave back; `waited` how long the same request has waited before. Says how long it took, too.
pub(crate) async fn wait<R: Rooms, T>(
    rooms: &Arc<R>,
    worker: usize,
    before: Option<Place<R>>,
    waited: Duration,
    mut take: impl FnMut() -> Option<T>,
    gone: impl Future<Output = ()>,
) -> (Duration, Result<T, Refusal<R>>) {
    if !rooms.is_worth_waiting() {
        return (before.map_or(Duration::ZERO, |place| place.since.elapsed()), Err(Refusal::Nobody));
    }
    let line = rooms.line();
    let mut place = match before.filter(|place| place.is_in(rooms)) {
        Some(mut place) => {
            place.came_back(rooms);
            place
        }
        None => match Place::join(rooms, worker) {
            Ok(place) => place,
            Err(Full) => return (Duration::ZERO, Err(Refusal::Full)),
        },
    };
    let deadline = tokio::time::sleep_until(place.since + rooms.settings().patience(waited));
    let (mut deadline, mut gone) = (std::pin::pin!(deadline), std::pin::pin!(gone));
    let outcome = std::future::poll_fn(|cx: &mut Context<'_>| {
        match place.look(cx.waker()) {
            None => return Poll::Ready(Outcome::Moved),
            Some(Standing::Waiting) => {}
            Some(Standing::Called | Standing::Gone) => {
                fence(Ordering::SeqCst);
                if let Some(taken) = take() {
                    return Poll::Ready(Outcome::Taken(taken));
                }
                if !rooms.is_worth_waiting() {
                    return Poll::Ready(Outcome::Nobody);
                }
                place.missed(cx.waker());
            }
        }
        if gone.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Outcome::Gone);
        }
        deadline.as_mut().poll(cx).map(|()| Outcome::Timeout)
    })
    .await;
    let counters = line.counters.of(worker);
    let took = place.since.elapsed();
    let result = match outcome {
        Outcome::Taken(taken) => Ok(taken),
        Outcome::Nobody => {
            place.hopeless = true;
            Err(Refusal::Nobody)
        }
        Outcome::Moved => return (Duration::ZERO, Err(Refusal::Moved(place))),
        Outcome::Timeout => {
            counters.timed_out_total.add(1);
            Err(Refusal::Timeout)
        }
        Outcome::Gone => {
            counters.left_total.add(1);
            Err(Refusal::Gone)
        }
    };
    (took, result)
}

/// How a wait has ended.
enum Outcome<T> {
    Taken(T),
    Nobody,
    Moved,
    Timeout,
    Gone,
}

#[cfg(test)]
mod tests;
