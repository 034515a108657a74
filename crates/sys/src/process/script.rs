//! Runs a program of the operator: with nothing of ours, in a process group of its own, and never for longer than wanted.
//!
//! The program gets no file that we opened but `/dev/null`, or what it is to read, as its input and a pipe as its
//! output, no variable of the environment that was not named, and `/` as its directory. Its rights are those of the calling process, which has
//! given up its own ([`super::rights`]). Invariants: what it has started in its process group does not outlive it; the
//! calling thread waits for nothing but the kernel's `execve`; at most [`MOST_OUTPUT`] bytes of output are read.

mod path;

use std::io::{self, Seek, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use tokio::io::unix::AsyncFd;
use tokio::net::unix::pipe::Receiver;

use super::rights::Account;

pub use path::examine;

/// The most output of one run, in bytes; a program that writes more is killed.
pub const MOST_OUTPUT: usize = 64 * 1024;
/// The most of a line that is kept, in characters.
const LONGEST_LINE: usize = 200;
/// Where the program finds others.
const SEARCH_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// How a run has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// What became of it.
    pub how: How,
    /// The last line of its output that is not empty, without control characters.
    pub last_line: Option<String>,
}

/// See [`Ended`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// With this exit code.
    Code(i32),
    /// By this signal, which was not ours.
    Signal(i32),
    /// It was killed because time was up.
    TimeUp,
    /// It was killed because it wrote more than [`MOST_OUTPUT`] bytes.
    TooMuchOutput,
}

/// A program that runs. Dropping it kills its whole process group.
#[derive(Debug)]
pub struct Running<Hold: Send + 'static> {
    process: Option<Process<Hold>>,
    output: Receiver,
}

#[derive(Debug)]
struct Process<Hold> {
    child: Child,
    ending: AsyncFd<OwnedFd>,
    /// Given back when the process is gone.
    hold: Hold,
}

/// Starts a program; `hold` is dropped when its process is gone, even if that is later than [`Running::end`].
///
/// # Errors
/// When it cannot be started: there is no such file, it may not be executed, its interpreter is missing.
pub fn start<Hold: Send + 'static>(
    program: &Path,
    arguments: &[String],
    variables: &[(&str, String)],
    hold: Hold,
) -> io::Result<Running<Hold>> {
    start_as(None, program, arguments, variables, hold)
}

/// As [`start`], as this user and with his own group only. Only root can do that.
///
/// # Errors
/// As [`start`], and when this process may not become somebody else.
pub fn start_as<Hold: Send + 'static>(
    account: Option<&Account>,
    program: &Path,
    arguments: &[String],
    variables: &[(&str, String)],
    hold: Hold,
) -> io::Result<Running<Hold>> {
    let input = Stdio::null();
    launch(Call { account, program, arguments, variables, input }, hold)
}

/// As [`start_as`], with something to read from its standard input: a file in memory that only the program has.
///
/// # Errors
/// As [`start_as`], and when there is no memory.
pub fn start_with<Hold: Send + 'static>(
    account: Option<&Account>,
    program: &Path,
    arguments: &[String],
    variables: &[(&str, String)],
    input: &[u8],
    hold: Hold,
) -> io::Result<Running<Hold>> {
    let file = memfd_create("input", MemfdFlags::CLOEXEC)?;
    let mut file = std::fs::File::from(file);
    file.write_all(input)?;
    file.rewind()?;
    let input = Stdio::from(file);
    launch(Call { account, program, arguments, variables, input }, hold)
}

/// A program to start.
struct Call<'a> {
    account: Option<&'a Account>,
    program: &'a Path,
    arguments: &'a [String],
    variables: &'a [(&'a str, String)],
    input: Stdio,
}

fn launch<Hold: Send + 'static>(call: Call<'_>, hold: Hold) -> io::Result<Running<Hold>> {
    let Call { account, program, arguments, variables, input } = call;
    let (output, writer) = io::pipe()?;
    let mut command = Command::new(program);
    if let Some(account) = account {
        // With another user the other groups of this process are given up as well.
        command.uid(account.uid).gid(account.gid);
    }
    let child = command
        .args(arguments)
        .env_clear()
        .env("PATH", SEARCH_PATH)
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .current_dir("/")
        .process_group(0)
        .stdin(input)
        .stdout(writer.try_clone()?)
        .stderr(writer)
        .spawn()?;
    let mut started = Started(Some(child));
    let pid = started.0.as_ref().and_then(pid_of).ok_or(io::ErrorKind::NotFound)?;
    let ending = watch(pidfd_open(pid, PidfdFlags::empty())?)?;
    let output = Receiver::from_owned_fd(output.into())?;
    let child = started.0.take().ok_or(io::ErrorKind::NotFound)?;
    Ok(Running { process: Some(Process { child, ending, hold }), output })
}

