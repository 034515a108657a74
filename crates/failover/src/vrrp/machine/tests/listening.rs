//! Starting on a host that holds the addresses, and waking up after a stall.
//!
//! Listening takes an interval and the skew: version 3, 0.1 s, priority 100: 160.9375 ms.

use super::super::super::params::Preempt;
use super::*;

fn adopting(settings: Settings) -> Scene {
    let mut scene = Scene::new(settings);
    let now = scene.epoch;
    scene.machine.link(now, Link::Up { source: OWN.into() });
    scene.machine.start(now, true);
    assert_eq!(scene.did(), ["own", "stopped > listening: Adopted"]);
    scene
}

#[test]
fn adopted_addresses_stay_and_are_advertised_after_an_interval_of_silence() {
    let mut scene = adopting(v3(100));
    assert_eq!(scene.deadline(), Some(160_937_500));
    let did = scene.at(160_937_500).timeout();
    assert_eq!(did, ["send 100", "announce x5", "listening > active: Silence"]);
    // Version 2: 1 s + 609.375 ms.
    assert_eq!(adopting(v2(100)).deadline(), Some(1_609_375_000));
}

#[test]
fn who_has_taken_over_meanwhile_keeps_it() {
    for (settings, priority) in [
        (v3(100), 150),
        (v3(100), 100),
        (Settings { preempt: Preempt::No, ..v3(100) }, 50),
        (Settings { preempt: Preempt::After(Duration::from_secs(9)), ..v3(100) }, 50),
    ] {
        let mut scene = adopting(settings);
        let did = scene.at_millis(70).hear(1, priority);
        assert!(did.ends_with(&["let go".to_owned(), "listening > backup: Heard".to_owned()]), "{did:?}");
        assert_eq!(scene.deadline(), Some(70_000_000 + 360_937_500));
    }
}

#[test]
fn a_lower_priority_is_displaced_without_waiting_any_longer() {
    let mut scene = adopting(v3(100));
    let did = scene.at_millis(70).hear(1, 50);
    assert_eq!(did, ["! PeerChecksum", "send 100", "announce x5", "listening > active: Preempted"]);
    assert_eq!(scene.at_millis(71).hear(1, 50), ["send 100", "announce x5"], "its last word");
}

#[test]
fn a_release_heard_shortens_the_listening_to_the_skew() {
    let mut scene = adopting(v3(100));
    scene.at_millis(10).hear(1, 0);
    assert_eq!(scene.deadline(), Some(10_000_000 + 60_937_500));
}

#[test]
fn nothing_is_let_go_while_the_link_is_unknown() {
    let mut scene = Scene::new(v3(100));
    scene.machine.start(scene.epoch, true);
    assert_eq!(scene.did(), ["stopped > fault: Started"]);
    let mut down = Scene::new(v3(100));
    down.machine.start(down.epoch, true);
    down.machine.link(down.epoch, Link::Down);
    assert_eq!(down.did(), ["stopped > fault: Started", "let go"]);
    scene.machine.link(scene.epoch, Link::Up { source: OWN.into() });
    assert_eq!(scene.did(), ["own", "fault > listening: Adopted"]);
}

#[test]
fn an_owner_that_adopts_is_active_at_once() {
    let mut scene = Scene::new(v3(255));
    scene.machine.link(scene.epoch, Link::Up { source: OWN.into() });
    scene.machine.start(scene.epoch, true);
    assert_eq!(scene.did()[..2], ["send 255", "own"]);
}

#[test]
fn stopping_while_listening_lets_the_others_know() {
    let mut scene = adopting(v3(100));
    scene.machine.stop(scene.epoch);
    assert_eq!(scene.did(), ["release", "let go", "listening > stopped: Stopped"]);
}

#[test]
fn an_active_router_that_slept_too_long_listens_first() {
    let mut scene = Scene::active(v3(100));
    // 300 ms after its last message no backup has given up yet.
    for millis in [300, 600, 900, 1200] {
        assert_eq!(scene.at_millis(millis).timeout(), ["send 100"]);
    }
    scene.at(1_500_000_001);
    assert_eq!(scene.timeout(), ["! Stalled", "active > listening: Stalled"]);
    assert_eq!(scene.deadline(), Some(1_500_000_001 + 160_937_500));
    assert_eq!(scene.machine.status(scene.now).counters.stalled, 1);
    let did = scene.at(1_500_000_001 + 160_937_500).timeout();
    assert_eq!(did, ["send 100", "announce x5", "listening > active: Silence"]);
}

#[test]
fn whoever_was_heard_while_listening_makes_us_announce_at_once() {
    let mut scene = Scene::active(v3(100));
    scene.at_millis(500).timeout();
    let did = scene.hear(1, 50);
    assert_eq!(did, ["! PeerChecksum", "send 100", "announce x5", "listening > active: Preempted"]);
}

#[test]
fn a_message_is_judged_after_the_stall_was_noticed() {
    let mut scene = Scene::active(Settings { preempt: Preempt::No, ..v3(100) });
    // It has taken over with less priority while we slept: without preemption it stays.
    let did = scene.at_millis(5000).hear(3, 50);
    assert_eq!(
        did,
        ["! Stalled", "active > listening: Stalled", "! PeerChecksum", "let go", "listening > backup: Heard"]
    );
}

#[test]
fn a_backup_that_slept_listens_once_more_and_only_once() {
    let mut scene = Scene::started(v3(100));
    // Due at 360.9375 ms; an interval later is still in time.
    assert_eq!(scene.at(460_937_500).timeout(), BECOMES_ACTIVE);
    let mut scene = Scene::started(v3(100));
    assert_eq!(scene.at(460_937_501).timeout(), ["! Stalled"]);
    assert_eq!(scene.deadline(), Some(460_937_501 + 160_937_500));
    assert_eq!(scene.at_millis(9000).timeout(), BECOMES_ACTIVE);
}

#[test]
fn a_backup_that_slept_hears_what_the_socket_has_kept() {
    let mut scene = Scene::started(v3(100));
    scene.at_millis(9000).timeout();
    scene.hear(1, 150);
    assert_eq!(scene.deadline(), Some(9_000_000_000 + 360_937_500));
    assert_eq!(scene.machine.state(), State::Backup);
}

#[test]
fn a_host_that_stalls_all_the_time_does_not_flood_the_link() {
    let mut scene = Scene::active(v3(100));
    let mut announced = 0;
    // Every 400 ms a call: each time the router has stalled, listens, and goes on.
    for millis in (400..10_000).step_by(400) {
        scene.at_millis(millis);
        let mut did = scene.timeout();
        did.extend(scene.timeout());
        announced += did.iter().filter(|said| said.starts_with("announce")).count();
    }
    assert!((5..=20).contains(&announced), "{announced}");
}

#[test]
fn new_parameters_after_a_stall_wait_for_the_listening() {
    let mut scene = Scene::active(v3(100));
    scene.at_millis(5000);
    scene.machine.link(scene.now, Link::Up { source: [10, 99, 0, 4].into() });
    assert_eq!(scene.did(), ["! Stalled", "active > listening: Stalled"]);
}
