//! Debian's keepalived in a host of a lab, as the peer that Evenkeel must get along with.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::lab::Host;
use crate::{BOUND, Program, temp_dir};

/// The protocol that a [`VrrpInstance`] speaks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Variant {
    /// VRRPv2, RFC 3768.
    V2,
    /// VRRPv2 with the authentication type PASS and this password of at most eight letters.
    V2Pass(String),
    /// VRRPv3 with keepalived's checksum over the pseudo header.
    V3,
    /// VRRPv3 with the checksum of RFC 9568 on IPv4, over the message only.
    V3MessageOnly,
}

/// What a `vrrp_instance` of keepalived.conf says.
#[derive(Clone, Debug)]
pub struct VrrpInstance {
    /// Its name, unique in the process.
    pub name: String,
    /// The interface it speaks on.
    pub interface: String,
    /// The virtual router.
    pub vrid: u8,
    /// 1 to 255.
    pub priority: u8,
    /// Protocol and checksum.
    pub variant: Variant,
    /// Whole seconds for VRRPv2, hundredths for VRRPv3.
    pub interval: Duration,
    /// Virtual addresses with prefix, such as `10.99.0.50/24`, all of one family.
    pub addresses: Vec<String>,
    /// For unicast: the own address and those of the peers. None is multicast.
    pub unicast: Option<(IpAddr, Vec<IpAddr>)>,
    /// Whether a higher priority takes the address back.
    pub preempt: bool,
    /// More lines of the block, such as `higher_prio_send_advert true`.
    pub more: Vec<String>,
}

impl VrrpInstance {
    /// Multicast VRRPv3 on `eth0`, ten advertisements a second, preempting.
    #[must_use]
    pub fn new(name: &str, vrid: u8, priority: u8, address: &str) -> Self {
        Self {
            name: name.to_owned(),
            interface: "eth0".to_owned(),
            vrid,
            priority,
            variant: Variant::V3,
            interval: Duration::from_millis(100),
            addresses: vec![address.to_owned()],
            unicast: None,
            preempt: true,
            more: Vec::new(),
        }
    }
}

/// What keepalived says an instance is in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// It holds the addresses.
    Master,
    /// It listens.
    Backup,
    /// Its interface is down.
    Fault,
}

/// A running keepalived with files of its own. Ask [`crate::needs`]`("keepalived")` first.
pub struct Keepalived {
    program: Program,
    directory: TempDir,
}

impl Keepalived {
    /// Starts it and waits until its instances exist (they are backups then).
    #[must_use]
    pub fn start(host: &Host, instances: &[VrrpInstance]) -> Self {
        let names: Vec<&str> = instances.iter().map(|instance| instance.name.as_str()).collect();
        Self::start_with(host, &configuration(instances).expect("text"), &names)
    }

    /// The same with a whole keepalived.conf, which has instances of these names.
    #[must_use]
    pub fn start_with(host: &Host, text: &str, names: &[&str]) -> Self {
        let directory = temp_dir();
        let file = |name: &str| directory.path().join(name);
        write(directory.path(), text);
        let mut command = host.command("keepalived");
        command.args(["--dont-fork", "--log-console", "--log-detail", "--no-syslog", "--vrrp", "--use-file"]);
        command.arg(file("keepalived.conf"));
        command.arg("--pid").arg(file("parent.pid")).arg("--vrrp_pid").arg(file("vrrp.pid"));
        let program = Program::start(&mut command);
        let keepalived = Self { program, directory };
        for name in names {
            let marker = format!("({name}) Entering ");
            keepalived.program.wait_for_line(|line| line.contains(&marker), BOUND);
        }
        keepalived
    }

    /// Waits until an instance is in this state. Panics with all log lines after [`BOUND`].
    pub fn wait_for_state(&self, instance: &str, state: State) {
        let mut seen = 0;
        while self.state(instance) != Some(state) {
            seen = self.program.wait_for_line_after(seen, |line| told(line, instance).is_some(), BOUND).0;
        }
    }

    /// The state that an instance entered last.
    #[must_use]
    pub fn state(&self, instance: &str) -> Option<State> {
        self.program.lines().iter().rev().find_map(|line| told(line, instance))
    }

    /// Makes it read new instances, as `systemctl reload keepalived` does.
    pub fn reload(&self, instances: &[VrrpInstance]) {
        self.reload_with(&configuration(instances).expect("text"));
    }

