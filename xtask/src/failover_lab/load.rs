//! Keeps every core busy with ordinary programs.

use std::process::Command;

use evenkeel_testkit::Program;

/// Programs for each core: none of them ever waits.
const EACH: usize = 2;

/// Full load until this is dropped.
pub(super) struct Load {
    _programs: Vec<Program>,
}

impl Load {
    pub(super) fn start() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let spin = |_| {
            let mut command = Command::new("chrt");
            command.args(["-o", "0", "setpriv", "--pdeathsig", "KILL", "sh", "-c", "while :; do :; done"]);
            Program::start(&mut command)
        };
        Self { _programs: (0..cores * EACH).map(spin).collect() }
    }
}
