//! An upgrade: the program that lies now where this one was started from takes its place, in the same process.
//!
//! ```text
//!   rehearse ─▶ settle ─▶ retire the roles ─▶ close the API ─▶ execute ─▶ (the new program) start beside the old roles ─▶ drain them
//!   a process   nothing    they serve on       and the notices                               once its own roles are ready
//!   of the new  else is    and say no more
//!   program     under way
//! ```
//!
//! Invariants: until the execution everything can be taken back, and is when something fails or takes too long; there is one
//! upgrade at a time; between the retirement and the execution nothing else is done.

mod handover;
mod program;
mod rehearsal;
mod succeed;
mod take_over;

use std::time::Duration;

use evenkeel_admin::message::{Answer, Blame, EventKind, LastUpgrade, Order, Refusal, Upgrading};
use evenkeel_ha::message as ha;
use evenkeel_proxy::message::{Change, Legacy, Snapshot};
use evenkeel_sys::process::notify::State as Notice;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::events::Happened;
use super::past::seconds;
use super::{Asker, Supervisor, refuse};
pub(super) use handover::{Handover, OldRole};
use program::{Edition, Program};
pub(super) use rehearsal::Reason;
use rehearsal::Rehearsal;
pub(crate) use rehearsal::perform as rehearse;
pub(super) use take_over::{Inherited, inherited};

/// How long a new program may take to show that it can take over, when nobody says otherwise.
const USUAL_REHEARSAL: Duration = Duration::from_secs(20);
/// How long reloads, edits and handovers that are under way are waited for.
const LONGEST_SETTLING: Duration = Duration::from_secs(20);
/// How long the roles may take to retire.
const LONGEST_RETIREMENT: Duration = Duration::from_secs(5);
/// How long the last answers of the API and the notices under way may take.
const LONGEST_CLOSING: Duration = Duration::from_secs(5);

/// See the module.
#[derive(Debug)]
pub(super) struct Upgrades {
    /// `None`: this process is more than the program, so nothing can take its place.
    program: Option<Program>,
    log_level: String,
    generation: u64,
    stage: Stage,
    verdicts: (mpsc::Sender<Verdict>, mpsc::Receiver<Verdict>),
    /// What the proxy role has left when it retired.
    retired: (Legacy, Snapshot),
    pub(super) last: Option<LastUpgrade>,
    /// Who began the upgrade that this program completes, and of which version the one before was.
    pub(super) completes: Option<(String, String)>,
}

/// What a rehearsal came to: the version of the new program, or why not.
type Verdict = Result<String, Reason>;

#[derive(Debug)]
enum Stage {
    Idle,
    Rehearsing {
        wish: Wish,
        task: AbortHandle,
    },
    Settling {
        wish: Wish,
        version: String,
        by: Instant,
    },
    Retiring {
        wish: Wish,
        version: String,
        by: Instant,
        proxy: Waiting,
        ha: Waiting,
    },
    /// It was answered.
    Closing {
        wish: Wish,
        by: Instant,
    },
}

/// Somebody's wish, and the file that it is about.
#[derive(Debug)]
struct Wish {
    asker: Option<Asker>,
    by: String,
    edition: Edition,
}

/// A role that is to retire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waiting {
    /// It has not answered.
    Yes,
    /// It has, or there is none.
    No,
}

impl Upgrades {
    /// `renewable`: another program can take the place of this process.
    pub(super) fn new(renewable: bool, log_level: &str, generation: u64) -> Self {
        let program = renewable.then(|| {
            Program::of_this_process().map_err(|why| tracing::warn!("no upgrade will be possible: {why}"))
        });
        Self {
            program: program.and_then(Result::ok),
            log_level: log_level.into(),
            generation,
            stage: Stage::Idle,
            verdicts: mpsc::channel(1),
            retired: Default::default(),
            last: None,
            completes: None,
        }
    }

    /// The next verdict. Cancel-safe.
    pub(super) async fn verdict(&mut self) -> Option<Verdict> {
        self.verdicts.1.recv().await
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    /// Nothing else may be begun.
    pub(super) fn is_handing_over(&self) -> bool {
        matches!(self.stage, Stage::Retiring { .. } | Stage::Closing { .. })
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match &self.stage {
            Stage::Idle | Stage::Rehearsing { .. } => None,
            Stage::Settling { by, .. } | Stage::Retiring { by, .. } | Stage::Closing { by, .. } => Some(*by),
        }
    }
}

impl Supervisor {
    pub(super) fn upgrade_on_signal(&mut self, now: Instant) {
        self.begin_upgrade(None, "SIGUSR2".into(), USUAL_REHEARSAL, now);
    }

    pub(super) fn upgrade_on_command(
        &mut self,
        asker: Asker,
        by: String,
        within: Option<Duration>,
        now: Instant,
    ) {
        self.begin_upgrade(Some(asker), by, within.unwrap_or(USUAL_REHEARSAL), now);
    }

