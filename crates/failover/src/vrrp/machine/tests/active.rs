//! What an active router does.

use super::super::super::params::{Address, Announcing, Delivery, Peer};
use super::*;

const REANNOUNCES: [&str; 2] = ["send 100", "announce x5"];

#[test]
fn it_advertises_every_interval() {
    for (settings, interval) in [(v2(100), 1_000_000_000), (v3(100), 100_000_000)] {
        let mut scene = Scene::active(settings);
        assert_eq!(scene.deadline(), Some(interval));
        assert_eq!(scene.at(interval - 1).timeout(), [""; 0]);
        assert_eq!(scene.at(interval).timeout(), ["send 100"]);
        assert_eq!(scene.deadline(), Some(2 * interval));
        // A little late once: the beat stays.
        assert_eq!(scene.at(2 * interval + 7).timeout(), ["send 100"]);
        assert_eq!(scene.deadline(), Some(3 * interval));
    }
}

#[test]
fn it_announces_again_after_5_seconds_and_then_every_minute() {
    let mut scene = Scene::active(v2(100));
    let mut announced = Vec::new();
    for second in 1..=130 {
        scene.at_millis(second * 1000);
        for said in scene.timeout() {
            if said.starts_with("announce") {
                announced.push((second, said));
            }
        }
    }
    let once = "announce".to_owned();
    assert_eq!(announced, [(5, "announce x5".to_owned()), (65, once.clone()), (125, once)]);
}

#[test]
fn what_to_announce_is_a_setting() {
    let announcing = Announcing { count: 2, again_after: Duration::ZERO, refresh: None };
    let mut scene = Scene::started(Settings { announcing, ..v2(100) });
    let did = scene.at(3_609_375_000).timeout();
    assert_eq!(did, ["send 100", "own", "announce x2", "backup > active: Silence"]);
    for second in 4..100 {
        assert!(!scene.at_millis(second * 1000).timeout().iter().any(|said| said.starts_with("announce")));
    }
}

#[test]
fn each_peer_gets_its_copy() {
    let peer = |last| Peer { address: [10, 99, 0, last].into(), least_hop_limit: 1 };
    let delivery = Delivery::Unicast(vec![peer(1), peer(3)]);
    let mut scene = Scene::active(Settings { delivery, ..v3(100) });
    scene.machine.handle_timeout(scene.epoch + Duration::from_millis(100));
    let mut sent = Vec::new();
    while let Some(Action::Send { destination, payload }) = scene.machine.poll_action() {
        sent.push((destination, payload));
    }
    assert_eq!(
        sent.iter().map(|(to, _)| *to).collect::<Vec<_>>(),
        [[10, 99, 0, 1], [10, 99, 0, 3]].map(IpAddr::from)
    );
    assert_ne!(sent[0].1[6..8], sent[1].1[6..8], "each has its own checksum");
}

#[test]
fn a_release_is_answered_at_once() {
    let mut scene = Scene::active(v3(100));
    assert_eq!(scene.at_millis(30).hear(1, 0), ["! PeerChecksum", "send 100"]);
    assert_eq!(scene.deadline(), Some(130_000_000));
}

#[test]
fn it_yields_to_a_higher_priority_and_says_so() {
    let mut scene = Scene::active(v3(100));
    scene.at_millis(10).hear(3, 0);
    scene.at_millis(30);
    assert_eq!(scene.hear(1, 101), ["send 100", "active > releasing: Higher"]);
    assert_eq!(scene.at_millis(31).hear(1, 101), ["let go", "send 100", "releasing > backup: Higher"]);
    assert_eq!(scene.deadline(), Some(31_000_000 + 360_937_500));
}

#[test]
fn a_winner_that_does_not_answer_is_not_waited_for() {
    let mut scene = Scene::active(v3(100));
    scene.at_millis(30).hear(1, 101);
    assert_eq!(scene.deadline(), Some(50_000_000));
    // One that has lost as well is no answer.
    assert_eq!(scene.at_millis(40).hear(3, 99), [""; 0]);
    assert_eq!(scene.at_millis(50).timeout(), ["let go", "send 100", "releasing > backup: Higher"]);
    assert_eq!(scene.deadline(), Some(50_000_000 + 360_937_500));
}

#[test]
fn the_wait_for_an_answer_is_no_longer_than_an_interval() {
    let fast = Interval::from_centis(1).unwrap();
    let mut scene = Scene::active(Settings { interval: fast, ..v3(100) });
    scene.at_millis(5).hear_with(1, 101, |sent| sent.interval = fast);
    assert_eq!(scene.deadline(), Some(15_000_000));
}

#[test]
fn a_winner_that_gives_up_meanwhile_is_followed() {
    let mut scene = Scene::active(v3(100));
    scene.at_millis(30).hear(1, 101);
    scene.at_millis(31).hear(1, 0);
    assert_eq!(scene.machine.state(), State::Backup);
    // Only the skew: 156/256 of 100 ms.
    assert_eq!(scene.deadline(), Some(31_000_000 + 60_937_500));
}

