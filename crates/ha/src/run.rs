//! The high availability role: one loop that waits for packets, news of the kernel, words of the supervisor and time.

pub(crate) mod hand;
mod leave;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use evenkeel_config::plan::{Tracked, VirtualRouter};
use evenkeel_failover::vrrp::group::settle;
use evenkeel_failover::vrrp::machine::Machine;
use evenkeel_failover::vrrp::params::Address;
use evenkeel_sys::channel::{Next, Polled};
use evenkeel_sys::netlink::Netlink;
use evenkeel_sys::raw::LARGEST_ADVERTISEMENT;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::addresses::{self, Wish};
use crate::apply::{Fate, fates};
use crate::following::{self, Wanted};
use crate::handing::{Handing, LOOPBACK};
use crate::message::{
    Change, ChangedSetting, Event, Finding, HandedOver, Kept, Legacy, Level, Snapshot, Transition,
};
use crate::router::Router;
use crate::sight::Sight;
use crate::snapshot;
use crate::virtual_mac::Changes;

/// How often routes and rules are compared with what they should be: nobody tells when others remove them.
const RECHECK: Duration = Duration::from_secs(5);
/// How long the last words may wait for a supervisor that does not read.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// Events that are kept while another process takes over.
const MOST_KEPT: usize = 256;
/// How much longer than the longest handover it may take until the role has ended, whatever happens meanwhile: nobody may be
/// there to kill it.
const LEAVE_MARGIN: Duration = Duration::from_secs(1);

/// What the process was allowed to do for its own punctuality; for `status`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Urgency {
    /// Its memory cannot be paged out.
    pub memory_locked: bool,
    /// Its thread comes before ordinary ones.
    pub real_time: bool,
}

/// Runs the role until the supervisor says stop or is gone; either way every address has been given away then.
///
/// # Errors
/// When the operating system fails in a way that no message can tell.
pub fn run(channel: Polled, urgency: Urgency) -> io::Result<()> {
    let world = World {
        netlink: Netlink::open()?,
        sight: Sight::open()?,
        changes: Changes::default(),
        findings: Vec::new(),
        legacies: Vec::new(),
        told: Vec::new(),
        handing: None,
        out: Out {
            channel,
            dropped: 0,
            is_lost: false,
            late: BTreeMap::new(),
            is_silent: false,
            kept: VecDeque::new(),
        },
        own_changed: false,
        buffer: vec![0; LARGEST_ADVERTISEMENT],
    };
    Role {
        world,
        urgency,
        revision: 0,
        routers: Vec::new(),
        failures: BTreeSet::new(),
        recheck_at: None,
        leave_by: None,
        is_orphan: false,
        is_succeeded: false,
    }
    .live()
}

/// What all virtual routers share.
pub(crate) struct World {
    pub(crate) netlink: Netlink,
    pub(crate) sight: Sight,
    pub(crate) changes: Changes,
    /// How everything is that is tracked, but for interfaces.
    pub(crate) findings: Vec<Finding>,
    /// What the process before has left, while a plan is put in force.
    pub(crate) legacies: Vec<Legacy>,
    /// What was told of them last.
    told: Vec<ChangedSetting>,
    /// Moves that keep connections, while there is a `[pair]`.
    pub(crate) handing: Option<Handing>,
    pub(crate) out: Out,
    /// Somebody began or ceased to hold addresses since the last look.
    pub(crate) own_changed: bool,
    pub(crate) buffer: Vec<u8>,
}

impl World {
    /// Tells the supervisor which settings differ from what they were, when that is new.
    pub(crate) fn tell_changes(&mut self) {
        let changes = self.changes.told();
        if changes != self.told {
            self.told.clone_from(&changes);
            self.out.send(&Event::Changed(changes));
        }
    }
}

/// Where words for the supervisor go. Never waits.
pub(crate) struct Out {
    channel: Polled,
    dropped: u64,
    is_lost: bool,
    /// The last transitions that found no room, by router.
    late: BTreeMap<String, Transition>,
    /// Another process takes over: what there is to say is kept until this one is told something.
    is_silent: bool,
    kept: VecDeque<Event>,
}

impl Out {
    /// Whether it was taken.
    pub(crate) fn send(&mut self, event: &Event) -> bool {
        if self.is_silent && self.kept.len() < MOST_KEPT {
            self.kept.push_back(event.clone());
            return true;
        }
        if self.is_silent {
            self.dropped += 1;
            return false;
        }
        match self.channel.send(event) {
            Ok(true) => return true,
            Ok(false) => self.dropped += 1,
            Err(_) => self.is_lost = true,
        }
        false
    }

