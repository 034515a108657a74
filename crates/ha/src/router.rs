//! One virtual router: its machine, and what the machine sees and moves.
//!
//! Invariants: every input to the machine is followed by its actions, in their order; addresses are touched only to
//! make them what `own` says; what others undo is put right at most once in [`RETRY`].

mod along;
mod reload;

use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use evenkeel_config::plan::{Track, Tracked, VirtualRouter};
use evenkeel_failover::track::{Part, effective};
use evenkeel_failover::vrrp::action::{Action, Link as Ability, Received};
use evenkeel_failover::vrrp::authentication::Authentication;
use evenkeel_failover::vrrp::machine::{Machine, Purpose};
use evenkeel_failover::vrrp::note::Note;
use evenkeel_failover::vrrp::params::Address;
use evenkeel_failover::vrrp::status::State;

use crate::addresses::{self, Step, What, Wish};
use crate::announcer::{self, Announcer};
use crate::ground::{self, Footing, Ground};
use crate::message::{Event, HandedOver, Kept, Level, TrackSnapshot, Verdict};
use crate::reassertions::{self, Reassertions};
use crate::run::World;
use crate::run::hand::Along;
use crate::sight::Seen;
use crate::speaker::Speaker;
use crate::{snapshot, track, virtual_mac, words};
use reload::Dismissed;

/// Messages that are read in one turn of the loop; other virtual routers and timers come before the rest.
const MOST_READS: usize = 64;
/// Before something that failed is tried again, and between two repairs of what others undo.
const RETRY: Duration = Duration::from_millis(200);
/// Between two lines about repairs.
const REPAIR_LINE: Duration = Duration::from_secs(60);
/// How often the machine learns the wall clock, when it needs it.
const WALL_CLOCK: Duration = Duration::from_secs(30);

/// See the module.
#[derive(Debug)]
pub(crate) struct Router {
    plan: VirtualRouter,
    machine: Machine,
    ground: Ground,
    speaker: Option<Speaker>,
    mask: Option<Mask>,
    own: bool,
    /// What of its addresses is on the interface.
    held: BTreeSet<IpAddr>,
    announcer: Announcer,
    failure: Option<(Instant, String)>,
    mute: Option<String>,
    retry_at: Option<Instant>,
    wall_clock_at: Option<Instant>,
    repaired: u64,
    repaired_at: Option<Instant>,
    repair_told: Option<Instant>,
    /// What it tracks, as last looked at.
    looked: Vec<(Track, Verdict)>,
    parts: Vec<Part>,
    /// It held its addresses then.
    looked_holding: bool,
    /// Operators' wishes that wait for the outcome of one handover. The supervisor bounds how many.
    asked: Vec<u64>,
    /// A move that keeps connections goes along with them.
    along: Along,
    dismissed: Option<Dismissed>,
    reassertions: Reassertions,
    /// What the supervisor was told of `own`.
    told_own: Option<bool>,
}

/// The interface with the virtual hardware address, while the addresses are held.
#[derive(Debug)]
struct Mask {
    index: u32,
    speaker: Speaker,
}

impl Router {
    /// Begins to take part in the election.
    pub(crate) fn start(plan: VirtualRouter, virtuals: &[Address], world: &mut World, now: Instant) -> Self {
        let mut router = Self {
            machine: Machine::new(plan.params.clone()),
            plan,
            ground: Ground::Missing(String::new()),
            speaker: None,
            mask: None,
            own: false,
            held: BTreeSet::new(),
            announcer: Announcer::default(),
            failure: None,
            mute: None,
            retry_at: None,
            wall_clock_at: None,
            repaired: 0,
            repaired_at: None,
            repair_told: None,
            looked: Vec::new(),
            parts: Vec::new(),
            looked_holding: false,
            asked: Vec::new(),
            along: Along::None,
            dismissed: None,
            reassertions: Reassertions::default(),
            told_own: None,
        };
        if router.plan.sync_group.is_some() {
            router.machine.join();
        }
        router.tell_wall_clock(now);
        router.stand(virtuals, world, now);
        let holding = router.is_holding(world);
        router.own = holding;
        router.track(world, now);
        match world.legacies.iter().find(|legacy| legacy.is_of(&router.plan)) {
            Some(legacy) => router.machine.resume(now, &legacy.machine, holding),
            None => router.machine.start(now, holding),
        }
        router.act(world, now);
        router.hold(world, now);
        router
    }

