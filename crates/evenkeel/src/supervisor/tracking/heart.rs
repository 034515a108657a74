//! Judges the proxy role by its signs of life. Decides only; time is an argument.
//!
//! Invariant: a process that was late itself ([`SECOND_CHANCE`]) does not take its own pause for the other's silence.

use std::collections::BTreeMap;
use std::time::Duration;

use evenkeel_config::plan::Least;
use evenkeel_ha::message::{Standing, Verdict};
use evenkeel_proxy::message::PoolPulse;
use evenkeel_traffic::name::Name;
use tokio::time::Instant;

/// After this silence the role is thought to hang. It speaks every 100 ms.
pub(super) const SILENCE: Duration = Duration::from_millis(350);
/// The same while it puts a plan in force.
const SILENCE_OF_RELOAD: Duration = Duration::from_secs(3);
/// What was said in time is read within this, also when this process was late.
const SECOND_CHANCE: Duration = Duration::from_millis(30);
/// A role that is ready has this long to find out how its servers are.
const LONGEST_SETTLING: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Heart {
    created: Instant,
    /// The last sign of life of this process, and when it became ready.
    last: Option<Instant>,
    ready_at: Option<Instant>,
    suspected_at: Option<Instant>,
    deadline: Option<Instant>,
    pools: Option<BTreeMap<Name, PoolPulse>>,
    /// It knows how all its servers are, or has had time enough.
    settled: bool,
    /// Some process of the role was well.
    was_well: bool,
    verdict: Verdict,
}

