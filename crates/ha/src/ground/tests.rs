use evenkeel_failover::vrrp::params::{Family, Params, Peer, Settings, Version, VirtualRouterId};

use super::*;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn router(addresses: &[&str], peers: &[&str]) -> VirtualRouter {
    let addresses: Vec<Address> = addresses.iter().map(|text| Address { ip: ip(text), prefix: 24 }).collect();
    let family = Family::of(addresses[0].ip);
    let mut settings = Settings::new(Version::V3, family, VirtualRouterId::new(51).unwrap(), addresses);
    if !peers.is_empty() {
        let peer = |text: &&str| Peer { address: ip(text), least_hop_limit: 255 };
        settings.delivery = Delivery::Unicast(peers.iter().map(peer).collect());
    }
    VirtualRouter {
        name: "public".parse().unwrap(),
        interface: "eth0".into(),
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

fn link() -> Link {
    Link {
        index: 2,
        name: "eth0".into(),
        is_up: true,
        is_running: true,
        hardware: Some([2, 0, 0, 0, 0, 1]),
        mtu: 1500,
        parent: None,
        kind: None,
    }
}

fn held(text: &str, prefix: u8) -> Held {
    Held { index: 2, ip: ip(text), prefix, protocol: 0, is_secondary: false, is_blocked: false }
}

/// The source, or why there is none.
fn found(router: &VirtualRouter, link: Option<&Link>, addresses: &[Held]) -> Result<IpAddr, String> {
    match look(router, link, addresses, &router.params.settings().addresses) {
        Ground::Firm(footing) => Ok(footing.source),
        Ground::Missing(why) => Err(why),
    }
}

#[test]
fn the_group_hears_the_primary_address_and_never_a_virtual_one() {
    let router = router(&["192.0.2.100"], &[]);
    let mut second = held("192.0.2.12", 24);
    second.is_secondary = true;
    let addresses = [held("192.0.2.100", 24), second, held("192.0.2.11", 24)];
    assert_eq!(found(&router, Some(&link()), &addresses), Ok(ip("192.0.2.11")));
    // A virtual address of another router, which has our mark.
    let other = Held { protocol: evenkeel_sys::netlink::OWN_PROTOCOL, ..held("192.0.2.101", 24) };
    assert_eq!(
        found(&router, Some(&link()), &[other]),
        Err("the interface `eth0` has no IPv4 address of its own to send from".into())
    );
}

#[test]
fn over_ipv6_the_group_hears_the_link_local_address_once_it_is_usable() {
    let router = router(&["fe80::100"], &[]);
    let mut tentative = held("fe80::1", 64);
    tentative.is_blocked = true;
    let addresses = [held("2001:db8::1", 64), held("fe80::100", 64), tentative];
    assert!(found(&router, Some(&link()), &addresses).is_err());
    let addresses = [held("2001:db8::1", 64), held("fe80::100", 64), held("fe80::1", 64)];
    assert_eq!(found(&router, Some(&link()), &addresses), Ok(ip("fe80::1")));
}

#[test]
fn peers_hear_an_address_of_their_own_network() {
    let router = router(&["192.0.2.100"], &["198.51.100.12"]);
    let addresses = [held("192.0.2.11", 24), held("198.51.100.11", 24)];
    assert_eq!(found(&router, Some(&link()), &addresses), Ok(ip("198.51.100.11")));
    // Peers behind a gateway hear the first one.
    assert_eq!(found(&router, Some(&link()), &addresses[..1]), Ok(ip("192.0.2.11")));
}

#[test]
fn a_source_that_was_asked_for_is_used_or_missed() {
    let router = VirtualRouter { source: Some(ip("192.0.2.12")), ..router(&["192.0.2.100"], &[]) };
    let addresses = [held("192.0.2.11", 24), held("192.0.2.12", 24)];
    assert_eq!(found(&router, Some(&link()), &addresses), Ok(ip("192.0.2.12")));
    assert_eq!(
        found(&router, Some(&link()), &addresses[..1]),
        Err("the interface `eth0` does not have the source address 192.0.2.12".into())
    );
}

#[test]
fn an_interface_that_cannot_carry_packets_says_what_it_lacks() {
    let router = router(&["192.0.2.100"], &[]);
    let addresses = [held("192.0.2.11", 24)];
    let why = |link: Option<Link>| found(&router, link.as_ref(), &addresses).unwrap_err();
    assert_eq!(why(None), "there is no interface `eth0`");
    assert_eq!(why(Some(Link { is_up: false, ..link() })), "the interface `eth0` is down");
    assert_eq!(why(Some(Link { is_running: false, ..link() })), "the interface `eth0` has no carrier");
    let tunnel = why(Some(Link { hardware: None, ..link() }));
    assert_eq!(tunnel, "the interface `eth0` is no Ethernet: it has no hardware address");
}
