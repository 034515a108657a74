//! What the supervisor and the admin role say to each other, and the JSON of the API made of the same types.

mod event;
mod reload;

use std::path::PathBuf;
use std::time::Duration;

use evenkeel_config::overlay::{Conditions, Edit};
use evenkeel_ha::message as ha;
use evenkeel_pair::message::State as PairState;
use evenkeel_proxy::message::Snapshot;
use evenkeel_traffic::address::Address;
use evenkeel_traffic::duty::Duty;
use evenkeel_traffic::name::Name;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use event::{Event, EventKind};
pub use reload::{Confirmed, Consequence, Fate, RolledBack, Trial};

/// From the supervisor to the admin role.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Order {
    /// First of all, once: where to serve. A listening socket for each door comes with the message, in their order.
    /// Answered by [`Word::Serving`].
    Serve {
        /// What may be done there.
        doors: Vec<Door>,
        /// What whoever steers over TCP must know.
        token: Option<Token>,
        /// What happened last, oldest first.
        history: Vec<Event>,
    },
    /// From now on this is the token.
    Token(Option<Token>),
    /// Something happened.
    Event(Event),
    /// The answer to a [`Word::Request`].
    Answer {
        /// From the request.
        id: u64,
        /// What came of it.
        answer: Answer,
    },
    /// Finish the answers under way and exit.
    End,
}

/// From the admin role to the supervisor.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Word {
    /// All doors are open.
    Serving,
    /// Somebody wants something. Answered by [`Order::Answer`].
    Request {
        /// Comes back in the answer.
        id: u64,
        /// Who wants it: a user of the machine, or an address that knows the token.
        by: String,
        /// What.
        command: Command,
    },
}

/// What lets somebody steer over TCP. It is not shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Token(String);

impl Token {
    /// The fewest bytes: 32 random ones cannot be guessed.
    pub const SHORTEST: usize = 32;

    /// The token in this file, without the end of its line; `None` when it is too short, or no visible ASCII.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?.trim_ascii();
        let fits = text.len() >= Self::SHORTEST && text.bytes().all(|byte| byte.is_ascii_graphic());
        fits.then(|| Self(text.to_owned()))
    }

    /// Says whether this is it, in a time that depends on its length only.
    #[must_use]
    pub fn is(&self, given: &[u8]) -> bool {
        use subtle::ConstantTimeEq;
        self.0.as_bytes().ct_eq(given).into()
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}

/// A way in, and with it what may be asked there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Door {
    /// The control socket: the file system has said who may use it, and he may do everything.
    Control,
    /// `[admin] bind` on loopback: every user of the machine reaches it, so without the token it only shows.
    Loopback,
    /// `[admin] bind` elsewhere: whoever reaches it needs the token, even to look.
    Network,
}

/// What somebody wants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// The state now. Answered by [`Answer::Status`].
    Status,
    /// Read the configuration again. Answered by [`Answer::Reloaded`].
    Reload,
    /// The same on trial: it is rolled back unless confirmed within this time. Answered by [`Answer::Reloaded`].
    TryReload {
        /// 1 s to 1 h.
        within: Duration,
    },
    /// Keep what is on trial. Answered by [`Answer::Confirmed`].
    ConfirmReload,
    /// End the trial now. Answered by [`Answer::RolledBack`] once what was before is in force.
    RollBack,
    /// What a reload would change. Answered by [`Answer::Preview`].
    Diff,
    /// Make another node hold the addresses of this virtual router. Answered by [`Answer::FailedOver`].
    Failover {
        /// Its name.
        router: String,
    },
    /// Let this node take part in the election with its full right again. Answered by [`Answer::Released`].
    ReleaseRouter {
        /// The virtual router.
        router: String,
    },
    /// Stand for election with another priority. Answered by [`Answer::Prioritized`].
    PrioritizeRouter {
        /// The virtual router.
        router: String,
        /// The priority; `None`: that of the file again.
        priority: Option<u8>,
    },
    /// Let the program that lies now where this one was started from take over. Answered by [`Answer::Upgrading`] when that
    /// has shown that it can.
    Upgrade {
        /// How long it may take to show that.
        within: Option<Duration>,
    },
    /// Drain and end. Answered by [`Answer::Stopping`] before it begins.
    Stop,
    /// How a server is set. Answered by [`Answer::Server`].
    Server {
        /// Its pool.
        pool: Name,
        /// Its name.
        server: Name,
    },
    /// Change a server. Answered by [`Answer::Edited`] once the change is in force.
    EditServer {
        /// Its pool.
        pool: Name,
        /// Its name.
        server: Name,
        /// What is to become of it.
        edit: Edit,
        /// Under which conditions.
        conditions: Conditions,
        /// How long it may drain when it is to leave.
        within: Duration,
    },
    /// Write the runtime changes into the file. Answered by [`Answer::Saved`].
    SaveConfig,
}

