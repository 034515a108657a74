use super::super::packet::Advertisement;
use super::super::params::{Coverage, Family, Priority, Version};
use super::super::scene::{OWN, epoch, said, settings};
use super::*;

/// Two members, 0.1 s, priority 100: each would wait 360.9375 ms.
struct Two {
    group: Group,
    epoch: Instant,
    now: Instant,
}

impl Two {
    fn new() -> Self {
        let params = || Params::new(settings(Version::V3, 100, 10)).unwrap();
        let epoch = epoch();
        Self { group: Group::new(vec![params(), params()]).unwrap(), epoch, now: epoch }
    }

    fn started() -> Self {
        let mut two = Self::new();
        two.up(0);
        two.up(1);
        two.group.start(two.now, false);
        two.did();
        two
    }

    fn active() -> Self {
        let mut two = Self::started();
        two.at(360_937_500).timeout();
        assert_eq!(two.states(), [State::Active; 2]);
        two.epoch = two.now;
        two
    }

    fn at(&mut self, nanos: u64) -> &mut Self {
        self.now = self.epoch + Duration::from_nanos(nanos);
        self
    }

    fn up(&mut self, member: usize) {
        self.group.link(self.now, member, Link::Up { source: OWN.into() });
    }

    /// One member is asked to hand over, as the operator names one.
    fn asked(&mut self, member: usize) -> Vec<String> {
        let now = self.now;
        self.group.tell(now, member, |machine| {
            machine.hand_over(now, Purpose::Asked);
        });
        self.did()
    }

    fn timeout(&mut self) -> Vec<String> {
        self.group.handle_timeout(self.now);
        self.did()
    }

    fn hear(&mut self, member: usize, priority: u8) -> Vec<String> {
        let settings = self.group.members()[member].params().settings().clone();
        let advertisement = Advertisement {
            version: Version::V3,
            vrid: settings.vrid,
            priority: Priority::new(priority),
            interval: settings.interval,
            addresses: vec![settings.addresses[0].ip],
            password: None,
        };
        let (source, destination) = ([10, 99, 0, 1].into(), Family::V4.group());
        let payload = advertisement.encode(source, destination, Coverage::default());
        self.group.receive(
            self.now,
            member,
            &Received { source, destination, hop_limit: 255, payload: &payload },
        );
        self.did()
    }

    fn did(&mut self) -> Vec<String> {
        let mut did: Vec<String> = std::iter::from_fn(|| self.group.poll_action())
            .map(|(member, action)| format!("{member}: {}", said(&action)))
            .filter(|said| !said.contains('!'))
            .collect();
        did.dedup();
        did
    }

    fn states(&self) -> [State; 2] {
        [0, 1].map(|member| self.group.members()[member].state())
    }
}

#[test]
fn members_become_active_together() {
    let mut two = Two::started();
    let did = two.at(360_937_500).timeout();
    let each = ["send 100", "own", "announce", "backup > active: Group"];
    let expected: Vec<String> =
        (0..2).flat_map(|member| each.map(|said| format!("{member}: {said}"))).collect();
    assert_eq!(did, expected);
}

#[test]
fn one_whose_turn_has_come_waits_for_the_other() {
    let mut two = Two::started();
    two.at(300_000_000).hear(1, 150);
    assert_eq!(two.at(360_937_500).timeout(), [""; 0]);
    assert_eq!(two.group.next_deadline(), Some(two.epoch + Duration::from_nanos(660_937_500)));
    two.at(660_937_500).timeout();
    assert_eq!(two.states(), [State::Active; 2]);
}

#[test]
fn an_advertisement_takes_the_turn_away_again() {
    let mut two = Two::started();
    two.at(300_000_000).hear(1, 150);
    two.at(360_937_500).timeout();
    two.at(600_000_000).hear(0, 150);
    two.at(660_937_500).timeout();
    assert_eq!(two.states(), [State::Backup; 2]);
    two.at(960_937_500).timeout();
    assert_eq!(two.states(), [State::Active; 2]);
}

#[test]
fn one_that_yields_takes_the_other_with_it() {
    let mut two = Two::active();
    assert_eq!(two.at(10_000_000).hear(0, 150), ["0: send 100", "0: active > releasing: Higher"]);
    assert_eq!(two.states(), [State::Releasing, State::Active]);
    let did = two.at(11_000_000).hear(0, 150);
    assert_eq!(
        did,
        [
            "0: let go",
            "0: send 100",
            "0: releasing > backup: Higher",
            "1: release",
            "1: let go",
            "1: active > backup: Group"
        ]
    );
}

#[test]
fn a_dead_link_takes_the_other_with_it_and_keeps_it_back() {
    let mut two = Two::active();
    two.group.link(two.now, 0, Link::Down);
    assert_eq!(
        two.did(),
        ["0: let go", "0: active > fault: LinkDown", "1: release", "1: let go", "1: active > backup: Group"]
    );
    two.at(400_000_000).timeout();
    assert_eq!(two.states(), [State::Fault, State::Backup]);
    two.up(0);
    two.at(760_937_500).timeout();
    assert_eq!(two.states(), [State::Active; 2]);
}

