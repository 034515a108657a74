//! How a machine moves between its states.

use std::time::{Duration, Instant};

use super::super::action::{Action, Link};
use super::super::note::{Note, Why};
use super::Machine;
use super::handover::Purpose;
use super::office::{ANSWER_PAUSE, Active, Announcer, Backup, Listening, Office};
use crate::track::Effective;

impl Machine {
    /// From standstill to where link, tracking and the addresses on the host allow.
    pub(super) fn run(&mut self, now: Instant, why: Why) {
        let allowed = self.effective != Effective::Withdrawn;
        match self.link {
            // Neither let go nor take before we know whether we can speak.
            None if allowed && self.adopting => self.enter(now, Office::Fault, why),
            Some(Link::Up { .. }) if allowed => {
                self.active_interval = self.params.settings().interval;
                let holding = std::mem::take(&mut self.adopting);
                if self.priority().is_owner() && !self.held {
                    return self.become_active(now, Why::Owner);
                }
                self.own(holding);
                if holding {
                    let listening = Listening::new(now + self.listening_time());
                    self.enter(now, Office::Listening(listening), Why::Adopted);
                } else {
                    let mut backup = Backup::new(Some(now + self.down_interval()), None);
                    if self.priority().is_owner() {
                        backup.down_at = None;
                    }
                    self.enter(now, Office::Backup(backup), why);
                }
            }
            _ => {
                self.adopting = false;
                self.own(false);
                let why = match self.link {
                    _ if !allowed => Why::Withdrawn,
                    _ => Why::LinkDown,
                };
                self.enter(now, Office::Fault, why);
            }
        }
    }

    /// Link or tracking no longer allow to take part.
    pub(super) fn forbid(&mut self, now: Instant, why: Why) {
        if self.leaves_for() == Some(Purpose::Stop) {
            // A stop is not put off until the link is back: nobody may be left to say it again.
            return self.stop(now);
        }
        self.adopting = false;
        self.resign(now);
        self.own(false);
        self.enter(now, Office::Fault, why);
    }

    /// The timer says that it is our turn; the group may have another opinion.
    pub(super) fn come_forward(&mut self, now: Instant, why: Why) {
        if !self.held {
            return self.become_active(now, why);
        }
        match &mut self.office {
            Office::Backup(backup) => backup.down_at = None,
            Office::Listening(listening) => listening.until = None,
            _ => {}
        }
    }

    pub(super) fn become_active(&mut self, now: Instant, why: Why) {
        let displaced = match &self.office {
            Office::Backup(backup) => backup.displaced.map(|(source, _)| source).or(backup.leaving),
            _ => None,
        };
        let displaced = match why {
            Why::Preempted { source, .. } => Some(source),
            _ => displaced,
        };
        self.output.counters.became_active += 1;
        self.standing_by = false;
        self.active_interval = self.params.settings().interval;
        // First the message, so that another active router lets go before the neighbours hear of us.
        self.advertise(now, Some(self.priority()));
        self.own(true);
        // Nobody was misled by a short stall; a host that stalls all the time must not flood the link.
        let lately = self.announced.map(|at| at + ANSWER_PAUSE).filter(|&at| at > now);
        let announcer = match lately
            .filter(|_| matches!(self.office, Office::Listening(Listening { heard: false, .. })))
        {
            Some(at) => Announcer::later(at),
            None => {
                self.announced = Some(now);
                Announcer::begin(now, &self.params.settings().announcing, &mut self.output)
            }
        };
        let interval = self.params.settings().interval.duration();
        self.enter(now, Office::Active(Active::new(now, interval, announcer, displaced)), why);
    }

    pub(super) fn stay_active(&mut self, now: Instant) {
        let interval = self.params.settings().interval.duration();
        let announcing = self.params.settings().announcing;
        let Office::Active(active) = &mut self.office else { return };
        active.announcer.handle_timeout(now, &announcing, &mut self.output);
        let ended = active.dual.take_if(|dual| dual.quiet_at <= now);
        let rivalled = active.dual.is_some();
        if active.advertise_at <= now {
            let next = active.advertise_at + interval;
            active.advertise_at = if next > now { next } else { now + interval };
            active.sent_at = now;
            self.advertise(now, Some(self.priority()));
        }
        // A rival that has not heard us until now lets go at this advertisement, and its last word may find our answers
        // used up.
        if let Office::Active(active) = &mut self.office {
            if ended.is_some() {
                active.announcer.once(now, &announcing, &mut self.output);
            } else if rivalled && active.sent_at == now {
                active.announcer.against_rival(now, &announcing, &mut self.output);
            }
        }
        if let Some(dual) = ended {
            self.dual_ended(now, &dual);
        }
    }

    /// Says that we give up, if others may wait for us.
    pub(super) fn resign(&mut self, now: Instant) {
        if matches!(self.office, Office::Active(_) | Office::Listening(_) | Office::Releasing(_)) {
            self.advertise(now, None);
        }
    }

    /// Nobody called for so long that another router may have become active without our notice: listen first.
    pub(super) fn notice_stall(&mut self, now: Instant) {
        let late = match &mut self.office {
            Office::Active(active) => {
                // The shortest down interval that any backup can have.
                let patience = self.params.settings().interval.duration() * 3;
                if now.saturating_duration_since(active.sent_at) <= patience {
                    return;
                }
                now.saturating_duration_since(active.advertise_at)
            }
            Office::Backup(backup) => {
                let late = backup.down_at.map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
                // Once only: a host that is always late must not wait for ever.
                if late <= self.active_interval.duration() || backup.listened {
                    return;
                }
                backup.listened = true;
                late
            }
            _ => return,
        };
        self.output.counters.stalled += 1;
        self.output.note_seldom(now, Note::Stalled { late });
        let until = now + self.listening_time();
        match &mut self.office {
            Office::Backup(backup) => backup.down_at = Some(until),
            _ => self.enter(now, Office::Listening(Listening::new(until)), Why::Stalled),
        }
    }

    /// The one place where the state changes.
    pub(super) fn enter(&mut self, now: Instant, office: Office, why: Why) {
        let (from, to) = (self.office.state(), office.state());
        let left = std::mem::replace(&mut self.office, office);
        if let Office::Active(Active { dual: Some(dual), .. }) = left {
            self.dual_ended(now, &dual);
        }
        if from != to {
            self.since = Some(now);
            self.output.push(Action::Note(Note::Became { from, to, why }));
        }
    }

    pub(super) fn own(&mut self, own: bool) {
        self.output.own(own);
    }
}