/// What came of a [`Command`]. Any of them may be [`Answer::Refused`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Answer {
    /// To [`Command::Status`].
    Status(Box<Status>),
    /// To [`Command::Reload`] and [`Command::TryReload`]: the configuration of the file is in force.
    Reloaded(Reloaded),
    /// To [`Command::ConfirmReload`].
    Confirmed(Confirmed),
    /// To [`Command::RollBack`].
    RolledBack(RolledBack),
    /// To [`Command::Diff`].
    Preview(Preview),
    /// To [`Command::Failover`].
    FailedOver(FailedOver),
    /// To [`Command::ReleaseRouter`].
    Released(Released),
    /// To [`Command::PrioritizeRouter`].
    Prioritized(RouterPriority),
    /// To [`Command::Upgrade`].
    Upgrading(Upgrading),
    /// To [`Command::Stop`].
    Stopping(Stopping),
    /// To [`Command::Server`].
    Server(Box<ServerSettings>),
    /// To [`Command::EditServer`].
    Edited(Box<Edited>),
    /// To [`Command::SaveConfig`].
    Saved(Saved),
    /// It was not done.
    Refused(Refusal),
}

/// The whole program at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Status {
    /// Version of the program.
    pub version: String,
    /// Process id of the supervisor.
    pub pid: u32,
    /// Start of the supervisor, in seconds since 1970-01-01T00:00:00Z.
    pub since: u64,
    /// Seconds since then, by a clock that nobody sets.
    pub uptime: u64,
    /// How many programs have run in this process, one after the other, by upgrades; this one included.
    #[serde(default)]
    pub generation: u64,
    /// Programs from before that still finish their connections.
    #[serde(default)]
    pub old_generations: Vec<OldGeneration>,
    /// How the last upgrade ended, if there was one.
    #[serde(default)]
    pub last_upgrade: Option<LastUpgrade>,
    /// What the program is doing.
    pub phase: Phase,
    /// The configuration file.
    #[schema(value_type = String)]
    pub config: PathBuf,
    /// Counts up with each plan that was sent to the proxy role.
    pub revision: u64,
    /// Where `max-connections` comes from.
    pub max_connections_from: String,
    /// The role processes.
    pub roles: Vec<RoleStatus>,
    /// How the last reload ended, if there was one.
    pub last_reload: Option<LastReload>,
    /// The configuration that is on trial, if one is.
    #[serde(default)]
    pub trial: Option<Trial>,
    /// What differs from the file because it was changed while the program ran.
    #[serde(default)]
    pub runtime_changes: Vec<RuntimeChange>,
    /// Where runtime changes are kept; `None` when they end with the program.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub state_dir: Option<PathBuf>,
    /// What an operator should look at.
    #[serde(default)]
    pub alarms: Vec<String>,
    /// The certificates in force, and files that cannot be used.
    pub certificates: Vec<CertificateStatus>,
    /// Where servers come from that the file does not list.
    #[serde(default)]
    pub sources: Vec<SourceStatus>,
    /// Listeners, pools and servers; `None` while the proxy role does not answer.
    pub traffic: Option<Snapshot>,
    /// Why `traffic` is missing.
    pub traffic_missing: Option<String>,
    /// What is known of the virtual routers; `None` when the configuration has none.
    #[serde(default)]
    pub virtual_routers: Option<VirtualRouters>,
    /// The link to the other node; `None` when the configuration has none.
    #[serde(default)]
    pub pair: Option<PairStatus>,
}

/// The link to the other node of the pair.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PairStatus {
    /// Where the other node listens.
    pub peer: String,
    /// Where this one listens.
    pub bind: String,
    /// How long connections may go on where they are once their addresses have moved, in seconds.
    pub handover_timeout: u64,
    /// How it stands.
    pub state: PairState,
}

/// The virtual routers at one moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct VirtualRouters {
    /// Their state; `None` while the high availability role does not answer.
    pub state: Option<ha::Snapshot>,
    /// Why `state` is missing.
    pub missing: Option<String>,
    /// The latest changes of state of all of them, the latest last.
    pub transitions: Vec<ha::Transition>,
    /// Priorities that are not those of the file, because they were changed while the program ran.
    #[serde(default)]
    pub runtime_priorities: Vec<RouterPriority>,
}

