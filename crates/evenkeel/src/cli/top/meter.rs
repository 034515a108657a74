//! What two looks at counters say of the time between them. Pure.

use std::time::{Duration, Instant};

use evenkeel_admin::message::Status;
use evenkeel_proxy::message::{HistogramSnapshot, LATENCY_BOUNDS};

/// The program at one moment.
#[derive(Debug)]
pub(super) struct Look {
    pub(super) at: Instant,
    pub(super) status: Status,
}

/// Changes by this much in a second; `None` when the counter began anew, because its role did.
pub(super) fn rate(before: u64, after: u64, span: Duration) -> Option<f64> {
    let seconds = span.as_secs_f64();
    let grown = after.checked_sub(before)?;
    #[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
    (seconds > 0.0).then(|| grown as f64 / seconds)
}

/// What was measured between two looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spread {
    /// Half took at most so long; `None`: longer than every bound.
    pub(super) median: Option<Duration>,
    /// 99 of a hundred.
    pub(super) p99: Option<Duration>,
}

/// `None` when nothing was measured, or counting began anew.
pub(super) fn spread(before: &HistogramSnapshot, after: &HistogramSnapshot) -> Option<Spread> {
    let mut grown = [0; LATENCY_BOUNDS.len() + 1];
    for (grown, (before, after)) in grown.iter_mut().zip(before.buckets.iter().zip(&after.buckets)) {
        *grown = after.checked_sub(*before)?;
    }
    let count: u64 = grown.iter().sum();
    (count > 0).then(|| Spread { median: bound(&grown, count, 50), p99: bound(&grown, count, 99) })
}

/// The bound below which so many of a hundred lie.
fn bound(buckets: &[u64], count: u64, percent: u64) -> Option<Duration> {
    let needed = (count * percent).div_ceil(100);
    let mut below = 0;
    let place = buckets.iter().position(|&bucket| {
        below += bucket;
        below >= needed
    })?;
    LATENCY_BOUNDS.get(place).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(counts: &[(usize, u64)]) -> HistogramSnapshot {
        let mut histogram = HistogramSnapshot::default();
        for &(place, count) in counts {
            histogram.buckets[place] = count;
        }
        histogram
    }

    #[test]
    fn a_rate_is_per_second_and_unknown_when_counting_began_anew() {
        assert_eq!(rate(100, 300, Duration::from_secs(2)), Some(100.0));
        assert_eq!(rate(300, 100, Duration::from_secs(2)), None);
        assert_eq!(rate(1, 2, Duration::ZERO), None);
    }

    #[test]
    fn a_spread_is_of_what_came_in_between() {
        // 1,000 before count for nothing: 98 within 1 ms and 2 within 100 ms are left.
        let before = histogram(&[(0, 1000)]);
        let after = histogram(&[(0, 1000), (1, 98), (7, 2)]);
        let spread = spread(&before, &after).unwrap();
        assert_eq!(spread.median, Some(Duration::from_millis(1)));
        assert_eq!(spread.p99, Some(Duration::from_millis(100)));
    }

    #[test]
    fn beyond_the_last_bound_there_is_no_figure() {
        let after = histogram(&[(LATENCY_BOUNDS.len(), 1)]);
        let spread = spread(&HistogramSnapshot::default(), &after).unwrap();
        assert_eq!((spread.median, spread.p99), (None, None));
        assert_eq!(super::spread(&after, &after), None);
    }
}
