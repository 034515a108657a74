//! The end: connections may finish within `graceful-timeout`, then the roles end, then the sockets lose their names.

use std::time::Duration;

use evenkeel_admin::message::{Answer, EventKind, Order, Stopping};
use evenkeel_proxy::message::Change;
use evenkeel_sys::process::notify::State as Notice;
use tokio::time::Instant;

use super::events::Happened;
use super::{Asker, Supervisor};
use crate::exit::Exit;

/// How much longer than `graceful-timeout` the proxy role may take, which cuts connections by itself when it is over.
const DRAIN_MARGIN: Duration = Duration::from_secs(2);
/// How long the admin role may take for its last answers.
const LAST_ANSWERS: Duration = Duration::from_secs(3);
/// How long the last notices may take when everything else has ended.
const LONGEST_FAREWELL: Duration = Duration::from_secs(5);

/// An end that has begun.
#[derive(Debug)]
pub(super) struct Ending {
    exit: Exit,
    /// When the proxy role is killed; `None` once it has been told the last time.
    proxy_by: Option<Instant>,
    /// When the admin role is killed; set once it was told to end.
    admin_by: Option<Instant>,
    /// The admin role was told to end.
    admin_told: bool,
    /// When the high availability role is killed; `None` once it has ended.
    ha_by: Option<Instant>,
    /// The proxy role was told to drain: nobody needs it for addresses that are held still.
    draining: bool,
    /// How long the last notices may take.
    farewell: Duration,
    /// When that is over; set when all roles have ended.
    telling_by: Option<Instant>,
}

impl Ending {
    pub(super) fn deadline(&self) -> Option<Instant> {
        [self.proxy_by, self.admin_by, self.ha_by, self.telling_by].into_iter().flatten().min()
    }
}

impl Supervisor {
    pub(super) fn stop_on_signal(&mut self, signal: &str, now: Instant) {
        if self.ending.is_some() {
            tracing::warn!("{signal} again: what is left is cut");
            self.cut();
        } else {
            self.stop(signal, now);
        }
    }

    pub(super) fn stop_on_command(&mut self, asker: Asker, by: &str, now: Instant) {
        let within = self.plan.global.graceful_timeout;
        let stopping = Stopping { pid: std::process::id(), within: within.as_secs() };
        self.answer(asker, Answer::Stopping(stopping));
        if self.ending.is_none() {
            self.stop(&format!("a command of {by}"), now);
        }
    }

    /// Begins the end.
    fn stop(&mut self, why: &str, now: Instant) {
        let within = self.plan.global.graceful_timeout;
        tracing::info!("stopping on {why}: connections may finish within {within:?}");
        self.happened(Happened::new(EventKind::Stopping, format!("stopping on {why}")));
        self.notify(&[Notice::Stopping]);
        self.upgrade_ends(now);
        self.end_the_past(now);
        self.ending = Some(Ending {
            exit: Exit::Well,
            proxy_by: None,
            admin_by: None,
            admin_told: false,
            ha_by: None,
            draining: false,
            farewell: LONGEST_FAREWELL,
            telling_by: None,
        });
        // Before anything else, and served until another machine has them: new clients are that one's from then on.
        let handover = super::tracking::longest_handover(&self.plan);
        let alive = self.end_ha(now, handover + super::availability::LONGEST_RELEASE);
        self.reloads_end(now);
        if !alive {
            self.end_pair();
            self.drain_proxy(now);
        }
    }

    /// Lets connections finish and opens no more. The second call does nothing.
    pub(super) fn drain_proxy(&mut self, now: Instant) {
        let within = self.plan.global.graceful_timeout;
        let Some(ending) = &mut self.ending else { return };
        if std::mem::replace(&mut ending.draining, true) {
            return;
        }
        ending.proxy_by = Some(now + within + DRAIN_MARGIN);
        // What the role finds in the queues is all there is; whoever comes later is refused, not reset.
        self.sockets.retire();
        if self.proxy.is_ready() {
            self.proxy.tell(Change::Drain { within }, Vec::new());
        } else {
            // It has no connections yet.
            self.proxy.kill();
        }
        // The role has the last copies now.
        self.sockets.close_all();
        if !self.proxy.is_alive() {
            self.proxy.retire();
            self.end_admin(now);
        }
    }

