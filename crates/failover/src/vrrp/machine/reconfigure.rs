//! What other parameters and priorities do to a running machine.

use std::time::Instant;

use super::super::hmac::Guard;
use super::super::note::Why;
use super::super::params::{Params, Priority, Version};
use super::Machine;
use super::office::{Backup, Office};
use crate::track::Effective;

impl Machine {
    /// Goes on with other parameters. Another version, family or number makes it another router, which starts as a
    /// backup; everything else takes effect without an election.
    ///
    /// The effective priority moves with the operator's; say what tracking makes of it next.
    pub fn set_params(&mut self, now: Instant, params: Params) {
        if params == self.params {
            return;
        }
        self.notice_stall(now);
        let (old, new) = (self.params.settings(), params.settings());
        let another = (old.version, old.family, old.vrid) != (new.version, new.family, new.vrid);
        let other_addresses = old.addresses != new.addresses;
        let other_interval = old.interval != new.interval;
        let other_announcing = old.announcing != new.announcing;
        let effective = moved(self.effective, old.priority, new.priority);
        if old.authentication != new.authentication {
            self.guard = Guard::default();
        }
        if another && self.running {
            // Still under the old number.
            self.resign(now);
            self.own(false);
            self.adopting = false;
        }
        let before = self.priority();
        self.effective = effective;
        self.params = params;
        // What was wrong with the old settings may be right with the new.
        self.alarms.clear_all();
        if !self.running {
            return;
        }
        if another {
            self.enter(now, Office::Fault, Why::Reconfigured);
            return self.run(now, Why::Reconfigured);
        }
        if other_addresses && self.output.owned() == Some(true) {
            self.output.own_anew();
        }
        if let Office::Backup(backup) = &mut self.office {
            backup.preempt_from = None;
        }
        if self.priority() != before {
            self.shift(now, before);
        }
        if other_interval {
            self.wait_anew(now);
        }
        self.advertise_early(now);
        if other_addresses || other_announcing {
            self.announce_again(now);
        }
    }

    /// Waits as the new interval says. Who follows an active router goes on waiting by that one's: while the nodes are
    /// reloaded one after the other, a backup must not lose patience with a slower one. Version 2 cannot follow.
    fn wait_anew(&mut self, now: Instant) {
        if let Office::Backup(Backup { owner: Some(_), displaced: None, .. }) = self.office
            && self.params.settings().version == Version::V3
        {
            return;
        }
        self.active_interval = self.params.settings().interval;
        let (down_at, until) = (now + self.down_interval(), now + self.listening_time());
        match &mut self.office {
            Office::Backup(backup) => backup.down_at = backup.down_at.map(|_| down_at),
            Office::Listening(listening) => listening.until = listening.until.map(|_| until),
            _ => {}
        }
    }

    /// The priority was `before`: every wait contains one skew, which follows the priority.
    pub(super) fn shift(&mut self, now: Instant, before: Priority) {
        let (old, new) = (self.skew(before), self.skew(self.priority()));
        let shifted = |at: Instant| (at + new).checked_sub(old).map_or(now, |at| at.max(now));
        match &mut self.office {
            Office::Backup(backup) => backup.down_at = backup.down_at.map(shifted),
            Office::Listening(listening) => listening.until = listening.until.map(shifted),
            _ => {}
        }
    }
}

/// The effective priority keeps its distance from the operator's.
fn moved(effective: Effective, old: Priority, new: Priority) -> Effective {
    match effective {
        Effective::Withdrawn => Effective::Withdrawn,
        Effective::Yielding if new.is_owner() => Effective::Withdrawn,
        Effective::Yielding => Effective::Yielding,
        _ if old == new => effective,
        Effective::Priority(_) if old.is_owner() || new.is_owner() => Effective::Priority(new),
        Effective::Priority(effective) => {
            let distance = i32::from(new.number()) - i32::from(old.number());
            let moved = i32::from(effective.number()) + distance;
            let clamped = u8::try_from(moved.clamp(1, 254)).unwrap_or(1);
            Effective::Priority(Priority::new(clamped).unwrap_or(Priority::LEAST))
        }
    }
}
