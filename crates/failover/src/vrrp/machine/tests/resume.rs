//! A process goes on where another has let go.
//!
//! Version 3, 0.1 s, priority 150: skew 106/256 of 0.1 s = 41.40625 ms, down interval 341.40625 ms.

use super::*;

/// A machine on a link that is up, which begins with what this one leaves.
fn heir(of: &Scene, settings: Settings, holding: bool) -> Scene {
    let legacy = of.machine.bequeath().unwrap();
    let mut scene = Scene::new(settings);
    scene.machine.link(scene.epoch, Link::Up { source: OWN.into() });
    scene.machine.resume(scene.epoch, &legacy, holding);
    scene
}

#[test]
fn who_was_active_advertises_at_once_and_tells_nobody_else() {
    let mut scene = heir(&Scene::active(v3(150)), v3(150), true);
    assert_eq!(scene.did(), ["own", "send 150"]);
    assert_eq!(scene.deadline(), Some(100_000_000));
    assert_eq!(scene.at_millis(100).timeout(), ["send 150"]);
    assert_eq!(scene.machine.status(scene.now).counters.became_active, 0);
    // And loses as it would have done.
    assert_eq!(scene.at_millis(120).hear(3, 200)[0], "! PeerChecksum");
    assert_ne!(scene.machine.state(), State::Active);
}

#[test]
fn a_backup_waits_as_long_as_if_it_had_just_heard() {
    let mut before = Scene::started(v3(150));
    before.at_millis(50).hear(3, 200);
    let mut scene = heir(&before, v3(150), false);
    assert_eq!(scene.did(), ["let go"]);
    assert_eq!(scene.deadline(), Some(341_406_250));
    assert_eq!(scene.machine.status(scene.now).owner, Some([10, 99, 0, 3].into()));
    assert_eq!(scene.at(341_406_250).timeout()[..2], ["send 150", "own"]);
}

#[test]
fn the_interval_of_another_active_router_is_known() {
    let mut before = Scene::started(v3(150));
    before.at_millis(50).hear_with(3, 200, |advertisement| {
        advertisement.interval = Interval::from_centis(100).unwrap();
    });
    // Three of its seconds and the skew of one of them.
    assert_eq!(heir(&before, v3(150), false).deadline(), Some(3_414_062_500));
}

#[test]
fn who_stood_by_displaces_nobody() {
    let mut before = Scene::active(v3(150));
    before.machine.hand_over(before.now, Purpose::Asked);
    before.at_millis(70).hear(1, 100);
    let mut scene = heir(&before, v3(150), false);
    scene.did();
    for millis in [100, 200, 300, 400, 500] {
        assert_eq!(scene.at_millis(millis).hear(1, 100).iter().filter(|did| did.contains("send")).count(), 0);
    }
    assert_eq!(scene.machine.state(), State::Backup);
}

#[test]
fn what_does_not_fit_begins_as_usual() {
    // The addresses are gone, or are here although it was a backup.
    let mut without = heir(&Scene::active(v3(150)), v3(150), false);
    assert_eq!(without.did(), ["let go", "stopped > backup: Started"]);
    let mut with = heir(&Scene::started(v3(150)), v3(150), true);
    assert_eq!(with.did(), ["own", "stopped > listening: Adopted"]);
    // In the middle of a handover there is nothing to leave.
    let mut leaving = Scene::active(v3(150));
    leaving.machine.hand_over(leaving.now, Purpose::Asked);
    assert_eq!(leaving.machine.bequeath(), None);
}
