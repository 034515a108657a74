//! The real program on an example or on a configuration of the test's own, with its control socket in a directory of
//! its own.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use evenkeel_testkit::{BOUND, HttpClient, Program, Signal, TempDir, temp_dir};
use rustix::process::{Pid, kill_process};
use serde_json::Value;

/// How long a load lasts when the test does not stop it, which it does once it has seen what it waits for.
pub(crate) const LOAD: Duration = Duration::from_secs(60);

/// The text of a file in `examples/`.
pub(crate) fn example(name: &str) -> String {
    fs::read_to_string(example_path(name)).unwrap()
}

/// Where an example lies.
pub(crate) fn example_path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(name)
}

/// Replaces a piece of a configuration, which must be there.
pub(crate) fn replace(text: &str, old: &str, new: &str) -> String {
    assert!(text.contains(old), "{old} in {text}");
    text.replace(old, new)
}

/// The program while it runs.
pub(crate) struct Site {
    pub(crate) directory: TempDir,
    pub(crate) program: Program,
    config: PathBuf,
}

impl Site {
    /// Starts the program on `examples/website.toml` as it is, with these addresses; returns when it is ready.
    pub(crate) fn website(bind: SocketAddr, servers: [SocketAddr; 2]) -> Self {
        Self::start(temp_dir(), &example_path("website.toml"), &website_variables(bind, servers))
    }

    /// Starts the program on a configuration of the test's own, whose `control-socket` must be `${CONTROL}`.
    pub(crate) fn of(text: &str, variables: &[(&str, String)]) -> Self {
        let directory = temp_dir();
        let config = directory.path().join("evenkeel.toml");
        fs::write(&config, text).unwrap();
        Self::start(directory, &config, variables)
    }

    /// As [`Site::of`], with a copy of the program that can be replaced: see [`Site::installed`].
    pub(crate) fn of_a_copy(text: &str, variables: &[(&str, String)]) -> Self {
        let directory = temp_dir();
        let config = directory.path().join("evenkeel.toml");
        fs::write(&config, text).unwrap();
        let copy = directory.path().join("evenkeel");
        fs::copy(evenkeel_testkit::evenkeel(env!("CARGO_BIN_EXE_evenkeel")), &copy).unwrap();
        Self::begin(Command::new(copy), directory, &config, variables)
    }

    /// Where the copy of the program lies.
    pub(crate) fn installed(&self) -> PathBuf {
        self.directory.path().join("evenkeel")
    }

    /// Puts another program in the place of the copy, as an installation does: under another name first.
    pub(crate) fn install(&self, program: &[u8]) {
        let new = self.directory.path().join("evenkeel.new");
        fs::write(&new, program).unwrap();
        fs::set_permissions(&new, fs::Permissions::from_mode(0o755)).unwrap();
        fs::rename(new, self.installed()).unwrap();
    }

    /// The program that the copy was made of.
    pub(crate) fn original() -> Vec<u8> {
        fs::read(evenkeel_testkit::evenkeel(env!("CARGO_BIN_EXE_evenkeel"))).unwrap()
    }

    /// Upgrades with `evenkeel upgrade`.
    pub(crate) fn upgrade(&self) {
        let output = self.command(&["upgrade"]);
        assert!(output.status.success(), "{output:?}");
    }

    /// Starts the program on a file; `CONTROL` is set to `control.sock` in the directory.
    pub(crate) fn start(directory: TempDir, config: &Path, variables: &[(&str, String)]) -> Self {
        Self::begin(evenkeel(), directory, config, variables)
    }

    fn begin(mut command: Command, directory: TempDir, config: &Path, variables: &[(&str, String)]) -> Self {
        command.arg("run").arg("-c").arg(config).env("CONTROL", directory.path().join("control.sock"));
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        let program = Program::start(&mut command);
        program.wait_for_line(|line| line.contains("INFO ready: "), BOUND);
        Self { directory, program, config: config.to_owned() }
    }

