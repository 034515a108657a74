//! What a process may do and have: limits, rights, programs that it runs, and its word to the service manager.

pub mod limit;
pub mod notify;
pub mod rights;
pub mod script;
pub mod successor;
pub mod urgency;

use std::io;
use std::os::fd::{AsFd, OwnedFd};

/// Takes the standard input of this process, on which a role finds its channel, and leaves `/dev/null` there.
///
/// # Errors
/// When it is closed, or no file descriptor is left.
pub fn take_stdin() -> io::Result<OwnedFd> {
    let taken = io::stdin().as_fd().try_clone_to_owned()?;
    // A second descriptor that stays open would keep the channel open after the role has dropped it.
    rustix::stdio::dup2_stdin(std::fs::File::open("/dev/null")?)?;
    Ok(taken)
}

/// Has this process killed when the one that started it ends (PR_SET_PDEATHSIG), or at once when that has ended already.
///
/// `parent` is its number. The thread that started this process must live as long as it shall.
///
/// # Errors
/// When the parent is another one by now, or the kernel refuses.
pub fn die_with(parent: u32) -> io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    let now = rustix::process::getppid().and_then(|pid| u32::try_from(pid.as_raw_nonzero().get()).ok());
    if now == Some(parent) {
        Ok(())
    } else {
        Err(io::Error::other("the process that started this one has ended"))
    }
}

/// Asks a process to end (SIGTERM). The caller must have started it and not have waited for its end yet.
///
/// # Errors
/// When there is no such process.
pub fn terminate(pid: u32) -> io::Result<()> {
    let no_such = || io::Error::from(io::ErrorKind::NotFound);
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw).ok_or_else(no_such)?;
    Ok(rustix::process::kill_process(pid, rustix::process::Signal::TERM)?)
}

/// A wait for the end of another process, made by [`watch`].
#[derive(Debug)]
pub struct Ending(OwnedFd);

/// Starts to watch a process of any user (pidfd_open(2)).
///
/// # Errors
/// When there is no such process.
pub fn watch(pid: u32) -> io::Result<Ending> {
    let no_such = || io::Error::from(io::ErrorKind::NotFound);
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw).ok_or_else(no_such)?;
    Ok(Ending(rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty())?))
}

impl Ending {
    /// Blocks until the process has ended (`true`), or until `patience` is over (`false`).
    ///
    /// # Errors
    /// When waiting itself fails.
    pub fn wait(&self, patience: std::time::Duration) -> io::Result<bool> {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let deadline = std::time::Instant::now() + patience;
        loop {
            let left = deadline.saturating_duration_since(std::time::Instant::now());
            let left = Timespec {
                tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: left.subsec_nanos().into(),
            };
            match poll(&mut [PollFd::new(&self.0, PollFlags::IN)], Some(&left)) {
                Ok(count) => return Ok(count > 0),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}
