//! Two nodes and a client at one switch, with virtual routers for IPv4 and IPv6 and a website on both addresses.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use evenkeel_testkit::lab::{AddressWatch, Cable, Host, Lab, Mac, Probe, Probing, Switch};

use super::node::Node;

pub(super) const FIRST_PRIORITY: u8 = 150;
pub(super) const SECOND_PRIORITY: u8 = 100;
/// Where the website is.
const PORT: u16 = 8080;

/// Protocol and interval.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Timing {
    pub(crate) version: u8,
    pub(crate) interval: Duration,
}

impl Timing {
    pub(super) fn name(self) -> String {
        format!("v{} {} s", self.version, self.interval.as_secs_f64())
    }

    pub(crate) fn families(self) -> &'static [Family] {
        if self.version == 2 { &[Family::V4] } else { &[Family::V4, Family::V6] }
    }

    /// RFC 9568 §6.1, RFC 3768 §6.1.
    pub(super) fn skew(self) -> Duration {
        let whole = if self.version == 2 { Duration::from_secs(1) } else { self.interval };
        whole * (256 - u32::from(SECOND_PRIORITY)) / 256
    }

    /// After so much silence the second node takes over.
    pub(super) fn down_interval(self) -> Duration {
        self.interval * 3 + self.skew()
    }

    /// Between two probes: echoes, connections.
    fn steps(self) -> (Duration, Duration) {
        if self.interval < Duration::from_millis(50) {
            (Duration::from_millis(1), Duration::from_millis(3))
        } else {
            (Duration::from_millis(2), Duration::from_millis(5))
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Family {
    V4,
    V6,
}

impl Family {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        }
    }

    /// The virtual address.
    pub(super) fn target(self) -> IpAddr {
        match self {
            Self::V4 => IpAddr::from([10, 99, 0, 50]),
            Self::V6 => IpAddr::from([0xfd99, 0, 0, 0, 0, 0, 0, 0x50]),
        }
    }
}

/// See the module.
pub(crate) struct Pair {
    pub(super) timing: Timing,
    binary: PathBuf,
    pub(crate) a: Option<Node>,
    pub(crate) b: Option<Node>,
    pub(super) on_first: AddressWatch,
    pub(super) on_second: AddressWatch,
    pub(super) second_mac: Mac,
    /// Where advertisements of the first node come from, by family.
    sources: [[IpAddr; 2]; 2],
    pub(super) first: Host,
    pub(super) second: Host,
    pub(super) client: Host,
    pub(super) cable: Cable,
    _switch: Switch,
    _lab: Lab,
}

/// What the client has of one family.
pub(crate) struct Probes {
    pub(crate) echo: Probe,
    pub(crate) connect: Probe,
}

impl Pair {
    /// Builds the network and starts both nodes.
    pub(crate) fn start(timing: Timing, program: &Path) -> Self {
        let lab = Lab::start().expect("a lab: this is root, with ip and nft");
        let switch = lab.switch("lan");
        let (first, second, client) = (lab.host("balancer01"), lab.host("balancer02"), lab.host("client"));
        let cable = lab.plug(&first, "eth0", &switch);
        for host in [&second, &client] {
            lab.plug(host, "eth0", &switch);
        }
        for (host, number) in [(&first, 1), (&second, 2), (&client, 9)] {
            host.add_address("eth0", &format!("10.99.0.{number}/24"));
            host.add_address("eth0", &format!("fd99::{number}/64"));
        }
        let v4 = [IpAddr::from([10, 99, 0, 1]), IpAddr::from([10, 99, 0, 2])];
        let v6 = [first.link_local("eth0"), second.link_local("eth0")];
        let mut pair = Self {
            timing,
            binary: program.to_owned(),
            a: None,
            b: None,
            on_first: first.watch_addresses(),
            on_second: second.watch_addresses(),
            second_mac: second.mac("eth0"),
            sources: [v4, v6],
            first,
            second,
            client,
            cable,
            _switch: switch,
            _lab: lab,
        };
        pair.start_first();
        pair.b = Some(Node::start(&pair.second, program, &configuration(timing, SECOND_PRIORITY, &[])));
        pair
    }

    pub(super) fn start_first(&mut self) {
        let text = self.first_configuration(&[]);
        self.a = Some(Node::start(&self.first, &self.binary, &text));
    }

    /// The file of the first node, with these IPv4 addresses besides.
    pub(crate) fn first_configuration(&self, more: &[&str]) -> String {
        configuration(self.timing, FIRST_PRIORITY, more)
    }

    /// The sources of the first and the second node's advertisements.
    pub(super) fn sources(&self, family: Family) -> [IpAddr; 2] {
        self.sources[usize::from(family == Family::V6)]
    }

    /// Waits until the first node holds everything alone.
    pub(crate) fn settle(&self) {
        for family in self.timing.families() {
            self.on_first.wait_until(family.target(), true);
            self.on_second.wait_until(family.target(), false);
        }
    }

    pub(crate) fn probe(&self) -> Vec<Probes> {
        let (echo, connect) = self.timing.steps();
        let probes: Vec<Probes> = self
            .timing
            .families()
            .iter()
            .map(|family| Probes {
                echo: self.client.probe(family.target(), Probing::Echo, echo),
                connect: self.client.probe(family.target(), Probing::Connect(PORT), connect),
            })
            .collect();
        for one in &probes {
            one.echo.wait_for_answer();
            one.connect.wait_for_answer();
        }
        probes
    }

    /// What both have logged, for whoever looks for a cause.
    pub(super) fn logs(&self) -> String {
        let mut text = String::new();
        for (name, node) in [("first", &self.a), ("second", &self.b)] {
            for line in node.iter().flat_map(Node::lines) {
                let _ = writeln!(text, "  {name}: {line}");
            }
        }
        text
    }
}

fn configuration(timing: Timing, priority: u8, more: &[&str]) -> String {
    let Timing { version, interval } = timing;
    let milliseconds = interval.as_millis();
    let mut text = String::from("[pool.website.servers]\nwebserver01 = \"127.0.0.1:9\"\n");
    for (name, family) in [("public", Family::V4), ("public6", Family::V6)] {
        if !timing.families().contains(&family) {
            continue;
        }
        let addresses = match family {
            Family::V4 => {
                let more: String = more.iter().map(|address| format!(", \"{address}\"")).collect();
                format!("\"10.99.0.50/24\"{more}")
            }
            Family::V6 => "\"fe80::50/64\", \"fd99::50/64\"".to_owned(),
        };
        let bind = std::net::SocketAddr::new(family.target(), PORT);
        let _ = write!(
            text,
            "[listener.{name}]\nbind = \"{bind}\"\npool = \"website\"\n\
             [virtual-router.{name}]\ninterface = \"eth0\"\nvrid = 51\npriority = {priority}\nversion = {version}\n\
             addresses = [{addresses}]\nadvertisement-interval = \"{milliseconds}ms\"\n"
        );
    }
    text
}