    /// The same with a whole keepalived.conf.
    pub fn reload_with(&self, text: &str) {
        write(self.directory.path(), text);
        self.program.signal(Signal::HUP);
    }

    /// Its log so far.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.program.lines()
    }

    /// Ends it in good order: it gives its addresses away. Returns when it has ended.
    pub fn stop(&self) {
        self.program.signal(Signal::TERM);
        self.program.wait(BOUND);
    }

    /// Ends all its processes at once; the addresses stay with the host.
    pub fn kill9(&self) {
        self.program.kill();
    }

    /// Stops all its processes as a frozen machine would, until [`Self::resume`].
    pub fn freeze(&self) {
        self.program.signal_group(Signal::STOP);
    }

    /// Lets it run on.
    pub fn resume(&self) {
        self.program.signal_group(Signal::CONT);
    }
}

/// The state that a line of the log tells of this instance.
fn told(line: &str, instance: &str) -> Option<State> {
    let word = line.split_once(&format!("({instance}) Entering "))?.1.split_whitespace().next()?;
    match word {
        "MASTER" => Some(State::Master),
        "BACKUP" => Some(State::Backup),
        "FAULT" => Some(State::Fault),
        _ => None,
    }
}

fn write(directory: &Path, text: &str) {
    std::fs::write(directory.join("keepalived.conf"), text).expect("a written keepalived.conf");
}

fn configuration(instances: &[VrrpInstance]) -> Result<String, std::fmt::Error> {
    let mut text = String::from("global_defs {\n    router_id lab\n}\n");
    for instance in instances {
        let (version, interval) = match instance.variant {
            Variant::V2 | Variant::V2Pass(_) => (2, instance.interval.as_secs_f64()),
            Variant::V3 | Variant::V3MessageOnly => (3, instance.interval.as_secs_f64()),
        };
        write!(
            text,
            "vrrp_instance {} {{\n    version {version}\n    state BACKUP\n    interface {}\n    \
             virtual_router_id {}\n    priority {}\n    advert_int {interval}\n",
            instance.name, instance.interface, instance.vrid, instance.priority
        )?;
        if let Variant::V2Pass(password) = &instance.variant {
            writeln!(
                text,
                "    authentication {{\n        auth_type PASS\n        auth_pass {password}\n    }}"
            )?;
        }
        if instance.variant == Variant::V3MessageOnly {
            text.push_str("    v3_checksum_as_v2 on\n");
        }
        if let Some((own, peers)) = &instance.unicast {
            writeln!(text, "    unicast_src_ip {own}\n    unicast_peer {{")?;
            for peer in peers {
                writeln!(text, "        {peer}")?;
            }
            text.push_str("    }\n");
        }
        if !instance.preempt {
            text.push_str("    nopreempt\n");
        }
        for line in &instance.more {
            writeln!(text, "    {line}")?;
        }
        text.push_str("    virtual_ipaddress {\n");
        for address in &instance.addresses {
            writeln!(text, "        {address}")?;
        }
        text.push_str("    }\n}\n");
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_says_what_the_instance_says() {
        let mut instance = VrrpInstance::new("lan", 51, 150, "10.99.0.50/24");
        instance.variant = Variant::V2Pass("secret12".to_owned());
        instance.interval = Duration::from_secs(1);
        instance.unicast = Some(("10.99.0.1".parse().unwrap(), vec!["10.99.0.2".parse().unwrap()]));
        instance.preempt = false;
        instance.more.push("garp_master_refresh 60".to_owned());
        let expected = "\
global_defs {
    router_id lab
}
vrrp_instance lan {
    version 2
    state BACKUP
    interface eth0
    virtual_router_id 51
    priority 150
    advert_int 1
    authentication {
        auth_type PASS
        auth_pass secret12
    }
    unicast_src_ip 10.99.0.1
    unicast_peer {
        10.99.0.2
    }
    nopreempt
    garp_master_refresh 60
    virtual_ipaddress {
        10.99.0.50/24
    }
}
";
        assert_eq!(configuration(&[instance]).unwrap(), expected);
    }

    #[test]
    fn the_log_tells_states() {
        let line = "Sun Nov 22 21:00:00 2026: (lan) Entering MASTER STATE";
        assert_eq!(told(line, "lan"), Some(State::Master));
        assert_eq!(told(line, "la"), None);
        assert_eq!(told("(lan) Entering BACKUP STATE (init)", "lan"), Some(State::Backup));
    }
}
