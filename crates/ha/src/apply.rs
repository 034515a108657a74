//! Decides what becomes of virtual routers when the plan changes.
//!
//! A virtual router is what it is on the link: interface, number and family. Its name is the operator's, and a new name is
//! no reason for an election.

use evenkeel_config::plan::VirtualRouter;

/// What becomes of a virtual router of the new plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It runs already, at this place of the old ones, and stays as it is.
    Keep(usize),
    /// It runs already and goes on with other settings.
    Change(usize),
    /// It begins.
    Start,
}

/// One fate for each of `new`; those of `old` that no fate names end.
pub(crate) fn fates(old: &[&VirtualRouter], new: &[VirtualRouter]) -> Vec<Fate> {
    let fate = |router: &VirtualRouter| match old.iter().position(|before| is_same(before, router)) {
        Some(place) if old[place] == router => Fate::Keep(place),
        Some(place) => Fate::Change(place),
        None => Fate::Start,
    };
    new.iter().map(fate).collect()
}

fn is_same(one: &VirtualRouter, other: &VirtualRouter) -> bool {
    let identity = |router: &VirtualRouter| {
        let settings = router.params.settings();
        (settings.vrid, settings.family)
    };
    one.interface == other.interface && identity(one) == identity(other)
}

#[cfg(test)]
mod tests {
    use evenkeel_failover::vrrp::params::{
        Address, Family, Params, Priority, Settings, Version, VirtualRouterId,
    };

    use super::*;

    fn router(name: &str, interface: &str, vrid: u8, priority: u8) -> VirtualRouter {
        let addresses = vec![Address { ip: "192.0.2.100".parse().unwrap(), prefix: 24 }];
        let vrid = VirtualRouterId::new(vrid).unwrap();
        let settings = Settings {
            priority: Priority::new(priority).unwrap(),
            ..Settings::new(Version::V3, Family::V4, vrid, addresses)
        };
        VirtualRouter {
            name: name.parse().unwrap(),
            interface: interface.into(),
            source: None,
            params: Params::new(settings).unwrap(),
            virtual_mac: false,
            sync_group: None,
            routes: Vec::new(),
            rules: Vec::new(),
            track: Vec::new(),
            notify: Vec::new(),
            provider: None,
        }
    }

    #[test]
    fn a_new_name_or_priority_is_no_new_router() {
        let old = [router("a", "eth0", 51, 100), router("b", "eth0", 52, 100)];
        let new =
            [router("b", "eth0", 52, 100), router("renamed", "eth0", 51, 100), router("c", "eth1", 51, 100)];
        let old: Vec<&VirtualRouter> = old.iter().collect();
        assert_eq!(fates(&old, &new), [Fate::Keep(1), Fate::Change(0), Fate::Start]);
        assert_eq!(fates(&old, &[router("a", "eth0", 51, 101)]), [Fate::Change(0)]);
    }

    #[test]
    fn another_number_or_interface_is_another_router() {
        let old = router("a", "eth0", 51, 100);
        assert_eq!(fates(&[&old], &[router("a", "eth0", 53, 100)]), [Fate::Start]);
        let masked = VirtualRouter { virtual_mac: true, ..old.clone() };
        assert_eq!(fates(&[&old], &[masked]), [Fate::Change(0)]);
    }
}
