//! The file system and the environment as the configuration may see them.

use std::io::Read;
use std::path::{Path, PathBuf};

use evenkeel_config::{LARGEST_FILE, Source};
use evenkeel_sys::process::{rights, script};

/// The configuration file when none is named.
pub(crate) const DEFAULT_CONFIG: &str = "/etc/evenkeel/evenkeel.toml";

/// The real world.
#[derive(Debug)]
pub(crate) struct Machine;

impl Source for Machine {
    fn read(&self, path: &Path) -> Result<String, String> {
        let file = std::fs::File::open(path).map_err(|error| plain(&error))?;
        // One byte more than is allowed, so that a file that is too long is seen as such and never read whole.
        let bound = u64::try_from(LARGEST_FILE).unwrap_or(u64::MAX).saturating_add(1);
        let mut bytes = Vec::new();
        file.take(bound).read_to_end(&mut bytes).map_err(|error| plain(&error))?;
        String::from_utf8(bytes).map_err(|error| {
            format!("it is no UTF-8 text: byte {} is not valid", error.utf8_error().valid_up_to() + 1)
        })
    }

    fn glob(&self, pattern: &str, relative_to: &Path) -> Result<Vec<PathBuf>, String> {
        // Only the pattern has wildcards; a directory called `[a]` has none.
        let base = glob::Pattern::escape(&relative_to.to_string_lossy());
        let whole = Path::new(&base).join(pattern);
        let options = glob::MatchOptions {
            // As a shell does: `*.toml` finds neither hidden files nor those in deeper directories.
            require_literal_leading_dot: true,
            require_literal_separator: true,
            case_sensitive: true,
        };
        glob::glob_with(&whole.to_string_lossy(), options)
            .map_err(|error| format!("the pattern is invalid: {}", error.msg))?
            .map(|found| {
                found.map_err(|error| format!("{}: {}", error.path().display(), plain(error.error())))
            })
            .collect()
    }

    fn program(&self, path: &Path, user: Option<&str>) -> Result<(), String> {
        // Only root becomes somebody else. A user that is not there is told about when the program starts.
        let account = if rights::is_root() { rights::account(user).ok() } else { None };
        script::examine(path, account.as_ref())
    }

    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }
}

/// Without "(os error 2)", which helps nobody.
pub(crate) fn plain(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_finds_visible_files_beside_the_file_that_names_it() {
        let directory = tempfile::tempdir().unwrap();
        let odd = directory.path().join("[odd]");
        std::fs::create_dir_all(odd.join("conf.d/deeper")).unwrap();
        for name in ["a.toml", "b.toml", ".hidden.toml", "c.txt", "deeper/d.toml"] {
            std::fs::write(odd.join("conf.d").join(name), "").unwrap();
        }
        let mut found = Machine.glob("conf.d/*.toml", &odd).unwrap();
        found.sort();
        assert_eq!(found, [odd.join("conf.d/a.toml"), odd.join("conf.d/b.toml")]);
        assert_eq!(Machine.glob("none/*.toml", &odd).unwrap(), Vec::<PathBuf>::new());
        assert!(Machine.glob("a***", &odd).unwrap_err().starts_with("the pattern is invalid"));
    }

    #[test]
    fn what_is_no_text_is_refused_with_its_place() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x");
        std::fs::write(&path, b"ab\xff").unwrap();
        assert_eq!(Machine.read(&path).unwrap_err(), "it is no UTF-8 text: byte 3 is not valid");
        assert_eq!(Machine.read(&directory.path().join("y")).unwrap_err(), "No such file or directory");
    }
}
