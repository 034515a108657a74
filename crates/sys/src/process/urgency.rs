//! Makes a process act in time: its memory stays in memory, its thread comes before ordinary ones.
//!
//! Each step needs rights that are given up afterwards, and each may be refused: then things work, only later when the
//! machine is busy.

use std::fs;
use std::io;

use rustix::mm::{MlockAllFlags, mlockall};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The least of the real-time priorities: before everything ordinary, behind whatever the operator made more urgent.
const PRIORITY: i32 = 1;
/// Longest stretch without a wait, in microseconds, after which the kernel ends a real-time process: a bug must not
/// take a core for ever (getrlimit(2), RLIMIT_RTTIME).
const LONGEST_STRETCH: u64 = 2_000_000;

/// Keeps the memory of this process from being paged out, and reads the program itself from disk now.
///
/// Pages are locked when they are first used: an allocator reserves far more than it uses.
///
/// # Errors
/// When the process has no CAP_IPC_LOCK, or the limit of locked memory cannot be taken away.
pub fn lock_memory() -> io::Result<()> {
    // Later, without the capability, the limit would bound what may be allocated, and where a thread finds its stack.
    if getrlimit(Resource::Memlock).current.is_some() {
        setrlimit(Resource::Memlock, Rlimit { current: None, maximum: None }).map_err(|error| {
            io::Error::new(error.kind(), "the limit of locked memory (RLIMIT_MEMLOCK) cannot be raised")
        })?;
    }
    // A failover must not wait for a disk that the busy machine has no time for.
    for (start, length) in fs::read_to_string("/proc/self/maps")?.lines().filter_map(code) {
        let _ = crate::calls::populate(start, length);
    }
    mlockall(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT)?;
    Ok(())
}

/// Gives the calling thread a real-time priority (sched(7), SCHED_RR).
///
/// # Errors
/// When the process has neither CAP_SYS_NICE nor a sufficient RLIMIT_RTPRIO, or its control group has no real time.
pub fn real_time() -> io::Result<()> {
    let limit = Rlimit { current: Some(LONGEST_STRETCH), maximum: Some(LONGEST_STRETCH) };
    setrlimit(Resource::Rttime, limit)?;
    crate::calls::schedule_round_robin(PRIORITY)
}

/// Start and length of a line of `/proc/PID/maps` that is code from a file.
fn code(line: &str) -> Option<(usize, usize)> {
    let mut columns = line.split_ascii_whitespace();
    let (start, end) = columns.next()?.split_once('-')?;
    let is_code = columns.next()?.as_bytes().get(2) == Some(&b'x');
    let from_file = columns.nth(3)?.starts_with('/');
    let start = usize::from_str_radix(start, 16).ok()?;
    let length = usize::from_str_radix(end, 16).ok()?.checked_sub(start)?;
    (is_code && from_file).then_some((start, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_told_from_data() {
        let text = "5581a000-5581c000 r-xp 00002000 08:01 1234    /usr/bin/evenkeel";
        assert_eq!(code(text), Some((0x5581_a000, 0x2000)));
        assert_eq!(code(&text.replace("r-xp", "r--p")), None);
        assert_eq!(code("7ffc1000-7ffc3000 r-xp 00000000 00:00 0    [vdso]"), None);
        assert_eq!(code("7ffc1000-7ffc3000 rw-p 00000000 00:00 0"), None);
    }
}
