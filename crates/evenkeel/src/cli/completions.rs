//! `evenkeel completions`

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::exit::Exit;

#[derive(Debug, Args)]
pub(super) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub(super) fn perform(self) -> Exit {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut super::Cli::command(), "evenkeel", &mut script);
        super::print(&String::from_utf8_lossy(&script));
        Exit::Well
    }
}
