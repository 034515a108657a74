//! What an access log is written into: a file, a pipe, or the system log. Waits no longer than it is told to.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::time::Duration;

use evenkeel_sys::output::writable_within;

/// The socket of the machine's system log.
pub(super) const SYSTEM_LOG: &str = "/dev/log";
/// Bytes that a pipe takes at once or not at all when it says that it is writable (PIPE_BUF, pipe(7)).
const WHOLE: usize = 4096;
/// Facility local0, severity informational (RFC 3164 §4.1.1: 16 × 8 + 6).
const PRIORITY: u8 = 134;

/// See the module.
#[derive(Debug)]
pub(super) struct Output(Kind);

#[derive(Debug)]
enum Kind {
    /// Takes everything at once; it can be slow, but it cannot be asked.
    File(File),
    /// A pipe, a terminal or a socket: is asked before each write.
    Stream(File),
    Syslog {
        path: PathBuf,
        socket: Option<UnixDatagram>,
        datagram: Vec<u8>,
    },
}

/// What became of a send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// So many bytes are gone, at least one.
    Bytes(usize),
    /// There was no room in time.
    NothingYet,
}

impl Output {
    /// A file that was opened for appending.
    pub(super) fn file(file: OwnedFd) -> io::Result<Self> {
        let file = File::from(file);
        let regular = file.metadata()?.is_file();
        Ok(Self(if regular { Kind::File(file) } else { Kind::Stream(file) }))
    }

    /// The program's standard output.
    pub(super) fn stdout() -> io::Result<Self> {
        Self::file(io::stdout().as_fd().try_clone_to_owned()?)
    }

    /// The system log at this socket, one datagram a line. Connected when it is first needed, and again after a failure.
    pub(super) fn syslog(path: PathBuf) -> Self {
        Self(Kind::Syslog { path, socket: None, datagram: Vec::new() })
    }

    /// Sends some of `lines`, which are not empty, waiting at most `patience` for room.
    pub(super) fn send(&mut self, lines: &[u8], patience: Duration) -> io::Result<Sent> {
        match &mut self.0 {
            Kind::File(file) => written(file.write(lines)),
            Kind::Stream(file) => {
                if !writable_within(file.as_fd(), patience)? {
                    return Ok(Sent::NothingYet);
                }
                written(file.write(whole_lines(lines)))
            }
            Kind::Syslog { path, socket, datagram } => {
                let line = lines.split_inclusive(|&byte| byte == b'\n').next().unwrap_or_default();
                datagram.clear();
                // The receiver knows the time and the host (RFC 3164 §4.3.3); the line has its own time.
                write!(datagram, "<{PRIORITY}>evenkeel[{}]: ", std::process::id())?;
                datagram.extend_from_slice(line.trim_ascii_end());
                match say(socket, path, datagram, patience) {
                    Ok(true) => Ok(Sent::Bytes(line.len())),
                    Ok(false) => Ok(Sent::NothingYet),
                    Err(error) => {
                        *socket = None;
                        Err(error)
                    }
                }
            }
        }
    }
}

fn written(result: io::Result<usize>) -> io::Result<Sent> {
    match result {
        Ok(0) => Err(io::ErrorKind::WriteZero.into()),
        Ok(count) => Ok(Sent::Bytes(count)),
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
            Ok(Sent::NothingYet)
        }
        Err(error) => Err(error),
    }
}

/// As many whole lines as a pipe takes without waiting; a part of a line when that is longer.
fn whole_lines(lines: &[u8]) -> &[u8] {
    if lines.len() <= WHOLE {
        return lines;
    }
    let end = lines[..WHOLE].iter().rposition(|&byte| byte == b'\n').map_or(WHOLE, |at| at + 1);
    &lines[..end]
}

/// Sends one datagram; connects again when whoever listened is gone, which is how a system log is restarted.
fn say(
    socket: &mut Option<UnixDatagram>,
    path: &PathBuf,
    text: &[u8],
    patience: Duration,
) -> io::Result<bool> {
    let is_new = socket.is_none();
    let connected = match socket {
        Some(socket) => socket,
        None => {
            let new = UnixDatagram::unbound()?;
            new.set_nonblocking(true)?;
            new.connect(path)?;
            socket.insert(new)
        }
    };
    match connected.send(text) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            writable_within(connected.as_fd(), patience)?;
            Ok(false)
        }
        Err(_) if !is_new => {
            *socket = None;
            say(socket, path, text, patience)
        }
        Err(error) => Err(error),
    }
}
