//! The network of the demo: a switch, and machines plugged into it. Each is a namespace without a name, so that the kernel
//! removes all of it when nobody is left.

use std::io;
use std::net::{IpAddr, Ipv4Addr};

use evenkeel_sys::namespace::Namespace;
use evenkeel_sys::netlink::Netlink;

/// Of the loopback interface of each machine.
const LOOPBACK: u32 = 1;
const SWITCH: &str = "switch";
/// What every machine calls its only interface.
pub(super) const INTERFACE: &str = "eth0";
/// Length of the network.
pub(super) const PREFIX: u8 = 24;

/// Where all cables end.
pub(super) struct Switch {
    netlink: Netlink,
    index: u32,
    ports: u32,
    _namespace: Namespace,
}

/// A machine that is switched on and plugged in.
pub(super) struct Machine {
    pub(super) namespace: Namespace,
    netlink: Netlink,
    interface: u32,
    /// The other end of its cable.
    port: u32,
}

impl Switch {
    pub(super) fn make() -> io::Result<Self> {
        let namespace = Namespace::make()?;
        let mut netlink = namespace.inside(Netlink::open)??;
        netlink.add_switch(SWITCH)?;
        let index = number(&mut netlink, SWITCH)?;
        netlink.set_up(index)?;
        Ok(Self { netlink, index, ports: 0, _namespace: namespace })
    }

    /// A new machine with this address.
    pub(super) fn machine(&mut self, address: Ipv4Addr) -> io::Result<Machine> {
        let namespace = Namespace::make()?;
        let mut netlink = namespace.inside(Netlink::open)??;
        netlink.set_up(LOOPBACK)?;
        self.ports += 1;
        let name = format!("port{}", self.ports);
        self.netlink.add_cable(&name, INTERFACE, &namespace)?;
        let port = number(&mut self.netlink, &name)?;
        self.netlink.plug(port, self.index)?;
        let interface = number(&mut netlink, INTERFACE)?;
        netlink.add_own_address(interface, address.into(), PREFIX)?;
        netlink.set_up(interface)?;
        self.netlink.set_up(port)?;
        Ok(Machine { namespace, netlink, interface, port })
    }

    /// Cuts a cable: both ends lose their carrier.
    pub(super) fn cut(&mut self, machine: &Machine) -> io::Result<()> {
        self.netlink.set_down(machine.port)
    }

    pub(super) fn heal(&mut self, machine: &Machine) -> io::Result<()> {
        self.netlink.set_up(machine.port)
    }

    /// Takes it out of the network for good; its addresses go with its interface.
    pub(super) fn unplug(&mut self, machine: &Machine) -> io::Result<()> {
        self.netlink.remove_link(machine.port)
    }
}

impl Machine {
    pub(super) fn holds(&mut self, address: Ipv4Addr) -> bool {
        let held = self.netlink.addresses(false, self.interface).unwrap_or_default();
        held.iter().any(|held| held.ip == IpAddr::V4(address))
    }
}

fn number(netlink: &mut Netlink, name: &str) -> io::Result<u32> {
    let link = netlink.link(name)?.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
    Ok(link.index)
}
