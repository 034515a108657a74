//! Addresses that are given to another router while they are still served.
//!
//! Version 3, 0.1 s: the longest skew is 255/256 of 0.1 s = 99.609375 ms, and 25 ms more are waited.

use super::*;

const UNTIL: u64 = 124_609_375;

fn leaving(purpose: Purpose) -> Scene {
    let mut scene = Scene::active(v3(150));
    scene.at_millis(10);
    assert!(scene.machine.hand_over(scene.now, purpose));
    scene
}

#[test]
fn the_addresses_stay_until_another_router_is_heard() {
    let mut scene = leaving(Purpose::Asked);
    assert_eq!(scene.did(), ["release", "active > releasing: Asked"]);
    assert_eq!(scene.deadline(), Some(10_000_000 + UNTIL));
    // A word of its own follows, so that the new one tells the neighbours again; below its priority.
    let heard = scene.at_millis(70).hear(1, 100);
    assert_eq!(heard, ["! PeerChecksum", "let go", "send 99", "releasing > backup: HandedOver"]);
}

#[test]
fn who_was_asked_to_leave_does_not_come_back_by_itself() {
    let mut scene = leaving(Purpose::Asked);
    scene.at_millis(70).hear(1, 100);
    assert!(scene.machine.status(scene.now).standing_by);
    // 3 x 100 ms and 106/256 of 100 ms = 41.40625 ms after each word of the lower one.
    for millis in [170, 270, 370, 470, 570] {
        scene.at_millis(millis).hear(1, 100);
        assert_eq!(scene.deadline(), Some(millis * 1_000_000 + 341_406_250));
    }
    // Its silence is another matter, and after that it stands as before.
    assert_eq!(
        scene.at(911_406_250).timeout(),
        ["send 150", "own", "announce x5", "backup > active: Silence"]
    );
    assert!(!scene.machine.status(scene.now).standing_by);
}

#[test]
fn it_goes_on_when_nobody_comes() {
    let mut scene = leaving(Purpose::Asked);
    scene.did();
    assert_eq!(scene.at(10_000_000 + UNTIL - 1).timeout(), Vec::<String>::new());
    assert_eq!(scene.at(10_000_000 + UNTIL).timeout(), ["send 150", "releasing > active: NobodyCame"]);
    assert_eq!(scene.deadline(), Some(110_000_000 + UNTIL));
    assert!(!scene.machine.status(scene.now).standing_by);
}

#[test]
fn a_stop_hands_over_and_ends() {
    let mut scene = Scene::active(v3(150));
    scene.machine.retire(scene.now);
    assert_eq!(scene.did(), ["release", "active > releasing: Stopped"]);
    assert_eq!(
        scene.at_millis(61).hear(1, 100),
        ["! PeerChecksum", "let go", "send 99", "releasing > stopped: HandedOver"]
    );
    assert_eq!(scene.deadline(), None);
    assert_eq!(scene.at_millis(161).hear(1, 100), [""; 0]);
}

#[test]
fn a_stop_ends_in_time_when_nobody_comes() {
    let mut scene = Scene::active(v3(150));
    scene.machine.retire(scene.now);
    scene.did();
    // Said once more: the first word may have been lost.
    assert_eq!(scene.at(UNTIL).timeout(), ["release", "let go", "releasing > stopped: Stopped"]);
    assert_eq!(scene.deadline(), None);
}

#[test]
fn a_stop_ends_at_once_when_the_link_dies_meanwhile() {
    let mut scene = Scene::active(v3(150));
    scene.machine.retire(scene.now);
    scene.did();
    scene.machine.link(scene.now, Link::Down);
    assert_eq!(scene.machine.state(), State::Stopped);
    // And it stays so: nobody may be left to stop it again.
    scene.machine.link(scene.now, Link::Up { source: OWN.into() });
    assert_eq!((scene.machine.state(), scene.deadline()), (State::Stopped, None));
}

#[test]
fn a_stop_ends_at_once_when_tracking_forbids_to_take_part_meanwhile() {
    let mut scene = Scene::active(v3(150));
    scene.machine.retire(scene.now);
    scene.machine.set_priority(scene.now, Effective::Withdrawn);
    assert_eq!(scene.machine.state(), State::Stopped);
    scene.machine.set_priority(scene.now, to(150));
    assert_eq!(scene.machine.state(), State::Stopped);
}

#[test]
fn a_backup_has_nothing_to_hand_over() {
    let mut scene = Scene::started(v3(150));
    assert!(!scene.machine.hand_over(scene.now, Purpose::Asked));
    assert_eq!(scene.did(), Vec::<String>::new());
    scene.machine.retire(scene.now);
    assert_eq!(scene.did(), ["backup > stopped: Stopped"]);
}

#[test]
fn version_2_waits_for_skews_of_a_second() {
    let mut scene = Scene::active(v2(150));
    assert!(scene.machine.hand_over(scene.now, Purpose::Asked));
    // 255/256 s and 250 ms.
    assert_eq!(scene.deadline(), Some(996_093_750 + 250_000_000));
}

