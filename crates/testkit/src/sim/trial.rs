//! One thing happens to a site at rest, and what must follow is known.

use std::time::Duration;

use evenkeel_failover::track::Effective;
use evenkeel_failover::vrrp::params::Priority;

use super::network::Weather;
use super::site::{interval, other_source, virtual_addresses};
use super::world::{Time, World};

/// What messages on their way and timers that go off late may add to a wait, in fine weather.
const SLACK: Duration = Duration::from_millis(2);
/// The longest that who has lost holds on to the addresses.
const PARTING: Duration = Duration::from_millis(20);

impl World {
    /// Makes one trial, chosen by chance.
    pub(super) fn trial(&mut self) -> Result<(), String> {
        let [owner] = self.holders()[..] else { return Ok(()) };
        let others: Vec<usize> = self.eligible().into_iter().filter(|&index| index != owner).collect();
        // Not in step with the advertisements.
        let pause = self.random.between(Duration::ZERO, self.interval());
        self.run_for(pause)?;
        self.seen.trials += 1;
        let which = self.random.below(14);
        self.note(format_args!("== trial {which}"));
        let outcome = match which {
            0 => self.stopped(owner, &others),
            1 => self.withdrawn(owner, &others),
            2 => self.dead(owner, &others),
            3 => self.frozen(owner, &others),
            4 => self.parted(owner, &others),
            5 => self.restarted(owner, &others),
            6 => self.joined(owner, &others),
            7 => self.lowered(owner, &others),
            8 => self.other_addresses(),
            9 => self.other_interval(),
            10 => self.other_source(),
            11 => self.handed_over(owner, &others),
            12 => self.ailing(owner, &others),
            _ => self.backup_gone(&others),
        };
        outcome.map_err(|what| format!("trial {which}: {what}"))
    }

    /// A graceful stop: the best of the others takes over within its skew.
    fn stopped(&mut self, owner: usize, others: &[usize]) -> Result<(), String> {
        let begun = self.now;
        self.stop(owner)?;
        self.taken_within_skew(begun, others)
    }

    /// A tracked thing fails: as good as a stop.
    fn withdrawn(&mut self, owner: usize, others: &[usize]) -> Result<(), String> {
        let begun = self.now;
        self.track(owner, Some(Effective::Withdrawn))?;
        if !self.routers[owner].holds.is_empty() {
            return Err("who is withdrawn goes on holding the addresses".to_owned());
        }
        self.taken_within_skew(begun, others)
    }

    /// An operator wants another router to be active: the best of the others takes over within its skew, nobody misses
    /// the addresses, and the one that left does not come back by itself.
    fn handed_over(&mut self, owner: usize, others: &[usize]) -> Result<(), String> {
        if self.routers[owner].settings.priority.is_owner() {
            return Ok(());
        }
        let begun = self.now;
        self.hand_over(owner)?;
        self.taken_smoothly(begun, others)?;
        self.stays(self.interval() * 8)
    }

    /// Something that the owner tracks has failed: another takes over, unless all are as ill.
    fn ailing(&mut self, owner: usize, others: &[usize]) -> Result<(), String> {
        if self.routers[owner].settings.priority.is_owner() {
            return Ok(());
        }
        let all_are = self.random.percent(40);
        if all_are {
            for &other in others {
                self.track(other, Some(Effective::Yielding))?;
            }
        }
        let begun = self.now;
        self.track(owner, Some(Effective::Yielding))?;
        if all_are {
            return self.stays(self.interval() * 8);
        }
        self.taken_smoothly(begun, others)
    }

    fn taken_smoothly(&mut self, begun: Time, others: &[usize]) -> Result<(), String> {
        let best = self.best(others);
        let Some(&one) = best.first() else { return self.stays(self.interval() * 8) };
        let bound = wait(self.skew(one));
        self.taken_by(&best, begun + bound, "the skew after a release")?;
        self.run_for(SLACK)?;
        self.smooth(begun)
    }

