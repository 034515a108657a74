//! `sticky`: clients come back to the server that answered them before.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use evenkeel_traffic::sticky::Cookie;
use serde::{Deserialize, Serialize};

use super::Plan;

/// Sticky sessions of a pool. The key itself is no part of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sticky {
    /// `cookie` and its attributes.
    pub cookie: Cookie,
    /// `key-file`: where the secret is; `None` is the random key of the running program.
    pub key_file: Option<PathBuf>,
}

impl Plan {
    /// The files with secrets that it names, each once.
    #[must_use]
    pub fn key_files(&self) -> BTreeSet<&Path> {
        self.pools.iter().filter_map(|pool| pool.sticky.as_ref()?.key_file.as_deref()).collect()
    }
}
