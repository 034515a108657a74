//! What only a [`Group`](super::super::group::Group) may ask of a machine.

use std::time::Instant;

use super::super::note::Why;
use super::super::status::State;
use super::Machine;
use super::handover::{Purpose, Releasing};
use super::office::{Backup, Office};

impl Machine {
    /// From now on a group decides when this router becomes active.
    pub(in super::super) fn hold(&mut self) {
        self.held = true;
    }

    /// Its turn has come and only the group holds it.
    pub(in super::super) fn is_ready(&self) -> bool {
        match &self.office {
            Office::Backup(backup) => backup.down_at.is_none(),
            Office::Listening(listening) => listening.until.is_none(),
            _ => false,
        }
    }

    /// Whether the link is unknown yet: neither ready nor an obstacle.
    pub(in super::super) fn is_undecided(&self) -> bool {
        self.adopting
    }

    pub(in super::super) fn promote(&mut self, now: Instant) {
        if self.is_ready() {
            self.become_active(now, Why::Group);
        }
    }

    /// Another member cannot be active: this one lets go as well.
    pub(in super::super) fn yield_to_group(&mut self, now: Instant) {
        if self.leaves_for() == Some(Purpose::Stop) {
            return self.stop(now);
        }
        if matches!(self.state(), State::Active | State::Listening | State::Releasing) {
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

    /// Another member had to announce itself again.
    pub(in super::super) fn announce_again(&mut self, now: Instant) {
        if let Office::Active(active) = &mut self.office {
            active.announcer.again(now, &self.params.settings().announcing, &mut self.output);
        }
    }

    pub(in super::super) fn rounds_of_answers(&self) -> u64 {
        self.output.answers
    }
}
