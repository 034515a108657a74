//! Processes: started on a core, ended with their value, and what the kernel tells of them.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A program that runs until this is dropped.
#[derive(Debug)]
pub(super) struct Running {
    child: Child,
}

impl Running {
    /// Starts `program` on `core`, its output going to files in `directory`.
    pub(super) fn start(
        core: &str,
        program: &Path,
        arguments: &[&str],
        directory: &Path,
        name: &str,
    ) -> Result<Self, String> {
        let file = |ending: &str| {
            File::create(directory.join(format!("{name}.{ending}"))).map_err(|error| error.to_string())
        };
        // Debian keeps daemons in /usr/sbin, which is not in everybody's PATH.
        let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin";
        let child = Command::new("taskset")
            .args(["-c", core])
            .arg(program)
            .args(arguments)
            .env("PATH", path)
            .stdin(Stdio::null())
            .stdout(file("out")?)
            .stderr(file("err")?)
            .spawn()
            .map_err(|error| format!("{name} cannot be started: {error}"))?;
        Ok(Self { child })
    }

    /// The process and everything it has started.
    pub(super) fn tree(&self) -> Vec<u32> {
        evenkeel_testkit::tree(self.child.id())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Asked to, so that children end too; all of these end at once on SIGTERM when nothing is under way.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

/// CPU time of all threads of these processes, in nanoseconds.
pub(super) fn cpu_nanos(processes: &[u32]) -> u64 {
    let threads =
        processes.iter().filter_map(|id| std::fs::read_dir(format!("/proc/{id}/task")).ok()).flatten();
    threads
        .filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("schedstat")).ok())
        .filter_map(|text| text.split_whitespace().next()?.parse::<u64>().ok())
        .sum()
}

/// The part of [`cpu_nanos`] that the programs spend themselves, outside the kernel. The kernel counts it in ticks of 10 ms.
pub(super) fn own_nanos(processes: &[u32]) -> u64 {
    const TICK: u64 = 10_000_000;
    let texts = processes.iter().filter_map(|id| std::fs::read_to_string(format!("/proc/{id}/stat")).ok());
    texts.filter_map(|text| ticks_outside_the_kernel(&text)).map(|ticks| ticks * TICK).sum()
}

/// Of `/proc/ID/stat`, see proc(5): the twelfth field after the name, which stands in parentheses and may hold anything.
fn ticks_outside_the_kernel(stat: &str) -> Option<u64> {
    stat.rsplit_once(") ")?.1.split_whitespace().nth(11)?.parse().ok()
}

/// The sum of one line of `smaps_rollup`, in KiB.
pub(crate) fn memory_kib(processes: &[u32], line: &str) -> u64 {
    let texts =
        processes.iter().filter_map(|id| std::fs::read_to_string(format!("/proc/{id}/smaps_rollup")).ok());
    texts
        .filter_map(|text| {
            let line = text.lines().find_map(|found| found.strip_prefix(line))?;
            line.split_whitespace().next()?.parse::<u64>().ok()
        })
        .sum()
}

/// How many files this process may open.
pub(super) fn open_files() -> u64 {
    let text = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("Max open files"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(u64::MAX)
}

/// Whether a process was started with this argument.
pub(super) fn has_argument(id: u32, wanted: &str) -> bool {
    std::fs::read(format!("/proc/{id}/cmdline"))
        .is_ok_and(|line| line.split(|&byte| byte == 0).any(|argument| argument == wanted.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_found_behind_any_name() {
        let stat = "1234 (a ) b) S 1 1234 1234 0 -1 4194560 5 0 0 0 77 88 0 0 20 0 2 0 100 200 300";
        assert_eq!(ticks_outside_the_kernel(stat), Some(77));
    }
}
