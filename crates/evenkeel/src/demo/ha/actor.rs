//! A process of the demo: a balancer or a web server on one of its machines, killed by the kernel when the demo ends.

use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;

use clap::{Args, Subcommand};
use evenkeel_sys::namespace::{Namespace, enter};
use evenkeel_sys::process::{die_with, terminate};

use crate::exit::Exit;

/// The hidden command that an actor is started with.
#[derive(Debug, Args)]
pub(crate) struct Actor {
    /// The process that started it
    #[arg(long)]
    parent: u32,
    /// Where it lives
    #[arg(long)]
    namespace: PathBuf,
    #[command(subcommand)]
    part: Part,
}

#[derive(Debug, Subcommand)]
enum Part {
    Balancer { config: PathBuf, log_level: String },
    WebServer { name: String, address: SocketAddr },
}

impl Actor {
    /// Plays its part until it is told to stop.
    pub(crate) fn perform(self) -> Exit {
        if let Err(error) = die_with(self.parent).and_then(|()| enter(&self.namespace)) {
            eprintln!("error: a machine of the demo cannot be entered: {error}");
            return Exit::CannotStart;
        }
        match self.part {
            Part::Balancer { config, log_level } => match crate::log::begin(&log_level) {
                Ok(()) => crate::supervisor::run(&config, &log_level),
                Err(error) => {
                    eprintln!("error: {error}");
                    Exit::Usage
                }
            },
            Part::WebServer { name, address } => crate::demo::toy::serve(&name, address),
        }
    }
}

/// What a balancer has logged.
pub(super) struct Line {
    pub(super) name: &'static str,
    pub(super) text: String,
}

/// A running actor; dropping it kills it, and nothing that it says is passed on any more.
pub(super) struct Running {
    child: Child,
    gone: Arc<AtomicBool>,
}

impl Running {
    pub(super) fn balancer(
        name: &'static str,
        namespace: &Namespace,
        config: &Path,
        log_level: &str,
        lines: SyncSender<Line>,
    ) -> io::Result<Self> {
        let mut command = command(name, namespace);
        command.arg("balancer").arg(config).arg(log_level).stdin(Stdio::null()).stderr(Stdio::piped());
        let mut running = Self { child: command.spawn()?, gone: Arc::default() };
        if let Some(output) = running.child.stderr.take() {
            let gone = Arc::clone(&running.gone);
            std::thread::Builder::new().name("log".into()).spawn(move || {
                for text in BufReader::new(output).lines().map_while(Result::ok) {
                    if !gone.load(Ordering::SeqCst) {
                        // A balancer must not wait for the screen.
                        let _full = lines.try_send(Line { name, text });
                    }
                }
            })?;
        }
        Ok(running)
    }

    pub(super) fn web_server(namespace: &Namespace, name: &str, address: SocketAddr) -> io::Result<Self> {
        let mut command = command(name, namespace);
        command.arg("web-server").arg(name).arg(address.to_string());
        // It ends when its input does.
        let child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
        Ok(Self { child, gone: Arc::default() })
    }

    /// As `systemctl stop` begins.
    pub(super) fn stop(&mut self) {
        self.gone.store(true, Ordering::SeqCst);
        let _ended_already = terminate(self.child.id());
    }

    pub(super) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.gone.store(true, Ordering::SeqCst);
        let _ended_already = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn command(name: &str, namespace: &Namespace) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg0(format!("evenkeel demo {name}")).arg("demo-actor");
    command.arg("--parent").arg(std::process::id().to_string()).arg("--namespace").arg(namespace.path());
    // A group of its own: Ctrl-C is for the demo, which then ends the others.
    command.process_group(0);
    command
}
