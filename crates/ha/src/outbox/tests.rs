use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn at(begin: Instant, millis: u64) -> Instant {
    begin + Duration::from_millis(millis)
}

#[test]
fn items_are_told_in_order_and_one_at_a_time() {
    let (mut outbox, begin) = (Outbox::default(), Instant::now());
    outbox.put('a');
    outbox.put('b');
    assert_eq!(outbox.begin(begin), Some(('a', 0)));
    assert_eq!((outbox.begin(begin), outbox.deadline(begin)), (None, None));
    outbox.ended(true, begin);
    assert_eq!(outbox.begin(begin), Some(('b', 0)));
    outbox.ended(true, begin);
    assert_eq!((outbox.begin(begin), outbox.waiting()), (None, 0));
    assert_eq!(outbox.counts(), Counts { delivered: 2, failed: 0, dropped: 0 });
}

#[test]
fn a_failure_is_tried_again_after_a_pause_that_doubles_up_to_a_bound() {
    let (mut outbox, mut now) = (Outbox::default(), Instant::now());
    outbox.put('a');
    let mut pauses = Vec::new();
    for _ in 0..9 {
        assert!(outbox.begin(now).is_some());
        assert!(!outbox.ended(false, now));
        let due = outbox.deadline(now).unwrap();
        assert!(outbox.begin(due - Duration::from_millis(1)).is_none());
        pauses.push((due - now).as_millis());
        now = due;
    }
    assert_eq!(pauses, [500, 1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]);
    outbox.begin(now);
    outbox.ended(true, now);
    outbox.put('b');
    assert_eq!(outbox.begin(now), Some(('b', 0)));
}

#[test]
fn the_oldest_that_is_not_under_way_is_left_out_and_that_is_told_with_the_next() {
    let (mut outbox, begin) = (Outbox::default(), Instant::now());
    outbox.put(0);
    assert_eq!(outbox.begin(begin), Some((0, 0)));
    for item in 1..MOST_WAITING {
        assert!(!outbox.put(item));
    }
    assert!(outbox.put(100) && outbox.put(101));
    outbox.ended(true, begin);
    assert_eq!(outbox.begin(begin), Some((3, 2)));
    // What is left out meanwhile is told with the one after.
    assert!(!outbox.put(102));
    assert!(outbox.put(103));
    outbox.ended(true, begin);
    assert_eq!(outbox.begin(begin), Some((5, 1)));
    assert_eq!(outbox.counts().dropped, 3);
}

#[test]
fn one_that_fails_too_often_makes_way_but_not_the_last() {
    let (mut outbox, mut now) = (Outbox::default(), Instant::now());
    outbox.put('a');
    outbox.put('b');
    for attempt in 1..=MOST_ATTEMPTS {
        assert_eq!(outbox.begin(now), Some(('a', 0)));
        assert_eq!(outbox.ended(false, now), attempt == MOST_ATTEMPTS);
        now += LONGEST_PAUSE;
    }
    for _ in 0..3 * MOST_ATTEMPTS {
        assert_eq!(outbox.begin(now), Some(('b', 1)));
        assert!(!outbox.ended(false, now));
        now += LONGEST_PAUSE;
    }
}

#[test]
fn a_pause_goes_on_when_something_is_added() {
    let (mut outbox, begin) = (Outbox::default(), Instant::now());
    outbox.put('a');
    outbox.begin(begin);
    outbox.ended(false, begin);
    outbox.put('b');
    assert_eq!(outbox.deadline(begin), Some(at(begin, 500)));
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Put,
    Attempt(bool),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![Just(Step::Put), any::<bool>().prop_map(Step::Attempt), (0..90_000_u64).prop_map(Step::Wait)]
}

proptest! {
    #[test]
    fn order_holds_nothing_is_lost_uncounted_and_the_last_one_arrives(steps in vec(step(), 0..400)) {
        let (mut outbox, mut now, mut put) = (Outbox::default(), Instant::now(), 0_u64);
        let mut told: Vec<(u64, u64)> = Vec::new();
        for step in steps {
            match step {
                Step::Put => {
                    put += 1;
                    outbox.put(put);
                }
                Step::Wait(millis) => now += Duration::from_millis(millis),
                Step::Attempt(works) => {
                    if let Some(item) = outbox.begin(now) {
                        outbox.ended(works, now);
                        told.extend(works.then_some(item));
                    }
                }
            }
            prop_assert!(outbox.waiting() <= MOST_WAITING);
        }
        while let Some(due) = outbox.deadline(now) {
            now = due;
            told.extend(outbox.begin(now));
            outbox.ended(true, now);
        }
        prop_assert_eq!(told.last().map_or(0, |(item, _)| *item), put);
        let mut before = 0;
        for (item, left_out) in told {
            prop_assert_eq!(item, before + left_out + 1);
            before = item;
        }
    }
}
