//! Roles of programs that ran here before: they finish what they have begun, within bounds, while this one serves.
//!
//! What is said with them is `Snapshot`, `Drain` and `Leave` and their answers: words of the format of the handover. Answers
//! that cannot be understood are passed over; the end of the process is seen whatever it says.
//!
//! Invariants: an old role ends at the latest when its time is over, and nobody waits for it longer; counts do not fall when
//! one has ended; there are at most [`MOST_OLD`] of them.

mod companion;

use std::time::{Duration, SystemTime};

use evenkeel_admin::message::{EventKind, OldGeneration};
use evenkeel_ha::message as ha;
use evenkeel_proxy::message::{Change, Event, Legacy, Snapshot};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::Supervisor;
use super::events::Happened;
use super::process::LAST_MOMENTS;
use super::upgrade::{Handover, OldRole};
use companion::Companion;
pub(super) use companion::Said;

/// Old generations that may finish their connections at once. When there are as many, no further upgrade begins.
pub(super) const MOST_OLD: usize = 4;
/// How much longer than it was told an old role may take to end.
const MARGIN: Duration = Duration::from_secs(2);
/// How often what it counts is asked for.
const LOOK: Duration = Duration::from_secs(1);
/// How long the high availability role of the program before may take to let go of its addresses; then it is killed, which
/// leaves them where they are as well.
const LONGEST_LEAVE: Duration = Duration::from_secs(1);
/// The same when the addresses are to be handed to other nodes: the plan that said how long that takes is gone.
const LONGEST_HANDOVER: Duration = Duration::from_secs(60);
/// The question to a high availability role that has just been started: its answer says that it is there.
const ARE_YOU_THERE: u64 = u64::MAX;
/// News that may wait for the supervisor; companions wait beyond.
const MOST_NEWS: usize = 64;

/// What a companion of an old role says.
#[derive(Debug)]
pub(super) struct News {
    pid: u32,
    said: Said,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Past {
    news: (mpsc::Sender<News>, mpsc::Receiver<News>),
    /// Counts of those that have ended.
    counts: Snapshot,
    /// The same of virtual routers.
    ha_counts: ha::Snapshot,
    /// What was known of the servers, for the first proxy role of this program.
    legacy: Option<Legacy>,
    proxies: Vec<OldProxy>,
    ha: Option<OldHa>,
    look_at: Option<Instant>,
}

#[derive(Debug)]
struct OldProxy {
    role: OldRole,
    companion: Companion<Change>,
    /// When it is killed; `None`: it was not told to end.
    by: Option<Instant>,
    /// How many connections it had to cut, once it has said so.
    cut: Option<u64>,
}

#[derive(Debug)]
struct OldHa {
    role: OldRole,
    companion: Companion<ha::Change>,
    /// When it is killed; set once it was told to leave.
    by: Option<Instant>,
}

impl Default for Past {
    fn default() -> Self {
        Self {
            news: mpsc::channel(MOST_NEWS),
            counts: Snapshot::default(),
            ha_counts: ha::Snapshot::default(),
            legacy: None,
            proxies: Vec::new(),
            ha: None,
            look_at: None,
        }
    }
}

impl Past {
    /// What a handover says of the past, and its roles.
    pub(super) fn take(
        handover: &mut Handover,
        proxies: Vec<OldRole>,
        old_ha: Option<OldRole>,
        now: Instant,
    ) -> Self {
        let news = mpsc::channel(MOST_NEWS);
        let proxies: Vec<OldProxy> = proxies
            .into_iter()
            .map(|role| OldProxy {
                companion: Companion::start(role.pid, &role.channel, &news.0),
                by: role.left.map(|left| now + left + MARGIN),
                cut: None,
                role,
            })
            .collect();
        let old_ha = old_ha.map(|role| OldHa {
            companion: Companion::start(role.pid, &role.channel, &news.0),
            role,
            by: None,
        });
        Self {
            look_at: (!proxies.is_empty()).then(|| now + LOOK),
            news,
            counts: std::mem::take(&mut handover.counts),
            ha_counts: std::mem::take(&mut handover.ha_counts),
            legacy: Some(std::mem::take(&mut handover.legacy)),
            proxies,
            ha: old_ha,
        }
    }

    /// The next thing that a companion says. Cancel-safe.
    pub(super) async fn news(&mut self) -> Option<News> {
        self.news.1.recv().await
    }

    /// Adds what was counted before.
    pub(super) fn add_to(&self, snapshot: &mut Snapshot) {
        snapshot.add(&self.counts);
        for old in &self.proxies {
            snapshot.add(&old.role.counts);
        }
    }

