//! Packets of named connections that are passed to a neighbour as they come in, before anything else sees them.
//!
//! For each passage the table has a chain at the ingress of its interface, a set of connections that are passed, and a second
//! chain for a moment: while it has rules, every TCP packet to the addresses is passed but for connections that are known here,
//! and those that begin while it lasts.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, SocketAddr};

use super::super::message::{Request, octets};
use super::expression::{Base, KEY, Meta, Steps};
use super::order::{Family, Set, Table};
use super::{Tables, is_gone};

/// Connections in one batch: with IPv6 they are 52 KiB of at most 64, which the length of an attribute allows.
pub const MOST_ELEMENTS: usize = 1000;
/// Connections that may begin while everything else is passed; what comes of later ones is passed.
const MOST_BEGUN: u32 = 65_536;

/// The ends of a connection: the other one and this machine's.
pub type Pair = (SocketAddr, SocketAddr);

/// From where to where packets are passed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Passage {
    /// Where they come in.
    pub interface: String,
    /// Its number.
    pub index: u32,
    /// The hardware addresses that they are sent to.
    pub hardware: Vec<[u8; 6]>,
    /// The addresses that they are for, of one family.
    pub addresses: BTreeSet<IpAddr>,
    /// The neighbour, an address of that family on a network of the interface.
    pub neighbour: IpAddr,
}

/// A list of connections of a passage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum List {
    /// Those that are passed.
    Passed,
    /// Those that are not passed when everything else is.
    Known,
}

impl List {
    fn set(self, place: usize) -> String {
        match self {
            Self::Passed => format!("passed{place}"),
            Self::Known => format!("known{place}"),
        }
    }
}

/// `TYPE_IPADDR`, `TYPE_IP6ADDR`, `TYPE_INET_SERVICE` of nft(8), for those who list the sets.
const SHOWN_V4: u32 = 7;
const SHOWN_V6: u32 = 8;
const SHOWN_PORT: u32 = 13;

/// `ETH_P_IP`, `ETH_P_IPV6`; `NFPROTO_IPV4`, `NFPROTO_IPV6`; where the addresses are in the header, and their bytes.
struct Layout {
    protocol: [u8; 2],
    family: u32,
    source: u32,
    destination: u32,
    bytes: u32,
    shown: u32,
}

impl Passage {
    fn layout(&self) -> Layout {
        let (protocol, family, source, destination, bytes, shown) = if self.neighbour.is_ipv4() {
            ([0x08, 0x00], 2, 12, 16, 4, SHOWN_V4)
        } else {
            ([0x86, 0xdd], 10, 8, 24, 16, SHOWN_V6)
        };
        Layout { protocol, family, source, destination, bytes, shown }
    }

    /// TCP of its family to the machine.
    fn guard(&self, steps: &mut Steps<'_>, hardware: [u8; 6]) {
        steps
            .meta_is(Meta::Protocol, &self.layout().protocol)
            .bytes_are(Base::Link, 0, &hardware)
            .meta_is(Meta::Transport, &[6]);
    }

    /// The connection of a packet, as [`key`] has it.
    fn load_key(&self, steps: &mut Steps<'_>) {
        let layout = self.layout();
        let words = layout.bytes / 4;
        steps
            .load(Base::Network, layout.source, layout.bytes, KEY)
            .load(Base::Transport, 0, 2, KEY + words)
            .load(Base::Network, layout.destination, layout.bytes, KEY + words + 1)
            .load(Base::Transport, 2, 2, KEY + 2 * words + 1);
    }

    fn forward(&self, steps: &mut Steps<'_>) {
        steps.forward(self.layout().family, self.index, &octets(self.neighbour));
    }
}

fn key((remote, local): &Pair) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(40);
    for end in [remote, local] {
        bytes.extend(octets(end.ip()));
        bytes.extend_from_slice(&end.port().to_be_bytes());
        bytes.extend_from_slice(&[0, 0]);
    }
    bytes
}

fn table(name: &str) -> Table<'_> {
    Table { family: Family::Netdev, name }
}

fn chain(place: usize) -> String {
    format!("ingress{place}")
}

fn rest(place: usize) -> String {
    format!("rest{place}")
}

