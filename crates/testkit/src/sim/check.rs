//! What must be so after quiet time.

use std::time::Duration;

use evenkeel_failover::vrrp::params::Preempt;
use evenkeel_failover::vrrp::status::State;

use super::world::{Time, World};

impl World {
    pub(super) fn interval(&self) -> Duration {
        self.routers.iter().map(|router| router.settings.interval.duration()).max().unwrap_or_default()
    }

    pub(super) fn eligible(&self) -> Vec<usize> {
        (0..self.routers.len()).filter(|&index| self.routers[index].eligible()).collect()
    }

    pub(super) fn describe(&mut self) {
        for index in 0..self.routers.len() {
            let router = &self.routers[index];
            let (name, source, settings) = (router.name.clone(), router.source, router.settings.clone());
            self.note(format_args!(
                "{name}: {source}, {:?}, priority {}, interval {:?}, preempt {:?}, {:?}, {} addresses",
                settings.version,
                settings.priority,
                settings.interval.duration(),
                settings.preempt,
                settings.delivery,
                settings.addresses.len()
            ));
        }
    }

    /// Lets everything be well for long enough, and looks whether it is.
    pub(super) fn settle(&mut self) -> Result<(), String> {
        let longest = self.calm()?;
        let several = self.holders().len() > 1;
        let before = self.history.len();
        let delays = self.routers.iter().map(|router| match router.settings.preempt {
            Preempt::After(delay) => delay,
            _ => Duration::ZERO,
        });
        // A stall is noticed and listened after, the silence of a slower router that has gone is waited for, a lower one
        // is put up with and then displaced; answers to rivals are a second apart at worst.
        let enough = longest * 10 + delays.max().unwrap_or_default() + Duration::from_millis(1200);
        self.run_for(enough * 101 / 100)?;
        self.seen.quiets += 1;
        self.seen.heals += u64::from(several);
        self.one_owner()?;
        // Whoever became active now, or had a rival, has announced itself in fine weather.
        if several || self.history.len() > before {
            self.neighbours_know()?;
        }
        self.stays(self.interval() * 5)?;
        let refresh = self.routers[0].settings.announcing.refresh.unwrap_or_default();
        if self.neighbours_know().is_err() {
            self.stays(refresh * 102 / 100)?;
            self.neighbours_know()?;
        }
        for neighbour in 0..self.neighbours.len() {
            self.resolve(neighbour);
        }
        Ok(())
    }

    /// Exactly one router holds the addresses if one may, and nobody is there who would displace it.
    pub(super) fn one_owner(&self) -> Result<(), String> {
        let (holders, eligible) = (self.holders(), self.eligible());
        let owner = match (holders.as_slice(), eligible.as_slice()) {
            ([], []) => return Ok(()),
            ([], _) => {
                return Err(format!("nobody holds the addresses, although {} may", self.names(&eligible)));
            }
            (&[owner], _) if eligible.contains(&owner) => &self.routers[owner],
            (&[owner], _) => {
                return Err(format!("{} holds addresses and must not", self.routers[owner].name));
            }
            _ => return Err(format!("{} hold the addresses at once", self.names(&holders))),
        };
        if owner.holds != owner.wanted() {
            return Err(format!("{} holds {:?} instead of {:?}", owner.name, owner.holds, owner.wanted()));
        }
        let state = owner.machine.as_ref().map(|machine| machine.state());
        if state != Some(State::Active) {
            return Err(format!("{} holds the addresses and is {state:?}", owner.name));
        }
        for &index in &eligible {
            let router = &self.routers[index];
            if router.priority() > owner.priority() && router.preempts() {
                return Err(format!("{} is active although {} displaces it", owner.name, router.name));
            }
        }
        Ok(())
    }

    /// Frames for the addresses go to who holds them.
    pub(super) fn neighbours_know(&self) -> Result<(), String> {
        let [owner] = self.holders()[..] else { return Ok(()) };
        let name = &self.routers[owner].name;
        if self.virtual_mac {
            let port = self.switch.port;
            let known = port == Some(owner);
            return if known {
                Ok(())
            } else {
                Err(format!("the switch knows {port:?}, and {name} is active"))
            };
        }
        for (index, neighbour) in self.neighbours.iter().enumerate() {
            for (address, &router) in &neighbour.table {
                if router != owner && self.routers[owner].holds.contains(address) {
                    let wrong = &self.routers[router].name;
                    return Err(format!(
                        "neighbour {} sends {address} to {wrong}, and {name} holds it",
                        index + 1
                    ));
                }
            }
        }
        Ok(())
    }

    /// Time passes and nobody takes or gives addresses.
    pub(super) fn stays(&mut self, span: Duration) -> Result<(), String> {
        let before = self.history.len();
        self.run_for(span)?;
        match self.history.get(before) {
            None => Ok(()),
            Some(change) => {
                let (name, at) = (&self.routers[change.router].name, change.at);
                let word = if change.holds { "takes" } else { "gives away" };
                Err(format!("{name} {word} the addresses at {at:?}, in quiet time"))
            }
        }
    }

    pub(super) fn names(&self, routers: &[usize]) -> String {
        let names: Vec<&str> = routers.iter().map(|&index| self.routers[index].name.as_str()).collect();
        names.join(" and ")
    }

    /// How long nobody and how long more than one held the addresses since then, by the history.
    pub(super) fn spans(&self, since: Time) -> Spans {
        let mut count = 0_usize;
        let mut spans = Spans::default();
        let mut last = Duration::ZERO;
        let end = self.history.len();
        for index in 0..=end {
            let at = self.history.get(index).map_or(self.now, |change| change.at);
            let span = at.saturating_sub(last.max(since));
            match count {
                0 => spans.nobody += span,
                1 => {}
                _ => spans.several += span,
            }
            last = at;
            match self.history.get(index) {
                Some(change) if change.holds => count += 1,
                Some(_) => count = count.saturating_sub(1),
                None => {}
            }
        }
        spans
    }
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Spans {
    pub(super) nobody: Duration,
    pub(super) several: Duration,
}