#[expect(
    deprecated,
    reason = "its successor is unsafe to call; an OwnedFd that nobody takes out again is what it asks for"
)]
fn watch(process: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::new(process)
}

/// A process that is not watched yet: what fails now must not leave it behind.
struct Started(Option<Child>);

impl Drop for Started {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            kill_group(child);
            // It was killed, so this ends.
            let _status = child.wait();
        }
    }
}

impl<Hold: Send + 'static> Running<Hold> {
    /// Waits until it has ended, for `patience` at most; then it is killed.
    ///
    /// # Errors
    /// When the operating system does not tell what became of it.
    pub async fn end(mut self, patience: Duration) -> io::Result<Ended> {
        let mut heard = Vec::new();
        let watched = tokio::time::timeout(patience, self.watch(&mut heard)).await;
        let how = match watched {
            Err(_) => How::TimeUp,
            Ok(Err(TooMuch)) => How::TooMuchOutput,
            Ok(Ok(())) => {
                // What it wrote just before its end.
                let _ = self.read(&mut heard);
                match self.process.take() {
                    Some(process) => how(process.bury()?),
                    None => return Err(io::ErrorKind::NotFound.into()),
                }
            }
        };
        Ok(Ended { how, last_line: last_line(&heard) })
    }

    async fn watch(&mut self, heard: &mut Vec<u8>) -> Result<(), TooMuch> {
        let Some(process) = &self.process else { return Ok(()) };
        let mut open = true;
        loop {
            tokio::select! {
                _ended = process.ending.readable() => return Ok(()),
                ready = self.output.readable(), if open => {
                    open = ready.is_ok() && read(&self.output, heard)?;
                }
            }
        }
    }

    fn read(&self, heard: &mut Vec<u8>) -> Result<bool, TooMuch> {
        read(&self.output, heard)
    }
}

struct TooMuch;

/// Reads what is there; `false` at the end of the pipe.
fn read(output: &Receiver, heard: &mut Vec<u8>) -> Result<bool, TooMuch> {
    let mut piece = [0; 4096];
    loop {
        match output.try_read(&mut piece) {
            Ok(0) => return Ok(false),
            Ok(count) => heard.extend_from_slice(piece.get(..count).unwrap_or_default()),
            Err(error) => return Ok(error.kind() == io::ErrorKind::WouldBlock),
        }
        if heard.len() > MOST_OUTPUT {
            return Err(TooMuch);
        }
    }
}

impl<Hold: Send + 'static> Drop for Running<Hold> {
    fn drop(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        kill_group(&process.child);
        if matches!(process.child.try_wait(), Ok(Some(_))) {
            return;
        }
        // One that hangs in the kernel dies later. Nobody waits for that but a task; without a runtime, nobody.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                let _ended = process.ending.readable().await.map(|_| ());
                let _status = process.bury();
            });
        }
    }
}

impl<Hold> Process<Hold> {
    /// Ends what the program has left behind, and takes its status. To be called when it has ended: as long as its
    /// status was not taken, nobody else can have the number of its group.
    fn bury(self) -> io::Result<ExitStatus> {
        let Self { mut child, hold, .. } = self;
        kill_group(&child);
        let status = child.wait();
        drop(hold);
        status
    }
}

fn pid_of(child: &Child) -> Option<Pid> {
    Pid::from_raw(i32::try_from(child.id()).ok()?)
}

fn kill_group(child: &Child) {
    if let Some(group) = pid_of(child) {
        // What fails here is that nobody is left.
        let _gone = kill_process_group(group, Signal::KILL);
    }
}

fn how(status: ExitStatus) -> How {
    match (status.code(), status.signal()) {
        (Some(code), _) => How::Code(code),
        (None, signal) => How::Signal(signal.unwrap_or_default()),
    }
}

fn last_line(output: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(output);
    let line = text.lines().rev().map(str::trim).find(|line| !line.is_empty())?;
    let plain = line.chars().map(|c| if c.is_control() { ' ' } else { c });
    Some(plain.take(LONGEST_LINE).collect())
}

#[cfg(test)]
mod tests;
