//! What a server is doing now, and how fast it answers: written by all workers, read by every pick.
//!
//! A [`Load`] outlives plans: who keeps it across a reload keeps what it has counted. It knows no clock: times are
//! given, counted from one moment that all workers share. Invariants: `running` is the number of living [`Running`]
//! guards; what a guard has counted, its end takes back, whatever became of the pool meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;

use crate::pick::minima::Place;

/// After this time the weight of a latency seen has fallen to 1/e.
pub const LATENCY_MEMORY: Duration = Duration::from_secs(10);
/// What is believed of a server that nobody has asked yet.
pub const LATENCY_UNKNOWN: Duration = Duration::from_secs(1);
/// What a failure counts as, so that the server that fails at once does not look like the fastest.
pub const LATENCY_OF_FAILURE: Duration = Duration::from_secs(5);
/// The most that a server's own wish to be left alone (`Retry-After`) counts as.
pub const LONGEST_LATENCY: Duration = Duration::from_secs(300);

/// Who is told that a place has become free at a server.
pub trait Freed: std::fmt::Debug + Send + Sync {
    /// One that waits may try. Called only while [`PoolLoad::is_waited`].
    fn freed(&self);
}

/// What all servers of a pool do together.
#[derive(Debug, Default)]
pub struct PoolLoad {
    running: AtomicU64,
    /// Somebody wants to know; else the shared counter is left alone.
    wanted: AtomicBool,
    waited: Waited,
    freed: Option<Arc<dyn Freed>>,
}

/// Read at the end of each request, written only when a queue begins or ends: on cache lines of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Waited(AtomicBool);

impl PoolLoad {
    /// The load of a new pool, whose free places are told to `freed` while somebody waits for one.
    #[must_use]
    pub fn telling(freed: Arc<dyn Freed>) -> Self {
        Self { freed: Some(freed), ..Self::default() }
    }

    /// Somebody waits for a place.
    #[must_use]
    pub fn is_waited(&self) -> bool {
        self.waited.0.load(Ordering::Acquire)
    }

    /// From now on somebody waits, or nobody does. Who then finds no place after a `SeqCst` fence is told of the next:
    /// this store, and count and look at the end of a [`Running`], are in one order that all threads agree on.
    pub fn set_waited(&self, waited: bool) {
        self.waited.0.store(waited, Ordering::SeqCst);
    }

    /// Requests or connections counted since somebody wanted to know.
    #[must_use]
    pub fn running(&self) -> u64 {
        self.running.load(Ordering::Relaxed)
    }

    pub(crate) fn want(&self, wanted: bool) {
        self.wanted.store(wanted, Ordering::Relaxed);
    }
}

/// The load of one server. On cache lines of its own (neighbouring lines are fetched in pairs).
#[derive(Debug)]
#[repr(align(128))]
pub struct Load {
    running: AtomicU32,
    /// Microseconds as the bits of an `f32` (0: nothing is known), and the millisecond when that was so.
    latency: AtomicU64,
    /// Who wants to know when `running` falls.
    place: ArcSwapOption<Place>,
    pool: Arc<PoolLoad>,
}

impl Load {
    /// The load of a new server of the pool.
    #[must_use]
    pub fn new(pool: Arc<PoolLoad>) -> Self {
        Self { running: AtomicU32::new(0), latency: AtomicU64::new(0), place: ArcSwapOption::empty(), pool }
    }

    /// Requests (HTTP) or connections (TCP) running now.
    #[must_use]
    pub fn running(&self) -> u32 {
        self.running.load(Ordering::Acquire)
    }

    /// Its pool's.
    #[must_use]
    pub fn pool(&self) -> &Arc<PoolLoad> {
        &self.pool
    }

    /// Counts one more until the guard is dropped; `None` when that would be more than `most`.
    #[must_use]
    pub fn begin(self: &Arc<Self>, most: u32) -> Option<Running> {
        if most == u32::MAX {
            self.running.fetch_add(1, Ordering::AcqRel);
        } else {
            let more = |running| if running < most { Some(running + 1) } else { None };
            self.running.fetch_update(Ordering::AcqRel, Ordering::Relaxed, more).ok()?;
        }
        let in_pool = self.pool.wanted.load(Ordering::Relaxed);
        if in_pool {
            self.pool.running.fetch_add(1, Ordering::Relaxed);
        }
        Some(Running { load: self.clone(), in_pool })
    }

    pub(crate) fn report_to(&self, place: Option<Place>) {
        self.place.store(place.map(Arc::new));
    }

    /// Notes how long the server took to answer, at time `now`. One that took longer than believed is believed at
    /// once, one that was faster by and by ([`LATENCY_MEMORY`]).
    pub fn answered(&self, took: Duration, now: Duration) {
        let took = micros(took.min(LONGEST_LATENCY));
        let moment = millis(now);
        let learn = |packed: u64| {
            let believed = believed(packed, moment);
            let learnt = if packed == 0 || took > believed {
                took
            } else {
                let old = remembered(packed, moment);
                took + (last(packed) - took).max(0.0) * old
            };
            Some(pack(learnt, moment))
        };
        // It always learns; there is nothing to do about a result that is never an error.
        let _learnt = self.latency.fetch_update(Ordering::Relaxed, Ordering::Relaxed, learn);
    }

    /// Notes that the server has failed, or asked to be left alone for `wish`.
    pub fn failed(&self, wish: Option<Duration>, now: Duration) {
        self.answered(wish.unwrap_or_default().max(LATENCY_OF_FAILURE), now);
    }

