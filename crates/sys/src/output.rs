//! What the program writes to for others to read: log files, pipes, the system log.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{Mode, OFlags};

/// Who may read a log file that is created here: its owner and group.
const LOG_MODE: Mode = Mode::from_raw_mode(0o640);

/// Opens a log file for appending, and creates it if need be. A pipe must have a reader: nobody is waited for.
///
/// # Errors
/// When it cannot be opened, in words that name the path and what to do.
pub fn open_log(path: &Path) -> Result<OwnedFd, String> {
    let flags = OFlags::WRONLY
        | OFlags::APPEND
        | OFlags::CREATE
        | OFlags::NOCTTY
        | OFlags::NONBLOCK
        | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, LOG_MODE).map_err(|error| {
        use rustix::io::Errno;
        let cure = match error {
            Errno::NOENT => ": create its directory",
            Errno::NXIO => ": nobody reads from this pipe; start its reader first",
            Errno::ACCESS | Errno::PERM => ": let the user who starts Evenkeel write there",
            Errno::ISDIR => ": name a file in it",
            _ => "",
        };
        format!("cannot open the log {}: {}{cure}", path.display(), io::Error::from(error))
    })
}

/// Waits until something can be written, at most for so long; says whether it can. A broken output counts as writable:
/// the write then says what is wrong.
///
/// # Errors
/// When it cannot be asked.
pub fn writable_within(output: BorrowedFd<'_>, patience: Duration) -> io::Result<bool> {
    let mut asked = [PollFd::from_borrowed_fd(output, PollFlags::OUT)];
    let patience = Timespec::try_from(patience).map_err(io::Error::other)?;
    match rustix::event::poll(&mut asked, Some(&patience)) {
        Ok(count) => Ok(count > 0),
        Err(rustix::io::Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn a_log_is_created_for_owner_and_group_and_appended_to() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.log");
        for line in ["one\n", "two\n"] {
            std::fs::File::from(open_log(&path).unwrap()).write_all(line.as_bytes()).unwrap();
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one\ntwo\n");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o137, 0);
        let missing = open_log(&directory.path().join("none/a.log")).unwrap_err();
        assert!(missing.contains("create its directory"), "{missing}");
        assert!(open_log(directory.path()).unwrap_err().contains("name a file in it"));
    }

    #[test]
    fn a_pipe_is_writable_until_it_is_full() {
        let (mut reader, mut writer) = io::pipe().unwrap();
        rustix::io::ioctl_fionbio(&writer, true).unwrap();
        let mut written = 0;
        while writable_within(writer.as_fd(), Duration::ZERO).unwrap() {
            written += writer.write(&[0; 4096]).unwrap();
        }
        reader.read_exact(&mut vec![0; written]).unwrap();
        assert!(writable_within(writer.as_fd(), Duration::ZERO).unwrap());
        drop(reader);
        assert!(writable_within(writer.as_fd(), Duration::ZERO).unwrap());
        assert_eq!(writer.write(b"x").unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
}