/// One certificate, or another file that TLS of a listener or pool needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CertificateStatus {
    /// The listener whose clients see it, if it is for one.
    pub listener: Option<String>,
    /// The pool whose servers see it, if it is for one.
    pub pool: Option<String>,
    /// The file.
    #[schema(value_type = String)]
    pub file: PathBuf,
    /// The names and patterns that the certificate is for.
    pub names: Vec<String>,
    /// `RSA`, `ECDSA` or another; `None` for what is no certificate.
    pub algorithm: Option<String>,
    /// Until when it holds, in seconds of Unix time; `None` for what is no certificate.
    pub not_after: Option<u64>,
    /// What is wrong, if anything is.
    pub problem: Option<String>,
}

/// A source of servers: a name, a file or a document that is followed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SourceStatus {
    /// The pool that gets them.
    #[schema(value_type = String)]
    pub pool: Name,
    /// `servers-from`, or the name that stands in `servers`.
    #[schema(value_type = String)]
    pub source: Name,
    /// What is looked at, such as `dns app.internal:80`.
    pub from: String,
    /// How many servers it has named last; `None` when it has never answered.
    pub servers: Option<usize>,
    /// How many it may name.
    pub most: usize,
    /// Why it is not believed or cannot be asked now, if so. The servers that it has named last stay.
    pub problem: Option<String>,
    /// Since when, in seconds of Unix time.
    pub problem_since: Option<u64>,
    /// When the list was another one the last time, in seconds of Unix time.
    pub changed_at: Option<u64>,
    /// How often it was.
    pub changes_total: u64,
    /// Looks since the proxy role follows it.
    pub looks_total: u64,
    /// Those with trouble.
    pub failures_total: u64,
}

/// What the program as a whole is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// The roles are not all ready for the first time.
    Starting,
    /// As it should be.
    Running,
    /// A new plan is being put in force.
    Reloading,
    /// Connections may finish, then the program ends.
    Stopping,
}

/// One role process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RoleStatus {
    /// `proxy`, `admin` or `ha`.
    pub name: String,
    /// Whether it does its work.
    pub state: RoleState,
    /// Its process id, while there is a process.
    pub pid: Option<u32>,
    /// Seconds since the process was started.
    pub uptime: Option<u64>,
    /// How often it had to be started again.
    pub restarts: u64,
    /// How it ended the last time, if it ever did.
    pub last_end: Option<String>,
}

/// What a role process is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RoleState {
    /// It was started and has not said yet that it is ready.
    Starting,
    /// It does its work.
    Running,
    /// It has ended and is started again after a pause.
    Waiting,
    /// It has ended for good.
    Ended,
}

/// What is left of a program that another one has taken over from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OldGeneration {
    /// Which one it was.
    pub generation: u64,
    /// Its version.
    pub version: String,
    /// Process id of its proxy role.
    pub pid: u32,
    /// When another one took over, in seconds since 1970-01-01T00:00:00Z.
    pub since: u64,
    /// Seconds after which it is gone; `None` while it serves still.
    pub left: Option<u64>,
    /// Client connections that it has, a second ago at most.
    pub connections: u64,
}

/// How an upgrade ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LastUpgrade {
    /// When, in seconds since 1970-01-01T00:00:00Z.
    pub at: u64,
    /// Whether the new program runs.
    pub succeeded: bool,
    /// What happened, in one sentence.
    pub what: String,
}

/// How a reload ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LastReload {
    /// When, in seconds since 1970-01-01T00:00:00Z.
    pub at: u64,
    /// Whether the file is in force.
    pub succeeded: bool,
    /// What happened, in one sentence.
    pub what: String,
}

/// A reload that was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Reloaded {
    /// The file that was read.
    #[schema(value_type = String)]
    pub file: PathBuf,
    /// The revision in force.
    pub revision: u64,
    /// What is different now; empty when nothing changed.
    pub changes: Vec<Difference>,
    /// What it does to connections that were open; those of everything else go on.
    #[serde(default)]
    pub consequences: Vec<Consequence>,
    /// Until when it is to be confirmed, if it is on trial.
    #[serde(default)]
    pub trial: Option<Trial>,
    /// What is probably not meant so, as text for a person; empty when there is nothing.
    pub warnings: String,
}

/// What a reload would do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Preview {
    /// The file that was read.
    #[schema(value_type = String)]
    pub file: PathBuf,
    /// What would be different; empty when nothing would.
    pub changes: Vec<Difference>,
    /// What it would do to connections that are open now; those of everything else go on.
    #[serde(default)]
    pub consequences: Vec<Consequence>,
    /// The configuration that is on trial, if one is.
    #[serde(default)]
    pub trial: Option<Trial>,
    /// What is probably not meant so, as text for a person; empty when there is nothing.
    pub warnings: String,
    /// What differs from the file because it was changed while the program ran, and stays so.
    #[serde(default)]
    pub runtime_changes: Vec<RuntimeChange>,
    /// Priorities of virtual routers that were changed while the program ran, and stay so until it ends.
    #[serde(default)]
    pub runtime_priorities: Vec<RouterPriority>,
}

