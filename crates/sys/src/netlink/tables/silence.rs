//! Addresses that this machine has and does not answer for: no ARP.
//!
//! Nothing of the kind is needed for IPv6: an address on the loopback interface is not answered for on others, and never the
//! source of a question there.
//!
//! The table stays when its maker dies, and its addresses go by themselves: see [`Tables::silence`].

use std::io;
use std::net::Ipv4Addr;
use std::time::Duration;

use super::expression::{Base, FIRST, KEY, Meta};
use super::order::{Family, Set, Table};
use super::{Tables, is_gone};

const TABLE: Table<'_> = Table { family: Family::Arp, name: "evenkeel-silence" };
const ADDRESSES: &str = "silent";
/// `NF_ARP_IN`, `NF_ARP_OUT`.
const IN: u32 = 0;
const OUT: u32 = 1;
/// Where `struct arphdr` for IPv4 over Ethernet has what it asks or answers, who asks, and after whom.
const OPERATION: u32 = 6;
const SENDER: u32 = 14;
const TARGET: u32 = 24;
const SHOWN_V4: u32 = 7;

impl Tables {
    /// Does not answer for these addresses any more, and asks for neighbours of theirs with an address of `own` on the
    /// interface of that number in their place; with none, it does not ask. Takes the place of what was said before.
    ///
    /// It lasts for `lasting` unless said again: the maker of the table may die, and the addresses must not be silent for
    /// ever.
    ///
    /// # Errors
    /// When the kernel refuses: it lacks nf_tables of family arp, or the process CAP_NET_ADMIN.
    pub fn silence(
        &mut self,
        addresses: &[Ipv4Addr],
        own: &[(u32, Ipv4Addr)],
        lasting: Duration,
    ) -> io::Result<()> {
        let keys: Vec<Vec<u8>> = addresses.iter().map(|ip| ip.octets().to_vec()).collect();
        let set =
            Set { name: ADDRESSES, shown_as: SHOWN_V4, key_bytes: 4, filled_by_rules: None, expires: true };
        // Adding first: what is not there cannot be deleted, and what is there may be added.
        let mut orders = vec![
            TABLE.add(false),
            TABLE.delete(),
            TABLE.add(false),
            TABLE.set(1, &set),
            TABLE.add_elements(ADDRESSES, &keys, Some(lasting)),
            TABLE.chain("in", Some((IN, None))),
            TABLE.rule("in", |steps| {
                steps.bytes_are(Base::Network, OPERATION, &[0, 1]);
                steps.load(Base::Network, TARGET, 4, KEY).is_in(ADDRESSES, KEY).drop();
            }),
            TABLE.chain("out", Some((OUT, None))),
        ];
        for (index, ip) in own {
            orders.push(TABLE.rule("out", |steps| {
                steps.meta_is(Meta::OutInterface, &index.to_ne_bytes());
                steps.load(Base::Network, SENDER, 4, KEY).is_in(ADDRESSES, KEY);
                steps.set(FIRST, &ip.octets()).store(Base::Network, SENDER, 4, FIRST).accept();
            }));
        }
        orders.push(TABLE.rule("out", |steps| {
            steps.load(Base::Network, SENDER, 4, KEY).is_in(ADDRESSES, KEY).drop();
        }));
        self.commit(orders)
    }

    /// Answers for everything again; also after another process.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn end_silence(&mut self) -> io::Result<()> {
        match self.commit(vec![TABLE.delete()]) {
            Err(error) if is_gone(&error) => Ok(()),
            result => result,
        }
    }
}
