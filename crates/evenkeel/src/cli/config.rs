//! `evenkeel config save`

use clap::{Args, Subcommand};
use evenkeel_admin::message::Saved;
use hyper::Method;

use super::client::Target;
use crate::exit::Exit;

#[derive(Debug, Args)]
pub(super) struct Config {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write runtime changes into the file; its comments and its order stay
    Save(Save),
}

#[derive(Debug, Args)]
struct Save {
    #[command(flatten)]
    target: Target,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

impl Config {
    pub(super) fn perform(self) -> Exit {
        let Command::Save(Save { target, json }) = self.command;
        let saved: Saved = match target.ask(Method::POST, "/v1/config/save") {
            Ok(saved) => saved,
            Err(failure) => return failure.report(json),
        };
        if json {
            super::print_json(&saved);
        } else if saved.files.is_empty() {
            super::print("nothing was changed at run time: the file says everything\n");
        } else {
            let files: Vec<String> = saved.files.iter().map(|file| file.display().to_string()).collect();
            let changes: String = saved.changes.iter().map(|change| format!("  {change}\n")).collect();
            super::print(&format!("written into {}:\n{changes}", files.join(", ")));
        }
        Exit::Well
    }
}
