//! Listening unix sockets: one for all workers, since SO_REUSEPORT does not exist for them.

use std::fs::{self, Permissions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use socket2::{Domain, SockAddr, Socket, Type};

use super::{BACKLOG, BindError};

/// The name of a listening unix socket in the file system.
#[derive(Debug)]
pub struct UnixName {
    path: PathBuf,
    /// Device and inode of the name, to never remove somebody else's.
    identity: (u64, u64),
}

impl UnixName {
    /// The name that the program before has made, with its [`UnixName::identity`].
    #[must_use]
    pub fn known(path: PathBuf, identity: (u64, u64)) -> Self {
        Self { path, identity }
    }

    /// Device and inode of the name.
    #[must_use]
    pub fn identity(&self) -> (u64, u64) {
        self.identity
    }

    /// Takes the name out of the file system, unless it belongs to another socket by now.
    pub fn remove(self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|found| (found.dev(), found.ino()) == self.identity) {
            // Nothing is lost if this fails: the next start finds a name that nobody answers and removes it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Listens on `path`, which only those may use whom the permission bits `mode` allow to write.
///
/// A name that an earlier program left behind and nobody answers is replaced.
///
/// # Errors
/// When another program answers there, something that is no socket is in the way, or the path cannot be used.
pub fn listen_unix(path: &Path, mode: u32) -> Result<(OwnedFd, UnixName), BindError> {
    let name = || format!("unix:{}", path.display());
    let fail = |call: &'static str| {
        move |error: io::Error| BindError::from_call(format!("unix:{}", path.display()), call, &error)
    };
    let address = SockAddr::unix(path).map_err(fail("path"))?;
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(fail("stat")(error)),
        Ok(found) if !found.file_type().is_socket() => {
            return Err(BindError::obstructed(
                name(),
                "something that is no socket is in the way",
                "remove it, or choose another path",
            ));
        }
        Ok(_) if answers(&address).map_err(fail("connect"))? => {
            return Err(BindError::taken(name(), "another program", "path"));
        }
        Ok(_) => fs::remove_file(path).map_err(fail("unlink"))?,
    }
    let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None).map_err(fail("socket"))?;
    socket.bind(&address).map_err(fail("bind"))?;
    // Nobody can connect before `listen`, so nobody slips in with the permissions of the umask.
    fs::set_permissions(path, Permissions::from_mode(mode)).map_err(fail("chmod"))?;
    let found = fs::symlink_metadata(path).map_err(fail("stat"))?;
    socket.listen(BACKLOG).map_err(fail("listen"))?;
    Ok((socket.into(), UnixName { path: path.into(), identity: (found.dev(), found.ino()) }))
}

/// Whether a program listens on this name. One whose queue is full does.
fn answers(address: &SockAddr) -> io::Result<bool> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None)?;
    match socket.connect(address) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(false),
        // Gone since it was looked at.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn only_those_whom_the_mode_allows_may_connect() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        let _listening = listen_unix(&path, 0o660).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o660);
        UnixStream::connect(&path).unwrap();
    }

    #[test]
    fn a_name_that_nobody_answers_is_replaced_and_a_live_one_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        // Dropped without `remove`, as by a killed program.
        drop(listen_unix(&path, 0o660).unwrap());
        assert!(path.exists());
        let _second = listen_unix(&path, 0o660).unwrap();
        let error = listen_unix(&path, 0o660).unwrap_err().to_string();
        assert!(error.contains("another program listens there already; stop it"), "{error}");
        UnixStream::connect(&path).unwrap();
    }

    #[test]
    fn a_file_in_the_way_is_kept() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        fs::write(&path, "precious").unwrap();
        let error = listen_unix(&path, 0o660).unwrap_err().to_string();
        assert!(error.contains("no socket is in the way"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"precious");
    }

    #[test]
    fn removing_takes_our_own_name_only() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        listen_unix(&path, 0o660).unwrap().1.remove();
        assert!(!path.exists());

        let first = listen_unix(&path, 0o660).unwrap();
        let moved = directory.path().join("moved");
        fs::rename(&path, moved).unwrap();
        let _second = listen_unix(&path, 0o660).unwrap();
        first.1.remove();
        assert!(path.exists());
    }

    #[test]
    fn a_missing_directory_is_named_with_its_cure() {
        let error = listen_unix(Path::new("/nonexistent/s"), 0o660).unwrap_err().to_string();
        assert!(
            error.contains("cannot listen on unix:/nonexistent/s: No such file or directory (bind); create"),
            "{error}"
        );
    }
}