impl Heart {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            created: now,
            last: None,
            ready_at: None,
            suspected_at: None,
            deadline: None,
            pools: None,
            settled: false,
            was_well: false,
            verdict: Verdict::unknown("it is starting"),
        }
    }

    /// Another process begins.
    pub(super) fn began(&mut self) {
        (self.last, self.ready_at, self.suspected_at, self.pools) = (None, None, None, None);
        self.settled = false;
    }

    pub(super) fn beat(&mut self, pools: Option<Vec<PoolPulse>>, now: Instant) {
        self.last = Some(now);
        self.suspected_at = None;
        if let Some(pools) = pools {
            self.pools = Some(pools.into_iter().map(|pool| (pool.name.clone(), pool)).collect());
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    pub(super) fn verdict(&self) -> Verdict {
        self.verdict.clone()
    }

    /// Looks again; the verdict when it is another. `patient`: the role has more to do than to give signs of life.
    pub(super) fn judge(&mut self, is_ready: bool, patient: bool, now: Instant) -> Option<Verdict> {
        let before = self.verdict.standing;
        self.verdict = self.look(is_ready, patient, now);
        self.was_well |= self.verdict.standing == Standing::Good;
        (self.verdict.standing != before).then(|| self.verdict.clone())
    }

    fn look(&mut self, is_ready: bool, patient: bool, now: Instant) -> Verdict {
        self.deadline = None;
        if !is_ready {
            self.ready_at = None;
            return self.not_yet("it does not run yet", now);
        }
        let ready_at = *self.ready_at.get_or_insert(now);
        let patience = if patient { SILENCE_OF_RELOAD } else { SILENCE };
        let due = self.last.unwrap_or(ready_at).max(ready_at) + patience;
        if due <= now {
            let suspected = *self.suspected_at.get_or_insert(now);
            if suspected + SECOND_CHANCE <= now {
                return Verdict::bad(format!("it hangs: it was not heard for {} ms", patience.as_millis()));
            }
            self.deadline = Some(suspected + SECOND_CHANCE);
        } else {
            self.deadline = Some(due);
        }
        let undecided = |pools: &BTreeMap<Name, PoolPulse>| pools.values().any(|pool| pool.undecided > 0);
        self.settled |=
            self.pools.as_ref().is_some_and(|pools| !undecided(pools)) || ready_at + LONGEST_SETTLING <= now;
        if !self.settled {
            return self.not_yet("it does not know yet how its servers are", now);
        }
        Verdict::good()
    }

    /// At the first start nobody is blamed for a while; a role that comes back must be well first.
    fn not_yet(&self, why: &str, now: Instant) -> Verdict {
        if !self.was_well && now < self.created + super::START {
            Verdict::unknown(why)
        } else {
            Verdict::bad(why)
        }
    }

    /// How a pool is, as far as a role that lives says so.
    pub(super) fn pool(&self, name: &Name, least: Least) -> Verdict {
        let is_heard = self.ready_at.is_some() && !self.hangs();
        let Some(pool) = self.pools.as_ref().filter(|_| is_heard).and_then(|pools| pools.get(name)) else {
            return Verdict::unknown("the proxy role, which checks it, does not say how it is");
        };
        let needed = least.of(pool.servers);
        if pool.usable >= needed {
            Verdict::good()
        } else if pool.usable + pool.undecided >= needed {
            Verdict::unknown("its servers were not checked yet")
        } else {
            Verdict::bad(format!(
                "{} of {} servers take traffic, {needed} are needed",
                pool.usable, pool.servers
            ))
        }
    }

    fn hangs(&self) -> bool {
        self.suspected_at.is_some() && self.verdict.standing == Standing::Bad
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(usable: u32, undecided: u32) -> Vec<PoolPulse> {
        vec![PoolPulse { name: "website".parse().unwrap(), servers: 2, usable, undecided }]
    }

    fn after(start: Instant, millis: u64) -> Instant {
        start + Duration::from_millis(millis)
    }

    #[test]
    fn silence_is_judged_after_a_second_chance() {
        let start = Instant::now();
        let mut heart = Heart::new(start);
        heart.beat(Some(pool(2, 0)), start);
        assert_eq!(heart.judge(true, false, start), Some(Verdict::good()));
        assert_eq!(heart.deadline(), Some(after(start, 350)));
        assert_eq!(heart.judge(true, false, after(start, 350)), None);
        assert_eq!(heart.deadline(), Some(after(start, 380)));
        assert_eq!(heart.judge(true, false, after(start, 380)).unwrap().standing, Standing::Bad);
        heart.beat(None, after(start, 900));
        assert_eq!(heart.judge(true, false, after(start, 900)), Some(Verdict::good()));
    }

    #[test]
    fn what_was_said_before_the_second_chance_ends_counts() {
        let start = Instant::now();
        let mut heart = Heart::new(start);
        heart.beat(Some(pool(2, 0)), start);
        heart.judge(true, false, start);
        heart.judge(true, false, after(start, 700));
        heart.beat(None, after(start, 701));
        assert_eq!(heart.judge(true, false, after(start, 730)), None);
    }

    #[test]
    fn a_role_that_comes_back_is_ill_until_it_knows_its_servers() {
        let start = Instant::now();
        let mut heart = Heart::new(start);
        assert_eq!(heart.judge(false, false, start), None);
        assert_eq!(heart.verdict().standing, Standing::Unknown);
        heart.beat(Some(pool(2, 0)), start);
        heart.judge(true, false, start);
        heart.began();
        assert_eq!(heart.judge(false, false, after(start, 10)).unwrap().standing, Standing::Bad);
        heart.beat(Some(pool(1, 1)), after(start, 60));
        assert_eq!(heart.judge(true, false, after(start, 60)), None);
        heart.beat(Some(pool(2, 0)), after(start, 90));
        assert_eq!(heart.judge(true, false, after(start, 90)), Some(Verdict::good()));
    }

    #[test]
    fn a_pool_needs_as_many_servers_as_were_asked_for() {
        let start = Instant::now();
        let mut heart = Heart::new(start);
        let name = "website".parse().unwrap();
        let mut standing = |usable, undecided, least| {
            heart.beat(Some(pool(usable, undecided)), start);
            heart.judge(true, false, start);
            heart.pool(&name, least).standing
        };
        assert_eq!(standing(1, 0, Least::Servers(1)), Standing::Good);
        assert_eq!(standing(1, 0, Least::Servers(2)), Standing::Bad);
        assert_eq!(standing(1, 1, Least::Servers(2)), Standing::Unknown);
        assert_eq!(standing(1, 0, Least::Share(50)), Standing::Good);
        assert_eq!(standing(1, 0, Least::Share(51)), Standing::Bad);
    }
}
