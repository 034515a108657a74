//! How the program ends: every exit code, in one place.

use std::process::ExitCode;

/// Why the program ends. `evenkeel help` and the guide show the same list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// All went well; after `run`: it was told to stop and did.
    Well = 0,
    /// The configuration has errors. Nothing was started or changed.
    Configuration = 1,
    /// It cannot start: an address is taken, a right is missing. Nothing was left behind.
    CannotStart = 2,
    /// It was started and a role failed again and again before it was ready.
    RoleFails = 3,
    /// No running Evenkeel could be reached for the command.
    Unreachable = 4,
    /// The running Evenkeel did not carry out the command.
    Refused = 5,
    /// The command line makes no sense (EX_USAGE of sysexits.h).
    Usage = 64,
    /// A role process failed; the supervisor sees this, and its log says why (EX_SOFTWARE of sysexits.h).
    Role = 70,
}

/// For `evenkeel help`.
pub(crate) const TABLE: &str = "\
Exit codes:
   0  all went well
   1  the configuration has errors; nothing was started or changed
   2  it cannot start: an address is taken or a right is missing
   3  a role failed again and again at the start
   4  no running Evenkeel could be reached
   5  the running Evenkeel did not carry out the command
  64  the command line makes no sense";

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
