//! `evenkeel demo`, and the toy servers that it starts.

use std::net::SocketAddr;

use clap::Args;

use crate::exit::Exit;

#[derive(Debug, Args)]
pub(super) struct Demo {
    /// What the balancer logs: error, warn, info, debug or trace
    #[arg(long, value_name = "LEVEL", env = crate::log::VARIABLE, default_value = "warn")]
    log_level: String,
    /// A whole redundant site in network namespaces, and what a client notices when its parts fail (root)
    #[arg(long)]
    ha: bool,
}

impl Demo {
    pub(super) fn perform(self) -> Exit {
        match crate::log::begin(&self.log_level) {
            Ok(()) if self.ha => crate::demo::ha::run(&self.log_level),
            Ok(()) => crate::demo::run(&self.log_level),
            Err(error) => super::usage(&error),
        }
    }
}

#[derive(Debug, Args)]
pub(super) struct ToyServer {
    name: String,
    address: SocketAddr,
}

impl ToyServer {
    pub(super) fn perform(self) -> Exit {
        crate::demo::toy::serve(&self.name, self.address)
    }
}
