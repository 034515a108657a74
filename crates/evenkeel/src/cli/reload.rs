//! `evenkeel reload`

use clap::Args;
use evenkeel_admin::message::{Confirmed, Consequence, Reloaded, RolledBack, Trial};
use hyper::Method;

use super::client::Target;
use crate::exit::Exit;

#[derive(Debug, Args)]
pub(super) struct Reload {
    #[command(flatten)]
    target: Target,
    /// Put the file in force on trial: unless `reload --confirmed` follows within this time (1s to 1h), what was in force
    /// before comes back
    #[arg(long, value_name = "TIME", conflicts_with_all = ["confirmed", "roll_back"])]
    confirm: Option<String>,
    /// Keep the configuration that is on trial
    #[arg(long, conflicts_with = "roll_back")]
    confirmed: bool,
    /// End the trial now: put in force what was before
    #[arg(long)]
    roll_back: bool,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

impl Reload {
    pub(super) fn perform(self) -> Exit {
        if self.confirmed {
            return self.keep();
        }
        if self.roll_back {
            return self.go_back();
        }
        let path = match &self.confirm {
            Some(within) if evenkeel_config::duration(within).is_none() => {
                return super::usage(&format!("`{within}` is no duration such as `60s` or `5m`"));
            }
            Some(within) => format!("/v1/reload?confirm={within}"),
            None => "/v1/reload".to_owned(),
        };
        let reloaded: Reloaded = match self.target.ask(Method::POST, &path) {
            Ok(reloaded) => reloaded,
            Err(failure) => return failure.report(self.json),
        };
        if self.json {
            super::print_json(&reloaded);
            return Exit::Well;
        }
        eprint!("{}", reloaded.warnings);
        let file = reloaded.file.display();
        if reloaded.changes.is_empty() {
            super::print(&format!("reloaded {file}: nothing changed\n"));
        } else {
            super::print(&format!("reloaded {file}:\n{}", super::diff::list(&reloaded.changes)));
        }
        super::print(&consequences(&reloaded.consequences, "connections"));
        match &reloaded.trial {
            Some(trial) => super::print(&on_trial(trial)),
            None if self.confirm.is_some() => super::print("nothing is on trial: nothing changed\n"),
            None => {}
        }
        Exit::Well
    }

    fn keep(&self) -> Exit {
        match self.target.ask::<Confirmed>(Method::POST, "/v1/reload/confirm") {
            Ok(confirmed) if self.json => super::print_json(&confirmed),
            Ok(Confirmed { revision }) => super::print(&format!("confirmed: plan {revision} stays\n")),
            Err(failure) => return failure.report(self.json),
        }
        Exit::Well
    }

    fn go_back(&self) -> Exit {
        match self.target.ask::<RolledBack>(Method::POST, "/v1/reload/roll-back") {
            Ok(back) if self.json => super::print_json(&back),
            Ok(RolledBack { missing, .. }) => {
                super::print(
                    "rolled back: what was in force before the trial is in force again; the file is as it is\n",
                );
                for one in missing {
                    eprintln!("missing: {one}");
                }
            }
            Err(failure) => return failure.report(self.json),
        }
        Exit::Well
    }
}

/// What a reload does to connections, one line each.
pub(super) fn consequences(all: &[Consequence], title: &str) -> String {
    if all.is_empty() {
        return String::new();
    }
    let lines: String = all.iter().map(|one| format!("  {}\n", one.sentence())).collect();
    format!("{title}:\n{lines}")
}

/// That a configuration is on trial, and what to do about it.
pub(super) fn on_trial(trial: &Trial) -> String {
    format!(
        "plan {} is on trial (by {}): rolled back in {} s unless `evenkeel reload --confirmed` is called\n",
        trial.revision, trial.by, trial.left
    )
}
