use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);
const SETTINGS: Settings = Settings {
    failures: 3,
    eject: Duration::from_secs(5),
    longest: Duration::from_secs(12),
    share: 50,
    server_errors: false,
};

#[expect(clippy::disallowed_methods, reason = "an instant to count from; only differences matter")]
fn start() -> Instant {
    Instant::now()
}

fn fail(outlier: &mut Outlier, now: Instant) -> Option<Event> {
    outlier.failed("connection refused", &SETTINGS, || true, now)
}

/// Brings a trusted server to its ejection and says how long it lasts.
fn eject(outlier: &mut Outlier, now: Instant) -> Duration {
    let events: Vec<_> = (0..3).filter_map(|_| fail(outlier, now)).collect();
    let [Event::Ejected { lasts, .. }] = events.as_slice() else { panic!("{events:?}") };
    *lasts
}

#[test]
fn failures_in_a_row_eject_and_a_success_breaks_the_row() {
    let now = start();
    let mut outlier = Outlier::default();
    assert_eq!(fail(&mut outlier, now), None);
    assert_eq!(fail(&mut outlier, now), None);
    assert!(outlier.wants_success());
    assert_eq!(outlier.succeeded(now), None);
    assert!(!outlier.wants_success());
    assert_eq!(fail(&mut outlier, now), None);
    assert_eq!(fail(&mut outlier, now), None);
    let why = "3 failures in a row, the last: connection refused".to_owned();
    assert_eq!(fail(&mut outlier, now), Some(Event::Ejected { lasts: 5 * SECOND, times: 1, why }));
    // What was under way tells nothing.
    assert_eq!(fail(&mut outlier, now), None);
    assert_eq!(outlier.succeeded(now), None);
    assert_eq!(outlier.next_deadline(), Some(now + 5 * SECOND));
}

#[test]
fn one_request_decides_and_only_one() {
    let now = start();
    let mut outlier = Outlier::default();
    eject(&mut outlier, now);
    assert!(!outlier.try_one(now));
    assert_eq!(outlier.tick(now + 4 * SECOND), None);
    assert_eq!(outlier.tick(now + 5 * SECOND), Some(Event::Probation));
    assert!(outlier.try_one(now + 6 * SECOND));
    assert!(!outlier.try_one(now + 6 * SECOND));
    assert_eq!(outlier.succeeded(now + 7 * SECOND), Some(Event::Returned));
    assert_eq!(*outlier.standing(), Standing::Trusted { failures: 0 });
}

#[test]
fn each_ejection_is_longer_up_to_the_longest() {
    let now = start();
    let mut outlier = Outlier::default();
    assert_eq!(eject(&mut outlier, now), 5 * SECOND);
    outlier.tick(now + 5 * SECOND);
    // 5, 10, then 15 and 20 cut to 12.
    for lasts in [10, 12, 12] {
        let Some(Event::Ejected { lasts: told, why, .. }) = fail(&mut outlier, now + 5 * SECOND) else {
            panic!("a failed trial ejects again")
        };
        assert_eq!(told, lasts * SECOND);
        assert_eq!(why, "the trial request failed: connection refused");
        outlier.tick(now + 100 * SECOND);
    }
}

#[test]
fn good_behaviour_is_remembered() {
    let now = start();
    let mut outlier = Outlier::default();
    eject(&mut outlier, now);
    outlier.tick(now + 5 * SECOND);
    outlier.succeeded(now + 5 * SECOND);
    // Good for 4 s of 5: it counts as the second time.
    let mut soon = outlier.clone();
    assert_eq!(eject(&mut soon, now + 9 * SECOND), 10 * SECOND);
    // Good for 5 s: as the first.
    assert_eq!(eject(&mut outlier, now + 10 * SECOND), 5 * SECOND);
}

#[test]
fn a_trial_that_tells_nothing_is_followed_by_another() {
    let now = start();
    let mut outlier = Outlier::default();
    eject(&mut outlier, now);
    let freed = now + 5 * SECOND;
    outlier.tick(freed);
    assert!(outlier.try_one(freed));
    assert_eq!(outlier.next_deadline(), Some(freed + 10 * SECOND));
    assert_eq!(outlier.tick(freed + 9 * SECOND), None);
    assert_eq!(outlier.tick(freed + 10 * SECOND), Some(Event::Probation));
    assert!(outlier.try_one(freed + 10 * SECOND));
}

#[test]
fn a_server_that_may_not_be_ejected_is_asked_about_again_with_each_failure() {
    let now = start();
    let mut outlier = Outlier::default();
    for _ in 0..5 {
        assert_eq!(outlier.failed("reset", &SETTINGS, || false, now), None);
    }
    assert!(matches!(fail(&mut outlier, now), Some(Event::Ejected { .. })));
}

#[test]
fn a_set_share_and_never_the_last() {
    // servers, ejected, usable: allowed with half of them
    for (servers, ejected, usable, allowed) in [
        (1, 0, 1, false),
        (2, 0, 2, true),
        (2, 1, 1, false),
        (3, 0, 3, true),
        (3, 1, 2, false),
        (4, 1, 3, true),
        (4, 2, 2, false),
        (4, 0, 1, false),
    ] {
        assert_eq!(SETTINGS.may_eject(servers, ejected, usable), allowed, "{servers} {ejected} {usable}");
    }
}

#[test]
fn only_errors_of_the_server_itself_count_and_only_if_asked_for() {
    let strict = Settings { server_errors: true, ..SETTINGS };
    for (status, failure) in
        [(200, false), (404, false), (500, true), (501, false), (502, true), (504, true), (505, false)]
    {
        assert_eq!(strict.is_failure(status), failure, "{status}");
        assert!(!SETTINGS.is_failure(status));
    }
}

proptest! {
    #[test]
    fn no_order_of_events_breaks_the_bounds(steps in prop::collection::vec((0_u8..4, 0_u64..8000), 1..200)) {
        let mut now = start();
        let mut outlier = Outlier::default();
        let mut trials = 0;
        for (step, millis) in steps {
            now += Duration::from_millis(millis);
            match step {
                0 => { fail(&mut outlier, now); }
                1 => { outlier.succeeded(now); }
                2 => { if outlier.tick(now).is_some() { trials = 0; } }
                _ => { if outlier.try_one(now) { trials += 1; } }
            }
            match outlier.standing() {
                Standing::Trusted { failures } => { prop_assert!(*failures < 3); trials = 0; }
                Standing::Ejected { since, until, .. } => {
                    prop_assert!(*until - *since <= SETTINGS.longest);
                    trials = 0;
                }
                Standing::Probation { .. } => prop_assert!(trials <= 1),
            }
        }
    }
}