    /// Ends at once, because the start has failed.
    pub(super) fn abandon(&mut self, exit: Exit) {
        self.notify(&[Notice::Stopping]);
        self.ending = Some(Ending {
            exit,
            proxy_by: None,
            admin_by: None,
            admin_told: true,
            ha_by: None,
            draining: true,
            farewell: Duration::ZERO,
            telling_by: None,
        });
        self.sockets.close_all();
        self.cut();
    }

    /// Kills what is left.
    fn cut(&mut self) {
        if let Some(ending) = &mut self.ending {
            ending.proxy_by = None;
            ending.admin_by = None;
            ending.draining = true;
            ending.farewell = Duration::ZERO;
            ending.telling_by = ending.telling_by.map(|by| by.min(Instant::now()));
        }
        // Killed at once it would leave its addresses behind.
        self.end_ha(Instant::now(), super::availability::SHORTEST_RELEASE);
        self.proxy.kill();
        self.admin.kill();
        self.pair.keeper.kill();
        self.past.cut();
        if !self.proxy.is_alive() {
            self.proxy.retire();
        }
        if !self.admin.is_alive() {
            self.admin.retire();
        }
        if !self.pair.keeper.is_alive() {
            self.pair.keeper.retire();
        }
    }

    /// Lets the high availability role give its addresses away and end, within `patience`.
    fn end_ha(&mut self, now: Instant, patience: Duration) -> bool {
        let alive = self.stop_ha();
        if let Some(ending) = &mut self.ending {
            ending.ha_by = alive.then(|| now + patience);
        }
        alive
    }

    /// It has ended, so nobody waits for it any more.
    pub(super) fn ha_ended_while_stopping(&mut self, now: Instant) {
        if let Some(ending) = &mut self.ending {
            ending.ha_by = None;
        }
        // Until now it had something to say to the other node.
        self.end_pair();
        self.drain_proxy(now);
    }

    pub(super) fn drained(cut: u64) {
        match cut {
            0 => tracing::info!("all connections have finished"),
            1 => tracing::warn!("1 connection was cut: graceful-timeout was over"),
            _ => tracing::warn!("{cut} connections were cut: graceful-timeout was over"),
        }
    }

    pub(super) fn proxy_ended_while_stopping(&mut self, how: &str, now: Instant) {
        tracing::info!("the proxy role has ended: {how}");
        self.proxy.retire();
        self.end_admin(now);
    }

    fn end_admin(&mut self, now: Instant) {
        let Some(ending) = &mut self.ending else { return };
        ending.proxy_by = None;
        if ending.admin_told {
            return;
        }
        ending.admin_told = true;
        if self.admin.is_alive() {
            ending.admin_by = Some(now + LAST_ANSWERS);
            self.admin.tell(Order::End, Vec::new());
        } else {
            self.admin.retire();
        }
    }

    pub(super) fn tick_ending(&mut self, now: Instant) {
        let Some(ending) = &mut self.ending else { return };
        if ending.proxy_by.is_some_and(|by| by <= now) {
            ending.proxy_by = None;
            tracing::warn!("the proxy role has not ended in time; it is killed");
            self.proxy.kill();
        }
        if ending.ha_by.is_some_and(|by| by <= now) {
            ending.ha_by = None;
            tracing::error!("the ha role has not given its addresses away in time; it is killed");
            self.ha.keeper.kill();
        }
        let Some(ending) = &mut self.ending else { return };
        if ending.admin_by.is_some_and(|by| by <= now) {
            ending.admin_by = None;
            tracing::warn!("the admin role has not ended in time; it is killed");
            self.admin.kill();
        }
    }

    /// What is to be told of the end has been told, or there is no more time for it.
    fn has_told(&mut self) -> bool {
        let Some(ending) = &mut self.ending else { return true };
        let now = Instant::now();
        let by = *ending.telling_by.get_or_insert(now + ending.farewell);
        if self.telling.is_idle() {
            return true;
        }
        if by <= now {
            tracing::warn!("not everybody was told of the last states of the virtual routers in time");
        }
        by <= now
    }

    /// The exit code, once everything has ended. The names of the sockets are removed then.
    pub(super) fn finished(&mut self) -> Option<Exit> {
        let exit = self.ending.as_ref()?.exit;
        let have_ended = self.proxy.has_ended()
            && self.admin.has_ended()
            && self.ha.keeper.has_ended()
            && self.pair.keeper.has_ended();
        if have_ended && self.past.is_over() && self.has_told() {
            if let Some(doors) = self.doors.take() {
                doors.close();
            }
            tracing::info!("stopped");
            return Some(exit);
        }
        None
    }
}
