//! The lab measures itself: faults on cables, and the fail-over of two keepaliveds.

use std::net::{IpAddr, SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use super::*;
use crate::{Keepalived, State, Variant, VrrpInstance, needs};

const EVERY: Duration = Duration::from_millis(2);

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// Two balancers and a client at one switch.
struct Site {
    first: Host,
    second: Host,
    client: Host,
    first_cable: Cable,
}

impl Site {
    fn start() -> Option<Self> {
        let lab = Lab::start()?;
        let switch = lab.switch("lan");
        let (first, second, client) = (lab.host("balancer01"), lab.host("balancer02"), lab.host("client"));
        let first_cable = lab.plug(&first, "eth0", &switch);
        for host in [&second, &client] {
            lab.plug(host, "eth0", &switch);
        }
        for (host, number) in [(&first, 1), (&second, 2), (&client, 9)] {
            host.add_address("eth0", &format!("10.99.0.{number}/24"));
            host.add_address("eth0", &format!("fd99::{number}/64"));
        }
        Some(Self { first, second, client, first_cable })
    }
}

#[test]
fn each_fault_of_a_cable_is_an_outage_until_it_is_healed() {
    let Some(site) = Site::start() else { return };
    for target in ["10.99.0.1", "fd99::1"] {
        let probe = site.client.probe(ip(target), Probing::Echo, EVERY);
        let faults: [&dyn Fn(); 5] = [
            &|| site.first_cable.cut(),
            &|| site.first_cable.disable(),
            &|| site.first_cable.silence(Silence::Both),
            &|| site.first_cable.silence(Silence::FromHost),
            &|| site.first_cable.silence(Silence::ToHost),
        ];
        for fault in faults {
            probe.wait_for_answer();
            fault();
            probe.wait_for_silence();
            site.first_cable.heal();
            probe.wait_for_answer();
        }
        let report = probe.stop();
        assert!(report.outages.len() >= 5, "{target}: {report:?}");
        assert!(report.outages.iter().all(|outage| outage.over), "{target}: {report:?}");
    }
}

#[test]
fn a_cut_cable_has_no_carrier_and_a_silent_one_has() {
    let Some(site) = Site::start() else { return };
    let carrier = || site.first.ip("-brief link show dev eth0").contains("LOWER_UP");
    assert!(carrier());
    site.first_cable.silence(Silence::Both);
    assert!(carrier());
    site.first_cable.cut();
    assert!(!carrier());
    site.first_cable.heal();
    assert!(carrier());
}

#[test]
fn one_way_silence_lets_the_other_direction_through() {
    let Some(site) = Site::start() else { return };
    let at_client = site.client.capture("eth0");
    let at_first = site.first.capture("eth0");
    let hello = |host: &Host, from: &str, to: &str| {
        let (from, to) = (SocketAddr::new(ip(from), 0), SocketAddr::new(ip(to), 9));
        host.inside(|| std::net::UdpSocket::bind(from).unwrap().send_to(b"hello", to)).unwrap();
    };
    let asks = |target: &'static str, from: &'static str| {
        move |frame: &Frame| {
            matches!(&frame.packet, Packet::Arp(arp)
                if arp.operation == 1 && arp.target == ip(target) && arp.sender == ip(from) && !frame.sent)
        }
    };
    site.first_cable.silence(Silence::ToHost);
    hello(&site.first, "10.99.0.1", "10.99.0.9");
    at_client.wait_for(asks("10.99.0.9", "10.99.0.1"));
    assert_eq!(site.first.neighbour(ip("10.99.0.9")), None);
    site.first_cable.heal();
    site.first_cable.silence(Silence::FromHost);
    hello(&site.client, "10.99.0.9", "10.99.0.1");
    at_first.wait_for(asks("10.99.0.1", "10.99.0.9"));
}

#[test]
fn addresses_that_come_and_go_are_seen() {
    let Some(site) = Site::start() else { return };
    let watch = site.first.watch_addresses();
    for (address, prefix) in [("10.99.0.50", 24), ("fd99::50", 64)] {
        site.first.ip(&format!("address add {address}/{prefix} dev eth0"));
        watch.wait_until(ip(address), true);
        site.first.ip(&format!("address delete {address}/{prefix} dev eth0"));
        watch.wait_until(ip(address), false);
    }
    let seen: Vec<_> =
        watch.changes().iter().map(|change| (change.address.to_string(), change.held)).collect();
    for address in ["10.99.0.50", "fd99::50"] {
        assert!(seen.contains(&(address.to_owned(), true)), "{seen:?}");
        assert!(seen.contains(&(address.to_owned(), false)), "{seen:?}");
    }
}

#[test]
fn a_tcp_probe_needs_somebody_who_accepts() {
    let Some(site) = Site::start() else { return };
    let listen = || site.first.inside(|| TcpListener::bind("10.99.0.1:8080").unwrap());
    let listener = listen();
    let probe = site.client.probe(ip("10.99.0.1"), Probing::Connect(8080), Duration::from_millis(5));
    probe.wait_for_answer();
    drop(listener);
    probe.wait_for_silence();
    let _listener = listen();
    probe.wait_for_answer();
    let report = probe.stop();
    assert_eq!(report.outages.len(), 1, "{report:?}");
}

#[test]
fn everything_goes_with_its_value() {
    let Some(site) = Site::start() else { return };
    let names: Vec<_> =
        [&site.first, &site.second, &site.client].iter().map(|host| host.name().to_owned()).collect();
    let mut program = site.first.command("cat");
    let program = crate::Program::start(program.arg("/dev/zero"));
    drop(site);
    assert_eq!(program.wait(crate::BOUND), 128 + 9);
    let left = namespace::names();
    assert!(names.iter().all(|name| !left.contains(name)), "{left:?}");
}

/// The instance of either balancer; the first is preferred.
fn instances(address: &str, change: impl Fn(&mut VrrpInstance)) -> [VrrpInstance; 2] {
    [150, 100].map(|priority| {
        let mut instance = VrrpInstance::new("lan", 51, priority, address);
        change(&mut instance);
        instance
    })
}

#[test]
fn the_outage_of_a_dead_keepalived_is_measured() {
    if !needs("keepalived") {
        return;
    }
    let Some(site) = Site::start() else { return };
    let vip = ip("10.99.0.50");
    let [first, second] = instances("10.99.0.50/24", |_| {});
    let first = Keepalived::start(&site.first, &[first]);
    first.wait_for_state("lan", State::Master);
    let second = Keepalived::start(&site.second, &[second]);
    let capture = site.second.capture("eth0");
    let held = site.second.watch_addresses();
    capture.wait_for(|frame| frame.packet.vrrp().is_some_and(|vrrp| vrrp.priority == 150));
    assert_eq!(second.state("lan"), Some(State::Backup));
    let probe = site.client.probe(vip, Probing::Echo, EVERY);
    probe.wait_for_answer();
    assert_eq!(site.client.neighbour(vip), Some(site.first.mac("eth0")));

    // The power fails: the processes are gone, and so is the machine, whose kernel would go on answering.
    first.kill9();
    site.first_cable.cut();
    let dead = Instant::now();
    second.wait_for_state("lan", State::Master);
    held.wait_until(vip, true);
    probe.wait_for_answer();
    let report = probe.stop();

    let [outage] = report.outages[..] else { panic!("one outage was expected: {report:?}") };
    let frames = capture.frames();
    let last =
        frames.iter().rfind(|frame| frame.packet.vrrp().is_some_and(|vrrp| vrrp.priority == 150)).unwrap();
    let next =
        frames.iter().find(|frame| frame.packet.vrrp().is_some_and(|vrrp| vrrp.priority == 100)).unwrap();
    // 3 x 100 ms and a skew of (256 - 100) / 256 x 100 ms; frames carry the kernel's time.
    assert!(next.at - last.at >= Duration::from_millis(360), "{:?}", next.at - last.at);
    assert!(outage.start <= dead && outage.start + outage.length >= next.at, "{outage:?} {next:?}");
    let announced = capture.wait_for(|frame| frame.packet.announces(vip));
    assert_eq!(announced.source, site.second.mac("eth0"));
    assert_eq!(site.client.neighbour(vip), Some(announced.source));
}

#[test]
fn a_silent_cable_makes_two_owners_and_healing_leaves_one() {
    if !needs("keepalived") {
        return;
    }
    let Some(site) = Site::start() else { return };
    let vip = ip("10.99.0.50");
    let [first, second] = instances("10.99.0.50/24", |_| {});
    let first = Keepalived::start(&site.first, &[first]);
    let second = Keepalived::start(&site.second, &[second]);
    first.wait_for_state("lan", State::Master);
    second.wait_for_state("lan", State::Backup);
    site.first_cable.silence(Silence::Both);
    second.wait_for_state("lan", State::Master);
    assert!(site.first.holds(vip) && site.second.holds(vip));
    site.first_cable.heal();
    second.wait_for_state("lan", State::Backup);
    site.second.watch_addresses().wait_until(vip, false);
    assert!(site.first.holds(vip));
    // A frozen owner is replaced, and yields nothing until it runs again.
    first.freeze();
    second.wait_for_state("lan", State::Master);
    first.resume();
    second.wait_for_state("lan", State::Backup);
    first.stop();
    second.wait_for_state("lan", State::Master);
    site.first.watch_addresses().wait_until(vip, false);
}

#[test]
fn keepalived_speaks_every_variant() {
    if !needs("keepalived") || Lab::start().is_none() {
        return;
    }
    let second = Duration::from_secs(1);
    let ipv4 = [
        (Variant::V2, second),
        (Variant::V2Pass("secret12".to_owned()), second),
        (Variant::V3, second / 100),
        (Variant::V3MessageOnly, second / 10),
    ];
    let ipv4 = ipv4.iter().map(|(variant, interval)| {
        instances("10.99.0.50/24", |instance| {
            instance.variant = variant.clone();
            instance.interval = *interval;
        })
    });
    let ipv6 = instances("fe80::50/64", |instance| instance.addresses.push("fd99::50/64".to_owned()));
    // Most of the time is spent on the protocol's own timers.
    std::thread::scope(|scope| {
        for pair in ipv4.chain([ipv6]) {
            for unicast in [false, true] {
                let pair = pair.clone();
                scope.spawn(move || speaks(pair, unicast));
            }
        }
    });
}

/// The first becomes master and its advertisements are what was asked for; the second listens to it, and takes over
/// when it stops.
fn speaks([mut first, mut second]: [VrrpInstance; 2], unicast: bool) {
    let site = Site::start().unwrap();
    let vip = ip(first.addresses.last().unwrap().split_once('/').unwrap().0);
    if unicast {
        let own = if vip.is_ipv4() {
            [ip("10.99.0.1"), ip("10.99.0.2")]
        } else {
            [&site.first, &site.second].map(|host| host.link_local("eth0"))
        };
        first.unicast = Some((own[0], vec![own[1]]));
        second.unicast = Some((own[1], vec![own[0]]));
    }
    // keepalived sends unicast over IPv6 with the kernel's own hop limit.
    let hop_limit = if unicast && vip.is_ipv6() { 64 } else { 255 };
    let at_second = site.second.capture("eth0");
    let first_runs = Keepalived::start(&site.first, std::slice::from_ref(&first));
    first_runs.wait_for_state("lan", State::Master);
    let heard = at_second.wait_for(|frame| frame.packet.vrrp().is_some());
    let vrrp = heard.packet.vrrp().unwrap();
    let version = if matches!(first.variant, Variant::V2 | Variant::V2Pass(_)) { 2 } else { 3 };
    assert_eq!(
        (vrrp.version, vrrp.vrid, vrrp.priority, vrrp.hop_limit),
        (version, 51, 150, hop_limit),
        "{first:?}"
    );
    assert_eq!(vrrp.addresses.len(), first.addresses.len());
    assert_eq!(vrrp.destination.is_multicast(), !unicast);
    let passed = vrrp.message.ends_with(b"secret12");
    assert_eq!(passed, matches!(first.variant, Variant::V2Pass(_)));
    at_second.wait_for(|frame| frame.packet.announces(vip));
    let second_runs = Keepalived::start(&site.second, std::slice::from_ref(&second));
    let (seen, _) = at_second.wait_after(at_second.frames().len(), |frame| frame.packet.vrrp().is_some());
    at_second.wait_after(seen, |frame| frame.packet.vrrp().is_some());
    assert_eq!(second_runs.state("lan"), Some(State::Backup));
    first_runs.stop();
    second_runs.wait_for_state("lan", State::Master);
    site.second.watch_addresses().wait_until(vip, true);
}