    /// Looks at what it tracks, and stands with what that makes of its priority.
    pub(crate) fn track(&mut self, world: &mut World, now: Instant) {
        self.looked = track::look(&self.plan.track, &world.findings, &world.sight);
        self.weigh(world, now);
    }

    fn weigh(&mut self, world: &mut World, now: Instant) {
        // What is not known yet means another thing once the addresses are held, or are not any more.
        for _ in 0..2 {
            self.looked_holding = self.own;
            self.parts = track::parts(&self.looked, self.own);
            let base = self.plan.params.settings().priority;
            self.machine.set_priority(now, effective(base, &self.parts));
            self.act(world, now);
            if self.own == self.looked_holding {
                return;
            }
        }
    }

    /// For `status`.
    pub(crate) fn tracked(&self) -> Vec<TrackSnapshot> {
        track::show(&self.looked, &self.parts)
    }

    /// An operator wants another router to be active.
    pub(crate) fn hand_over(&mut self, id: u64, world: &mut World, now: Instant) {
        if self.plan.params.settings().priority.is_owner() {
            world.out.send(&Event::HandedOver { id, outcome: HandedOver::Owner, kept: Kept::Nothing });
        } else if self.machine.state() == State::Active
            && world.handing.as_ref().is_some_and(|handing| handing.ask(self.name()))
        {
            self.asked.push(id);
            self.along = Along::Asked;
        } else if self.machine.hand_over(now, Purpose::Asked) {
            self.asked.push(id);
        } else {
            world.out.send(&Event::HandedOver { id, outcome: self.outcome(now), kept: Kept::Nothing });
        }
        self.act(world, now);
    }

    /// An operator wants it to take part with its full right again. Returns whether it had less.
    pub(crate) fn take_part(&mut self) -> bool {
        let stood_by = self.machine.is_standing_by();
        self.machine.stand_by(false);
        stood_by
    }

    fn outcome(&self, now: Instant) -> HandedOver {
        let status = self.machine.status(now);
        HandedOver::NotActive(status.state.name().into(), status.owner)
    }

    fn tell_outcome(&mut self, world: &mut World, now: Instant) {
        if self.machine.state() == State::Releasing || self.along == Along::Asked {
            return;
        }
        let status = self.machine.status(now);
        let outcome = match (status.state, status.owner) {
            (State::Active, _) => HandedOver::Nobody,
            (State::Backup | State::Stopped, Some(owner)) => HandedOver::To(owner),
            _ => self.outcome(now),
        };
        let kept = match (&outcome, self.along.kept()) {
            // How many connections there are is told in a moment.
            (HandedOver::To(_), None) => return,
            (HandedOver::To(_), Some(kept)) => kept,
            _ => Kept::Without("the addresses have not moved".into()),
        };
        self.along = Along::None;
        for id in self.asked.drain(..) {
            world.out.send(&Event::HandedOver { id, outcome: outcome.clone(), kept: kept.clone() });
        }
    }

    /// The interface, or an address on it, is not what it was.
    pub(crate) fn look_again(&mut self, virtuals: &[Address], world: &mut World, now: Instant) {
        self.stand(virtuals, world, now);
        self.repair(world, now);
    }

