//! What one process has counted of virtual routers, and the one before it.

use super::{RouterSnapshot, Snapshot};

impl Snapshot {
    /// Adds what the process before has counted. Where nothing has happened since, the state is as old as it was there.
    pub fn follow(&mut self, before: &Self) {
        self.events_dropped_total += before.events_dropped_total;
        for router in &mut self.routers {
            let same = |before: &&RouterSnapshot| {
                (&before.interface, before.vrid, before.addresses.first().is_some_and(is_v6))
                    == (&router.interface, router.vrid, router.addresses.first().is_some_and(is_v6))
            };
            if let Some(before) = before.routers.iter().find(same) {
                router.follow(before);
            }
        }
    }
}

fn is_v6(address: &super::AddressSnapshot) -> bool {
    address.address.contains(':')
}

impl RouterSnapshot {
    fn follow(&mut self, before: &Self) {
        if self.state == before.state && self.became_active_total == 0 {
            self.since = before.since;
        }
        self.dual_owner_seconds += before.dual_owner_seconds;
        self.sent_total += before.sent_total;
        self.released_total += before.released_total;
        self.received_total += before.received_total;
        self.became_active_total += before.became_active_total;
        self.dual_owner_total += before.dual_owner_total;
        self.announced_total += before.announced_total;
        self.stalled_total += before.stalled_total;
        for (reason, count) in &before.refused_total {
            *self.refused_total.entry(reason.clone()).or_default() += count;
        }
        self.repaired_total += before.repaired_total;
    }
}