    /// Of those that find no room the last one of each router is kept: who is told must learn the last state.
    pub(crate) fn transition(&mut self, transition: Transition) {
        self.late.remove(&transition.router);
        let event = Event::Transition(transition);
        if !self.send(&event)
            && let Event::Transition(transition) = event
        {
            self.late.insert(transition.router.clone(), transition);
        }
    }

    /// Says what was kept.
    fn speak_again(&mut self) {
        self.is_silent = false;
        for event in std::mem::take(&mut self.kept) {
            self.send(&event);
        }
    }

    fn send_late(&mut self) {
        for transition in std::mem::take(&mut self.late).into_values() {
            self.transition(transition);
        }
    }

    pub(crate) fn tell(&mut self, router: &str, level: Level, text: String) {
        self.send(&Event::Told { level, router: router.into(), text });
    }
}

/// What woke the loop.
#[derive(Default)]
struct Ready {
    channel: bool,
    news: bool,
    /// The thread of moves has said something.
    bell: bool,
    /// Places of virtual routers with a packet.
    routers: Vec<usize>,
}

struct Role {
    world: World,
    urgency: Urgency,
    revision: u64,
    routers: Vec<Router>,
    /// What could not be done about routes and rules.
    failures: BTreeSet<String>,
    recheck_at: Option<Instant>,
    /// The addresses are handed over, and then it ends, at the latest now.
    leave_by: Option<Instant>,
    /// Nobody says anything any more.
    is_orphan: bool,
    /// Another process goes on with the addresses.
    is_succeeded: bool,
}

impl Role {
    fn live(mut self) -> io::Result<()> {
        loop {
            let ready = self.wait()?;
            let now = Instant::now();
            // News first: a packet that comes over an interface that has just come back must find it open. Packets before
            // time: what was heard in time must count when this process was late itself.
            if ready.news {
                self.look(now);
            }
            for place in ready.routers {
                if let Some(router) = self.routers.get_mut(place) {
                    router.hear(&mut self.world, now);
                }
            }
            if ready.bell {
                self.hear_the_thread(now);
            }
            self.tick(now);
            if ready.channel && !self.is_orphan && !self.obey(now) {
                if self.is_succeeded {
                    self.say_farewell(now);
                    return Ok(());
                }
                self.leave(now);
            }
            if self.world.out.is_lost && !self.is_orphan {
                self.is_orphan = true;
                self.leave(now);
            }
            self.regroup(now);
            self.tell_the_parts();
            self.tell(ready.channel);
            self.forget_the_dismissed();
            if self.leave_by.is_some_and(|by| by <= now || self.routers.iter().all(Router::is_stopped)) {
                break;
            }
            self.follow(now);
        }
        self.end();
        Ok(())
    }

    /// Tells what the supervisor must know in the end, and did not take before.
    fn tell(&mut self, has_room: bool) {
        if has_room && !self.world.out.late.is_empty() {
            self.world.out.send_late();
        }
        if has_room {
            self.say_pieces();
        }
        for router in &mut self.routers {
            router.tell_own(&mut self.world);
        }
    }

