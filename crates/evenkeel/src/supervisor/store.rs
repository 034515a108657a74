//! Keeps the runtime changes in a directory, so that they outlive the program.
//!
//! ```text
//!   write a new file ─▶ fsync ─▶ rename over the old ─▶ fsync the directory
//! ```
//!
//! Invariants: whenever the program is killed, the file is the old or the new one, whole; a file that is neither is set
//! aside and told about, and the program starts without it; nobody else uses the directory meanwhile.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use evenkeel_config::found::Findings;
use evenkeel_config::overlay::Overlay;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use crate::files::{DEFAULT_CONFIG, plain};

/// Where the state is when the standard file is used and nothing else is said.
const USUAL_DIRECTORY: &str = "/var/lib/evenkeel";
/// The file in the directory.
const NAME: &str = "runtime-changes";
/// The file with the servers that sources have named last.
const FOUND: &str = "found-servers";
/// What a file that cannot be read is called from then on; one before it is overwritten.
const SET_ASIDE: &str = "runtime-changes.damaged";
/// What each file begins with: the format and its version. The checksum and the end of the line follow.
const HEADER: &str = "evenkeel-runtime-changes 1 ";
/// The same for servers that were found.
const FOUND_HEADER: &str = "evenkeel-found-servers 1 ";
/// The largest file, in bytes: the most changes with the longest names stay below.
const LARGEST: u64 = 64 * 1024 * 1024;

/// The directory, if there is one.
#[derive(Debug)]
pub(super) struct Store {
    directory: Option<PathBuf>,
    /// Locked as long as the program runs.
    lock: Option<Arc<OwnedFd>>,
}

/// What was found at the start.
pub(super) struct Found {
    pub(super) store: Store,
    pub(super) overlay: Overlay,
    /// What sources had named last.
    pub(super) servers: Findings,
    /// What the operator should know: a damaged file, a directory that cannot be used.
    pub(super) alarms: Vec<String>,
}

/// The directory to use: what the file says, what the service manager gives, or the usual one for the usual file.
pub(super) fn directory(said: Option<&Path>, given: Option<&str>, config: &Path) -> Option<PathBuf> {
    let given = given.and_then(|list| list.split(':').next()).filter(|first| !first.is_empty());
    let usual = || (config == Path::new(DEFAULT_CONFIG)).then(|| USUAL_DIRECTORY.into());
    said.map(Path::to_owned).or_else(|| given.map(Into::into)).or_else(usual)
}

impl Store {
    /// Makes the directory, locks it and reads what is in it. `said` are directories that the file names: those must
    /// work, others are done without.
    pub(super) fn open(directory: Option<PathBuf>, said: bool) -> Result<Found, String> {
        let nothing = |alarms| Found {
            store: Self { directory: None, lock: None },
            overlay: Overlay::default(),
            servers: Findings::default(),
            alarms,
        };
        let Some(directory) = directory else { return Ok(nothing(Vec::new())) };
        let lock = match lock(&directory) {
            Ok(lock) => lock,
            Err(why) if said => return Err(format!("global.state-dir: {why}")),
            Err(why) => return Ok(nothing(vec![format!("runtime changes end with the program: {why}")])),
        };
        let (overlay, alarms) = match read(&directory, NAME, HEADER) {
            Ok(overlay) => (overlay, Vec::new()),
            Err(why) => (Overlay::default(), vec![set_aside(&directory, &why)]),
        };
        // Sources say it again in a moment: nobody has to look at a file that is lost.
        let servers = read(&directory, FOUND, FOUND_HEADER).unwrap_or_else(|why| {
            tracing::warn!("servers that were found before are not known: {FOUND}: {why}");
            Findings::default()
        });
        Ok(Found {
            store: Self { directory: Some(directory), lock: Some(Arc::new(lock.into())) },
            overlay,
            servers,
            alarms,
        })
    }

    /// That of the program before, whose lock holds as long as it is open somewhere.
    pub(super) fn take(grip: Option<(PathBuf, Arc<OwnedFd>)>) -> Self {
        let (directory, lock) = grip.unzip();
        Self { directory, lock }
    }

    /// It, for the program that takes over.
    pub(super) fn grip(&self) -> Option<(PathBuf, Arc<OwnedFd>)> {
        Some((self.directory.clone()?, self.lock.clone()?))
    }

    /// Where changes are kept, if they are.
    pub(super) fn directory(&self) -> Option<&Path> {
        self.directory.as_deref()
    }

    /// Keeps these changes from now on. When it fails, the ones before are kept.
    pub(super) fn save(&self, overlay: &Overlay) -> Result<(), String> {
        let Some(directory) = &self.directory else { return Ok(()) };
        keep(&directory.join(NAME), &encode(overlay, HEADER)?)
    }

