//! How much memory a process has used.

use rustix::process::Pid;

/// How much more memory of a process may be in use at once than before, whatever passes through it.
const MOST_GROWTH: u64 = 16 * 1024 * 1024;

/// The memory of a process, watched from a moment on.
pub(crate) struct Memory {
    process: Pid,
    before: u64,
}

impl Memory {
    /// Watches from now on.
    pub(crate) fn watch(process: Pid) -> Self {
        Self { process, before: high_water(process) }
    }

    /// Fails when the process has at any moment held much more than at the start.
    pub(crate) fn has_not_grown(&self, what: &str) {
        let now = high_water(self.process);
        println!("{what}: the proxy role held at most {} KiB, before {} KiB", now / 1024, self.before / 1024);
        assert!(now < self.before + MOST_GROWTH, "{what}: {} bytes became {now}", self.before);
    }
}

/// The most memory that a process ever held, in bytes: `VmHWM` of proc_pid_status(5).
fn high_water(process: Pid) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.as_raw_nonzero())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}
