//! How long things took, counted in fixed buckets.
//!
//! A histogram belongs to one worker, as its counters do; buckets are summed when read, so the count of a snapshot is
//! always the sum of its buckets.

use std::time::Duration;

use crate::message::{HistogramSnapshot, LATENCY_BOUNDS};
use crate::table::Counter;

/// A histogram that one worker writes and anybody reads.
#[derive(Debug, Default)]
pub(crate) struct Histogram {
    /// One for each bound, and one for what is beyond the last.
    buckets: [Counter; LATENCY_BOUNDS.len() + 1],
    nanos: Counter,
}

impl Histogram {
    /// Counts something that took this long; only the worker that owns the histogram may.
    pub(crate) fn record(&self, took: Duration) {
        // A bound belongs to its bucket.
        let place = LATENCY_BOUNDS.partition_point(|bound| *bound < took);
        self.buckets[place].add(1);
        self.nanos.add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
    }

    /// The sum of the histograms of all workers.
    pub(crate) fn sum<'a>(parts: impl Iterator<Item = &'a Self>) -> HistogramSnapshot {
        let mut sum = HistogramSnapshot::default();
        for part in parts {
            for (total, bucket) in sum.buckets.iter_mut().zip(&part.buckets) {
                *total = total.wrapping_add(bucket.value());
            }
            sum.nanos = sum.nanos.wrapping_add(part.nanos.value());
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_falls_into_the_first_bucket_whose_bound_it_does_not_pass() {
        let (one, other) = (Histogram::default(), Histogram::default());
        for micros in [0, 500, 501] {
            one.record(Duration::from_micros(micros));
        }
        other.record(Duration::from_secs(60));
        other.record(Duration::from_nanos(60_000_000_001));
        let sum = Histogram::sum([&one, &other].into_iter());
        assert_eq!(sum.buckets, [2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1]);
        assert_eq!(sum.nanos, 1_001_000 + 120_000_000_001);
    }
}
