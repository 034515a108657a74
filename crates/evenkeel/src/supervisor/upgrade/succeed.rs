//! The end of this program in favour of the next: what there is to hand over, and the execution.

use std::ffi::OsStr;

use evenkeel_proxy::message::{Legacy, Snapshot};
use evenkeel_sys::process::successor;
use tokio::time::Instant;

use super::super::past::seconds;
use super::super::{Supervisor, SystemTime};
use super::Stage;
use super::handover::{FORMAT, Grips, Handover, OldRole, VARIABLE};

impl Supervisor {
    /// Something is done that the next program could not go on with.
    pub(super) fn is_under_way(&self) -> bool {
        self.reloads.is_under_way()
            || self.trial.is_some()
            || self.edits.are_waiting()
            || self.steering.is_waiting()
    }

    /// What the next program must know; descriptors are not named yet.
    pub(super) fn handover(&self, by: &str, legacy: Legacy, now: Instant) -> Handover {
        let (counts, _) = self.past.hand_on(now);
        let since = self.since.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        Handover {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION").into(),
            generation: self.upgrades.generation + 1,
            since,
            uptime: now.duration_since(self.started) + self.earlier,
            by: by.into(),
            global: self.plan.global.clone(),
            admin: self.plan.admin.clone(),
            workers: self.capacity.workers,
            max_connections: self.capacity.max_connections,
            max_connections_from: self.capacity.max_connections_from.clone(),
            listening: Vec::new(),
            doors: Vec::new(),
            state_dir: None,
            overlay: self.overlay.clone(),
            findings: self.discovery.findings().clone(),
            leaving: self.leaving.rest(now),
            priorities: self.steering.priorities.told(&self.plan.virtual_routers),
            revision: self.last_revision,
            random: self.keys.random.clone(),
            tickets: self.read.certificates.tickets.clone(),
            ticket_key_in: self.watch.key_in(now),
            last_event: self.history.last_id(),
            events: self.history.all(),
            alarms: self.alarms.clone(),
            last_reload: self.last_reload.clone(),
            transitions: self.ha.transitions(),
            changed: self.ha.changed(),
            notices: self.telling.waiting(),
            legacy,
            counts,
            ha_counts: self.past.ha_counts(),
            proxies: Vec::new(),
            ha: None,
        }
    }

    /// What would be handed over now: its descriptors are named, and stay here.
    pub(super) fn draft(&self, by: &str, now: Instant) -> Handover {
        let mut handover = self.handover(by, Legacy::default(), now);
        handover.name(&self.grips(Snapshot::default(), now));
        handover
    }

    /// Every descriptor that passes.
    fn grips(&self, counts: Snapshot, now: Instant) -> Grips {
        let (_, mut proxies) = self.past.hand_on(now);
        let old = |(pid, channel), counts| OldRole {
            generation: self.upgrades.generation,
            version: env!("CARGO_PKG_VERSION").into(),
            pid,
            channel,
            since: seconds(),
            left: None,
            counts,
        };
        proxies.extend(self.proxy.grip().map(|grip| old(grip, counts)));
        Grips {
            listening: self.sockets.grips(),
            doors: self.doors.iter().flat_map(|doors| doors.grips()).collect(),
            state_dir: self.store.grip(),
            proxies,
            ha: self.ha.keeper.grip().map(|grip| old(grip, Snapshot::default())),
        }
    }

    /// Becomes the next program. Comes back with the reason when that fails, and then everything is as before.
    pub(super) fn execute(&self, now: Instant) -> String {
        let Stage::Closing { wish, .. } = &self.upgrades.stage else { return "it was not prepared".into() };
        let Some(program) = &self.upgrades.program else { return "there is no program".into() };
        // It was good a moment ago; a file that was edited since would keep the next program from starting.
        if let Err(refusal) = self.load() {
            return refusal.detail;
        }
        let (legacy, counts) = self.upgrades.retired.clone();
        let grips = self.grips(counts, now);
        let mut handover = self.handover(&wish.by, legacy, now);
        handover.name(&grips);
        let failed = |what: &str, error: &dyn std::fmt::Display| format!("{what}: {error}");
        let letter = match handover.write() {
            Ok(letter) => letter,
            Err(why) => return failed("the handover cannot be written", &why),
        };
        // What comes from here on waits for the next program.
        if let Err(error) = successor::hold_signals() {
            return failed("signals cannot be held back", &error);
        }
        let kept = grips.keep().and_then(|()| successor::keep(&letter));
        let why = match kept {
            Ok(number) => {
                tracing::info!("the next program takes over: {}", program.path().display());
                let said = [(VARIABLE, format!("{}:{number}", std::process::id()))];
                let arguments = [
                    OsStr::new("run"),
                    OsStr::new("--config"),
                    self.config.as_os_str(),
                    OsStr::new("--log-level"),
                    OsStr::new(&self.upgrades.log_level),
                ];
                let error = successor::replace(program.path(), &arguments, &said);
                failed(&format!("{} cannot be executed", program.path().display()), &error)
            }
            Err(error) => failed("a descriptor cannot be handed over", &error),
        };
        grips.keep_no_more();
        if let Err(error) = successor::release_signals() {
            tracing::error!("signals stay held back: {error}");
        }
        why
    }
}
