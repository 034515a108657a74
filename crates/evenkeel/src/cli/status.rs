//! `evenkeel status`

use clap::Args;
use hyper::Method;

use super::client::Target;
use crate::exit::Exit;

#[derive(Debug, Args)]
pub(super) struct Status {
    #[command(flatten)]
    target: Target,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

impl Status {
    pub(super) fn perform(self) -> Exit {
        match self.target.ask::<evenkeel_admin::message::Status>(Method::GET, "/v1/status") {
            Ok(status) if self.json => super::print_json(&status),
            Ok(status) => super::print(&super::screen::draw(&status)),
            Err(failure) => return failure.report(self.json),
        }
        Exit::Well
    }
}
