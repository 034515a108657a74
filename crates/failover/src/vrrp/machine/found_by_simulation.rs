//! What the simulator has found, each as the shortest scene that shows it.

use std::time::Duration;

use crate::vrrp::action::Link;
use crate::vrrp::interval::Interval;
use crate::vrrp::params::{Params, Preempt, Version};
use crate::vrrp::scene::{OWN, Scene, settings};

#[test]
fn backup_that_is_given_a_shorter_interval_stays_patient_with_a_slower_active_router() {
    let mut scene = Scene::started(settings(Version::V3, 100, 100));
    scene.hear(3, 150);
    let mut faster = settings(Version::V3, 100, 10);
    scene.at_millis(200);
    scene.machine.set_params(scene.now, Params::new(faster.clone()).unwrap());
    // Still 3 s and (256 - 100) / 256 s of the active router's interval of one second, from its advertisement on.
    assert_eq!(scene.deadline(), Some(3_609_375_000));
    // It follows when the active router is reloaded as well: 1 s + 0.3 s + 156 / 256 of 0.1 s.
    scene.at_millis(1000).hear_with(3, 150, |_| {});
    assert_eq!(scene.deadline(), Some(1_360_937_500));
    faster.interval = Interval::new(Duration::from_secs(1)).unwrap();
    scene.at_millis(1050);
    scene.machine.set_params(scene.now, Params::new(faster).unwrap());
    assert_eq!(scene.deadline(), Some(1_360_937_500));
}

/// As after a crash: the host holds the addresses.
fn adopting(priority: u8, preempt: Preempt) -> Scene {
    let mut settings = settings(Version::V3, priority, 100);
    settings.preempt = preempt;
    let mut scene = Scene::new(settings);
    scene.machine.link(scene.now, Link::Up { source: OWN.into() });
    scene.machine.start(scene.now, true);
    scene.did();
    scene
}

#[test]
fn router_that_lets_go_of_adopted_addresses_makes_the_active_one_announce_again() {
    // Neither a tie that our higher address would win nor our higher priority may make the other one yield.
    for (ours, preempt, theirs, last_word) in [
        (100, Preempt::Yes, 150, "send 100"),
        (100, Preempt::Yes, 100, "send 99"),
        (200, Preempt::No, 150, "send 149"),
        (200, Preempt::No, 1, "release"),
    ] {
        let mut scene = adopting(ours, preempt);
        let did = scene.hear(1, theirs);
        let expected = ["let go", last_word, "listening > backup: Heard"].map(str::to_owned);
        assert!(did.ends_with(&expected), "{did:?}");
    }
    let mut active = Scene::active(settings(Version::V3, 150, 100));
    assert!(active.hear(1, 100).contains(&"announce x5".to_owned()));
}

#[test]
fn active_router_that_a_rival_does_not_hear_announces_with_its_own_advertisements() {
    // An interval of 100 ms. The rival's messages come at 50 ms, 150 ms, …; the first eight are answered.
    let mut scene = Scene::active(settings(Version::V3, 150, 10));
    for millis in [50, 150, 250, 350, 450, 550, 650, 750] {
        let did = scene.at_millis(millis).hear(1, 100);
        assert!(did.ends_with(&["send 150".to_owned(), "announce x5".to_owned()]), "{did:?}");
    }
    // The rival may let go now, and nothing is left to answer its last word with before one second.
    assert_eq!(scene.at_millis(850).hear(1, 100), [""; 0]);
    assert_eq!(scene.deadline(), Some(850_000_000));
    for millis in [850, 950] {
        assert_eq!(scene.at_millis(millis).timeout(), ["send 150", "announce"]);
    }
    // An answer may go out again.
    assert_eq!(scene.at_millis(1050).timeout(), ["announce x5", "send 150"]);
    assert_eq!(scene.at_millis(1150).timeout(), ["send 150", "announce"]);
    // Three intervals and the rival's skew after its last message it is thought gone: 850 + 300 + 100.
    assert_eq!(scene.at_millis(1250).timeout(), ["send 150", "announce", "! DualOwnerEnded"]);
    assert_eq!(scene.at_millis(1350).timeout(), ["send 150"]);
}