    /// Finds out where it stands and tells the machine when that is new.
    fn stand(&mut self, virtuals: &[Address], world: &mut World, now: Instant) {
        let seen = world.sight.of(&self.plan.interface).cloned().unwrap_or_default();
        let ground =
            ground::look(&self.plan, seen.link.as_ref(), seen.addresses(self.plan.is_v6()), virtuals);
        if ground == self.ground && (self.speaker.is_some() || matches!(ground, Ground::Missing(_))) {
            return;
        }
        let before = self.footing();
        self.ground = ground;
        self.speaker = None;
        if let Ground::Firm(footing) = self.ground {
            match Speaker::open(&self.plan, &footing) {
                Ok(speaker) => self.speaker = Some(speaker),
                Err(error) => {
                    self.retry_at = Some(now + RETRY);
                    let name = &self.plan.interface;
                    self.ground =
                        Ground::Missing(format!("cannot open a socket for VRRP on `{name}`: {error}"));
                }
            }
        }
        match self.ground.clone() {
            Ground::Firm(footing) => {
                if self.own && self.plan.virtual_mac {
                    self.mask(world, now);
                }
                self.machine.link(now, Ability::Up { source: footing.source });
                if self.own && before.is_some_and(|before| before.hardware != footing.hardware) {
                    self.announce_all(now);
                }
            }
            Ground::Missing(why) => {
                world.out.tell(self.name(), Level::Warning, why);
                self.machine.link(now, Ability::Down);
            }
        }
        self.act(world, now);
    }

    /// Reads what has come.
    pub(crate) fn hear(&mut self, world: &mut World, now: Instant) {
        let mut buffer = std::mem::take(&mut world.buffer);
        for _ in 0..MOST_READS {
            let Some(speaker) = self.mouth() else { break };
            match speaker.hear(&mut buffer) {
                Ok(Some(heard)) => {
                    let received = Received {
                        source: heard.source,
                        destination: heard.destination,
                        hop_limit: heard.hop_limit,
                        payload: heard.payload,
                    };
                    self.machine.receive(now, &received);
                    self.act(world, now);
                }
                Ok(None) => break,
                // The interface has gone down; its notice is on the way.
                Err(_) => break,
            }
        }
        world.buffer = buffer;
    }

    /// Does what is due.
    pub(crate) fn tick(&mut self, virtuals: &[Address], world: &mut World, now: Instant) {
        if self.machine.next_deadline().is_some_and(|deadline| deadline <= now) {
            self.machine.handle_timeout(now);
            self.act(world, now);
        }
        self.announce_due(world, now);
        self.tell_reassertion(world, now);
        if self.own != self.looked_holding {
            self.weigh(world, now);
        }
        if self.wall_clock_at.is_some_and(|at| at <= now) {
            self.tell_wall_clock(now);
        }
        if self.retry_at.is_some_and(|at| at <= now) {
            self.retry_at = None;
            self.stand(virtuals, world, now);
            self.repair(world, now);
        }
    }