/// A server that is not as the file says, because it was changed while the program ran.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RuntimeChange {
    /// Its pool.
    #[schema(value_type = String)]
    pub pool: Name,
    /// Its name.
    #[schema(value_type = String)]
    pub server: Name,
    /// In words.
    pub what: String,
    /// Who changed it last.
    pub by: String,
    /// When, in seconds since 1970-01-01T00:00:00Z.
    pub at: u64,
    /// Why it has no effect now, when it has none.
    pub idle: Option<String>,
}

/// How a server is set, by the file and by runtime changes together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ServerSettings {
    /// Its pool.
    #[schema(value_type = String)]
    pub pool: Name,
    /// Its name.
    #[schema(value_type = String)]
    pub name: Name,
    /// Where it answers.
    #[schema(value_type = String)]
    pub address: Address,
    /// Where checks ask instead.
    #[schema(value_type = Option<String>)]
    pub check_address: Option<Address>,
    /// Its share, 0 to 256.
    pub weight: u16,
    /// Its rank, 0 to 255.
    pub priority: u8,
    /// Requests or connections running on it at once; `null` sets no bound.
    pub max_connections: Option<u32>,
    /// What is wanted of it.
    #[schema(value_type = String, example = "drain")]
    pub state: Duty,
    /// It drains, and is removed then.
    pub leaving: bool,
    /// How it differs from the file, if it does.
    pub runtime_change: Option<String>,
    /// Changes whenever any of this does: `ETag`.
    #[serde(default)]
    pub tag: String,
}

/// A server that was changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Edited {
    /// How it is set now; `None` when it is gone.
    pub server: Option<ServerSettings>,
    /// There was none before.
    pub created: bool,
    /// Seconds within which it is removed, when it is leaving.
    pub leaves_within: Option<u64>,
    /// The change outlives a restart.
    pub durable: bool,
    /// What the operator should know of it.
    pub notes: Vec<String>,
}

/// The file has the runtime changes now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Saved {
    /// Files that were written; empty when there was nothing to write.
    #[schema(value_type = Vec<String>)]
    pub files: Vec<PathBuf>,
    /// What was written, in words.
    pub changes: Vec<String>,
}

/// One difference between the plan in force and the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Difference {
    /// In words.
    pub what: String,
    /// A reload does not bring it about: it holds after `stop` and a new start.
    pub needs_restart: bool,
}

/// A failover that was asked for and has taken place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FailedOver {
    /// The virtual router.
    pub router: String,
    /// Who is active now.
    #[schema(value_type = String, example = "192.168.1.2")]
    pub active: std::net::IpAddr,
    /// Whether its connections go on.
    pub kept: ha::Kept,
}

/// A node takes part in the election of a virtual router with its full right.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Released {
    /// The virtual router.
    pub router: String,
    /// Whether it stood by until now; otherwise there was nothing to do.
    pub stood_by: bool,
}

/// With what a virtual router stands for election here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RouterPriority {
    /// The virtual router.
    pub router: String,
    /// The priority, before tracking.
    pub priority: u8,
    /// What the file says.
    pub configured: u8,
    /// Who changed it last.
    pub by: String,
}

/// An upgrade that has begun: the new program has shown that it can take over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Upgrading {
    /// Process id of the supervisor, which stays.
    pub pid: u32,
    /// Version of the running program.
    pub from: String,
    /// Version of the one that takes over.
    pub to: String,
    /// `generation` of the status once it has.
    pub generation: u64,
}

/// A stop that has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Stopping {
    /// Process id of the supervisor, to wait for.
    pub pid: u32,
    /// Seconds after which connections that are left are cut.
    pub within: u64,
}

/// A command that was not carried out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Refusal {
    /// Whose turn it is now.
    pub blame: Blame,
    /// What is the matter, in one sentence.
    pub detail: String,
    /// The whole story for a person, such as a rendered report.
    pub text: Option<String>,
    /// The same for a program.
    pub report: Option<serde_json::Value>,
}

/// Who can do something about a [`Refusal`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Blame {
    /// The configuration must be changed.
    Configuration,
    /// Something else is under way: ask again later.
    Busy,
    /// There is no such thing.
    Missing,
    /// The request makes no sense.
    Request,
    /// It cannot be while other things are as they are.
    Conflict,
    /// The conditions of the request do not hold.
    Condition,
    /// The program or the machine failed.
    Failure,
}
