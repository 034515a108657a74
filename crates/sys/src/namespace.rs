//! Networks without hardware: namespaces of the kernel (network_namespaces(7)) that nobody else sees.
//!
//! Invariant: a namespace has no name and no file. It lives while a process is in it or has it open, so that nothing is
//! left when its makers are gone, however they end.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::path::{Path, PathBuf};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// The calling thread's own.
const OWN: &str = "/proc/thread-self/ns/net";

/// A network of its own, with nothing in it but a loopback interface that is down.
#[derive(Debug)]
pub struct Namespace(File);

impl Namespace {
    /// Makes one.
    ///
    /// # Errors
    /// `PermissionDenied` without CAP_SYS_ADMIN; when the kernel has no namespaces, or too many.
    pub fn make() -> io::Result<Self> {
        // Only a thread can change where it is, and it does not come back.
        on_a_thread(|| {
            crate::calls::unshare_network()?;
            Ok(Self(File::open(OWN)?))
        })?
    }

    /// Does something on a thread that is inside. Sockets made there belong there for ever, and so do threads.
    ///
    /// # Errors
    /// When the namespace cannot be entered or no thread can be started.
    pub fn inside<T: Send>(&self, act: impl FnOnce() -> T + Send) -> io::Result<T> {
        on_a_thread(|| {
            move_into_link_name_space(self.0.as_fd(), Some(LinkNameSpaceType::Network))?;
            Ok(act())
        })?
    }

    /// Where another process may [`enter`] it while this one holds it.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        format!("/proc/{}/fd/{}", std::process::id(), self.0.as_raw_fd()).into()
    }
}

impl AsFd for Namespace {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Moves the calling thread, and all that it starts, into the namespace at `path` for ever.
///
/// # Errors
/// When there is none, or without CAP_SYS_ADMIN.
pub fn enter(path: &Path) -> io::Result<()> {
    let namespace = File::open(path)?;
    Ok(move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?)
}

fn on_a_thread<T: Send>(act: impl FnOnce() -> T + Send) -> io::Result<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("namespace".into()).spawn_scoped(scope, act)?;
        thread.join().map_err(|_| io::Error::other("a thread in another namespace has ended too early"))
    })
}
