//! Each row of the state machine, with times worked out by hand.
//!
//! Version 2, 1 s, priority 100: skew 156/256 s = 609.375 ms, down interval 3609.375 ms.
//! Version 3, 0.1 s, priority 100: skew 156/256 of 0.1 s = 60.9375 ms, down interval 360.9375 ms.

mod active;
mod changes;
mod handover;
mod listening;
mod resume;
mod waiting;

use super::super::scene::{OWN, Scene, settings};
use super::*;
use crate::vrrp::note::Note;
use crate::vrrp::params::{Settings, Version};
use crate::vrrp::status::AlarmKind;

const BECOMES_ACTIVE: [&str; 4] = ["send 100", "own", "announce x5", "backup > active: Silence"];

fn v2(priority: u8) -> Settings {
    settings(Version::V2, priority, 100)
}

fn v3(priority: u8) -> Settings {
    settings(Version::V3, priority, 10)
}

fn to(priority: u8) -> Effective {
    Effective::Priority(Priority::new(priority).unwrap())
}

#[test]
fn an_owner_is_active_at_once() {
    let mut scene = Scene::new(v3(255));
    let now = scene.epoch;
    scene.machine.link(now, Link::Up { source: OWN.into() });
    scene.machine.start(now, false);
    assert_eq!(scene.did(), ["send 255", "own", "announce x5", "stopped > active: Owner"]);
    assert_eq!(scene.deadline(), Some(100_000_000));
}

#[test]
fn everybody_else_waits_for_the_down_interval() {
    for (settings, down) in [(v2(100), 3_609_375_000), (v3(100), 360_937_500), (v3(254), 300_781_250)] {
        let mut scene = Scene::new(settings);
        let now = scene.epoch;
        scene.machine.link(now, Link::Up { source: OWN.into() });
        scene.machine.start(now, false);
        assert_eq!(scene.did(), ["let go", "stopped > backup: Started"]);
        assert_eq!(scene.deadline(), Some(down));
    }
}

#[test]
fn link_and_start_may_come_in_any_order() {
    let mut scene = Scene::new(v3(100));
    let now = scene.epoch;
    scene.machine.start(now, false);
    assert_eq!(scene.did(), ["let go", "stopped > fault: LinkDown"]);
    assert_eq!(scene.deadline(), None);
    scene.machine.link(now, Link::Up { source: OWN.into() });
    assert_eq!(scene.did(), ["fault > backup: LinkUp"]);
    assert_eq!(scene.deadline(), Some(360_937_500));
}

#[test]
fn stopping_twice_or_before_the_start_does_nothing() {
    let mut scene = Scene::new(v3(100));
    scene.machine.stop(scene.epoch);
    assert_eq!(scene.did(), [""; 0]);
    let mut scene = Scene::started(v3(100));
    scene.machine.start(scene.epoch, true);
    assert_eq!(scene.did(), [""; 0]);
    scene.machine.stop(scene.epoch);
    assert_eq!(scene.did(), ["backup > stopped: Stopped"]);
    scene.machine.stop(scene.epoch);
    assert_eq!((scene.did(), scene.deadline()), (vec![], None));
}

#[test]
fn actions_that_nobody_fetches_are_lost_but_never_what_to_hold() {
    let mut scene = Scene::active(v3(100));
    for round in 0..1000 {
        scene.at_millis(round * 10_000);
        scene
            .machine
            .link(scene.now, if round % 2 == 0 { Link::Down } else { Link::Up { source: OWN.into() } });
        scene.machine.set_priority(scene.now, to(u8::try_from(round % 200 + 1).unwrap()));
        scene.machine.refuse(scene.now, Refusal::Protocol, [10, 99, 0, 9].into());
    }
    let mut actions = Vec::new();
    while let Some(action) = scene.machine.poll_action() {
        actions.push(action);
    }
    assert_eq!(actions.len(), MOST_ACTIONS);
    assert_eq!(actions.iter().find(|action| matches!(action, Action::Own(_))), Some(&Action::Own(false)));
    assert!(scene.machine.status(scene.now).counters.actions_lost > 0);
}

#[test]
fn status_says_why_it_is_as_it_is() {
    let mut scene = Scene::started(v3(100));
    scene.at_millis(50).hear_with(1, 150, |sent| sent.interval = Interval::from_centis(20).unwrap());
    let status = scene.machine.status(scene.now);
    assert_eq!((status.state, status.since), (State::Backup, Some(scene.epoch)));
    assert_eq!(status.owner, Some([10, 99, 0, 1].into()));
    assert_eq!(status.effective, to(100));
    let heard = status.last_heard.unwrap();
    assert_eq!((heard.at, heard.priority), (scene.now, Priority::new(150)));
    assert_eq!(
        (status.interval, status.active_interval),
        (Duration::from_millis(100), Duration::from_millis(200))
    );
    // 3 * 200 ms + 156/256 of 200 ms
    assert_eq!(status.down_interval, Duration::from_nanos(721_875_000));

    let mut scene = Scene::active(v3(100));
    scene.at_millis(100).timeout();
    let status = scene.machine.status(scene.now);
    assert_eq!((status.state, status.owner), (State::Active, Some(OWN.into())));
    assert_eq!(status.last_sent, Some(scene.now));
    assert_eq!((status.counters.sent, status.counters.became_active), (2, 1));
}

#[test]
fn notes_are_sentences() {
    let note = Note::Became {
        from: State::Active,
        to: State::Backup,
        why: Why::Higher { source: [10, 99, 0, 1].into(), priority: Priority::new(150).unwrap() },
    };
    assert_eq!(note.to_string(), "is backup, was active: 10.99.0.1 is active with the higher priority 150");
    let note = Note::Refused { refusal: Refusal::Interval, source: [10, 99, 0, 1].into(), times: 12 };
    assert_eq!(
        note.to_string(),
        "dropped 12 advertisements, the last from 10.99.0.1: its interval is not ours, which version 2 requires: \
         set the same on both nodes"
    );
}

#[test]
fn names_in_json_are_those_in_text() {
    for state in [State::Stopped, State::Fault, State::Backup, State::Listening, State::Active] {
        assert_eq!(serde_json::to_string(&state).unwrap(), format!("\"{state}\""));
    }
    for kind in [AlarmKind::DualOwner, AlarmKind::AddressesDiffer, AlarmKind::Version] {
        assert_eq!(serde_json::to_string(&kind).unwrap(), format!("\"{}\"", kind.name()));
    }
    for (index, refusal) in Refusal::ALL.into_iter().enumerate() {
        assert_eq!(refusal.index(), index);
    }
}
