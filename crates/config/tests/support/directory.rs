//! A source for tests: the files below a directory of the repository.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use evenkeel_config::Source;

/// Files below a directory; what is loaded names them relative to it.
#[derive(Debug)]
pub(crate) struct Directory {
    pub(crate) root: PathBuf,
    pub(crate) variables: BTreeMap<&'static str, &'static str>,
}

impl Source for Directory {
    fn read(&self, path: &Path) -> Result<String, String> {
        std::fs::read_to_string(self.root.join(path)).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
            _ => error.to_string(),
        })
    }

    /// Knows what the tests need: `DIRECTORY/*.toml`.
    fn glob(&self, pattern: &str, relative_to: &Path) -> Result<Vec<PathBuf>, String> {
        let directory = relative_to.join(pattern.strip_suffix("*.toml").ok_or("only *.toml is known here")?);
        let Ok(entries) = std::fs::read_dir(self.root.join(&directory)) else { return Ok(Vec::new()) };
        let names = entries.map(|entry| directory.join(entry.unwrap().file_name()));
        Ok(names.filter(|path| path.extension().is_some_and(|e| e == "toml")).collect())
    }

    /// Below `/srv` everybody may write.
    fn program(&self, path: &Path, user: Option<&str>) -> Result<(), String> {
        let user = user.unwrap_or("evenkeel");
        match path.starts_with("/srv") {
            true => Err(format!("/srv (mode 0777) is writable by others than `{user}`")),
            false => Ok(()),
        }
    }

    fn variable(&self, name: &str) -> Option<String> {
        self.variables.get(name).map(|value| (*value).to_owned())
    }
}
