//! What a message does to a machine.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::super::action::Received;
use super::super::note::{Note, Why};
use super::super::params::{Preempt, Priority, Version};
use super::super::refusal::Refusal;
use super::super::status::{AlarmKind, Heard};
use super::super::validate::{Accepted, validate};
use super::Machine;
use super::office::{Backup, Dual, Office};
use crate::track::Effective;

impl Machine {
    /// A message has come.
    // fuzz: election
    pub fn receive(&mut self, now: Instant, received: &Received<'_>) {
        let source = self.source().filter(|_| !matches!(self.office, Office::Stopped | Office::Fault));
        let Some(own) = source else {
            return self.output.refused(now, Refusal::NotRunning, received.source);
        };
        self.notice_stall(now);
        let wall = self.wall_clock.map(|(at, wall)| wall + now.saturating_duration_since(at));
        match validate(self.params.settings(), own, wall, &mut self.guard, received) {
            Ok(accepted) => {
                self.output.counters.received += 1;
                self.output.counters.releases_heard += u64::from(accepted.priority.is_none());
                let Accepted { source, priority, .. } = accepted;
                self.last_heard = Some(Heard { at: now, source, priority });
                self.examine(now, &accepted);
                self.judge(now, &accepted);
            }
            Err(refusal) => self.drop_message(now, refusal, received),
        }
    }

    fn drop_message(&mut self, now: Instant, refusal: Refusal, received: &Received<'_>) {
        let interval = self.params.settings().interval.duration();
        let alarm = match refusal {
            Refusal::Version => Some(AlarmKind::Version),
            Refusal::Interval => Some(AlarmKind::IntervalDiffers),
            Refusal::AuthenticationType
            | Refusal::Password
            | Refusal::HmacTrailer
            | Refusal::HmacKey
            | Refusal::HmacStale
            | Refusal::HmacWrong => Some(AlarmKind::Authentication),
            _ => None,
        };
        if let Some(kind) = alarm {
            self.alarms.raise(kind, received.source, interval, now);
        }
        self.output.refused(now, refusal, received.source);
    }

    /// What the message says about the other router's settings; changes no state.
    fn examine(&mut self, now: Instant, accepted: &Accepted) {
        let Accepted { source, interval, coverage, .. } = *accepted;
        let theirs = interval.duration();
        self.alarms.clear(AlarmKind::Version, source);
        self.alarms.clear(AlarmKind::Authentication, source);
        let settings = self.params.settings();
        if settings.version == Version::V3
            && source.is_ipv4()
            && self.peer_checksum.replace(coverage) != Some(coverage)
        {
            self.output.note_seldom(now, Note::PeerChecksum { source, coverage });
        }
        if interval == settings.interval {
            self.alarms.clear(AlarmKind::IntervalDiffers, source);
        } else if self.alarms.raise(AlarmKind::IntervalDiffers, source, theirs, now) {
            self.output.note_seldom(now, Note::IntervalDiffers { source, theirs });
        }
        if !accepted.same_addresses {
            if self.alarms.raise(AlarmKind::AddressesDiffer, source, theirs, now) {
                self.output.note_seldom(now, Note::AddressesDiffer { source });
            }
        } else if self.alarms.clear(AlarmKind::AddressesDiffer, source) {
            self.output.note_seldom(now, Note::AddressesAgree { source });
        }
        // A router that gives up says nothing of its priority.
        if let Some(priority) = accepted.priority {
            if priority != self.priority() || self.effective == Effective::Yielding {
                self.alarms.clear(AlarmKind::EqualPriority, source);
            } else if self.alarms.raise(AlarmKind::EqualPriority, source, theirs, now) {
                self.output.note_seldom(now, Note::EqualPriority { source });
            }
        }
    }

