//! A source for tests: one text in memory.

use std::path::{Path, PathBuf};

use evenkeel_config::Source;

/// One text, called `evenkeel.toml`, without includes and without variables.
#[derive(Debug)]
pub(crate) struct Text<'a>(pub(crate) &'a str);

impl Source for Text<'_> {
    fn read(&self, path: &Path) -> Result<String, String> {
        if path == Path::new("evenkeel.toml") {
            Ok(self.0.to_owned())
        } else {
            Err("there is no such file".into())
        }
    }

    fn glob(&self, _: &str, _: &Path) -> Result<Vec<PathBuf>, String> {
        Ok(Vec::new())
    }

    fn variable(&self, _: &str) -> Option<String> {
        None
    }
}
