//! What happens to the first node, and how it is undone.

use evenkeel_testkit::lab::Silence;
use rustix::process::{Signal, kill_process};

use super::pair::Pair;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fault {
    /// It is stopped in good order.
    Term,
    /// All its processes are killed.
    KillAll,
    /// Its supervisor is killed.
    KillMain,
    /// Its ha role is killed.
    KillRole,
    /// Its cable is cut.
    LinkDown,
    /// Its interface is taken down.
    AdminDown,
    /// Its frames vanish while the carrier stays.
    Silent,
    /// The machine is gone.
    Power,
    /// No process gets the processor any more.
    Freeze,
    /// The same configuration is read again.
    Reload,
    /// An address is added.
    AddAddress,
    /// An address is removed.
    RemoveAddress,
}

/// What must follow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Outcome {
    /// The second node takes over when its time is over.
    TakeOver,
    /// Nothing.
    Nothing,
}

/// Another IPv4 address that comes and goes.
const ANOTHER: &str = "10.99.0.51/24";

impl Fault {
    pub(super) const ALL: [Self; 12] = [
        Self::Term,
        Self::KillAll,
        Self::KillMain,
        Self::KillRole,
        Self::LinkDown,
        Self::AdminDown,
        Self::Silent,
        Self::Power,
        Self::Freeze,
        Self::Reload,
        Self::AddAddress,
        Self::RemoveAddress,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Term => "term",
            Self::KillAll => "kill9",
            Self::KillMain => "kill9main",
            Self::KillRole => "kill9role",
            Self::LinkDown => "linkdown",
            Self::AdminDown => "admindown",
            Self::Silent => "silent",
            Self::Power => "power",
            Self::Freeze => "freeze",
            Self::Reload => "reload",
            Self::AddAddress => "reload-add",
            Self::RemoveAddress => "reload-remove",
        }
    }

    pub(super) fn outcome(self) -> Outcome {
        match self {
            Self::KillRole | Self::Reload | Self::AddAddress | Self::RemoveAddress => Outcome::Nothing,
            _ => Outcome::TakeOver,
        }
    }

    /// Whether the first node may be active without knowing of the second when the fault is undone.
    pub(super) fn heals_two_owners(self) -> bool {
        self == Self::Silent
    }

    /// What has to be so before.
    pub(super) fn prepare(self, pair: &Pair) -> Result<(), String> {
        if self == Self::RemoveAddress { pair_reload(pair, &[ANOTHER]) } else { Ok(()) }
    }

    pub(super) fn strike(self, pair: &Pair) -> Result<(), String> {
        let a = pair.a.as_ref().ok_or("the first node does not run")?;
        match self {
            Self::Term => a.terminate(),
            Self::KillAll => a.kill_all(),
            Self::KillMain => a.kill_main(),
            Self::KillRole => kill_process(a.role("ha")?, Signal::KILL).map_err(|error| error.to_string())?,
            Self::LinkDown => pair.cable.cut(),
            Self::AdminDown => pair.cable.disable(),
            Self::Silent => pair.cable.silence(Silence::Both),
            Self::Power => {
                pair.cable.cut();
                a.kill_all();
            }
            Self::Freeze => a.freeze(),
            Self::Reload => pair_reload(pair, &[])?,
            Self::AddAddress => pair_reload(pair, &[ANOTHER])?,
            Self::RemoveAddress => pair_reload(pair, &[])?,
        }
        Ok(())
    }

    pub(super) fn undo(self, pair: &mut Pair) -> Result<(), String> {
        match self {
            Self::Term | Self::KillAll | Self::KillMain => {
                if let Some(a) = pair.a.take() {
                    a.wait();
                }
                pair.start_first();
            }
            Self::Power => {
                if let Some(a) = pair.a.take() {
                    a.wait();
                }
                // A machine that starts again holds nothing.
                let addresses: &[&str] = match pair.timing.families() {
                    [_] => &["10.99.0.50/24"],
                    _ => &["10.99.0.50/24", "fe80::50/64", "fd99::50/64"],
                };
                for address in addresses {
                    pair.first.ip(&format!("address del {address} dev eth0"));
                }
                pair.cable.heal();
                pair.start_first();
            }
            Self::LinkDown | Self::AdminDown | Self::Silent => pair.cable.heal(),
            Self::Freeze => pair.a.as_ref().ok_or("the first node does not run")?.resume(),
            Self::AddAddress => pair_reload(pair, &[])?,
            Self::KillRole | Self::Reload | Self::RemoveAddress => {}
        }
        Ok(())
    }
}

fn pair_reload(pair: &Pair, more: &[&str]) -> Result<(), String> {
    let a = pair.a.as_ref().ok_or("the first node does not run")?;
    a.reload(&pair.first_configuration(more))
}
