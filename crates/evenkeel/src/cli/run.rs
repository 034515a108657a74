//! `evenkeel run`

use clap::Args;

use super::{ConfigFile, LogLevel};
use crate::exit::Exit;

#[derive(Debug, Args)]
pub(super) struct Run {
    #[command(flatten)]
    file: ConfigFile,
    #[command(flatten)]
    log: LogLevel,
}

impl Run {
    pub(super) fn perform(self) -> Exit {
        if let Err(error) = crate::log::begin(&self.log.log_level) {
            return super::usage(&error);
        }
        // Includes and later reloads mean the same file, wherever the process is by then.
        let config = std::path::absolute(&self.file.config).unwrap_or(self.file.config);
        crate::supervisor::run_for_ever(&config, &self.log.log_level)
    }

    pub(super) fn rehearse(self) -> Exit {
        match crate::log::begin(&self.log.log_level) {
            Ok(()) => crate::supervisor::rehearse(&self.file.config, &self.log.log_level),
            Err(error) => super::usage(&error),
        }
    }
}