#[test]
fn where_one_has_to_announce_itself_again_all_do() {
    let mut two = Two::active();
    let did = two.at(10_000_000).hear(0, 50);
    assert_eq!(did, ["0: send 100", "0: announce", "1: announce"]);
}

#[test]
fn adopted_addresses_stay_while_all_listen() {
    let mut two = Two::new();
    two.group.start(two.now, true);
    two.up(0);
    let did = two.did();
    assert!(!did.iter().any(|said| said.contains("let go")), "{did:?}");
    two.up(1);
    // 100 ms + 60.9375 ms
    two.at(160_937_500).timeout();
    assert_eq!(two.states(), [State::Active; 2]);
}

#[test]
fn adopted_addresses_go_when_one_member_hears_another_router() {
    let mut two = Two::new();
    two.up(0);
    two.up(1);
    two.group.start(two.now, true);
    two.did();
    two.at(50_000_000).hear(1, 150);
    assert_eq!(two.states(), [State::Backup; 2]);
}

#[test]
fn stopping_stops_all() {
    let mut two = Two::active();
    two.group.stop(two.now);
    assert_eq!(two.states(), [State::Stopped; 2]);
    assert_eq!(two.did().iter().filter(|said| said.ends_with("release")).count(), 2);
}

#[test]
fn a_group_has_members_and_not_too_many() {
    let params = || Params::new(settings(Version::V3, 100, 10)).unwrap();
    assert!(Group::new(vec![]).is_none());
    assert!(Group::new((0..=MOST_MEMBERS).map(|_| params()).collect()).is_none());
    let mut one = Group::new(vec![params()]).unwrap();
    one.link(epoch(), 9, Link::Down);
}

/// A machine beside an active group, started at 0, as a reload adds one.
fn third(two: &Two) -> Machine {
    let mut third = Machine::new(Params::new(settings(Version::V3, 100, 10)).unwrap());
    third.join();
    third.link(two.now, Link::Up { source: OWN.into() });
    third.start(two.now, false);
    third
}

fn settled(two: &mut Two, third: &mut Machine) -> Vec<State> {
    let now = two.now;
    let mut members: Vec<&mut Machine> = two.group.members.iter_mut().chain([third]).collect();
    settle(now, &mut members);
    members.iter().map(|member| member.state()).collect()
}

#[test]
fn one_that_joins_an_active_group_disturbs_nobody_and_becomes_active_after_its_wait() {
    let mut two = Two::active();
    let mut third = third(&two);
    assert_eq!(settled(&mut two, &mut third), [State::Active, State::Active, State::Backup]);
    for hundredths in [10, 20, 30] {
        two.at(hundredths * 10_000_000).timeout();
    }
    two.at(360_937_500);
    third.handle_timeout(two.now);
    assert_eq!(settled(&mut two, &mut third), [State::Active; 3]);
}

#[test]
fn one_that_joins_and_hears_another_active_router_takes_the_group_with_it() {
    let mut two = Two::active();
    let mut third = third(&two);
    two.at(50_000_000);
    let settings = third.params().settings().clone();
    let advertisement = Advertisement {
        version: Version::V3,
        vrid: settings.vrid,
        priority: Priority::new(150),
        interval: settings.interval,
        addresses: vec![settings.addresses[0].ip],
        password: None,
    };
    let (source, destination) = ([10, 99, 0, 1].into(), Family::V4.group());
    let payload = advertisement.encode(source, destination, Coverage::default());
    third.receive(two.now, &Received { source, destination, hop_limit: 255, payload: &payload });
    assert_eq!(settled(&mut two, &mut third), [State::Backup; 3]);
}

#[test]
fn one_that_parts_when_only_the_group_held_it_becomes_active() {
    let mut two = Two::started();
    two.at(300_000_000).hear(1, 150);
    two.at(360_937_500).timeout();
    let now = two.now;
    assert_eq!(two.states(), [State::Backup; 2]);
    two.group.members[0].part(now);
    two.group.members[1].part(now);
    assert_eq!(two.states(), [State::Active, State::Backup]);
}

#[test]
fn a_failover_on_command_moves_all_and_each_serves_until_its_own_follower_is_heard() {
    let mut two = Two::active();
    let did = two.at(10_000_000).asked(0);
    let releases =
        ["0: release", "0: active > releasing: Asked", "1: release", "1: active > releasing: Asked"];
    assert_eq!(did, releases);
    two.at(60_000_000).hear(1, 50);
    assert_eq!(two.states(), [State::Releasing, State::Backup]);
    two.hear(0, 50);
    assert_eq!(two.states(), [State::Backup; 2]);
    // It waits until the other falls silent: 3 intervals and the skew.
    two.at(420_000_000).timeout();
    assert_eq!(two.states(), [State::Backup; 2]);
    two.at(420_937_500).timeout();
    assert_eq!(two.states(), [State::Active; 2]);
}
