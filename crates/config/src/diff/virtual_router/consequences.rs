//! What follows from a change of a virtual router, said before it is made: who hears whom meanwhile, and where addresses
//! are.

use std::time::Duration;

use evenkeel_failover::vrrp::authentication::{Authentication, Mode};
use evenkeel_failover::vrrp::params::{Address, Delivery, Params, Version};

use super::super::shown::{duration, list};
use super::addresses;
use crate::plan::VirtualRouter;

/// For a router that stays.
pub(super) fn of(old: &VirtualRouter, new: &VirtualRouter) -> Vec<String> {
    let (before, after) = (old.params.settings(), new.params.settings());
    let mut said = Vec::new();
    if is_another(old, new) {
        said.push(format!(
            "on the link this is another virtual router: {} {} handed over, and the new one begins as a backup; as long as \
             another node has the old one, two nodes may hold the addresses",
            addresses(old),
            is_or_are(old)
        ));
        return said;
    }
    if before.version != after.version {
        said.push("it starts anew as a backup, because of the version".into());
    }
    let mut deaf = Vec::new();
    if before.version != after.version {
        deaf.push("version");
    }
    if before.delivery != after.delivery && !only_more_peers(old, new) {
        deaf.push("peers");
    }
    if is_estranged(&before.authentication, &after.authentication) {
        deaf.push("authentication");
    }
    if before.interval != after.interval && after.version == Version::V2 {
        deaf.push("advertisement-interval");
    }
    if !deaf.is_empty() {
        said.push(format!(
            "until the other nodes have the same {}, they do not understand each other and two of them may hold the \
             addresses: reload all within {}",
            deaf.join(" and "),
            duration(patience(&old.params))
        ));
    }
    if before.priority != after.priority {
        said.push(
            "the others are told at once; whoever has more then takes over, as `preempt` allows".into(),
        );
    }
    if old.virtual_mac != new.virtual_mac {
        said.push("the addresses move to another interface of this node, with other hardware addresses; no election".into());
    }
    said
}

/// For one that goes: what becomes of its addresses.
pub(super) fn removed(old: &VirtualRouter, new: &[VirtualRouter]) -> String {
    let (kept, left): (Vec<_>, Vec<_>) = old.params.settings().addresses.iter().partition(|address| {
        let has = |router: &VirtualRouter| {
            router.interface == old.interface
                && router.params.settings().addresses.iter().any(|other| other.ip == address.ip)
        };
        new.iter().any(has)
    });
    let mut said = Vec::new();
    if !left.is_empty() {
        let shown = show(&left);
        let verb = if left.len() == 1 { "is" } else { "are" };
        said.push(format!(
            "{} {verb} handed over to another node that has the router still, for at most {}, and then given away",
            list(&shown),
            duration(whole_millis(old.params.longest_handover()))
        ));
    }
    if !kept.is_empty() {
        let shown = show(&kept);
        let verb = if kept.len() == 1 { "belongs" } else { "belong" };
        said.push(format!("{} {verb} to another router now", list(&shown)));
    }
    said.join("; ")
}

fn show(addresses: &[&Address]) -> Vec<String> {
    addresses.iter().map(|address| format!("{}/{}", address.ip, address.prefix)).collect()
}

/// Addresses that `new` takes from other routers.
pub(super) fn moved(new: &VirtualRouter, own: Option<&VirtualRouter>, old: &[VirtualRouter]) -> Vec<String> {
    let mut said = Vec::new();
    for address in &new.params.settings().addresses {
        let had = |router: &&VirtualRouter| {
            own.is_none_or(|own| own.name != router.name)
                && router.params.settings().addresses.iter().any(|other| other.ip == address.ip)
        };
        if let Some(from) = old.iter().find(had) {
            said.push(format!(
                "{}/{} comes from virtual router {}; where both are active on the same node it is never away: otherwise \
                 reload the node that takes it first",
                address.ip, address.prefix, from.name
            ));
        }
    }
    said
}

fn is_another(old: &VirtualRouter, new: &VirtualRouter) -> bool {
    let identity = |router: &VirtualRouter| {
        let settings = router.params.settings();
        (settings.vrid.number(), router.is_v6())
    };
    old.interface != new.interface || identity(old) != identity(new)
}

fn is_or_are(router: &VirtualRouter) -> &'static str {
    if router.params.settings().addresses.len() == 1 { "is" } else { "are" }
}

/// Peers were added, and none removed: everybody is still told.
fn only_more_peers(old: &VirtualRouter, new: &VirtualRouter) -> bool {
    match (&old.params.settings().delivery, &new.params.settings().delivery) {
        (Delivery::Unicast(before), Delivery::Unicast(after)) => {
            before.iter().all(|peer| after.contains(peer))
        }
        _ => false,
    }
}

/// One node with the old and one with the new do not understand each other in both directions.
fn is_estranged(old: &Authentication, new: &Authentication) -> bool {
    !(understands(old, new) && understands(new, old))
}

/// A receiver accepts what a sender says.
fn understands(receiver: &Authentication, sender: &Authentication) -> bool {
    let sealed = match sender {
        Authentication::Hmac(sender) if sender.mode != Mode::ReceiveOnly => Some(sender),
        _ => None,
    };
    match (receiver, sealed) {
        (Authentication::Hmac(receiver), Some(sender)) => sender
            .keys
            .iter()
            .filter(|key| key.id == sender.active_key)
            .all(|key| receiver.keys.contains(key)),
        (_, Some(_)) => false,
        (Authentication::Hmac(receiver), None) => {
            receiver.mode != Mode::Enforce && !matches!(sender, Authentication::Pass(_))
        }
        (Authentication::None, None) => !matches!(sender, Authentication::Pass(_)),
        (Authentication::Pass(_), None) => receiver == sender,
    }
}

/// Nobody needs it finer.
fn whole_millis(time: Duration) -> Duration {
    Duration::from_millis(u64::try_from(time.as_micros().div_ceil(1000)).unwrap_or(u64::MAX))
}

/// The silence that the others put up with.
fn patience(params: &Params) -> Duration {
    params.settings().interval.duration() * 3
}

#[cfg(test)]
mod tests;
