//! `[virtual-router.NAME]`: an address that moves between machines.

use std::net::IpAddr;

use super::{Notify, Provider, Track};
use evenkeel_failover::vrrp::params::{Family, Params};
use evenkeel_traffic::name::Name;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// The most virtual routers: each has sockets of its own in the high availability role.
pub const MOST_VIRTUAL_ROUTERS: usize = 128;
/// The most routes, and the most rules, of one virtual router.
pub const MOST_FOLLOWERS: usize = 64;

/// One virtual router.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VirtualRouter {
    /// Its name.
    pub name: Name,
    /// `interface`: where it advertises and holds its addresses.
    pub interface: String,
    /// `source-address`: what advertisements are sent from; `None` is the interface's own address.
    pub source: Option<IpAddr>,
    /// What the election needs to know.
    pub params: Params,
    /// `virtual-mac`: the addresses live on an interface of their own, with the hardware address that the RFC reserves
    /// for the router, so that it moves with them.
    pub virtual_mac: bool,
    /// `sync-group`: it is active only together with the others of this group.
    #[serde(default)]
    pub sync_group: Option<Name>,
    /// `routes`: what exists while the addresses are held.
    pub routes: Vec<FollowingRoute>,
    /// `rules`: the same for rules.
    pub rules: Vec<FollowingRule>,
    /// `track`: what must be well for it to hold the addresses; the proxy role is among it.
    pub track: Vec<Track>,
    /// `notify`: who is told of changes of state.
    pub notify: Vec<Notify>,
    /// `provider`: who else moves the addresses.
    pub provider: Option<Provider>,
}

impl VirtualRouter {
    /// Whether both are members of one sync group.
    #[must_use]
    pub fn moves_with(&self, other: &Self) -> bool {
        self.sync_group.is_some() && self.sync_group == other.sync_group
    }
}

impl VirtualRouter {
    /// The family that it speaks.
    #[must_use]
    pub fn is_v6(&self) -> bool {
        self.params.settings().family == Family::V6
    }
}

/// A route that follows the addresses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FollowingRoute {
    /// `to`: where packets go; `0.0.0.0/0` and `::/0` are everywhere.
    pub to: IpNet,
    /// `via`: the router that takes them; `None` when the destination is on the interface's own network.
    pub via: Option<IpAddr>,
    /// `source`: the source of what this machine sends itself.
    pub source: Option<IpAddr>,
    /// `table`: the routing table.
    pub table: u32,
    /// `metric`; 0 is the kernel's default.
    pub metric: u32,
}

/// A rule that follows the addresses: which routing table is asked for some packets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FollowingRule {
    /// `from`: the source of the packets.
    pub from: Option<IpNet>,
    /// `to`: their destination.
    pub to: Option<IpNet>,
    /// `table`.
    pub table: u32,
    /// `priority`: rules with less are asked first.
    pub priority: u32,
}

impl FollowingRule {
    /// The family of its packets; one without conditions is IPv4's.
    #[must_use]
    pub fn is_v6(&self) -> bool {
        self.from.or(self.to).is_some_and(|network| network.addr().is_ipv6())
    }
}
