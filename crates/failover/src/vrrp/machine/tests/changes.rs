//! Other priorities and other parameters.

use super::super::super::params::{Address, Preempt, VirtualRouterId};
use super::*;

fn set(scene: &mut Scene, settings: Settings) -> Vec<String> {
    scene.machine.set_params(scene.now, Params::new(settings).unwrap());
    scene.did()
}

fn more_addresses(settings: Settings) -> Settings {
    let addresses = [50, 51].map(|last| Address { ip: [10, 99, 0, last].into(), prefix: 24 }).to_vec();
    Settings { addresses, ..settings }
}

#[test]
fn a_backups_wait_follows_its_priority() {
    let mut scene = Scene::started(v3(100));
    scene.at_millis(50);
    // The skew of 200 is 56/256 of 0.1 s = 21.875 ms instead of 60.9375 ms.
    scene.machine.set_priority(scene.now, to(200));
    assert_eq!(scene.deadline(), Some(321_875_000));
    scene.machine.set_priority(scene.now, to(100));
    assert_eq!(scene.deadline(), Some(360_937_500));
    // While only the skew is left as well.
    scene.at_millis(100).hear(1, 0);
    scene.machine.set_priority(scene.now, to(200));
    assert_eq!(scene.deadline(), Some(121_875_000));
}

#[test]
fn a_wait_that_has_become_too_long_is_over_now() {
    let mut scene = Scene::started(v3(100));
    scene.at_millis(350);
    scene.machine.set_priority(scene.now, to(254));
    assert_eq!(scene.deadline(), Some(350_000_000));
    assert_eq!(scene.timeout()[0], "send 254");
}

#[test]
fn an_active_router_advertises_its_new_priority_at_the_next_beat() {
    let mut scene = Scene::active(v3(100));
    scene.machine.set_priority(scene.now, to(80));
    assert_eq!(scene.did(), [""; 0]);
    assert_eq!(scene.at_millis(100).timeout(), ["send 80"]);
    assert_eq!(scene.hear(1, 90).last().unwrap(), "active > releasing: Higher");
}

#[test]
fn tracking_neither_changes_an_owner_nor_makes_one() {
    let mut scene = Scene::active(v3(255));
    scene.machine.set_priority(scene.now, to(10));
    assert_eq!(scene.machine.status(scene.now).effective, to(255));
    let mut scene = Scene::started(v3(100));
    scene.machine.set_priority(scene.now, to(255));
    assert_eq!(scene.machine.status(scene.now).effective, to(254));
}

#[test]
fn withdrawn_it_releases_and_comes_back_as_a_backup() {
    let mut scene = Scene::active(v3(100));
    scene.machine.set_priority(scene.now, Effective::Withdrawn);
    assert_eq!(scene.did(), ["release", "let go", "active > fault: Withdrawn"]);
    assert_eq!(scene.deadline(), None);
    scene.at_millis(1000);
    scene.machine.set_priority(scene.now, to(100));
    assert_eq!(scene.did(), ["fault > backup: Restored"]);
    assert_eq!(scene.deadline(), Some(1_000_000_000 + 360_937_500));
}

#[test]
fn withdrawn_without_a_link_needs_both_back() {
    let mut scene = Scene::started(v3(100));
    scene.machine.set_priority(scene.now, Effective::Withdrawn);
    scene.machine.link(scene.now, Link::Down);
    scene.machine.set_priority(scene.now, to(100));
    assert_eq!(scene.machine.state(), State::Fault);
    scene.machine.link(scene.now, Link::Up { source: OWN.into() });
    assert_eq!(scene.machine.state(), State::Backup);
}

#[test]
fn an_owner_comes_back_at_once() {
    let mut scene = Scene::active(v3(255));
    scene.machine.link(scene.now, Link::Down);
    scene.did();
    scene.machine.link(scene.now, Link::Up { source: OWN.into() });
    assert_eq!(scene.did(), ["send 255", "own", "announce x5", "fault > active: Owner"]);
}

#[test]
fn the_same_parameters_change_nothing() {
    let mut scene = Scene::active(v3(100));
    let deadline = scene.deadline();
    assert_eq!(set(&mut scene, v3(100)), [""; 0]);
    assert_eq!(scene.deadline(), deadline);
}

#[test]
fn new_addresses_are_held_and_announced_without_an_election() {
    let mut scene = Scene::active(v3(100));
    scene.at_millis(40);
    assert_eq!(set(&mut scene, more_addresses(v3(100))), ["own", "send 100", "announce x5"]);
    assert_eq!(scene.deadline(), Some(140_000_000));
    let mut scene = Scene::started(v3(100));
    assert_eq!(set(&mut scene, more_addresses(v3(100))), [""; 0]);
    assert_eq!(scene.deadline(), Some(360_937_500));
}

#[test]
fn a_new_interval_holds_at_once() {
    let mut scene = Scene::active(v3(100));
    scene.at_millis(40);
    let slow = Settings { interval: Interval::SECOND, ..v3(100) };
    assert_eq!(set(&mut scene, slow.clone()), ["send 100"]);
    assert_eq!(scene.deadline(), Some(1_040_000_000));
    let mut scene = Scene::started(v3(100));
    scene.at_millis(40);
    set(&mut scene, slow);
    assert_eq!(scene.deadline(), Some(40_000_000 + 3_609_375_000));
}

#[test]
fn the_effective_priority_keeps_its_distance_from_the_operators() {
    let mut scene = Scene::started(v3(100));
    scene.machine.set_priority(scene.now, to(80));
    set(&mut scene, v3(150));
    assert_eq!(scene.machine.status(scene.now).effective, to(130));
    set(&mut scene, v3(10));
    assert_eq!(scene.machine.status(scene.now).effective, to(1), "130 - 140 is less than the least");
    set(&mut scene, v3(255));
    assert_eq!(scene.machine.status(scene.now).effective, to(255));
    set(&mut scene, v3(120));
    assert_eq!(scene.machine.status(scene.now).effective, to(120));
}

#[test]
fn another_number_is_another_router() {
    let other = Settings { vrid: VirtualRouterId::new(52).unwrap(), ..v3(100) };
    let mut scene = Scene::active(v3(100));
    let did = set(&mut scene, other.clone());
    assert_eq!(did, ["release", "let go", "active > fault: Reconfigured", "fault > backup: Reconfigured"]);
    assert_eq!(scene.deadline(), Some(360_937_500));
    let mut stopped = Scene::new(v3(100));
    assert_eq!(set(&mut stopped, other), [""; 0]);
    assert_eq!(stopped.machine.state(), State::Stopped);
}

#[test]
fn preemption_can_be_turned_on_while_it_waits() {
    let mut scene = Scene::started(Settings { preempt: Preempt::No, ..v3(100) });
    scene.at_millis(100).hear(3, 50);
    set(&mut scene, v3(100));
    scene.at_millis(200).hear(3, 50);
    assert_eq!(scene.deadline(), Some(460_937_500));
}
