use super::*;
use crate::health::{Initial, Timing};

const SECOND: Duration = Duration::from_secs(1);
const NONE: Duration = Duration::ZERO;
const PASSIVE: outlier::Settings = outlier::Settings {
    failures: 1,
    eject: Duration::from_secs(5),
    longest: Duration::from_secs(60),
    share: 50,
    server_errors: false,
};

#[expect(clippy::disallowed_methods, reason = "an instant to count from; only differences matter")]
fn start() -> Instant {
    Instant::now()
}

fn checked(initial: Initial, now: Instant) -> Health {
    let timing = Timing {
        interval: SECOND,
        fast_interval: SECOND,
        down_interval: SECOND,
        timeout: SECOND,
        rise: 1,
        fall: 2,
        initial,
    };
    let mut health = Health::default();
    health.set_check(Some(Check::new(timing, 0, now)));
    health
}

fn refused() -> Result<(), String> {
    Err("connection refused".into())
}

#[test]
fn a_server_without_complaints_is_up() {
    assert_eq!(Health::default().usability(NONE, start()), Usability::Up { doubt: None });
}

#[test]
fn doubt_is_told_before_the_verdict() {
    let now = start();
    let mut health = checked(Initial::Up, now);
    health.probed(Ok(()), now, now);
    health.probed(refused(), now, now);
    assert_eq!(health.usability(NONE, now), Usability::Up { doubt: Some("connection refused".into()) });
    health.probed(refused(), now, now + SECOND);
    let down = Usability::Down { since: now + SECOND, why: "connection refused".into() };
    assert_eq!(health.usability(NONE, now + SECOND), down);
}

#[test]
fn the_active_check_outweighs_an_ejection_and_its_recovery_ends_it() {
    let now = start();
    let mut health = checked(Initial::Checking, now);
    assert_eq!(health.usability(NONE, now), Usability::Checking { since: now });
    health.probed(refused(), now, now);
    health.failed("reset", &PASSIVE, || true, now);
    assert!(matches!(health.usability(NONE, now), Usability::Down { .. }));
    health.probed(Ok(()), now, now + SECOND);
    assert_eq!(health.usability(NONE, now + SECOND), Usability::Up { doubt: None });
}

#[test]
fn a_passing_check_does_not_end_an_ejection() {
    let now = start();
    let mut health = checked(Initial::Up, now);
    health.failed("answered 500", &PASSIVE, || true, now);
    health.probed(Ok(()), now, now);
    let Usability::Ejected { until, why, .. } = health.usability(NONE, now) else { panic!("{health:?}") };
    assert_eq!(until, now + 5 * SECOND);
    assert_eq!(why, "answered 500");
}

#[test]
fn slow_start_grows_from_a_tenth_to_the_whole() {
    let now = start();
    let mut health = checked(Initial::Up, now);
    health.probed(refused(), now, now);
    health.probed(Ok(()), now, now);
    let slow = 100 * SECOND;
    let share = |after: u32| match health.usability(slow, now + after * SECOND) {
        Usability::SlowStart { share, .. } => share,
        _ => FULL_SHARE,
    };
    // 26 of 256 at first, then evenly: 64 is a quarter, 128 the half.
    assert_eq!([0, 5, 25, 50, 99, 100].map(share), [26, 26, 64, 128, 253, 256]);
    // Twenty steps of five seconds.
    assert_eq!(health.next_deadline(slow, now), Some(now + 5 * SECOND));
    assert_eq!(health.tick(slow, now + slow), None);
    assert_eq!(health.next_deadline(slow, now + slow), None);
}

#[test]
fn a_server_back_from_probation_starts_slowly() {
    let now = start();
    let mut health = Health::default();
    health.failed("reset", &PASSIVE, || true, now);
    assert_eq!(health.tick(SECOND, now + 5 * SECOND), Some(outlier::Event::Probation));
    assert!(health.try_one(now + 5 * SECOND));
    assert!(matches!(
        health.usability(SECOND, now + 5 * SECOND),
        Usability::Probation { on_trial: true, .. }
    ));
    health.succeeded(now + 5 * SECOND);
    assert!(matches!(health.usability(SECOND, now + 5 * SECOND), Usability::SlowStart { share: 26, .. }));
}

