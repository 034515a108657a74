//! The interface of a virtual router with a hardware address of its own (RFC 9568 §7.3): a macvlan.
//!
//! What it takes so that two interfaces in one network do not get in each other's way is set here and set back when
//! the last such interface goes. The values before are told to the supervisor, because a process that is killed sets
//! nothing back.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;

use evenkeel_config::plan::VirtualRouter;
use evenkeel_sys::netlink::{Link, Netlink};
use evenkeel_sys::settings::{Family, Setting};

use crate::message::ChangedSetting;

/// The keys that are changed on interfaces that are not ours, so that only these are ever set back.
const KEYS: [&str; 4] = ["arp_announce", "arp_filter", "arp_ignore", "rp_filter"];

/// The hardware address of a virtual router.
pub(crate) fn hardware(router: &VirtualRouter) -> [u8; 6] {
    let family = if router.is_v6() { 2 } else { 1 };
    [0, 0, 0x5e, 0, family, router.params.settings().vrid.number()]
}

/// The name of its interface: numbers may be the same on different interfaces, so the one below is part of it.
pub(crate) fn name(router: &VirtualRouter, parent: u32) -> String {
    let family = if router.is_v6() { 6 } else { 4 };
    format!("vr{family}.{}.{}", router.params.settings().vrid.number(), parent)
}

/// Makes the interface, or takes the one that an earlier process has left, and returns it as it is then.
pub(crate) fn raise(
    netlink: &mut Netlink,
    changes: &mut Changes,
    router: &VirtualRouter,
    parent: &Link,
    source: IpAddr,
) -> io::Result<Link> {
    let (name, hardware) = (name(router, parent.index), hardware(router));
    let is_right = |link: &Link| {
        link.kind.as_deref() == Some("macvlan")
            && link.parent == Some(parent.index)
            && link.hardware == Some(hardware)
    };
    let found = match netlink.link(&name)? {
        Some(link) if is_right(&link) => link,
        Some(_) => {
            let why = format!("there is an interface `{name}` that is not ours");
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, why));
        }
        None => {
            netlink.add_macvlan(&name, parent.index, hardware)?;
            netlink.link(&name)?.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?
        }
    };
    settle(changes, router, parent, &name)?;
    if !found.is_up {
        netlink.set_up(found.index)?;
    }
    if router.is_v6() {
        // Advertisements come from the parent's own link-local address (RFC 9568 §7.4): its own would be made from the
        // virtual hardware address, which moves.
        netlink.add_address(found.index, source, 64)?;
    }
    let link = netlink.link(&name)?;
    link.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
}

/// The settings of both interfaces.
fn settle(changes: &mut Changes, router: &VirtualRouter, parent: &Link, name: &str) -> io::Result<()> {
    let own = |family, key, value| Setting::new(family, name, key)?.write(value);
    if router.is_v6() {
        // No address from the virtual hardware address, no router's advertisement taken, no address probed.
        own(Family::V6, "addr_gen_mode", "1")?;
        own(Family::V6, "accept_ra", "0")?;
        own(Family::V6, "accept_dad", "0")?;
    } else {
        // This interface answers for its own addresses only, hears hosts whose way back is the parent, and speaks no IPv6.
        own(Family::V4, "arp_ignore", "1")?;
        own(Family::V4, "accept_local", "1")?;
        own(Family::V4, "rp_filter", "0")?;
        // Absent without IPv6, which is as good.
        let _ = own(Family::V6, "disable_ipv6", "1");
        changes.set(&parent.name, "arp_ignore", "1")?;
        // Packets from the virtual address leave over the parent, where the route is. When it asks for a neighbour on
        // their behalf it must not claim the virtual address for its own hardware address.
        changes.set(&parent.name, "arp_announce", "2")?;
        changes.set(&parent.name, "arp_filter", "1")?;
        changes.relax_reverse_path()?;
    }
    Ok(())
}

/// Settings of the kernel that were changed, with their values before.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    before: BTreeMap<(String, &'static str), String>,
}

impl Changes {
    /// What an earlier process has changed.
    pub(crate) fn inherit(&mut self, inherited: Vec<ChangedSetting>) {
        for ChangedSetting { interface, key, before } in inherited {
            if let Some(key) = KEYS.into_iter().find(|known| *known == key) {
                self.before.entry((interface, key)).or_insert(before);
            }
        }
    }

    /// For the supervisor.
    pub(crate) fn told(&self) -> Vec<ChangedSetting> {
        let told = |((interface, key), before): (&(String, &'static str), &String)| ChangedSetting {
            interface: interface.clone(),
            key: (*key).into(),
            before: before.clone(),
        };
        self.before.iter().map(told).collect()
    }

    fn set(&mut self, interface: &str, key: &'static str, value: &str) -> io::Result<()> {
        let setting = Setting::new(Family::V4, interface, key)?;
        let before = setting.read()?;
        if before != value {
            setting.write(value)?;
            self.before.entry((interface.to_owned(), key)).or_insert(before);
        }
        Ok(())
    }

    /// The kernel takes the stricter of `all` and the interface's own value. So that one interface can be without, `all`
    /// must be, and every other interface gets what `all` asked for.
    fn relax_reverse_path(&mut self) -> io::Result<()> {
        const KEY: &str = "rp_filter";
        let all = Setting::new(Family::V4, "all", KEY)?.read()?.parse::<u8>().unwrap_or(0);
        if all == 0 {
            return Ok(());
        }
        for entry in std::fs::read_dir("/proc/sys/net/ipv4/conf")?.flatten() {
            let name = entry.file_name();
            let Some(name) = name.to_str().filter(|name| *name != "all" && !is_ours(name)) else { continue };
            let own = Setting::new(Family::V4, name, KEY)?.read()?.parse::<u8>().unwrap_or(0);
            // Stricter is not larger: 1 is strict, 2 is loose, and the kernel takes the larger number.
            if own < all {
                self.set(name, KEY, &all.to_string())?;
            }
        }
        self.set("all", KEY, "0")
    }

    /// Sets everything back.
    pub(crate) fn undo(&mut self) {
        for ((interface, key), before) in std::mem::take(&mut self.before) {
            // An interface that is gone has taken its settings along.
            let _ = Setting::new(Family::V4, &interface, key).and_then(|setting| setting.write(&before));
        }
    }
}

/// The name is one that [`name`] gives.
fn is_ours(name: &str) -> bool {
    name.starts_with("vr4.") || name.starts_with("vr6.")
}
