//! Why an address cannot be listened on, in words that help.

use std::fmt;
use std::io;

use rustix::io::Errno;

/// A listening socket could not be opened.
#[derive(Debug)]
pub struct BindError {
    /// The address as the operator wrote it.
    address: String,
    /// What went wrong.
    reason: String,
    /// What to do.
    cure: String,
    /// Somebody else has the address.
    taken: bool,
}

impl BindError {
    /// With the words for a failed system call.
    pub(super) fn from_call(address: String, call: &str, error: &io::Error) -> Self {
        let cure = match Errno::from_io_error(error) {
            Some(Errno::ACCESS | Errno::PERM) if address.starts_with("unix:") => {
                "let the user that starts Evenkeel write to that directory, or choose another path"
            }
            Some(Errno::ACCESS | Errno::PERM) => {
                "start Evenkeel as root or give it CAP_NET_BIND_SERVICE, or choose a port above 1023"
            }
            Some(Errno::ADDRINUSE) => "stop the program that uses it, or choose another address or port",
            Some(Errno::ADDRNOTAVAIL) => {
                "write an address that can exist on this machine; a link-local IPv6 address needs its interface, as in `[fe80::1%eth0]:80`"
            }
            Some(Errno::AFNOSUPPORT) => "this machine has no IPv6: take the address out, or enable IPv6",
            Some(Errno::MFILE | Errno::NFILE) => "raise the limit of open files (`ulimit -n`, LimitNOFILE=)",
            Some(Errno::NOENT | Errno::NOTDIR) => "create its directory first, or choose another path",
            Some(Errno::ROFS) => "choose a path on a file system that can be written",
            _ => "see the reason above",
        };
        // "Permission denied (os error 13)": the number helps nobody.
        let text = error.to_string();
        let text = text.split(" (os error").next().unwrap_or(&text);
        let taken = error.kind() == io::ErrorKind::AddrInUse;
        Self { address, reason: format!("{text} ({call})"), cure: cure.into(), taken }
    }

    /// Something that is no program is in the way.
    pub(super) fn obstructed(address: String, reason: &str, cure: &str) -> Self {
        Self { address, reason: reason.into(), cure: cure.into(), taken: false }
    }

    /// Another program listens there.
    pub(super) fn taken(address: String, by: &str, choice: &str) -> Self {
        let (reason, cure) =
            (format!("{by} listens there already"), format!("stop it, or choose another {choice}"));
        Self { address, reason, cure, taken: true }
    }

    /// Whether another program listens there.
    #[must_use]
    pub fn is_taken(&self) -> bool {
        self.taken
    }
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot listen on {}: {}; {}", self.address, self.reason, self.cure)
    }
}

impl std::error::Error for BindError {}