    fn begin_upgrade(&mut self, asker: Option<Asker>, by: String, within: Duration, now: Instant) {
        let why = if self.ending.is_some() {
            Some("Evenkeel is stopping".to_owned())
        } else if !matches!(self.upgrades.stage, Stage::Idle) {
            Some("an upgrade is under way already".to_owned())
        } else if !self.complete {
            Some("Evenkeel is starting: ask again in a moment".to_owned())
        } else if self.trial.is_some() {
            Some(
                "a configuration is on trial, which a program that takes over would not know: confirm it with `evenkeel reload \
                 --confirmed` or end the trial with `evenkeel reload --roll-back` first"
                    .to_owned(),
            )
        } else {
            self.past.is_in_the_way(now)
        };
        if let Some(why) = why {
            tracing::warn!("no upgrade: {why}");
            if let Some(asker) = asker {
                self.answer(asker, refuse(Blame::Busy, why));
            }
            return;
        }
        let found = match &self.upgrades.program {
            Some(program) => program.edition().map(|edition| (program.clone(), edition)),
            None => Err("this process cannot be replaced: only `evenkeel run` can be upgraded".to_owned()),
        };
        let (program, edition) = match found {
            Ok(found) => found,
            Err(why) => return self.upgrade_refused(asker, &by, why.into()),
        };
        tracing::info!("upgrade on {by}: {} is tried out, for {within:?} at most", program.path().display());
        let rehearsal = Rehearsal {
            program,
            config: self.config.clone(),
            log_level: self.upgrades.log_level.clone(),
            handover: Box::new(self.draft(&by, now)),
            within,
        };
        let verdicts = self.upgrades.verdicts.0.clone();
        let task = tokio::spawn(async move {
            let _ = verdicts.send(rehearsal.hold().await).await;
        });
        let wish = Wish { asker, by, edition };
        self.upgrades.stage = Stage::Rehearsing { wish, task: task.abort_handle() };
    }

    /// The new program has shown what it can.
    pub(super) fn rehearsed(&mut self, verdict: Verdict, now: Instant) {
        let Stage::Rehearsing { wish, .. } = std::mem::replace(&mut self.upgrades.stage, Stage::Idle) else {
            return;
        };
        match verdict {
            Ok(version) => {
                tracing::info!("Evenkeel {version} can take over");
                self.upgrades.stage = Stage::Settling { wish, version, by: now + LONGEST_SETTLING };
            }
            Err(reason) => self.upgrade_refused(wish.asker, &wish.by, reason),
        }
    }

    /// Goes on as far as things allow.
    pub(super) fn tick_upgrade(&mut self, now: Instant) {
        let is_late = self.upgrades.deadline().is_some_and(|by| by <= now);
        match &self.upgrades.stage {
            Stage::Idle | Stage::Rehearsing { .. } => {}
            Stage::Settling { .. } if self.is_settled() => self.retire_roles(now),
            Stage::Settling { .. } if is_late => self.give_up_upgrade(
                "a reload, a change or a handover of addresses was under way for too long".into(),
                now,
            ),
            Stage::Settling { .. } => {}
            Stage::Retiring { proxy: Waiting::No, ha: Waiting::No, .. } => self.close_the_api(now),
            Stage::Retiring { .. } if is_late => {
                self.give_up_upgrade("a role did not prepare itself in time".into(), now);
            }
            Stage::Retiring { .. } => {}
            Stage::Closing { .. } if (self.admin.is_alive() || self.pair.keeper.is_alive()) && is_late => {
                self.admin.kill();
                self.admin.retire();
                self.pair.keeper.kill();
                self.pair.keeper.retire();
            }
            Stage::Closing { .. }
                if self.admin.is_alive()
                    || self.pair.keeper.is_alive()
                    || (!self.telling.is_idle() && !is_late) => {}
            Stage::Closing { .. } => {
                // Comes back only when it fails.
                let why = self.execute(now);
                self.give_up_upgrade(why, now);
            }
        }
    }

    fn is_settled(&self) -> bool {
        let is_starting = (self.proxy.is_alive() && !self.proxy.is_ready())
            || (self.ha.keeper.is_alive() && !self.ha.keeper.is_ready());
        self.complete && !self.is_under_way() && !is_starting
    }

    /// The roles say from now on only what they are asked.
    fn retire_roles(&mut self, now: Instant) {
        let Stage::Settling { wish, version, .. } = std::mem::replace(&mut self.upgrades.stage, Stage::Idle)
        else {
            return;
        };
        if !self
            .upgrades
            .program
            .as_ref()
            .is_some_and(|program| program.edition().as_ref() == Ok(&wish.edition))
        {
            let why = "the program was replaced while it was tried out: ask again".to_owned();
            return self.upgrade_refused(wish.asker, &wish.by, why.into());
        }
        self.notify(&[Notice::Reloading]);
        self.save_found();
        let waiting = |is_ready: bool| if is_ready { Waiting::Yes } else { Waiting::No };
        let (proxy, ha) = (waiting(self.proxy.is_ready()), waiting(self.ha.keeper.is_ready()));
        self.proxy.tell(Change::Retire, Vec::new());
        self.ha.keeper.tell(ha::Change::Retire, Vec::new());
        self.upgrades.retired = Default::default();
        self.upgrades.stage = Stage::Retiring { wish, version, by: now + LONGEST_RETIREMENT, proxy, ha };
        self.tick_upgrade(now);
    }

