//! `evenkeel stop`

use std::time::Duration;

use clap::Args;
use evenkeel_admin::message::Stopping;
use evenkeel_sys::process;
use hyper::Method;

use super::client::Target;
use crate::exit::Exit;

/// How much longer than its `graceful-timeout` the program may take to end.
const MARGIN: Duration = Duration::from_secs(10);

#[derive(Debug, Args)]
pub(super) struct Stop {
    #[command(flatten)]
    target: Target,
    /// Do not wait until it has ended
    #[arg(long)]
    no_wait: bool,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

impl Stop {
    pub(super) fn perform(self) -> Exit {
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

    fn tell(&self, stopping: &Stopping, done: &str) {
        if self.json {
            super::print_json(&serde_json::json!({ "pid": stopping.pid, "state": done }));
        } else {
            super::print(&format!("{done}: pid {}\n", stopping.pid));
        }
    }
}
