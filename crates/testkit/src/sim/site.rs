//! Makes the site of a run: its routers, their settings, their clocks.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

use evenkeel_failover::vrrp::authentication::{Authentication, Password};
use evenkeel_failover::vrrp::interval::Interval;
use evenkeel_failover::vrrp::params::{
    Address, Announcing, Coverage, Delivery, Family, Peer, Preempt, Priority, Settings, Version,
    VirtualRouterId,
};

use super::clock::{Clock, WORST_DRIFT};
use super::random::Random;
use super::router::Router;
use super::world::World;

/// A site that follows from the seed alone.
pub(super) fn site(seed: u64, traced: bool) -> World {
    let mut random = Random::new(seed);
    let (version, family) = match random.below(4) {
        0 => (Version::V2, Family::V4),
        1 => (Version::V3, Family::V6),
        _ => (Version::V3, Family::V4),
    };
    let count = 2 + random.below(4);
    let shared = shared(&mut random, version, family);
    let unicast = random.percent(30);
    let owner = random.percent(10);
    let zero = Instant::now();
    let routers = (0..count)
        .map(|index| {
            let mut settings = shared.clone();
            settings.priority = priority(&mut random, owner && index == 0);
            settings.preempt = preempt(&mut random, settings.interval.duration());
            if unicast {
                let peers = (0..count).filter(|&peer| peer != index).flat_map(|peer| {
                    // A host whose primary address changes stays a peer.
                    let source = source(family, peer);
                    [source, other_source(source)]
                });
                let peer = |address| Peer { address, least_hop_limit: 255 };
                settings.delivery = Delivery::Unicast(peers.map(peer).collect());
            }
            let drift = i32::try_from(random.below(2 * WORST_DRIFT.unsigned_abs() as usize + 1));
            Router {
                name: format!("router{}", index + 1),
                clock: Clock::new(zero, drift.unwrap_or(0) - WORST_DRIFT),
                settings,
                tracked: None,
                source: source(family, index),
                powered: true,
                carrier: true,
                machine: None,
                paused: false,
                inbox: std::collections::VecDeque::new(),
                holds: std::collections::BTreeSet::new(),
                link_told: false,
                due: None,
                wake: None,
                sent: None,
            }
        })
        .collect();
    let neighbours = 1 + random.below(3);
    let virtual_mac = random.percent(25);
    let memory = random.percent(25).then(|| shared.interval.duration() * 50);
    let mut world = World::new(random, routers, neighbours, traced);
    world.virtual_mac = virtual_mac;
    world.memory = memory;
    world
}

fn shared(random: &mut Random, version: Version, family: Family) -> Settings {
    let vrid = VirtualRouterId(std::num::NonZeroU8::MIN);
    let mut settings = Settings::new(version, family, vrid, virtual_addresses(family, 1 + random.below(3)));
    settings.interval = interval(random, version);
    if version == Version::V2 && random.percent(30) {
        settings.authentication = Authentication::Pass(Password(*b"secret12"));
    }
    if random.percent(30) {
        settings.checksum = Coverage::MessageOnly;
    }
    let refresh = Duration::from_secs(1).max(settings.interval.duration() * 20);
    settings.announcing = Announcing { refresh: Some(refresh), ..Announcing::default() };
    settings
}

fn priority(random: &mut Random, owner: bool) -> Priority {
    let number = match random.below(3) {
        _ if owner => 255,
        // Equal priorities are a mistake that happens.
        0 => 100,
        1 => random.number(1, 254),
        _ => random.number(90, 110),
    };
    Priority::new(number).unwrap_or_default()
}

fn preempt(random: &mut Random, interval: Duration) -> Preempt {
    match random.below(5) {
        0 => Preempt::No,
        1 => Preempt::After(interval * (2 + u32::from(random.number(0, 6)))),
        _ => Preempt::Yes,
    }
}

/// From a hundredth of a second to two seconds; version 2 knows whole seconds.
pub(super) fn interval(random: &mut Random, version: Version) -> Interval {
    let milliseconds: &[u64] = match version {
        Version::V2 => &[1000, 2000],
        Version::V3 => &[10, 50, 100, 100, 500, 1000, 2000],
    };
    let chosen = random.pick(milliseconds).unwrap_or(1000);
    Interval::new(Duration::from_millis(chosen)).unwrap_or(Interval::SECOND)
}

/// The first few of a list; of IPv6 the first is link-local.
pub(super) fn virtual_addresses(family: Family, many: usize) -> Vec<Address> {
    let address = |index: u16| match family {
        Family::V4 => Address { ip: Ipv4Addr::from_bits(0x0a63_0032 + u32::from(index)).into(), prefix: 24 },
        Family::V6 => {
            let net = if index == 0 { 0xfe80 } else { 0xfd99 };
            Address { ip: Ipv6Addr::new(net, 0, 0, 0, 0, 0, 0, 0x50 + index).into(), prefix: 64 }
        }
    };
    (0..u16::try_from(many).unwrap_or(u16::MAX)).map(address).collect()
}

/// The primary address of a router.
fn source(family: Family, index: usize) -> IpAddr {
    let number = u8::try_from(index + 1).unwrap_or(u8::MAX);
    match family {
        Family::V4 => Ipv4Addr::new(10, 99, 0, number).into(),
        Family::V6 => Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, u16::from(number)).into(),
    }
}

/// The address that takes its place, and back.
pub(super) fn other_source(source: IpAddr) -> IpAddr {
    match source {
        IpAddr::V4(source) => Ipv4Addr::from_bits(source.to_bits() ^ 0x80).into(),
        IpAddr::V6(source) => Ipv6Addr::from_bits(source.to_bits() ^ 0x80).into(),
    }
}
