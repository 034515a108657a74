//! A new program proves itself before it takes over: a process of it reads the configuration and all that will be handed over,
//! and starts each kind of role. It serves nobody and changes nothing.
//!
//! [`Rehearsal`] is the side of the running program, [`perform`] that of the new one. Invariant: whatever the other program is
//! or does, the running one hears a verdict within the time that it gave.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use evenkeel_admin::message::{Order, Word};
use evenkeel_config::plan::Plan;
use evenkeel_ha::message as ha;
use evenkeel_proxy::message::{Certificates, Change, Event, Keys};
use evenkeel_sys::channel::{self, Channel};
use evenkeel_sys::process;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::process::Command;
use tokio::sync::mpsc;

use super::super::process::{Launch, MOST_REPORTS, News, Process, Report};
use super::super::sockets::Sockets;
use super::super::{availability, certificates, for_proxy, keys, logs, reload, start};
use super::handover::Handover;
use super::program::Program;
use crate::exit::Exit;
use crate::files;
use crate::role::Role;

/// How long a role may take to show that it can do its work.
const LONGEST_PROOF: Duration = Duration::from_secs(20);
/// How long a role may take to end when it has shown that.
const LONGEST_END: Duration = Duration::from_secs(2);

/// What a rehearsal came to. Spoken between programs of different versions: it may only grow, by what may be missing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Verdict {
    /// The new program can take over.
    Proved {
        /// Its version.
        version: String,
    },
    /// It cannot.
    Refused(Reason),
}

/// Why a program cannot take over.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(in super::super) struct Reason {
    /// In one sentence.
    pub(super) why: String,
    /// The whole story for a person.
    pub(super) text: Option<String>,
    /// The same for a program.
    pub(super) report: Option<Value>,
    /// The configuration must be changed.
    pub(super) configuration: bool,
}

impl From<String> for Reason {
    fn from(why: String) -> Self {
        Self { why, ..Self::default() }
    }
}

/// What it takes to rehearse.
#[derive(Debug)]
pub(super) struct Rehearsal {
    pub(super) program: Program,
    pub(super) config: std::path::PathBuf,
    pub(super) log_level: String,
    pub(super) handover: Box<Handover>,
    pub(super) within: Duration,
}

impl Rehearsal {
    /// Starts a process of the new program and hears what it says. Dropping it kills the process.
    pub(super) async fn hold(self) -> Result<String, Reason> {
        let shown = self.program.path().display().to_string();
        let within = self.within;
        match tokio::time::timeout(within, self.hear()).await {
            Ok(Ok(Verdict::Proved { version })) => Ok(version),
            Ok(Ok(Verdict::Refused(reason))) => Err(reason),
            Ok(Err(why)) => Err(format!("{shown} {why}").into()),
            Err(_) => {
                Err(format!("{shown} did not show within {within:?} that it can take over; it was killed")
                    .into())
            }
        }
    }

    async fn hear(self) -> Result<Verdict, String> {
        let failed = |error: std::io::Error| format!("cannot be tried out: {error}");
        let (ours, theirs) = channel::pair().map_err(failed)?;
        let (mut sender, mut receiver) = Channel::from_fd(ours).map_err(failed)?.split();
        let mut child = Command::new(self.program.path())
            .arg("rehearse")
            .arg("--config")
            .arg(&self.config)
            .arg("--log-level")
            .arg(&self.log_level)
            .stdin(Stdio::from(theirs))
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("cannot be started: {error}"))?;
        // One that does not read has ended, or is none of ours: its end says more than the broken pipe.
        let _ = sender.send(&self.handover, &[]).await;
        if let Ok(Some((verdict, _))) = receiver.receive::<Verdict>().await {
            // It ends by itself; nothing of it is to be seen when the next one begins.
            let _ = child.wait().await;
            return Ok(verdict);
        }
        let status = child.wait().await.map_err(failed)?;
        Err(format!(
            "said nothing of whether it can take over ({status}): is it an Evenkeel that can be upgraded to?"
        ))
    }
}

/// Rehearses, as a process of the new program.
pub(crate) fn perform(config: &Path, log_level: &str) -> Exit {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!("cannot rehearse: {error}");
            return Exit::CannotStart;
        }
    };
    match runtime.block_on(rehearse(config, log_level)) {
        Ok(()) => Exit::Well,
        Err(error) => {
            tracing::error!("cannot rehearse: {error}");
            Exit::CannotStart
        }
    }
}

async fn rehearse(config: &Path, log_level: &str) -> std::io::Result<()> {
    let (mut sender, mut receiver) = Channel::from_fd(process::take_stdin()?)?.split();
    let Some((letter, _)) = receiver.receive::<Value>().await? else { return Ok(()) };
    let verdict = tokio::select! {
        verdict = judge(letter, config, log_level) => verdict,
        // Whoever wanted to know is gone.
        _ = receiver.receive::<Value>() => return Ok(()),
    };
    let verdict = match verdict {
        Ok(()) => Verdict::Proved { version: env!("CARGO_PKG_VERSION").into() },
        Err(reason) => Verdict::Refused(reason),
    };
    sender.send(&verdict, &[]).await
}

