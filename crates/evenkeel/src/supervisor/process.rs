//! One role process: its start, what it is told, what it says, its end.
//!
//! Invariants: exactly one [`Report::Ended`] comes from each process, after everything else it said; whatever the
//! process does, that takes no longer than [`LAST_MOMENTS`] from the end of its channel.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use evenkeel_sys::channel::{self, Channel, Receiver, Sender};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::process::{Child, Command};
use tokio::sync::{Notify, mpsc};

use crate::role::Role;

/// Messages that may wait for a role to read them: all binds of the largest plan two times, and some.
const MOST_PARCELS: usize = 2 * evenkeel_config::plan::MOST_BINDS + 256;
/// Words of a role that may wait for the supervisor; then the role waits.
pub(super) const MOST_REPORTS: usize = 256;
/// How long a process may live on without its channel before it is killed.
pub(super) const LAST_MOMENTS: Duration = Duration::from_secs(2);

/// What is told to a role.
#[derive(Debug)]
pub(super) struct Parcel<Order> {
    pub(super) order: Order,
    pub(super) sockets: Vec<Arc<OwnedFd>>,
}

/// What comes from a role, with the generation of the process it comes from.
#[derive(Debug)]
pub(super) struct Report<Word> {
    pub(super) generation: u64,
    pub(super) news: News<Word>,
}

/// What is new.
#[derive(Debug)]
pub(super) enum News<Word> {
    /// It said something.
    Said(Word),
    /// It has ended.
    Ended {
        /// In words.
        how: String,
    },
}

/// How role processes are started.
#[derive(Clone, Debug)]
pub(super) struct Launch {
    /// Whom they become.
    pub(super) user: Option<String>,
    /// What they log.
    pub(super) log_level: String,
}

/// A running role process. Dropping it kills the process.
#[derive(Debug)]
pub(super) struct Process<Order> {
    pub(super) pid: Option<u32>,
    outbox: mpsc::Sender<Parcel<Order>>,
    kill: Arc<Notify>,
    /// Our end of its channel, for the program that takes over.
    channel: Arc<OwnedFd>,
}

impl<Order: Serialize + Send + Sync + 'static> Process<Order> {
    /// Starts a role.
    pub(super) fn start<Word: DeserializeOwned + Send + 'static>(
        role: Role,
        launch: &Launch,
        generation: u64,
        reports: mpsc::Sender<Report<Word>>,
    ) -> std::io::Result<Self> {
        let (ours, theirs) = channel::pair()?;
        let copy = Arc::new(ours.try_clone()?);
        let (sender, receiver) = Channel::from_fd(ours)?.split();
        let child = command(role, launch).stdin(Stdio::from(theirs)).spawn()?;
        let pid = child.id();
        let (outbox, parcels) = mpsc::channel(MOST_PARCELS);
        let kill = Arc::new(Notify::new());
        let deliverer = tokio::spawn(deliver(parcels, sender));
        let watched = Watched { child, receiver, kill: Arc::clone(&kill) };
        tokio::spawn(async move {
            let how = watched.watch(generation, &reports).await;
            deliverer.abort();
            // When nobody listens the program is ending.
            let _ = reports.send(Report { generation, news: News::Ended { how } }).await;
        });
        Ok(Self { pid, outbox, kill, channel: copy })
    }

    /// What it takes to go on with it.
    pub(super) fn grip(&self) -> Option<(u32, Arc<OwnedFd>)> {
        Some((self.pid?, Arc::clone(&self.channel)))
    }

    /// Tells it something; `false` when it has not read for so long that there is no more room.
    pub(super) fn tell(&self, order: Order, sockets: Vec<Arc<OwnedFd>>) -> bool {
        !matches!(self.outbox.try_send(Parcel { order, sockets }), Err(mpsc::error::TrySendError::Full(_)))
    }

    /// Ends it at once.
    pub(super) fn kill(&self) {
        self.kill.notify_one();
    }
}

impl<Order> Drop for Process<Order> {
    fn drop(&mut self) {
        self.kill.notify_one();
    }
}

/// The program itself, as a role.
fn command(role: Role, launch: &Launch) -> Command {
    let mut command = std::process::Command::new("/proc/self/exe");
    command.arg0("evenkeel");
    command.arg("role").arg(role.name()).arg("--log-level").arg(&launch.log_level);
    if let Some(user) = &launch.user {
        command.arg("--user").arg(user);
    }
    // Variables of the configuration may be secrets, which are none of a role's business.
    let kept = ["RUST_BACKTRACE", "NO_COLOR", "TERM", "TZ"];
    command.env_clear().envs(kept.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
    // Ctrl-C in a terminal is for the supervisor, which then lets the roles finish.
    command.process_group(0);
    let mut command = Command::from(command);
    // The ha role gives its addresses away when its channel ends; killed it would leave them behind.
    command.kill_on_drop(role != Role::Ha);
    command
}

/// Sends parcels until the process or the supervisor has no more use for it.
async fn deliver<Order: Serialize>(mut parcels: mpsc::Receiver<Parcel<Order>>, mut sender: Sender) {
    while let Some(Parcel { order, sockets }) = parcels.recv().await {
        let descriptors: Vec<_> = sockets.iter().map(|socket| socket.as_fd()).collect();
        if let Err(error) = sender.send(&order, &descriptors).await {
            // The end of the process is reported by whoever watches it.
            tracing::debug!("a role cannot be told anything any more: {error}");
            return;
        }
    }
}

/// A process under observation.
struct Watched {
    child: Child,
    receiver: Receiver,
    kill: Arc<Notify>,
}

impl Watched {
    /// Passes on what the process says until it has ended, and says how it did.
    async fn watch<Word: DeserializeOwned>(
        mut self,
        generation: u64,
        reports: &mpsc::Sender<Report<Word>>,
    ) -> String {
        let cut = loop {
            let received = tokio::select! {
                received = self.receiver.receive() => received,
                () = self.kill.notified() => break Some("it was killed by its supervisor".to_owned()),
            };
            match received {
                Ok(Some((word, _))) => {
                    if reports.send(Report { generation, news: News::Said(word) }).await.is_err() {
                        break Some("the supervisor ends".into());
                    }
                }
                Ok(None) => break None,
                // A process that is killed while messages are unread resets its end of the channel.
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => break None,
                Err(error) => break Some(format!("it said what cannot be understood: {error}")),
            }
        };
        if cut.is_none()
            && let Ok(status) = tokio::time::timeout(LAST_MOMENTS, self.child.wait()).await
        {
            return status.map_or_else(|error| format!("its end is unknown: {error}"), describe);
        }
        // SIGKILL cannot be refused, and the process is ours: what fails here is that it has ended already.
        let _ = self.child.kill().await;
        cut.unwrap_or_else(|| "it closed its channel, lived on and was killed".into())
    }
}

/// An exit status in words.
fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(0), _) => "it ended by itself".into(),
        (Some(code), _) => format!("it ended with exit code {code}"),
        (None, Some(signal)) => format!("it was killed by signal {signal}"),
        (None, None) => status.to_string(),
    }
}
