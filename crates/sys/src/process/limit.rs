//! How much this process may use: open files, CPUs, memory.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limit of open files to the hard one and returns it (`u64::MAX` when there is none).
///
/// The soft limit is kept low by convention for programs that use select(2); this one does not.
///
/// # Errors
/// When the kernel refuses, which it does not for a process that only raises to its hard limit.
pub fn raise_open_files() -> io::Result<u64> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?;
    Ok(maximum.unwrap_or(u64::MAX))
}

/// CPUs this process may use: its affinity mask and the CPU quota of its control group, at least 1.
#[must_use]
pub fn usable_cpus() -> usize {
    // The standard library looks at sched_getaffinity(2) and at `cpu.max` of the control groups (v1 and v2).
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Memory this process may use, in bytes: that of the machine, or what its control groups (v2) allow if that is less.
/// `None` when `/proc` does not say.
#[must_use]
pub fn usable_memory() -> Option<u64> {
    let machine = total_memory(&fs::read_to_string("/proc/meminfo").ok()?)?;
    let group = fs::read_to_string("/proc/self/cgroup").ok();
    let allowed = group.and_then(|text| group_memory(Path::new("/sys/fs/cgroup"), &text));
    Some(allowed.map_or(machine, |allowed| allowed.min(machine)))
}

/// `MemTotal` of `/proc/meminfo`, in bytes.
fn total_memory(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// The least `memory.max` from the group of this process up to the root.
fn group_memory(root: &Path, own_groups: &str) -> Option<u64> {
    let own = own_groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let group: PathBuf = root.join(own);
    group
        .ancestors()
        .take_while(|directory| directory.starts_with(root))
        .filter_map(|directory| {
            fs::read_to_string(directory.join("memory.max")).ok()?.trim().parse::<u64>().ok()
        })
        .min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_of_open_files_becomes_the_hard_one() {
        let limit = raise_open_files().unwrap();
        assert_eq!(getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX), limit);
    }

    #[test]
    fn memory_is_read_in_kibibytes() {
        assert_eq!(total_memory("MemTotal:       16307 kB\nMemFree: 1 kB\n"), Some(16_698_368));
        assert_eq!(total_memory("nothing"), None);
    }

    #[test]
    fn the_narrowest_group_decides() {
        let root = tempfile::tempdir().unwrap();
        let own = root.path().join("a/b");
        fs::create_dir_all(&own).unwrap();
        fs::write(own.join("memory.max"), "max\n").unwrap();
        fs::write(root.path().join("a/memory.max"), "1048576\n").unwrap();
        assert_eq!(group_memory(root.path(), "0::/a/b\n"), Some(1_048_576));
        assert_eq!(group_memory(root.path(), "0::/elsewhere\n"), None);
        assert_eq!(group_memory(root.path(), "5:memory:/a\n"), None);
    }
}
