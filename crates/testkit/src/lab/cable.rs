//! The cable between a host and a switch, and what can go wrong with it.

use super::Host;
use super::namespace::Namespace;

/// A cable. Faults add up until [`Cable::heal`]; it stays plugged when the value goes.
#[derive(Clone)]
pub struct Cable {
    host: Host,
    interface: String,
    switch: Namespace,
    port: String,
}

/// Which frames vanish while both ends still see a carrier, as with a broken switch or a wrong VLAN.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Silence {
    /// Those of both directions.
    Both,
    /// What the host sends.
    FromHost,
    /// What is sent to the host.
    ToHost,
}

impl Cable {
    pub(super) fn new(host: &Host, interface: &str, switch: &Namespace, port: &str) -> Self {
        let (interface, port) = (interface.to_owned(), port.to_owned());
        Self { host: host.clone(), interface, switch: switch.clone(), port }
    }

    /// Cuts it: both ends lose their carrier.
    pub fn cut(&self) {
        self.switch.ip(&format!("link set {} down", self.port));
    }

    /// Takes the host's interface down, as an administrator does.
    pub fn disable(&self) {
        self.host.ip(&format!("link set {} down", self.interface));
    }

    /// Drops frames while the carrier stays.
    pub fn silence(&self, which: Silence) {
        let port = &self.port;
        let hooks: &[&str] = match which {
            Silence::Both => &["ingress", "egress"],
            Silence::FromHost => &["ingress"],
            Silence::ToHost => &["egress"],
        };
        let chains: String = hooks
            .iter()
            .map(|hook| {
                format!(
                    "add chain netdev silent-{port} {hook} \
                     {{ type filter hook {hook} device {port} priority 0; policy drop; }}\n"
                )
            })
            .collect();
        // One transaction: both directions at once.
        self.switch.nft(&format!("add table netdev silent-{port}\n{chains}"));
    }

    /// Repairs everything. An interface that was disabled gets back the addresses it was given by
    /// [`Host::add_address`].
    pub fn heal(&self) {
        let port = &self.port;
        self.switch.nft(&format!("add table netdev silent-{port}\ndelete table netdev silent-{port}\n"));
        self.switch.ip(&format!("link set {port} up"));
        self.host.ip(&format!("link set {} up", self.interface));
        self.host.restore_addresses(&self.interface);
    }
}
