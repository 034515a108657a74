//! How one run of a program hands itself to the next one in the same process (execve(2)): descriptors and children stay,
//! everything else begins anew.
//!
//! Invariants: only descriptors that were [`keep`]t pass; each can be [`take`]n by number only while nothing else has it;
//! signals that come in between wait ([`hold_signals`]).

use std::ffi::OsStr;
use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use nix::sys::signal::{SigSet, Signal};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::{FdFlags, fcntl_getfd, fcntl_setfd};
use rustix::process::{Pid, PidfdFlags, WaitId, WaitIdOptions, pidfd_open, pidfd_send_signal, waitid};
use tokio::io::unix::AsyncFd;

use crate::calls;

/// The signals that mean something to a supervisor: unhandled, each would end the process.
const HELD: [Signal; 4] = [Signal::SIGHUP, Signal::SIGTERM, Signal::SIGINT, Signal::SIGUSR2];

/// Lets a descriptor pass to the next program; returns its number.
///
/// # Errors
/// When the kernel refuses.
pub fn keep(descriptor: &impl AsFd) -> io::Result<RawFd> {
    let descriptor = descriptor.as_fd();
    fcntl_setfd(descriptor, fcntl_getfd(descriptor)? - FdFlags::CLOEXEC)?;
    Ok(descriptor.as_raw_fd())
}

/// Takes [`keep`] back, because the other program could not be begun.
///
/// # Errors
/// When the kernel refuses.
pub fn keep_no_more(descriptor: &impl AsFd) -> io::Result<()> {
    let descriptor = descriptor.as_fd();
    Ok(fcntl_setfd(descriptor, fcntl_getfd(descriptor)? | FdFlags::CLOEXEC)?)
}

/// Takes a descriptor that the program before has kept; from now on it is closed on exec again.
///
/// # Errors
/// When there is none of this number, or it is not one that was kept: whatever this program has opened itself is closed on
/// exec from the beginning.
pub fn take(number: RawFd) -> io::Result<OwnedFd> {
    let taken = calls::adopt(number)?;
    fcntl_setfd(&taken, FdFlags::CLOEXEC)?;
    Ok(taken)
}

/// A file in memory with this content, to be read from its beginning.
///
/// # Errors
/// When there is no memory or no descriptor.
pub fn letter(content: &[u8]) -> io::Result<OwnedFd> {
    let mut file = std::fs::File::from(memfd_create("handover", MemfdFlags::CLOEXEC)?);
    file.write_all(content)?;
    file.rewind()?;
    Ok(file.into())
}

/// What a [`letter`] says, `most` bytes at most.
///
/// # Errors
/// When it is longer or cannot be read.
pub fn read_letter(letter: OwnedFd, most: u64) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    std::fs::File::from(letter).take(most + 1).read_to_end(&mut content)?;
    if u64::try_from(content.len()).unwrap_or(u64::MAX) > most {
        return Err(io::Error::other(format!("it has more than {most} bytes")));
    }
    Ok(content)
}

/// From now on signals for this thread wait. What is executed inherits that.
///
/// # Errors
/// When the kernel refuses.
pub fn hold_signals() -> io::Result<()> {
    Ok(held().thread_block()?)
}

/// Signals that were held, and those to come, are delivered.
///
/// # Errors
/// When the kernel refuses.
pub fn release_signals() -> io::Result<()> {
    Ok(held().thread_unblock()?)
}

fn held() -> SigSet {
    HELD.into_iter().collect()
}

/// Becomes another program, with these arguments and further variables. Comes back only when that fails.
pub fn replace(program: &Path, arguments: &[&OsStr], variables: &[(&str, String)]) -> io::Error {
    Command::new(program).args(arguments).envs(variables.iter().map(|(name, value)| (name, value))).exec()
}

/// A child that the program before has started.
#[derive(Debug)]
pub struct Adopted {
    process: AsyncFd<OwnedFd>,
}

impl Adopted {
    /// Watches a child. Its number is its own as long as nobody has taken its status.
    ///
    /// # Errors
    /// When this process has no such child any more.
    #[expect(
        deprecated,
        reason = "its successor is unsafe to call; an OwnedFd that nobody takes out again is what it asks for"
    )]
    pub fn watch(pid: u32) -> io::Result<Self> {
        let no_such = || io::Error::from(io::ErrorKind::NotFound);
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or_else(no_such)?;
        // Answers for children only, also for those that have ended.
        waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT)?;
        Ok(Self { process: AsyncFd::new(pidfd_open(pid, PidfdFlags::empty())?)? })
    }

    /// Waits for its end; says how it ended. Cancel-safe until then.
    pub async fn end(&self) -> String {
        if let Err(error) = self.process.readable().await {
            return format!("its end is unknown: {error}");
        }
        match waitid(WaitId::PidFd(self.process.get_ref().as_fd()), WaitIdOptions::EXITED) {
            Ok(Some(status)) => match (status.exit_status(), status.terminating_signal()) {
                (Some(0), _) => "it ended by itself".into(),
                (Some(code), _) => format!("it ended with exit code {code}"),
                (None, Some(signal)) => format!("it was killed by signal {signal}"),
                (None, None) => "it ended".into(),
            },
            Ok(None) => "it ended".into(),
            Err(error) => format!("its end is unknown: {error}"),
        }
    }

    /// Kills it.
    pub fn kill(&self) {
        // What fails here is that it has ended already.
        let _ = pidfd_send_signal(self.process.get_ref(), rustix::process::Signal::KILL);
    }
}

/// Takes the status of all children that have ended: those of the program before, which nobody waits for any more. To be
/// called before this program has started any. What then is watched and was among them is not found ([`Adopted::watch`]).
pub fn bury_the_dead() {
    while let Ok(Some(_)) = rustix::process::wait(rustix::process::WaitOptions::NOHANG) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_is_read_from_its_beginning_and_has_a_bound() {
        let text = vec![b'x'; 100_000];
        assert_eq!(read_letter(letter(&text).unwrap(), 100_000).unwrap(), text);
        assert!(read_letter(letter(&text).unwrap(), 99_999).is_err());
    }

    #[test]
    fn what_is_kept_passes_and_what_is_not_kept_is_not_taken() {
        let file = letter(b"kept").unwrap();
        assert!(fcntl_getfd(&file).unwrap().contains(FdFlags::CLOEXEC));
        assert!(take(file.as_raw_fd()).is_err(), "it was not kept");
        let number = keep(&file).unwrap();
        assert!(!fcntl_getfd(&file).unwrap().contains(FdFlags::CLOEXEC));
        keep_no_more(&file).unwrap();
        assert!(take(number).is_err());
        assert!(take(-1).is_err());
    }

    #[tokio::test]
    #[expect(clippy::zombie_processes, reason = "that they are waited for here is what is tested")]
    async fn the_end_of_a_child_is_seen_and_told() {
        let child = Command::new("sh").args(["-c", "exit 7"]).spawn().unwrap();
        let adopted = Adopted::watch(child.id()).unwrap();
        assert_eq!(adopted.end().await, "it ended with exit code 7");
        assert!(Adopted::watch(child.id()).is_err());
        let child = Command::new("sleep").arg("1000").spawn().unwrap();
        let adopted = Adopted::watch(child.id()).unwrap();
        adopted.kill();
        assert_eq!(adopted.end().await, "it was killed by signal 9");
    }
}
