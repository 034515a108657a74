//! The least rate at which a body must arrive: a client that sends a byte a second holds a server for hours.
//!
//! Time that the balancer waits for the client is paid from a credit; every byte that arrives earns some back. The
//! credit never exceeds the grace, so that nobody saves up for an attack.

use std::time::Duration;

use tokio::time::Instant;

/// The credit at the start, and at most: a pause that any client may make.
const GRACE: Duration = Duration::from_secs(10);

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// Bytes per second; 0 asks for none.
    rate: u64,
    credit: Duration,
    waiting_since: Option<Instant>,
}

impl Pace {
    pub(crate) fn new(bytes_per_second: u64) -> Self {
        Self { rate: bytes_per_second, credit: GRACE, waiting_since: None }
    }

    /// The balancer waits for the client from now on (or still does). Returns when patience ends.
    pub(crate) fn waits(&mut self, now: Instant) -> Option<Instant> {
        (self.rate > 0).then(|| *self.waiting_since.get_or_insert(now) + self.credit)
    }

    /// So many bytes arrived.
    pub(crate) fn arrived(&mut self, bytes: usize, now: Instant) {
        let waited = self.waiting_since.take().map_or(Duration::ZERO, |since| now - since);
        if let Some(nanos) = (bytes as u64).saturating_mul(1_000_000_000).checked_div(self.rate) {
            let earned = Duration::from_nanos(nanos);
            self.credit = (self.credit.saturating_sub(waited) + earned).min(GRACE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    #[test]
    fn silence_is_borne_for_the_grace() {
        let start = Instant::now();
        assert_eq!(Pace::new(500).waits(start), Some(at(start, 10)));
        assert_eq!(Pace::new(0).waits(start), None);
    }

    #[test]
    fn a_client_below_the_rate_uses_up_its_credit() {
        let start = Instant::now();
        let mut pace = Pace::new(500);
        // 2 s for 500 bytes: each time 1 s of credit is lost, 10 s in all.
        for turn in 0..9 {
            let now = at(start, turn * 2);
            assert_eq!(pace.waits(now), Some(now + Duration::from_secs(10 - turn)));
            pace.arrived(500, now + Duration::from_secs(2));
        }
    }

    #[test]
    fn a_client_above_the_rate_goes_on_for_ever_but_saves_nothing() {
        let start = Instant::now();
        let mut pace = Pace::new(500);
        pace.waits(start);
        pace.arrived(1_000_000, at(start, 1));
        let now = at(start, 100);
        assert_eq!(pace.waits(now), Some(at(now, 10)));
    }

    #[test]
    fn time_that_the_server_takes_is_not_counted() {
        let start = Instant::now();
        let mut pace = Pace::new(500);
        pace.waits(start);
        pace.arrived(500, at(start, 1));
        // For an hour nobody asked the client for anything.
        assert_eq!(pace.waits(at(start, 3600)), Some(at(start, 3610)));
    }
}
