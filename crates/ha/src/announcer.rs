//! Paces gratuitous ARP and unsolicited neighbour advertisements: switches and neighbours drop what comes too fast.
//!
//! Rounds that are asked for while others wait are put behind them; an address that is given away is announced no more.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use evenkeel_failover::announce::{LinkAddress, arp, ndp};
use evenkeel_failover::vrrp::params::MOST_ANNOUNCEMENTS;
use evenkeel_sys::settings::{Family, Setting};

/// Frames that leave at once.
const BURST: usize = 64;
/// The pause before the next ones.
const PAUSE: Duration = Duration::from_millis(2);
/// Frames that may wait: all rounds of the largest virtual router.
const MOST_WAITING: usize = 255 * MOST_ANNOUNCEMENTS as usize;

/// Frames of one virtual router that have not left yet.
#[derive(Debug, Default)]
pub(crate) struct Announcer {
    waiting: VecDeque<IpAddr>,
    next: Option<Instant>,
}

impl Announcer {
    /// One more round: each address once.
    pub(crate) fn add(&mut self, addresses: impl Iterator<Item = IpAddr>, now: Instant) {
        let room = MOST_WAITING.saturating_sub(self.waiting.len());
        self.waiting.extend(addresses.take(room));
        if !self.waiting.is_empty() && self.next.is_none() {
            self.next = Some(now);
        }
    }

    /// Forgets what waits.
    pub(crate) fn clear(&mut self) {
        self.waiting.clear();
        self.next = None;
    }

    /// When [`Self::due`] has something.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.next
    }

    /// What leaves now.
    pub(crate) fn due(&mut self, now: Instant) -> Vec<IpAddr> {
        if self.next.is_none_or(|next| next > now) {
            return Vec::new();
        }
        let due = self.waiting.drain(..BURST.min(self.waiting.len())).collect();
        self.next = (!self.waiting.is_empty()).then(|| now + PAUSE);
        due
    }
}

/// The frame that tells neighbours that `address` lives at `hardware`. `is_router`: this machine forwards packets.
pub(crate) fn frame(address: IpAddr, hardware: LinkAddress, is_router: bool) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => arp::gratuitous(hardware, address).to_vec(),
        IpAddr::V6(address) => ndp::unsolicited(hardware, address, is_router).to_vec(),
    }
}

/// This machine forwards IPv6 packets that come in there, and says so to neighbours (RFC 4861 §4.4, the R flag).
pub(crate) fn forwards(interface: &str) -> bool {
    let setting = Setting::new(Family::V6, interface, "forwarding");
    setting.and_then(|setting| setting.read()).is_ok_and(|value| value != "0")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(count: u8) -> impl Iterator<Item = IpAddr> {
        (0..count).map(|last| IpAddr::from([192, 0, 2, last]))
    }

    #[test]
    fn few_leave_at_once_in_their_order() {
        let now = Instant::now();
        let mut announcer = Announcer::default();
        announcer.add(addresses(2), now);
        announcer.add(addresses(2), now);
        let expected: Vec<IpAddr> = addresses(2).chain(addresses(2)).collect();
        assert_eq!(announcer.due(now), expected);
        assert_eq!((announcer.due(now), announcer.deadline()), (Vec::new(), None));
    }

    #[test]
    fn many_leave_in_bursts() {
        let now = Instant::now();
        let mut announcer = Announcer::default();
        announcer.add(addresses(200), now);
        let sizes: Vec<usize> = (0..5).map(|turn| announcer.due(now + PAUSE * turn).len()).collect();
        assert_eq!(sizes, [64, 64, 64, 8, 0]);
    }

    #[test]
    fn nothing_is_announced_after_it_was_given_away() {
        let now = Instant::now();
        let mut announcer = Announcer::default();
        announcer.add(addresses(200), now);
        announcer.due(now);
        announcer.clear();
        assert!(announcer.due(now + PAUSE).is_empty());
    }

    #[test]
    fn what_waits_has_a_bound() {
        let now = Instant::now();
        let mut announcer = Announcer::default();
        for _ in 0..100 {
            announcer.add(addresses(255), now);
        }
        assert_eq!(announcer.waiting.len(), 255 * 20);
    }
}