    /// The same for servers that were found.
    pub(super) fn save_found(&self, servers: &Findings) -> Result<(), String> {
        let Some(directory) = &self.directory else { return Ok(()) };
        keep(&directory.join(FOUND), &encode(servers, FOUND_HEADER)?)
    }
}

fn keep(path: &Path, bytes: &[u8]) -> Result<(), String> {
    write_whole(&Real, path, bytes, 0o600)
        .map_err(|error| format!("{} cannot be written: {}", path.display(), plain(&error)))
}

fn lock(directory: &Path) -> Result<File, String> {
    let shown = directory.display();
    let failed = |what: &str, error: &io::Error| format!("{shown} {what}: {}", plain(error));
    fs::create_dir_all(directory).map_err(|error| failed("cannot be made", &error))?;
    let lock = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(directory.join("lock"))
        .map_err(|error| failed("cannot be written", &error))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => {
            Err(format!("another Evenkeel uses {shown}: give each its own `global.state-dir`"))
        }
        Err(TryLockError::Error(error)) => Err(failed("cannot be locked", &error)),
    }
}

fn encode(content: &impl Serialize, header: &str) -> Result<Vec<u8>, String> {
    let body = serde_json::to_vec(content).map_err(|error| error.to_string())?;
    let mut bytes = format!("{header}{}\n", checksum(&body)).into_bytes();
    bytes.extend(body);
    Ok(bytes)
}

fn checksum(body: &[u8]) -> String {
    Sha256::digest(body).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What is kept; nothing when there is no file yet.
fn read<T: Default + DeserializeOwned>(directory: &Path, name: &str, header: &str) -> Result<T, String> {
    let path = directory.join(name);
    match fs::metadata(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(T::default()),
        Err(error) => return Err(plain(&error)),
        Ok(about) if about.len() > LARGEST => return Err(format!("it has more than {LARGEST} bytes")),
        Ok(_) => {}
    }
    decode(&fs::read(&path).map_err(|error| plain(&error))?, header)
}

fn decode<T: DeserializeOwned>(bytes: &[u8], header: &str) -> Result<T, String> {
    let end = bytes.iter().position(|&byte| byte == b'\n').ok_or("it has no first line")?;
    let (head, body) = bytes.split_at(end);
    let body = body.get(1..).unwrap_or_default();
    let expected = std::str::from_utf8(head)
        .ok()
        .and_then(|head| head.strip_prefix(header))
        .ok_or("its first line is not that of this version")?;
    if expected != checksum(body) {
        return Err("its checksum is wrong".into());
    }
    serde_json::from_slice(body).map_err(|error| format!("it cannot be understood: {error}"))
}

/// Moves a file that cannot be used out of the way, and says so.
fn set_aside(directory: &Path, why: &str) -> String {
    let (from, to) = (directory.join(NAME), directory.join(SET_ASIDE));
    let moved = match fs::rename(&from, &to) {
        Ok(()) => format!("it is {} now", to.display()),
        Err(error) => format!("it cannot be moved away: {}", plain(&error)),
    };
    format!(
        "the runtime changes in {} are lost, {why}: {moved}; the configuration file holds without them",
        from.display()
    )
}

/// What is done to a disk, one step after the other: a test stops in between.
trait Disk {
    fn write(&self, path: &Path, bytes: &[u8], mode: u32) -> io::Result<()>;
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    fn sync_directory(&self, path: &Path) -> io::Result<()>;
}

struct Real;

impl Disk for Real {
    fn write(&self, path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
        let mut file = File::options().create(true).truncate(true).write(true).mode(mode).open(path)?;
        file.write_all(bytes)?;
        file.set_permissions(fs::Permissions::from_mode(mode))?;
        file.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }
}

/// Puts a file in place of another, so that there is always one of the two.
fn write_whole(disk: &impl Disk, path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let new = directory.join(format!(".{name}.new"));
    disk.write(&new, bytes, mode)?;
    disk.rename(&new, path)?;
    disk.sync_directory(directory)
}

/// The same for a file of somebody's: links to it, its owner and its mode stay.
pub(super) fn rewrite(path: &Path, text: &str) -> io::Result<()> {
    let path = fs::canonicalize(path)?;
    let about = fs::metadata(&path)?;
    let like = Like(&about);
    write_whole(&like, &path, text.as_bytes(), about.permissions().mode() & 0o7777)
}

/// Writes files that belong to whom another belongs.
struct Like<'a>(&'a fs::Metadata);

impl Disk for Like<'_> {
    fn write(&self, path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
        // Nobody else reads it before it has its owner.
        Real.write(path, bytes, mode & 0o600)?;
        let now = fs::metadata(path)?;
        if (now.uid(), now.gid()) != (self.0.uid(), self.0.gid()) {
            chown(path, Some(self.0.uid()), Some(self.0.gid()))?;
        }
        fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
        File::open(path)?.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        Real.rename(from, to)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        Real.sync_directory(path)
    }
}

#[cfg(test)]
mod tests;
