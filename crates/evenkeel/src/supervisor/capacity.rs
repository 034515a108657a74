//! How many workers and connections the program may have, and why.

use std::num::NonZeroU32;

use evenkeel_config::plan::{MOST_WORKERS, Plan};

/// Open files of the proxy role that are no connection: channel, log, libraries, a spare for the moment of a reload, 32
/// health checks and 32 questions to agents that are under way, 8 programs with four each, and 16 looks at sources of servers with four each.
const RESERVED_FILES: u64 = 224;
/// Open files of each worker that are no connection: its poller, its waker, its timer.
const FILES_PER_WORKER: u64 = 8;
/// Open files of a connection: the client's socket, the server's, the two ends of a pipe for bytes that pass
/// through the kernel only, and an unused connection to a server, of which the proxy role keeps as many as there may be clients.
const FILES_PER_CONNECTION: u64 = 5;
/// Memory of a busy connection, in bytes: buffers in both directions here and in the kernel, and what describes it.
const MEMORY_PER_CONNECTION: u64 = 64 * 1024;
/// Connections may use one part in this many of the memory; the rest is for everything else on the machine.
const MEMORY_SHARE: u64 = 2;

/// What the machine gives.
#[derive(Clone, Copy, Debug)]
pub(super) struct Machine {
    /// Open files of a process, at most.
    pub(super) open_files: u64,
    /// CPUs it may use.
    pub(super) cpus: usize,
    /// Bytes it may use, when known.
    pub(super) memory: Option<u64>,
}

/// The size of the proxy role. Fixed at the start, because each worker has its own listening sockets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Capacity {
    pub(super) workers: u16,
    /// Where the number of workers comes from.
    pub(super) workers_from: String,
    pub(super) max_connections: NonZeroU32,
    /// Where the number of connections comes from.
    pub(super) max_connections_from: String,
    /// What is promised in the file and cannot be kept, with the cure.
    pub(super) warning: Option<String>,
}

/// Works the size out from the file and the machine.
pub(super) fn capacity(plan: &Plan, machine: Machine) -> Capacity {
    let (workers, workers_from) = match plan.global.threads {
        Some(threads) => (threads, "global.threads".to_owned()),
        None => {
            let workers = u16::try_from(machine.cpus).unwrap_or(MOST_WORKERS).clamp(1, MOST_WORKERS);
            (workers, "one for each usable CPU".to_owned())
        }
    };
    let binds: usize = plan.listeners.iter().map(|listener| listener.binds.len()).sum();
    let listening = u64::from(workers).saturating_mul(u64::try_from(binds).unwrap_or(u64::MAX));
    let reserve = RESERVED_FILES + u64::from(workers) * FILES_PER_WORKER + listening;
    let by_files = machine.open_files.saturating_sub(reserve) / FILES_PER_CONNECTION;
    let (max_connections, max_connections_from, warning) = match plan.global.max_connections {
        Some(limit) => {
            let needed = u64::from(limit.get()) * FILES_PER_CONNECTION + reserve;
            let warning = (needed > machine.open_files).then(|| {
                format!(
                    "global.max-connections = {limit} needs {needed} open files and the limit is {}: connections will \
                     fail before the limit of connections is reached; raise it (LimitNOFILE= in the unit, `ulimit -Hn`)",
                    machine.open_files
                )
            });
            (limit, "global.max-connections".to_owned(), warning)
        }
        None => {
            let by_memory = machine.memory.map(|bytes| bytes / MEMORY_SHARE / MEMORY_PER_CONNECTION);
            match by_memory {
                Some(by_memory) if by_memory < by_files => (
                    at_least_one(by_memory),
                    format!("half of {} MiB of memory", machine.memory.unwrap_or(0) >> 20),
                    None,
                ),
                _ => {
                    (at_least_one(by_files), format!("the limit of {} open files", machine.open_files), None)
                }
            }
        }
    };
    Capacity { workers, workers_from, max_connections, max_connections_from, warning }
}

fn at_least_one(number: u64) -> NonZeroU32 {
    NonZeroU32::new(u32::try_from(number).unwrap_or(u32::MAX)).unwrap_or(NonZeroU32::MIN)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use evenkeel_config::plan::Global;

    use super::*;

    fn plan(threads: Option<u16>, max_connections: Option<u32>) -> Plan {
        let global = Global {
            threads,
            max_connections: max_connections.and_then(NonZeroU32::new),
            user: None,
            graceful_timeout: Duration::from_secs(1),
            control_socket: "/x".into(),
            state_dir: None,
        };
        Plan {
            global,
            admin: None,
            listeners: Vec::new(),
            pools: Vec::new(),
            resolver: Default::default(),
            virtual_routers: Vec::new(),
            pair: None,
        }
    }

    const MACHINE: Machine = Machine { open_files: 1024, cpus: 2, memory: Some(1 << 34) };

    #[test]
    fn the_file_limit_decides_when_memory_is_plenty() {
        let capacity = capacity(&plan(None, None), MACHINE);
        assert_eq!(capacity.workers, 2);
        // 1024 files less 224 and two times 8, five for each connection.
        assert_eq!(capacity.max_connections.get(), 156);
        assert_eq!(capacity.max_connections_from, "the limit of 1024 open files");
    }

    #[test]
    fn memory_decides_when_files_are_plenty() {
        let machine = Machine { open_files: u64::MAX, memory: Some(1 << 30), ..MACHINE };
        let capacity = capacity(&plan(Some(4), None), machine);
        assert_eq!((capacity.workers, capacity.workers_from.as_str()), (4, "global.threads"));
        // Half of 1 GiB, 64 KiB each.
        assert_eq!(capacity.max_connections.get(), 8192);
        assert_eq!(capacity.max_connections_from, "half of 1024 MiB of memory");
    }

    #[test]
    fn what_the_file_says_holds_and_is_doubted_when_it_cannot_be_kept() {
        assert_eq!(capacity(&plan(None, Some(156)), MACHINE).warning, None);
        let large = capacity(&plan(None, Some(1000)), MACHINE);
        assert_eq!(large.max_connections.get(), 1000);
        assert!(large.warning.unwrap().contains("needs 5240 open files and the limit is 1024"));
    }

    #[test]
    fn there_is_always_one_worker_and_one_connection() {
        let capacity = capacity(&plan(None, None), Machine { open_files: 3, cpus: 0, memory: Some(0) });
        assert_eq!((capacity.workers, capacity.max_connections.get()), (1, 1));
    }
}
