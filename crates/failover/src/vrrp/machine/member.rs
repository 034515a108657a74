//! What only a [`group`](super::super::group) may ask of a machine.

use std::time::Instant;

use super::super::note::Why;
use super::Machine;
use super::handover::{Purpose, Releasing};
use super::office::{Backup, Office};

/// What a machine is to its group.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Membership {
    /// Its first wait has not ended.
    joining: bool,
    /// The rounds of answers that the group knows of.
    answers: u64,
    /// The group knows that it hands its addresses over.
    leaving: bool,
}

impl Membership {
    /// Its first wait was that of another process.
    pub(super) fn begin_as_member(&mut self) {
        self.joining = false;
    }
}

impl Machine {
    /// From now on a group decides when this router becomes active: see
    /// [`group::settle`](super::super::group::settle).
    pub fn join(&mut self) {
        if !self.held {
            self.held = true;
            self.membership =
                Membership { joining: !self.running, answers: self.output.answers, leaving: false };
        }
    }

    /// It stands alone again; when only the group held it back it becomes active.
    pub fn part(&mut self, now: Instant) {
        if self.held {
            let ready = self.is_ready();
            self.held = false;
            if ready {
                self.become_active(now, Why::Silence);
            }
        }
    }

    /// Its turn has come and only the group holds it.
    pub(in super::super) fn is_ready(&self) -> bool {
        match &self.office {
            Office::Backup(backup) => backup.down_at.is_none(),
            Office::Listening(listening) => listening.until.is_none(),
            _ => false,
        }
    }

    /// Whether the link is unknown yet, or who is active: neither ready nor an obstacle.
    pub(in super::super) fn is_undecided(&self) -> bool {
        match &self.office {
            Office::Fault => self.adopting,
            Office::Backup(backup) => {
                self.membership.joining && backup.owner.is_none() && backup.displaced.is_none()
            }
            _ => false,
        }
    }

    pub(in super::super) fn promote(&mut self, now: Instant) {
        self.membership.joining = false;
        if self.is_ready() {
            self.become_active(now, Why::Group);
        }
    }

    /// Another member cannot be active: this one lets go as well.
    pub(in super::super) fn yield_to_group(&mut self, now: Instant) {
        self.membership.joining = false;
        // One that hands its addresses over is on its way, and serves them until another is heard.
        if matches!(self.office, Office::Active(_) | Office::Listening(_)) {
            self.resign(now);
            self.own(false);
            let backup = Backup::new(Some(now + self.down_interval()), None);
            self.enter(now, Office::Backup(backup), Why::Group);
        }
    }

    /// It hands its addresses over, and why.
    pub(in super::super) fn leaves_for(&self) -> Option<Purpose> {
        match &self.office {
            Office::Releasing(Releasing { purpose, .. }) => Some(*purpose),
            _ => None,
        }
    }

    /// The purpose, once: when it has begun to hand over since the last look.
    pub(in super::super) fn begins_to_leave(&mut self) -> Option<Purpose> {
        let purpose = self.leaves_for();
        let known = std::mem::replace(&mut self.membership.leaving, purpose.is_some());
        purpose.filter(|_| !known)
    }

    /// Its neighbours were told anew because of another active router since the last look.
    pub(in super::super) fn was_misled(&mut self) -> bool {
        let before = std::mem::replace(&mut self.membership.answers, self.output.answers);
        before != self.output.answers
    }

    /// Another member had to announce itself again.
    pub(in super::super) fn announce_again(&mut self, now: Instant) {
        if let Office::Active(active) = &mut self.office {
            active.announcer.again(now, &self.params.settings().announcing, &mut self.output);
        }
    }
}
