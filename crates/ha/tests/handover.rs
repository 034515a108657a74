//! Two roles in namespaces, wired to each other, whose addresses move with their connections.
//!
//! Needs root, `ip` and `nft`; without them each test is skipped and says so.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends where it fails")]

use std::io::{Read, Write};
use std::net::{IpAddr, TcpListener, TcpStream};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use evenkeel_config::plan::VirtualRouter;
use evenkeel_failover::vrrp::interval::Interval;
use evenkeel_failover::vrrp::params::{
    Address, Family, Params, Priority, Settings, Version, VirtualRouterId,
};
use evenkeel_ha::message::{Change, Event, HandedOver, HandoverSnapshot, Kept, RouterSnapshot};
use evenkeel_ha::run::{Urgency, run};
use evenkeel_sys::channel::{Next, Polled, pair};
use evenkeel_testkit::lab::{Cable, Host, Lab};

const BOUND: Duration = Duration::from_secs(20);
const PORT: u16 = 8080;

struct Node {
    host: Host,
    channel: Polled,
    role: Option<JoinHandle<()>>,
    said: Vec<Event>,
    listener: TcpListener,
}

impl Node {
    fn start(host: &Host) -> Self {
        let (ours, theirs) = pair().unwrap();
        let inside = host.clone();
        let role = std::thread::spawn(move || {
            inside.inside(|| run(Polled::from_fd(theirs).unwrap(), Urgency::default()).unwrap());
        });
        let listener = host.inside(|| TcpListener::bind(("::", PORT)).unwrap());
        let channel = Polled::from_fd(ours).unwrap();
        Self { host: host.clone(), channel, role: Some(role), said: Vec::new(), listener }
    }

    fn tell(&mut self, change: &Change) {
        assert!(self.channel.send(change).unwrap());
    }

    fn accept(&self) -> TcpStream {
        let (stream, _) = self.listener.accept().unwrap();
        stream.set_read_timeout(Some(BOUND)).unwrap();
        stream
    }

    fn ruleset(&self) -> String {
        self.host.inside(|| {
            let output = std::process::Command::new("nft").args(["list", "ruleset"]).output().unwrap();
            String::from_utf8(output.stdout).unwrap()
        })
    }
}

struct Site {
    nodes: [Node; 2],
    client: Host,
    vip: IpAddr,
    /// Pieces that each has said.
    pieces: [usize; 2],
    _cables: Vec<Cable>,
}

impl Site {
    fn start(is_v6: bool, virtual_mac: bool, is_linked: bool) -> Option<Self> {
        let lab = Lab::start()?;
        let switch = lab.switch("lan");
        let hosts = [lab.host("first"), lab.host("second"), lab.host("client")];
        let mut cables = Vec::new();
        for (host, number) in hosts.iter().zip([1, 2, 9]) {
            cables.push(lab.plug(host, "eth0", &switch));
            host.add_address("eth0", &format!("10.99.0.{number}/24"));
            host.add_address("eth0", &format!("fd99::{number}/64"));
        }
        let [first, second, client] = hosts;
        let vip = if is_v6 { "fd99::50" } else { "10.99.0.50" }.parse().unwrap();
        let mut site = Self {
            nodes: [Node::start(&first), Node::start(&second)],
            client,
            vip,
            pieces: [0; 2],
            _cables: cables,
        };
        // A session begins for both before either says anything in it.
        for place in [0, 1] {
            site.nodes[place].tell(&match is_linked {
                true => Change::Link { session: Some(7), timeout: Duration::from_secs(60) },
                false => Change::NoLink,
            });
        }
        for place in [0, 1] {
            site.nodes[place].tell(&Change::Apply {
                revision: 1,
                routers: vec![router(vip, virtual_mac, if place == 0 { 200 } else { 100 })],
                inherited: Vec::new(),
                findings: Vec::new(),
            });
            let holds = if place == 0 {
                |event: &Event| matches!(event, Event::Holds { own: true, .. })
            } else {
                |event: &Event| matches!(event, Event::Transition(to) if to.to == "backup")
            };
            site.wait(place, holds);
        }
        // Both have greeted, and the second has heard the first.
        while is_linked && site.pieces.iter().any(|count| *count < 1) {
            site.relay();
        }
        while site.snapshot(1).owner.is_none() {
            site.relay();
        }
        Some(site)
    }

    /// Passes words on until this one says that.
    fn wait(&mut self, place: usize, fits: impl Fn(&Event) -> bool) -> Event {
        let begun = Instant::now();
        loop {
            if let Some(at) = self.nodes[place].said.iter().position(&fits) {
                return self.nodes[place].said.remove(at);
            }
            assert!(
                begun.elapsed() < BOUND,
                "first: {:?}\nsecond: {:?}",
                self.nodes[0].said,
                self.nodes[1].said
            );
            self.relay();
        }
    }

    fn relay(&mut self) {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let [first, second] = &mut self.nodes;
        let wait = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
        let mut waited =
            [PollFd::new(&first.channel, PollFlags::IN), PollFd::new(&second.channel, PollFlags::IN)];
        poll(&mut waited, Some(&wait)).unwrap();
        for (from, to) in [(0, 1), (1, 0)] {
            while let Next::Message(event) = self.nodes[from].channel.receive::<Event>().unwrap() {
                match event {
                    Event::Say { session, piece } => {
                        self.pieces[from] += 1;
                        // The other one may have ended.
                        let _ = self.nodes[to].channel.send(&Change::Heard { session, piece });
                    }
                    event => self.nodes[from].said.push(event),
                }
            }
        }
    }

