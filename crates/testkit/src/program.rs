//! A child process whose lines and exit can be waited for.
//!
//! Invariants: the child leads a process group of its own; the group is killed with the value; the child is reaped
//! only then, so that its id cannot come to mean another process.

use std::io::{BufRead, BufReader, Read};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group, pidfd_open,
    pidfd_send_signal, waitid,
};

/// A running (or ended) program that a test started.
#[derive(Debug)]
pub struct Program {
    name: String,
    child: Child,
    output: Arc<Output>,
}

#[derive(Debug, Default)]
struct Output {
    lines: Mutex<Lines>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Lines {
    all: Vec<String>,
    ended_streams: u8,
}

impl Output {
    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn collect(self: &Arc<Self>, stream: impl Read + Send + 'static) {
        let output = Arc::clone(self);
        std::thread::spawn(move || {
            let mut reader = BufReader::new(stream);
            let mut line = Vec::new();
            while reader.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
                output.lines().all.push(String::from_utf8_lossy(&line).trim_end().to_owned());
                output.changed.notify_all();
                line.clear();
            }
            output.lines().ended_streams += 1;
            output.changed.notify_all();
        });
    }
}

impl Program {
    /// Starts the program with no input; its standard output and error are collected line by line.
    pub fn start(command: &mut Command) -> Self {
        use std::os::unix::process::CommandExt as _;
        let name = command.get_program().to_string_lossy().into_owned();
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn();
        let mut child = match child {
            Ok(child) => child,
            Err(error) => panic!("{name} does not start: {error}"),
        };
        let output = Arc::new(Output::default());
        output.collect(child.stdout.take().expect("a piped standard output"));
        output.collect(child.stderr.take().expect("a piped standard error"));
        Self { name, child, output }
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Every line it has written so far, of both streams in the order of arrival.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.output.lines().all.clone()
    }

    /// Waits for a line, already written or to come, and returns the first that fits.
    ///
    /// Panics with all lines when `bound` has passed or the output has ended.
    pub fn wait_for_line(&self, fits: impl Fn(&str) -> bool, bound: Duration) -> String {
        self.wait_for_line_after(0, fits, bound).1
    }

