//! What the supervisor and the admin role say to each other, and the JSON of the API made of the same types.

use std::path::PathBuf;

use evenkeel_proxy::message::Snapshot;
use serde::{Deserialize, Serialize};

/// From the supervisor to the admin role.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Order {
    /// First of all, once: where to serve. A listening socket for each door comes with the message, in their order.
    /// Answered by [`Word::Serving`].
    Serve {
        /// What may be done there.
        doors: Vec<Door>,
    },
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
        /// What.
        command: Command,
    },
}

/// A way in, and with it what may be asked there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Door {
    /// The control socket: the file system has said who may use it, and he may do everything.
    Control,
    /// `[admin] bind`, loopback TCP: every user of the machine reaches it, so it only shows.
    Tcp,
}

/// What somebody wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// The state now. Answered by [`Answer::Status`].
    Status,
    /// Read the configuration again. Answered by [`Answer::Reloaded`].
    Reload,
    /// What a reload would change. Answered by [`Answer::Preview`].
    Diff,
    /// Drain and end. Answered by [`Answer::Stopping`] before it begins.
    Stop,
}

/// What came of a [`Command`]. Any of them may be [`Answer::Refused`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Answer {
    /// To [`Command::Status`].
    Status(Box<Status>),
    /// To [`Command::Reload`]: the configuration of the file is in force.
    Reloaded(Reloaded),
    /// To [`Command::Diff`].
    Preview(Preview),
    /// To [`Command::Stop`].
    Stopping(Stopping),
    /// It was not done.
    Refused(Refusal),
}

/// The whole program at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Version of the program.
    pub version: String,
    /// Process id of the supervisor.
    pub pid: u32,
    /// Start of the supervisor, in seconds since 1970-01-01T00:00:00Z.
    pub since: u64,
    /// Seconds since then, by a clock that nobody sets.
    pub uptime: u64,
    /// What the program is doing.
    pub phase: Phase,
    /// The configuration file.
    pub config: PathBuf,
    /// Counts up with each plan that was sent to the proxy role.
    pub revision: u64,
    /// Where `max-connections` comes from.
    pub max_connections_from: String,
    /// The role processes.
    pub roles: Vec<RoleStatus>,
    /// How the last reload ended, if there was one.
    pub last_reload: Option<LastReload>,
    /// The certificates in force, and files that cannot be used.
    pub certificates: Vec<CertificateStatus>,
    /// Listeners, pools and servers; `None` while the proxy role does not answer.
    pub traffic: Option<Snapshot>,
    /// Why `traffic` is missing.
    pub traffic_missing: Option<String>,
}

/// One certificate, or another file that TLS of a listener needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateStatus {
    /// The listener.
    pub listener: String,
    /// The file.
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

/// What the program as a whole is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleStatus {
    /// `proxy` or `admin`.
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

/// How a reload ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastReload {
    /// When, in seconds since 1970-01-01T00:00:00Z.
    pub at: u64,
    /// Whether the file is in force.
    pub succeeded: bool,
    /// What happened, in one sentence.
    pub what: String,
}

/// A reload that was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reloaded {
    /// The file that was read.
    pub file: PathBuf,
    /// The revision in force.
    pub revision: u64,
    /// What is different now; empty when nothing changed.
    pub changes: Vec<Difference>,
    /// What is probably not meant so, as text for a person; empty when there is nothing.
    pub warnings: String,
}

/// What a reload would do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preview {
    /// The file that was read.
    pub file: PathBuf,
    /// What would be different; empty when nothing would.
    pub changes: Vec<Difference>,
    /// What is probably not meant so, as text for a person; empty when there is nothing.
    pub warnings: String,
}

/// One difference between the plan in force and the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// In words.
    pub what: String,
    /// A reload does not bring it about: it holds after `stop` and a new start.
    pub needs_restart: bool,
}

/// A stop that has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    /// The program or the machine failed.
    Failure,
}