    fn fail_over(&mut self, place: usize) -> (HandedOver, Kept) {
        self.nodes[place].tell(&Change::HandOver { id: 1, router: "public".into() });
        match self.wait(place, |event| matches!(event, Event::HandedOver { .. })) {
            Event::HandedOver { outcome, kept, .. } => (outcome, kept),
            _ => unreachable!(),
        }
    }

    fn state(&mut self, place: usize) -> Option<HandoverSnapshot> {
        self.snapshot(place).handover
    }

    fn snapshot(&mut self, place: usize) -> RouterSnapshot {
        self.nodes[place].tell(&Change::Snapshot { id: 1 });
        match self.wait(place, |event| matches!(event, Event::Snapshot { .. })) {
            Event::Snapshot { snapshot, .. } => snapshot.routers[0].clone(),
            _ => unreachable!(),
        }
    }

    fn connect(&self, place: usize) -> (TcpStream, TcpStream) {
        let client = self.client.inside(|| TcpStream::connect((self.vip, PORT)).unwrap());
        client.set_read_timeout(Some(BOUND)).unwrap();
        (client, self.nodes[place].accept())
    }

    fn stop(&mut self) {
        for place in [1, 0] {
            self.nodes[place].tell(&Change::Stop);
            self.wait(place, |event| matches!(event, Event::Released));
            self.nodes[place].role.take().unwrap().join().unwrap();
            assert_eq!(self.nodes[place].ruleset(), "");
            assert!(!self.nodes[place].host.holds(self.vip));
        }
    }
}

fn router(vip: IpAddr, virtual_mac: bool, priority: u8) -> VirtualRouter {
    let mut addresses = vec![Address { ip: vip, prefix: if vip.is_ipv4() { 24 } else { 64 } }];
    if vip.is_ipv6() {
        addresses.insert(0, Address { ip: "fe80::50".parse().unwrap(), prefix: 64 });
    }
    let vrid = VirtualRouterId::new(51).unwrap();
    let mut settings = Settings::new(Version::V3, Family::of(vip), vrid, addresses);
    settings.priority = Priority::new(priority).unwrap();
    settings.interval = Interval::from_centis(10).unwrap();
    VirtualRouter {
        name: "public".parse().unwrap(),
        interface: "eth0".into(),
        source: None,
        params: Params::new(settings).unwrap(),
        virtual_mac,
        sync_group: None,
        routes: Vec::new(),
        rules: Vec::new(),
        track: Vec::new(),
        notify: Vec::new(),
        provider: None,
    }
}

fn echo((client, server): &mut (TcpStream, TcpStream)) {
    let mut got = [0; 5];
    client.write_all(b"hello").unwrap();
    server.read_exact(&mut got).unwrap();
    server.write_all(&got).unwrap();
    client.read_exact(&mut got).unwrap();
    assert_eq!(&got, b"hello");
}

fn goes_back_and_forth(is_v6: bool, virtual_mac: bool) {
    let Some(mut site) = Site::start(is_v6, virtual_mac, true) else { return };
    let mut first = site.connect(0);
    echo(&mut first);
    let (outcome, kept) = site.fail_over(0);
    assert!(matches!(outcome, HandedOver::To(_)), "{outcome:?}");
    assert_eq!(kept, Kept::Connections(1), "{:?}\n{:?}", site.nodes[0].said, site.nodes[1].said);
    echo(&mut first);
    let mut second = site.connect(1);
    echo(&mut second);
    let silent = site.wait(0, |event| matches!(event, Event::Silent { .. }));
    assert_eq!(silent, Event::Silent { addresses: vec![site.vip] });
    // At once: both have connections of their own now.
    assert_eq!(site.fail_over(1).1, Kept::Connections(1));
    for connection in [&mut first, &mut second] {
        echo(connection);
    }
    let mut third = site.connect(0);
    echo(&mut third);
    assert_eq!(site.state(0).unwrap().passing, Some(1));
    assert_eq!(site.state(1).unwrap().giving, Some(1));
    drop((first, second, third));
    for place in [0, 1] {
        let begun = Instant::now();
        while site.state(place).is_some_and(|state| state.giving.or(state.passing).is_some()) {
            assert!(begun.elapsed() < BOUND, "{:?}", site.nodes[place].said);
            site.relay();
        }
        assert_eq!(site.nodes[place].ruleset(), "");
    }
    assert!(!site.nodes[1].host.holds(site.vip));
    site.stop();
}

#[test]
fn connections_over_ipv4_stay_while_the_address_goes_back_and_forth() {
    goes_back_and_forth(false, false);
}

#[test]
fn connections_over_ipv6_stay_while_the_address_goes_back_and_forth() {
    goes_back_and_forth(true, false);
}

#[test]
fn connections_stay_when_the_hardware_address_moves_along() {
    goes_back_and_forth(false, true);
    goes_back_and_forth(true, true);
}

#[test]
fn without_a_pair_the_address_moves_alone() {
    let Some(mut site) = Site::start(false, false, false) else { return };
    let (outcome, kept) = site.fail_over(0);
    assert!(matches!(outcome, HandedOver::To(_)), "{outcome:?}");
    assert_eq!(kept, Kept::Nothing);
    assert_eq!(site.state(0), None);
    site.stop();
}

#[test]
fn a_stop_in_the_middle_leaves_nothing_behind() {
    let Some(mut site) = Site::start(false, false, true) else { return };
    let mut connection = site.connect(0);
    echo(&mut connection);
    assert_eq!(site.fail_over(0).1, Kept::Connections(1));
    site.nodes[0].tell(&Change::Stop);
    site.wait(0, |event| matches!(event, Event::Released));
    assert!(!site.nodes[0].host.holds(site.vip));
    assert_eq!(site.nodes[0].ruleset(), "");
    site.nodes[0].role.take().unwrap().join().unwrap();
}