#[test]
fn who_is_ill_gives_way_and_keeps_the_addresses_if_nobody_takes_them() {
    let mut scene = Scene::active(v3(150));
    scene.machine.set_priority(scene.now, Effective::Yielding);
    assert_eq!(scene.did(), ["release", "active > releasing: Ailing"]);
    assert_eq!(scene.at(UNTIL).timeout(), ["send 1", "releasing > active: NobodyCame"]);
    // Still ill, still no other: it stays.
    assert_eq!(scene.at(UNTIL + 100_000_000).timeout(), ["send 1"]);
    scene.machine.set_priority(scene.now, to(150));
    assert_eq!(scene.did(), Vec::<String>::new());
    assert_eq!(scene.at(UNTIL + 200_000_000).timeout(), ["send 150"]);
}

#[test]
fn who_is_well_again_before_another_comes_goes_on() {
    let mut scene = Scene::active(v3(150));
    scene.machine.set_priority(scene.now, Effective::Yielding);
    scene.did();
    scene.at_millis(20);
    scene.machine.set_priority(scene.now, to(150));
    assert_eq!(scene.did(), ["send 150", "releasing > active: Restored"]);
}

#[test]
fn a_backup_that_is_ill_does_not_hurry_to_take_what_is_released() {
    let mut scene = Scene::started(v3(100));
    scene.machine.set_priority(scene.now, Effective::Yielding);
    scene.at_millis(50).hear(3, 150);
    // 3 x 100 ms and 255/256 of 100 ms after what was heard last, not the skew after the release.
    assert_eq!(scene.deadline(), Some(50_000_000 + 399_609_375));
    assert_eq!(scene.at_millis(60).hear(3, 0), Vec::<String>::new());
    // Anew: the other one waits for at most 124.609375 ms from now before it goes on.
    assert_eq!(scene.deadline(), Some(60_000_000 + 399_609_375));
    // The other one is ill as well and has kept the addresses: it stays their owner.
    assert_eq!(scene.at_millis(190).hear(3, 1), Vec::<String>::new());
    assert_eq!(scene.deadline(), Some(190_000_000 + 399_609_375));
    assert!(scene.machine.status(scene.now).alarms.is_empty());
}

/// A backup that was ill when the active router released, at 60 ms.
fn ill_at_a_release() -> Scene {
    let mut scene = Scene::started(v3(100));
    scene.machine.set_priority(scene.now, Effective::Yielding);
    scene.at_millis(50).hear(3, 150);
    scene.at_millis(60).hear(3, 0);
    scene
}

#[test]
fn one_that_is_well_again_hurries_to_take_what_was_released_meanwhile() {
    let mut scene = ill_at_a_release();
    assert_eq!(scene.deadline(), Some(60_000_000 + 399_609_375));
    // 156/256 of 100 ms after it is well, as if the release had come only now.
    scene.at_millis(61);
    scene.machine.set_priority(scene.now, to(100));
    assert_eq!(scene.deadline(), Some(61_000_000 + 60_937_500));
    assert_eq!(scene.at(61_000_000 + 60_937_500).timeout(), BECOMES_ACTIVE);
}

#[test]
fn one_that_is_well_again_does_not_hurry_when_the_other_has_kept_the_addresses() {
    let mut scene = ill_at_a_release();
    scene.at_millis(190).hear(3, 150);
    scene.at_millis(200);
    scene.machine.set_priority(scene.now, to(100));
    // 3 x 100 ms and 156/256 of 100 ms after what was heard last.
    assert_eq!(scene.deadline(), Some(190_000_000 + 360_937_500));
}

#[test]
fn the_one_that_takes_over_announces_again_when_the_other_has_let_go() {
    let mut scene = Scene::started(v3(100));
    scene.at_millis(50).hear(3, 150);
    scene.at_millis(60).hear(3, 0);
    // 156/256 of 100 ms after the release.
    assert_eq!(scene.deadline(), Some(60_000_000 + 60_937_500));
    assert_eq!(scene.at(120_937_500).timeout(), BECOMES_ACTIVE);
    assert_eq!(scene.at_millis(121).hear(3, 99), ["send 100", "announce x5"]);
    assert!(scene.machine.status(scene.now).alarms.is_empty());
}

#[test]
fn an_owner_that_is_ill_withdraws() {
    let mut scene = Scene::active(v3(150));
    scene.machine.set_params(scene.now, Params::new(v3(255)).unwrap());
    scene.did();
    scene.machine.set_priority(scene.now, Effective::Yielding);
    assert_eq!(scene.did(), ["release", "let go", "active > fault: Withdrawn"]);
}

#[test]
fn a_cable_that_is_cut_meanwhile_ends_it() {
    let mut scene = leaving(Purpose::Asked);
    scene.did();
    scene.machine.link(scene.now, Link::Down);
    let did = scene.did();
    assert_eq!(did, ["let go", "releasing > fault: LinkDown"]);
    assert_eq!(scene.deadline(), None);
}
