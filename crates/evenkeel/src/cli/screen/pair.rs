//! The link to the other node.

use evenkeel_admin::message::PairStatus;

use super::duration;

/// Draws it.
pub(super) fn draw(pair: &PairStatus, now: u64) -> String {
    let state = &pair.state;
    let since = duration(now.saturating_sub(state.since));
    let link = match (state.up, &state.why) {
        (true, _) => format!("linked for {since}"),
        (false, Some(why)) => format!("not linked for {since}: {why}"),
        (false, None) => format!("not linked for {since}"),
    };
    let refused: Vec<String> =
        state.refused_total.iter().map(|(reason, count)| format!("{reason} {count}")).collect();
    let refused =
        if refused.is_empty() { String::new() } else { format!("; refused: {}", refused.join(", ")) };
    format!("\nPAIR\nother node {}: {link}{refused}\n", pair.peer)
}

#[cfg(test)]
mod tests {
    use evenkeel_pair::message::State;

    use super::*;

    #[test]
    fn a_link_that_is_down_says_why_and_who_was_refused() {
        let mut pair = PairStatus {
            peer: "10.0.0.12:7411".into(),
            bind: "0.0.0.0:7411".into(),
            handover_timeout: 600,
            state: State {
                since: 1_000,
                why: Some("connection refused".into()),
                refused_total: [("key".to_owned(), 3), ("late".to_owned(), 1)].into(),
                ..State::default()
            },
        };
        assert_eq!(
            draw(&pair, 1_065),
            "\nPAIR\nother node 10.0.0.12:7411: not linked for 1m 5s: connection refused; refused: key 3, late 1\n"
        );
        pair.state = State { up: true, since: 1_000, ..State::default() };
        assert_eq!(draw(&pair, 1_003), "\nPAIR\nother node 10.0.0.12:7411: linked for 3s\n");
    }
}
