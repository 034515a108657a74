//! What holds after any sequence of inputs.

use proptest::prelude::*;

use super::super::params::{Preempt, Settings, Version};
use super::super::scene::{OWN, Scene, settings};
use super::*;

#[derive(Clone, Debug)]
enum Input {
    Start(bool),
    Stop,
    Up,
    Down,
    Priority(u8),
    Withdraw,
    /// Last byte of the address, priority.
    Hear(u8, u8),
    /// Time until the deadline, and this much later in ms.
    Deadline(u16),
    HandOver(Purpose),
    Retire,
    Yield,
    StandBy(bool),
    /// So many ms pass unused.
    Pass(u16),
}

fn input() -> impl Strategy<Value = Input> {
    prop_oneof![
        1 => any::<bool>().prop_map(Input::Start),
        1 => Just(Input::Stop),
        2 => Just(Input::Up),
        1 => Just(Input::Down),
        1 => any::<u8>().prop_map(|priority| Input::Priority(priority.max(1))),
        1 => Just(Input::Withdraw),
        1 => Just(Input::Yield),
        1 => Just(Input::Retire),
        1 => any::<bool>().prop_map(Input::StandBy),
        2 => prop_oneof![Just(Purpose::Stop), Just(Purpose::Asked), Just(Purpose::Ailing)].prop_map(Input::HandOver),
        4 => (1..4_u8, prop_oneof![Just(0), Just(50), Just(100), Just(150), Just(255)])
            .prop_map(|(last, priority)| Input::Hear(last, priority)),
        6 => prop_oneof![9 => Just(0), 1 => 0..3000_u16].prop_map(Input::Deadline),
        2 => (0..500_u16).prop_map(Input::Pass),
    ]
}

fn any_settings() -> impl Strategy<Value = Settings> {
    let preempt =
        prop_oneof![Just(Preempt::Yes), Just(Preempt::No), Just(Preempt::After(Duration::from_secs(1)))];
    (any::<bool>(), prop_oneof![Just(1_u8), Just(100), Just(254), Just(255)], preempt).prop_map(
        |(v2, priority, preempt)| {
            let (version, centis) = if v2 { (Version::V2, 100) } else { (Version::V3, 10) };
            Settings { preempt, ..settings(version, priority, centis) }
        },
    )
}

fn apply(scene: &mut Scene, input: &Input) -> Vec<String> {
    let now = scene.now;
    match *input {
        Input::Start(holding) => scene.machine.start(now, holding),
        Input::Stop => scene.machine.stop(now),
        Input::Up => scene.machine.link(now, Link::Up { source: OWN.into() }),
        Input::Down => scene.machine.link(now, Link::Down),
        Input::Priority(priority) => {
            scene.machine.set_priority(now, Effective::Priority(Priority::new(priority).unwrap()));
        }
        Input::Withdraw => scene.machine.set_priority(now, Effective::Withdrawn),
        Input::Yield => scene.machine.set_priority(now, Effective::Yielding),
        Input::Retire => scene.machine.retire(now),
        Input::StandBy(standing_by) => scene.machine.stand_by(standing_by),
        Input::HandOver(purpose) => {
            let _is_active = scene.machine.hand_over(now, purpose);
        }
        Input::Hear(last, priority) => return scene.hear(last, priority),
        Input::Deadline(late) => {
            let due = scene.machine.next_deadline().unwrap_or(now).max(now);
            scene.now = due + Duration::from_millis(u64::from(late));
            return scene.timeout();
        }
        Input::Pass(millis) => scene.now += Duration::from_millis(u64::from(millis)),
    }
    scene.did()
}

proptest! {
    #[test]
    fn the_wanted_state_alternates_and_agrees_with_the_state(
        settings in any_settings(),
        inputs in prop::collection::vec(input(), 1..120),
    ) {
        let mut scene = Scene::new(settings);
        let mut owned = None;
        for input in &inputs {
            for said in apply(&mut scene, input) {
                let own = match said.as_str() { "own" => true, "let go" => false, _ => continue };
                prop_assert_ne!(owned.replace(own), Some(own), "said twice after {:?}", input);
            }
            match scene.machine.state() {
                State::Active | State::Listening | State::Releasing => prop_assert_eq!(owned, Some(true)),
                State::Backup => prop_assert_eq!(owned, Some(false)),
                State::Fault => prop_assert_ne!(owned, Some(true)),
                State::Stopped => prop_assert_ne!(owned, Some(true)),
            }
        }
    }

    #[test]
    fn a_running_router_with_a_link_always_has_a_deadline_ahead(
        settings in any_settings(),
        inputs in prop::collection::vec(input(), 1..120),
    ) {
        let mut scene = Scene::new(settings);
        for input in &inputs {
            apply(&mut scene, input);
            scene.timeout();
            let deadline = scene.machine.next_deadline();
            let runs = !matches!(scene.machine.state(), State::Stopped | State::Fault);
            prop_assert_eq!(deadline.is_some(), runs);
            prop_assert!(deadline.is_none_or(|at| at > scene.now), "in the past after {:?}", input);
        }
    }

    #[test]
    fn silence_ends_with_an_active_router(
        settings in any_settings(),
        inputs in prop::collection::vec(input(), 1..60),
    ) {
        let mut scene = Scene::new(settings);
        for input in &inputs {
            apply(&mut scene, input);
        }
        for input in [Input::Up, Input::Priority(100), Input::Start(false)] {
            apply(&mut scene, &input);
        }
        // At most: the wait, once more after a stall.
        for _ in 0..2 {
            if scene.machine.state() != State::Active {
                apply(&mut scene, &Input::Deadline(0));
            }
        }
        prop_assert_eq!(scene.machine.state(), State::Active);
    }

    #[test]
    fn only_an_active_router_sends_its_priority_and_only_with_the_addresses(
        settings in any_settings(),
        inputs in prop::collection::vec(input(), 1..120),
    ) {
        let mut scene = Scene::new(settings);
        for input in &inputs {
            let before = scene.machine.state();
            let said = apply(&mut scene, input);
            let sent = said.iter().any(|said| said.starts_with("send"));
            let after = scene.machine.state();
            // The last word of one that lets go is such a message too.
            let held = matches!(before, State::Active | State::Listening | State::Releasing);
            prop_assert!(!sent || held || after == State::Active);
            let announced = said.iter().any(|said| said.starts_with("announce"));
            prop_assert!(!announced || after == State::Active);
        }
    }
}
