//! `evenkeel router`

use clap::{Args, Subcommand};
use evenkeel_admin::message::FailedOver;
use hyper::Method;

use super::client::Target;
use crate::exit::Exit;

#[derive(Debug, Args)]
pub(super) struct Router {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make another node hold the addresses; this one takes them back only when that one falls silent
    Failover(Failover),
}

#[derive(Debug, Args)]
struct Failover {
    /// The virtual router
    name: String,
    #[command(flatten)]
    target: Target,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

impl Router {
    pub(super) fn perform(self) -> Exit {
        match self.verb {
            Verb::Failover(failover) => failover.perform(),
        }
    }
}

impl Failover {
    fn perform(self) -> Exit {
        // A name of a virtual router has no character that a path would need to hide.
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if self.name.is_empty() || !self.name.chars().all(fits) {
            return super::usage(&format!("`{}` cannot be the name of a virtual router", self.name));
        }
        let path = format!("/v1/virtual-routers/{}/failover", self.name);
        let done: FailedOver = match self.target.ask(Method::POST, &path) {
            Ok(done) => done,
            Err(failure) => return failure.report(self.json),
        };
        if self.json {
            super::print_json(&done);
        } else {
            super::print(&format!(
                "{}: {} is active now; this node takes over again when that one falls silent, or by the same command there\n",
                done.router, done.active
            ));
        }
        Exit::Well
    }
}
