//! Networks of namespaces, made from a test: hosts, switches, cables that can be cut or made silent, captures, and
//! clients that measure how long an address does not answer.
//!
//! Invariants: nothing is touched outside the namespaces made here; their names carry the id of the process that made
//! them, so that tests run side by side and the next lab removes what a crashed one left; programs started with
//! [`Host::command`] are killed by the kernel when the thread that started them ends.
//!
//! ```no_run
//! # use std::{process::Command, time::Duration};
//! # use evenkeel_testkit::{Program, lab::{Lab, Probing, Silence}};
//! let Some(lab) = Lab::start() else { return };
//! let switch = lab.switch("lan");
//! let (balancer, client) = (lab.host("balancer01"), lab.host("client"));
//! let cable = lab.plug(&balancer, "eth0", &switch);
//! lab.plug(&client, "eth0", &switch);
//! balancer.add_address("eth0", "10.99.0.1/24");
//! client.add_address("eth0", "10.99.0.9/24");
//! let probe = client.probe("10.99.0.1".parse().unwrap(), Probing::Echo, Duration::from_millis(2));
//! probe.wait_for_answer();
//! cable.silence(Silence::Both);
//! probe.wait_for_silence();
//! cable.heal();
//! probe.wait_for_answer();
//! assert_eq!(probe.stop().outages.len(), 1);
//! ```

mod addresses;
mod cable;
mod capture;
mod frame;
mod host;
mod log;
mod mac;
mod namespace;
mod probe;
#[cfg(test)]
mod tests;

use std::process::Command;
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::{needs, needs_root, skip};

pub use addresses::{AddressChange, AddressWatch};
pub use cable::{Cable, Silence};
pub use capture::{Capture, Frame};
pub use frame::{Arp, NeighbourAdvertisement, Packet, Vrrp};
pub use host::Host;
pub use mac::Mac;
pub use probe::{Outage, Probe, ProbeReport, Probing};

use namespace::Namespace;

/// One network of a test; its namespaces go with their values.
pub struct Lab {
    number: u32,
    cables: AtomicU32,
}

/// A bridge without spanning tree in a namespace of its own.
pub struct Switch {
    namespace: Namespace,
}

const BRIDGE: &str = "br0";

impl Lab {
    /// Makes room for a network, and removes what labs of processes that have ended left behind.
    ///
    /// None, after [`skip`], without root, `ip` or `nft`, or where no namespace can be made.
    #[must_use]
    pub fn start() -> Option<Self> {
        static CLEANED: Once = Once::new();
        static NEXT: AtomicU32 = AtomicU32::new(0);
        if !(needs_root() && needs("ip") && needs("nft")) {
            return None;
        }
        CLEANED.call_once(namespace::remove_leftovers);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        if let Err(why) = Namespace::make(number, "try") {
            skip(&format!("no network namespace can be made here: {why}"));
            return None;
        }
        Some(Self { number, cables: AtomicU32::new(0) })
    }

    /// A host without interfaces but loopback. IPv6 addresses are usable at once there (no duplicate address
    /// detection), and routers are not asked for.
    #[must_use]
    pub fn host(&self, name: &str) -> Host {
        Host::new(self.namespace(name))
    }

    /// A switch without cables.
    #[must_use]
    pub fn switch(&self, name: &str) -> Switch {
        let namespace = self.namespace(name);
        namespace.ip("link add br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0");
        namespace.ip("link set br0 up");
        Switch { namespace }
    }

    /// Gives the host an interface of that name, plugged into the switch, up, with carrier.
    pub fn plug(&self, host: &Host, interface: &str, switch: &Switch) -> Cable {
        let port = format!("port{}", self.cables.fetch_add(1, Ordering::Relaxed));
        let ends =
            format!("link add {port} type veth peer name {interface} netns {}", host.namespace().name());
        switch.namespace.ip(&ends);
        switch.namespace.ip(&format!("link set {port} master {BRIDGE} up"));
        host.namespace().ip(&format!("link set {interface} up"));
        Cable::new(host, interface, &switch.namespace, &port)
    }

    fn namespace(&self, name: &str) -> Namespace {
        match Namespace::make(self.number, name) {
            Ok(namespace) => namespace,
            Err(why) => panic!("the namespace of {name} cannot be made: {why}"),
        }
    }
}

/// Runs a command of the system and returns what it wrote, or a sentence with what it complained about.
fn run(command: &mut Command) -> Result<String, String> {
    // Debian keeps the tools of a network in `sbin`, which is not in everybody's `PATH`.
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
    let output = command.env("PATH", path).output().map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim()))
    }
}
