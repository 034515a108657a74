//! Which program takes over: the one that is found now where this one was started from.

use std::ffi::OsStr;
use std::fs::Metadata;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::files::plain;

/// What the kernel appends to the path of a program whose file was replaced.
const DELETED: &[u8] = b" (deleted)";

/// A place in the file system.
#[derive(Clone, Debug)]
pub(super) struct Program(PathBuf);

/// One file in that place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Edition {
    file: (u64, u64),
    size: u64,
    changed: (i64, i64),
}

impl Program {
    /// Where this process was started from. A name that leads to the file wins over the file's own, because a link may lead
    /// elsewhere after an installation.
    pub(super) fn of_this_process() -> Result<Self, String> {
        let unknown = |error: std::io::Error| {
            format!("where this program was started from is unknown: {}", plain(&error))
        };
        let own = std::fs::metadata("/proc/self/exe").map_err(unknown)?;
        let path = std::fs::read_link("/proc/self/exe").map_err(unknown)?;
        let is_own = |path: &PathBuf| {
            std::fs::metadata(path).is_ok_and(|found| (found.dev(), found.ino()) == (own.dev(), own.ino()))
        };
        let called =
            std::env::args_os().next().and_then(|name| find(&name, std::env::var_os("PATH").as_deref()));
        Ok(Self(called.filter(is_own).unwrap_or_else(|| undeleted(path))))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// What is there now, if it can be executed.
    pub(super) fn edition(&self) -> Result<Edition, String> {
        let shown = self.0.display();
        let found = std::fs::metadata(&self.0)
            .map_err(|error| format!("there is no program to take over in {shown}: {}", plain(&error)))?;
        if !found.is_file() || found.permissions().mode() & 0o111 == 0 {
            return Err(format!("{shown} cannot be executed"));
        }
        Ok(Edition::of(&found))
    }
}

impl Edition {
    fn of(found: &Metadata) -> Self {
        Self {
            file: (found.dev(), found.ino()),
            size: found.size(),
            changed: (found.ctime(), found.ctime_nsec()),
        }
    }
}

fn undeleted(path: PathBuf) -> PathBuf {
    match path.as_os_str().as_bytes().strip_suffix(DELETED) {
        Some(before) => PathBuf::from(OsStr::from_bytes(before)),
        None => path,
    }
}

/// Where a shell finds the name.
fn find(name: &OsStr, search: Option<&OsStr>) -> Option<PathBuf> {
    if name.as_bytes().contains(&b'/') {
        return std::path::absolute(name).ok();
    }
    std::env::split_paths(search?).map(|directory| directory.join(name)).find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_program_is_found_where_it_was_started_from() {
        let program = Program::of_this_process().unwrap();
        let own = std::env::current_exe().unwrap();
        assert_eq!(std::fs::canonicalize(program.path()).unwrap(), std::fs::canonicalize(own).unwrap());
        assert_eq!(program.edition().unwrap(), program.edition().unwrap());
    }

    #[test]
    fn what_the_kernel_says_of_a_replaced_file_is_no_part_of_its_name() {
        assert_eq!(undeleted("/usr/bin/evenkeel (deleted)".into()), PathBuf::from("/usr/bin/evenkeel"));
        assert_eq!(undeleted("/usr/bin/evenkeel".into()), PathBuf::from("/usr/bin/evenkeel"));
    }

    #[test]
    fn a_name_without_a_slash_is_looked_for_where_shells_look() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("evenkeel"), "").unwrap();
        let search = std::env::join_paths([Path::new("/nonexistent"), directory.path()]).unwrap();
        assert_eq!(find(OsStr::new("evenkeel"), Some(&search)), Some(directory.path().join("evenkeel")));
        assert_eq!(find(OsStr::new("other"), Some(&search)), None);
    }

    #[test]
    fn what_cannot_be_executed_is_no_program() {
        let directory = tempfile::tempdir().unwrap();
        let program = Program(directory.path().join("evenkeel"));
        assert!(program.edition().unwrap_err().contains("there is no program to take over in"));
        std::fs::write(program.path(), "").unwrap();
        assert!(program.edition().unwrap_err().contains("cannot be executed"));
    }
}