    /// The latency to expect at time `now`, in microseconds. What was learnt fades with time, so that a server that
    /// was slow once is asked again.
    pub(crate) fn latency(&self, now: Duration) -> f32 {
        let moment = millis(now);
        let packed = self.latency.load(Ordering::Relaxed);
        if packed == 0 {
            // Fades from the first look on.
            let unknown = pack(micros(LATENCY_UNKNOWN), moment);
            let _known = self.latency.compare_exchange(0, unknown, Ordering::Relaxed, Ordering::Relaxed);
            return micros(LATENCY_UNKNOWN);
        }
        believed(packed, moment)
    }
}

/// One running request or connection; see [`Load::begin`].
#[derive(Debug)]
#[must_use = "it counts as long as it lives"]
pub struct Running {
    load: Arc<Load>,
    in_pool: bool,
}

impl Drop for Running {
    fn drop(&mut self) {
        let pool = &self.load.pool;
        // Both sequentially consistent, this and the look below: see `set_waited`.
        let left = self.load.running.fetch_sub(1, Ordering::SeqCst) - 1;
        if self.in_pool {
            pool.running.fetch_sub(1, Ordering::Relaxed);
        }
        if let Some(place) = &*self.load.place.load() {
            place.fell(left);
        }
        if pool.waited.0.load(Ordering::SeqCst)
            && let Some(freed) = &pool.freed
        {
            freed.freed();
        }
    }
}

/// Milliseconds as 32 bits; they wrap after 49 days, which [`elapsed`] takes in its stride.
fn millis(time: Duration) -> u32 {
    u32::try_from(time.as_millis() & u128::from(u32::MAX)).unwrap_or(0)
}

fn micros(time: Duration) -> f32 {
    time.as_secs_f32() * 1e6
}

/// A latency is at least a hundredth of a microsecond: 0 means that nothing is known.
fn pack(latency: f32, moment: u32) -> u64 {
    (u64::from(latency.max(0.01).to_bits()) << 32) | u64::from(moment)
}

fn last(packed: u64) -> f32 {
    f32::from_bits(u32::try_from(packed >> 32).unwrap_or(0))
}

/// The share of what was learnt that is still believed: e^(−Δt / memory).
fn remembered(packed: u64, moment: u32) -> f32 {
    let at = u32::try_from(packed & u64::from(u32::MAX)).unwrap_or(0);
    // Another worker's clock may be a moment ahead: half the range is the past, half the future.
    let elapsed = moment.wrapping_sub(at);
    if elapsed > u32::MAX / 2 {
        return 1.0;
    }
    (-(elapsed as f32) / (LATENCY_MEMORY.as_millis() as f32)).exp()
}

fn believed(packed: u64, moment: u32) -> f32 {
    last(packed) * remembered(packed, moment)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn load() -> Arc<Load> {
        Arc::new(Load::new(Arc::default()))
    }

    fn near(found: f32, wanted: f32) -> bool {
        (found - wanted).abs() <= wanted * 0.001
    }

    #[test]
    fn running_counts_while_guards_live_and_stops_at_the_most() {
        let load = load();
        let first = load.begin(2).unwrap();
        let _second = load.begin(2).unwrap();
        assert!(load.begin(2).is_none());
        drop(first);
        assert_eq!(load.running(), 1);
        assert!(load.begin(2).is_some());
    }

    #[test]
    fn the_pool_is_counted_only_when_wanted_and_never_below_zero() {
        let load = load();
        let before = load.begin(u32::MAX).unwrap();
        load.pool.want(true);
        let after = load.begin(u32::MAX).unwrap();
        assert_eq!(load.pool.running(), 1);
        drop(before);
        assert_eq!(load.pool.running(), 1);
        load.pool.want(false);
        drop(after);
        assert_eq!(load.pool.running(), 0);
    }

    #[test]
    fn a_free_place_is_told_only_while_somebody_waits() {
        #[derive(Debug, Default)]
        struct Bell(AtomicU32);
        impl Freed for Bell {
            fn freed(&self) {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
        let bell = Arc::new(Bell::default());
        let load = Arc::new(Load::new(Arc::new(PoolLoad::telling(bell.clone()))));
        drop(load.begin(1).unwrap());
        load.pool.set_waited(true);
        drop(load.begin(1).unwrap());
        load.pool.set_waited(false);
        drop(load.begin(1).unwrap());
        assert_eq!(bell.0.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_slow_answer_is_believed_at_once_and_a_fast_one_by_and_by() {
        let load = load();
        load.answered(Duration::from_millis(10), SECOND);
        assert!(near(load.latency(SECOND), 10_000.0));
        load.answered(Duration::from_millis(100), SECOND);
        assert!(near(load.latency(SECOND), 100_000.0));
        // Ten seconds later: 20 ms + (100 − 20) ms / e = 49.43 ms.
        load.answered(Duration::from_millis(20), 11 * SECOND);
        assert!(near(load.latency(11 * SECOND), 49_430.3), "{}", load.latency(11 * SECOND));
    }

    #[test]
    fn a_failure_counts_as_five_seconds_and_a_wish_as_what_it_asks_within_bounds() {
        let load = load();
        load.failed(None, SECOND);
        assert!(near(load.latency(SECOND), 5e6));
        load.failed(Some(60 * SECOND), SECOND);
        assert!(near(load.latency(SECOND), 60e6));
        load.failed(Some(9_000 * SECOND), SECOND);
        assert!(near(load.latency(SECOND), 300e6));
    }

    #[test]
    fn what_is_known_fades_and_the_unknown_is_a_second() {
        let load = load();
        assert!(near(load.latency(100 * SECOND), 1e6));
        // One memory later, 1/e of it.
        assert!(near(load.latency(110 * SECOND), 367_879.4));
    }

    #[test]
    fn a_clock_a_moment_behind_does_not_wipe_what_was_learnt() {
        let load = load();
        load.answered(SECOND, 10 * SECOND);
        assert!(near(load.latency(9 * SECOND), 1e6));
    }
}
