//! Decides what to do about addresses: what the kernel has and what shall be held go in, steps come out.
//!
//! Invariants: a state that is as wanted needs no step; doing the steps makes it so; an address that belongs to no
//! virtual router is touched only when it has our mark.

use std::net::IpAddr;

use evenkeel_failover::vrrp::params::Address;
use evenkeel_sys::netlink::Held;

/// What one virtual router wants.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wish<'a> {
    /// Where its addresses live.
    pub(crate) index: u32,
    /// All of them.
    pub(crate) addresses: &'a [Address],
    /// They shall be held.
    pub(crate) own: bool,
    /// The operator gave them to this machine for good (priority 255): what has not our mark is his.
    pub(crate) is_owner: bool,
}

/// A deed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) what: What,
    pub(crate) index: u32,
    pub(crate) ip: IpAddr,
    pub(crate) prefix: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Add,
    /// It is ours.
    Remove,
    /// Somebody else has added it.
    RemoveForeign,
}

/// What has to be done for one virtual router.
pub(crate) fn steps(wish: &Wish<'_>, present: &[Held]) -> Vec<Step> {
    let mut steps = Vec::new();
    for &Address { ip, prefix } in wish.addresses {
        let step = |what, prefix| Step { what, index: wish.index, ip, prefix };
        let mut is_there = false;
        for held in present.iter().filter(|held| held.index == wish.index && held.ip == ip) {
            // The network of one that the operator has added is his choice.
            let is_right = held.prefix == prefix || !held.is_ours();
            if wish.own && is_right && !held.is_blocked {
                is_there = true;
            } else if held.is_ours() || (wish.own && held.is_blocked) {
                steps.push(step(What::Remove, held.prefix));
            } else if !wish.own && !wish.is_owner {
                // Two machines with one address is what all this is there to prevent.
                steps.push(step(What::RemoveForeign, held.prefix));
            }
        }
        if wish.own && !is_there {
            steps.push(step(What::Add, prefix));
        }
    }
    // Removing first: an address cannot be there twice.
    steps.sort_by_key(|step| step.what == What::Add);
    steps
}

/// What has our mark and belongs to none of these, on none of these interfaces.
pub(crate) fn leftovers(wishes: &[Wish<'_>], present: &[Held]) -> Vec<Step> {
    let is_known = |held: &Held| {
        let same = |wish: &Wish<'_>| {
            wish.index == held.index && wish.addresses.iter().any(|address| address.ip == held.ip)
        };
        wishes.iter().any(same)
    };
    present
        .iter()
        .filter(|held| held.is_ours() && !is_known(held))
        .map(|held| Step { what: What::Remove, index: held.index, ip: held.ip, prefix: held.prefix })
        .collect()
}

/// This machine holds every address, as only this program leaves them.
pub(crate) fn holds_all(wish: &Wish<'_>, present: &[Held]) -> bool {
    wish.addresses.iter().all(|address| {
        let same = |held: &&Held| held.index == wish.index && held.ip == address.ip;
        present.iter().find(same).is_some_and(Held::is_ours)
    })
}

#[cfg(test)]
mod tests {
    use evenkeel_sys::netlink::OWN_PROTOCOL;

    use super::*;

    const OURS: u8 = OWN_PROTOCOL;
    const NOBODYS: u8 = 0;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn held(text: &str, prefix: u8, protocol: u8) -> Held {
        Held { index: 2, ip: ip(text), prefix, protocol, is_secondary: false, is_blocked: false }
    }

    fn addresses() -> Vec<Address> {
        vec![Address { ip: ip("192.0.2.100"), prefix: 24 }, Address { ip: ip("192.0.2.101"), prefix: 24 }]
    }

    fn done(own: bool, is_owner: bool, present: &[Held]) -> Vec<(What, String)> {
        let addresses = addresses();
        let wish = Wish { index: 2, addresses: &addresses, own, is_owner };
        steps(&wish, present).iter().map(|s| (s.what, format!("{}/{}", s.ip, s.prefix))).collect()
    }

    #[test]
    fn an_owner_adds_what_is_missing_and_only_that() {
        let present = [held("192.0.2.11", 24, NOBODYS), held("192.0.2.101", 24, OURS)];
        assert_eq!(done(true, false, &present), [(What::Add, "192.0.2.100/24".into())]);
        let all = [held("192.0.2.100", 24, OURS), held("192.0.2.101", 24, OURS)];
        assert_eq!(done(true, false, &all), []);
    }

    #[test]
    fn a_backup_removes_what_it_must_not_hold_whoever_added_it() {
        let present = [
            held("192.0.2.11", 24, NOBODYS),
            held("192.0.2.100", 24, OURS),
            held("192.0.2.101", 32, NOBODYS),
        ];
        let expected =
            [(What::Remove, "192.0.2.100/24".into()), (What::RemoveForeign, "192.0.2.101/32".into())];
        assert_eq!(done(false, false, &present), expected);
    }

    #[test]
    fn the_address_of_the_owner_himself_stays_his() {
        let present = [held("192.0.2.100", 24, NOBODYS), held("192.0.2.101", 24, OURS)];
        assert_eq!(done(false, true, &present), [(What::Remove, "192.0.2.101/24".into())]);
        assert_eq!(done(true, true, &present), []);
    }

    #[test]
    fn a_changed_network_replaces_ours_and_leaves_the_operators() {
        let present = [held("192.0.2.100", 32, OURS), held("192.0.2.101", 32, NOBODYS)];
        let expected = [(What::Remove, "192.0.2.100/32".into()), (What::Add, "192.0.2.100/24".into())];
        assert_eq!(done(true, false, &present), expected);
    }

    #[test]
    fn an_address_that_duplicate_detection_blocks_is_added_anew() {
        let mut blocked = held("192.0.2.100", 24, OURS);
        blocked.is_blocked = true;
        let present = [blocked, held("192.0.2.101", 24, OURS)];
        let expected = [(What::Remove, "192.0.2.100/24".into()), (What::Add, "192.0.2.100/24".into())];
        assert_eq!(done(true, false, &present), expected);
    }

    #[test]
    fn the_same_address_on_another_interface_is_not_meant() {
        let mut elsewhere = held("192.0.2.100", 24, NOBODYS);
        elsewhere.index = 3;
        assert_eq!(done(false, false, &[elsewhere]), []);
    }

    #[test]
    fn what_an_earlier_run_left_is_removed_unless_it_is_known() {
        let addresses = addresses();
        let wish = Wish { index: 2, addresses: &addresses, own: false, is_owner: false };
        let mut moved = held("192.0.2.100", 24, OURS);
        moved.index = 3;
        let present = [
            held("192.0.2.100", 24, OURS),
            held("192.0.2.7", 24, OURS),
            held("192.0.2.8", 24, NOBODYS),
            moved,
        ];
        let found: Vec<(u32, IpAddr)> =
            leftovers(&[wish], &present).iter().map(|step| (step.index, step.ip)).collect();
        assert_eq!(found, [(2, ip("192.0.2.7")), (3, ip("192.0.2.100"))]);
    }

    #[test]
    fn only_what_is_whole_and_ours_counts_as_held() {
        let addresses = addresses();
        let wish = Wish { index: 2, addresses: &addresses, own: true, is_owner: false };
        let both = |second| [held("192.0.2.100", 24, OURS), held("192.0.2.101", 24, second)];
        assert!(holds_all(&wish, &both(OURS)));
        assert!(!holds_all(&wish, &both(NOBODYS)));
        assert!(!holds_all(&wish, &both(OURS)[..1]));
    }
}