    fn taken_within_skew(&mut self, begun: Time, others: &[usize]) -> Result<(), String> {
        let best = self.best(others);
        let Some(&one) = best.first() else { return self.nobody_takes() };
        let bound = wait(self.skew(one));
        self.taken_by(&best, begun + bound, "the skew after a release")?;
        // A router of nearly the same skew may not have heard of it in time.
        self.run_for(SLACK)?;
        self.one_owner_for_a_moment(begun, SLACK)
    }

    /// Without power: the best of the others takes over after its down interval, and not before.
    fn dead(&mut self, owner: usize, others: &[usize]) -> Result<(), String> {
        let last = self.routers[owner].sent.unwrap_or_default();
        self.power_off(owner);
        self.taken_after_silence(last, others)
    }

    fn taken_after_silence(&mut self, last: Time, others: &[usize]) -> Result<(), String> {
        let best = self.best(others);
        let Some(&one) = best.first() else { return self.nobody_takes() };
        let down = self.down_interval(one);
        self.taken_by(&best, last + wait(down), "the down interval after the last advertisement")?;
        let taken = self.now.saturating_sub(last);
        if taken < down * 99 / 100 {
            return Err(format!(
                "taken over {taken:?} after the last advertisement, and {down:?} is to be waited"
            ));
        }
        self.run_for(SLACK)
    }

    /// Frozen for longer than the others wait, then running on: one owner remains, and the neighbours know it.
    fn frozen(&mut self, owner: usize, others: &[usize]) -> Result<(), String> {
        let last = self.routers[owner].sent.unwrap_or_default();
        self.pause(owner);
        let best = self.best(others);
        let Some(&one) = best.first() else {
            self.run_for(self.interval() * 10)?;
            return self.resume(owner);
        };
        let mut holders = best.clone();
        holders.push(owner);
        let bound = last + wait(self.down_interval(one));
        self.run_while(bound, |world| world.holders().len() < 2)?;
        if !self.holders().iter().any(|holder| best.contains(holder)) {
            return Err(format!("{} did not take over from a frozen router in time", self.names(&best)));
        }
        let more = self.random.between(Duration::ZERO, self.interval() * 10);
        self.run_for(more + SLACK)?;
        self.resume(owner)?;
        // Its own listening time is the longest wait: an interval and less than another one.
        self.run_for(wait(self.interval() * 2).max(Duration::from_millis(5)))?;
        self.one_holder()?;
        if others.len() > 1 {
            // Several that took over at once have used up the answers of the best of them.
            self.run_for(self.answers_return())?;
        }
        self.neighbours_know()
    }

    /// A partition around the owner, with two owners, heals: the better one remains within an interval, and everybody
    /// knows it.
    fn parted(&mut self, owner: usize, others: &[usize]) -> Result<(), String> {
        let last = self.routers[owner].sent.unwrap_or_default();
        let both = self.random.percent(50);
        self.network.mute(owner);
        if both {
            self.network.deafen(owner);
        }
        let name = self.routers[owner].name.clone();
        self.note(format_args!("-- {name} is {}", if both { "cut off" } else { "not heard" }));
        let best = self.best(others);
        let Some(&one) = best.first() else {
            self.run_for(self.interval() * 10)?;
            self.network.mend();
            return Ok(());
        };
        let bound = last + wait(self.down_interval(one));
        self.run_while(bound, |world| !world.holders().iter().any(|holder| best.contains(holder)))?;
        if !self.holders().iter().any(|holder| best.contains(holder)) {
            return Err(format!("{} did not take over behind a partition in time", self.names(&best)));
        }
        let more = self.random.between(Duration::ZERO, self.interval() * 10);
        self.run_for(more + SLACK)?;
        self.network.mend();
        self.note(format_args!("-- healed"));
        let healed = self.now;
        // The loser waits for an answer, which does not come when the winner's answers are used up.
        self.run_for(self.interval() * 102 / 100 + SLACK + PARTING)?;
        self.one_holder().map_err(|what| format!("{what}, an interval after the healing at {healed:?}"))?;
        if !both {
            // Its answers to a rival that did not hear it may be used up. It announces with its own advertisements,
            // ten times a second at most, and once more when the rival has been quiet for three intervals.
            self.run_for(self.answers_return())?;
        }
        self.neighbours_know().map_err(|what| format!("{what}, an interval after the healing at {healed:?}"))
    }

