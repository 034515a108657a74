//! The least rate at which a client must give or take: one that sends or reads a byte a second holds a server for hours.
//!
//! Time that the balancer waits for the client is paid from a credit; every byte that moves earns some back. The
//! credit never exceeds the grace, so that nobody saves up for an attack.

use std::time::Duration;

use tokio::time::Instant;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// Bytes per second; 0 asks for none.
    rate: u64,
    /// The credit at the start, and at most: a pause that any client may make.
    grace: Duration,
    credit: Duration,
    waiting_since: Option<Instant>,
}

impl Pace {
    pub(crate) fn new(bytes_per_second: u64, grace: Duration) -> Self {
        Self { rate: bytes_per_second, grace, credit: grace, waiting_since: None }
    }

    /// The balancer waits for the client from now on (or still does). Returns when patience ends.
    pub(crate) fn waits(&mut self, now: Instant) -> Option<Instant> {
        (self.rate > 0).then(|| *self.waiting_since.get_or_insert(now) + self.credit)
    }

    /// So many bytes have moved; the rate is shared by so many.
    pub(crate) fn moved(&mut self, bytes: u64, sharing: u64, now: Instant) {
        let waited = self.waiting_since.take().map_or(Duration::ZERO, |since| now - since);
        let worth = bytes.saturating_mul(sharing).saturating_mul(1_000_000_000);
        if let Some(nanos) = worth.checked_div(self.rate) {
            let earned = Duration::from_nanos(nanos);
            self.credit = self.credit.saturating_sub(waited).saturating_add(earned).min(self.grace);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_secs(10);

    fn at(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    #[test]
    fn silence_is_borne_for_the_grace() {
        let start = Instant::now();
        assert_eq!(Pace::new(500, GRACE).waits(start), Some(at(start, 10)));
        assert_eq!(Pace::new(0, GRACE).waits(start), None);
    }

    #[test]
    fn a_client_below_the_rate_uses_up_its_credit() {
        let start = Instant::now();
        let mut pace = Pace::new(500, GRACE);
        // 2 s for 500 bytes: each time 1 s of credit is lost, 10 s in all.
        for turn in 0..9 {
            let now = at(start, turn * 2);
            assert_eq!(pace.waits(now), Some(now + Duration::from_secs(10 - turn)));
            pace.moved(500, 1, now + Duration::from_secs(2));
        }
    }

    #[test]
    fn a_client_above_the_rate_goes_on_for_ever_but_saves_nothing() {
        let start = Instant::now();
        let mut pace = Pace::new(500, GRACE);
        pace.waits(start);
        pace.moved(1_000_000, 1, at(start, 1));
        let now = at(start, 100);
        assert_eq!(pace.waits(now), Some(at(now, 10)));
    }

    #[test]
    fn time_that_the_server_takes_is_not_counted() {
        let start = Instant::now();
        let mut pace = Pace::new(500, GRACE);
        pace.waits(start);
        pace.moved(500, 1, at(start, 1));
        // For an hour nobody asked the client for anything.
        assert_eq!(pace.waits(at(start, 3600)), Some(at(start, 3610)));
    }

    #[test]
    fn those_who_share_a_rate_need_only_their_part_of_it() {
        let start = Instant::now();
        let mut pace = Pace::new(500, GRACE);
        pace.waits(start);
        // 8 s were used up; 50 bytes of the 500 that ten have to move in a second earn one back.
        pace.moved(50, 10, at(start, 8));
        assert_eq!(pace.waits(at(start, 8)), Some(at(start, 11)));
    }
}
