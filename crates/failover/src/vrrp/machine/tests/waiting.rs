//! What a backup does.

use std::time::Duration;

use super::super::super::interval::Interval;
use super::super::super::params::{Preempt, Settings};
use super::*;

fn preempt(settings: Settings, preempt: Preempt) -> Settings {
    Settings { preempt, ..settings }
}

#[test]
fn silence_makes_it_active_in_the_order_of_the_rfc() {
    for (settings, down) in [(v2(100), 3_609_375_000), (v3(100), 360_937_500)] {
        let interval = settings.interval.duration();
        let mut scene = Scene::started(settings);
        assert_eq!(scene.at(down - 1).timeout(), [""; 0]);
        assert_eq!(scene.at(down).timeout(), BECOMES_ACTIVE);
        assert_eq!(scene.machine.next_deadline(), Some(scene.now + interval));
    }
}

#[test]
fn a_release_leaves_only_the_skew() {
    for (settings, skew) in [(v2(100), 609_375_000), (v2(254), 7_812_500), (v3(100), 60_937_500)] {
        let mut scene = Scene::started(settings);
        scene.at(0).hear(1, 150);
        scene.at(1_000_000).hear(1, 0);
        assert_eq!(scene.deadline(), Some(1_000_000 + skew));
    }
}

#[test]
fn a_second_release_does_not_put_the_takeover_off() {
    let mut scene = Scene::started(v3(100));
    scene.at_millis(10).hear(1, 0);
    scene.at_millis(20).hear(1, 0);
    assert_eq!(scene.deadline(), Some(10_000_000 + 60_937_500));
}

#[test]
fn a_release_from_the_one_and_a_life_sign_from_the_next() {
    let mut scene = Scene::started(v3(100));
    scene.at_millis(10).hear(1, 0);
    scene.at_millis(20).hear(3, 150);
    assert_eq!(scene.deadline(), Some(20_000_000 + 360_937_500));
}

#[test]
fn an_advertisement_of_at_least_our_priority_starts_the_wait_anew() {
    for priority in [100, 101, 255] {
        let mut scene = Scene::started(v3(100));
        scene.at_millis(200).hear(1, priority);
        assert_eq!(scene.deadline(), Some(200_000_000 + 360_937_500), "{priority}");
    }
    let mut scene = Scene::started(v2(100));
    scene.at_millis(200).hear(1, 100);
    assert_eq!(scene.deadline(), Some(200_000_000 + 3_609_375_000));
}

#[test]
fn an_advertisement_at_the_very_deadline_counts_if_it_is_read_first() {
    let mut scene = Scene::started(v3(100));
    scene.at(360_937_500).hear(1, 150);
    assert_eq!(scene.timeout(), [""; 0]);
    assert_eq!(scene.deadline(), Some(2 * 360_937_500));
}

#[test]
fn a_lower_priority_is_not_listened_to_and_displaced_when_the_time_is_up() {
    let mut scene = Scene::started(v3(100));
    for millis in [100, 200, 300] {
        scene.at_millis(millis).hear(3, 99);
        assert_eq!(scene.deadline(), Some(360_937_500));
    }
    let did = scene.at(360_937_500).timeout();
    assert_eq!(did, ["send 100", "own", "announce x5", "backup > active: Preempted"]);
}

#[test]
fn without_preemption_a_lower_priority_stays() {
    let mut scene = Scene::started(preempt(v3(100), Preempt::No));
    scene.at_millis(200).hear(3, 1);
    assert_eq!(scene.deadline(), Some(200_000_000 + 360_937_500));
}

#[test]
fn an_owner_preempts_even_when_told_not_to() {
    let mut scene = Scene::active(preempt(v3(255), Preempt::No));
    scene.at_millis(10).hear(9, 255);
    scene.at_millis(11).hear(9, 255);
    assert_eq!(scene.machine.state(), State::Backup, "lost the tie");
    let deadline = scene.deadline();
    scene.at_millis(100).hear(3, 254);
    assert_eq!(scene.deadline(), deadline);
}

#[test]
fn a_delay_lets_a_lower_priority_live_for_a_while() {
    let mut scene = Scene::started(preempt(v3(100), Preempt::After(Duration::from_secs(1))));
    // First heard at 0.1 s: put up with until 1.1 s.
    for millis in (100..1100).step_by(100) {
        scene.at_millis(millis).hear(3, 50);
        assert_eq!(scene.deadline(), Some(millis * 1_000_000 + 360_937_500));
    }
    scene.at_millis(1100).hear(3, 50);
    assert_eq!(scene.deadline(), Some(1_000_000_000 + 360_937_500));
    assert_eq!(scene.at(1_360_937_500).timeout().last().unwrap(), "backup > active: Preempted");
}

#[test]
fn an_equal_or_higher_priority_ends_the_delay() {
    for priority in [100, 200] {
        let mut scene = Scene::started(preempt(v3(100), Preempt::After(Duration::from_secs(1))));
        scene.at_millis(100).hear(3, 50);
        scene.at_millis(200).hear(1, priority);
        // The next lower one starts a delay of its own: at 1.15 s it is still put up with.
        scene.at_millis(300).hear(3, 50);
        for millis in [600, 900, 1150] {
            scene.at_millis(millis).hear(3, 50);
        }
        assert_eq!(scene.deadline(), Some(1_150_000_000 + 360_937_500), "{priority}");
        scene.at_millis(1300).hear(3, 50);
        assert_eq!(scene.deadline(), Some(1_150_000_000 + 360_937_500));
    }
}

#[test]
fn backup_learns_interval_from_v3_advertisement() {
    let mut scene = Scene::started(v3(100));
    let hear = |scene: &mut Scene, millis, centis| {
        scene
            .at_millis(millis)
            .hear_with(1, 150, |sent| sent.interval = Interval::from_centis(centis).unwrap())
    };
    assert_eq!(hear(&mut scene, 10, 100), ["! PeerChecksum", "! IntervalDiffers"]);
    // 3 s + 156/256 s: the skew is worked out anew as well.
    assert_eq!(scene.deadline(), Some(10_000_000 + 3_609_375_000));
    // And back: 30 ms + 156/256 of 10 ms = 36.09375 ms.
    assert_eq!(hear(&mut scene, 20, 1), [""; 0], "one note a minute");
    assert_eq!(scene.deadline(), Some(20_000_000 + 36_093_750));
    // A release is followed by the skew of the learned interval.
    scene.at_millis(30).hear(1, 0);
    assert_eq!(scene.deadline(), Some(30_000_000 + 6_093_750));
    scene.at(36_093_750).timeout();
    assert_eq!(
        scene.machine.next_deadline(),
        Some(scene.now + Duration::from_millis(100)),
        "we send by our own"
    );
}

#[test]
fn equal_priorities_are_told_to_the_operator() {
    let mut scene = Scene::started(v3(100));
    assert_eq!(scene.at_millis(10).hear(1, 100), ["! PeerChecksum", "! EqualPriority"]);
    assert_eq!(scene.at_millis(20).hear(1, 100), [""; 0]);
}

#[test]
fn a_link_that_goes_down_ends_the_wait() {
    let mut scene = Scene::started(v3(100));
    scene.machine.link(scene.now, Link::Down);
    assert_eq!(scene.did(), ["backup > fault: LinkDown"]);
    assert_eq!(scene.deadline(), None);
    assert_eq!(scene.at_millis(5000).timeout(), [""; 0]);
    scene.machine.link(scene.now, Link::Up { source: OWN.into() });
    assert_eq!(scene.deadline(), Some(5_000_000_000 + 360_937_500));
}
