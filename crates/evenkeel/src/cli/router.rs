//! `evenkeel router`

use std::time::Duration;

use clap::{Args, Subcommand};
use evenkeel_admin::message::{FailedOver, Released, RouterPriority};
use hyper::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::client::{Target, Wish};
use super::handover::{self, GivenAway};
use super::units;
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
struct Failover {
    /// The virtual router
    #[arg(required_unless_present = "all")]
    name: Option<String>,
    /// Every virtual router that is active here
    #[arg(long, conflicts_with = "name")]
    all: bool,
    /// Return only when no connection to its addresses is left here
    #[arg(long)]
    wait: bool,
    /// Wait no longer than this, such as `10m`, and say what is left then; without it `handover-timeout` of [pair] ends the rest
    #[arg(long, value_name = "TIME", requires = "wait", value_parser = units::parse_duration)]
    timeout: Option<Duration>,
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
            Verb::Failover(failover) => failover.perform(),
            Verb::Release(common) => common.release(),
            Verb::Priority(priority) => priority.perform(),
        }
    }
}

/// A name of a virtual router has no character that a path would need to hide.
fn check(name: &str) -> Result<(), String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || !name.chars().all(fits) {
        return Err(format!("`{name}` cannot be the name of a virtual router"));
    }
    Ok(())
}

impl Failover {
    fn perform(self) -> Exit {
        let given = match &self.name {
            Some(name) => match check(name) {
                Ok(()) => handover::one(&self.target, name)
                    .map(|done| GivenAway { done: vec![done], failed: Vec::new() }),
                Err(why) => return super::usage(&why),
            },
            None => handover::all(&self.target),
        };
        let GivenAway { done, failed } = match given {
            Ok(given) => given,
            Err(failure) => return failure.report(self.json),
        };
        if !self.json {
            for done in &done {
                super::print(&handover::words(done));
            }
            if done.is_empty() && failed.is_empty() {
                super::print("no virtual router is active here\n");
            }
        }
        let names = self.name.clone().map(|name| vec![name]);
        let left = if self.wait && failed.is_empty() {
            let say = |line: &str| {
                if !self.json {
                    super::print(line);
                }
            };
            match handover::wait(&self.target, names.as_deref(), self.timeout, say) {
                Ok(left) => Some(left),
                Err(failure) => return failure.report(self.json),
            }
        } else {
            None
        };
        if self.json {
            self.print_json(&done, left);
        }
        // The first says enough: the others are as they were.
        if let Some((_, failure)) = failed.into_iter().next() {
            return failure.report(self.json);
        }
        match left {
            Some(left) if left > 0 => {
                eprintln!(
                    "connections are left after the given time: {left}; they go on, until `handover-timeout` at the latest"
                );
                Exit::Refused
            }
            Some(_) if !self.json => {
                super::print("no connection is left here\n");
                Exit::Well
            }
            _ => Exit::Well,
        }
    }

    /// One that was named and is not waited for is an object by itself.
    fn print_json(&self, done: &[FailedOver], left: Option<usize>) {
        match (done, left) {
            ([done], None) if !self.all => super::print_json(done),
            _ => super::print_json(&serde_json::json!({ "failed_over": done, "left": left })),
        }
    }
}

impl Common {
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
        if let Err(why) = check(&self.name) {
            return super::usage(&why);
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
