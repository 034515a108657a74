//! The time as a worker sees it: read once for a turn of its event loop, or every [`MOST_USES`] questions.
//!
//! A request asks what time it is six to eight times, mostly within microseconds. Deadlines are coarse and latencies
//! are those of a network, so an answer may be as old as the turn: all that became ready together is served before the
//! kernel is asked again. Invariants: on a thread without [`each_turn`] every answer is exact; time never goes back.

use std::cell::Cell;

use tokio::runtime::Builder;
use tokio::time::Instant;

/// Questions that one reading answers at most, so that a long turn does not stop the time.
const MOST_USES: u8 = 16;

thread_local! {
    /// The reading of this turn, and how many questions it still answers.
    static READING: Cell<Option<(Instant, u8)>> = const { Cell::new(None) };
    static HAS_TURNS: Cell<bool> = const { Cell::new(false) };
}

/// Lets [`now`] answer by turns on the thread that this single-threaded runtime runs on.
pub(crate) fn each_turn(builder: &mut Builder) -> &mut Builder {
    builder.on_thread_unpark(|| {
        HAS_TURNS.set(true);
        READING.set(None);
    })
}

/// The time, no older than this turn of the event loop.
pub(crate) fn now() -> Instant {
    match READING.get() {
        Some((reading, uses @ 1..)) => {
            READING.set(Some((reading, uses - 1)));
            reading
        }
        _ => {
            let reading = Instant::now();
            if HAS_TURNS.get() {
                READING.set(Some((reading, MOST_USES - 1)));
            }
            reading
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_turns_every_answer_is_read_anew() {
        let first = now();
        while Instant::now() == first {}
        assert!(now() > first);
    }

    #[test]
    fn a_reading_serves_the_turn_and_not_the_next() {
        let mut builder = Builder::new_current_thread();
        let runtime = each_turn(builder.enable_time()).build().unwrap();
        runtime.block_on(async {
            // The runtime has parked once when a timer has fired.
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            let first = now();
            while Instant::now() == first {}
            assert_eq!(now(), first);
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            assert!(now() > first);
        });
    }

    #[test]
    fn a_long_turn_does_not_stop_the_time() {
        let mut builder = Builder::new_current_thread();
        let runtime = each_turn(builder.enable_time()).build().unwrap();
        runtime.block_on(async {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            let first = now();
            while Instant::now() == first {}
            let answers: Vec<Instant> = (0..MOST_USES).map(|_| now()).collect();
            assert_eq!(answers[usize::from(MOST_USES) - 2], first);
            assert!(answers[usize::from(MOST_USES) - 1] > first);
        });
    }
}
