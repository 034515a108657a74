use super::*;

const SECOND: Duration = Duration::from_secs(1);

#[expect(clippy::disallowed_methods, reason = "an instant to count from; only differences matter")]
fn moment() -> Instant {
    Instant::now()
}

fn heard(text: &str) -> Answer {
    parse(text.as_bytes()).unwrap()
}

#[test]
fn every_word_is_understood_alone() {
    let percent = |percent| Answer { percent: Some(percent), ..Answer::default() };
    let mode = |mode| Answer { mode: Some(mode), ..Answer::default() };
    let up = |up| Answer { up: Some(up), ..Answer::default() };
    for (text, answer) in [
        ("75%", percent(75)),
        ("0%\n", percent(0)),
        ("1000%", percent(1000)),
        ("ready", mode(Mode::Ready)),
        ("DRAIN\r\n", mode(Mode::Drain)),
        ("maint", mode(Mode::Maintenance)),
        ("up", up(true)),
        ("down", up(false)),
        ("stopped", up(false)),
        ("fail", up(false)),
        ("maxconn:30", Answer { most: Some(30), ..Answer::default() }),
        ("MaxConn:0", Answer { most: Some(0), ..Answer::default() }),
    ] {
        assert_eq!(heard(text), answer, "{text}");
    }
}

#[test]
fn several_words_stand_in_any_order_and_the_last_of_a_kind_holds() {
    let answer = Answer {
        percent: Some(50),
        mode: Some(Mode::Ready),
        up: Some(true),
        most: Some(7),
        reason: Some("back again, 3 %".into()),
    };
    assert_eq!(heard(" 10%,\tup maxconn:7  drain ready, 50% hello #back again, 3 %\nmaint"), answer);
    assert_eq!(heard("down # \u{1b}[0mdisk\u{7}full ").reason.as_deref(), Some("[0mdisk full"));
    assert_eq!(heard("up #").reason, None);
}

#[test]
fn what_has_no_known_word_is_no_answer() {
    for text in [
        "",
        "\n75%",
        "hello",
        "#down",
        "-1%",
        "%",
        "1001%",
        "maxconn:",
        "maxconn:-1",
        "maxconn:x",
        "7 5 %",
        "99999999999%",
    ] {
        assert_eq!(parse(text.as_bytes()), Err(NotUnderstood), "{text}");
    }
    let long = format!("{}up", " ".repeat(LONGEST_LINE));
    assert_eq!(parse(long.as_bytes()), Err(NotUnderstood));
}

#[test]
fn what_is_written_reads_back() {
    for text in ["up drain 75% maxconn:3 #why", "down", "maint", "0%"] {
        assert_eq!(heard(text).to_string(), text);
    }
}

#[test]
fn only_what_is_spoken_of_changes_and_only_the_agent_takes_it_back() {
    let start = moment();
    let mut agent = Agent::new(2 * SECOND, 0, start);
    assert_eq!((agent.stance(), agent.why()), (Stance::Takes, None));
    let said = agent.answered(Ok(heard("drain 40% maxconn:9")), start, start + SECOND);
    assert_eq!(said.as_deref(), Some("its agent says `drain 40% maxconn:9`"));
    assert_eq!((agent.stance(), agent.percent(), agent.most()), (Stance::Drain, 40, Some(9)));
    assert_eq!(agent.since(), start + SECOND);

    // Said again, it is no news; nor is silence.
    assert_eq!(agent.answered(Ok(heard("drain")), start, start + 2 * SECOND), None);
    assert_eq!(agent.answered(Err("refused".into()), start, start + 3 * SECOND), None);
    assert_eq!((agent.stance(), agent.percent(), agent.since()), (Stance::Drain, 40, start + SECOND));
    assert_eq!(
        agent.why().as_deref(),
        Some("its agent said `drain 40% maxconn:9`; now its agent cannot be asked: refused")
    );

    agent.answered(Ok(heard("down")), start, start);
    assert_eq!(agent.stance(), Stance::Drain, "what the operator wants comes first");
    agent.answered(Ok(heard("ready")), start, start);
    assert_eq!(agent.stance(), Stance::Down);
    agent.answered(Ok(heard("100% up")), start, start);
    assert_eq!((agent.stance(), agent.most()), (Stance::Takes, Some(9)));
    agent.answered(Ok(heard("0%")), start, start);
    assert_eq!(agent.stance(), Stance::Drain);
    agent.answered(Ok(heard("maint")), start, start);
    assert_eq!(agent.stance(), Stance::Maintenance);
}

#[test]
fn it_is_asked_once_an_interval_from_a_moment_of_its_own() {
    let start = moment();
    let mut agent = Agent::new(4 * SECOND, 1 << 31, start);
    assert_eq!(agent.next_question(), start + 2 * SECOND);
    agent.answered(Err(String::new()), start + 2 * SECOND, start + 3 * SECOND);
    assert_eq!(agent.next_question(), start + 6 * SECOND);
    // One that took longer than the interval is asked again at once.
    agent.answered(Ok(heard("up")), start + 6 * SECOND, start + 20 * SECOND);
    assert_eq!(agent.next_question(), start + 20 * SECOND);
    agent.reconfigure(SECOND / 2, start);
    assert_eq!(agent.next_question(), start + SECOND / 2);
}

#[test]
fn weights_are_exact_where_they_can_be_and_never_lost() {
    let of = |servers: &[(u16, u16)]| -> Vec<u16> {
        let servers: Vec<_> =
            servers.iter().map(|&(weight, percent)| (Weight::try_from(weight).unwrap(), percent)).collect();
        weights(&servers).into_iter().map(Weight::value).collect()
    };
    assert_eq!(of(&[(2, 100), (4, 100)]), [2, 4], "nobody asks: as the file says");
    // 1 × 75 to 1 × 100: 3 to 4, which rounding down to whole weights would make 0 to 1.
    assert_eq!(of(&[(1, 75), (1, 100)]), [3, 4]);
    assert_eq!(of(&[(1, 0), (3, 100), (0, 50)]), [0, 1, 0]);
    assert_eq!(of(&[(1, 0)]), [0]);
    // 25,600 to 1: not to be had with weights up to 256; the small one still gets something.
    assert_eq!(of(&[(256, 100), (1, 1)]), [256, 1]);
    // 25,600 to 8,470: 256 to 84.7.
    assert_eq!(of(&[(256, 100), (77, 110)]), [256, 85]);
    assert_eq!(of(&[]), Vec::<u16>::new());
}