    /// Writes another configuration.
    pub(crate) fn write(&self, text: &str) {
        assert!(self.config.starts_with(self.directory.path()), "an example is not written to");
        fs::write(&self.config, text).unwrap();
    }

    /// Runs a command against the program.
    pub(crate) fn command(&self, arguments: &[&str]) -> Output {
        let socket = self.directory.path().join("control.sock");
        evenkeel().args(arguments).arg("--socket").arg(socket).output().unwrap()
    }

    /// Puts another configuration in force with `evenkeel reload`.
    pub(crate) fn reload(&self, text: &str) {
        self.write(text);
        let output = self.command(&["reload"]);
        assert!(output.status.success(), "{output:?}");
    }

    /// Puts another configuration in force with SIGHUP.
    pub(crate) fn hang_up(&self, text: &str) {
        self.write(text);
        let seen = self.program.lines().len();
        self.program.signal(Signal::HUP);
        self.program.wait_for_line_after(seen, |line| line.contains("reload done: "), BOUND);
    }

    /// What `status --json` says.
    pub(crate) fn status(&self) -> Value {
        let output = self.command(&["status", "--json"]);
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Asks for the status until it shows what is wanted.
    pub(crate) fn wait_until(&self, holds: impl Fn(&Value) -> bool) {
        let end = Instant::now() + BOUND;
        while !holds(&self.status()) {
            assert!(Instant::now() < end, "never seen: {:#}", self.status());
        }
    }

    /// The process id of a role.
    pub(crate) fn role(&self, name: &str) -> Pid {
        let status = self.status();
        let role = status["roles"].as_array().unwrap().iter().find(|role| role["name"] == name).unwrap();
        Pid::from_raw(role["pid"].as_i64().unwrap().try_into().unwrap()).unwrap()
    }

    /// Kills a role as a crash would.
    pub(crate) fn kill9(&self, role: &str) {
        kill_process(self.role(role), Signal::KILL).unwrap();
    }
}

/// What fills in `examples/website.toml`.
pub(crate) fn website_variables(bind: SocketAddr, servers: [SocketAddr; 2]) -> [(&'static str, String); 3] {
    [
        ("BIND", bind.to_string()),
        ("WEBSERVER01", servers[0].to_string()),
        ("WEBSERVER02", servers[1].to_string()),
    ]
}

/// A counter of a server in a status; 0 while the proxy role cannot be asked.
pub(crate) fn of_server(status: &Value, server: &str, counter: &str) -> u64 {
    let pools = status["traffic"]["pools"].as_array().into_iter().flatten();
    let mut servers = pools.flat_map(|pool| pool["servers"].as_array().unwrap());
    let found = servers.find(|candidate| candidate["name"] == server);
    found.map_or(0, |server| server[counter].as_u64().unwrap())
}

/// A counter of a listener in a status; 0 while the proxy role cannot be asked.
pub(crate) fn of_listener(status: &Value, listener: &str, counter: &str) -> u64 {
    let mut listeners = status["traffic"]["listeners"].as_array().into_iter().flatten();
    let found = listeners.find(|candidate| candidate["name"] == listener);
    found.map_or(0, |listener| listener[counter].as_u64().unwrap())
}

/// The inodes of the sockets that listen on an address.
pub(crate) fn inodes(address: SocketAddr) -> BTreeSet<String> {
    let port = format!(":{:04X}", address.port());
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    let columns = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    columns
        .filter(|columns| columns[1].ends_with(&port) && columns[3] == "0A")
        .map(|columns| columns[9].to_owned())
        .collect()
}

/// One request on a connection of its own; the body of a 200.
pub(crate) fn fetch(address: SocketAddr, path: &str) -> std::io::Result<String> {
    let response = HttpClient::connect(address)?.get(path)?;
    assert_eq!(response.status, 200, "{response:?}");
    Ok(response.text())
}

/// The address as a URL.
pub(crate) fn url(address: SocketAddr, path: &str) -> String {
    format!("http://{address}{path}")
}

fn evenkeel() -> Command {
    Command::new(evenkeel_testkit::evenkeel(env!("CARGO_BIN_EXE_evenkeel")))
}