    fn judge(&mut self, now: Instant, accepted: &Accepted) {
        match (&self.office, accepted.priority) {
            (Office::Stopped | Office::Fault, _) => {}
            (Office::Backup(_) | Office::Listening(_), None) => self.hear_release(now, accepted.source),
            (Office::Backup(_), Some(priority)) => self.hear_as_backup(now, accepted, priority),
            (Office::Listening(_), Some(priority)) => self.hear_while_listening(now, accepted, priority),
            (Office::Active(_), None) => self.hear_release_while_active(now, accepted),
            (Office::Active(_), Some(priority)) => self.hear_rival(now, accepted, priority),
            // Two that leave at once: each lets go when its time is up.
            (Office::Releasing(_), None) => {}
            (Office::Releasing(_), Some(priority)) => self.hand_to(now, accepted, priority),
            (Office::Parting(parting), priority)
                if parting.winner != accepted.source && !self.is_beaten_by(accepted.source, priority) => {}
            (Office::Parting(_), Some(_)) => self.take_leave(now),
            (Office::Parting(_), None) => {
                self.take_leave(now);
                self.hear_release(now, accepted.source);
            }
        }
    }

    /// The active router gives up: only the skew is left to wait. A second release does not put that off. One that is
    /// not well itself does not hurry: the other may be as ill, and keeps its addresses when nobody comes.
    fn hear_release(&mut self, now: Instant, source: IpAddr) {
        let patient = self.effective == Effective::Yielding;
        let at = if patient { now + self.down_interval() } else { now + self.skew(self.priority()) };
        match &mut self.office {
            Office::Backup(backup) => {
                // A wait that was nearly over would end before the other's.
                backup.down_at = backup.down_at.map(|before| if patient { at } else { before.min(at) });
                backup.displaced = None;
                backup.owner = None;
                backup.leaving = Some(source);
            }
            Office::Listening(listening) => {
                listening.until = listening.until.map(|before| before.min(at));
                listening.heard = true;
            }
            _ => {}
        }
    }

    /// Well again, or better than before: what was released meanwhile waits for us no longer than the skew.
    pub(super) fn hurry(&mut self, now: Instant) {
        let at = now + self.skew(self.priority());
        if let Office::Backup(backup) = &mut self.office
            && backup.leaving.is_some()
            && backup.displaced.is_none()
        {
            backup.down_at = backup.down_at.map(|before| before.min(at));
        }
    }

    fn hear_as_backup(&mut self, now: Instant, accepted: &Accepted, priority: Priority) {
        let lower = priority < self.priority();
        let preempts = lower && self.preempts_at(now);
        let delay = self.preempt_delay();
        let Office::Backup(backup) = &mut self.office else { return };
        if preempts {
            // Dropped: the timer goes on, and when it ends we take over.
            backup.displaced = Some((accepted.source, priority));
            backup.owner = Some(accepted.source);
            return;
        }
        let preempt_from = delay.filter(|_| lower).map(|delay| backup.preempt_from.unwrap_or(now + delay));
        self.follow(now, accepted, preempt_from);
    }

    /// Waits for this router's silence.
    fn follow(&mut self, now: Instant, accepted: &Accepted, preempt_from: Option<Instant>) {
        self.active_interval = accepted.interval;
        let down_at = Some(now + self.down_interval());
        if let Office::Backup(backup) = &mut self.office {
            *backup = Backup { preempt_from, ..Backup::new(down_at, Some(accepted.source)) };
        }
    }

    /// Somebody else may have become active while we could not hear it. It stays, unless we would displace it.
    fn hear_while_listening(&mut self, now: Instant, accepted: &Accepted, priority: Priority) {
        let source = accepted.source;
        let lower = priority < self.priority();
        if lower && self.preempts_at(now) {
            if let Office::Listening(listening) = &mut self.office {
                listening.heard = true;
            }
            return self.come_forward(now, Why::Preempted { source, priority });
        }
        self.active_interval = accepted.interval;
        let preempt_from = self.preempt_delay().filter(|_| lower).map(|delay| now + delay);
        let down_at = Some(now + self.down_interval());
        let backup = Backup { preempt_from, ..Backup::new(down_at, Some(source)) };
        self.own(false);
        // The active router may know nothing of us and the neighbours may: it shall tell them again. Less than its
        // priority, so that it does not yield to what we would be with ours; less than 1 is a release.
        let less = Priority::new(priority.number() - 1).map(|less| less.min(self.priority()));
        self.advertise(now, less);
        self.enter(now, Office::Backup(backup), Why::Heard { source, priority });
    }