    /// The same of virtual routers.
    pub(super) fn add_to_ha(&self, snapshot: &mut ha::Snapshot) {
        snapshot.follow(&self.ha_counts);
    }

    /// What to hand on: the counts of those that have ended, and the roles that live.
    pub(super) fn hand_on(&self, now: Instant) -> (Snapshot, Vec<OldRole>) {
        let role = |old: &OldProxy| OldRole {
            generation: old.role.generation,
            version: old.role.version.clone(),
            pid: old.role.pid,
            channel: old.role.channel.clone(),
            since: old.role.since,
            left: old.by.map(|by| by.saturating_duration_since(now)),
            counts: old.role.counts.clone(),
        };
        (self.counts.clone(), self.proxies.iter().map(role).collect())
    }

    pub(super) fn ha_counts(&self) -> ha::Snapshot {
        self.ha_counts.clone()
    }

    /// What was known of the servers, once.
    pub(super) fn legacy(&mut self) -> Option<Legacy> {
        self.legacy.take()
    }

    /// Why no further program may take over yet.
    pub(super) fn is_in_the_way(&self, now: Instant) -> Option<String> {
        if self.ha.is_some() {
            return Some(
                "the addresses are just being taken over from the program before: ask again in a moment"
                    .into(),
            );
        }
        if self.proxies.len() < MOST_OLD {
            return None;
        }
        let first = self.proxies.iter().filter_map(|old| old.by).min();
        let first = first.map_or(0, |by| by.saturating_duration_since(now).as_secs());
        Some(format!(
            "{MOST_OLD} programs from before still finish their connections, and there may be no more: the first of them ends in \
             {first} s at the latest"
        ))
    }

    /// All of them have ended.
    pub(super) fn is_over(&self) -> bool {
        self.proxies.is_empty() && self.ha.is_none()
    }

    pub(super) fn has_ha(&self) -> bool {
        self.ha.is_some()
    }

    /// For `status`.
    pub(super) fn status(&self, now: Instant) -> Vec<OldGeneration> {
        let show = |old: &OldProxy| OldGeneration {
            generation: old.role.generation,
            version: old.role.version.clone(),
            pid: old.role.pid,
            since: old.role.since,
            left: old.by.map(|by| by.saturating_duration_since(now).as_secs()),
            connections: old.role.counts.connections,
        };
        self.proxies.iter().map(show).collect()
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let proxies = self.proxies.iter().filter_map(|old| old.by);
        let leaving = self.ha.iter().filter_map(|old| old.by);
        proxies.chain(leaving).chain(self.look_at).min()
    }

    /// Cuts what is left.
    pub(super) fn cut(&mut self) {
        for old in &self.proxies {
            old.companion.kill();
        }
        // Killed at once it would leave its addresses behind.
        if let Some(old) = &mut self.ha {
            old.companion.tell(ha::Change::Stop);
            old.by = Some(Instant::now() + super::availability::SHORTEST_RELEASE);
        }
    }
}

impl Supervisor {
    /// The new proxy role serves: those before finish what they have, and take nothing new.
    pub(super) fn let_the_past_drain(&mut self, now: Instant) {
        let within = self.plan.global.graceful_timeout;
        for old in self.past.proxies.iter_mut().filter(|old| old.by.is_none()) {
            old.companion.tell(Change::Drain { within });
            old.by = Some(now + within + MARGIN);
            tracing::info!(
                "the proxy role of generation {} (Evenkeel {}, pid {}) finishes its connections within {within:?}",
                old.role.generation,
                old.role.version,
                old.role.pid
            );
        }
    }

    /// The program ends: so do those before, no later than the present one.
    pub(super) fn end_the_past(&mut self, now: Instant) {
        let within = self.plan.global.graceful_timeout;
        for old in &mut self.past.proxies {
            let by = now + within + MARGIN;
            if old.by.is_none_or(|before| before > by) {
                old.companion.tell(Change::Drain { within });
                old.by = Some(by);
            }
        }
        // Its addresses are handed over as those of this program's own role would be.
        if let Some(old) = &mut self.past.ha {
            old.companion.tell(ha::Change::Stop);
            let longest =
                super::tracking::longest_handover(&self.plan) + super::availability::LONGEST_RELEASE;
            old.by = Some(now + longest);
        }
    }

    /// There are no virtual routers any more: the addresses are handed over.
    pub(super) fn end_the_past_ha(&mut self, now: Instant) {
        if let Some(old) = self.past.ha.as_mut().filter(|old| old.by.is_none()) {
            old.companion.tell(ha::Change::Stop);
            old.by = Some(now + LONGEST_HANDOVER);
        }
    }

