//! What happened, as `/v1/events` and the log tell it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Something that happened, for `/v1/events` and the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Event {
    /// Counts up, from event to event and from start to start.
    pub id: u64,
    /// When, in milliseconds since 1970-01-01T00:00:00Z.
    pub at: u64,
    /// What kind of thing.
    pub kind: EventKind,
    /// What it is about, such as `website/webserver01`; empty for the program as a whole.
    pub subject: String,
    /// What happened, in words.
    pub what: String,
    /// Who did it, when somebody did.
    pub by: Option<String>,
    /// What was before, when something was changed.
    pub before: Option<String>,
    /// What is now, when something was changed.
    pub after: Option<String>,
}

/// Kinds of [`Event`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EventKind {
    /// The program began.
    Started,
    /// A reload was done or refused.
    Reload,
    /// A configuration on trial was confirmed and stays.
    ReloadConfirmed,
    /// A configuration on trial was rolled back.
    RolledBack,
    /// Another program has taken over, or was refused.
    Upgrade,
    /// A server was changed at run time.
    ServerChanged,
    /// A server takes traffic again: its check passes, or live traffic went well.
    ServerUp,
    /// A server takes no traffic: its check fails, or its agent wants none.
    ServerDown,
    /// A server takes no traffic for a while, because live traffic failed.
    ServerEjected,
    /// All servers of a pool are down.
    PoolDown,
    /// Not all servers of a pool are down any more.
    PoolUp,
    /// A source of servers says something else, or answers again.
    SourceChanged,
    /// Somebody has asked something of a virtual router.
    VirtualRouterSteered,
    /// The file has the runtime changes now.
    ConfigSaved,
    /// A role process has ended.
    RoleEnded,
    /// Something an operator should look at.
    Alarm,
    /// The program is about to end.
    Stopping,
    /// A virtual router has another state.
    VirtualRouterChanged,
    /// A virtual router has stayed active when another one, which was active as well, ceased to be.
    Reasserted,
    /// The link to the other node has come or gone, or somebody who does not know its key has called.
    PairChanged,
}

impl EventKind {
    /// As the API writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Reload => "reload",
            Self::ReloadConfirmed => "reload-confirmed",
            Self::RolledBack => "rolled-back",
            Self::Upgrade => "upgrade",
            Self::ServerChanged => "server-changed",
            Self::ServerUp => "server-up",
            Self::ServerDown => "server-down",
            Self::ServerEjected => "server-ejected",
            Self::PoolDown => "pool-down",
            Self::PoolUp => "pool-up",
            Self::SourceChanged => "source-changed",
            Self::VirtualRouterSteered => "virtual-router-steered",
            Self::ConfigSaved => "config-saved",
            Self::RoleEnded => "role-ended",
            Self::Alarm => "alarm",
            Self::Stopping => "stopping",
            Self::VirtualRouterChanged => "virtual-router-changed",
            Self::Reasserted => "reasserted",
            Self::PairChanged => "pair-changed",
        }
    }
}
