use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn timing() -> Timing {
    Timing {
        interval: 4 * SECOND,
        fast_interval: SECOND,
        down_interval: 10 * SECOND,
        timeout: 2 * SECOND,
        rise: 2,
        fall: 3,
        initial: Initial::Up,
    }
}

#[expect(clippy::disallowed_methods, reason = "an instant to count from; only differences matter")]
fn start() -> Instant {
    Instant::now()
}

fn fails() -> Result<(), String> {
    Err("connection refused".into())
}

/// Ends one probe at once when it is due and tells the verdict and how long the pause after it is, in seconds.
fn probe(check: &mut Check, result: Result<(), String>) -> (Verdict, u64, Option<String>) {
    let due = check.next_probe();
    let transition = check.ended(result, due, due);
    (check.verdict(), (check.next_probe() - due).as_secs(), transition.map(|transition| transition.why))
}

#[test]
fn three_failures_in_a_row_take_a_server_down_and_two_passes_bring_it_back() {
    let mut check = Check::new(timing(), 0, start());
    assert_eq!(probe(&mut check, Ok(())), (Verdict::Up, 4, None));
    // In doubt it is looked at every second.
    assert_eq!(probe(&mut check, fails()), (Verdict::Up, 1, None));
    assert_eq!(probe(&mut check, fails()), (Verdict::Up, 1, None));
    let down = Some("3 checks in a row failed: connection refused".to_owned());
    assert_eq!(probe(&mut check, fails()), (Verdict::Down, 10, down));
    assert_eq!(check.why(), Some("connection refused"));
    assert_eq!(probe(&mut check, fails()), (Verdict::Down, 10, None));
    assert_eq!(probe(&mut check, Ok(())), (Verdict::Down, 1, None));
    assert_eq!(probe(&mut check, Ok(())), (Verdict::Up, 4, Some("2 checks in a row passed".into())));
    assert_eq!(check.why(), None);
}

#[test]
fn a_row_that_is_broken_is_forgotten() {
    let mut check = Check::new(timing(), 0, start());
    for result in [Ok(()), fails(), fails(), Ok(()), fails(), fails()] {
        assert_eq!(probe(&mut check, result).0, Verdict::Up);
    }
    assert_eq!(probe(&mut check, fails()).0, Verdict::Down);
    assert_eq!(probe(&mut check, Ok(())).0, Verdict::Down);
    assert_eq!(probe(&mut check, fails()).0, Verdict::Down);
    assert_eq!(probe(&mut check, Ok(())).0, Verdict::Down);
    assert_eq!(probe(&mut check, Ok(())).0, Verdict::Up);
}

#[test]
fn the_first_result_decides_alone_unless_the_server_starts_as_down() {
    // initial state, first result, verdict before, verdict after
    let table = [
        (Initial::Up, true, Verdict::Up, Verdict::Up),
        (Initial::Up, false, Verdict::Up, Verdict::Down),
        (Initial::Checking, true, Verdict::Checking, Verdict::Up),
        (Initial::Checking, false, Verdict::Checking, Verdict::Down),
        (Initial::Down, true, Verdict::Down, Verdict::Down),
        (Initial::Down, false, Verdict::Down, Verdict::Down),
    ];
    for (initial, passes, before, after) in table {
        let mut check = Check::new(Timing { initial, ..timing() }, 0, start());
        assert_eq!(check.verdict(), before, "{initial:?}");
        let result = if passes { Ok(()) } else { fails() };
        assert_eq!(probe(&mut check, result).0, after, "{initial:?} {passes}");
    }
}

#[test]
fn a_slow_probe_does_not_delay_the_next_and_never_overlaps_it() {
    let now = start();
    let mut check = Check::new(timing(), 0, now);
    // Took one second of the interval of four.
    check.ended(Ok(()), now, now + SECOND);
    assert_eq!(check.next_probe(), now + 4 * SECOND);
    // Took two seconds where the next was due after one.
    check.ended(fails(), now + 4 * SECOND, now + 6 * SECOND);
    assert_eq!(check.next_probe(), now + 6 * SECOND);
}

#[test]
fn first_probes_are_spread_by_name() {
    let now = start();
    // Half of 2^32 is half of the fast interval of one second.
    assert_eq!(Check::new(timing(), 1 << 31, now).next_probe(), now + SECOND / 2);
    let mut tenths = [0_u32; 10];
    for server in 0..1000 {
        let phase = phase_of("website", &format!("webserver{server:04}"));
        tenths[((u64::from(phase) * 10) >> 32) as usize] += 1;
    }
    // 100 each, give or take what chance gives (10 is one standard deviation).
    assert!(tenths.iter().all(|&count| (50..=150).contains(&count)), "{tenths:?}");
}

#[test]
fn other_settings_leave_the_verdict_and_come_into_effect_at_once() {
    let now = start();
    let mut check = Check::new(timing(), 0, now);
    check.ended(fails(), now, now);
    assert_eq!(check.verdict(), Verdict::Down);
    assert_eq!(check.next_probe(), now + 10 * SECOND);
    check.reconfigure(Timing { down_interval: SECOND, ..timing() }, now + SECOND);
    assert_eq!(check.verdict(), Verdict::Down);
    assert_eq!((check.since(), check.next_probe()), (now, now + 2 * SECOND));
}

proptest! {
    /// Against the plainest model: the last `fall` or `rise` results since the verdict changed.
    #[test]
    fn only_whole_rows_change_the_verdict(
        results in prop::collection::vec(any::<bool>(), 1..60), rise in 1_u16..5, fall in 1_u16..5,
    ) {
        let timing = Timing { rise, fall, initial: Initial::Down, ..timing() };
        let mut check = Check::new(timing, 0, start());
        let (mut up, mut against) = (false, 0);
        for passes in results {
            against = if passes == up { 0 } else { against + 1 };
            if against == if up { fall } else { rise } {
                up = !up;
                against = 0;
            }
            let verdict = probe(&mut check, if passes { Ok(()) } else { fails() }).0;
            prop_assert_eq!(verdict == Verdict::Up, up);
        }
    }
}
