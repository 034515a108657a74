//! Whether a program may be run: every element of its path must be safe from others, and the user must be able to
//! execute it.

use std::collections::VecDeque;
use std::ffi::{CString, OsString};
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use nix::unistd::{Gid, Uid, getgrouplist, getgroups};

use crate::process::rights::Account;

/// Symbolic links on the way, at most (as the kernel has it).
const MOST_LINKS: usize = 40;
const WRITABLE_BY_GROUP: u32 = 0o020;
const WRITABLE_BY_OTHERS: u32 = 0o002;
/// In such a directory everybody may make entries and only their owner may replace them.
const STICKY: u32 = 0o1000;

/// Looks at every element of the absolute `path`. Each must belong to root or to the user of this process and be
/// writable by nobody else, so that nobody else decides what is run; `account` (`None`: the user of this process)
/// must be able to execute the program.
///
/// # Errors
/// With a sentence for the operator that names the element and its mode.
pub fn examine(path: &Path, account: Option<&Account>) -> Result<(), String> {
    let reader = Reader::new(account);
    let mut here = PathBuf::from("/");
    let mut last = look(&here)?;
    reader.safe(&here, &last)?;
    let mut ahead: VecDeque<OsString> = steps(path).collect();
    let mut links = 0;
    while let Some(step) = ahead.pop_front() {
        if !last.is_dir() {
            return Err(format!("{} is no directory", shown(&here, &last)));
        }
        reader.may(&here, &last, "cannot be entered")?;
        if step == ".." {
            here.pop();
            last = look(&here)?;
            continue;
        }
        let next = here.join(&step);
        let found = look(&next)?;
        reader.owned(&next, &found)?;
        if found.is_symlink() {
            links += 1;
            if links > MOST_LINKS {
                return Err(format!(
                    "{} leads through more than {MOST_LINKS} symbolic links",
                    path.display()
                ));
            }
            let target = std::fs::read_link(&next)
                .map_err(|error| format!("the link {} cannot be read: {error}", next.display()))?;
            if target.is_absolute() {
                here = PathBuf::from("/");
                last = look(&here)?;
            }
            for step in steps(&target).collect::<Vec<_>>().into_iter().rev() {
                ahead.push_front(step);
            }
            continue;
        }
        reader.safe(&next, &found)?;
        (here, last) = (next, found);
    }
    if !last.is_file() {
        return Err(format!("{} is no file", shown(&here, &last)));
    }
    reader.may(&here, &last, "is not executable")
}

/// The elements of a path below its root.
fn steps(path: &Path) -> impl Iterator<Item = OsString> {
    path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    })
}

fn look(path: &Path) -> Result<Metadata, String> {
    std::fs::symlink_metadata(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => format!("{} does not exist", path.display()),
        _ => format!("{} cannot be looked at: {error}", path.display()),
    })
}

fn shown(path: &Path, found: &Metadata) -> String {
    format!("{} (mode {:04o})", path.display(), found.mode() & 0o7777)
}

/// Who will execute the program, and who we are.
struct Reader {
    own_user: u32,
    own_group: u32,
    /// For messages.
    name: String,
    user: u32,
    groups: Vec<u32>,
}

impl Reader {
    fn new(account: Option<&Account>) -> Self {
        let (own_user, own_group) = (Uid::effective().as_raw(), Gid::effective().as_raw());
        let raw = |groups: Vec<Gid>| groups.into_iter().map(Gid::as_raw);
        match account {
            Some(Account { name, uid, gid }) => {
                let group = Gid::from_raw(*gid);
                let listed = CString::new(name.as_str())
                    .ok()
                    .and_then(|name| getgrouplist(&name, group).ok())
                    .unwrap_or_default();
                let groups = raw(listed).chain([*gid]).collect();
                Self { own_user, own_group, name: format!("`{name}`"), user: *uid, groups }
            }
            None => {
                let groups = raw(getgroups().unwrap_or_default()).chain([own_group]).collect();
                Self { own_user, own_group, name: "this user".into(), user: own_user, groups }
            }
        }
    }

    fn owned(&self, path: &Path, found: &Metadata) -> Result<(), String> {
        if [0, self.own_user].contains(&found.uid()) {
            return Ok(());
        }
        Err(format!("{} belongs to the user {}, who can change it", shown(path, found), found.uid()))
    }

    fn safe(&self, path: &Path, found: &Metadata) -> Result<(), String> {
        self.owned(path, found)?;
        let mode = found.mode();
        let protected = found.is_dir() && mode & STICKY != 0;
        if mode & WRITABLE_BY_OTHERS != 0 && !protected {
            return Err(format!("{} is writable by others", shown(path, found)));
        }
        let known_group = [0, self.own_group].contains(&found.gid());
        if mode & WRITABLE_BY_GROUP != 0 && !protected && !known_group {
            return Err(format!("{} is writable by its group {}", shown(path, found), found.gid()));
        }
        Ok(())
    }

    /// Whether the bit for execution (of a directory: for entering it) is set for the user.
    fn may(&self, path: &Path, found: &Metadata, refusal: &str) -> Result<(), String> {
        let mode = found.mode();
        let bit = match self.user {
            0 if found.is_dir() => return Ok(()),
            0 => 0o111,
            user if user == found.uid() => 0o100,
            _ if self.groups.contains(&found.gid()) => 0o010,
            _ => 0o001,
        };
        if mode & bit != 0 {
            return Ok(());
        }
        Err(format!("{} {refusal} by {}", shown(path, found), self.name))
    }
}
