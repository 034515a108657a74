//! The start of a role process: first its rights go, then it listens to the supervisor on its standard input.

use std::fmt;

use evenkeel_sys::channel::Channel;
use evenkeel_sys::process::{self, rights};

use crate::exit::Exit;

/// A kind of process that the supervisor starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Role {
    /// Moves traffic.
    Proxy,
    /// Serves the API.
    Admin,
}

impl Role {
    /// Its name on the command line and in the status.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Proxy => "proxy",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Becomes the role. `user` is whom to become, when the program was started by root.
pub(crate) fn run(role: Role, user: Option<&str>) -> Exit {
    match serve(role, user) {
        Ok(()) => Exit::Well,
        Err(why) => {
            tracing::error!("the {role} role ends: {why}");
            Exit::Role
        }
    }
}

fn serve(role: Role, user: Option<&str>) -> Result<(), String> {
    // The user was looked up by the supervisor as well, which has said so before anything was started.
    let account = user.map(|name| rights::account(Some(name))).transpose()?;
    rights::give_up(account.as_ref())?;
    let channel = process::take_stdin()
        .and_then(Channel::from_fd)
        .map_err(|error| format!("the channel to the supervisor cannot be used: {error}"))?;
    match role {
        Role::Proxy => evenkeel_proxy::run::run(channel),
        Role::Admin => evenkeel_admin::run::run(channel),
    }
    .map_err(|error| error.to_string())
}
