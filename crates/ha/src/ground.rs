//! Decides from what an interface has whether a virtual router can stand on it, and from which address it speaks.

use std::net::IpAddr;

use evenkeel_config::plan::VirtualRouter;
use evenkeel_failover::vrrp::params::{Address, Delivery};
use evenkeel_sys::netlink::{Held, Link};

/// What the interface of a virtual router offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ground {
    /// It can send and receive.
    Firm(Footing),
    /// It cannot; the words are for the operator.
    Missing(String),
}

/// Where a virtual router stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Footing {
    /// The interface of its packets and addresses.
    pub(crate) index: u32,
    /// What neighbours are told.
    pub(crate) hardware: [u8; 6],
    /// Where its advertisements come from.
    pub(crate) source: IpAddr,
}

/// Looks at the interface of `router`. `addresses` are those of its family on it; `virtuals` are those of all virtual
/// routers, which are no address of the machine itself.
pub(crate) fn look(
    router: &VirtualRouter,
    link: Option<&Link>,
    addresses: &[Held],
    virtuals: &[Address],
) -> Ground {
    let name = &router.interface;
    let missing = |why: String| Ground::Missing(why);
    let Some(link) = link else { return missing(format!("there is no interface `{name}`")) };
    if !link.is_up {
        return missing(format!("the interface `{name}` is down"));
    }
    if !link.is_running {
        return missing(format!("the interface `{name}` has no carrier"));
    }
    let Some(hardware) = link.hardware else {
        return missing(format!("the interface `{name}` is no Ethernet: it has no hardware address"));
    };
    let is_own = |held: &&Held| {
        !held.is_ours() && !held.is_blocked && !virtuals.iter().any(|address| address.ip == held.ip)
    };
    let own: Vec<&Held> = addresses.iter().filter(is_own).collect();
    let source = match router.source {
        Some(wanted) => own.iter().copied().find(|held| held.ip == wanted),
        None => preferred(router, &own),
    };
    match source {
        Some(held) => Ground::Firm(Footing { index: link.index, hardware, source: held.ip }),
        None => missing(match (router.source, router.is_v6()) {
            (Some(wanted), _) => format!("the interface `{name}` does not have the source address {wanted}"),
            (None, false) => format!("the interface `{name}` has no IPv4 address of its own to send from"),
            (None, true) => {
                format!("the interface `{name}` has no usable IPv6 address of its own to send from")
            }
        }),
    }
}

/// The address to speak from. To the group: the primary IPv4 address, or the link-local IPv6 one (RFC 9568 §7.2). To
/// peers: one in a network with a peer, so that it is the address that the peer was told.
fn preferred<'a>(router: &VirtualRouter, own: &[&'a Held]) -> Option<&'a Held> {
    let first = |fits: &dyn Fn(&Held) -> bool| own.iter().copied().find(|held| fits(held));
    if let Delivery::Unicast(peers) = &router.params.settings().delivery {
        let near = |held: &Held| peers.iter().any(|peer| shares_network(held, peer.address));
        let local = peers.iter().all(|peer| is_link_local(peer.address));
        return first(&near).or_else(|| first(&|held| is_link_local(held.ip) == local)).or(first(&|_| true));
    }
    if router.is_v6() {
        return first(&|held| is_link_local(held.ip));
    }
    first(&|held| !held.is_secondary).or(first(&|_| true))
}

fn is_link_local(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local())
}

pub(crate) fn shares_network(held: &Held, other: IpAddr) -> bool {
    let bits = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => u128::from(ip.to_bits()) << 96,
        IpAddr::V6(ip) => ip.to_bits(),
    };
    let differing = bits(held.ip) ^ bits(other);
    held.ip.is_ipv4() == other.is_ipv4() && differing.leading_zeros() >= u32::from(held.prefix)
}

#[cfg(test)]
mod tests;