async fn judge(letter: Value, config: &Path, log_level: &str) -> Result<(), Reason> {
    let handover = Handover::read(letter)?;
    let loaded = evenkeel_config::load(config, &files::Machine).map_err(|report| Reason {
        why: format!("{}: {}", config.display(), crate::cli::check::count(&report)),
        text: Some(report.render(false)),
        report: serde_json::to_value(&report).ok(),
        configuration: true,
    })?;
    let plan = in_force(loaded.plan, &handover);
    let mut failures: Vec<String> = availability::rights_missing(&plan).into_iter().collect();
    let user = start::run_as(&plan).map_err(|error| failures.push(error)).ok().flatten();
    let keys = keys::begin(&plan, Some(&handover.random)).map_err(|errors| failures.extend(errors)).ok();
    let tickets = Some(handover.tickets.clone());
    let read = certificates::begin(&plan, tickets).map_err(|errors| failures.extend(errors)).ok();
    failures.extend(keys::token(&plan).err());
    failures.extend(logs::LogFiles::default().open_missing(&plan).err().into_iter().flatten());
    failures.extend(Sockets::try_missing(&plan, &handover.binds().cloned().collect::<Vec<_>>()));
    let (Some(keys), Some(read)) = (keys, read) else { return Err(several(&failures)) };
    if !failures.is_empty() {
        return Err(several(&failures));
    }
    // Roles that end after a moment have nothing to say but what is wrong.
    let log_level = if log_level == "info" { "warn" } else { log_level };
    let launch = Launch { user, log_level: log_level.into() };
    let wants_ha = !plan.virtual_routers.is_empty();
    prove_proxy(&launch, &handover, Arc::new(plan), keys, read.certificates).await?;
    prove_admin(&launch).await?;
    if wants_ha {
        prove_ha(&launch).await?;
    }
    Ok(())
}

/// The plan that would be in force.
pub(super) fn in_force(plan: Plan, handover: &Handover) -> Plan {
    let plan = reload::keep_what_was_fixed(plan, &handover.global, handover.admin.as_ref());
    let base = handover.findings.settle(&plan).over(&plan);
    handover.overlay.settle(&base).over(&base)
}

fn several(failures: &[String]) -> Reason {
    match failures {
        [one] => one.clone().into(),
        several => Reason {
            why: format!("{} things are in its way", several.len()),
            text: Some(several.join("\n")),
            ..Reason::default()
        },
    }
}

/// A role that is tried out.
struct Trial<Order, Word> {
    role: Role,
    process: Process<Order>,
    reports: mpsc::Receiver<Report<Word>>,
}

impl<Order, Word> Trial<Order, Word>
where
    Order: Serialize + Send + Sync + 'static,
    Word: DeserializeOwned + Send + 'static,
{
    fn begin(role: Role, launch: &Launch) -> Result<Self, Reason> {
        let (sender, reports) = mpsc::channel(MOST_REPORTS);
        let process = Process::start(role, launch, 1, sender)
            .map_err(|error| Reason::from(format!("its {role} role cannot be started: {error}")))?;
        Ok(Self { role, process, reports })
    }

    fn tell(&self, order: Order) {
        self.process.tell(order, Vec::new());
    }

    /// Waits for a word that decides, then ends the role.
    async fn until(
        mut self,
        decides: impl Fn(Word) -> Option<Result<(), String>>,
        end: Order,
    ) -> Result<(), Reason> {
        let role = self.role;
        let word = async {
            while let Some(report) = self.reports.recv().await {
                match report.news {
                    News::Said(word) => {
                        if let Some(decided) = decides(word) {
                            return decided.map_err(|why| format!("its {role} role refuses: {why}"));
                        }
                    }
                    News::Ended { how } => return Err(format!("its {role} role has ended at once: {how}")),
                }
            }
            Err(format!("its {role} role cannot be watched"))
        };
        let decided = tokio::time::timeout(LONGEST_PROOF, word)
            .await
            .unwrap_or_else(|_| Err(format!("its {role} role was not ready within {LONGEST_PROOF:?}")));
        self.process.tell(end, Vec::new());
        let ended = async {
            while let Some(report) = self.reports.recv().await {
                if matches!(report.news, News::Ended { .. }) {
                    return;
                }
            }
        };
        // One that lives on is killed when this is dropped.
        let _ = tokio::time::timeout(LONGEST_END, ended).await;
        decided.map_err(Reason::from)
    }
}

async fn prove_proxy(
    launch: &Launch,
    handover: &Handover,
    plan: Arc<Plan>,
    keys: Keys,
    certificates: Certificates,
) -> Result<(), Reason> {
    let trial = Trial::<Change, Event>::begin(Role::Proxy, launch)?;
    let Handover { workers, max_connections, .. } = *handover;
    trial.tell(Change::Start { workers, max_connections });
    trial.tell(Change::Keys { keys });
    trial.tell(Change::Certificates { certificates });
    trial.tell(Change::Rehearse { revision: 1, plan: for_proxy(&plan) });
    let decides = |event| match event {
        Event::Applied { .. } => Some(Ok(())),
        Event::Refused { why, .. } => Some(Err(why)),
        _ => None,
    };
    trial.until(decides, Change::Drain { within: Duration::ZERO }).await
}

async fn prove_admin(launch: &Launch) -> Result<(), Reason> {
    let trial = Trial::<Order, Word>::begin(Role::Admin, launch)?;
    trial.tell(Order::Serve { doors: Vec::new(), token: None, history: Vec::new() });
    trial.until(|word| matches!(word, Word::Serving).then_some(Ok(())), Order::End).await
}

/// It is told of no virtual router, so it touches nothing.
async fn prove_ha(launch: &Launch) -> Result<(), Reason> {
    let trial = Trial::<ha::Change, ha::Event>::begin(Role::Ha, launch)?;
    trial.tell(ha::Change::Snapshot { id: 1 });
    let decides = |event| matches!(event, ha::Event::Snapshot { .. }).then_some(Ok(()));
    trial.until(decides, ha::Change::Stop).await
}
