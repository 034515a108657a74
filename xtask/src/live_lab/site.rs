//! The program under test: its files, its commands, its API, and what its processes hold.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use evenkeel_testkit::{BOUND, HttpClient, Program, Signal, TempDir, free_address, temp_dir, tree};
use serde_json::Value;

use crate::bench::memory_kib;

/// What steers over TCP.
const TOKEN: &str = "live-lab-live-lab-live-lab-live-lab";
/// How long a command may take; the longest is a reload that waits for another.
const COMMAND: Duration = Duration::from_secs(60);

/// A running program with its files; it ends with the value.
pub(crate) struct Site {
    binary: PathBuf,
    pub(crate) directory: TempDir,
    program: Program,
    admin: SocketAddr,
}

impl Site {
    /// Starts it on this text, to which control socket, state and API are added; returns when it is ready.
    pub(crate) fn start(binary: &Path, text: &str) -> Self {
        let directory = temp_dir();
        let admin = free_address();
        write(&directory, admin, text);
        let program = launch(binary, directory.path());
        Self { binary: binary.to_owned(), directory, program, admin }
    }

    /// The configuration file.
    pub(crate) fn config(&self) -> PathBuf {
        self.directory.path().join("evenkeel.toml")
    }

    /// Kills every process of it at once.
    pub(crate) fn kill(&self) {
        self.program.kill_tree();
    }

    /// Asks it to end and waits until it has.
    pub(crate) fn stop(&self) -> Result<(), String> {
        self.program.signal(Signal::TERM);
        match self.program.wait(BOUND) {
            0 => Ok(()),
            code => Err(format!("it ended with {code}")),
        }
    }

    /// Starts it again, on the files as they are.
    pub(crate) fn start_again(&mut self) {
        self.program = launch(&self.binary, self.directory.path());
    }

    /// Puts another configuration in force; says how long that took.
    pub(crate) fn reload(&self, text: &str) -> Result<Duration, String> {
        write(&self.directory, self.admin, text);
        let began = Instant::now();
        self.command(&["reload"])?;
        Ok(began.elapsed())
    }

    /// Runs a command of the program against it.
    pub(crate) fn command(&self, arguments: &[&str]) -> Result<String, String> {
        let socket = self.directory.path().join("control.sock");
        let program = Program::start(Command::new(&self.binary).args(arguments).arg("--socket").arg(socket));
        let code = program.wait(COMMAND);
        let text = program.wait_for_end_of_output(BOUND).join("\n");
        if code == 0 { Ok(text) } else { Err(format!("{arguments:?} ended with {code}: {text}")) }
    }

    /// What `status --json` says.
    pub(crate) fn status(&self) -> Result<Value, String> {
        serde_json::from_str(&self.command(&["status", "--json"])?).map_err(|error| error.to_string())
    }

    /// The page for Prometheus.
    pub(crate) fn metrics(&self) -> Result<String, String> {
        let asked = HttpClient::connect(self.admin).and_then(|mut client| {
            client.send("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
            client.response()
        });
        match asked {
            Ok(page) if page.status == 200 => Ok(page.text()),
            Ok(page) => Err(format!("metrics are answered with {}: {}", page.status, page.text())),
            Err(error) => Err(format!("no metrics: {error}")),
        }
    }

    /// Asks for the status until it shows what is wanted, up to a bound.
    pub(crate) fn wait_until(
        &self,
        within: Duration,
        holds: impl Fn(&Value) -> bool,
    ) -> Result<Value, String> {
        let end = Instant::now() + within;
        loop {
            let status = self.status()?;
            if holds(&status) {
                return Ok(status);
            }
            if Instant::now() >= end {
                return Err(format!("never seen: {status}"));
            }
        }
    }

    /// A client of the API.
    pub(crate) fn api(&self) -> io::Result<Api> {
        HttpClient::connect(self.admin).map(Api)
    }

    /// Memory of all its processes (PSS), in KiB.
    pub(crate) fn memory_kib(&self) -> u64 {
        memory_kib(&tree(self.program.id()), "Pss:")
    }
}

/// A client of the API that keeps its connection.
pub(crate) struct Api(HttpClient);

impl Api {
    /// Sends a request; its status and the document that came back.
    pub(crate) fn ask(&mut self, method: &str, path: &str, body: &Value) -> io::Result<(u16, Value)> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.0.send(format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ))?;
        let response = self.0.response()?;
        Ok((response.status, serde_json::from_slice(&response.body).unwrap_or_default()))
    }

    /// As [`Self::ask`], when only one status will do.
    pub(crate) fn must(
        &mut self,
        method: &str,
        path: &str,
        body: &Value,
        status: u16,
    ) -> Result<Value, String> {
        match self.ask(method, path, body) {
            Ok((found, document)) if found == status => Ok(document),
            Ok((found, document)) => Err(format!("{method} {path}: {found}: {document}")),
            Err(error) => Err(format!("{method} {path}: {error}")),
        }
    }
}

/// The path of a server of the pool `website`.
pub(crate) fn server(name: &str) -> String {
    format!("/v1/pools/website/servers/{name}")
}

/// One server in a status.
pub(crate) fn found<'s>(status: &'s Value, server: &str) -> Option<&'s Value> {
    let pools = status["traffic"]["pools"].as_array()?;
    pools
        .iter()
        .flat_map(|pool| pool["servers"].as_array().into_iter().flatten())
        .find(|one| one["name"] == server)
}

fn launch(binary: &Path, directory: &Path) -> Program {
    let program =
        Program::start(Command::new(binary).arg("run").arg("-c").arg(directory.join("evenkeel.toml")));
    program.wait_for_line(|line| line.contains("INFO ready: "), BOUND);
    program
}

fn write(directory: &TempDir, admin: SocketAddr, text: &str) {
    let path = |name: &str| directory.path().join(name);
    let (socket, state, token) = (path("control.sock"), path("state"), path("token"));
    if !token.exists() {
        std::fs::write(&token, TOKEN).expect("a token in a new directory");
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&token, private).expect("a token of our own");
    }
    let text = format!(
        "[global]\ncontrol-socket = {socket:?}\nstate-dir = {state:?}\n\
         [admin]\nbind = \"{admin}\"\ntoken-file = {token:?}\n{text}"
    );
    std::fs::write(path("evenkeel.toml"), text).expect("a written configuration");
}
