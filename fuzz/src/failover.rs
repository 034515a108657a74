//! VRRP, ARP, neighbour advertisements: any bytes are read or refused, what is read is written the same, and the machine
//! survives any sequence of events.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use evenkeel_failover::announce::arp::{self, Arp};
use evenkeel_failover::announce::ndp::{self, NeighbourAdvertisement};
use evenkeel_failover::handover::wire::{MOST_PIECE, Reassembly, pieces};
use evenkeel_failover::track::Effective;
use evenkeel_failover::vrrp::action::{Action, Link, Received};
use evenkeel_failover::vrrp::authentication::{Authentication, Hmac, Key, Mode, Password};
use evenkeel_failover::vrrp::datagram::read_ipv4;
use evenkeel_failover::vrrp::hmac::{Guard, Trailer};
use evenkeel_failover::vrrp::interval::Interval;
use evenkeel_failover::vrrp::machine::{MOST_ACTIONS, Machine};
use evenkeel_failover::vrrp::packet::{Advertisement, Message};
use evenkeel_failover::vrrp::params::{
    Address, Coverage, Delivery, Family, Params, Peer, Preempt, Priority, Settings, Version, VirtualRouterId,
};
use evenkeel_failover::vrrp::status::State;
use evenkeel_failover::vrrp::validate::validate;

const OWN: [u8; 4] = [10, 99, 0, 2];
const OTHER: [u8; 4] = [10, 99, 0, 1];

/// An IPv4 datagram, and the same bytes as a VRRP message of both families.
pub fn vrrp(data: &[u8]) {
    if let Ok(received) = read_ipv4(data) {
        assert!(received.payload.len() + 20 <= data.len());
        message(Family::V4, received.source, received.destination, received.payload);
        judge(&received);
    }
    let link_local = "fe80::1".parse().expect("an address");
    for (family, source) in [(Family::V4, OTHER.into()), (Family::V6, link_local)] {
        let destination = family.group();
        message(family, source, destination, data);
        judge(&Received { source, destination, hop_limit: 255, payload: data });
    }
}

/// What was read, written again, has the same bytes but for reserved bits, kinds and trailers.
fn message(family: Family, source: IpAddr, destination: IpAddr, payload: &[u8]) {
    let Ok(message) = Message::parse(family, payload) else { return };
    assert!(payload.starts_with(message.bytes()));
    let Some(coverage) = message.coverage(source, destination) else { return };
    let (Some(vrid), Some(interval)) = (VirtualRouterId::new(message.vrid), message.interval) else { return };
    let advertisement = Advertisement {
        version: message.version,
        vrid,
        priority: message.priority,
        interval,
        addresses: message.addresses().collect(),
        password: message.password.filter(|_| message.authentication_type == 1),
    };
    let written = advertisement.encode(source, destination, coverage);
    let back = Message::parse(family, &written).expect("what we write can be read");
    assert!(back.is_advertisement());
    assert_eq!(back.coverage(source, destination), Some(coverage));
    assert_eq!((back.priority, back.interval), (message.priority, message.interval));
    assert!(back.addresses().eq(message.addresses()));
}

/// Every kind of router judges it without a panic.
fn judge(received: &Received<'_>) {
    let own = if received.source.is_ipv4() { OWN.into() } else { "fe80::2".parse().expect("an address") };
    let wall = Some(Duration::from_secs(1_750_000_000));
    for kind in 0..6 {
        let settings = settings(kind, Family::of(received.source));
        if let Ok(accepted) = validate(&settings, own, wall, &mut Guard::default(), received) {
            assert_ne!(accepted.source, own);
            assert_eq!(received.payload[1], settings.vrid.number());
        }
    }
    if let Some(trailer) = Trailer::parse(received.payload) {
        let _ = format!("{trailer:?}");
    }
}

fn settings(kind: u8, family: Family) -> Settings {
    let addresses = match family {
        Family::V4 => vec![[10, 99, 0, 50].into()],
        Family::V6 => vec!["fe80::50".parse().expect("an address"), "fd99::50".parse().expect("an address")],
    };
    let addresses = addresses.into_iter().map(|ip| Address { ip, prefix: 24 }).collect();
    let version = if kind.is_multiple_of(2) || family == Family::V6 { Version::V3 } else { Version::V2 };
    let vrid = VirtualRouterId::new(51).expect("a number");
    let mut settings = Settings::new(version, family, vrid, addresses);
    settings.priority =
        [100, 254, 255, 1][usize::from(kind % 4)].try_into().ok().and_then(Priority::new).expect("not 0");
    settings.preempt =
        [Preempt::Yes, Preempt::No, Preempt::After(Duration::from_secs(3))][usize::from(kind % 3)];
    if version == Version::V3 {
        settings.interval = Interval::from_centis(10).expect("a tenth");
    }
    if kind == 3 && version == Version::V2 {
        settings.authentication = Authentication::Pass(Password::new("secret12"));
    }
    if kind >= 4 && family == Family::V4 {
        settings.delivery = Delivery::Unicast(vec![Peer { address: OTHER.into(), least_hop_limit: 1 }]);
        let key = Key { id: 7, secret: (0..32).collect() };
        let mode = if kind == 4 { Mode::Permissive } else { Mode::Enforce };
        settings.authentication =
            Authentication::Hmac(Hmac { keys: vec![key], active_key: 7, mode, window: None });
    }
    settings
}