#[test]
fn a_first_pass_is_no_comeback() {
    let now = start();
    let mut health = checked(Initial::Checking, now);
    health.probed(Ok(()), now, now);
    assert_eq!(health.usability(60 * SECOND, now), Usability::Up { doubt: None });
}

fn heard(health: &mut Health, text: &str, now: Instant) {
    let answer = crate::agent::parse(text.as_bytes()).map_err(|why| why.to_string());
    health.agent_answered(answer, now, now);
}

#[test]
fn an_agent_that_wants_no_traffic_outweighs_a_check_either_way() {
    let now = start();
    let mut health = checked(Initial::Up, now);
    health.set_agent(Some(Agent::new(SECOND, 0, now)));
    heard(&mut health, "drain", now);
    let drain = Usability::Drain { since: now, why: "its agent said `drain`".into() };
    assert_eq!(health.usability(NONE, now), drain);
    health.probed(refused(), now, now);
    assert_eq!(health.usability(NONE, now), drain);
    heard(&mut health, "ready", now + SECOND);
    // What the check has found meanwhile holds again.
    assert!(matches!(health.usability(NONE, now), Usability::Down { since, .. } if since == now));
    heard(&mut health, "down", now + SECOND);
    health.probed(Ok(()), now + SECOND, now + SECOND);
    let why = "its agent said `down`".to_owned();
    assert_eq!(health.usability(NONE, now), Usability::Down { since: now + SECOND, why });
    heard(&mut health, "up", now + 2 * SECOND);
    assert_eq!(health.usability(NONE, now + 2 * SECOND), Usability::Up { doubt: None });
}

#[test]
fn a_server_comes_back_slowly_from_what_its_agent_said_unless_it_only_drained() {
    let now = start();
    let mut health = Health::default();
    health.set_agent(Some(Agent::new(SECOND, 0, now)));
    let after = |health: &mut Health, away: &str| {
        heard(health, away, now);
        heard(health, "up ready", now);
        health.usability(10 * SECOND, now)
    };
    assert_eq!(after(&mut health, "drain"), Usability::Up { doubt: None });
    assert!(matches!(after(&mut health, "maint"), Usability::SlowStart { .. }));
    health.tick(NONE, now);
    assert!(matches!(after(&mut health, "down"), Usability::SlowStart { .. }));
}

#[test]
fn an_order_outweighs_everything_and_draining_keeps_the_clients_that_are_bound() {
    let now = start();
    let mut health = Health::default();
    health.order(Duty::Drain, now);
    let later = now + SECOND;
    assert_eq!(health.usability(NONE, later), Usability::Drain { since: now, why: "by order".into() });
    assert_eq!(health.usability_for_its_own(NONE, later), Usability::Up { doubt: None });
    // The same order again is no news.
    health.order(Duty::Drain, later);
    assert!(matches!(health.usability(NONE, later), Usability::Drain { since, .. } if since == now));
    health.order(Duty::Maintenance, later);
    let maintenance = Usability::Maintenance { since: later, why: "by order".into() };
    assert_eq!(health.usability(NONE, later), maintenance);
    assert_eq!(health.usability_for_its_own(NONE, later), maintenance);
}

#[test]
fn whoever_comes_back_from_maintenance_begins_with_slow_start_and_from_a_drain_at_once() {
    let now = start();
    let mut health = Health::default();
    health.order(Duty::Drain, now);
    health.order(Duty::Ready, now);
    assert_eq!(health.usability(10 * SECOND, now), Usability::Up { doubt: None });
    health.order(Duty::Maintenance, now);
    health.order(Duty::Ready, now);
    assert!(matches!(health.usability(10 * SECOND, now), Usability::SlowStart { .. }));
}