    /// The proxy role has said the last that is not asked of it.
    pub(super) fn proxy_retired(&mut self, legacy: Legacy, mut snapshot: Snapshot, now: Instant) {
        if let Stage::Retiring { proxy, .. } = &mut self.upgrades.stage {
            *proxy = Waiting::No;
            snapshot.revision = self.revision;
            self.upgrades.retired = (legacy, snapshot);
            self.tick_upgrade(now);
        }
    }

    /// The same of the high availability role.
    pub(super) fn ha_retired(&mut self, now: Instant) {
        if let Stage::Retiring { ha, .. } = &mut self.upgrades.stage {
            *ha = Waiting::No;
            self.tick_upgrade(now);
        }
    }

    /// A role has ended, so that there is nothing to go on with.
    pub(super) fn upgrade_lost_a_role(&mut self, now: Instant) {
        if self.upgrades.is_handing_over() {
            self.give_up_upgrade("a role ended in the middle of it".into(), now);
        }
    }

    fn close_the_api(&mut self, now: Instant) {
        let Stage::Retiring { wish, version, .. } = std::mem::replace(&mut self.upgrades.stage, Stage::Idle)
        else {
            return;
        };
        if let Some(asker) = wish.asker {
            let answer = Upgrading {
                pid: std::process::id(),
                from: env!("CARGO_PKG_VERSION").into(),
                to: version,
                generation: self.upgrades.generation + 1,
            };
            self.answer(asker, Answer::Upgrading(answer));
        }
        self.admin.tell(Order::End, Vec::new());
        self.end_pair();
        self.watch_nothing();
        self.upgrades.stage = Stage::Closing { wish, by: now + LONGEST_CLOSING };
        self.tick_upgrade(now);
    }

    /// Everything is as before.
    fn give_up_upgrade(&mut self, why: String, now: Instant) {
        let was_handing_over = self.upgrades.is_handing_over();
        let wish = match std::mem::replace(&mut self.upgrades.stage, Stage::Idle) {
            Stage::Idle => return,
            Stage::Rehearsing { wish, task } => {
                task.abort();
                wish
            }
            Stage::Settling { wish, .. } | Stage::Retiring { wish, .. } => wish,
            Stage::Closing { wish, .. } => Wish { asker: None, ..wish },
        };
        if was_handing_over && self.ending.is_none() {
            // Any of these lets a role speak again.
            self.track_the_plan(now);
            if self.ha.keeper.is_alive() {
                self.tell_ha_the_plan();
            }
            if !self.admin.is_alive() {
                self.start_admin(now);
            }
            if !self.pair.keeper.is_alive() {
                self.start_pair(now);
            }
            self.notify(&[Notice::Ready]);
        }
        self.upgrade_refused(wish.asker, &wish.by, why.into());
    }

    /// The program ends: so does every upgrade.
    pub(super) fn upgrade_ends(&mut self, now: Instant) {
        self.give_up_upgrade("Evenkeel is stopping".into(), now);
    }

    /// Tells everybody that this program goes on, and why.
    fn upgrade_refused(&mut self, asker: Option<Asker>, by: &str, reason: Reason) {
        let Reason { why, text, report, configuration } = reason;
        tracing::error!("upgrade refused, this program goes on: {why}");
        for line in text.iter().flat_map(|text| text.lines()) {
            tracing::error!("  {line}");
        }
        let what = format!("refused, the running program goes on: {why}");
        self.upgraded(by, what, false);
        if let Some(asker) = asker {
            let blame = if configuration { Blame::Configuration } else { Blame::Failure };
            self.answer(asker, Answer::Refused(Refusal { blame, detail: why, text, report }));
        }
    }

    /// The audit line, the event and what `status` shows.
    fn upgraded(&mut self, by: &str, what: String, succeeded: bool) {
        tracing::info!("audit: {by}: upgrade: {what}");
        self.happened(Happened::new(EventKind::Upgrade, what.clone()).by(by));
        self.upgrades.last = Some(LastUpgrade { at: seconds(), succeeded, what });
    }

    /// Every role of this program is ready: the upgrade that has begun it is done.
    pub(super) fn complete_upgrade(&mut self) {
        if let Some((by, before)) = self.upgrades.completes.take() {
            let what = format!(
                "from Evenkeel {before} to {}, generation {}",
                env!("CARGO_PKG_VERSION"),
                self.upgrades.generation
            );
            tracing::info!("upgrade done: {what}");
            self.upgraded(&by, what, true);
        }
    }
}