    /// Waits until something is to be done.
    fn wait(&mut self) -> io::Result<Ready> {
        let now = Instant::now();
        let deadlines =
            self.routers.iter().filter_map(Router::deadline).chain(self.recheck_at).chain(self.leave_by);
        let timeout = deadlines.min().map(|deadline| {
            let left = deadline.saturating_duration_since(now);
            Timespec {
                tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: left.subsec_nanos().into(),
            }
        });
        let channel = &self.world.out.channel;
        let mut interest = PollFlags::IN;
        if channel.wants_to_write() {
            interest |= PollFlags::OUT;
        }
        let sockets: Vec<_> = self
            .routers
            .iter()
            .enumerate()
            .filter_map(|(place, router)| Some((place, router.socket()?)))
            .collect();
        // One that has ended is ready for ever.
        let first = if self.is_orphan {
            PollFd::from_borrowed_fd(self.world.sight.watch().as_fd(), PollFlags::empty())
        } else {
            PollFd::new(channel, interest)
        };
        let mut waited =
            vec![first, PollFd::from_borrowed_fd(self.world.sight.watch().as_fd(), PollFlags::IN)];
        waited.extend(sockets.iter().map(|(_, socket)| PollFd::from_borrowed_fd(*socket, PollFlags::IN)));
        let bell = waited.len();
        if let Some(handing) = &self.world.handing {
            waited.push(PollFd::from_borrowed_fd(handing.bell(), PollFlags::IN));
        }
        match poll(&mut waited, timeout.as_ref()) {
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => return Ok(Ready::default()),
            Err(error) => return Err(error.into()),
        }
        let woken = |place: usize| waited.get(place).is_some_and(|fd: &PollFd<'_>| !fd.revents().is_empty());
        let routers =
            sockets.iter().enumerate().filter(|(at, _)| woken(at + 2)).map(|(_, (place, _))| *place);
        Ok(Ready { channel: woken(0), news: woken(1), bell: woken(bell), routers: routers.collect() })
    }

    /// Looks at interfaces that have changed.
    fn look(&mut self, now: Instant) {
        let World { sight, netlink, .. } = &mut self.world;
        let changed = match sight.refresh(netlink) {
            Ok(changed) => changed,
            Err(error) => {
                self.world.out.tell("", Level::Error, format!("the interfaces cannot be looked at: {error}"));
                return;
            }
        };
        if changed.is_empty() {
            return;
        }
        let virtuals = self.virtuals();
        for router in &mut self.routers {
            if router.tracks().any(|name| changed.contains(name)) {
                router.track(&mut self.world, now);
            }
            if changed.iter().any(|name| router.concerns(name)) {
                router.look_again(&virtuals, &mut self.world, now);
            }
        }
        // Routes vanish with the carrier and do not come back with it.
        self.world.own_changed = true;
    }

    fn tick(&mut self, now: Instant) {
        let is_due = |router: &Router| router.deadline().is_some_and(|deadline| deadline <= now);
        if !self.routers.iter().any(is_due) {
            return;
        }
        let virtuals = self.virtuals();
        for router in self.routers.iter_mut().filter(|router| is_due(router)) {
            router.tick(&virtuals, &mut self.world, now);
        }
    }

    /// What follows the addresses, once they are as they shall be.
    fn follow(&mut self, now: Instant) {
        let is_due = self.recheck_at.is_some_and(|at| at <= now);
        if !self.world.own_changed && !is_due {
            return;
        }
        self.world.own_changed = false;
        let tracked = self.routers.iter().flat_map(Router::tracks).map(str::to_owned);
        let names: Vec<String> = self.routers.iter().flat_map(Router::interfaces).chain(tracked).collect();
        let World { sight, netlink, .. } = &mut self.world;
        sight.follow(names.iter().map(String::as_str).collect(), netlink);
        if !self.routers.iter().any(Router::is_masked) {
            self.world.changes.undo();
            self.world.tell_changes();
        }
        let has_followers = self
            .routers
            .iter()
            .any(|router| !router.plan().routes.is_empty() || !router.plan().rules.is_empty());
        if !has_followers && self.recheck_at.is_none() {
            return;
        }
        let mut wanted = Wanted::default();
        for router in self.routers.iter().filter(|router| router.owns()) {
            if let Some(index) = router.seat(&mut self.world) {
                wanted.add(index, &router.plan().routes, &router.plan().rules);
            }
        }
        let failures = following::reconcile(&mut self.world.netlink, &wanted);
        for text in failures.difference(&self.failures) {
            self.world.out.tell("", Level::Error, text.clone());
        }
        self.failures = failures;
        self.recheck_at = has_followers.then(|| now + RECHECK);
    }

    /// Lets the members of each sync group follow each other.
    fn regroup(&mut self, now: Instant) {
        let Self { routers, world, .. } = self;
        let groups: BTreeSet<String> = routers.iter().filter_map(Router::sync_group).collect();
        for group in groups {
            let is_member = |router: &&mut Router| router.sync_group().as_ref() == Some(&group);
            let mut members: Vec<&mut Router> = routers.iter_mut().filter(is_member).collect();
            let mut machines: Vec<&mut Machine> =
                members.iter_mut().map(|member| member.machine_mut()).collect();
            settle(now, &mut machines);
            for member in members {
                member.act(world, now);
            }
        }
    }

    /// Virtual routers that are no part of the plan stay until they have handed over.
    fn forget_the_dismissed(&mut self) {
        let before = self.routers.len();
        self.routers.retain(|router| !(router.is_dismissed() && router.is_stopped()));
        self.world.own_changed |= self.routers.len() != before;
    }

    /// Does what the supervisor says; `false` when that is to end.
    fn obey(&mut self, now: Instant) -> bool {
        if self.world.out.channel.flush().is_err() {
            self.is_orphan = true;
            return false;
        }
        loop {
            match self.world.out.channel.receive::<Change>() {
                Ok(Next::Message(Change::Apply { revision, routers, inherited, findings })) => {
                    self.world.out.speak_again();
                    self.world.findings = findings;
                    self.world.changes.inherit(inherited);
                    self.apply(revision, routers, now);
                    self.world.legacies.clear();
                    self.world.out.send(&Event::Applied { revision });
                }
                Ok(Next::Message(Change::Found { findings })) => {
                    self.world.findings = findings;
                    for router in self.routers.iter_mut().filter(|_| self.leave_by.is_none()) {
                        router.track(&mut self.world, now);
                    }
                }
                Ok(Next::Message(Change::HandOver { id, router: name })) => {
                    let is_meant = |router: &&mut Router| router.name() == name && !router.is_dismissed();
                    match self.routers.iter_mut().find(is_meant) {
                        Some(router) => router.hand_over(id, &mut self.world, now),
                        None => {
                            let (outcome, kept) = (HandedOver::Unknown, Kept::Nothing);
                            self.world.out.send(&Event::HandedOver { id, outcome, kept });
                        }
                    }
                }
                Ok(Next::Message(Change::TakePart { id, router: name })) => {
                    let found = self.routers.iter_mut().find(|router| router.name() == name);
                    let stood_by = found.map(Router::take_part);
                    self.world.out.send(&Event::TakesPart { id, stood_by });
                }
                Ok(Next::Message(Change::Snapshot { id })) => {
                    let snapshot = self.snapshot(Instant::now());
                    self.world.out.send(&Event::Snapshot { id, snapshot });
                }
                Ok(Next::Message(change @ (Change::Link { .. } | Change::NoLink | Change::Heard { .. }))) => {
                    self.hear_of_the_link(change);
                }
                Ok(Next::Message(Change::Inherit { legacies })) => self.world.legacies = legacies,
                Ok(Next::Message(Change::Retire)) => {
                    self.world.out.send(&Event::Retired);
                    self.world.out.is_silent = true;
                }
                Ok(Next::Message(Change::Leave)) => {
                    self.is_succeeded = true;
                    return false;
                }
                Ok(Next::Message(Change::Stop)) => {
                    self.world.out.speak_again();
                    return false;
                }
                Ok(Next::End) | Err(_) => {
                    self.is_orphan = true;
                    return false;
                }
                Ok(Next::Later) => return true,
            }
        }
    }

    /// Begins to hand everything over.
    fn leave(&mut self, now: Instant) {
        let longest = self.routers.iter().map(Router::longest_handover).max().unwrap_or_default();
        self.leave_by.get_or_insert(now + longest + LEAVE_MARGIN);
        for router in &mut self.routers {
            router.retire(&mut self.world, now);
        }
    }

    /// From now on these virtual routers exist.
    fn apply(&mut self, revision: u64, plans: Vec<VirtualRouter>, now: Instant) {
        let is_first = self.revision == 0;
        let plans_before: Vec<&VirtualRouter> = self.routers.iter().map(Router::plan).collect();
        let fates = fates(&plans_before, &plans);
        let mut before: Vec<Option<Router>> =
            std::mem::take(&mut self.routers).into_iter().map(Some).collect();
        let stays = |place: usize| {
            fates.iter().any(|fate| matches!(fate, Fate::Keep(kept) | Fate::Change(kept) if *kept == place))
        };
        // First those that end: what they held may belong to others now.
        let mut dismissed = Vec::new();
        for (place, router) in before.iter_mut().enumerate() {
            if !stays(place)
                && let Some(mut router) = router.take()
            {
                let interface = &router.plan().interface;
                let taken = plans
                    .iter()
                    .filter(|plan| plan.interface == *interface && !plan.virtual_mac)
                    .flat_map(|plan| &plan.params.settings().addresses)
                    .map(|address| address.ip)
                    .collect();
                router.dismiss(&taken, &mut self.world, now);
                dismissed.push(router);
            }
        }
        let tracked = plans.iter().flat_map(|plan| &plan.track).filter_map(|track| match &track.what {
            Tracked::Interface(name) => Some(name.as_str()),
            _ => None,
        });
        let all = || plans.iter().chain(dismissed.iter().map(Router::plan));
        let names: BTreeSet<&str> = all().map(|plan| plan.interface.as_str()).chain(tracked).collect();
        let World { sight, netlink, .. } = &mut self.world;
        sight.follow(names, netlink);
        let virtuals: Vec<Address> =
            all().flat_map(|plan| plan.params.settings().addresses.iter().copied()).collect();
        for (plan, fate) in plans.into_iter().zip(fates) {
            let router = match fate {
                Fate::Keep(place) => before.get_mut(place).and_then(Option::take).map(|mut router| {
                    router.recall(&mut self.world, now);
                    router.track(&mut self.world, now);
                    router
                }),
                Fate::Change(place) => before.get_mut(place).and_then(Option::take).map(|mut router| {
                    router.recall(&mut self.world, now);
                    router.change(plan.clone(), &virtuals, &mut self.world, now);
                    router
                }),
                Fate::Start => None,
            };
            let router = router.unwrap_or_else(|| Router::start(plan, &virtuals, &mut self.world, now));
            self.routers.push(router);
        }
        self.routers.extend(dismissed);
        self.revision = revision;
        self.remove_leftovers();
        if is_first {
            // Routes and rules of an earlier process, also when nothing follows any more.
            self.recheck_at = Some(now);
        }
        self.world.own_changed = true;
    }

    /// Removes addresses with our mark that belong to no virtual router: an earlier process, or the plan before, left
    /// them.
    fn remove_leftovers(&mut self) {
        let present = match self.world.netlink.all_addresses() {
            Ok(present) => present,
            Err(error) => {
                let text = format!("addresses of an earlier run cannot be looked for: {error}");
                self.world.out.tell("", Level::Error, text);
                return;
            }
        };
        let mut wishes: Vec<Wish<'_>> = Vec::new();
        let mut masks = BTreeSet::new();
        for router in &self.routers {
            if let Some(index) = router.seat(&mut self.world) {
                wishes.push(router.wish(index));
                masks.extend(router.is_masked().then_some(index));
            }
        }
        for step in addresses::leftovers(&wishes, &present) {
            // A move under way keeps it there.
            if step.index == LOOPBACK && self.world.handing.as_ref().is_some_and(|moves| moves.knows(step.ip))
            {
                continue;
            }
            // A virtual interface is all ours, with the address that it speaks from.
            if masks.contains(&step.index) {
                continue;
            }
            let (ip, prefix) = (step.ip, step.prefix);
            let (level, text) = match self.world.netlink.remove_address(step.index, ip, prefix) {
                Ok(()) => (
                    Level::Info,
                    format!("{ip}/{prefix} belongs to no virtual router any more; it was removed"),
                ),
                Err(error) => (
                    Level::Error,
                    format!("cannot remove {ip}/{prefix}, which belongs to no virtual router: {error}"),
                ),
            };
            self.world.out.tell("", level, text);
        }
    }

    /// The addresses of all virtual routers.
    fn virtuals(&self) -> Vec<Address> {
        self.routers
            .iter()
            .flat_map(|router| router.plan().params.settings().addresses.iter().copied())
            .collect()
    }

    /// Those that are part of the plan.
    fn planned(&self) -> impl Iterator<Item = &Router> {
        self.routers.iter().filter(|router| !router.is_dismissed())
    }

    fn snapshot(&self, now: Instant) -> Snapshot {
        let mut snapshot = Snapshot {
            revision: self.revision,
            memory_locked: self.urgency.memory_locked,
            real_time: self.urgency.real_time,
            events_dropped_total: self.world.out.dropped,
            routers: self.planned().map(|router| snapshot::of(router, now)).collect(),
        };
        self.show_moves(&mut snapshot);
        snapshot
    }

    /// Gives everything away.
    fn end(&mut self) {
        let now = Instant::now();
        if self.revision == 0 {
            // What is there belongs to another process.
            return;
        }
        self.stop_handing();
        for router in &mut self.routers {
            router.stop(&mut self.world, now);
        }
        let _ = following::reconcile(&mut self.world.netlink, &Wanted::default());
        self.world.changes.undo();
        self.world.tell_changes();
        self.world.out.send(&Event::Released);
        self.world.out.finish(now + LAST_WORDS);
    }
}

impl Out {
    /// Waits until everything was taken, until then at the latest.
    fn finish(&mut self, deadline: Instant) {
        let channel = &mut self.channel;
        while channel.wants_to_write() && channel.flush().is_ok() && Instant::now() < deadline {
            let pause = Timespec { tv_sec: 0, tv_nsec: 10_000_000 };
            let _ = poll(&mut [PollFd::new(channel, PollFlags::OUT)], Some(&pause));
        }
    }
}
