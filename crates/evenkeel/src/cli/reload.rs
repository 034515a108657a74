//! `evenkeel reload`

use clap::Args;
use evenkeel_admin::message::Reloaded;
use hyper::Method;

use super::client::Target;
use crate::exit::Exit;

#[derive(Debug, Args)]
pub(super) struct Reload {
    #[command(flatten)]
    target: Target,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

impl Reload {
    pub(super) fn perform(self) -> Exit {
        let reloaded: Reloaded = match self.target.ask(Method::POST, "/v1/reload") {
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
        Exit::Well
    }
}
