//! Gives rights up, for good.
//!
//! A role parses hostile bytes, so it keeps nothing that it does not need: no root, no groups of root, no capability,
//! no way to gain any of them back by executing something (prctl(2), PR_SET_NO_NEW_PRIVS), and no memory that another
//! process of its user may read (PR_SET_DUMPABLE).
//!
//! Capabilities belong to threads: [`give_up`] must run before the process has a second one.

use std::ffi::CString;

use nix::unistd::{Gid, Uid, User, initgroups, setresgid, setresuid};
use rustix::process::DumpableBehavior;
use rustix::thread::{CapabilitySet, CapabilitySets};

/// Whom roles run as when the file names nobody and this user exists.
pub const OWN_USER: &str = "evenkeel";
/// Whom they run as when it does not.
pub const FALLBACK_USER: &str = "nobody";

/// A user of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    pub(super) name: String,
    pub(super) uid: u32,
    pub(super) gid: u32,
}

impl Account {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// Whether this process runs as root.
#[must_use]
pub fn is_root() -> bool {
    Uid::effective().is_root()
}

/// Looks up the user that roles run as: `name`, else [`OWN_USER`], else [`FALLBACK_USER`].
///
/// # Errors
/// With a sentence for the operator when there is no such user.
pub fn account(name: Option<&str>) -> Result<Account, String> {
    let candidates: &[&str] = match &name {
        Some(name) => &[name],
        None => &[OWN_USER, FALLBACK_USER],
    };
    for candidate in candidates {
        match User::from_name(candidate) {
            Ok(Some(user)) => {
                return Ok(Account { name: user.name, uid: user.uid.as_raw(), gid: user.gid.as_raw() });
            }
            Ok(None) => {}
            Err(error) => return Err(format!("the user `{candidate}` cannot be looked up: {error}")),
        }
    }
    Err(match name {
        Some(name) => format!(
            "there is no user `{name}`: create it (`useradd --system {name}`), or change `global.user`"
        ),
        None => format!(
            "there is neither a user `{OWN_USER}` nor `{FALLBACK_USER}`: create one (`useradd --system {OWN_USER}`), or set `global.user`"
        ),
    })
}

/// Becomes `account` (when given: only root can) and gives up every capability and the way back.
///
/// # Errors
/// With a sentence for the operator. The process must end then: it may have lost some of its rights and not all.
pub fn give_up(account: Option<&Account>) -> Result<(), String> {
    // While there is still the right to do so; without CAP_SETPCAP there is nothing in the set worth more than what
    // no_new_privs takes away below.
    empty_bounding_set();
    if let Some(account) = account {
        become_user(account)?;
    }
    let failed = |what: &'static str| move |error: rustix::io::Errno| format!("cannot {what}: {error}");
    rustix::thread::clear_ambient_capability_set().map_err(failed("clear the ambient capabilities"))?;
    let none = CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: CapabilitySet::empty(),
        inheritable: CapabilitySet::empty(),
    };
    rustix::thread::set_capabilities(None, none).map_err(failed("give up the capabilities"))?;
    rustix::thread::set_no_new_privs(true).map_err(failed("set no_new_privs"))?;
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(failed("forbid others to read our memory"))?;
    verify(account)
}

fn become_user(account: &Account) -> Result<(), String> {
    let Account { name, uid, gid } = account;
    let failed = |what: &'static str| {
        move |error: nix::Error| {
            format!(
                "cannot {what} of the user `{name}`: {error}; Evenkeel needs CAP_SETUID and CAP_SETGID for this, or start it as that user"
            )
        }
    };
    let c_name = CString::new(name.as_str()).map_err(|error| format!("the user name `{name}`: {error}"))?;
    let (uid, gid) = (Uid::from_raw(*uid), Gid::from_raw(*gid));
    initgroups(&c_name, gid).map_err(failed("take the groups"))?;
    setresgid(gid, gid, gid).map_err(failed("take the group"))?;
    setresuid(uid, uid, uid).map_err(failed("take the identity"))
}

fn empty_bounding_set() {
    for capability in CapabilitySet::all().iter() {
        let _ = rustix::thread::remove_capability_from_bounding_set(capability);
    }
}

/// Looks at the result instead of trusting the calls.
fn verify(account: Option<&Account>) -> Result<(), String> {
    let sets = rustix::thread::capabilities(None)
        .map_err(|error| format!("cannot read our own capabilities: {error}"))?;
    if !(sets.effective.is_empty() && sets.permitted.is_empty()) {
        return Err("capabilities are left after they were given up".into());
    }
    if let Some(account) = account
        && account.uid != 0
    {
        if Uid::effective().as_raw() != account.uid || Uid::current().as_raw() != account.uid {
            return Err(format!("the process is not the user `{}` after the change", account.name));
        }
        if nix::unistd::setuid(Uid::from_raw(0)).is_ok() {
            return Err("root can be regained after it was given up".into());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_user_is_named_with_the_cure() {
        let error = account(Some("no-such-user-here")).unwrap_err();
        assert_eq!(
            error,
            "there is no user `no-such-user-here`: create it (`useradd --system no-such-user-here`), or change `global.user`"
        );
    }

    #[test]
    fn a_user_is_found_when_none_is_named() {
        let found = account(None).unwrap();
        assert!([OWN_USER, FALLBACK_USER].contains(&found.name()));
        assert_ne!(found.uid, 0);
    }

    #[test]
    fn rights_are_gone_afterwards() {
        // In a thread of its own: capabilities and no_new_privs belong to threads, so the other tests keep theirs.
        // The identity belongs to the process and is checked from outside, on a running role.
        std::thread::spawn(|| {
            empty_bounding_set();
            let none = CapabilitySet::empty();
            let sets = CapabilitySets { effective: none, permitted: none, inheritable: none };
            rustix::thread::set_capabilities(None, sets).unwrap();
            verify(None).unwrap();
        })
        .join()
        .unwrap();
    }
}
