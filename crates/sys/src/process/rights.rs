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
    give_up_all_but(CapabilitySet::empty(), account)
}

/// The same, but for CAP_NET_ADMIN and CAP_NET_RAW: what it takes to hold an address and to speak VRRP.
///
/// # Errors
/// With a sentence for the operator, also when the process does not have them. The process must end then.
pub fn keep_network(account: Option<&Account>) -> Result<(), String> {
    let sets = own_capabilities()?;
    if !sets.permitted.contains(NETWORK) {
        return Err(format!("{NETWORK_MISSING}: {NETWORK_CURE}"));
    }
    give_up_all_but(NETWORK, account)
}

/// Whether this process could [`keep_network`].
#[must_use]
pub fn has_network() -> bool {
    own_capabilities().is_ok_and(|sets| sets.permitted.contains(NETWORK))
}

/// What is missing when [`has_network`] is false.
pub const NETWORK_MISSING: &str = "virtual routers need the capabilities CAP_NET_ADMIN and CAP_NET_RAW";
/// What to do then.
pub const NETWORK_CURE: &str =
    "start Evenkeel as root, or with `AmbientCapabilities=CAP_NET_ADMIN CAP_NET_RAW` in its systemd unit";

const NETWORK: CapabilitySet = CapabilitySet::NET_ADMIN.union(CapabilitySet::NET_RAW);

fn own_capabilities() -> Result<CapabilitySets, String> {
    rustix::thread::capabilities(None).map_err(|error| format!("cannot read our own capabilities: {error}"))
}

fn give_up_all_but(kept: CapabilitySet, account: Option<&Account>) -> Result<(), String> {
    let failed = |what: &'static str| move |error: rustix::io::Errno| format!("cannot {what}: {error}");
    // While there is still the right to do so; without CAP_SETPCAP there is nothing in the set worth more than what
    // no_new_privs takes away below.
    empty_bounding_set();
    if let Some(account) = account {
        // The change of identity would take them all; the flag is cleared by the next execution, which there is not.
        rustix::thread::set_keep_capabilities(!kept.is_empty()).map_err(failed("keep capabilities"))?;
        become_user(account)?;
        rustix::thread::set_keep_capabilities(false).map_err(failed("keep no more capabilities"))?;
    }
    rustix::thread::clear_ambient_capability_set().map_err(failed("clear the ambient capabilities"))?;
    let sets = CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() };
    rustix::thread::set_capabilities(None, sets).map_err(failed("give up the capabilities"))?;
    rustix::thread::set_no_new_privs(true).map_err(failed("set no_new_privs"))?;
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(failed("forbid others to read our memory"))?;
    verify(kept, account)
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
fn verify(kept: CapabilitySet, account: Option<&Account>) -> Result<(), String> {
    let sets = own_capabilities()?;
    if sets.effective != kept || sets.permitted != kept {
        return Err("capabilities are left after they were given up, or lost".into());
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
            verify(none, None).unwrap();
        })
        .join()
        .unwrap();
    }
}
