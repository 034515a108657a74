//! `evenkeel upgrade`

use std::time::{Duration, Instant};

use clap::Args;
use evenkeel_admin::message::{Phase, Status, Upgrading};
use hyper::Method;

use super::client::Target;
use crate::exit::Exit;

/// How long the new program may take until all its roles are ready.
const LONGEST_START: Duration = Duration::from_secs(60);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(50);

#[derive(Debug, Args)]
pub(super) struct Upgrade {
    #[command(flatten)]
    target: Target,
    /// How long the new program may take to show that it can take over, such as 30s
    #[arg(long, value_name = "TIME", default_value = "20s")]
    within: String,
    /// Do not wait until it has taken over
    #[arg(long)]
    no_wait: bool,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

impl Upgrade {
    pub(super) fn perform(self) -> Exit {
        if evenkeel_config::duration(&self.within).is_none() {
            return super::usage(&format!("`{}` is no duration such as 30s", self.within));
        }
        let path = format!("/v1/upgrade?within={}", self.within);
        let upgrading: Upgrading = match self.target.ask(Method::POST, &path) {
            Ok(upgrading) => upgrading,
            Err(failure) => return failure.report(self.json),
        };
        if self.no_wait {
            return self.tell("upgrading", &upgrading);
        }
        let deadline = Instant::now() + LONGEST_START;
        while Instant::now() < deadline {
            // While the API changes hands a question may find nobody.
            let status: Option<Status> = self.target.ask(Method::GET, "/v1/status").ok();
            match status {
                Some(status)
                    if status.generation >= upgrading.generation && status.phase != Phase::Starting =>
                {
                    return self.tell("upgraded", &upgrading);
                }
                Some(Status { generation, last_upgrade: Some(last), .. })
                    if generation < upgrading.generation && !last.succeeded =>
                {
                    eprintln!("the running Evenkeel goes on: {}", last.what);
                    return Exit::Refused;
                }
                _ => std::thread::sleep(PAUSE),
            }
        }
        eprintln!(
            "the new program (pid {}) was not ready after {} s: see its log",
            upgrading.pid,
            LONGEST_START.as_secs()
        );
        Exit::Refused
    }

    fn tell(&self, done: &str, upgrading: &Upgrading) -> Exit {
        let Upgrading { pid, from, to, generation } = upgrading;
        if self.json {
            super::print_json(&serde_json::json!({
                "pid": pid, "from": from, "to": to, "generation": generation, "state": done,
            }));
        } else {
            super::print(&format!("{done} from {from} to {to}: pid {pid}, generation {generation}\n"));
        }
        Exit::Well
    }
}
