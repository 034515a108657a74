//! A host: a namespace with addresses, programs, captures and probes.

use std::net::IpAddr;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::namespace::Namespace;
use super::{AddressWatch, Capture, Mac, Probe, Probing};

/// A host of a [`super::Lab`]; clones are the same host.
#[derive(Clone)]
pub struct Host {
    namespace: Namespace,
    /// What was given to it: the kernel forgets IPv6 addresses of an interface that goes down.
    addresses: Arc<Mutex<Vec<(String, String)>>>,
}

impl Host {
    pub(super) fn new(namespace: Namespace) -> Self {
        Self { namespace, addresses: Arc::default() }
    }

    pub(super) fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// The name of its namespace, for `ip -n`.
    #[must_use]
    pub fn name(&self) -> &str {
        self.namespace.name()
    }

    /// Gives an interface an address such as `10.99.0.1/24` or `fd99::1/64`, usable at once.
    pub fn add_address(&self, interface: &str, address: &str) {
        self.replace_address(interface, address);
        let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        addresses.push((interface.to_owned(), address.to_owned()));
    }

    /// Gives an interface, which was down, its addresses again.
    pub(super) fn restore_addresses(&self, interface: &str) {
        let addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for (_, address) in addresses.iter().filter(|(place, _)| place == interface) {
            self.replace_address(interface, address);
        }
    }

    fn replace_address(&self, interface: &str, address: &str) {
        let detection = if address.contains(':') { "nodad" } else { "" };
        self.ip(&format!("address replace {address} dev {interface} {detection}"));
    }

    /// Runs `ip` inside; the words are separated by blanks. Returns what it wrote, panics with its complaint.
    pub fn ip(&self, words: &str) -> String {
        self.namespace.ip(words)
    }

    /// Sets a kernel parameter below `/proc/sys/net`, such as `ipv4/ip_forward`.
    pub fn set(&self, key: &str, value: &str) {
        self.namespace.set(key, value);
    }

    /// A command that runs inside, to be given arguments and to [`crate::Program::start`]. The kernel kills the
    /// program when the thread that starts it ends.
    #[must_use]
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("setpriv");
        command.env("PATH", std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin");
        command.args(["--pdeathsig", "KILL", "ip", "netns", "exec", self.name(), program]);
        command
    }

    /// Does something on a thread that is inside. A socket made there belongs there for ever.
    pub fn inside<T: Send>(&self, act: impl FnOnce() -> T + Send) -> T {
        self.namespace.inside(act)
    }

    /// The Ethernet address of an interface.
    #[must_use]
    pub fn mac(&self, interface: &str) -> Mac {
        let line = self.ip(&format!("-brief link show dev {interface}"));
        let mac = line.split_whitespace().nth(2).and_then(|word| word.parse().ok());
        mac.unwrap_or_else(|| panic!("{interface} of {} has no Ethernet address: {line}", self.name()))
    }

    /// The link-local IPv6 address of an interface.
    #[must_use]
    pub fn link_local(&self, interface: &str) -> IpAddr {
        let line = self.ip(&format!("-brief -6 address show dev {interface} scope link"));
        let address = line.split_whitespace().nth(2).and_then(|word| word.split('/').next()?.parse().ok());
        address.unwrap_or_else(|| panic!("{interface} of {} has no link-local address: {line}", self.name()))
    }

    /// Where frames for this address would go, as far as the host knows.
    #[must_use]
    pub fn neighbour(&self, address: IpAddr) -> Option<Mac> {
        let text = self.ip(&format!("neighbour show to {address}"));
        let mut words = text.split_whitespace();
        words.find(|&word| word == "lladdr")?;
        words.next()?.parse().ok()
    }

    /// Whether one of its interfaces holds the address.
    #[must_use]
    pub fn holds(&self, address: IpAddr) -> bool {
        let text = self.ip(&format!("-brief address show to {address}"));
        !text.trim().is_empty()
    }

    /// Begins to note each address that comes and goes.
    #[must_use]
    pub fn watch_addresses(&self) -> AddressWatch {
        AddressWatch::start(self)
    }

    /// Begins to record ARP, VRRP and neighbour advertisements that the interface sends and receives.
    #[must_use]
    pub fn capture(&self, interface: &str) -> Capture {
        Capture::start(&self.namespace, interface)
    }

    /// Begins to ask the target for an answer again and again.
    #[must_use]
    pub fn probe(&self, target: IpAddr, how: Probing, every: Duration) -> Probe {
        Probe::start(&self.namespace, target, how, every)
    }
}
