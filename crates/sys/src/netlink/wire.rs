//! Interfaces that exist in this machine only: switches (bridges) and cables (veth) between namespaces.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd};

use super::message::{FLAG_ACK, FLAG_CREATE, FLAG_EXCLUSIVE, Request};
use super::{Netlink, address, link};

const IFLA_IFNAME: u16 = 3;
const IFLA_MASTER: u16 = 10;
const IFLA_LINKINFO: u16 = 18;
const IFLA_NET_NS_FD: u16 = 28;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const IFLA_BR_FORWARD_DELAY: u16 = 1;
const IFLA_BR_MCAST_SNOOPING: u16 = 23;
const VETH_INFO_PEER: u16 = 1;
/// Bytes of `struct ifinfomsg`.
const FIXED: usize = 16;
/// The mark of what an operator adds (`IFAPROT_UNSPEC`).
const NOBODY: u8 = 0;

impl Netlink {
    /// Makes a switch: a bridge that forwards at once and knows no spanning tree, down.
    ///
    /// # Errors
    /// `AlreadyExists` when there is an interface of that name, `Unsupported` when the kernel has no bridges.
    pub fn add_switch(&mut self, name: &str) -> io::Result<()> {
        self.order(switch(name))
    }

    /// Makes a cable between `name` here and `peer` in the namespace of that file; both ends are down.
    ///
    /// # Errors
    /// As [`Self::add_switch`].
    pub fn add_cable(&mut self, name: &str, peer: &str, namespace: &impl AsFd) -> io::Result<()> {
        let Ok(file) = u32::try_from(namespace.as_fd().as_raw_fd()) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        self.order(cable(name, peer, file))
    }

    /// Plugs an interface into a switch.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn plug(&mut self, index: u32, switch: u32) -> io::Result<()> {
        let mut request = Request::new(link::NEW, FLAG_ACK, &link::fixed(index, 0, 0));
        request.number(IFLA_MASTER, switch);
        self.order(request)
    }

    /// Sets an interface down.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn set_down(&mut self, index: u32) -> io::Result<()> {
        self.order(link::set_down(index))
    }

    /// Adds an address of the machine itself, without our mark.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn add_own_address(&mut self, index: u32, ip: IpAddr, prefix: u8) -> io::Result<()> {
        self.order(address::add_by(index, ip, prefix, NOBODY))
    }
}

fn switch(name: &str) -> Request {
    let mut request = Request::new(link::NEW, FLAG_ACK | FLAG_CREATE | FLAG_EXCLUSIVE, &[0; FIXED]);
    request.text(IFLA_IFNAME, name).nested(IFLA_LINKINFO, |info| {
        info.text(IFLA_INFO_KIND, "bridge").nested(IFLA_INFO_DATA, |data| {
            data.number(IFLA_BR_FORWARD_DELAY, 0).attribute(IFLA_BR_MCAST_SNOOPING, &[0]);
        });
    });
    request
}

fn cable(name: &str, peer: &str, file: u32) -> Request {
    let mut request = Request::new(link::NEW, FLAG_ACK | FLAG_CREATE | FLAG_EXCLUSIVE, &[0; FIXED]);
    request.text(IFLA_IFNAME, name).nested(IFLA_LINKINFO, |info| {
        info.text(IFLA_INFO_KIND, "veth").nested(IFLA_INFO_DATA, |data| {
            data.nested(VETH_INFO_PEER, |other| {
                other.raw(&[0; FIXED]).text(IFLA_IFNAME, peer).number(IFLA_NET_NS_FD, file);
            });
        });
    });
    request
}

#[cfg(test)]
mod tests {
    use super::super::message::{attributes, messages, text};
    use super::*;

    #[test]
    fn the_other_end_of_a_cable_is_described_as_an_interface_of_its_own() {
        let bytes = cable("port0", "eth0", 7).finish(1);
        let message = messages(&bytes).next().unwrap();
        let link = link::decode(message.body).unwrap();
        assert_eq!((link.name.as_str(), link.kind.as_deref()), ("port0", Some("veth")));
        let find = |bytes: &[u8], fixed, wanted| {
            attributes(bytes, fixed)
                .find(|(kind, _)| *kind == wanted)
                .map(|(_, value)| value.to_vec())
                .unwrap()
        };
        let info = find(message.body, FIXED, IFLA_LINKINFO);
        let peer = find(&find(&info, 0, IFLA_INFO_DATA), 0, VETH_INFO_PEER);
        assert_eq!(text(&find(&peer, FIXED, IFLA_IFNAME)), Some("eth0"));
        assert_eq!(find(&peer, FIXED, IFLA_NET_NS_FD), 7_u32.to_ne_bytes());
    }

    #[test]
    fn a_switch_is_a_bridge() {
        let bytes = switch("br0").finish(1);
        let link = link::decode(messages(&bytes).next().unwrap().body).unwrap();
        assert_eq!((link.name.as_str(), link.kind.as_deref()), ("br0", Some("bridge")));
    }
}