    /// Somebody holds the addresses, so a high availability role that has been started waits until he has let go.
    pub(super) fn ask_whether_ha_is_there(&self) {
        self.ha.keeper.tell(ha::Change::Snapshot { id: ARE_YOU_THERE }, Vec::new());
    }

    /// It is there: the one before leaves. `false`: the answer was to another question.
    pub(super) fn ha_is_there(&mut self, id: u64, now: Instant) -> bool {
        if id != ARE_YOU_THERE {
            return false;
        }
        match &mut self.past.ha {
            Some(old) if old.by.is_none() => {
                old.companion.tell(ha::Change::Leave);
                old.by = Some(now + LONGEST_LEAVE);
            }
            Some(_) => {}
            None => self.tell_ha_the_plan(),
        }
        true
    }

    /// A companion has said something.
    pub(super) fn hear_the_past(&mut self, News { pid, said }: News, now: Instant) {
        match said {
            Said::Word(word) if self.past.ha.as_ref().is_some_and(|old| old.role.pid == pid) => {
                if let Ok(event) = serde_json::from_value(word) {
                    self.old_ha_said(event, now);
                }
            }
            Said::Word(word) => {
                let Some(old) = self.past.proxies.iter_mut().find(|old| old.role.pid == pid) else { return };
                match serde_json::from_value(word) {
                    Ok(Event::Snapshot { snapshot, .. }) => old.role.counts = snapshot,
                    Ok(Event::Drained { cut }) => old.cut = Some(cut),
                    _ => {}
                }
            }
            Said::End(how) => self.old_role_ended(pid, &how, now),
        }
    }

    fn old_ha_said(&mut self, event: ha::Event, now: Instant) {
        match event {
            ha::Event::Left { legacies, snapshot } => {
                let mut counts = snapshot;
                counts.follow(&self.past.ha_counts);
                self.past.ha_counts = counts;
                // It sends nothing any more, whether its process has ended or not.
                self.ha.keeper.tell(ha::Change::Inherit { legacies }, Vec::new());
                self.tell_ha_the_plan();
                self.past.ha = None;
            }
            event => self.ha_said(event, now),
        }
    }

    fn old_role_ended(&mut self, pid: u32, how: &str, now: Instant) {
        if let Some(old) = self.past.ha.take_if(|old| old.role.pid == pid) {
            let generation = old.role.generation;
            tracing::warn!(
                "the ha role of generation {generation} has ended without a word: {how}; its addresses are taken over"
            );
            if self.ending.is_some() {
                self.ha_ended_while_stopping(now);
            } else if self.ha.keeper.is_alive() {
                self.tell_ha_the_plan();
            }
            return;
        }
        let Some(place) = self.past.proxies.iter().position(|old| old.role.pid == pid) else { return };
        let OldProxy { role, cut, .. } = self.past.proxies.swap_remove(place);
        let what = match cut {
            Some(0) => "all its connections have finished".to_owned(),
            Some(1) => "1 connection was cut: graceful-timeout was over".to_owned(),
            Some(cut) => format!("{cut} connections were cut: graceful-timeout was over"),
            None => how.to_owned(),
        };
        let what = format!("the proxy role of generation {} (pid {pid}) has ended: {what}", role.generation);
        if cut == Some(0) {
            tracing::info!("{what}");
        } else {
            tracing::warn!("{what}");
        }
        self.past.counts.absorb(&role.counts.of_the_past());
        self.happened(Happened::new(EventKind::RoleEnded, what));
    }

    pub(super) fn tick_the_past(&mut self, now: Instant) {
        for old in &mut self.past.proxies {
            if old.by.is_some_and(|by| by <= now) {
                tracing::warn!(
                    "the proxy role of generation {} has not ended in time; it is killed",
                    old.role.generation
                );
                old.companion.kill();
                // Its end is on the way.
                old.by = Some(now + LAST_MOMENTS);
            }
        }
        if let Some(old) = &mut self.past.ha
            && old.by.is_some_and(|by| by <= now)
        {
            tracing::warn!(
                "the ha role of generation {} does not let go in time; it is killed",
                old.role.generation
            );
            old.companion.kill();
            old.by = Some(now + LAST_MOMENTS);
        }
        if self.past.look_at.is_some_and(|at| at <= now) {
            self.past.look_at = (!self.past.proxies.is_empty()).then(|| now + LOOK);
            for old in &self.past.proxies {
                old.companion.tell(Change::Snapshot { id: 1 });
            }
        }
    }
}

/// Seconds since 1970-01-01T00:00:00Z.
pub(super) fn seconds() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}
