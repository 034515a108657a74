//! Network interfaces.

use super::message::{FLAG_ACK, FLAG_CREATE, FLAG_EXCLUSIVE, Request, attributes, text, u32_at};

pub(super) const NEW: u16 = 16;
pub(super) const DELETE: u16 = 17;
pub(super) const GET: u16 = 18;

/// Bytes of `struct ifinfomsg`.
const FIXED: usize = 16;
const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_LINK: u16 = 5;
const IFLA_LINKINFO: u16 = 18;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const IFLA_MACVLAN_MODE: u16 = 1;
const MACVLAN_MODE_PRIVATE: u32 = 1;
const IFLA_EXT_MASK: u16 = 29;
/// `RTEXT_FILTER_SKIP_STATS`: counters are of no use here and cost the kernel time.
const SKIP_STATISTICS: u32 = 1 << 3;

const IFF_UP: u32 = 0x1;
const IFF_RUNNING: u32 = 0x40;

/// A network interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its number, which another interface of the same name will not have.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// The operator has it up (`IFF_UP`).
    pub is_up: bool,
    /// It can carry packets: there is a carrier and nothing else in the way (`IFF_RUNNING`).
    pub is_running: bool,
    /// Its Ethernet address, if it has one.
    pub hardware: Option<[u8; 6]>,
    /// The longest packet, in bytes.
    pub mtu: u32,
    /// The interface below it, for a macvlan and its like.
    pub parent: Option<u32>,
    /// What it is, such as `macvlan`; `None` for hardware.
    pub kind: Option<String>,
}

impl Link {
    /// Packets can be sent and received.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.is_up && self.is_running
    }
}

pub(super) fn fixed(index: u32, flags: u32, change: u32) -> [u8; FIXED] {
    let mut bytes = [0; FIXED];
    bytes[4..8].copy_from_slice(&index.to_ne_bytes());
    bytes[8..12].copy_from_slice(&flags.to_ne_bytes());
    bytes[12..16].copy_from_slice(&change.to_ne_bytes());
    bytes
}

pub(super) fn ask(name: &str) -> Request {
    let mut request = Request::new(GET, 0, &fixed(0, 0, 0));
    request.text(IFLA_IFNAME, name).number(IFLA_EXT_MASK, SKIP_STATISTICS);
    request
}

/// A macvlan in mode private over `parent`, down.
pub(super) fn add_macvlan(name: &str, parent: u32, hardware: [u8; 6]) -> Request {
    let mut request = Request::new(NEW, FLAG_ACK | FLAG_CREATE | FLAG_EXCLUSIVE, &fixed(0, 0, 0));
    request.text(IFLA_IFNAME, name).number(IFLA_LINK, parent).attribute(IFLA_ADDRESS, &hardware);
    request.nested(IFLA_LINKINFO, |info| {
        info.text(IFLA_INFO_KIND, "macvlan").nested(IFLA_INFO_DATA, |data| {
            data.number(IFLA_MACVLAN_MODE, MACVLAN_MODE_PRIVATE);
        });
    });
    request
}

pub(super) fn set_up(index: u32) -> Request {
    Request::new(NEW, FLAG_ACK, &fixed(index, IFF_UP, IFF_UP))
}

pub(super) fn set_down(index: u32) -> Request {
    Request::new(NEW, FLAG_ACK, &fixed(index, 0, IFF_UP))
}

pub(super) fn delete(index: u32) -> Request {
    Request::new(DELETE, FLAG_ACK, &fixed(index, 0, 0))
}

pub(super) fn decode(body: &[u8]) -> Option<Link> {
    let flags = u32_at(body, 8)?;
    let mut link = Link {
        index: u32_at(body, 4)?,
        name: String::new(),
        is_up: flags & IFF_UP != 0,
        is_running: flags & IFF_RUNNING != 0,
        hardware: None,
        mtu: 0,
        parent: None,
        kind: None,
    };
    for (kind, value) in attributes(body, FIXED) {
        match kind {
            IFLA_ADDRESS => link.hardware = value.try_into().ok(),
            IFLA_IFNAME => link.name = text(value)?.to_owned(),
            IFLA_MTU => link.mtu = u32_at(value, 0)?,
            IFLA_LINK => link.parent = u32_at(value, 0),
            IFLA_LINKINFO => {
                let name = attributes(value, 0).find(|(kind, _)| *kind == IFLA_INFO_KIND);
                link.kind = name.and_then(|(_, value)| text(value)).map(str::to_owned);
            }
            _ => {}
        }
    }
    Some(link)
}

#[cfg(test)]
mod tests {
    use super::super::message::messages;
    use super::*;

    #[test]
    fn a_macvlan_is_described_as_the_kernel_describes_one() {
        let mac = [0, 0, 0x5e, 0, 1, 51];
        let bytes = add_macvlan("vrrp.51", 7, mac).finish(1);
        let message = messages(&bytes).next().unwrap();
        let link = decode(message.body).unwrap();
        assert_eq!((link.name.as_str(), link.parent, link.hardware), ("vrrp.51", Some(7), Some(mac)));
        assert_eq!(link.kind.as_deref(), Some("macvlan"));
        assert!(!link.is_usable());
    }

    #[test]
    fn truncated_links_never_panic() {
        let bytes = add_macvlan("vrrp.51", 7, [1; 6]).finish(1);
        for end in 0..bytes.len() {
            let _ = decode(bytes.get(16..end).unwrap_or_default());
        }
    }
}
