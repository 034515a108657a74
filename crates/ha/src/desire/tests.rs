use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const VERIFY: Duration = Duration::from_secs(60);

fn desire(own: bool) -> Desire {
    Desire { own, addresses: vec![("192.0.2.100".parse().unwrap(), 24)] }
}

#[test]
fn it_is_called_until_it_confirms_and_then_verified_while_it_owns() {
    let (mut reconciler, begin) = (Reconciler::new(Some(VERIFY)), Instant::now());
    assert!(reconciler.begin(begin).is_none());
    reconciler.want(desire(true), begin);
    assert_eq!(reconciler.begin(begin), Some(desire(true)));
    reconciler.ended(false, begin);
    let second = begin + Duration::from_millis(500);
    assert_eq!((reconciler.is_confirmed(), reconciler.deadline()), (false, Some(second)));
    assert!(reconciler.begin(begin).is_none());
    assert!(reconciler.begin(second).is_some());
    reconciler.ended(true, second);
    assert_eq!((reconciler.is_confirmed(), reconciler.deadline()), (true, Some(second + VERIFY)));
    assert!(reconciler.begin(second + VERIFY).is_some());
    // It was undone meanwhile, and cannot be done again.
    reconciler.ended(false, second + VERIFY);
    assert!(!reconciler.is_confirmed());
}

#[test]
fn a_release_that_is_confirmed_is_not_asked_for_again() {
    let (mut reconciler, now) = (Reconciler::new(Some(VERIFY)), Instant::now());
    reconciler.want(desire(false), now);
    assert_eq!(reconciler.begin(now).map(|desire| desire.word()), Some("release"));
    reconciler.ended(true, now);
    assert_eq!((reconciler.is_confirmed(), reconciler.deadline()), (true, None));
}

#[test]
fn the_newest_desire_replaces_what_waits_and_follows_what_is_under_way_at_once() {
    let (mut reconciler, now) = (Reconciler::new(None), Instant::now());
    reconciler.want(desire(true), now);
    reconciler.begin(now);
    reconciler.want(desire(false), now);
    assert!(reconciler.begin(now).is_none());
    reconciler.ended(true, now);
    assert!(!reconciler.is_confirmed());
    assert_eq!(reconciler.begin(now), Some(desire(false)));
    reconciler.want(desire(true), now);
    reconciler.want(desire(false), now);
    reconciler.ended(false, now);
    // It does not wait for the pause of what failed: what is wanted is newer.
    assert_eq!(reconciler.begin(now), Some(desire(false)));
}

#[test]
fn a_doubt_calls_once_more_and_the_same_desire_does_not() {
    let (mut reconciler, now) = (Reconciler::new(None), Instant::now());
    reconciler.doubt(now);
    assert!(reconciler.begin(now).is_none());
    reconciler.want(desire(true), now);
    reconciler.begin(now);
    reconciler.ended(true, now);
    reconciler.want(desire(true), now);
    assert_eq!((reconciler.is_confirmed(), reconciler.deadline()), (true, None));
    reconciler.doubt(now);
    assert_eq!(reconciler.begin(now), Some(desire(true)));
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Want(bool),
    Begin,
    End(bool),
    Doubt,
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        any::<bool>().prop_map(Step::Want),
        Just(Step::Begin),
        any::<bool>().prop_map(Step::End),
        Just(Step::Doubt),
        (0..90_000_u64).prop_map(Step::Wait)
    ]
}

proptest! {
    #[test]
    fn what_is_wanted_last_is_what_is_done_last(steps in vec(step(), 0..200), verify in any::<bool>()) {
        let mut reconciler = Reconciler::new(verify.then_some(VERIFY));
        let (mut now, mut wanted, mut calling, mut done) = (Instant::now(), None, None, None);
        for step in steps {
            match step {
                Step::Want(own) => {
                    wanted = Some(own);
                    reconciler.want(desire(own), now);
                }
                Step::Begin => {
                    if let Some(desire) = reconciler.begin(now) {
                        prop_assert!(calling.is_none());
                        calling = Some(desire.own);
                    }
                }
                Step::End(works) => {
                    reconciler.ended(works, now);
                    let called = calling.take();
                    if works && called.is_some() {
                        done = called;
                    }
                }
                Step::Doubt => reconciler.doubt(now),
                Step::Wait(millis) => now += Duration::from_millis(millis),
            }
            if reconciler.is_confirmed() {
                prop_assert_eq!(done, wanted);
            }
        }
        // Whoever works from now on brings it about in two calls at most.
        for _ in 0..2 {
            reconciler.ended(true, now);
            if let Some(due) = reconciler.deadline() {
                now = now.max(due);
                reconciler.begin(now);
                reconciler.ended(true, now);
            }
        }
        prop_assert!(wanted.is_none() || reconciler.is_confirmed());
    }
}
