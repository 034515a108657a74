//! One node: the real program in a host of the lab.

use std::path::Path;
use std::time::{Duration, Instant};

use evenkeel_testkit::lab::Host;
use evenkeel_testkit::{BOUND, Program, Signal, TempDir, temp_dir};
use rustix::process::{Pid, kill_process};
use serde_json::Value;

/// A running program with its files.
pub(crate) struct Node {
    program: Program,
    binary: std::path::PathBuf,
    directory: TempDir,
    ready_at: Instant,
}

impl Node {
    /// Starts it with an ordinary priority; returns when it is ready.
    pub(crate) fn start(host: &Host, binary: &Path, configuration: &str) -> Self {
        let directory = temp_dir();
        write(&directory, configuration);
        let mut command = host.command("chrt");
        command
            .args(["-o", "0"])
            .arg(binary)
            .arg("run")
            .arg("-c")
            .arg(directory.path().join("evenkeel.toml"));
        let program = Program::start(&mut command);
        program.wait_for_line(|line| line.contains("INFO ready: "), BOUND);
        Self { program, binary: binary.to_owned(), directory, ready_at: Instant::now() }
    }

    /// When it became ready.
    pub(crate) fn ready_at(&self) -> Instant {
        self.ready_at
    }

    /// Puts another configuration in force.
    pub(crate) fn reload(&self, configuration: &str) -> Result<(), String> {
        write(&self.directory, configuration);
        self.command(&["reload"]).map(drop)
    }

    /// What `status --json` says.
    pub(crate) fn status(&self) -> Result<Value, String> {
        serde_json::from_str(&self.command(&["status", "--json"])?).map_err(|error| error.to_string())
    }

    /// The virtual routers in it.
    pub(crate) fn routers(&self) -> Result<Vec<Value>, String> {
        let status = self.status()?;
        let routers = status["virtual_routers"]["state"]["routers"].as_array();
        routers.cloned().ok_or_else(|| format!("no virtual routers in {status}"))
    }

    /// Runs a command of the program against it.
    pub(crate) fn command(&self, arguments: &[&str]) -> Result<String, String> {
        let socket = self.directory.path().join("control.sock");
        let output =
            std::process::Command::new(&self.binary).args(arguments).arg("--socket").arg(socket).output();
        let output = output.map_err(|error| error.to_string())?;
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        } else {
            Err(format!("{arguments:?}: {}", String::from_utf8_lossy(&output.stderr).trim()))
        }
    }

    /// The process of the role.
    pub(crate) fn role(&self, name: &str) -> Result<Pid, String> {
        let status = self.status()?;
        let role =
            status["roles"].as_array().and_then(|roles| roles.iter().find(|role| role["name"] == name));
        let id = role.and_then(|role| i32::try_from(role["pid"].as_i64()?).ok()).and_then(Pid::from_raw);
        id.ok_or_else(|| format!("no role {name} in {status}"))
    }

    /// The supervisor and its roles.
    pub(crate) fn processes(&self) -> Vec<Pid> {
        let main = self.program.id();
        let tasks = std::fs::read_dir(format!("/proc/{main}/task")).into_iter().flatten().flatten();
        let children =
            tasks.map(|task| std::fs::read_to_string(task.path().join("children")).unwrap_or_default());
        let children: Vec<String> = children.collect();
        let ids = children.iter().flat_map(|text| text.split_whitespace()).filter_map(|id| id.parse().ok());
        i32::try_from(main).ok().into_iter().chain(ids).filter_map(Pid::from_raw).collect()
    }

    /// To all its processes. The supervisor comes first, so that it cannot notice what happens to the roles.
    fn signal_all(&self, signal: Signal) {
        for process in self.processes() {
            // One that has ended by itself in between is as good as signalled.
            let _ = kill_process(process, signal);
        }
    }

    pub(crate) fn kill_all(&self) {
        self.signal_all(Signal::STOP);
        self.signal_all(Signal::KILL);
    }

    pub(crate) fn kill_main(&self) {
        self.program.signal(Signal::KILL);
    }

    pub(crate) fn freeze(&self) {
        self.signal_all(Signal::STOP);
    }

    pub(crate) fn resume(&self) {
        self.signal_all(Signal::CONT);
    }

    pub(crate) fn terminate(&self) {
        self.program.signal(Signal::TERM);
    }

    /// Waits for its end.
    pub(crate) fn wait(&self) {
        self.program.wait(BOUND);
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.program.lines()
    }
}

/// CPU time of all threads of a process.
pub(crate) fn cpu_time(process: Pid) -> Duration {
    let threads =
        std::fs::read_dir(format!("/proc/{}/task", process.as_raw_nonzero())).into_iter().flatten().flatten();
    let texts = threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("schedstat")).ok());
    let nanos = texts.filter_map(|text| text.split_whitespace().next()?.parse::<u64>().ok()).sum();
    Duration::from_nanos(nanos)
}

fn write(directory: &TempDir, configuration: &str) {
    let socket = directory.path().join("control.sock");
    let text = format!("[global]\nthreads = 1\ncontrol-socket = {socket:?}\n{configuration}");
    std::fs::write(directory.path().join("evenkeel.toml"), text).expect("a written configuration");
}
