//! The command line: one file a command.

pub(crate) mod check;
mod client;
mod completions;
mod config;
mod demo;
mod diff;
mod events;
mod explain;
mod handover;
pub(crate) mod post;
mod reload;
mod router;
mod run;
mod schema;
mod screen;
mod server;
mod status;
mod stop;
mod top;
mod units;
mod upgrade;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::exit::{self, Exit};
use crate::files::DEFAULT_CONFIG;
use crate::role::Role;

/// Load balancing and high availability in one program.
#[derive(Debug, Parser)]
#[command(name = "evenkeel", version, after_help = exit::TABLE)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Two toy servers and a balancer on loopback, to try it out
    Demo(demo::Demo),
    /// Run in the foreground, until SIGTERM, SIGINT or `evenkeel stop`; SIGHUP reloads, SIGUSR2 upgrades
    Run(run::Run),
    /// Say whether a configuration is good, and everything that is wrong with it
    Check(check::Check),
    /// Show what a reload would change, before it does
    Diff(diff::Diff),
    /// Put the changed configuration in force, without touching what is unchanged
    Reload(reload::Reload),
    /// Let the program that is installed now take over from the running one
    Upgrade(upgrade::Upgrade),
    /// Let connections finish, then end
    Stop(stop::Stop),
    /// Show listeners, pools, servers and roles, and why each is as it is
    Status(status::Status),
    /// Watch the running program in a terminal, and steer it by key
    Top(top::Top),
    /// Steer virtual routers
    Router(router::Router),
    /// Add, remove, drain or weight a server of the running program
    Server(server::Server),
    /// Write what was changed at run time into the configuration file
    Config(config::Config),
    /// Show what happened, and what happens
    Events(events::Events),
    /// Print the JSON Schema of the configuration, for editors
    Schema,
    /// Explain a key of the configuration
    Explain(explain::Explain),
    /// Print what makes a shell complete the commands
    Completions(completions::Completions),
    /// Be a toy server (started by `demo`)
    #[command(hide = true)]
    ToyServer(demo::ToyServer),
    /// Be a machine of the demo (started by `demo --ha`)
    #[command(hide = true)]
    DemoActor(crate::demo::ha::Actor),
    /// Send one notice to a web address (started by `run`)
    #[command(hide = true)]
    Post(post::Post),
    /// Show that this program could take over (started by `run`)
    #[command(hide = true)]
    Rehearse(run::Run),
    /// Be a role (started by `run`)
    #[command(hide = true)]
    Role(RoleArguments),
}

/// Which configuration file.
#[derive(Debug, Args)]
struct ConfigFile {
    /// The configuration file
    #[arg(short, long, value_name = "FILE", default_value = DEFAULT_CONFIG)]
    config: PathBuf,
}

/// Which lines are logged.
#[derive(Debug, Args)]
struct LogLevel {
    /// What to log: error, warn, info, debug or trace
    #[arg(long, value_name = "LEVEL", env = crate::log::VARIABLE, default_value = "info")]
    log_level: String,
}

#[derive(Debug, Args)]
struct RoleArguments {
    role: Role,
    #[arg(long)]
    user: Option<String>,
    #[command(flatten)]
    log: LogLevel,
}

/// Does what the command line says.
pub(crate) fn main() -> Exit {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(answer) => {
            // A closed pipe cannot be told anything.
            let _ = answer.print();
            // Help and version come this way, too.
            return if answer.use_stderr() { Exit::Usage } else { Exit::Well };
        }
    };
    match cli.command {
        Command::Demo(demo) => demo.perform(),
        Command::ToyServer(server) => server.perform(),
        Command::DemoActor(actor) => actor.perform(),
        Command::Run(run) => run.perform(),
        Command::Check(check) => check.perform(),
        Command::Diff(diff) => diff.perform(),
        Command::Reload(reload) => reload.perform(),
        Command::Upgrade(upgrade) => upgrade.perform(),
        Command::Stop(stop) => stop.perform(),
        Command::Status(status) => status.perform(),
        Command::Top(top) => top.perform(),
        Command::Post(post) => post.perform(),
        Command::Router(router) => router.perform(),
        Command::Server(server) => server.perform(),
        Command::Config(config) => config.perform(),
        Command::Events(events) => events.perform(),
        Command::Schema => schema::perform(),
        Command::Explain(explain) => explain.perform(),
        Command::Completions(completions) => completions.perform(),
        Command::Rehearse(run) => run.rehearse(),
        Command::Role(RoleArguments { role, user, log }) => match crate::log::begin(&log.log_level) {
            Ok(()) => crate::role::run(role, user.as_deref()),
            Err(error) => usage(&error),
        },
    }
}

/// Complains about the command line.
fn usage(error: &str) -> Exit {
    eprintln!("error: {error}");
    Exit::Usage
}

/// Writes text to standard output. Whoever reads it may have seen enough (`| head`): that is no failure.
fn print(text: &str) {
    use std::io::Write;
    let mut output = std::io::stdout().lock();
    let _ = output.write_all(text.as_bytes()).and_then(|()| output.flush());
}

/// Writes a value to standard output as JSON.
fn print_json<T: serde::Serialize>(value: &T) {
    match serde_json::to_string_pretty(value) {
        Ok(text) => print(&format!("{text}\n")),
        Err(error) => eprintln!("error: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
