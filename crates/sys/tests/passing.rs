//! Connections whose packets are passed to another node, and addresses that are kept in silence: with the kernel, in
//! namespaces.
//!
//! Needs root, `ip` and `nft`; without them each test is skipped and says so.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends where it fails")]

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use evenkeel_sys::netlink::{List, Netlink, Passage, Sockets, Tables};
use evenkeel_testkit::lab::{Cable, Host, Lab, Packet};

const PORT: u16 = 8080;
const LASTING: Duration = Duration::from_secs(60);

/// An address that moves from the first host to the second.
struct Site {
    first: Host,
    second: Host,
    client: Host,
    vip: IpAddr,
    prefix: u8,
    /// The switch is there as long as they are.
    _cables: Vec<Cable>,
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

impl Site {
    fn start(is_v6: bool) -> Option<Self> {
        let lab = Lab::start()?;
        let switch = lab.switch("lan");
        let (first, second, client) = (lab.host("first"), lab.host("second"), lab.host("client"));
        let mut cables = Vec::new();
        for (host, number) in [(&first, 1), (&second, 2), (&client, 9)] {
            cables.push(lab.plug(host, "eth0", &switch));
            host.add_address("eth0", &format!("10.99.0.{number}/24"));
            host.add_address("eth0", &format!("fd99::{number}/64"));
        }
        let (vip, prefix) = if is_v6 { (ip("fd99::50"), 64) } else { (ip("10.99.0.50"), 24) };
        let site = Self { first, second, client, vip, prefix, _cables: cables };
        site.hold(&site.first, true);
        Some(site)
    }

    fn hold(&self, host: &Host, is_held: bool) {
        host.inside(|| {
            let mut netlink = Netlink::open().unwrap();
            let index = netlink.link("eth0").unwrap().unwrap().index;
            if is_held {
                netlink.add_address(index, self.vip, self.prefix).unwrap();
            } else {
                netlink.remove_address(index, self.vip, self.prefix).unwrap();
            }
        });
    }

    /// A server for every address, whose connections come out one by one.
    fn listen(host: &Host) -> TcpListener {
        host.inside(|| TcpListener::bind("[::]:8080").unwrap())
    }

    fn connect(&self) -> TcpStream {
        let stream = self.client.inside(|| TcpStream::connect((self.vip, PORT)).unwrap());
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream
    }

    fn passage(&self) -> Passage {
        let own = if self.vip.is_ipv4() { ip("10.99.0.1") } else { ip("fd99::1") };
        let link = self.second.inside(|| Netlink::open().unwrap().link("eth0").unwrap().unwrap());
        Passage {
            interface: "eth0".into(),
            index: link.index,
            hardware: vec![link.hardware.unwrap()],
            addresses: BTreeSet::from([self.vip]),
            neighbour: own,
        }
    }

    /// The first host keeps it in silence.
    fn silence(&self) -> Tables {
        self.first.inside(|| {
            let mut tables = Tables::open().unwrap();
            let mut netlink = Netlink::open().unwrap();
            if let IpAddr::V4(vip) = self.vip {
                let index = netlink.link("eth0").unwrap().unwrap().index;
                tables.silence(&[vip], &[(index, "10.99.0.1".parse().unwrap())], LASTING).unwrap();
            }
            let lo = netlink.link("lo").unwrap().unwrap().index;
            let bits = if self.vip.is_ipv4() { 32 } else { 128 };
            netlink.lend_address(lo, self.vip, bits, LASTING).unwrap();
            tables
        })
    }

