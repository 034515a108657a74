//! The start of a role process: first its rights go, then it listens to the supervisor on its standard input.
//!
//! The high availability role keeps two of them, and takes what makes it punctual before the others go.

use std::fmt;

use evenkeel_ha::run::Urgency;
use evenkeel_sys::channel::{Channel, Polled};
use evenkeel_sys::process::{self, rights, urgency};

use crate::exit::Exit;

/// A kind of process that the supervisor starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Role {
    /// Moves traffic.
    Proxy,
    /// Serves the API.
    Admin,
    /// Runs elections and holds addresses.
    Ha,
    /// Keeps the link to the other node.
    Pair,
}

impl Role {
    /// Its name on the command line and in the status.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Proxy => "proxy",
            Self::Admin => "admin",
            Self::Ha => "ha",
            Self::Pair => "pair",
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
    let punctual = if role == Role::Ha { hurry() } else { Urgency::default() };
    match role {
        Role::Proxy | Role::Admin | Role::Pair => rights::give_up(account.as_ref())?,
        Role::Ha => rights::keep_network(account.as_ref())?,
    }
    let unusable = |error| format!("the channel to the supervisor cannot be used: {error}");
    let socket = process::take_stdin().map_err(unusable)?;
    match role {
        Role::Proxy => evenkeel_proxy::run::run(Channel::from_fd(socket).map_err(unusable)?),
        Role::Admin => evenkeel_admin::run::run(Channel::from_fd(socket).map_err(unusable)?),
        Role::Pair => evenkeel_pair::run::run(Channel::from_fd(socket).map_err(unusable)?),
        Role::Ha => evenkeel_ha::run::run(Polled::from_fd(socket).map_err(unusable)?, punctual),
    }
    .map_err(|error| error.to_string())
}

/// Takes what makes the role punctual on a busy machine, as far as it is allowed.
fn hurry() -> Urgency {
    let memory = urgency::lock_memory();
    if let Err(error) = &memory {
        tracing::info!("the ha role's memory may be paged out: {error}");
    }
    let time = urgency::real_time();
    if let Err(error) = &time {
        tracing::info!("the ha role has no real-time priority: {error}");
    }
    Urgency { memory_locked: memory.is_ok(), real_time: time.is_ok() }
}
