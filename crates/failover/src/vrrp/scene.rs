//! For tests: a machine on a clock that starts at zero, and what it does as short texts.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::action::{Action, Link, Received};
use super::interval::Interval;
use super::machine::Machine;
use super::note::Note;
use super::packet::{Advertisement, Message};
use super::params::{
    Address, Coverage, Delivery, Family, Params, Priority, Settings, Version, VirtualRouterId,
};

/// The machine's own address; 10.99.0.1 is below it, 10.99.0.3 above.
pub(super) const OWN: [u8; 4] = [10, 99, 0, 2];

pub(super) fn settings(version: Version, priority: u8, centis: u16) -> Settings {
    let address = Address { ip: IpAddr::from([10, 99, 0, 50]), prefix: 24 };
    let mut settings = Settings::new(version, Family::V4, VirtualRouterId::new(51).unwrap(), vec![address]);
    settings.priority = Priority::new(priority).unwrap();
    settings.interval = Interval::from_centis(centis).unwrap_or(Interval::SECOND);
    settings
}

#[expect(clippy::disallowed_methods, reason = "an instant to count from; only differences matter")]
pub(super) fn epoch() -> Instant {
    Instant::now()
}

pub(super) struct Scene {
    pub(super) machine: Machine,
    pub(super) epoch: Instant,
    pub(super) now: Instant,
}

impl Scene {
    pub(super) fn new(settings: Settings) -> Self {
        let epoch = epoch();
        Self { machine: Machine::new(Params::new(settings).unwrap()), epoch, now: epoch }
    }

    /// Started at zero on a link that is up, nothing held.
    pub(super) fn started(settings: Settings) -> Self {
        let mut scene = Self::new(settings);
        scene.machine.link(scene.epoch, Link::Up { source: OWN.into() });
        scene.machine.start(scene.epoch, false);
        scene.did();
        scene
    }

    /// Became active through silence; the clock stands at that moment.
    pub(super) fn active(settings: Settings) -> Self {
        let mut scene = Self::started(settings);
        scene.now = scene.machine.next_deadline().unwrap();
        scene.machine.handle_timeout(scene.now);
        scene.epoch = scene.now;
        scene.did();
        scene
    }

    pub(super) fn at(&mut self, nanos: u64) -> &mut Self {
        self.now = self.epoch + Duration::from_nanos(nanos);
        self
    }

    pub(super) fn at_millis(&mut self, millis: u64) -> &mut Self {
        self.at(millis * 1_000_000)
    }

    /// Nanoseconds until the next deadline, from zero.
    pub(super) fn deadline(&self) -> Option<u64> {
        let after =
            self.machine.next_deadline()?.checked_duration_since(self.epoch).expect("not before zero");
        Some(u64::try_from(after.as_nanos()).unwrap())
    }

    pub(super) fn timeout(&mut self) -> Vec<String> {
        self.machine.handle_timeout(self.now);
        self.did()
    }

    /// Another router's advertisement with our settings but this last byte of its address and this priority, 0 for a
    /// release.
    pub(super) fn hear(&mut self, last: u8, priority: u8) -> Vec<String> {
        self.hear_with(last, priority, |_| {})
    }

    pub(super) fn hear_with(
        &mut self,
        last: u8,
        priority: u8,
        change: impl FnOnce(&mut Advertisement),
    ) -> Vec<String> {
        let settings = self.machine.params().settings().clone();
        let mut advertisement = Advertisement {
            version: settings.version,
            vrid: settings.vrid,
            priority: Priority::new(priority),
            interval: settings.interval,
            addresses: settings.addresses.iter().map(|address| address.ip).collect(),
            password: None,
        };
        change(&mut advertisement);
        let source = IpAddr::from([10, 99, 0, last]);
        let destination = match settings.delivery {
            Delivery::Multicast => settings.family.group(),
            Delivery::Unicast(_) => OWN.into(),
        };
        let payload = advertisement.encode(source, destination, Coverage::default());
        let received = Received { source, destination, hop_limit: 255, payload: &payload };
        self.machine.receive(self.now, &received);
        self.did()
    }

    /// What there is to do, in order.
    pub(super) fn did(&mut self) -> Vec<String> {
        let mut did = Vec::new();
        while let Some(action) = self.machine.poll_action() {
            let text = said(&action);
            match did.last_mut() {
                Some((last, times)) if *last == text => *times += 1,
                _ => did.push((text, 1)),
            }
        }
        let with_times = |(text, times)| if times == 1 { text } else { format!("{text} x{times}") };
        did.into_iter().map(with_times).collect()
    }
}

pub(super) fn said(action: &Action) -> String {
    match action {
        Action::Send { payload, .. } => {
            let message = Message::parse(Family::V4, payload).expect("what we send can be read");
            message.priority.map_or("release".to_owned(), |priority| format!("send {priority}"))
        }
        Action::Own(true) => "own".to_owned(),
        Action::Own(false) => "let go".to_owned(),
        Action::Announce => "announce".to_owned(),
        Action::Note(Note::Became { from, to, why }) => {
            let why = format!("{why:?}");
            format!("{from} > {to}: {}", why.split(' ').next().unwrap_or_default())
        }
        Action::Note(Note::Refused { refusal, times, .. }) => format!("refused {times}: {}", refusal.name()),
        Action::Note(note) => {
            let note = format!("{note:?}");
            format!("! {}", note.split(' ').next().unwrap_or_default())
        }
    }
}
