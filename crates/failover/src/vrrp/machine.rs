//! The election of one virtual router (RFC 9568 §6.4, RFC 3768 §6.4).
//!
//! ```text
//!             start, link up                silence: Send, Own(true), Announce
//!  Stopped ──────────────────▶ Backup ──────────────────────────────────────────▶ Active
//!     ▲  ▲                       ▲ ▲   Own(false), Send last       another is      │ │
//!     │  └───────── stop ────────┤ └──────────────────── Releasing ◀───────────────┘ │ stall
//!     │                          │        another is active: Own(false)               ▼
//!     │        link or tracking  │ └──────────────────────────────────────────── Listening
//!     └── Fault ◀── forbid it ───┘                                    start, holding ─▶│ silence: Send, Announce
//!                                                                                      └─────────▶ Active
//! ```
//!
//! [`Machine::hand_over`] leads from Active to Releasing, and from there to Backup or Stopped as soon as another router is
//! heard, or back to Active when none is (`handover`). Who loses to another active router is Releasing as well, until that
//! one has answered (`parting`).
//!
//! Invariants:
//! 1. Every input is legal in every state; none panics.
//! 2. `Own` changes its value each time it is said, unless the parameters have changed.
//! 3. A running router always has a deadline, unless its group holds it or its link forbids it to run.
//! 4. After [`Machine::handle_timeout`] no deadline lies in the past.
//! 5. What strangers can provoke (answers, announcements, notes, queued actions) has a bound.
//!
//! Owner (255) is what the priority says, not a state. It reads no clock: `now` must not go backwards.

mod alarms;
mod change;
mod handover;
mod hear;
mod member;
mod office;
mod output;
mod parting;
mod reconfigure;
mod resume;
mod send;

use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::action::{Action, Link};
use super::hmac::{Guard, Sealer};
use super::interval::Interval;
use super::note::Why;
use super::params::{Coverage, Params, Priority};
use super::refusal::Refusal;
use super::status::{Heard, State, Status};
use super::timers;
use crate::track::Effective;
use alarms::Alarms;
use handover::Releasing;
use member::Membership;
use office::Office;
use output::Output;

pub use handover::Purpose;
pub use output::MOST_ACTIONS;
pub use resume::Legacy;

/// See the module.
#[derive(Clone, Debug)]
pub struct Machine {
    params: Params,
    effective: Effective,
    /// `None`: nobody has said anything yet.
    link: Option<Link>,
    running: bool,
    /// Started while the host held the addresses, and not yet able to find out who is active.
    adopting: bool,
    /// A group decides when this router becomes active.
    held: bool,
    membership: Membership,
    /// Displaces nobody: an operator wanted another router to be active.
    standing_by: bool,
    office: Office,
    since: Option<Instant>,
    /// The interval of the active router, as far as known.
    active_interval: Interval,
    wall_clock: Option<(Instant, Duration)>,
    sealer: Sealer,
    guard: Guard,
    output: Output,
    alarms: Alarms,
    last_heard: Option<Heard>,
    last_sent: Option<Instant>,
    /// When it became active with an announcement.
    announced: Option<Instant>,
    dual_owner_time: Duration,
    peer_checksum: Option<Coverage>,
}

impl Machine {
    /// A virtual router that is stopped and knows nothing of its link.
    #[must_use]
    pub fn new(params: Params) -> Self {
        Self {
            effective: Effective::Priority(params.settings().priority),
            active_interval: params.settings().interval,
            params,
            link: None,
            running: false,
            adopting: false,
            held: false,
            membership: Membership::default(),
            standing_by: false,
            office: Office::Stopped,
            since: None,
            wall_clock: None,
            sealer: Sealer::default(),
            guard: Guard::default(),
            output: Output::default(),
            alarms: Alarms::default(),
            last_heard: None,
            last_sent: None,
            announced: None,
            dual_owner_time: Duration::ZERO,
            peer_checksum: None,
        }
    }

    /// Its parameters.
    #[must_use]
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// Where it is.
    #[must_use]
    pub fn state(&self) -> State {
        self.office.state()
    }

    /// [`super::status::Counters::dual_outlived`], without the rest of the status.
    #[must_use]
    pub fn dual_outlived(&self) -> u64 {
        self.output.counters.dual_outlived
    }

    /// Takes part in the election from now on. `holding`: the host holds the addresses already, left by a run before
    /// this one; they stay while we listen whether somebody else is active. They stay as well while nothing was said of
    /// the link yet.
    pub fn start(&mut self, now: Instant, holding: bool) {
        if self.running {
            if self.leaves_for() == Some(Purpose::Stop) {
                self.resume_office(now, Why::Started);
            }
            return;
        }
        self.running = true;
        self.adopting = holding;
        self.run(now, Why::Started);
    }

    /// Gives the address away and takes part no longer.
    pub fn stop(&mut self, now: Instant) {
        if !self.running {
            return;
        }
        self.running = false;
        self.adopting = false;
        self.resign(now);
        self.own(false);
        self.enter(now, Office::Stopped, Why::Stopped);
    }

    /// The interface has changed, or its primary address.
    pub fn link(&mut self, now: Instant, link: Link) {
        let before = self.link.replace(link);
        if before == Some(link) || !self.running {
            return;
        }
        self.notice_stall(now);
        match link {
            Link::Down => self.forbid(now, Why::LinkDown),
            Link::Up { .. } if matches!(self.office, Office::Fault) => self.run(now, Why::LinkUp),
            // The others judge ties by our address: they learn the new one at once.
            Link::Up { .. } => self.advertise_early(now),
        }
    }

