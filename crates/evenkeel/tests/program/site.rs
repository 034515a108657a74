//! Starts the real program on a configuration of its own, in a directory of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use evenkeel_testkit::{BOUND, Program, TempDir, temp_dir};
use serde_json::Value;

/// The program under test.
pub(crate) fn evenkeel() -> Command {
    Command::new(evenkeel_testkit::evenkeel(env!("CARGO_BIN_EXE_evenkeel")))
}

/// A directory with a configuration, and the program that runs it.
pub(crate) struct Site {
    pub(crate) directory: TempDir,
    pub(crate) program: Program,
}

impl Site {
    /// Writes the configuration and starts the program; returns when it is ready. The control socket is
    /// `control.sock` in the site's directory.
    pub(crate) fn start(configuration: &str) -> Self {
        Self::start_with(configuration, |_, _| {})
    }

    /// As [`Self::start`], with a last word on how it is started.
    pub(crate) fn start_with(configuration: &str, prepare: impl FnOnce(&mut Command, &Path)) -> Self {
        let directory = temp_dir();
        write(directory.path(), configuration);
        let mut command = evenkeel();
        command.arg("run").arg("-c").arg(directory.path().join("evenkeel.toml"));
        prepare(&mut command, directory.path());
        let program = Program::start(&mut command);
        program.wait_for_line(|line| line.contains("INFO ready: "), BOUND);
        Self { directory, program }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes another configuration.
    pub(crate) fn write(&self, configuration: &str) {
        write(self.directory.path(), configuration);
    }

    /// Runs a command against the program.
    pub(crate) fn command(&self, arguments: &[&str]) -> Output {
        evenkeel().args(arguments).arg("--socket").arg(self.path("control.sock")).output().unwrap()
    }

    /// What `status --json` says.
    pub(crate) fn status(&self) -> Value {
        let output = self.command(&["status", "--json"]);
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// The process id of a role.
    pub(crate) fn role(&self, name: &str) -> u32 {
        let status = self.status();
        let role = status["roles"].as_array().unwrap().iter().find(|role| role["name"] == name).unwrap();
        role["pid"].as_u64().unwrap().try_into().unwrap()
    }

    /// Waits for a line that contains `text`, among those after index `seen`, and returns the index after it.
    pub(crate) fn wait_for(&self, seen: usize, text: &str) -> usize {
        self.program.wait_for_line_after(seen, |line| line.contains(text), BOUND).0
    }

    /// How many lines there are by now.
    pub(crate) fn seen(&self) -> usize {
        self.program.lines().len()
    }
}

/// `[global]` is written here, so that every site has its own control socket.
fn write(directory: &Path, configuration: &str) {
    let socket = directory.join("control.sock");
    let text = format!(
        "[global]\ncontrol-socket = \"{}\"\ngraceful-timeout = \"1s\"\n{configuration}",
        socket.display()
    );
    fs::write(directory.join("evenkeel.toml"), text).unwrap();
}

/// What a command wrote to standard error.
pub(crate) fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What a command wrote to standard output.
pub(crate) fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A listener with one pool of one server.
pub(crate) fn website(bind: impl std::fmt::Display, weight: u16) -> String {
    format!(
        "[listener.website]\nbind = \"{bind}\"\npool = \"website\"\n\
         [pool.website.servers]\nweb = {{ address = \"127.0.0.1:9\", weight = {weight} }}\n"
    )
}