/// A message about a handover, in one piece: what is read is said the same.
pub fn handover(data: &[u8]) {
    let mut reassembly = Reassembly::default();
    if let Ok(Some((key, message))) = reassembly.take(data) {
        let said = pieces(&key, &message);
        // One that is longer than the link carries may be read.
        if data.len() <= MOST_PIECE {
            assert_eq!(said, [data.to_vec()]);
        }
    }
}

/// An ARP frame.
pub fn arp(data: &[u8]) {
    let Some(read) = Arp::parse(data) else { return };
    if read.request && read.is_gratuitous() && read.from == read.sender && read.target == [0xff; 6] {
        let written = arp::gratuitous(read.sender, read.sender_ip);
        assert_eq!(written[6..], data[6..arp::FRAME_BYTES]);
    }
}

/// A frame with a neighbour advertisement.
pub fn ndp(data: &[u8]) {
    let Some(read) = NeighbourAdvertisement::parse(data) else { return };
    assert!(!read.target.is_multicast());
    if let Some(link_address) = read.link_address {
        let written = ndp::unsolicited(link_address, read.target, read.router);
        let back = NeighbourAdvertisement::parse(&written).expect("what we write can be read");
        assert_eq!(
            (back.target, back.link_address, back.router),
            (read.target, Some(link_address), read.router)
        );
    }
}

/// The first byte says which router; then each event is a byte and its arguments.
pub fn election(data: &[u8]) {
    let Some((&kind, data)) = data.split_first() else { return };
    let params = |kind| Params::new(settings(kind % 6, Family::V4)).expect("good settings");
    let mut machine = Machine::new(params(kind));
    let mut now = start();
    let mut bytes = data.iter().copied();
    let mut owned = None;
    let mut next = || bytes.next();
    while let Some(event) = next() {
        let mut argument = || next().unwrap_or(0);
        let mut new_params = false;
        match event % 12 {
            0 => machine.start(now, argument().is_multiple_of(2)),
            1 => machine.stop(now),
            2 => machine.link(now, Link::Up { source: [10, 99, 0, argument()].into() }),
            3 => machine.link(now, Link::Down),
            4 => {
                let priority = Priority::new(argument());
                machine.set_priority(now, priority.map_or(Effective::Withdrawn, Effective::Priority));
            }
            5 => {
                machine.set_params(now, params(argument()));
                new_params = true;
            }
            6 | 7 => now += Duration::from_millis(u64::from(argument()) * 8),
            8 => now = machine.next_deadline().map_or(now, |at| at.max(now)),
            9 => machine.set_wall_clock(now, Duration::from_secs(1_750_000_000 + u64::from(argument()))),
            _ => hear(&mut machine, now, [argument(), argument(), argument()]),
        }
        machine.handle_timeout(now);
        assert!(machine.next_deadline().is_none_or(|at| at > now), "a deadline in the past");
        let mut count = 0;
        while let Some(action) = machine.poll_action() {
            count += 1;
            if let Action::Own(own) = action {
                assert!(owned.replace(own) != Some(own) || new_params, "the same wish twice");
            }
        }
        assert!(count <= MOST_ACTIONS);
        match machine.state() {
            State::Active | State::Listening | State::Releasing => assert_eq!(owned, Some(true)),
            State::Backup => assert_eq!(owned, Some(false)),
            State::Stopped | State::Fault => assert_ne!(owned, Some(true)),
        }
        let _ = machine.status(now);
    }
}

/// A message that is right but for what the bytes change.
fn hear(machine: &mut Machine, now: Instant, [last, priority, twist]: [u8; 3]) {
    let settings = machine.params().settings().clone();
    let advertisement = Advertisement {
        version: settings.version,
        vrid: settings.vrid,
        priority: Priority::new(priority),
        interval: if twist & 1 == 0 { settings.interval } else { Interval::from_secs(twist).expect("not 0") },
        addresses: vec![[10, 99, 0, 50 + (twist >> 1 & 1)].into()],
        password: match settings.authentication {
            Authentication::Pass(password) => Some(password),
            _ => None,
        },
    };
    let source = IpAddr::from([10, 99, 0, last]);
    let destination = match settings.delivery {
        Delivery::Multicast => settings.family.group(),
        Delivery::Unicast(_) => OWN.into(),
    };
    let coverage = if twist & 4 == 0 { Coverage::WithPseudoHeader } else { Coverage::MessageOnly };
    let mut payload = advertisement.encode(source, destination, coverage);
    if twist & 0xf0 == 0xf0 {
        payload.truncate(usize::from(twist & 0x0f));
    }
    machine.receive(now, &Received { source, destination, hop_limit: 255, payload: &payload });
}

/// Only differences matter.
fn start() -> Instant {
    Instant::now()
}
