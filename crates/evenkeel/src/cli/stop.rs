//! `evenkeel stop`

use std::time::Duration;

use clap::Args;
use evenkeel_admin::message::Stopping;
use evenkeel_sys::process;
use hyper::Method;

use super::client::Target;
use super::{handover, units};
use crate::exit::Exit;

/// How much longer than its `graceful-timeout` the program may take to end.
const MARGIN: Duration = Duration::from_secs(10);

#[derive(Debug, Args)]
pub(super) struct Stop {
    #[command(flatten)]
    target: Target,
    /// First give every virtual address to the other node and wait until the connections to them have ended here. When nobody takes
    /// one, Evenkeel goes on
    #[arg(long)]
    handover: bool,
    /// Wait no longer than this for the connections, such as `10m`, then stop all the same; without it `handover-timeout` of
    /// [pair] ends the rest
    #[arg(long, value_name = "TIME", requires = "handover", value_parser = units::parse_duration)]
    timeout: Option<Duration>,
    /// Do not wait until it has ended
    #[arg(long)]
    no_wait: bool,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

impl Stop {
    pub(super) fn perform(self) -> Exit {
        if self.handover
            && let Some(exit) = self.hand_over()
        {
            return exit;
        }
        let stopping: Stopping = match self.target.ask(Method::POST, "/v1/stop") {
            Ok(stopping) => stopping,
            Err(failure) => return failure.report(self.json),
        };
        if self.no_wait {
            self.tell(&stopping, "stopping");
            return Exit::Well;
        }
        let patience = Duration::from_secs(stopping.within).saturating_add(MARGIN);
        // A process that cannot be found has ended already, or lives in a container of its own.
        let ended = process::watch(stopping.pid).map_or(Ok(true), |ending| ending.wait(patience));
        match ended {
            Ok(true) => {
                self.tell(&stopping, "stopped");
                Exit::Well
            }
            Ok(false) => {
                eprintln!(
                    "Evenkeel (pid {}) has not ended after {} s: see its log; `kill {0}` makes it cut what is left",
                    stopping.pid,
                    patience.as_secs()
                );
                Exit::Refused
            }
            Err(error) => {
                eprintln!(
                    "Evenkeel (pid {}) is stopping, but its end cannot be waited for: {error}",
                    stopping.pid
                );
                Exit::Refused
            }
        }
    }

    /// Gives every address away and waits; how to end when that was refused.
    fn hand_over(&self) -> Option<Exit> {
        let say = |line: &str| {
            if !self.json {
                super::print(line);
            }
        };
        let given = match handover::all(&self.target) {
            Ok(given) => given,
            Err(failure) => return Some(failure.report(self.json)),
        };
        for done in &given.done {
            say(&handover::words(done));
        }
        if let Some((router, mut failure)) = given.failed.into_iter().next() {
            failure.text = format!(
                "{}; {router} is active here still, so Evenkeel goes on: `evenkeel stop` stops it all the same",
                failure.text
            );
            return Some(failure.report(self.json));
        }
        match handover::wait(&self.target, None, self.timeout, say) {
            Ok(0) => None,
            Ok(left) => {
                eprintln!("connections are left after the given time and end with Evenkeel: {left}");
                None
            }
            Err(failure) => Some(failure.report(self.json)),
        }
    }

    fn tell(&self, stopping: &Stopping, done: &str) {
        if self.json {
            super::print_json(&serde_json::json!({ "pid": stopping.pid, "state": done }));
        } else {
            super::print(&format!("{done}: pid {}\n", stopping.pid));
        }
    }
}