    /// When [`Self::tick`] has something to do.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        [
            self.machine.next_deadline(),
            self.announcer.deadline(),
            self.retry_at,
            self.wall_clock_at,
            self.reassertions.deadline(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Does what the machine wants done.
    pub(crate) fn act(&mut self, world: &mut World, now: Instant) {
        while let Some(action) = self.machine.poll_action() {
            match action {
                Action::Send { destination, payload } => self.say(destination, &payload, world),
                Action::Own(own) => {
                    self.own = own;
                    if let Some(handing) = &world.handing {
                        handing.own(self.name(), own);
                    }
                    self.hold(world, now);
                    if let Some(handing) = &world.handing {
                        handing.held(self.name());
                    }
                }
                Action::Announce => {
                    self.announce_all(now);
                    self.announce_due(world, now);
                }
                Action::Note(note) => self.note(&note, world),
            }
        }
        if !self.asked.is_empty() {
            self.tell_outcome(world, now);
        }
        self.reassertions.look(self.machine.dual_outlived(), now);
        self.tell_reassertion(world, now);
    }

    fn tell_reassertion(&mut self, world: &mut World, now: Instant) {
        if self.reassertions.is_due(now) && self.machine.state() == State::Active {
            let status = self.machine.status(now);
            let why = reassertions::WHY.to_owned();
            let states = (status.state, status.state);
            world.out.send(&Event::Reasserted(snapshot::transition(self.name(), states, why, &status)));
        }
    }

    /// Tells the supervisor whether the addresses are held, when it does not know. What finds no room is told later.
    pub(crate) fn tell_own(&mut self, world: &mut World) {
        if self.told_own != Some(self.own)
            && world.out.send(&Event::Holds { router: self.name().into(), own: self.own })
        {
            self.told_own = Some(self.own);
        }
    }

    fn note(&self, note: &Note, world: &mut World) {
        let (level, text) = words::note(note);
        world.out.tell(self.name(), level, text);
        if let Note::Became { from, to, why } = note {
            let status = self.machine.status(Instant::now());
            world.out.transition(snapshot::transition(
                self.name(),
                (*from, *to),
                words::reason(why),
                &status,
            ));
        }
    }

    fn say(&mut self, destination: IpAddr, payload: &[u8], world: &mut World) {
        let Some(speaker) = self.mouth() else { return };
        let failed = speaker.say(destination, payload).err().map(|error| error.to_string());
        if let Some(why) = failed.as_ref().filter(|why| self.mute.as_ref() != Some(why)) {
            let text = format!(
                "cannot send to {destination}: {why}; the others may think that this machine is gone"
            );
            world.out.tell(self.name(), Level::Error, text);
        }
        self.mute = failed;
    }

    /// Makes the addresses what `own` says.
    fn hold(&mut self, world: &mut World, now: Instant) {
        if self.own && self.plan.virtual_mac {
            self.mask(world, now);
        }
        if !self.own {
            self.announcer.clear();
        }
        for step in self.settle(world, now) {
            if step.what == What::RemoveForeign {
                self.tell_step(&step, world);
            }
        }
        if !self.own {
            self.unmask(world);
        }
        world.own_changed = true;
    }

    /// The same after something was seen to change: what needs a step now was done by somebody else.
    fn repair(&mut self, world: &mut World, now: Instant) {
        if let Some(at) = self.repaired_at.map(|at| at + RETRY).filter(|at| *at > now) {
            // Somebody who undoes everything at once must not keep both sides busy for ever.
            self.retry_at = Some(self.retry_at.map_or(at, |retry| retry.min(at)));
            return;
        }
        if self.own && self.plan.virtual_mac && self.mask.is_none() {
            self.mask(world, now);
        }
        let steps = self.settle(world, now);
        if steps.is_empty() {
            return;
        }
        self.repaired_at = Some(now);
        self.repaired += steps.len() as u64;
        world.own_changed = true;
        if self.own && steps.iter().any(|step| step.what == What::Add) {
            self.announce_all(now);
        }
        if self.repair_told.is_none_or(|told| now.saturating_duration_since(told) >= REPAIR_LINE) {
            self.repair_told = Some(now);
            for step in &steps {
                self.tell_step(step, world);
            }
        }
    }

    /// Tells of something that somebody else did.
    fn tell_step(&self, step: &Step, world: &mut World) {
        let Step { ip, prefix, .. } = step;
        let text = match step.what {
            What::Add => format!("{ip}/{prefix} was removed by somebody else; it is here again"),
            What::Remove | What::RemoveForeign => format!(
                "{ip}/{prefix} was added by somebody else; it was removed, because this machine must not hold it now"
            ),
        };
        world.out.tell(self.name(), Level::Warning, text);
    }

    /// Compares and does what is missing. The steps that were done.
    fn settle(&mut self, world: &mut World, now: Instant) -> Vec<Step> {
        let Some(index) = self.seat(world) else {
            self.held.clear();
            return Vec::new();
        };
        let present = match world.netlink.addresses(self.plan.is_v6(), index) {
            Ok(present) => present,
            Err(error) => {
                self.failed(format!("cannot list the addresses: {error}"), world, now);
                return Vec::new();
            }
        };
        let steps = addresses::steps(&self.wish(index), &present);
        let mut failure = None;
        for step in &steps {
            let Step { ip, prefix, index, what } = *step;
            let result = match what {
                What::Add => world.netlink.add_address(index, ip, prefix),
                What::Remove | What::RemoveForeign => world.netlink.remove_address(index, ip, prefix),
            };
            if let Err(error) = result {
                let verb = if what == What::Add { "add" } else { "remove" };
                failure = Some(format!("cannot {verb} {ip}/{prefix}: {error}"));
            }
        }
        self.held = if self.own && failure.is_none() {
            self.plan.params.settings().addresses.iter().map(|address| address.ip).collect()
        } else {
            let now_present = world.netlink.addresses(self.plan.is_v6(), index).unwrap_or_default();
            now_present.iter().map(|held| held.ip).collect()
        };
        match failure {
            Some(text) => self.failed(text, world, now),
            None => self.failure = None,
        }
        steps
    }

    fn failed(&mut self, text: String, world: &mut World, now: Instant) {
        self.retry_at = Some(now + RETRY);
        match &mut self.failure {
            Some((_, before)) if *before == text => {}
            _ => {
                world.out.tell(self.name(), Level::Error, text.clone());
                self.failure = Some((now, text));
            }
        }
    }

    /// Raises the interface with the virtual hardware address.
    fn mask(&mut self, world: &mut World, now: Instant) {
        let Some(footing) = self.footing() else { return };
        let raised = self.raise(&footing, world);
        world.tell_changes();
        match raised {
            Ok(mask) => self.mask = Some(mask),
            Err(error) => self.failed(
                format!("cannot make an interface with the virtual hardware address: {error}"),
                world,
                now,
            ),
        }
    }

    fn raise(&self, footing: &Footing, world: &mut World) -> io::Result<Mask> {
        let gone = || io::Error::from(io::ErrorKind::NotFound);
        let parent =
            world.sight.of(&self.plan.interface).and_then(|seen| seen.link.clone()).ok_or_else(gone)?;
        let World { netlink, changes, .. } = world;
        let link = virtual_mac::raise(netlink, changes, &self.plan, &parent, footing.source)?;
        let hardware = virtual_mac::hardware(&self.plan);
        let speaker = Speaker::open(&self.plan, &Footing { index: link.index, hardware, ..*footing })?;
        Ok(Mask { index: link.index, speaker })
    }

    /// Removes it; its addresses go with it.
    fn unmask(&mut self, world: &mut World) {
        let left = || {
            let seen = world.sight.of(&self.plan.interface)?;
            let name = virtual_mac::name(&self.plan, seen.link.as_ref()?.index);
            Some(name)
        };
        let index = match self.mask.take() {
            Some(mask) => Some(mask.index),
            // What an earlier process has left.
            None if self.plan.virtual_mac => {
                let name = left();
                name.and_then(|name| world.netlink.link(&name).ok()?).map(|link| link.index)
            }
            None => None,
        };
        if let Some(index) = index {
            let _ = world.netlink.remove_link(index);
        }
    }

    fn announce_all(&mut self, now: Instant) {
        let addresses = self.plan.params.settings().addresses.iter().map(|address| address.ip);
        self.announcer.add(addresses, now);
    }

    fn announce_due(&mut self, world: &mut World, now: Instant) {
        let due = self.announcer.due(now);
        let (Some(footing), false) = (self.footing(), due.is_empty()) else { return };
        let (hardware, interface) = match &self.mask {
            Some(_) => (virtual_mac::hardware(&self.plan), virtual_mac::name(&self.plan, footing.index)),
            None => (footing.hardware, self.plan.interface.clone()),
        };
        let is_router = self.plan.is_v6() && announcer::forwards(&interface);
        for address in due {
            let frame = announcer::frame(address, hardware, is_router);
            let result = self.mouth().map(|speaker| speaker.announce(&frame));
            if let Some(Err(error)) = result {
                let text = format!("cannot announce {address} to the neighbours: {error}");
                world.out.tell(self.name(), Level::Warning, text);
                // The next round will show whether that lasts.
                break;
            }
        }
    }

    fn tell_wall_clock(&mut self, now: Instant) {
        self.wall_clock_at = None;
        if matches!(self.plan.params.settings().authentication, Authentication::Hmac(_)) {
            self.machine.set_wall_clock(now, snapshot::since_1970());
            self.wall_clock_at = Some(now + WALL_CLOCK);
        }
    }

    /// An earlier process has left the addresses where they belong.
    fn is_holding(&self, world: &mut World) -> bool {
        let Some(index) = self.seat(world).filter(|_| self.footing().is_some()) else { return false };
        let present = world.netlink.addresses(self.plan.is_v6(), index).unwrap_or_default();
        addresses::holds_all(&self.wish(index), &present)
    }

    /// The interface of its addresses.
    pub(crate) fn seat(&self, world: &mut World) -> Option<u32> {
        if let Some(mask) = &self.mask {
            return Some(mask.index);
        }
        let parent = world.sight.of(&self.plan.interface).and_then(|seen: &Seen| seen.link.as_ref())?.index;
        if self.plan.virtual_mac {
            let name = virtual_mac::name(&self.plan, parent);
            return world.netlink.link(&name).ok().flatten().map(|link| link.index);
        }
        Some(parent)
    }

    /// What it wants of the addresses there.
    pub(crate) fn wish(&self, index: u32) -> Wish<'_> {
        let settings = self.plan.params.settings();
        let addresses = self.dismissed.as_ref().map_or(&settings.addresses, |dismissed| &dismissed.left);
        Wish { index, addresses, own: self.own, is_owner: settings.priority.is_owner() }
    }