#[test]
fn a_tie_goes_to_the_higher_address_as_a_number() {
    let mut scene = Scene::active(v3(100));
    scene.at_millis(10).hear(1, 100);
    assert_eq!(scene.machine.state(), State::Active);
    let did = scene.at_millis(20).hear(3, 100);
    assert_eq!(did.last().unwrap(), "active > releasing: HigherAddress");
    // 9 is less than 10, and "9" more than "10".
    let mut scene = Scene::active(v3(100));
    scene.machine.link(scene.now, Link::Up { source: [10, 99, 0, 10].into() });
    scene.at_millis(20).hear(9, 100);
    assert_eq!(scene.machine.state(), State::Active);
}

#[test]
fn owners_settle_it_by_address() {
    let mut scene = Scene::active(v3(255));
    scene.at_millis(10).hear(1, 255);
    assert_eq!(scene.machine.state(), State::Active);
    let did = scene.at_millis(20).hear(3, 255);
    assert_eq!(did, ["send 255", "! DualOwnerEnded", "active > releasing: HigherAddress"]);
}

#[test]
fn preemption_is_asked_of_backups_only() {
    let settings = Settings { preempt: super::super::super::params::Preempt::No, ..v3(100) };
    let mut scene = Scene::active(settings);
    scene.at_millis(10).hear(1, 101);
    assert_eq!(scene.machine.state(), State::Releasing);
}

#[test]
fn a_loser_is_answered_at_once_and_the_neighbours_hear_of_it() {
    let mut scene = Scene::active(v3(100));
    let did = scene.at_millis(30).hear(1, 99);
    assert_eq!(did, ["! PeerChecksum", "! DualOwner", "send 100", "announce x5"]);
    assert_eq!(scene.deadline(), Some(130_000_000));
    let status = scene.machine.status(scene.now);
    assert_eq!(status.alarms[0].kind, AlarmKind::DualOwner);
    assert_eq!(status.counters.dual_heard, 1);
}

#[test]
fn after_dual_ownership_its_length_is_told() {
    let mut scene = Scene::active(v3(100));
    scene.at_millis(30).hear(1, 99);
    scene.at_millis(90).hear(1, 99);
    assert_eq!(scene.machine.status(scene.now).dual_owner_time, Duration::from_millis(60));
    let mut ended = None;
    for millis in (100..1000).step_by(10) {
        if scene.at_millis(millis).timeout().iter().any(|said| said == "! DualOwnerEnded") {
            ended = Some(millis);
            break;
        }
    }
    // Four intervals of silence: 90 ms + 400 ms.
    assert_eq!(ended, Some(490));
    let status = scene.machine.status(scene.now);
    assert_eq!((status.dual_owner_time, status.alarms), (Duration::from_millis(60), vec![]));
}

#[test]
fn the_last_words_of_whom_we_displaced_are_no_alarm() {
    let mut scene = Scene::started(v3(100));
    scene.at_millis(300).hear(3, 50);
    assert_eq!(scene.at(360_937_500).timeout().last().unwrap(), "backup > active: Preempted");
    assert_eq!(scene.at(361_000_000).hear(3, 50), REANNOUNCES);
    // It was there, and it has let go.
    assert_eq!(scene.at(361_100_000).hear(3, 50), REANNOUNCES);
    assert_eq!(scene.machine.status(scene.now).alarms, []);
    let did = scene.at(362_000_000).hear(3, 50);
    assert!(did.contains(&"! DualOwner".to_owned()), "{did:?}");
}

#[test]
fn a_flood_of_losers_is_answered_eight_times_and_then_once_a_second() {
    let mut scene = Scene::active(v2(100));
    let (mut sent, mut rounds) = (0, 0);
    for millis in 1..=10_000 {
        scene.at_millis(millis);
        let mut did = scene.hear(1, 99);
        did.extend(scene.timeout());
        sent += did.iter().filter(|said| said.starts_with("send")).count();
        rounds += did.iter().filter(|said| said.starts_with("announce")).count();
    }
    assert!((8..=8 + 22).contains(&sent), "{sent}");
    assert!((8..=8 + 11).contains(&rounds), "{rounds}");
    assert_eq!(scene.machine.status(scene.now).counters.dual_heard, 10_000);
}

#[test]
fn stopping_releases_first_and_lets_go_then() {
    let mut scene = Scene::active(v3(100));
    scene.machine.stop(scene.now);
    assert_eq!(scene.did(), ["release", "let go", "active > stopped: Stopped"]);
    assert_eq!(scene.deadline(), None);
}

#[test]
fn a_dead_link_lets_go_at_once() {
    let mut scene = Scene::active(v3(100));
    scene.machine.link(scene.now, Link::Down);
    assert_eq!(scene.did(), ["let go", "active > fault: LinkDown"]);
}

#[test]
fn another_primary_address_is_advertised_at_once() {
    let mut scene = Scene::active(v3(100));
    scene.at_millis(40);
    scene.machine.link(scene.now, Link::Up { source: [10, 99, 0, 4].into() });
    assert_eq!(scene.did(), ["send 100"]);
    assert_eq!(scene.deadline(), Some(140_000_000));
    // And it decides ties from now on.
    scene.at_millis(50).hear(3, 100);
    assert_eq!(scene.machine.state(), State::Active);
}

#[test]
fn a_list_of_255_addresses_is_advertised() {
    let addresses = (0..255).map(|last| Address { ip: [10, 98, 0, last].into(), prefix: 24 }).collect();
    let mut scene = Scene::active(Settings { addresses, ..v3(100) });
    assert_eq!(scene.at_millis(100).timeout(), ["send 100"]);
}
