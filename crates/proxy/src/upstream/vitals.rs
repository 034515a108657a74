//! When to ask a silent server with a PING whether it is still there.
//!
//! Sparingly: servers of gRPC take more than a few PINGs with nothing between them for an attack and end the connection
//! (the grpc-go server allows one in five minutes). So a server is asked when a request has waited for it in silence,
//! and again only when something else has come meanwhile or a long time has passed.

use std::time::Duration;

use tokio::time::Instant;

/// Silence after which a server that has something to answer is asked.
const SILENCE: Duration = Duration::from_secs(10);
/// How long it may take to say that it is there.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two PINGs with nothing between them.
const SPACING: Duration = Duration::from_secs(310);

/// What is known of one connection.
#[derive(Debug, Default)]
pub(super) struct Vitals {
    /// A PING is on its way since.
    asked: Option<Instant>,
    /// When the last PING went out, and when its answer had come.
    last: Option<(Instant, Instant)>,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    Nothing,
    /// Send a PING.
    Ask,
    /// Give the connection up.
    Dead,
}

impl Vitals {
    /// The PING was answered.
    pub(super) fn answered(&mut self, now: Instant) {
        self.last = self.asked.take().map(|asked| (asked, now));
    }

    /// Decides, given when the last byte came and whether a request waits.
    pub(super) fn turn(&mut self, now: Instant, heard: Instant, busy: bool) -> Turn {
        if let Some(asked) = self.asked {
            let over = now.saturating_duration_since(asked) >= PATIENCE;
            return if over { Turn::Dead } else { Turn::Nothing };
        }
        let silent = busy && now.saturating_duration_since(heard) >= SILENCE;
        let too_soon = self.last.is_some_and(|(asked, answered)| {
            heard <= answered && now.saturating_duration_since(asked) < SPACING
        });
        if silent && !too_soon {
            self.asked = Some(now);
            return Turn::Ask;
        }
        Turn::Nothing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn a_silent_server_is_asked_once_and_given_up_when_it_says_nothing() {
        let start = Instant::now();
        let mut vitals = Vitals::default();
        assert_eq!(vitals.turn(start + seconds(9), start, true), Turn::Nothing);
        assert_eq!(vitals.turn(start + seconds(10), start, true), Turn::Ask);
        assert_eq!(vitals.turn(start + seconds(14), start, true), Turn::Nothing);
        assert_eq!(vitals.turn(start + seconds(15), start, true), Turn::Dead);
    }

    #[test]
    fn a_server_without_requests_is_left_alone() {
        let start = Instant::now();
        assert_eq!(Vitals::default().turn(start + seconds(999), start, false), Turn::Nothing);
    }

    #[test]
    fn a_server_that_has_answered_is_asked_again_only_after_a_long_time() {
        let start = Instant::now();
        let mut vitals = Vitals::default();
        assert_eq!(vitals.turn(start + seconds(10), start, true), Turn::Ask);
        let pong = start + seconds(11);
        vitals.answered(pong);
        assert_eq!(vitals.turn(start + seconds(60), pong, true), Turn::Nothing);
        assert_eq!(vitals.turn(start + seconds(319), pong, true), Turn::Nothing);
        assert_eq!(vitals.turn(start + seconds(320), pong, true), Turn::Ask);
    }

    #[test]
    fn what_came_meanwhile_allows_another_question() {
        let start = Instant::now();
        let mut vitals = Vitals::default();
        assert_eq!(vitals.turn(start + seconds(10), start, true), Turn::Ask);
        vitals.answered(start + seconds(11));
        assert_eq!(vitals.turn(start + seconds(50), start + seconds(40), true), Turn::Ask);
    }
}