    fn footing(&self) -> Option<Footing> {
        match self.ground {
            Ground::Firm(footing) => Some(footing),
            Ground::Missing(_) => None,
        }
    }

    /// Where it hears and speaks now.
    fn mouth(&self) -> Option<&Speaker> {
        self.mask.as_ref().map(|mask| &mask.speaker).or(self.speaker.as_ref())
    }

    pub(crate) fn socket(&self) -> Option<BorrowedFd<'_>> {
        self.mouth().map(AsFd::as_fd)
    }

    pub(crate) fn plan(&self) -> &VirtualRouter {
        &self.plan
    }

    pub(crate) fn name(&self) -> &str {
        self.plan.name.as_str()
    }

    pub(crate) fn machine(&self) -> &Machine {
        &self.machine
    }

    pub(crate) fn machine_mut(&mut self) -> &mut Machine {
        &mut self.machine
    }

    pub(crate) fn owns(&self) -> bool {
        self.own
    }

    /// It has an interface of its own now.
    pub(crate) fn is_masked(&self) -> bool {
        self.mask.is_some()
    }

    pub(crate) fn missing(&self) -> Option<&str> {
        match &self.ground {
            Ground::Firm(_) => None,
            Ground::Missing(why) => Some(why),
        }
    }

    pub(crate) fn source(&self) -> Option<IpAddr> {
        self.footing().map(|footing| footing.source)
    }

    pub(crate) fn holds(&self, ip: IpAddr) -> bool {
        self.held.contains(&ip)
    }

    pub(crate) fn failure(&self) -> Option<(Instant, &str)> {
        self.failure.as_ref().map(|(since, text)| (*since, text.as_str()))
    }

    pub(crate) fn repaired(&self) -> u64 {
        self.repaired
    }

    /// The interfaces that it tracks.
    pub(crate) fn tracks(&self) -> impl Iterator<Item = &str> {
        self.plan.track.iter().filter_map(|track| match &track.what {
            Tracked::Interface(name) => Some(name.as_str()),
            _ => None,
        })
    }

    /// Whether what was seen on the interface is something of its own.
    pub(crate) fn concerns(&self, interface: &str) -> bool {
        self.plan.interface == interface
            || (self.mask.is_some()
                && self
                    .footing()
                    .is_some_and(|footing| virtual_mac::name(&self.plan, footing.index) == interface))
    }

    /// The interfaces that it lives on.
    pub(crate) fn interfaces(&self) -> Vec<String> {
        let mut names = vec![self.plan.interface.clone()];
        if let (Some(_), Some(footing)) = (&self.mask, self.footing()) {
            names.push(virtual_mac::name(&self.plan, footing.index));
        }
        names
    }
}
