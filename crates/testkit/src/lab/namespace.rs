//! One named network namespace, which goes with its value together with the processes that are still in it.

use std::fs::File;
use std::net::Ipv4Addr;
use std::os::fd::AsFd as _;
use std::process::Command;
use std::sync::Arc;

use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::run;

/// Where `ip netns` keeps the names.
const NAMES: &str = "/run/netns";
/// What names of labs begin with; the id of the process that made it follows.
const PREFIX: &str = "evenkeel-lab-";

/// Shared by a host and what is plugged into it.
#[derive(Clone)]
pub(super) struct Namespace {
    owned: Arc<Owned>,
}

struct Owned {
    name: String,
}

impl Namespace {
    pub(super) fn make(lab: u32, host: &str) -> Result<Self, String> {
        let name = format!("{PREFIX}{}-{lab}-{host}", std::process::id());
        run(Command::new("ip").args(["netns", "add", &name]))?;
        let namespace = Self { owned: Arc::new(Owned { name }) };
        for (key, value) in SETTINGS {
            namespace.set(key, value);
        }
        namespace.ip("link set lo up");
        Ok(namespace)
    }

    pub(super) fn name(&self) -> &str {
        &self.owned.name
    }

    /// Runs `ip` inside; the words are separated by blanks. Panics with its complaint.
    pub(super) fn ip(&self, words: &str) -> String {
        let mut command = Command::new("ip");
        command.args(["-n", self.name()]).args(words.split_whitespace());
        run(&mut command).unwrap_or_else(|why| panic!("{why}"))
    }

    /// Runs `nft` inside on this text. Panics with its complaint.
    pub(super) fn nft(&self, text: &str) {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", self.name(), "nft", text]);
        run(&mut command).unwrap_or_else(|why| panic!("{why}"));
    }

    /// Sets a kernel parameter below `/proc/sys/net`, such as `ipv4/ip_forward`.
    pub(super) fn set(&self, key: &str, value: &str) {
        // The kernel shows each thread the parameters of its own namespace.
        let written = self.inside(|| std::fs::write(format!("/proc/sys/net/{key}"), value));
        if let Err(error) = written {
            panic!("/proc/sys/net/{key} cannot be set to {value}: {error}");
        }
    }

    /// Does something on a thread that is inside. A socket made there belongs there for ever.
    pub(super) fn inside<T: Send>(&self, act: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| {
            let inside = scope.spawn(|| {
                self.enter();
                act()
            });
            inside.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Moves the calling thread inside, for ever.
    pub(super) fn enter(&self) {
        let path = format!("{NAMES}/{}", self.name());
        let entered = File::open(&path)
            .and_then(|file| Ok(move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))?));
        if let Err(error) = entered {
            panic!("{path} cannot be entered: {error}");
        }
    }
}

/// Addresses are usable at once; nobody asks for routers that are not there.
const SETTINGS: [(&str, &str); 4] = [
    ("ipv6/conf/all/accept_dad", "0"),
    ("ipv6/conf/default/accept_dad", "0"),
    ("ipv6/conf/default/router_solicitations", "0"),
    ("ipv6/conf/default/accept_ra", "0"),
];

impl Drop for Owned {
    fn drop(&mut self) {
        remove(&self.name);
    }
}

/// Ends what runs inside and removes the name; both may be gone already.
fn remove(name: &str) {
    let inside = run(Command::new("ip").args(["netns", "pids", name])).unwrap_or_default();
    for id in inside.split_whitespace().filter_map(|id| Pid::from_raw(id.parse().ok()?)) {
        let _ = kill_process(id, Signal::KILL);
    }
    let _ = run(Command::new("ip").args(["netns", "delete", name]));
}

/// Removes the namespaces of processes that have ended without removing them.
pub(super) fn remove_leftovers() {
    for name in names() {
        if owner(&name).is_some_and(|id| !std::path::Path::new(&format!("/proc/{id}")).exists()) {
            remove(&name);
        }
    }
}

/// The names of all namespaces.
pub(super) fn names() -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(NAMES) else { return Vec::new() };
    entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect()
}

/// The process that made the namespace, when a lab did.
fn owner(name: &str) -> Option<u32> {
    name.strip_prefix(PREFIX)?.split('-').next()?.parse().ok()
}

/// A socket of any kind to ask about interfaces with.
pub(super) fn interface_index(name: &str) -> Option<u32> {
    let socket = std::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    rustix::net::netdevice::name_to_index(&socket, name).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{needs, needs_root};

    #[test]
    fn the_next_lab_removes_what_a_crashed_one_left() {
        if !(needs_root() && needs("ip")) {
            return;
        }
        // Stands for the crashed process. While it lives, nobody removes what is its own.
        let owner = crate::Program::start(Command::new("cat").arg("/dev/zero"));
        let name = format!("{PREFIX}{}-0-balancer01", owner.id());
        run(Command::new("ip").args(["netns", "add", &name])).unwrap();
        let mut command = Command::new("ip");
        let left = crate::Program::start(command.args(["netns", "exec", &name, "cat", "/dev/zero"]));
        // Only a program that has got inside is found there.
        while run(Command::new("ip").args(["netns", "pids", &name])).unwrap().is_empty() {}
        remove_leftovers();
        assert!(names().contains(&name));
        drop(owner);
        remove_leftovers();
        assert_eq!(left.wait(crate::BOUND), 128 + 9);
        assert!(!names().contains(&name));
    }

    #[test]
    fn names_tell_who_made_them() {
        assert_eq!(owner("evenkeel-lab-123-4-host-name"), Some(123));
        assert_eq!(owner("evenkeel-lab-x-4-host"), None);
        assert_eq!(owner("production"), None);
    }
}
