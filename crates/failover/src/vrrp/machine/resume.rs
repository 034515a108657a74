//! Goes on where another process has let go, without an election: that one has said its last advertisement a moment ago.
//!
//! Invariants: who was active is active at once and advertises now, before anything else; nobody else can tell the
//! difference, so neighbours are told nothing; where link or tracking forbid it, the ordinary start decides.

use std::net::IpAddr;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::super::action::Link;
use super::super::interval::Interval;
use super::Machine;
use super::office::{Active, Announcer, Backup, Office};
use crate::track::Effective;

/// What a machine leaves to the one that takes over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Legacy {
    /// It was active; otherwise a backup.
    pub active: bool,
    /// It displaced nobody.
    pub standing_by: bool,
    /// Who was active as far as it knew.
    pub owner: Option<IpAddr>,
    /// That one's interval.
    pub active_interval: Interval,
    /// The number of its last sealed message: ours must be higher.
    pub sequence: u64,
}

impl Machine {
    /// What there is to leave; `None` in the middle of a change, which the next one finds out about by itself.
    #[must_use]
    pub fn bequeath(&self) -> Option<Legacy> {
        let (active, owner) = match &self.office {
            Office::Active(active) if active.dual.is_none() => (true, None),
            Office::Backup(backup) => (false, backup.owner),
            _ => return None,
        };
        Some(Legacy {
            active,
            standing_by: self.standing_by,
            owner,
            active_interval: self.active_interval,
            sequence: self.sealer.last(),
        })
    }

    /// Starts as the process before has ended. `holding`: the host holds the addresses. Link and priority are known.
    pub fn resume(&mut self, now: Instant, legacy: &Legacy, holding: bool) {
        self.standing_by = legacy.standing_by;
        self.sealer.resume(legacy.sequence);
        let allowed =
            matches!(self.link, Some(Link::Up { .. })) && matches!(self.effective, Effective::Priority(_));
        // An active router without its addresses had lost them: the ordinary way brings them back, and tells the others.
        if self.running || !allowed || legacy.active != holding {
            return self.start(now, holding);
        }
        self.running = true;
        self.membership.begin_as_member();
        self.active_interval =
            if legacy.active { self.params.settings().interval } else { legacy.active_interval };
        self.since = Some(now);
        if legacy.active {
            // First the addresses, whose interface may be what the message is sent from; nothing about them changes.
            self.own(true);
            self.advertise(now, Some(self.priority()));
            let settings = self.params.settings();
            let announcer = Announcer::quiet(now, &settings.announcing);
            self.announced = Some(now);
            self.office = Office::Active(Active::new(now, settings.interval.duration(), announcer, None));
        } else {
            self.own(false);
            let down_at = (!self.priority().is_owner()).then(|| now + self.down_interval());
            self.office = Office::Backup(Backup::new(down_at, legacy.owner));
        }
    }
}