    /// Killed and started again before anybody misses it: nothing changes hands.
    fn restarted(&mut self, owner: usize, others: &[usize]) -> Result<(), String> {
        let changes = self.history.len();
        let best = self.best(others);
        self.kill(owner);
        self.run_for(self.interval() / 10)?;
        self.start(owner)?;
        // One that waits longer than the others when it starts cannot keep what it had.
        let fast = best.first().is_none_or(|&one| self.skew(owner) <= self.skew(one));
        self.run_for(self.interval() * 6)?;
        if fast && self.history.len() > changes {
            return Err("a quick restart has moved the addresses".to_owned());
        }
        Ok(())
    }

    /// A router of higher priority comes: it takes over without a gap if it displaces others, and not at all otherwise.
    fn joined(&mut self, owner: usize, others: &[usize]) -> Result<(), String> {
        let ours = self.routers[owner].priority().map_or(255, Priority::number);
        let Some(joining) = self.random.pick(others).filter(|_| ours < 254) else { return Ok(()) };
        self.stop(joining)?;
        self.stays(self.interval() * 4)?;
        let others_wait = others.iter().any(|&other| {
            other != joining && self.routers[other].priority() > self.routers[owner].priority()
        });
        let higher = self.random.number(ours + 1, 254);
        self.routers[joining].settings.priority = Priority::new(higher).unwrap_or_default();
        self.routers[joining].tracked = None;
        let begun = self.now;
        self.start(joining)?;
        if !self.routers[joining].preempts() {
            return self.stays(self.interval() * 8);
        }
        if !self.routers[joining].preempts_at_once() || others_wait {
            return Ok(());
        }
        let bound = begun + wait(self.down_interval(joining));
        self.taken_by(&[joining], bound, "its down interval after it came")?;
        self.run_for(SLACK)?;
        self.smooth(begun)
    }

    /// Tracking lowers the owner: the best of those who displace it takes over without a gap.
    fn lowered(&mut self, owner: usize, others: &[usize]) -> Result<(), String> {
        let priority = Priority::new(self.random.number(1, 254)).unwrap_or_default();
        let begun = self.now;
        self.track(owner, Some(Effective::Priority(priority)))?;
        let ours = self.routers[owner].priority();
        let higher: Vec<usize> =
            others.iter().copied().filter(|&other| self.routers[other].priority() > ours).collect();
        if higher.iter().all(|&other| !self.routers[other].preempts()) {
            return self.stays(self.interval() * 8);
        }
        let at_once: Vec<usize> =
            higher.iter().copied().filter(|&other| self.routers[other].preempts_at_once()).collect();
        let best = self.best(&at_once);
        if best.is_empty() || at_once.len() < higher.len() {
            return Ok(());
        }
        let bound = begun + wait(self.down_interval(best[0]));
        self.taken_by(&best, bound, "its down interval after the owner was lowered")?;
        self.run_for(SLACK)?;
        self.smooth(begun)
    }

    /// One router after the other is given other addresses: nothing moves, and the owner holds the new ones.
    fn other_addresses(&mut self) -> Result<(), String> {
        let many = 1 + self.random.below(3);
        let changes = self.history.len();
        for router in self.in_any_order() {
            let addresses = virtual_addresses(self.routers[router].settings.family, many);
            self.change(router, |settings| settings.addresses = addresses)?;
            let pause = self.random.between(Duration::ZERO, self.interval() * 5);
            self.run_for(pause)?;
        }
        if self.history.len() > changes {
            return Err("other addresses have moved them".to_owned());
        }
        self.one_owner()
    }

