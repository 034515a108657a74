//! Hosts that talk to the virtual addresses, and the switch between all of them.

use std::collections::BTreeMap;
use std::net::IpAddr;

/// A client or a router next door. Its table changes by announcements, and by asking when an entry has expired; as with
/// Linux, an announcement changes only what is there.
#[derive(Clone, Debug, Default)]
pub(super) struct Neighbour {
    /// The router that a frame for the address would go to.
    pub(super) table: BTreeMap<IpAddr, usize>,
}

impl Neighbour {
    pub(super) fn hear(&mut self, router: usize, addresses: &[IpAddr]) {
        for address in addresses {
            if let Some(entry) = self.table.get_mut(address) {
                *entry = router;
            }
        }
    }
}

/// Where a switch sends frames for the virtual router's own Ethernet address: to the port where it saw it last.
#[derive(Clone, Debug, Default)]
pub(super) struct Switch {
    pub(super) port: Option<usize>,
}
