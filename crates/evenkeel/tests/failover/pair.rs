//! Two balancers and a client at one switch.

use std::fs;
use std::net::IpAddr;
use std::process::{Command, Output};

use evenkeel_testkit::lab::{Cable, Host, Lab, Switch};
use evenkeel_testkit::{BOUND, Program, Signal, TempDir, temp_dir};
use serde_json::Value;

pub(crate) const ADDRESS: &str = "10.99.0.50";

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub(crate) struct Pair {
    pub(crate) lab: Lab,
    pub(crate) switch: Switch,
    pub(crate) first: Host,
    pub(crate) second: Host,
    pub(crate) client: Host,
    pub(crate) first_cable: Cable,
}

impl Pair {
    /// `balancer01` is 10.99.0.1 and fd99::1, `balancer02` is .2, the client .9. None where there can be no lab.
    pub(crate) fn start() -> Option<Self> {
        let lab = Lab::start()?;
        let switch = lab.switch("lan");
        let (first, second, client) = (lab.host("balancer01"), lab.host("balancer02"), lab.host("client"));
        let first_cable = lab.plug(&first, "eth0", &switch);
        for host in [&second, &client] {
            lab.plug(host, "eth0", &switch);
        }
        for (host, number) in [(&first, 1), (&second, 2), (&client, 9)] {
            host.add_address("eth0", &format!("10.99.0.{number}/24"));
            host.add_address("eth0", &format!("fd99::{number}/64"));
        }
        Some(Self { lab, switch, first, second, client, first_cable })
    }
}

/// A virtual router at 0.1 s with these further lines.
pub(crate) fn router(priority: u8, more: &str) -> String {
    let addresses = if more.contains("addresses") { "" } else { "addresses = [\"10.99.0.50/24\"]\n" };
    let interval =
        if more.contains("advertisement-interval") { "" } else { "advertisement-interval = \"100ms\"\n" };
    format!(
        "[virtual-router.public]\ninterface = \"eth0\"\nvrid = 51\npriority = {priority}\n{addresses}{interval}{more}\n"
    )
}

/// A running Evenkeel on a host.
pub(crate) struct Node {
    pub(crate) program: Program,
    directory: TempDir,
}

fn evenkeel() -> std::path::PathBuf {
    evenkeel_testkit::evenkeel(env!("CARGO_BIN_EXE_evenkeel"))
}

impl Node {
    /// Starts it; returns when it is ready.
    pub(crate) fn start(host: &Host, configuration: &str) -> Self {
        let directory = temp_dir();
        Self::start_in(host, configuration, directory)
    }

    fn start_in(host: &Host, configuration: &str, directory: TempDir) -> Self {
        write(&directory, configuration);
        let mut command = host.command(evenkeel().to_str().unwrap());
        command.arg("run").arg("-c").arg(directory.path().join("evenkeel.toml"));
        let program = Program::start(&mut command);
        program.wait_for_line(|line| line.contains("INFO ready: "), BOUND);
        Self { program, directory }
    }

    /// Waits for a line about its virtual router.
    pub(crate) fn wait_for(&self, text: &str) {
        self.program.wait_for_line(|line| line.contains(text), BOUND);
    }

    /// The same, behind the lines seen before; returns how many are seen then.
    pub(crate) fn wait_after(&self, seen: usize, text: &str) -> usize {
        self.program.wait_for_line_after(seen, |line| line.contains(text), BOUND).0
    }

    pub(crate) fn seen(&self) -> usize {
        self.program.lines().len()
    }

    /// Puts another configuration in force.
    pub(crate) fn reload(&self, configuration: &str) {
        write(&self.directory, configuration);
        let output = self.command(&["reload"]);
        assert!(output.status.success(), "{output:?}");
    }

    /// What `evenkeel diff` says about another configuration, which is not put in force.
    pub(crate) fn preview(&self, configuration: &str) -> Output {
        write(&self.directory, configuration);
        self.command(&["diff"])
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Output {
        let socket = self.directory.path().join("control.sock");
        Command::new(evenkeel()).args(arguments).arg("--socket").arg(socket).output().unwrap()
    }

    /// The virtual router, as `status --json` shows it.
    pub(crate) fn router(&self) -> Value {
        self.status()["virtual_routers"]["state"]["routers"][0].clone()
    }

    pub(crate) fn status(&self) -> Value {
        let output = self.command(&["status", "--json"]);
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Waits until it knows who is active.
    pub(crate) fn wait_heard(&self) {
        let begun = std::time::Instant::now();
        while self.router()["owner"].is_null() {
            assert!(begun.elapsed() < BOUND, "nobody was heard");
        }
    }

    /// The process of a role.
    pub(crate) fn role(&self, name: &str) -> rustix::process::Pid {
        let status = self.status();
        let role = status["roles"].as_array().unwrap().iter().find(|role| role["name"] == name).unwrap();
        let pid = role["pid"].as_i64().unwrap();
        rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap()
    }

    /// Ends it in good order.
    pub(crate) fn stop(&self) {
        self.program.signal(Signal::TERM);
        assert_eq!(self.program.wait(BOUND), 0);
    }
}

fn write(directory: &TempDir, configuration: &str) {
    let socket = directory.path().join("control.sock");
    let text = format!("[global]\nthreads = 1\ncontrol-socket = {socket:?}\n{configuration}");
    fs::write(directory.path().join("evenkeel.toml"), text).unwrap();
}