    /// Tracking has come to another result. An owner's priority does not change, but an owner can be withdrawn.
    pub fn set_priority(&mut self, now: Instant, effective: Effective) {
        let effective = match effective {
            Effective::Yielding if !self.params.settings().priority.is_owner() => Effective::Yielding,
            Effective::Withdrawn | Effective::Yielding => Effective::Withdrawn,
            Effective::Priority(_) if self.params.settings().priority.is_owner() => {
                Effective::Priority(Priority::OWNER)
            }
            Effective::Priority(priority) => Effective::Priority(priority.min(Priority::MOST)),
        };
        let stood_with = self.priority();
        let before = std::mem::replace(&mut self.effective, effective);
        if before == effective || !self.running {
            return;
        }
        match (before, effective) {
            (_, Effective::Withdrawn) => self.forbid(now, Why::Withdrawn),
            (Effective::Withdrawn, _) => self.run(now, Why::Restored),
            (_, Effective::Yielding) => {
                self.shift(now, stood_with);
                self.hand_over(now, Purpose::Ailing);
            }
            (_, Effective::Priority(_)) => {
                self.shift(now, stood_with);
                if matches!(&self.office, Office::Releasing(Releasing { purpose: Purpose::Ailing, .. })) {
                    self.resume_office(now, Why::Restored);
                }
                self.hurry(now);
            }
        }
    }

    /// What the wall clock says at `now`, since 1970: only [`Hmac`](super::authentication::Hmac) needs it. Say it at
    /// start and again at least once a minute, because wall clocks are set.
    pub fn set_wall_clock(&mut self, now: Instant, since_1970: Duration) {
        self.wall_clock = Some((now, since_1970));
    }

    /// A message has come that could not even be made a [`Received`](super::action::Received): count and note it.
    pub fn refuse(&mut self, now: Instant, refusal: Refusal, source: IpAddr) {
        self.output.refused(now, refusal, source);
    }

    /// Does what is due. After a pause of the whole process, pass on what the socket has kept first: it may say that
    /// another router is active.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.notice_stall(now);
        match &self.office {
            Office::Stopped | Office::Fault => {}
            Office::Backup(backup) => {
                if backup.down_at.is_some_and(|at| at <= now) {
                    let why = backup
                        .displaced
                        .map_or(Why::Silence, |(source, priority)| Why::Preempted { source, priority });
                    self.come_forward(now, why);
                }
            }
            Office::Listening(listening) => {
                if listening.until.is_some_and(|at| at <= now) {
                    self.come_forward(now, Why::Silence);
                }
            }
            Office::Active(_) => self.stay_active(now),
            Office::Releasing(releasing) => {
                if releasing.until <= now {
                    self.keep_after_all(now);
                }
            }
            Office::Parting(parting) => {
                if parting.until <= now {
                    self.take_leave(now);
                }
            }
        }
    }

    /// When [`Machine::handle_timeout`] must be called; `None`: not before another input.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        self.office.deadline()
    }

    /// What must be done, one at a time until `None`, after every input. At most [`MOST_ACTIONS`] wait.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.output.next()
    }

    /// Everything that may be shown. `now` decides which alarms still hold; nothing changes.
    #[must_use]
    pub fn status(&self, now: Instant) -> Status {
        let settings = self.params.settings();
        let dual = match &self.office {
            Office::Active(active) => active.dual.as_ref(),
            _ => None,
        };
        Status {
            state: self.state(),
            since: self.since,
            effective: self.effective,
            standing_by: self.standing_by,
            owner: match &self.office {
                Office::Active(_) | Office::Releasing(_) => self.source(),
                Office::Backup(backup) => backup.owner,
                Office::Parting(parting) => Some(parting.winner),
                _ => None,
            },
            last_heard: self.last_heard,
            last_sent: self.last_sent,
            interval: settings.interval.duration(),
            active_interval: self.active_interval.duration(),
            down_interval: self.down_interval(),
            dual_owner_time: self.dual_owner_time
                + dual.map_or(Duration::ZERO, |dual| dual.last - dual.begun),
            peer_checksum: self.peer_checksum,
            alarms: self.alarms.now(now, dual),
            counters: self.output.counters.clone(),
        }
    }
}

/// What follows from parameters and state.
impl Machine {
    fn source(&self) -> Option<IpAddr> {
        match self.link {
            Some(Link::Up { source }) => Some(source),
            _ => None,
        }
    }

    /// With what we stand for election; while withdrawn, with what we would.
    fn priority(&self) -> Priority {
        match self.effective {
            Effective::Priority(priority) => priority,
            Effective::Yielding => Priority::LEAST,
            Effective::Withdrawn => self.params.settings().priority,
        }
    }

    fn skew(&self, priority: Priority) -> Duration {
        timers::skew(self.params.settings().version, priority, self.active_interval)
    }

    fn down_interval(&self) -> Duration {
        timers::down_interval(self.params.settings().version, self.priority(), self.active_interval)
    }

    /// Whoever is active is heard within an interval; the skew lets the higher priority go first.
    fn listening_time(&self) -> Duration {
        self.active_interval.duration() + self.skew(self.priority())
    }
}

#[cfg(test)]
mod found_by_simulation;
#[cfg(test)]
mod proptests;
#[cfg(test)]
mod tests;
