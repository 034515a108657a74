//! Which probes were answered, and the outages that follow from that.
//!
//! Invariant: probes are decided in the order in which they were sent; open ones are at most those of the time in
//! which an answer may come.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::{Outage, ProbeReport};

pub(super) struct Ledger {
    late: Duration,
    /// Number of the first open probe.
    first: u64,
    open: VecDeque<Open>,
    answered: u64,
    last_lost: Option<Instant>,
    /// The last answered probe of those decided.
    good: Option<Instant>,
    /// Lost ones since.
    lost: u64,
    outages: Vec<Outage>,
}

struct Open {
    sent: Instant,
    answered: bool,
}

impl Ledger {
    pub(super) fn new(late: Duration) -> Self {
        Self {
            late,
            first: 0,
            open: VecDeque::new(),
            answered: 0,
            last_lost: None,
            good: None,
            lost: 0,
            outages: Vec::new(),
        }
    }

    /// Notes that a probe is sent and gives it its number.
    pub(super) fn send(&mut self, now: Instant) -> u64 {
        self.open.push_back(Open { sent: now, answered: false });
        self.first + self.open.len() as u64 - 1
    }

    /// Notes an answer; one to a probe that is decided comes too late.
    pub(super) fn answer(&mut self, number: u64) {
        let place = number.checked_sub(self.first).and_then(|place| usize::try_from(place).ok());
        if let Some(probe) = place.and_then(|place| self.open.get_mut(place)) {
            probe.answered = true;
        }
        self.decide(None);
    }

    /// Gives up the probes whose time is over.
    pub(super) fn settle(&mut self, now: Instant) {
        self.decide(Some(now));
    }

    fn decide(&mut self, now: Option<Instant>) {
        while let Some(probe) = self.open.front() {
            let over = now.is_some_and(|now| now.saturating_duration_since(probe.sent) > self.late);
            if !probe.answered && !over {
                return;
            }
            let sent = probe.sent;
            if !probe.answered {
                self.lost += 1;
                self.last_lost = Some(sent);
            } else {
                self.answered += 1;
                if let Some(start) = self.good.filter(|_| self.lost > 0) {
                    self.outages.push(Outage { start, length: sent - start, lost: self.lost, over: true });
                }
                self.good = Some(sent);
                self.lost = 0;
            }
            self.open.pop_front();
            self.first += 1;
        }
    }

    pub(super) fn oldest_open(&self) -> u64 {
        self.first
    }

    pub(super) fn last_answered(&self) -> Option<Instant> {
        self.good
    }

    pub(super) fn last_lost(&self) -> Option<Instant> {
        self.last_lost
    }

    pub(super) fn report(&self) -> ProbeReport {
        let mut outages = self.outages.clone();
        if let (Some(start), Some(last), true) = (self.good, self.last_lost, self.lost > 0) {
            outages.push(Outage { start, length: last - start, lost: self.lost, over: false });
        }
        let sent = self.first + self.open.len() as u64;
        ProbeReport { sent, answered: self.answered, outages }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LATE: Duration = Duration::from_millis(250);

    fn milliseconds(start: Instant, many: u64) -> Instant {
        start + Duration::from_millis(many)
    }

    /// Sends one probe each 2 ms; those in the list are lost.
    fn ledger(start: Instant, probes: u64, lost: std::ops::Range<u64>) -> Ledger {
        let mut ledger = Ledger::new(LATE);
        for n in 0..probes {
            assert_eq!(ledger.send(milliseconds(start, 2 * n)), n);
            if !lost.contains(&n) {
                ledger.answer(n);
            }
        }
        ledger
    }

    #[test]
    fn an_outage_is_from_the_last_good_probe_to_the_next_good_one() {
        let start = Instant::now();
        let mut ledger = ledger(start, 100, 10..60);
        assert_eq!(ledger.report().outages, [], "answers may still come");
        ledger.settle(milliseconds(start, 2 * 59 + 251));
        let outage = Outage {
            start: milliseconds(start, 18),
            length: Duration::from_millis(102),
            lost: 50,
            over: true,
        };
        let report = ledger.report();
        assert_eq!(report.outages, [outage]);
        assert_eq!((report.sent, report.answered), (100, 50));
        assert_eq!(report.longest(), Duration::from_millis(102));
    }

    #[test]
    fn an_answer_in_time_is_no_outage_and_one_too_late_is() {
        let start = Instant::now();
        let mut ledger = ledger(start, 10, 3..5);
        ledger.settle(milliseconds(start, 6 + 250));
        ledger.answer(3);
        ledger.settle(milliseconds(start, 8 + 251));
        ledger.answer(4);
        assert_eq!(ledger.report().outages.len(), 1);
        assert_eq!(ledger.report().outages[0].lost, 1);
    }

    #[test]
    fn an_outage_that_lasts_is_reported_as_not_over() {
        let start = Instant::now();
        let mut ledger = ledger(start, 10, 4..10);
        ledger.settle(milliseconds(start, 1000));
        let outage = ledger.report().outages[0];
        assert_eq!((outage.lost, outage.over), (6, false));
        assert_eq!(outage.length, Duration::from_millis(12));
    }

    #[test]
    fn silence_before_the_first_answer_is_no_outage() {
        let start = Instant::now();
        let mut ledger = ledger(start, 10, 0..4);
        ledger.settle(milliseconds(start, 1000));
        assert_eq!(ledger.report().outages, []);
        assert_eq!(ledger.last_lost(), Some(milliseconds(start, 6)));
    }

    #[test]
    fn a_client_that_was_not_scheduled_reports_no_outage() {
        let start = Instant::now();
        let mut ledger = Ledger::new(LATE);
        ledger.send(start);
        ledger.answer(0);
        ledger.send(milliseconds(start, 900));
        ledger.answer(1);
        assert_eq!(ledger.report().outages, []);
    }
}