    /// One router after the other is given another interval, where the version learns it: nothing moves.
    fn other_interval(&mut self) -> Result<(), String> {
        let version = self.routers[0].settings.version;
        if version == evenkeel_failover::vrrp::params::Version::V2 {
            return Ok(());
        }
        let new = interval(&mut self.random, version);
        let changes = self.history.len();
        for router in self.in_any_order() {
            self.change(router, |settings| settings.interval = new)?;
            let pause = self.random.between(Duration::ZERO, self.interval() * 5);
            self.run_for(pause)?;
        }
        if self.history.len() > changes {
            return Err("another interval has moved the addresses".to_owned());
        }
        self.one_owner()
    }

    /// A router gets another primary address: nothing moves.
    fn other_source(&mut self) -> Result<(), String> {
        let router = self.random.below(self.routers.len());
        self.routers[router].source = other_source(self.routers[router].source);
        self.tell_link(router)?;
        self.stays(self.interval() * 8)
    }

    /// A backup goes, in whatever way: nothing moves.
    fn backup_gone(&mut self, others: &[usize]) -> Result<(), String> {
        let Some(other) = self.random.pick(others) else { return Ok(()) };
        match self.random.below(4) {
            0 => self.stop(other)?,
            1 => self.power_off(other),
            2 => self.set_carrier(other, false)?,
            _ => self.track(other, Some(Effective::Withdrawn))?,
        }
        self.stays(self.interval() * 8)
    }

    /// How long neighbours may believe a rival when the owner's answers to it are used up.
    fn answers_return(&self) -> Duration {
        self.interval() * 4 + Duration::from_millis(100)
    }

    fn in_any_order(&mut self) -> Vec<usize> {
        let mut left: Vec<usize> = (0..self.routers.len()).collect();
        let mut order = Vec::new();
        while !left.is_empty() {
            order.push(left.swap_remove(self.random.below(left.len())));
        }
        order
    }

    /// Those of the highest priority come first; after them those whose clocks may let them take over as early.
    fn best(&self, among: &[usize]) -> Vec<usize> {
        let mut best = among.to_vec();
        best.sort_by_key(|&index| std::cmp::Reverse(self.routers[index].priority()));
        let Some(&first) = best.first() else { return best };
        let earliest = wait(self.down_interval(first));
        best.retain(|&index| self.down_interval(index) * 99 / 100 <= earliest);
        best
    }

    /// One of these holds the addresses by then, and until then nobody else does.
    fn taken_by(&mut self, who: &[usize], by: Time, what: &str) -> Result<(), String> {
        let held = |world: &Self| world.holders().iter().any(|holder| who.contains(holder));
        if self.run_while(by, |world| !held(world))? || held(self) {
            return Ok(());
        }
        let holders = self.names(&self.holders());
        let holders = if holders.is_empty() { "nobody".to_owned() } else { holders };
        Err(format!("{holders} instead of {} holds the addresses, {what}", self.names(who)))
    }

    fn nobody_takes(&mut self) -> Result<(), String> {
        self.run_for(self.interval() * 5)?;
        let holders = self.holders();
        if holders.is_empty() { Ok(()) } else { Err(format!("{} holds the addresses", self.names(&holders))) }
    }

    fn one_holder(&self) -> Result<(), String> {
        match self.holders()[..] {
            [_] => Ok(()),
            [] => Err("nobody holds the addresses".to_owned()),
            ref several => Err(format!("{} hold the addresses at once", self.names(several))),
        }
    }

    fn one_owner_for_a_moment(&self, since: Time, moment: Duration) -> Result<(), String> {
        let several = self.spans(since).several;
        if several <= moment { Ok(()) } else { Err(format!("several held the addresses for {several:?}")) }
    }

    /// The addresses have changed hands since then without a gap, and with two owners only while three messages
    /// travelled: here I am, I was here, here I am.
    fn smooth(&self, since: Time) -> Result<(), String> {
        let spans = self.spans(since);
        let travel = Weather::FINE.delay.1 * 4;
        if spans.nobody.is_zero() && spans.several <= travel {
            Ok(())
        } else {
            Err(format!("a planned change was not smooth: {spans:?}"))
        }
    }
}

/// A wait by a clock that may be wrong, and what comes on top of it.
fn wait(span: Duration) -> Duration {
    span * 101 / 100 + SLACK
}