/// Everything of one passage, with empty lists.
fn build(name: &str, place: usize, passage: &Passage) -> Vec<Request> {
    let table = table(name);
    let Layout { bytes, destination, shown, .. } = passage.layout();
    let connection = shown << 18 | SHOWN_PORT << 12 | shown << 6 | SHOWN_PORT;
    let pairs = |name, filled_by_rules| Set {
        name,
        shown_as: connection,
        key_bytes: 2 * bytes + 8,
        filled_by_rules,
        expires: false,
    };
    let (passed, known) = (List::Passed.set(place), List::Known.set(place));
    let (begun, to) = (format!("begun{place}"), format!("to{place}"));
    let addresses =
        Set { name: &to, shown_as: shown, key_bytes: bytes, filled_by_rules: None, expires: false };
    let targets: Vec<Vec<u8>> = passage.addresses.iter().map(|ip| octets(*ip)).collect();
    let id = u32::try_from(place * 4 + 1).unwrap_or(1);
    let (chain, rest) = (chain(place), rest(place));
    let mut orders = vec![
        table.chain(&rest, None),
        table.chain(&chain, Some((0, Some(&passage.interface)))),
        table.set(id, &pairs(&passed, None)),
        table.set(id + 1, &pairs(&known, None)),
        table.set(id + 2, &pairs(&begun, Some(MOST_BEGUN))),
        table.set(id + 3, &addresses),
        table.add_elements(&to, &targets, None),
    ];
    for hardware in &passage.hardware {
        orders.push(table.rule(&chain, |steps| {
            passage.guard(steps, *hardware);
            passage.load_key(steps);
            steps.is_in(&passed, KEY);
            passage.forward(steps);
        }));
        orders.push(table.rule(&chain, |steps| {
            passage.guard(steps, *hardware);
            steps.load(Base::Network, destination, bytes, KEY).is_in(&to, KEY).jump(&rest);
        }));
    }
    orders
}

/// The rules of the moment in which everything else is passed as well.
fn rest_rules(name: &str, place: usize, passage: &Passage) -> Vec<Request> {
    // FIN, SYN, RST and ACK among the flags, and a SYN alone.
    const FLAGS: u8 = 0x17;
    const BEGINS: u8 = 0x02;
    let (table, chain) = (table(name), rest(place));
    let (known, begun) = (List::Known.set(place), format!("begun{place}"));
    vec![
        table.rule(&chain, |steps| {
            passage.load_key(steps);
            steps.is_in(&known, KEY).accept();
        }),
        table.rule(&chain, |steps| {
            steps.bits_are(Base::Transport, 13, FLAGS, BEGINS);
            passage.load_key(steps);
            steps.add_to(&begun, KEY);
        }),
        table.rule(&chain, |steps| steps.bits_are(Base::Transport, 13, FLAGS, BEGINS).accept()),
        table.rule(&chain, |steps| {
            passage.load_key(steps);
            steps.is_in(&begun, KEY).accept();
        }),
        table.rule(&chain, |steps| passage.forward(steps)),
    ]
}

impl Tables {
    /// Makes passages with empty lists, in a table of this name.
    ///
    /// # Errors
    /// When the kernel refuses: `PermissionDenied` without CAP_NET_ADMIN; another error names what it lacks (nf_tables of family
    /// netdev with `fwd`, Linux 5.12).
    pub fn add_passages(&mut self, name: &str, passages: &[Passage]) -> io::Result<()> {
        let built = passages.iter().enumerate().flat_map(|(place, passage)| build(name, place, passage));
        self.commit(std::iter::once(table(name).add(true)).chain(built).collect())
    }

    /// Removes them with their lists; what is not there is as good.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn remove_passages(&mut self, name: &str) -> io::Result<()> {
        match self.commit(vec![table(name).delete()]) {
            Err(error) if is_gone(&error) => Ok(()),
            result => result,
        }
    }

    /// Puts connections on a list of the passage at this place; at most [`MOST_ELEMENTS`].
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn list(&mut self, name: &str, place: usize, list: List, pairs: &[Pair]) -> io::Result<()> {
        let keys: Vec<Vec<u8>> = pairs.iter().map(key).collect();
        self.commit(vec![table(name).add_elements(&list.set(place), &keys, None)])
    }

    /// Takes connections from a list that has all of them; at most [`MOST_ELEMENTS`].
    ///
    /// # Errors
    /// When the kernel refuses: nothing is taken when one is missing.
    pub fn unlist(&mut self, name: &str, place: usize, list: List, pairs: &[Pair]) -> io::Result<()> {
        let keys: Vec<Vec<u8>> = pairs.iter().map(key).collect();
        self.commit(vec![table(name).delete_elements(&list.set(place), &keys)])
    }

    /// Begins to pass what is on no list as well, or ends that.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn pass_the_rest(&mut self, name: &str, passages: &[Passage], is_passed: bool) -> io::Result<()> {
        let orders = passages.iter().enumerate().flat_map(|(place, passage)| {
            if is_passed { rest_rules(name, place, passage) } else { vec![table(name).clear(&rest(place))] }
        });
        self.commit(orders.collect())
    }
}
