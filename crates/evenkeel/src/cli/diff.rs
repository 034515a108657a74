//! `evenkeel diff`

use clap::Args;
use evenkeel_admin::message::{Difference, Preview, RouterPriority, RuntimeChange};
use hyper::Method;

use super::client::Target;
use crate::exit::Exit;

#[derive(Debug, Args)]
pub(super) struct Diff {
    #[command(flatten)]
    target: Target,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

impl Diff {
    pub(super) fn perform(self) -> Exit {
        let preview: Preview = match self.target.ask(Method::GET, "/v1/config/diff") {
            Ok(preview) => preview,
            Err(failure) => return failure.report(self.json),
        };
        if self.json {
            super::print_json(&preview);
            return Exit::Well;
        }
        eprint!("{}", preview.warnings);
        let file = preview.file.display();
        if preview.changes.is_empty() {
            super::print(&format!("a reload would change nothing: {file} is in force\n"));
        } else {
            super::print(&format!("a reload of {file} would change:\n{}", list(&preview.changes)));
            let connections =
                super::reload::consequences(&preview.consequences, "connections that it would end");
            super::print(if connections.is_empty() { "no connection would end\n" } else { &connections });
        }
        if let Some(trial) = &preview.trial {
            super::print(&super::reload::on_trial(trial));
        }
        if !preview.runtime_changes.is_empty() {
            super::print(&format!(
                "runtime changes, which stay (`evenkeel config save` writes them into the file):\n{}",
                runtime_changes(&preview.runtime_changes)
            ));
        }
        if !preview.runtime_priorities.is_empty() {
            super::print(&format!(
                "priorities of virtual routers that stay until Evenkeel ends:\n{}",
                runtime_priorities(&preview.runtime_priorities)
            ));
        }
        Exit::Well
    }
}

/// One line a virtual router.
pub(super) fn runtime_priorities(priorities: &[RouterPriority]) -> String {
    let line = |RouterPriority { router, priority, configured, by }: &RouterPriority| {
        format!(
            "  runtime change: virtual router {router}: priority {priority} instead of {configured}  (by {by})\n"
        )
    };
    priorities.iter().map(line).collect()
}

/// One line a runtime change.
pub(super) fn runtime_changes(changes: &[RuntimeChange]) -> String {
    changes
        .iter()
        .map(|RuntimeChange { pool, server, what, by, idle, .. }| {
            let idle = idle.as_ref().map(|why| format!("; no effect: {why}")).unwrap_or_default();
            format!("  runtime change: server {pool}/{server}: {what}{idle}  (by {by})\n")
        })
        .collect()
}

/// One line a difference.
pub(super) fn list(changes: &[Difference]) -> String {
    changes
        .iter()
        .map(|change| {
            let later = if change.needs_restart {
                "  (needs a restart: `evenkeel stop`, then start it again)"
            } else {
                ""
            };
            format!("  {}{later}\n", change.what)
        })
        .collect()
}