    /// The client asks who has the address.
    fn forget_neighbours(host: &Host) {
        host.ip("neighbour flush dev eth0");
        host.ip("-6 neighbour flush dev eth0");
    }
}

/// Both directions work.
fn echo(client: &mut TcpStream, server: &mut TcpStream, word: &[u8]) {
    let mut got = vec![0; word.len()];
    client.write_all(word).unwrap();
    server.read_exact(&mut got).unwrap();
    assert_eq!(got, word);
    server.write_all(word).unwrap();
    client.read_exact(&mut got).unwrap();
    assert_eq!(got, word);
}

fn moves_with_its_connections(is_v6: bool) {
    let Some(site) = Site::start(is_v6) else { return };
    let (old, new) = (Site::listen(&site.first), Site::listen(&site.second));
    let mut client = site.connect();
    let (mut server, remote) = old.accept().unwrap();
    let remote = SocketAddr::new(remote.ip().to_canonical(), remote.port());
    server.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    echo(&mut client, &mut server, b"before");
    let listed = site.first.inside(|| Sockets::open().unwrap().connections(&[site.vip]).unwrap());
    assert_eq!(listed.len(), 1, "{listed:?}");
    assert_eq!((listed[0].remote, listed[0].local), (remote, SocketAddr::new(site.vip, PORT)));
    let passages = [site.passage()];
    let mut tables = site.second.inside(|| Tables::open().unwrap());
    tables.add_passages("evenkeel-try", &passages).unwrap();
    tables.list("evenkeel-try", 0, List::Passed, &[(remote, listed[0].local)]).unwrap();
    tables.pass_the_rest("evenkeel-try", &passages, true).unwrap();
    let rules = site.second.inside(|| {
        let output = std::process::Command::new("nft").args(["list", "ruleset"]).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    });
    println!("{rules}");
    assert!(rules.contains("flags owner") && rules.contains("fwd"), "{rules}");

    let asked = site.client.capture("eth0");
    let silence = site.silence();
    site.hold(&site.first, false);
    site.hold(&site.second, true);
    Site::forget_neighbours(&site.client);
    Site::forget_neighbours(&site.first);
    echo(&mut client, &mut server, b"after");
    assert_eq!(site.client.neighbour(site.vip), Some(site.second.mac("eth0")));
    let claims = |frame: &evenkeel_testkit::lab::Frame| {
        frame.source == site.first.mac("eth0")
            && match &frame.packet {
                Packet::Arp(arp) => arp.sender == site.vip,
                Packet::NeighbourAdvertisement(said) => said.target == site.vip,
                _ => false,
            }
    };
    assert!(!asked.frames().iter().any(claims), "{:?}", asked.frames());

    // What is new goes to the second, while everything else is passed and afterwards.
    for is_passed in [true, false] {
        tables.pass_the_rest("evenkeel-try", &passages, is_passed).ok();
        let mut next = site.connect();
        let (mut served, _) = new.accept().unwrap();
        echo(&mut next, &mut served, b"new");
        echo(&mut client, &mut server, b"old");
    }
    // Many packets, merged on their way in.
    let sent: Vec<u8> = (0..8_000_000_u32).map(|number| (number % 251) as u8).collect();
    let expected = sent.clone();
    let mut sender = client.try_clone().unwrap();
    let writing = std::thread::spawn(move || sender.write_all(&sent).unwrap());
    let mut got = vec![0; expected.len()];
    server.read_exact(&mut got).unwrap();
    writing.join().unwrap();
    assert!(got == expected);
    // What is ended here is reset there.
    site.first.inside(|| {
        let mut sockets = Sockets::open().unwrap();
        for connection in sockets.connections(&[site.vip]).unwrap() {
            sockets.end(&connection).unwrap();
        }
        assert_eq!(sockets.connections(&[site.vip]).unwrap(), []);
    });
    assert_eq!(client.read(&mut [0; 8]).unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
    drop((tables, silence));
    let left = site.second.inside(|| {
        let output = std::process::Command::new("nft").args(["list", "ruleset"]).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    });
    assert_eq!(left, "");
}

#[test]
fn an_open_connection_of_ipv4_goes_on_where_it_is() {
    moves_with_its_connections(false);
}

#[test]
fn an_open_connection_of_ipv6_goes_on_where_it_is() {
    moves_with_its_connections(true);
}