    fn hear_release_while_active(&mut self, now: Instant, accepted: &Accepted) {
        let Office::Active(active) = &mut self.office else { return };
        // It held the addresses until now: the neighbours may still believe it.
        let ended = active.dual.take_if(|dual| dual.source == accepted.source);
        let displaced = active.is_last_word(accepted.source);
        self.answer(now, ended.is_some() || displaced);
        if let Some(dual) = ended {
            self.dual_ended(now, &dual);
        }
    }

    fn is_beaten_by(&self, source: IpAddr, priority: Option<Priority>) -> bool {
        (priority, Some(source)) > (Some(self.priority()), self.source())
    }

    /// Another active router. A tie goes to the higher address (RFC 9568 §6.4.3).
    fn hear_rival(&mut self, now: Instant, accepted: &Accepted, priority: Priority) {
        let source = accepted.source;
        if self.is_beaten_by(source, Some(priority)) {
            let why = if priority > self.priority() {
                Why::Higher { source, priority }
            } else {
                Why::HigherAddress { source }
            };
            return self.lose(now, accepted, why);
        }
        self.output.counters.dual_heard += 1;
        let quiet_at = now
            + self.params.settings().interval.duration().max(accepted.interval.duration()) * 3
            + Duration::from_secs(1).min(accepted.interval.duration());
        let Office::Active(active) = &mut self.office else { return };
        if active.is_last_word(source) {
            // Of the one that we took over from; now the neighbours shall hear us once more.
            return self.answer(now, true);
        }
        match &mut active.dual {
            Some(dual) => {
                (dual.source, dual.last, dual.quiet_at) = (source, now, quiet_at);
            }
            None => {
                let noted = self.output.note_seldom(now, Note::DualOwner { source, priority });
                active.dual = Some(Dual { source, begun: now, last: now, quiet_at, noted });
            }
        }
        self.answer(now, true);
    }

    /// Advertises at once, and tells the neighbours if they may have been misled; within bounds.
    fn answer(&mut self, now: Instant, announce: bool) {
        let Office::Active(active) = &mut self.office else { return };
        match active.may_answer(now) {
            Ok(()) => {
                if announce {
                    self.output.answers += 1;
                }
                self.advertise_early(now);
                if announce {
                    self.announce_again(now);
                }
            }
            Err(at) => {
                active.advertise_at = active.advertise_at.min(at);
                if announce {
                    active.announcer.again_at(at);
                }
            }
        }
    }

    pub(super) fn dual_ended(&mut self, now: Instant, dual: &Dual) {
        let lasted = dual.last - dual.begun;
        self.dual_owner_time += lasted;
        if matches!(self.office, Office::Active(_)) {
            self.output.counters.dual_outlived += 1;
        }
        if dual.noted {
            self.output.note_seldom(now, Note::DualOwnerEnded { source: dual.source, lasted });
        }
    }

    /// Whether a lower priority is displaced now.
    fn preempts_at(&self, now: Instant) -> bool {
        match self.params.settings().preempt {
            _ if self.priority().is_owner() => true,
            _ if self.standing_by => false,
            Preempt::Yes => true,
            Preempt::No => false,
            Preempt::After(_) => match &self.office {
                Office::Backup(backup) => backup.preempt_from.is_some_and(|from| from <= now),
                _ => false,
            },
        }
    }

    fn preempt_delay(&self) -> Option<Duration> {
        match self.params.settings().preempt {
            Preempt::After(delay) => Some(delay),
            _ => None,
        }
    }
}
