//! What is seen of interfaces: read when the kernel says that something changed, remembered in between.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use evenkeel_sys::netlink::{Held, Link, Netlink, Notice, Watch};

/// Datagrams of news that are read in one turn of the loop; the rest waits for the next.
const MOST_NEWS: usize = 64;

/// One interface.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// `None` when there is none of that name.
    pub(crate) link: Option<Link>,
    /// Its IPv4 addresses.
    pub(crate) v4: Vec<Held>,
    /// Its IPv6 addresses.
    pub(crate) v6: Vec<Held>,
}

impl Seen {
    /// Looks at an interface now.
    pub(crate) fn look(netlink: &mut Netlink, name: &str) -> io::Result<Self> {
        let Some(link) = netlink.link(name)? else { return Ok(Self::default()) };
        let v4 = netlink.addresses(false, link.index)?;
        // A machine without IPv6 has no such addresses, and no way to say so.
        let v6 = netlink.addresses(true, link.index).unwrap_or_default();
        Ok(Self { link: Some(link), v4, v6 })
    }

    /// Its addresses of one family.
    pub(crate) fn addresses(&self, is_v6: bool) -> &[Held] {
        if is_v6 { &self.v6 } else { &self.v4 }
    }

    fn index(&self) -> Option<u32> {
        self.link.as_ref().map(|link| link.index)
    }
}

/// The interfaces that virtual routers use, by name.
#[derive(Debug)]
pub(crate) struct Sight {
    watch: Watch,
    seen: BTreeMap<String, Seen>,
}

impl Sight {
    /// Begins to watch. What changes from here on is noticed.
    pub(crate) fn open() -> io::Result<Self> {
        Ok(Self { watch: Watch::open()?, seen: BTreeMap::new() })
    }

    pub(crate) fn watch(&self) -> &Watch {
        &self.watch
    }

    /// Uses these interfaces and no others; looks at those that are new.
    pub(crate) fn follow(&mut self, names: BTreeSet<&str>, netlink: &mut Netlink) {
        self.seen.retain(|name, _| names.contains(name.as_str()));
        for name in names {
            if !self.seen.contains_key(name) {
                let seen = Seen::look(netlink, name).unwrap_or_default();
                self.seen.insert(name.to_owned(), seen);
            }
        }
    }

    /// What is known of an interface; nothing when it is not followed.
    pub(crate) fn of(&self, name: &str) -> Option<&Seen> {
        self.seen.get(name)
    }

    /// Reads the news and looks again at what they concern. The names of interfaces that were looked at.
    pub(crate) fn refresh(&mut self, netlink: &mut Netlink) -> io::Result<BTreeSet<String>> {
        let mut changed = BTreeSet::new();
        for _ in 0..MOST_NEWS {
            let Some(notices) = self.watch.read()? else { break };
            for notice in notices {
                let concerned = |(name, seen): &(&String, &Seen)| match &notice {
                    Notice::Link { index, name: new } => *name == new || seen.index() == Some(*index),
                    Notice::Address { index } => seen.index() == Some(*index),
                    Notice::Lost => true,
                };
                changed.extend(self.seen.iter().filter(concerned).map(|(name, _)| name.clone()));
            }
        }
        for name in &changed {
            self.seen.insert(name.clone(), Seen::look(netlink, name)?);
        }
        Ok(changed)
    }
}