    /// As [`Self::wait_for_line`], but looks only at lines from index `seen` on; returns the index after the line
    /// too, to go on from there.
    pub fn wait_for_line_after(
        &self,
        seen: usize,
        fits: impl Fn(&str) -> bool,
        bound: Duration,
    ) -> (usize, String) {
        let deadline = Instant::now() + bound;
        let mut lines = self.output.lines();
        let mut next = seen;
        loop {
            while let Some(line) = lines.all.get(next) {
                next += 1;
                if fits(line) {
                    return (next, line.clone());
                }
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || lines.ended_streams == 2 {
                panic!("{} did not write the expected line; it wrote:\n{}", self.name, lines.all.join("\n"));
            }
            lines = self.output.changed.wait_timeout(lines, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits until both output streams have ended and returns all lines.
    ///
    /// Panics when that takes longer than `bound`.
    pub fn wait_for_end_of_output(&self, bound: Duration) -> Vec<String> {
        let lines = self.output.lines();
        let ended = self
            .output
            .changed
            .wait_timeout_while(lines, bound, |lines| lines.ended_streams < 2)
            .unwrap_or_else(PoisonError::into_inner)
            .0;
        assert!(ended.ended_streams == 2, "{} still writes after {bound:?}", self.name);
        ended.all.clone()
    }

    /// Sends a signal to the program itself (not to its children).
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("a signal to a child that is not reaped");
    }

    /// Sends a signal to the program and to every process of its group: stopping all of them is what a frozen machine
    /// looks like.
    pub fn signal_group(&self, signal: Signal) {
        kill_process_group(self.pid(), signal).expect("a signal to a child that is not reaped");
    }

    /// Waits until the program has ended and returns its exit code, or 128 + the signal that ended it, as a shell
    /// does.
    ///
    /// Panics with all lines when `bound` has passed.
    pub fn wait(&self, bound: Duration) -> i32 {
        let descriptor = pidfd_open(self.pid(), PidfdFlags::empty()).expect("a descriptor of a child");
        let ended = ends(&descriptor, bound);
        assert!(ended, "{} still runs; it wrote:\n{}", self.name, self.lines().join("\n"));
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        let status = waitid(WaitId::Pid(self.pid()), options).expect("waitid").expect("an ended child");
        status.exit_status().or_else(|| Some(128 + status.terminating_signal()?)).expect("an end")
    }

    /// Kills the program and its process group at once and waits until all of them have ended, so that what they
    /// held (ports, files) is free.
    pub fn kill(&self) {
        let members = group_members(self.pid());
        // Fails only when nobody is left to kill.
        let _ = kill_process_group(self.pid(), Signal::KILL);
        for member in members {
            assert!(ends(&member, crate::BOUND), "a child of {} outlives its killing", self.name);
        }
        self.wait(crate::BOUND);
    }

    /// Kills the program and every process that it or one of those has started, whatever group they are in: all at once, as
    /// when the power fails. Waits until all have ended.
    pub fn kill_tree(&self) {
        let members: Vec<OwnedFd> = tree(self.id())
            .into_iter()
            .filter_map(|id| pidfd_open(Pid::from_raw(id.try_into().ok()?)?, PidfdFlags::empty()).ok())
            .collect();
        // The first to be stopped is the one that would notice what happens to the others.
        for signal in [Signal::STOP, Signal::KILL] {
            for member in &members {
                // One that has ended by itself is as good as killed.
                let _ = pidfd_send_signal(member, signal);
            }
        }
        for member in members {
            assert!(ends(&member, crate::BOUND), "a child of {} outlives its killing", self.name);
        }
        self.wait(crate::BOUND);
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Nothing can be done about a failure here, and a test that panics must not panic twice.
        let members = group_members(self.pid());
        let _ = kill_process_group(self.pid(), Signal::KILL);
        // Whoever comes next may want a port that one of them had.
        for member in members {
            let _ended = ends(&member, crate::BOUND);
        }
        let _ = self.child.wait();
    }
}

/// Waits for the end of the process behind `descriptor`; false when `bound` passes before.
fn ends(descriptor: &OwnedFd, bound: Duration) -> bool {
    let bound = bound.try_into().expect("a bound that fits");
    poll(&mut [PollFd::new(descriptor, PollFlags::IN)], Some(&bound)).expect("poll") > 0
}

/// A process and everything it has started that is still there.
#[must_use]
pub fn tree(id: u32) -> Vec<u32> {
    let mut tree = vec![id];
    let mut next = 0;
    while let Some(parent) = tree.get(next).copied() {
        let threads = std::fs::read_dir(format!("/proc/{parent}/task")).into_iter().flatten().flatten();
        let children =
            threads.map(|thread| std::fs::read_to_string(thread.path().join("children")).unwrap_or_default());
        let ids =
            |text: String| -> Vec<u32> { text.split_whitespace().filter_map(|id| id.parse().ok()).collect() };
        tree.extend(children.flat_map(ids));
        next += 1;
    }
    tree
}

/// Descriptors of the processes in the group that `leader` leads.
fn group_members(leader: Pid) -> Vec<OwnedFd> {
    let Ok(processes) = std::fs::read_dir("/proc") else { return Vec::new() };
    let ids = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    ids.filter_map(Pid::from_raw)
        .filter(|&id| group_of(id) == Some(leader))
        .filter_map(|id| pidfd_open(id, PidfdFlags::empty()).ok())
        .collect()
}

/// The process group of a process, from the fifth field of proc_pid_stat(5); the second may contain anything and ends
/// with the last parenthesis. (getpgid(2) through rustix fails on kernel threads, whose group is 0.)
fn group_of(id: Pid) -> Option<Pid> {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", id.as_raw_nonzero())).ok()?;
    let group = stat.rsplit_once(')')?.1.split_whitespace().nth(2)?;
    Pid::from_raw(group.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BOUND;

    fn shell(script: &str) -> Program {
        Program::start(Command::new("sh").arg("-c").arg(script))
    }

    #[test]
    fn lines_of_both_streams_are_seen() {
        let program = shell("echo one; echo two >&2");
        assert_eq!(program.wait_for_line(|line| line.starts_with("tw"), BOUND), "two");
        assert_eq!(program.wait_for_line(|line| line == "one", BOUND), "one");
        assert_eq!(program.wait_for_end_of_output(BOUND).len(), 2);
    }

    #[test]
    fn a_line_is_looked_for_after_another() {
        let program = shell("echo go; echo other; echo go");
        let (next, _) = program.wait_for_line_after(0, |line| line == "go", BOUND);
        assert_eq!(next, 1);
        assert_eq!(program.wait_for_line_after(next, |line| line == "go", BOUND).0, 3);
    }

    #[test]
    #[should_panic(expected = "it wrote:\nhello")]
    fn a_line_that_cannot_come_any_more_is_reported_at_once() {
        shell("echo hello").wait_for_line(|line| line == "bye", Duration::from_secs(3600));
    }

    #[test]
    fn exit_code_and_signal_are_told() {
        assert_eq!(shell("exit 3").wait(BOUND), 3);
        let program = shell("echo ready; exec cat /dev/zero >/dev/null");
        program.wait_for_line(|line| line == "ready", BOUND);
        program.signal(Signal::TERM);
        assert_eq!(program.wait(BOUND), 128 + 15);
        assert_eq!(program.wait(BOUND), 128 + 15, "asking twice is allowed");
    }

    #[test]
    fn dropping_kills_the_whole_group() {
        let program = shell("cat /dev/zero >/dev/null & echo child $!; wait");
        let line = program.wait_for_line(|line| line.starts_with("child "), BOUND);
        let grandchild: i32 = line.trim_start_matches("child ").parse().unwrap();
        let descriptor = pidfd_open(Pid::from_raw(grandchild).unwrap(), PidfdFlags::empty()).unwrap();
        drop(program);
        assert!(ends(&descriptor, BOUND));
    }
}
