//! `evenkeel router`

use clap::{Args, Subcommand};
use evenkeel_admin::message::{FailedOver, Released, RouterPriority};
use hyper::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::client::{Target, Wish};
use crate::exit::Exit;

#[derive(Debug, Args)]
pub(super) struct Router {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make another node hold the addresses; this one takes them back only when that one falls silent
    Failover(Common),
    /// Let this node take the addresses back, after a failover, as its priority allows
    Release(Common),
    /// Stand for election with another priority until Evenkeel ends
    Priority(Priority),
}

#[derive(Debug, Args)]
struct Common {
    /// The virtual router
    name: String,
    #[command(flatten)]
    target: Target,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Priority {
    #[command(flatten)]
    common: Common,
    /// 1 to 254: the node with more is active
    #[arg(value_parser = clap::value_parser!(u8).range(1..=254), required_unless_present = "reset")]
    priority: Option<u8>,
    /// That of the file again
    #[arg(long, conflicts_with = "priority")]
    reset: bool,
}

impl Router {
    pub(super) fn perform(self) -> Exit {
        match self.verb {
            Verb::Failover(common) => common.fail_over(),
            Verb::Release(common) => common.release(),
            Verb::Priority(priority) => priority.perform(),
        }
    }
}

impl Common {
    fn fail_over(self) -> Exit {
        self.perform(Method::POST, "failover", None, |done: &FailedOver| {
            format!(
                "{}: {} is active now; this node takes over again when that one falls silent, by the same command there, or \
                 after `evenkeel router release {}` here\n",
                done.router, done.active, done.router
            )
        })
    }

    fn release(self) -> Exit {
        self.perform(Method::POST, "release", None, |done: &Released| {
            let router = &done.router;
            if done.stood_by {
                format!("{router}: this node takes part with its full right again\n")
            } else {
                format!("{router}: this node did not stand by, nothing has changed\n")
            }
        })
    }

    /// Asks for it, and says in words or as JSON what came of it.
    fn perform<T: DeserializeOwned + Serialize>(
        self,
        method: Method,
        what: &str,
        body: Option<Value>,
        words: impl Fn(&T) -> String,
    ) -> Exit {
        // A name of a virtual router has no character that a path would need to hide.
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if self.name.is_empty() || !self.name.chars().all(fits) {
            return super::usage(&format!("`{}` cannot be the name of a virtual router", self.name));
        }
        let path = format!("/v1/virtual-routers/{}/{what}", self.name);
        let done: T = match self.target.send(&Wish { method, path: &path, headers: &[], body }) {
            Ok(done) => done,
            Err(failure) => return failure.report(self.json),
        };
        if self.json {
            super::print_json(&done);
        } else {
            super::print(&words(&done));
        }
        Exit::Well
    }
}

impl Priority {
    fn perform(self) -> Exit {
        let (method, body) = match self.priority.filter(|_| !self.reset) {
            Some(priority) => (Method::PUT, Some(serde_json::json!({ "priority": priority }))),
            None => (Method::DELETE, None),
        };
        self.common.perform(method, "priority", body, |done: &RouterPriority| {
            let RouterPriority { router, priority, configured, .. } = done;
            if priority == configured {
                format!("{router}: priority {priority}, as in the file\n")
            } else {
                format!("{router}: priority {priority} until Evenkeel ends; the file says {configured}\n")
            }
        })
    }
}
